package admin

import (
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/huddle-cache/huddle/node"
)

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
