package metrics

import (
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/huddle-cache/huddle/node"
)

type source struct{}

func (source) Stats() node.Stats {
	return node.Stats{View: 7, Members: 2, InSync: true, Hits: 41, GivenUp: 3, Bytes: 2048}
}

func (source) Members() []node.Member {
	return []node.Member{{Name: "a", State: "member", Share: 0.25}, {Name: "a", State: "silent"}, {Name: "b\xff", State: "member", Share: 0.75}}
}

func TestScrape(t *testing.T) {
	w := httptest.NewRecorder()
	Handler(source{}, "v1").ServeHTTP(w, httptest.NewRequest("GET", "/metrics", nil))
	body := w.Body.String()
	for _, want := range []string{
		"huddle_view_number 7\n", "huddle_in_sync 1\n", "huddle_acting 0\n", "huddle_hits_total 41\n", "huddle_deletions_given_up_total 3\n", "huddle_memory_used_bytes 2048\n",
		`huddle_member_share_ratio{member="a",state="member"} 0.25`, `huddle_build_info{version="v1"} 1`, "go_goroutines ", "process_",
	} {
		if !strings.Contains(body, want) {
			t.Errorf("the scrape lacks %q", want)
		}
	}
	if w.Code != 200 {
		t.Errorf("status %d", w.Code)
	}
}

func TestNamesFollowTheConventions(t *testing.T) {
	c := newCollector(source{}, "v1")
	problems, err := testutil.CollectAndLint(c)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		t.Errorf("%s: %s", p.Metric, p.Text)
	}
}
