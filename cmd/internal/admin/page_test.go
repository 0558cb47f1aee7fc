package admin

import (
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
)

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
