package admin

import (
	"net/http"
	"net/http/httptest"
	"testing"
)

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
		{"IPv4 loopback as IPv6", "", true, "GET", "/", map[string]string{"Host": "[::ffff:127.0.0.1]:7480"}, 200},
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
		_, ts := serve(t, newFakeNode(), Config{CheckToken: only(c.token)}, c.open)
		if got := request(ts, c.method, c.path, c.header); got != c.want {
			t.Errorf("%s: status %d, want %d", c.about, got, c.want)
		}
	}
}

// No answer may be shown in the frame of another site, whose clicks would be the operator's.
func TestAnswersStayOutOfFrames(t *testing.T) {
	_, ts := serve(t, newFakeNode(), Config{}, true)
	for _, path := range []string{"/", "/api/v1/entries", "/nothing"} {
		resp, err := http.Get(ts.URL + path)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		for name, want := range map[string]string{"X-Frame-Options": "DENY", "X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer"} {
			if got := resp.Header.Get(name); got != want {
				t.Errorf("%s: %s is %q, want %q", path, name, got, want)
			}
		}
	}
}
