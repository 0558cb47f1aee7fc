package admin

import (
	"io"
	"net/http"
	"os"
	"strings"
	"testing"
)

// What the interface tells of itself is what it has, and the comment of this package says the same.
func TestTheInterfaceIsDescribed(t *testing.T) {
	s, ts := serve(t, newFakeNode(), Config{CheckToken: only("s3cret")}, true)
	resp, err := http.Get(ts.URL + "/api/v1/")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	if resp.StatusCode != http.StatusOK || !strings.HasPrefix(resp.Header.Get("Content-Type"), "text/plain") {
		t.Errorf("status %d, %s", resp.StatusCode, resp.Header.Get("Content-Type"))
	}
	for _, want := range []string{"* POST   /api/v1/invalidate-tags  tag=TAG...", "  GET    /readyz ", "* PUT    /api/v1/entries/KEY ", "Authorization: Bearer"} {
		if !strings.Contains(string(body), want) {
			t.Errorf("%q is not in\n%s", want, body)
		}
	}
	var comment strings.Builder
	for line := range strings.Lines(describe(s.routes())) {
		comment.WriteString(strings.TrimRight("//\t"+line, "\t\n") + "\n")
	}
	source, err := os.ReadFile("doc.go")
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(source), comment.String()) {
		t.Errorf("doc.go does not hold this:\n%s", comment.String())
	}
}

// What asks for the token is marked so.
func TestTheTokenIsAskedWhereTheListSaysSo(t *testing.T) {
	s, ts := serve(t, newFakeNode(), Config{CheckToken: only("s3cret")}, true)
	for _, r := range s.routes() {
		method, path, _ := strings.Cut(r.pattern, " ")
		path = strings.NewReplacer("{$}", "", "{key...}", "k").Replace(path)
		req, err := http.NewRequestWithContext(t.Context(), method, ts.URL+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if refused := resp.StatusCode == http.StatusUnauthorized; refused != r.token {
			t.Errorf("%s: status %d", r.pattern, resp.StatusCode)
		}
	}
}
