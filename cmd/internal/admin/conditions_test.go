package admin

import (
	"net/http"
	"strings"
	"testing"
)

// A client that read an entry changes just that one, or nothing; and a condition that is not understood is refused, for ignored it would
// write what the client had forbidden.
func TestWritesOnCondition(t *testing.T) {
	const path = "/api/v1/entries/k"
	_, ts := serve(t, newFakeNode(), Config{}, true)
	step := func(method, header, value string, want int) {
		t.Helper()
		if status, text := do(t, method, ts.URL+path, "v", header, value); status != want {
			t.Errorf("%s, %s: %s gives %d, want %d: %s", method, header, value, status, want, text)
		}
	}
	step("PUT", "If-Match", "*", http.StatusPreconditionFailed)
	step("PUT", "If-Match", `"1"`, http.StatusPreconditionFailed)
	step("DELETE", "If-Match", "*", http.StatusPreconditionFailed)
	step("PUT", "If-None-Match", "*", http.StatusOK)
	step("PUT", "If-None-Match", "*", http.StatusPreconditionFailed)

	resp, err := http.Get(ts.URL + path)
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	tag := resp.Header.Get("ETag")
	if version := resp.Header.Get("Huddle-Version"); tag != `"`+version+`"` || version == "" {
		t.Fatalf("ETag %s of version %s", tag, version)
	}
	step("PUT", "If-Match", tag, http.StatusOK)
	step("PUT", "If-Match", tag, http.StatusPreconditionFailed)
	step("DELETE", "If-Match", tag, http.StatusPreconditionFailed)
	step("PUT", "If-Match", "*", http.StatusOK)

	for _, bad := range []string{strings.Trim(tag, `"`), "W/" + tag, `"1", "2"`, `""`, `"0"`, `"x"`, `"`, ""} {
		step("PUT", "If-Match", bad, http.StatusBadRequest)
		step("DELETE", "If-Match", bad, http.StatusBadRequest)
	}
	for _, method := range []string{"PUT", "DELETE"} {
		if status, text := do(t, method, ts.URL+path, "v", "If-Match", "*", "If-None-Match", "*"); status != http.StatusBadRequest {
			t.Errorf("%s with two conditions gives %d: %s", method, status, text)
		}
	}
	step("PUT", "If-None-Match", tag, http.StatusBadRequest)
	step("DELETE", "If-None-Match", "*", http.StatusBadRequest)
	step("DELETE", "If-Match", "*", http.StatusOK)
	step("GET", "Accept", "*/*", http.StatusNotFound)
}

// Where there are no conditions, one that is given is refused, and nothing done.
func TestChangesWithoutConditions(t *testing.T) {
	n := newFakeNode()
	_, ts := serve(t, n, Config{}, true)
	if status, text := do(t, "PUT", ts.URL+"/api/v1/entries/k?tag=a", "v"); status != http.StatusOK {
		t.Fatal(status, text)
	}
	for _, change := range []string{
		"PATCH /api/v1/entries/k?ttl=1ms",
		"POST /api/v1/entries/k?ttl=1ms",
		"DELETE /api/v1/entries?all=true",
		"POST /api/v1/revoke-user?user=7",
		"POST /api/v1/invalidate-tags?tag=a",
		"POST /api/v1/forget?name=b",
	} {
		method, path, _ := strings.Cut(change, " ")
		for header, value := range map[string]string{"If-Match": `"1"`, "If-None-Match": "*"} {
			if status, text := do(t, method, ts.URL+path, "", header, value); status != http.StatusBadRequest || !strings.Contains(text, "If-Match") {
				t.Errorf("%s with %s gives %d: %s", change, header, status, text)
			}
		}
	}
	if status, text := do(t, "GET", ts.URL+"/api/v1/entries/k", ""); status != http.StatusOK || text != "v" {
		t.Errorf("the entry is %d %s after changes that were refused", status, text)
	}
}
