package admin

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/huddle-cache/huddle/cmd/internal/api"
	"github.com/huddle-cache/huddle/node"
)

// How often a read that is not certain is tried again, within opTimeout.
const unsurePause = 25 * time.Millisecond

func (s *Server) opContext(r *http.Request) (context.Context, context.CancelFunc) {
	return context.WithTimeout(r.Context(), opTimeout)
}

// lookup waits for certainty as long as ctx lasts.
func (s *Server) lookup(ctx context.Context, key string) (node.Entry, bool, error) {
	for {
		e, found, err := s.cfg.Backend.Lookup(ctx, key)
		if !errors.Is(err, node.ErrUnsure) {
			return e, found, err
		}
		select {
		case <-ctx.Done():
			return e, false, node.ErrUnsure
		case <-time.After(unsurePause):
		}
	}
}

func (s *Server) getEntry(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := s.opContext(r)
	defer cancel()
	e, found, err := s.lookup(ctx, r.PathValue("key"))
	switch {
	case err != nil:
		failure(w, err)
		return
	case !found:
		fail(w, http.StatusNotFound, api.CodeAbsent, "there is no such entry")
		return
	}
	h := w.Header()
	h.Set("Content-Type", "application/octet-stream")
	h.Set("Cache-Control", "no-store")
	h.Set("Content-Length", strconv.Itoa(len(e.Value)))
	h.Set(api.HeaderVersion, strconv.FormatUint(e.Version, 10))
	h.Set("ETag", strconv.Quote(strconv.FormatUint(e.Version, 10)))
	if e.TTL > 0 { // one that is nearly over must not read as no end
		h.Set(api.HeaderTTL, strconv.FormatFloat(max(e.TTL, time.Millisecond).Seconds(), 'f', 3, 64))
	}
	if len(e.Tags) > 0 {
		if tags, err := json.Marshal(e.Tags); err == nil {
			h.Set(api.HeaderTags, string(tags))
		}
	}
	_, _ = w.Write(e.Value) // a client that is gone needs no answer
}

func (s *Server) putEntry(w http.ResponseWriter, r *http.Request) {
	ttl, given, err := requestTTL(r)
	if err != nil {
		invalid(w, err.Error())
		return
	}
	condition, err := requestCondition(r)
	if err != nil {
		invalid(w, err.Error())
		return
	}
	size := r.ContentLength // -1: not known
	if size < 0 || size > s.cfg.MaxValueBytes {
		size = s.cfg.MaxValueBytes
	}
	conn := http.NewResponseController(w)
	within := s.patience + time.Duration(size>>20)*time.Second
	_ = conn.SetReadDeadline(time.Now().Add(within)) // a connection that takes none any more is not read either
	if !s.bodies.TryAcquire(size) {
		w.Header().Set("Connection", "close") // or the server would wait for the body before it answers
		fail(w, http.StatusServiceUnavailable, api.CodeOverload, "too many values are being received by this node")
		return
	}
	defer s.bodies.Release(size)
	body, err := s.receive(w, r)
	if err != nil {
		w.Header().Set("Connection", "close")
		var tooLarge *http.MaxBytesError
		if errors.As(err, &tooLarge) {
			failure(w, fmt.Errorf("%w: the value has more than %d bytes", node.ErrTooLarge, s.cfg.MaxValueBytes))
			return
		}
		invalid(w, "the body could not be read")
		return
	}
	_ = conn.SetReadDeadline(time.Time{}) // it would end what comes after the body, too; in what has failed the server reads on, and needs it
	s.inFlight(func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := s.opContext(r)
		defer cancel()
		err := s.cfg.Backend.Set(ctx, r.PathValue("key"), body, SetArgs{
			TTL:   ttl,
			NoTTL: given && ttl == 0,
			Tags:  r.URL.Query()["tag"],
			If:    condition,
		})
		if err != nil {
			failure(w, err)
			return
		}
		done(w)
	})(w, r)
}

// receive reads a body. It takes little memory until it comes.
func (s *Server) receive(w http.ResponseWriter, r *http.Request) ([]byte, error) {
	var body bytes.Buffer
	if r.ContentLength > 0 && r.ContentLength <= s.cfg.MaxValueBytes {
		body.Grow(int(r.ContentLength) + bytes.MinRead) // or it grows to twice of it
	}
	_, err := body.ReadFrom(http.MaxBytesReader(w, r.Body, s.cfg.MaxValueBytes))
	return body.Bytes(), err
}

func (s *Server) deleteEntry(w http.ResponseWriter, r *http.Request) {
	revoke, err := requestBool(r, "revoke")
	if err != nil {
		invalid(w, err.Error())
		return
	}
	condition, err := requestCondition(r)
	if err == nil && condition.Absent {
		err = errors.New("there is nothing to delete with If-None-Match: *")
	}
	if err != nil {
		invalid(w, err.Error())
		return
	}
	ctx, cancel := s.opContext(r)
	defer cancel()
	existed, err := s.cfg.Backend.Remove(ctx, r.PathValue("key"), revoke, condition.Version)
	if err == nil && condition.Present && !existed {
		err = node.ErrCondition
	}
	if err != nil {
		failure(w, err)
		return
	}
	doneExisted(w, existed)
}

func (s *Server) touchEntry(w http.ResponseWriter, r *http.Request) {
	ttl, given, err := requestTTL(r)
	if err == nil && !given {
		err = errors.New("ttl is missing: a time such as 30m, 0 for no end")
	}
	if err != nil {
		invalid(w, err.Error())
		return
	}
	ctx, cancel := s.opContext(r)
	defer cancel()
	existed, err := s.cfg.Backend.Touch(ctx, r.PathValue("key"), ttl)
	switch {
	case err != nil:
		failure(w, err)
	case !existed:
		fail(w, http.StatusNotFound, api.CodeAbsent, "there is no such entry")
	default:
		doneExisted(w, true)
	}
}

// clear wants to be told that all is meant: the path is that of an entry whose key has been lost on the way.
func (s *Server) clear(w http.ResponseWriter, r *http.Request) {
	all, err := requestBool(r, "all")
	if err == nil && !all {
		err = errors.New("this removes every entry of the cluster: say so with ?all=true, or name the key in the path")
	}
	if err != nil {
		invalid(w, err.Error())
		return
	}
	ctx, cancel := s.opContext(r)
	defer cancel()
	if err := s.cfg.Backend.Clear(ctx); err != nil {
		failure(w, err)
		return
	}
	done(w)
}

func (s *Server) listEntries(w http.ResponseWriter, r *http.Request) {
	cursor, err := requestUint(r, "cursor", 0)
	if err != nil {
		invalid(w, err.Error())
		return
	}
	count, err := requestUint(r, "count", 100)
	if err != nil {
		invalid(w, err.Error())
		return
	}
	ctx, cancel := s.opContext(r)
	defer cancel()
	keys, next, err := s.cfg.Backend.Scan(ctx, cursor, int(min(count, 10_000)))
	if err != nil {
		failure(w, err)
		return
	}
	if keys == nil {
		keys = []string{}
	}
	page := api.Keys{Keys: keys, Next: next}
	if slices.ContainsFunc(keys, func(key string) bool { return !utf8.ValidString(key) }) {
		for _, key := range keys {
			page.Bytes = append(page.Bytes, []byte(key))
		}
	}
	answer(w, http.StatusOK, page)
}

// maxSeconds bounds a time that is given as a number of seconds. The node cuts it to 100 years.
const maxSeconds = 1<<32 - 1

// requestTTL reads ?ttl= or the header Huddle-Ttl: a duration such as 30m, or a number of seconds, which may have a fraction; 0 is no end.
func requestTTL(r *http.Request) (ttl time.Duration, given bool, err error) {
	text := r.URL.Query().Get("ttl")
	if text == "" {
		text = r.Header.Get(api.HeaderTTL)
	}
	text = strings.TrimSpace(text)
	if text == "" {
		return 0, false, nil
	}
	if seconds, numErr := strconv.ParseFloat(text, 64); numErr == nil && seconds >= 0 && seconds <= maxSeconds {
		ttl = time.Duration(seconds * float64(time.Second))
		if seconds > 0 {
			ttl = max(ttl, 1)
		}
		return ttl, true, nil
	}
	ttl, err = time.ParseDuration(text)
	if err != nil || ttl < 0 {
		return 0, true, errors.New("ttl is not usable: give a time such as 30m or a number of seconds, 0 for no end")
	}
	return ttl, true, nil
}

// requestCondition reads If-Match, which takes one ETag that a GET has returned, or *, and If-None-Match, which takes *. What was ignored would
// write where the client had forbidden it, so all else is an error.
func requestCondition(r *http.Request) (c Condition, err error) {
	match, noneMatch := r.Header.Values("If-Match"), r.Header.Values("If-None-Match")
	switch {
	case len(match)+len(noneMatch) > 1:
		return Condition{}, errors.New("give one If-Match or If-None-Match")
	case len(noneMatch) == 1 && noneMatch[0] != "*":
		return Condition{}, errors.New("If-None-Match takes only *, which is: do not overwrite")
	case len(noneMatch) == 1:
		return Condition{Absent: true}, nil
	case len(match) == 1 && match[0] == "*":
		return Condition{Present: true}, nil
	case len(match) == 1:
		text, quoted := strings.CutPrefix(match[0], `"`)
		text, closed := strings.CutSuffix(text, `"`)
		version, err := strconv.ParseUint(text, 10, 64)
		if !quoted || !closed || err != nil || version == 0 {
			return Condition{}, errors.New(`If-Match takes one ETag as a GET returns it, such as "7", or *`)
		}
		return Condition{Version: version}, nil
	}
	return Condition{}, nil
}

func requestBool(r *http.Request, name string) (bool, error) {
	if !r.URL.Query().Has(name) {
		return false, nil
	}
	v, err := strconv.ParseBool(r.URL.Query().Get(name))
	if err != nil {
		return false, errors.New(name + " is neither true nor false")
	}
	return v, nil
}

func requestUint(r *http.Request, name string, otherwise uint64) (uint64, error) {
	text := r.URL.Query().Get(name)
	if text == "" {
		return otherwise, nil
	}
	v, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		return 0, errors.New(name + " is not a number")
	}
	return v, nil
}
