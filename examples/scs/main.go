// Command scs shows three replicas of a service that share their sessions: each embeds a node and uses
// github.com/alexedwards/scs on top of it, and a reverse proxy deals the requests out in turn. It checks itself: logged
// in through one replica, a user is known to all; logged out everywhere, they are refused by all.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/signal"
	"strings"
	"time"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	if err := run(ctx, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "FAILED:", err)
		os.Exit(1)
	}
}

// run starts everything, checks it, and stops everything.
func run(ctx context.Context, out io.Writer) (err error) {
	c, err := startCluster(ctx, 3)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, c.stop()) }()
	fmt.Fprintf(out, "Three replicas, one proxy at %s\n", c.proxy)
	return check(ctx, out, c)
}

// check is the story that the example tells.
func check(ctx context.Context, out io.Writer, c *cluster) error {
	laptop, phone, stranger := newBrowser(), newBrowser(), newBrowser()
	for _, b := range []*browser{laptop, phone} {
		by, err := b.ask(ctx, http.MethodPost, c.proxy+"/login?user=ada", http.StatusOK, "hello ada")
		if err != nil {
			return fmt.Errorf("log in: %w", err)
		}
		fmt.Fprintf(out, "Ada logs in; replica %s takes the request\n", by)
	}
	if err := everywhere(ctx, out, c, laptop, "the laptop", http.StatusOK, "ada"); err != nil {
		return err
	}
	if err := everywhere(ctx, out, c, phone, "the phone", http.StatusOK, "ada"); err != nil {
		return err
	}
	if err := everywhere(ctx, out, c, stranger, "a stranger", http.StatusUnauthorized, "who are you?"); err != nil {
		return err
	}
	by, err := phone.ask(ctx, http.MethodPost, c.proxy+"/logout-everywhere", http.StatusOK, "2 sessions ended")
	if err != nil {
		return fmt.Errorf("log out everywhere: %w", err)
	}
	fmt.Fprintf(out, "On the phone, Ada logs out everywhere; replica %s takes the request\n", by)
	// The browsers still show their cookies: the replicas must refuse them.
	if err := everywhere(ctx, out, c, laptop, "the laptop", http.StatusUnauthorized, "who are you?"); err != nil {
		return err
	}
	if err := everywhere(ctx, out, c, phone, "the phone", http.StatusUnauthorized, "who are you?"); err != nil {
		return err
	}
	fmt.Fprintln(out, "All as it should be.")
	return nil
}

// everywhere asks each replica once, by way of the proxy.
func everywhere(ctx context.Context, out io.Writer, c *cluster, b *browser, who string, status int, body string) error {
	seen := make(map[string]bool)
	for range c.replicas {
		by, err := b.ask(ctx, http.MethodGet, c.proxy+"/me", status, body)
		if err != nil {
			return fmt.Errorf("%s: %w", who, err)
		}
		seen[by] = true
	}
	if len(seen) != len(c.replicas) {
		return fmt.Errorf("%s: only %d replicas were asked", who, len(seen))
	}
	verdict := "is known to all three replicas"
	if status != http.StatusOK {
		verdict = "is refused by all three replicas"
	}
	fmt.Fprintf(out, "  %s %s\n", who, verdict)
	return nil
}

// browser is a client that goes on showing its cookie also when it is told to drop it.
type browser struct {
	client http.Client
	cookie *http.Cookie
}

func newBrowser() *browser { return &browser{client: http.Client{Timeout: 20 * time.Second}} }

// ask sends a request, checks the answer, and returns the name of the replica that gave it.
func (b *browser) ask(ctx context.Context, method, target string, status int, body string) (string, error) {
	req, err := http.NewRequestWithContext(ctx, method, target, nil)
	if err != nil {
		return "", err
	}
	if b.cookie != nil {
		req.AddCookie(b.cookie)
	}
	res, err := b.client.Do(req)
	if err != nil {
		return "", err
	}
	defer res.Body.Close()
	got, err := io.ReadAll(io.LimitReader(res.Body, 1<<10))
	if err != nil {
		return "", err
	}
	by := res.Header.Get(replicaHeader)
	if answer := strings.TrimSpace(string(got)); res.StatusCode != status || answer != body {
		return by, fmt.Errorf("replica %s answered %d %q, not %d %q", by, res.StatusCode, answer, status, body)
	}
	for _, cookie := range res.Cookies() {
		if cookie.Value != "" {
			b.cookie = cookie
		}
	}
	return by, nil
}
