package admin

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/huddle-cache/huddle/cmd/internal/api"
	"github.com/huddle-cache/huddle/cmd/internal/client"
	"github.com/huddle-cache/huddle/node"
)

// fakeNode keeps entries in a map. err, if set, is what every operation on entries returns.
type fakeNode struct {
	mu      sync.Mutex
	entries map[string]node.Entry
	err     error
	unsure  int // that many lookups are unsure
	inSync  bool
	waiting string // why it is in no cluster
	heldBy  string // the address of who has this node's name
	leaving bool
	other   string // the state of n2; empty: "member"
	revoked []string
	users   []string
	forgot  []string
	last    SetArgs
	events  chan node.Event
}

func newFakeNode() *fakeNode {
	return &fakeNode{entries: map[string]node.Entry{}, inSync: true, events: make(chan node.Event, 10)}
}

func (f *fakeNode) Name() string { return "n1" }
func (f *fakeNode) Addr() string { return "127.0.0.1:7400" }

func (f *fakeNode) InSync() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.inSync
}

func (f *fakeNode) Stats() node.Stats {
	return node.Stats{View: 4, Members: 2, InSync: true, Partitions: 1021, NameHeldBy: f.heldBy, Waiting: f.waiting, Leaving: f.leaving}
}

func (f *fakeNode) Members() []node.Member {
	return []node.Member{{Name: "n1", Self: true, State: "member", Share: 0.5}, {Name: "n2", State: cmp.Or(f.other, "member"), Share: 0.5}}
}

func (f *fakeNode) Locate(string) node.Placement {
	return node.Placement{Partition: 17, Owner: "n2", Copies: []string{"n1"}}
}

func (f *fakeNode) Subscribe(int) (<-chan node.Event, func()) {
	return f.events, func() { close(f.events) }
}

func (f *fakeNode) Lookup(_ context.Context, key string) (node.Entry, bool, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.unsure > 0 {
		f.unsure--
		return node.Entry{}, false, node.ErrUnsure
	}
	e, ok := f.entries[key]
	return e, ok, f.err
}

func (f *fakeNode) Set(_ context.Context, key string, value []byte, a SetArgs) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.err != nil {
		return f.err
	}
	if e, ok := f.entries[key]; ok && a.If.Absent || !ok && a.If.Present || a.If.Version != 0 && e.Version != a.If.Version {
		return node.ErrCondition
	}
	f.last = a
	f.entries[key] = node.Entry{Value: value, Version: max(f.entries[key].Version+1, 9), TTL: a.TTL, Tags: a.Tags}
	return nil
}

func (f *fakeNode) Remove(_ context.Context, key string, revoke bool, ifVersion uint64) (bool, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	e, ok := f.entries[key]
	if ifVersion != 0 && e.Version != ifVersion {
		return false, node.ErrCondition
	}
	delete(f.entries, key)
	if revoke {
		f.revoked = append(f.revoked, key)
	}
	return ok, f.err
}

func (f *fakeNode) Touch(_ context.Context, key string, ttl time.Duration) (bool, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	e, ok := f.entries[key]
	if ok {
		e.TTL = ttl
		f.entries[key] = e
	}
	return ok, f.err
}

func (f *fakeNode) Clear(context.Context) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	clear(f.entries)
	return f.err
}

func (f *fakeNode) Scan(_ context.Context, _ uint64, _ int) ([]string, uint64, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	var keys []string
	for k := range f.entries {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys, 1<<63 + 1, f.err
}

func (f *fakeNode) Len(context.Context) (int, error) { return len(f.entries), f.err }

func (f *fakeNode) RevokeUser(_ context.Context, user string) error {
	f.users = append(f.users, user)
	return f.err
}

func (f *fakeNode) InvalidateTags(_ context.Context, tags ...string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	for key, e := range f.entries {
		if slices.ContainsFunc(e.Tags, func(t string) bool { return slices.Contains(tags, t) }) {
			delete(f.entries, key)
		}
	}
	return f.err
}

func (f *fakeNode) Forget(_ context.Context, name string) error {
	f.forgot = append(f.forgot, name)
	return f.err
}

// serve runs a server over f; open says that it counts as reached from this machine only.
func serve(t *testing.T, f *fakeNode, cfg Config, open bool) (*Server, *httptest.Server) {
	t.Helper()
	cfg.Backend = f
	s := newServer(cfg, open)
	ts := httptest.NewServer(s.http.Handler)
	t.Cleanup(func() {
		s.once.Do(func() { close(s.closing) })
		ts.Close()
		s.events.close()
	})
	return s, ts
}

func dial(ts *httptest.Server, token string) *client.Client {
	return client.New(ts.Listener.Addr().String(), token)
}

func codeOf(err error) string {
	var refused *api.Error
	if errors.As(err, &refused) {
		return refused.Code
	}
	return ""
}

func TestEntriesRoundTripWhateverTheKey(t *testing.T) {
	f := newFakeNode()
	_, ts := serve(t, f, Config{}, true)
	c := dial(ts, "")
	ctx := t.Context()
	for _, key := range []string{"plain", "/", "//", "a/", "/a", "a/b//c", ".", "..", "../x", "sp ace?&=#%2F", "é\xff\x00"} {
		value := []byte("value\x00of\n" + key)
		ttl := 90 * time.Second
		if err := c.Set(ctx, key, value, &ttl, []string{"user:1", "a b"}); err != nil {
			t.Fatalf("set %q: %v", key, err)
		}
		e, err := c.Get(ctx, key)
		if err != nil || !bytes.Equal(e.Value, value) || e.TTL != ttl || e.Version != 9 || !slices.Equal(e.Tags, []string{"user:1", "a b"}) {
			t.Fatalf("get %q: %+v, %v", key, e, err)
		}
		if err := c.Touch(ctx, key, time.Minute); err != nil || f.entries[key].TTL != time.Minute {
			t.Fatalf("touch %q: %v", key, err)
		}
		if existed, err := c.Delete(ctx, key, false); !existed || err != nil {
			t.Fatalf("delete %q: %v, %v", key, existed, err)
		}
		if existed, err := c.Delete(ctx, key, true); existed || err != nil {
			t.Fatalf("second delete of %q: %v, %v", key, existed, err)
		}
		if _, err := c.Get(ctx, key); codeOf(err) != api.CodeAbsent {
			t.Fatalf("get of absent %q: %v", key, err)
		}
		if err := c.Touch(ctx, key, time.Minute); codeOf(err) != api.CodeAbsent {
			t.Fatalf("touch of absent %q: %v", key, err)
		}
	}
	if len(f.revoked) != 11 {
		t.Fatalf("revoked %d keys", len(f.revoked))
	}
}

func TestTTLForms(t *testing.T) {
	f := newFakeNode()
	_, ts := serve(t, f, Config{}, true)
	for _, c := range []struct {
		query, header string
		want          SetArgs
		status        int
	}{
		{"", "", SetArgs{}, 200},
		{"?ttl=30s", "", SetArgs{TTL: 30 * time.Second}, 200},
		{"?ttl=45", "", SetArgs{TTL: 45 * time.Second}, 200},
		{"", "60", SetArgs{TTL: time.Minute}, 200},
		{"?ttl=0", "", SetArgs{NoTTL: true}, 200},
		{"?ttl=-1s", "", SetArgs{}, 400},
		{"?ttl=soon", "", SetArgs{}, 400},
		{"", "1799.964", SetArgs{TTL: 1799964 * time.Millisecond}, 200},
		{"", "0.000", SetArgs{NoTTL: true}, 200},
		{"", "1e-15", SetArgs{TTL: 1}, 200},
		{"", "-0.5", SetArgs{}, 400},
		{"", "NaN", SetArgs{}, 400},
		{"", "Inf", SetArgs{}, 400},
		{"", "4294967296", SetArgs{}, 400},
	} {
		f.last = SetArgs{}
		req, _ := http.NewRequest("PUT", ts.URL+"/api/v1/entries/k"+c.query, strings.NewReader("v"))
		if c.header != "" {
			req.Header.Set(api.HeaderTTL, c.header)
		}
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != c.status || f.last.TTL != c.want.TTL || f.last.NoTTL != c.want.NoTTL {
			t.Errorf("%q %q: status %d, %+v", c.query, c.header, resp.StatusCode, f.last)
		}
	}
}

// The time to live that GET gives can be given to PUT, also just before its end.
func TestTTLOfGetIsTakenByPut(t *testing.T) {
	f := newFakeNode()
	_, ts := serve(t, f, Config{}, true)
	for given, want := range map[time.Duration]time.Duration{
		1799*time.Second + 964123*time.Microsecond: 1799*time.Second + 964*time.Millisecond, 5: time.Millisecond, time.Hour: time.Hour, 0: 0,
	} {
		f.entries["k"] = node.Entry{Value: []byte("v"), TTL: given}
		got, err := http.Get(ts.URL + "/api/v1/entries/k")
		if err != nil {
			t.Fatal(err)
		}
		got.Body.Close()
		req, _ := http.NewRequest(http.MethodPut, ts.URL+"/api/v1/entries/k", strings.NewReader("w"))
		if ttl := got.Header.Get(api.HeaderTTL); ttl != "" {
			req.Header.Set(api.HeaderTTL, ttl)
		}
		put, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		put.Body.Close()
		if put.StatusCode != http.StatusOK || f.last.TTL != want || f.last.NoTTL {
			t.Errorf("%v came as %q: status %d, %+v", given, got.Header.Get(api.HeaderTTL), put.StatusCode, f.last)
		}
	}
}

func TestReadsWaitForCertainty(t *testing.T) {
	f := newFakeNode()
	f.entries["k"] = node.Entry{Value: []byte("v")}
	f.unsure = 2
	_, ts := serve(t, f, Config{}, true)
	if e, err := dial(ts, "").Get(t.Context(), "k"); err != nil || string(e.Value) != "v" {
		t.Fatalf("%+v, %v", e, err)
	}
}

func TestErrorsHaveCodes(t *testing.T) {
	f := newFakeNode()
	_, ts := serve(t, f, Config{}, true)
	for err, code := range map[error]string{
		node.ErrUnavailable: api.CodeUnavailable, node.ErrUnconfirmed: api.CodeUnconfirmed, node.ErrTooLarge: api.CodeTooLarge,
		node.ErrInvalid: api.CodeInvalid, node.ErrHashed: api.CodeHashed, node.ErrRevoked: api.CodeRevoked, node.ErrOverload: api.CodeOverload,
		node.ErrClosed: api.CodeClosed, errors.New("secret-key failed"): api.CodeInternal,
	} {
		f.err = err
		got := dial(ts, "").Set(t.Context(), "secret-key", nil, nil, nil)
		if codeOf(got) != code || strings.Contains(got.Error(), "secret") {
			t.Errorf("%v became %v", err, got)
		}
	}
}

func TestTooLargeAValueIsRefused(t *testing.T) {
	_, ts := serve(t, newFakeNode(), Config{MaxValueBytes: 10}, true)
	err := dial(ts, "").Set(t.Context(), "k", make([]byte, 11), nil, nil)
	if codeOf(err) != api.CodeTooLarge || !strings.Contains(err.Error(), "more than 10 bytes") {
		t.Fatalf("got %v", err)
	}
	if err := dial(ts, "").Set(t.Context(), "k", make([]byte, 10), nil, nil); err != nil {
		t.Fatalf("got %v", err)
	}
}

func TestGuards(t *testing.T) {
	request := func(ts *httptest.Server, method, path string, header map[string]string) int {
		t.Helper()
		req, err := http.NewRequest(method, ts.URL+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		for k, v := range header {
			if k == "Host" {
				req.Host = v
			}
			req.Header.Set(k, v)
		}
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		return resp.StatusCode
	}
	bearer := map[string]string{"Authorization": "Bearer s3cret"}
	for _, c := range []struct {
		about        string
		token        string
		open         bool
		method, path string
		header       map[string]string
		want         int
	}{
		{"loopback, no token", "", true, "DELETE", "/api/v1/entries?all=true", nil, 200},
		{"a name that resolves to here", "", true, "GET", "/api/v1/status", map[string]string{"Host": "evil.example:7480"}, 403},
		{"localhost", "", true, "GET", "/api/v1/status", map[string]string{"Host": "LocalHost:7480"}, 200},
		{"IPv6 loopback", "", true, "GET", "/", map[string]string{"Host": "[::1]:7480"}, 200},
		{"another site's form", "", true, "POST", "/api/v1/forget?name=x", map[string]string{"Sec-Fetch-Site": "cross-site"}, 403},
		{"another origin", "", true, "DELETE", "/api/v1/entries?all=true", map[string]string{"Origin": "http://evil.example"}, 403},
		{"token missing", "s3cret", true, "DELETE", "/api/v1/entries", nil, 401},
		{"token wrong", "s3cret", true, "GET", "/api/v1/entries/k", map[string]string{"Authorization": "Bearer s3creT"}, 401},
		{"token right", "s3cret", true, "DELETE", "/api/v1/entries?all=true", bearer, 200},
		{"token right, its scheme in small letters", "s3cret", true, "GET", "/api/v1/entries", map[string]string{"Authorization": "bearer s3cret"}, 200},
		{"token of another scheme", "s3cret", true, "GET", "/api/v1/entries", map[string]string{"Authorization": "Basic s3cret"}, 401},
		{"token without a scheme", "s3cret", true, "GET", "/api/v1/entries", map[string]string{"Authorization": "s3cret"}, 401},
		{"token not needed to look", "s3cret", true, "GET", "/api/v1/members", nil, 200},
		{"outside, no token: change", "", false, "DELETE", "/api/v1/entries", nil, 403},
		{"outside, no token: keys", "", false, "GET", "/api/v1/entries", nil, 403},
		{"outside, no token: value", "", false, "GET", "/api/v1/entries/k", nil, 403},
		{"outside, probe", "", false, "GET", "/readyz", map[string]string{"Host": "10.1.2.3:7480"}, 200},
		{"outside, token", "s3cret", false, "POST", "/api/v1/revoke-user?user=7", bearer, 200},
		{"wrong method", "", true, "POST", "/api/v1/status", nil, 405},
		{"no such page", "", true, "GET", "/nothing", nil, 404},
		{"bad number", "", true, "GET", "/api/v1/entries?cursor=x", nil, 400},
		{"invalidation without tags", "", true, "POST", "/api/v1/invalidate-tags", nil, 400},
		{"invalidation without token", "s3cret", true, "POST", "/api/v1/invalidate-tags?tag=a", nil, 401},
		{"touch without ttl", "", true, "PATCH", "/api/v1/entries/k", nil, 400},
	} {
		_, ts := serve(t, newFakeNode(), Config{Token: c.token}, c.open)
		if got := request(ts, c.method, c.path, c.header); got != c.want {
			t.Errorf("%s: status %d, want %d", c.about, got, c.want)
		}
	}
}

func TestInvalidateTags(t *testing.T) {
	f := newFakeNode()
	f.entries = map[string]node.Entry{"a": {Tags: []string{"x"}}, "b": {Tags: []string{"y&1", "z"}}, "c": {Tags: []string{"z"}}, "d": {}}
	_, ts := serve(t, f, Config{}, true)
	post := func(query string) int {
		resp, err := ts.Client().Post(ts.URL+"/api/v1/invalidate-tags"+query, "", nil)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		return resp.StatusCode
	}
	if got := post("?tag=x&tag=y%261"); got != 200 {
		t.Fatalf("status %d", got)
	}
	if keys, _, _ := f.Scan(t.Context(), 0, 0); !slices.Equal(keys, []string{"c", "d"}) {
		t.Errorf("left: %q, want c and d", keys)
	}
	if err := dial(ts, "").InvalidateTags(t.Context(), "z", "none"); err != nil {
		t.Error(err)
	}
	if keys, _, _ := f.Scan(t.Context(), 0, 0); !slices.Equal(keys, []string{"d"}) {
		t.Errorf("left: %q, want d", keys)
	}
	f.err = node.ErrUnconfirmed
	if got := post("?tag=x"); got != 504 {
		t.Errorf("not confirmed: status %d, want 504", got)
	}
}

func TestClusterViews(t *testing.T) {
	f := newFakeNode()
	_, ts := serve(t, f, Config{About: About{Cluster: "shop", Version: "v9", Replicas: 2}}, true)
	c := dial(ts, "")
	ctx := t.Context()
	if !c.Ready(ctx) {
		t.Error("not ready though in sync")
	}
	f.mu.Lock()
	f.inSync = false
	f.mu.Unlock()
	if c.Ready(ctx) {
		t.Error("ready though not in sync")
	}
	st, err := c.Status(ctx, true)
	if err != nil || st.Name != "n1" || st.View != 4 || st.Stats.Members != 2 || st.Cluster != "shop" || st.TotalEntries == nil {
		t.Errorf("status %+v, %v", st, err)
	}
	m, err := c.Members(ctx)
	if err != nil || len(m.Members) != 2 || m.View != 4 {
		t.Errorf("members %+v, %v", m, err)
	}
	r, err := c.Locate(ctx, "k")
	if err != nil || r.Owner != "n2" || r.Partition != 17 || len(r.Shares) != 2 {
		t.Errorf("ring %+v, %v", r, err)
	}
	if r, err := c.Ring(ctx); err != nil || r.Placement != nil {
		t.Errorf("ring without key %+v, %v", r, err)
	}
	if err := errors.Join(c.RevokeUser(ctx, "u/1"), c.Forget(ctx, "n 3"), c.Clear(ctx)); err != nil {
		t.Error(err)
	}
	if !slices.Equal(f.users, []string{"u/1"}) || !slices.Equal(f.forgot, []string{"n 3"}) {
		t.Errorf("users %q, forgot %q", f.users, f.forgot)
	}
}

func TestForgetSaysWhyNot(t *testing.T) {
	f := newFakeNode()
	_, ts := serve(t, f, Config{}, true)
	f.err = fmt.Errorf("%w: %q is alive", node.ErrInvalid, "n2")
	if err := dial(ts, "").Forget(t.Context(), "n2"); codeOf(err) != api.CodeInvalid || err.Error() != `"n2" is alive` {
		t.Errorf("got %v", err)
	}
	f.err = node.ErrClosed
	if err := dial(ts, "").Forget(t.Context(), "n2"); codeOf(err) != api.CodeClosed {
		t.Errorf("got %v", err)
	}
}

func TestReadinessSaysWhyNot(t *testing.T) {
	f := newFakeNode()
	_, ts := serve(t, f, Config{}, true)
	ready := func() (int, string) { return do(t, http.MethodGet, ts.URL+"/readyz", "") }
	f.inSync = false
	if code, body := ready(); code != 503 || body != "not in sync: no majority of the cluster is within reach\n" {
		t.Errorf("%d %q", code, body)
	}
	f.leaving = true
	if code, body := ready(); code != 503 || body != "leaving: handing over\n" {
		t.Errorf("%d %q", code, body)
	}
	f.other = "silent"
	if code, body := ready(); code != 503 || body != "leaving: no majority of the cluster is within reach to hand over to\n" {
		t.Errorf("%d %q", code, body)
	}
	f.leaving = false
	f.waiting = "2 of the 3 nodes that are expected are there"
	if code, body := ready(); code != 503 || body != "not in sync: in no cluster: "+f.waiting+"\n" {
		t.Errorf("%d %q", code, body)
	}
	f.heldBy = "10.0.0.9:7400"
	if code, body := ready(); code != 503 || !strings.Contains(body, "10.0.0.9:7400, has the name n1") || !strings.Contains(body, "--name") {
		t.Errorf("%d %q", code, body)
	}
}

func TestKeysKeepTheirCursor(t *testing.T) {
	f := newFakeNode()
	f.entries["a"], f.entries["b"] = node.Entry{}, node.Entry{}
	_, ts := serve(t, f, Config{}, true)
	resp, err := http.Get(ts.URL + "/api/v1/entries?count=10")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var keys api.Keys
	if err := json.NewDecoder(resp.Body).Decode(&keys); err != nil || keys.Next != 1<<63+1 || !slices.Equal(keys.Keys, []string{"a", "b"}) {
		t.Fatalf("%+v, %v", keys, err)
	}
	if keys.Bytes != nil {
		t.Errorf("keys that are text are listed twice: %q", keys.Bytes)
	}
}

// Redis clients set keys of any bytes. JSON would show several of them as one.
func TestKeysThatAreNoTextAreTold(t *testing.T) {
	f := newFakeNode()
	want := []string{"a", "\xfe\x00\xfe\n", "\xff\x00\xfe\n"}
	for _, key := range want {
		f.entries[key] = node.Entry{Value: []byte("v")}
	}
	_, ts := serve(t, f, Config{}, true)
	var keys api.Keys
	_, text := do(t, "GET", ts.URL+"/api/v1/entries", "")
	if err := json.Unmarshal([]byte(text), &keys); err != nil || len(keys.Keys) != len(want) || len(keys.Bytes) != len(want) {
		t.Fatalf("%s, %v", text, err)
	}
	for i, key := range keys.Bytes {
		if string(key) != want[i] {
			t.Errorf("%q, want %q", key, want[i])
		}
		if status, _ := do(t, "DELETE", ts.URL+"/api/v1/entries/"+url.PathEscape(string(key)), ""); status != http.StatusOK || f.entries[want[i]].Value != nil {
			t.Errorf("DELETE of %q: %d", key, status)
		}
	}
}

func TestEventsAreListedAndStreamed(t *testing.T) {
	f := newFakeNode()
	s, ts := serve(t, f, Config{}, true)
	f.events <- node.Event{Kind: "joined", Member: "n2", View: 3, Text: "n2 joined"}
	req, _ := http.NewRequestWithContext(t.Context(), "GET", ts.URL+"/api/v1/events", nil)
	req.Header.Set("Accept", "text/event-stream")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	f.events <- node.Event{Kind: "view", View: 4}
	var got strings.Builder
	buf := make([]byte, 1024)
	for !strings.Contains(got.String(), "id: 2\n") {
		n, err := resp.Body.Read(buf)
		if err != nil {
			t.Fatalf("stream ended: %v after %q", err, got.String())
		}
		got.Write(buf[:n])
	}
	if !strings.Contains(got.String(), `"kind":"joined"`) {
		t.Fatalf("got %q", got.String())
	}
	events, err := dial(ts, "").Events(t.Context(), 1)
	if err != nil || len(events) != 1 || events[0].Seq != 2 || events[0].Kind != "view" {
		t.Fatalf("%+v, %v", events, err)
	}
	s.once.Do(func() { close(s.closing) })
	if _, err := io.ReadAll(resp.Body); err != nil {
		t.Fatalf("the stream did not end cleanly: %v", err)
	}
}

// Streams need no token, so they must not be held for ever. A client that comes back gets what it has not seen.
func TestAStreamEndsAndIsTakenUpAgain(t *testing.T) {
	f := newFakeNode()
	s, ts := serve(t, f, Config{}, true)
	s.stream = time.Millisecond
	stream := func(last string) string {
		t.Helper()
		req, err := http.NewRequestWithContext(t.Context(), "GET", ts.URL+"/api/v1/events", nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Accept", "text/event-stream")
		req.Header.Set("Last-Event-ID", last)
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		all, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		return string(all)
	}
	for _, kind := range []string{"view", "ready"} {
		f.events <- node.Event{Kind: kind}
	}
	for list, _ := s.events.after(0); len(list) < 2; list, _ = s.events.after(0) {
		time.Sleep(time.Millisecond)
	}
	if got := stream(""); !strings.Contains(got, "id: 1\n") || !strings.Contains(got, "id: 2\n") {
		t.Errorf("got %q", got)
	}
	if got := stream("1"); strings.Contains(got, "id: 1\n") || !strings.Contains(got, "id: 2\n") {
		t.Errorf("got %q", got)
	}
}

// Colours stand for kinds that a node has, and for all of them.
func TestThePageKnowsTheKindsOfEvents(t *testing.T) {
	_, line, _ := strings.Cut(string(pageHTML), "const kinds = {")
	line, _, _ = strings.Cut(line, "}")
	var got []string
	for _, part := range strings.Split(line, ",") {
		kind, _, _ := strings.Cut(part, ":")
		got = append(got, strings.Trim(strings.TrimSpace(kind), `"`))
	}
	want := []string{"forgotten", "given-up", "left", "lost-majority", "name-taken", "ready", "refused", "regained", "started-over", "view"}
	if slices.Sort(got); !slices.Equal(got, want) {
		t.Errorf("the page knows %q, a node has %q", got, want)
	}
}

func TestPageIsSelfContainedAndEscapes(t *testing.T) {
	_, ts := serve(t, newFakeNode(), Config{}, true)
	resp, err := http.Get(ts.URL + "/")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	page := string(body)
	for _, banned := range []string{"innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", "src=", "@import", `href="http`} {
		if strings.Contains(page, banned) {
			t.Errorf("the page contains %q", banned)
		}
	}
	policy := resp.Header.Get("Content-Security-Policy")
	if !strings.Contains(policy, "default-src 'none'") || !strings.Contains(policy, "connect-src 'self'") {
		t.Errorf("policy %q", policy)
	}
	if !strings.Contains(page, "/api/v1/status") {
		t.Error("the page does not ask for the status")
	}
}

func TestListenAndClose(t *testing.T) {
	s, err := Listen(Config{Addr: "127.0.0.1:0", Backend: newFakeNode()})
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- s.Serve() }()
	c := client.New(s.Addr(), "")
	if _, err := c.Status(t.Context(), false); err != nil {
		t.Error(err)
	}
	c.Close()
	if err := s.Close(t.Context()); err != nil {
		t.Error(err)
	}
	if err := <-served; err != nil {
		t.Error(err)
	}
	if _, err := c.Get(t.Context(), "hidden"); err == nil || strings.Contains(err.Error(), "hidden") {
		t.Errorf("got %v", err)
	}
	var u *url.Error
	if _, err := c.Get(t.Context(), "hidden"); errors.As(err, &u) {
		t.Error("the error holds the address of the request")
	}
}
