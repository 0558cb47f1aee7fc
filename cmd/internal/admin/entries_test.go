package admin

import (
	"bytes"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/huddle-cache/huddle/cmd/internal/api"
	"github.com/huddle-cache/huddle/node"
)

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

// Each operation that failed is answered as such: who is told that a user is logged out, or all is gone, does not look again.
func TestEachFailureIsAnswered(t *testing.T) {
	f := newFakeNode()
	_, ts := serve(t, f, Config{}, true)
	f.err = node.ErrUnconfirmed
	for _, what := range []string{
		"GET entries", "DELETE entries?all=true", "GET entries/k", "PUT entries/k", "DELETE entries/k", "DELETE entries/k?revoke=true",
		"PATCH entries/k?ttl=1m", "POST revoke-user?user=7", "POST invalidate-tags?tag=a", "POST forget?name=n2",
	} {
		method, path, _ := strings.Cut(what, " ")
		if status, text := do(t, method, ts.URL+"/api/v1/"+path, ""); status < 500 || !strings.Contains(text, api.CodeUnconfirmed) {
			t.Errorf("%s, which failed, gives %d: %s", what, status, text)
		}
	}
}
