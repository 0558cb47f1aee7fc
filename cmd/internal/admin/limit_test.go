package admin

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/huddle-cache/huddle/node"
)

// One connection too many is told so; when one ends there is room again.
func TestConnectionsAreLimited(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	limited := &limitedListener{Listener: ln, max: 2}
	s := newServer(Config{Backend: newFakeNode()}, true)
	s.ln = limited
	served := make(chan error, 1)
	go func() { served <- s.Serve() }()
	ask := func(conn net.Conn) (int, error) {
		_, _ = fmt.Fprint(conn, "GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
		_ = conn.SetReadDeadline(time.Now().Add(10 * time.Second))
		r, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err != nil {
			return 0, err
		}
		_, _ = io.Copy(io.Discard, r.Body)
		return r.StatusCode, nil
	}
	var conns []net.Conn
	for range 2 {
		conn, err := net.Dial("tcp", ln.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		if code, err := ask(conn); code != http.StatusOK {
			t.Fatal(code, err)
		}
		conns = append(conns, conn)
	}
	third, err := net.Dial("tcp", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer third.Close()
	_ = third.SetReadDeadline(time.Now().Add(10 * time.Second))
	if said, err := io.ReadAll(third); err != nil || !strings.HasPrefix(string(said), "HTTP/1.1 503") {
		t.Errorf("the third is told %q, %v", said, err)
	}
	_ = conns[0].Close()
	for deadline := time.Now().Add(10 * time.Second); limited.count.Load() > 1; {
		if time.Now().After(deadline) {
			t.Fatal("a connection that has ended is still counted")
		}
	}
	fourth, err := net.Dial("tcp", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer fourth.Close()
	if code, err := ask(fourth); code != http.StatusOK {
		t.Error(code, err)
	}
	if code, err := ask(conns[1]); code != http.StatusOK {
		t.Error("one that stood is harmed:", code, err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	_ = s.Close(ctx)
	<-served
}

// A connection that is closed twice, as by a server that gives it up while its handler ends, makes room for one and not for two.
func TestAConnectionIsCountedOutOnce(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	limited := &limitedListener{Listener: ln, max: 2}
	client, err := net.Dial("tcp", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	conn, err := limited.Accept()
	if err != nil {
		t.Fatal(err)
	}
	_ = conn.Close()
	_ = conn.Close()
	if n := limited.count.Load(); n != 0 {
		t.Errorf("%d are counted in the end", n)
	}
}

// slowNode keeps its readers waiting.
type slowNode struct {
	*fakeNode
	entered, release chan struct{}
}

func (s *slowNode) Lookup(ctx context.Context, key string) (node.Entry, bool, error) {
	s.entered <- struct{}{}
	<-s.release
	return s.fakeNode.Lookup(ctx, key)
}

func TestOperationsUnderWayAreLimited(t *testing.T) {
	slow := &slowNode{fakeNode: newFakeNode(), entered: make(chan struct{}), release: make(chan struct{})}
	s := newServer(Config{Backend: slow}, true)
	defer s.events.close()
	h := s.handler()
	get := func(path string) int {
		w := httptest.NewRecorder()
		r := httptest.NewRequest(http.MethodGet, path, nil)
		r.Host = "localhost"
		h.ServeHTTP(w, r)
		return w.Code
	}
	codes := make(chan int, maxRunning)
	for range maxRunning {
		go func() { codes <- get("/api/v1/entries/k") }()
		<-slow.entered
	}
	if code := get("/api/v1/entries/k"); code != http.StatusServiceUnavailable {
		t.Errorf("one too many gets %d", code)
	}
	if code := get("/api/v1/status?total=1"); code != http.StatusOK {
		t.Errorf("the status is harmed: %d", code)
	}
	close(slow.release)
	for range maxRunning {
		if code := <-codes; code != http.StatusNotFound {
			t.Errorf("one that was under way gets %d", code)
		}
	}
	if n := s.running.Load(); n != 0 {
		t.Errorf("%d are counted in the end", n)
	}
}

// slowCount keeps those waiting who count the cluster's entries.
type slowCount struct {
	*fakeNode
	entered, release chan struct{}
}

func (s *slowCount) Len(context.Context) (int, error) {
	s.entered <- struct{}{}
	<-s.release
	return 7, nil
}

// Whoever has no token can ask for the count of entries, but takes no room from those who have one.
func TestCountsTakeNoRoomFromOperations(t *testing.T) {
	slow := &slowCount{fakeNode: newFakeNode(), entered: make(chan struct{}), release: make(chan struct{})}
	s := newServer(Config{Backend: slow}, true)
	defer s.events.close()
	h := s.handler()
	ask := func(method, path string) *httptest.ResponseRecorder {
		w := httptest.NewRecorder()
		r := httptest.NewRequest(method, path, nil)
		r.Host = "localhost"
		h.ServeHTTP(w, r)
		return w
	}
	counted := make(chan string, maxTotals)
	for range maxTotals {
		go func() { counted <- ask("GET", "/api/v1/status?total=1").Body.String() }()
		<-slow.entered
	}
	if w := ask("GET", "/api/v1/status?total=1"); w.Code != http.StatusOK || strings.Contains(w.Body.String(), "total_entries") {
		t.Errorf("one too many gets %d %s", w.Code, w.Body)
	}
	if n := s.running.Load(); n != 0 {
		t.Errorf("counts take the room of %d operations", n)
	}
	if w := ask("POST", "/api/v1/revoke-user?user=7"); w.Code != http.StatusOK {
		t.Errorf("a revocation gets %d", w.Code)
	}
	close(slow.release)
	for range maxTotals {
		if body := <-counted; !strings.Contains(body, `"total_entries": 7`) {
			t.Errorf("one within the limit gets %s", body)
		}
	}
}

// FuzzHTTP sends arbitrary requests. None may panic, answer without a status that HTTP knows, or come through without the token.
func FuzzHTTP(f *testing.F) {
	f.Add("GET", "/api/v1/entries/k", "", "", []byte(nil), false)
	f.Add("PUT", "/api/v1/entries/%ff%00?ttl=30m&tag=user:1", "Huddle-Ttl", "5", []byte("value"), true)
	f.Add("PATCH", "/api/v1/entries/k?ttl=-1", "If-None-Match", "*", []byte(nil), true)
	f.Add("GET", "/api/v1/entries?cursor=18446744073709551615&count=9999999999", "", "", []byte(nil), true)
	f.Add("DELETE", "/api/v1/entries/k?revoke=true", "Origin", "http://evil.example", []byte(nil), true)
	f.Add("POST", "/api/v1/revoke-user?user=7", "Sec-Fetch-Site", "cross-site", []byte(nil), true)
	f.Add("GET", "/api/v1/ring?key=k", "Host", "evil.example", []byte(nil), false)
	f.Add("GET", "/api/v1/events?after=x", "Accept", "application/json", []byte(nil), false)
	const secret = "what no stranger may see" // no page has these words
	f.Fuzz(func(t *testing.T, method, target, name, value string, body []byte, token bool) {
		u, err := url.ParseRequestURI(target)
		if err != nil || strings.Contains(value, "event-stream") {
			return
		}
		backend := newFakeNode()
		backend.entries["k"] = node.Entry{Value: []byte(secret)}
		s := newServer(Config{Backend: backend, CheckToken: only("secret"), MaxValueBytes: 100}, true)
		defer s.events.close()
		r := (&http.Request{
			Method: method, URL: u, Host: "localhost", Header: http.Header{}, Body: io.NopCloser(bytes.NewReader(body)), Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		}).WithContext(t.Context())
		if name != "" && !strings.EqualFold(name, "Authorization") {
			r.Header.Set(name, value)
		}
		if token {
			r.Header.Set("Authorization", "Bearer secret")
		}
		w := httptest.NewRecorder()
		s.handler().ServeHTTP(w, r)
		if w.Code < 200 || w.Code > 599 {
			t.Errorf("status %d", w.Code)
		}
		e := backend.entries["k"]
		if !token && (len(backend.entries) != 1 || string(e.Value) != secret || len(backend.users)+len(backend.forgot)+len(backend.revoked) > 0 ||
			strings.Contains(w.Body.String(), secret)) {
			t.Errorf("%s %s comes through without the token", method, target)
		}
		for k, e := range backend.entries {
			if len(e.Value) > 100 {
				t.Errorf("%q has a value of %d bytes", k, len(e.Value))
			}
		}
	})
}
