// Package client speaks to the admin interface of a node.
package client

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/huddle-cache/huddle/cmd/internal/api"
	"github.com/huddle-cache/huddle/node"
)

// maxAnswer bounds what is read of one answer.
const maxAnswer = 512 << 20

// Client speaks to one node. Its methods are safe for concurrent use. What the node refuses is an *api.Error.
type Client struct {
	addr  string
	token string
	http  *http.Client
}

// New returns a client of the node whose admin interface is at addr ("host:port"). token may be empty. The client does not
// go through a proxy.
func New(addr, token string) *Client {
	addr = strings.TrimSuffix(strings.TrimPrefix(addr, "http://"), "/")
	return &Client{addr: addr, token: token, http: &http.Client{
		Timeout:   15 * time.Second,
		Transport: &http.Transport{MaxIdleConnsPerHost: 4, IdleConnTimeout: 5 * time.Second}, // before the node ends them
	}}
}

// Addr is the address the client was made for.
func (c *Client) Addr() string { return c.addr }

// Close lets go of idle connections.
func (c *Client) Close() { c.http.CloseIdleConnections() }

func (c *Client) do(ctx context.Context, method, path string, query url.Values, body []byte) (http.Header, []byte, error) {
	target := "http://" + c.addr + path
	if len(query) > 0 {
		target += "?" + query.Encode()
	}
	req, err := http.NewRequestWithContext(ctx, method, target, bytes.NewReader(body))
	if err != nil {
		return nil, nil, fmt.Errorf("%q is no admin address; it must be host:port", c.addr)
	}
	if c.token != "" {
		req.Header.Set("Authorization", "Bearer "+c.token)
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return nil, nil, c.explain(err)
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err != nil {
		return nil, nil, c.explain(err)
	}
	if resp.StatusCode/100 == 2 {
		return resp.Header, data, nil
	}
	var refused api.Error
	if json.Unmarshal(data, &refused) != nil || refused.Text == "" {
		return nil, nil, fmt.Errorf("%s answered %q: is it the admin address of a node?", c.addr, resp.Status)
	}
	return nil, nil, &refused
}

// explain says what to do about a failed request. The request's address is left out: it holds the key.
func (c *Client) explain(err error) error {
	var netErr net.Error
	switch {
	case errors.Is(err, syscall.ECONNREFUSED):
		return fmt.Errorf("no node answers at %s; start one with \"huddle serve\", or name another with --admin", c.addr)
	case errors.Is(err, context.Canceled):
		return context.Canceled
	case errors.As(err, &netErr) && netErr.Timeout():
		return fmt.Errorf("the node at %s did not answer in time", c.addr)
	}
	var urlErr *url.Error
	if errors.As(err, &urlErr) {
		err = urlErr.Err
	}
	var opErr *net.OpError
	switch {
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, syscall.ECONNRESET):
		return fmt.Errorf("%s ended the connection without an answer: is it the --admin of a node?", c.addr)
	case !errors.As(err, &opErr): // what came is no HTTP
		return fmt.Errorf("what answers at %s is no --admin of huddle", c.addr)
	}
	return fmt.Errorf("the node at %s cannot be reached: %w", c.addr, err)
}

func (c *Client) get(ctx context.Context, path string, query url.Values, into any) error {
	_, data, err := c.do(ctx, http.MethodGet, path, query, nil)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(data, into); err != nil {
		return fmt.Errorf("%s gave an answer that is no JSON: is it the admin address of a node?", c.addr)
	}
	return nil
}

// Status returns the state of the node; with total, the number of the cluster's entries too.
func (c *Client) Status(ctx context.Context, total bool) (st api.Status, err error) {
	query := url.Values{}
	if total {
		query.Set("total", "1")
	}
	err = c.get(ctx, "/api/v1/status", query, &st)
	return st, err
}

// Ready tells whether the node is in sync. No answer is not ready.
func (c *Client) Ready(ctx context.Context) bool {
	_, _, err := c.do(ctx, http.MethodGet, "/readyz", nil, nil)
	return err == nil
}

// Members lists the members of the node's view.
func (c *Client) Members(ctx context.Context) (m api.Members, err error) {
	err = c.get(ctx, "/api/v1/members", nil, &m)
	return m, err
}

// Ring returns the shares of the ring.
func (c *Client) Ring(ctx context.Context) (r api.Ring, err error) {
	err = c.get(ctx, "/api/v1/ring", nil, &r)
	return r, err
}

// Locate returns the ring and the placement of key.
func (c *Client) Locate(ctx context.Context, key string) (r api.Ring, err error) {
	err = c.get(ctx, "/api/v1/ring", url.Values{"key": {key}}, &r)
	if err == nil && r.Placement == nil {
		err = errors.New("the node gave no placement")
	}
	return r, err
}

// Events lists the events numbered above after.
func (c *Client) Events(ctx context.Context, after uint64) ([]api.Event, error) {
	var e api.Events
	err := c.get(ctx, "/api/v1/events", url.Values{"after": {strconv.FormatUint(after, 10)}}, &e)
	return e.Events, err
}

func entryPath(key string) string {
	switch key {
	case ".", "..": // would be taken for a step in the path
		return "/api/v1/entries/" + strings.ReplaceAll(key, ".", "%2E")
	}
	return "/api/v1/entries/" + url.PathEscape(key)
}

// Get returns the entry of key. An absent key is an *api.Error of code "absent".
func (c *Client) Get(ctx context.Context, key string) (node.Entry, error) {
	h, data, err := c.do(ctx, http.MethodGet, entryPath(key), nil, nil)
	if err != nil {
		return node.Entry{}, err
	}
	e := node.Entry{Value: data}
	// Headers that are missing or odd leave their field empty: the value is what was asked for.
	e.Version, _ = strconv.ParseUint(h.Get(api.HeaderVersion), 10, 64)
	if seconds, err := strconv.ParseFloat(h.Get(api.HeaderTTL), 64); err == nil {
		e.TTL = time.Duration(seconds * float64(time.Second))
	}
	_ = json.Unmarshal([]byte(h.Get(api.HeaderTags)), &e.Tags)
	return e, nil
}

// Set writes key. ttl nil is the node's default, 0 no end.
func (c *Client) Set(ctx context.Context, key string, value []byte, ttl *time.Duration, tags []string) error {
	query := url.Values{"tag": tags}
	if ttl != nil {
		query.Set("ttl", ttl.String())
	}
	_, _, err := c.do(ctx, http.MethodPut, entryPath(key), query, value)
	return err
}

// Delete removes key, for good if revoke, and tells whether it was there.
func (c *Client) Delete(ctx context.Context, key string, revoke bool) (existed bool, err error) {
	query := url.Values{}
	if revoke {
		query.Set("revoke", "true")
	}
	_, data, err := c.do(ctx, http.MethodDelete, entryPath(key), query, nil)
	if err != nil {
		return false, err
	}
	var d api.Done
	if err := json.Unmarshal(data, &d); err != nil {
		return false, fmt.Errorf("%s gave an answer that is no JSON", c.addr)
	}
	return d.Existed != nil && *d.Existed, nil
}

// Touch gives key a new TTL, 0 for no end. An absent key is an *api.Error of code "absent".
func (c *Client) Touch(ctx context.Context, key string, ttl time.Duration) error {
	_, _, err := c.do(ctx, http.MethodPatch, entryPath(key), url.Values{"ttl": {ttl.String()}}, nil)
	return err
}

// Clear removes every entry of the cluster.
func (c *Client) Clear(ctx context.Context) error {
	_, _, err := c.do(ctx, http.MethodDelete, "/api/v1/entries", url.Values{"all": {"true"}}, nil)
	return err
}

// RevokeUser ends every session of a user.
func (c *Client) RevokeUser(ctx context.Context, user string) error {
	_, _, err := c.do(ctx, http.MethodPost, "/api/v1/revoke-user", url.Values{"user": {user}}, nil)
	return err
}

// InvalidateTags removes every entry that has one of the tags.
func (c *Client) InvalidateTags(ctx context.Context, tags ...string) error {
	_, _, err := c.do(ctx, http.MethodPost, "/api/v1/invalidate-tags", url.Values{"tag": tags}, nil)
	return err
}

// Forget takes a lost node out of the count of the majority.
func (c *Client) Forget(ctx context.Context, name string) error {
	_, _, err := c.do(ctx, http.MethodPost, "/api/v1/forget", url.Values{"name": {name}}, nil)
	return err
}
