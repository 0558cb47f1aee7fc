package admin

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/huddle-cache/huddle/cmd/internal/api"
	"github.com/huddle-cache/huddle/node"
)

// do makes a request as a client of any language does, whose redirects are followed.
func do(t *testing.T, method, url, body string, header ...string) (status int, text string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for pair := range slices.Chunk(header, 2) {
		req.Header.Set(pair[0], pair[1])
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	all, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(all)
}

// A key is chosen by a stranger, perhaps. It is no step of a path: a client is never sent on to the path of all entries.
func TestNoKeyIsAStepOfAPath(t *testing.T) {
	f := newFakeNode()
	_, ts := serve(t, f, Config{}, true)
	f.entries["another"] = node.Entry{Value: []byte("v")}
	for _, key := range []string{".", "..", "x/..", "../entries", "./", "x//y", "a/./b", "%2E", "%2e%2e/", "/"} {
		url := ts.URL + "/api/v1/entries/" + key
		if status, text := do(t, "PUT", url, "v"); status != http.StatusOK {
			t.Errorf("PUT of %q: %d %s", key, status, text)
		}
		if status, text := do(t, "GET", url, ""); status != http.StatusOK || text != "v" {
			t.Errorf("GET of %q: %d %s", key, status, text)
		}
		if status, text := do(t, "DELETE", url, ""); status != http.StatusOK || !strings.Contains(text, `"existed": true`) && !strings.Contains(text, `"existed":true`) {
			t.Errorf("DELETE of %q: %d %s", key, status, text)
		}
		if len(f.entries) != 1 {
			t.Fatalf("after DELETE of %q there are %d entries, and one should be there", key, len(f.entries))
		}
	}
	for _, path := range []string{"/api/v1//entries", "/api/v1/./entries", "/api/v1/x/../entries", "//api/v1/entries"} {
		if status, _ := do(t, "DELETE", ts.URL+path, ""); status != http.StatusNotFound || len(f.entries) != 1 {
			t.Errorf("DELETE %s: %d, %d entries", path, status, len(f.entries))
		}
	}
	if status, _ := do(t, "OPTIONS", ts.URL+"/api/v1/entries/k", ""); status != http.StatusMethodNotAllowed {
		t.Errorf("another method: %d", status)
	}
	if status, _ := do(t, "HEAD", ts.URL+"/api/v1/entries/another", ""); status != http.StatusOK {
		t.Errorf("HEAD: %d", status)
	}
	for _, query := range []string{"", "?all=false", "?all", "?all=yes"} {
		if status, text := do(t, "DELETE", ts.URL+"/api/v1/entries"+query, ""); status != http.StatusBadRequest || len(f.entries) != 1 {
			t.Errorf("DELETE of all, with %q: %d %s, %d entries", query, status, text, len(f.entries))
		}
	}
	if status, _ := do(t, "DELETE", ts.URL+"/api/v1/entries?all=true", ""); status != http.StatusOK || len(f.entries) != 0 {
		t.Errorf("DELETE of all: %d, %d entries", status, len(f.entries))
	}
}

// What is not understood is not left out.
func TestParametersThatThereAreNot(t *testing.T) {
	f := newFakeNode()
	_, ts := serve(t, f, Config{}, true)
	f.entries["k"] = node.Entry{Value: []byte("v")}
	for _, c := range []struct{ method, path string }{
		{"DELETE", "entries/k?revoke"},
		{"DELETE", "entries/k?Revoke=true"},
		{"DELETE", "entries/k?revoke=yes"},
		{"DELETE", "entries/k?revoke=true&revoke=false"},
		{"DELETE", "entries/k?a;b"},
		{"DELETE", "entries/k?revoke=%zz"},
		{"PUT", "entries/k?TTL=10m"},
		{"PUT", "entries/k?tags=user:7"},
		{"PUT", "entries/k?ttl=10m&ttl=20m"},
		{"PUT", "entries/k?ttl="},
		{"PATCH", "entries/k?ttl=10m&tag=a"},
		{"DELETE", "entries?prefix=a"},
		{"GET", "entries/k?x=1"},
		{"GET", "entries?Count=1"},
		{"GET", "status?Total=1"},
		{"POST", "revoke-user?user=1&user=2"},
		{"POST", "forget?name=n2&force=1"},
	} {
		if status, text := do(t, c.method, ts.URL+"/api/v1/"+c.path, "other"); status != http.StatusBadRequest || !strings.Contains(text, "invalid") {
			t.Errorf("%s %s: %d %s", c.method, c.path, status, text)
		}
	}
	if e := f.entries["k"]; string(e.Value) != "v" || len(f.revoked)+len(f.users)+len(f.forgot) != 0 {
		t.Errorf("they were carried out: %+v %v %v %v", f.entries, f.revoked, f.users, f.forgot)
	}
	if status, _ := do(t, "DELETE", ts.URL+"/api/v1/entries/k?revoke=true", ""); status != http.StatusOK || len(f.revoked) != 1 {
		t.Errorf("revoked: %d, %v", status, f.revoked)
	}
}

// Values that only half come take bounded memory, and no room from deletions.
func TestValuesThatHalfCome(t *testing.T) {
	f := newFakeNode()
	s, ts := serve(t, f, Config{}, true)
	half := func(length string) net.Conn {
		conn, err := net.Dial("tcp", ts.Listener.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = conn.Close() })
		if _, err := fmt.Fprintf(conn, "PUT /api/v1/entries/k HTTP/1.1\r\nHost: localhost\r\n%s\r\n\r\nhalf", length); err != nil {
			t.Fatal(err)
		}
		return conn
	}
	var open []net.Conn
	for i := range maxBodies >> 20 { // of a MiB each, at most
		open = append(open, half([]string{"Content-Length: 1048576", "Transfer-Encoding: chunked"}[i%2]))
	}
	full := func() bool {
		ok := s.bodies.TryAcquire(1 << 10)
		if ok {
			s.bodies.Release(1 << 10)
		}
		return !ok
	}
	await(t, "all to be received", full)
	if status, text := do(t, "PUT", ts.URL+"/api/v1/entries/k", "v"); status != http.StatusServiceUnavailable || !strings.Contains(text, "overload") {
		t.Errorf("one more value: %d %s", status, text)
	}
	if n := s.running.Load(); n != 0 {
		t.Errorf("%d operations are under way", n)
	}
	if status, _ := do(t, "POST", ts.URL+"/api/v1/revoke-user?user=7", ""); status != http.StatusOK || len(f.users) != 1 {
		t.Errorf("a revocation meanwhile: %d", status)
	}
	for _, conn := range open {
		_ = conn.Close()
	}
	await(t, "the room to be given back", func() bool {
		ok := s.bodies.TryAcquire(maxBodies)
		if ok {
			s.bodies.Release(maxBodies)
		}
		return ok
	})
	if len(f.entries) != 0 {
		t.Error("half a value was set")
	}
	value := bytes.Repeat([]byte("x"), defaultMaxVal)
	if status, _ := do(t, "PUT", ts.URL+"/api/v1/entries/k", string(value)); status != http.StatusOK || !bytes.Equal(f.entries["k"].Value, value) {
		t.Errorf("a whole one: %d, %d bytes", status, len(f.entries["k"].Value))
	}
}

// A value that does not come to its end, or is not wanted, is answered, and its connection ends: the server does not wait for what is left of it.
func TestConnectionsOfHalfAValueEnd(t *testing.T) {
	s, ts := serve(t, newFakeNode(), Config{}, true)
	s.patience = 10 * time.Millisecond
	answered := func(want int) {
		t.Helper()
		conn, err := net.Dial("tcp", ts.Listener.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		if err := conn.SetDeadline(time.Now().Add(10 * time.Second)); err != nil { // before the server's own deadline for a request would do it
			t.Fatal(err)
		}
		if _, err := fmt.Fprint(conn, "PUT /api/v1/entries/k HTTP/1.1\r\nHost: localhost\r\nContent-Length: 8\r\n\r\nhalf"); err != nil {
			t.Fatal(err)
		}
		if text, err := io.ReadAll(conn); err != nil || !strings.HasPrefix(string(text), fmt.Sprintf("HTTP/1.1 %d ", want)) {
			t.Errorf("%q, %v, want %d and the end", text, err, want)
		}
	}
	answered(http.StatusBadRequest)
	if !s.bodies.TryAcquire(maxBodies) {
		t.Fatal("room was kept")
	}
	answered(http.StatusServiceUnavailable)
}

func await(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for begun := time.Now(); !ok(); time.Sleep(time.Millisecond) {
		if time.Since(begun) > 10*time.Second {
			t.Fatalf("waited for %s", what)
		}
	}
}

// Counts and streams give their room back, and there are no more of them than may be.
func TestRoomIsGivenBack(t *testing.T) {
	s := newServer(Config{Backend: newFakeNode()}, true)
	defer s.events.close()
	s.stream = time.Millisecond
	h := s.handler()
	ask := func(path string, header ...string) *httptest.ResponseRecorder {
		w := httptest.NewRecorder()
		r := httptest.NewRequest(http.MethodGet, path, nil).WithContext(context.Background())
		r.Host = "localhost"
		if len(header) == 2 {
			r.Header.Set(header[0], header[1])
		}
		h.ServeHTTP(w, r)
		return w
	}
	for range maxTotals + 1 {
		if w := ask("/api/v1/status?total=1"); !strings.Contains(w.Body.String(), "total_entries") {
			t.Fatalf("no count: %s", w.Body)
		}
	}
	for range maxRunning + 1 {
		if w := ask("/api/v1/events", "Accept", "text/event-stream"); w.Code == http.StatusServiceUnavailable {
			t.Fatal("no stream any more")
		}
	}
	s.streams.Store(maxRunning)
	s.totals.Store(maxTotals)
	if w := ask("/api/v1/events", "Accept", "text/event-stream"); w.Code != http.StatusServiceUnavailable {
		t.Errorf("one stream too many: %d", w.Code)
	}
	if w := ask("/api/v1/status?total=1"); strings.Contains(w.Body.String(), "total_entries") {
		t.Error("one count too many")
	}
	if s.totals.Load() != maxTotals || s.streams.Load() != maxRunning {
		t.Errorf("%d counts and %d streams, after one that was refused", s.totals.Load(), s.streams.Load())
	}
	if w := ask("/api/v1/entries"); !strings.Contains(w.Body.String(), `"keys": []`) && !strings.Contains(w.Body.String(), `"keys":[]`) {
		t.Errorf("no keys: %s", w.Body)
	}
}

// What there is no route for fails in the form that GET /api/v1/ tells of, and says what the path takes.
func TestNoRouteIsAFailureLikeOthers(t *testing.T) {
	_, ts := serve(t, newFakeNode(), Config{}, true)
	for _, c := range []struct {
		method, path string
		status       int
		says         string
	}{
		{"GET", "/api/v1/nothing", http.StatusNotFound, "there is no such path"},
		{"POST", "/nothing", http.StatusNotFound, "there is no such path"},
		{"POST", "/api/v1/status", http.StatusMethodNotAllowed, "this path takes GET, HEAD"},
		{"PUT", "/api/v1/entries", http.StatusMethodNotAllowed, "this path takes DELETE, GET, HEAD"},
		{"GET", "/api/v1/forget", http.StatusMethodNotAllowed, "this path takes POST"},
	} {
		status, text := do(t, c.method, ts.URL+c.path, "")
		var failed api.Error
		if err := json.Unmarshal([]byte(text), &failed); err != nil || status != c.status || failed.Code != api.CodeInvalid || !strings.HasPrefix(failed.Text, c.says) {
			t.Errorf("%s %s: %d %s", c.method, c.path, status, text)
		}
	}
}
