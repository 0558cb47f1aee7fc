package admin

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/huddle-cache/huddle/cmd/internal/api"
)

// keptEvents is how many events are kept to be listed.
const keptEvents = 200

// eventLog keeps the last events of a node and wakes those who wait for more.
type eventLog struct {
	cancel func()
	ended  chan struct{}

	mu     sync.Mutex
	events []api.Event
	seq    uint64
	more   chan struct{} // closed and replaced with every event
}

func newEventLog(b Backend) *eventLog {
	ch, cancel := b.Subscribe(keptEvents)
	l := &eventLog{cancel: cancel, ended: make(chan struct{}), more: make(chan struct{})}
	go func() {
		defer close(l.ended)
		for e := range ch {
			l.mu.Lock()
			l.seq++
			l.events = append(l.events, api.Event{Seq: l.seq, Event: e})
			if len(l.events) > keptEvents {
				l.events = append(l.events[:0], l.events[len(l.events)-keptEvents:]...)
			}
			close(l.more)
			l.more = make(chan struct{})
			l.mu.Unlock()
		}
	}()
	return l
}

// after returns the kept events numbered above seq, and a channel that is closed when there are more.
func (l *eventLog) after(seq uint64) ([]api.Event, <-chan struct{}) {
	l.mu.Lock()
	defer l.mu.Unlock()
	out := []api.Event{}
	for _, e := range l.events {
		if e.Seq > seq {
			out = append(out, e)
		}
	}
	return out, l.more
}

func (l *eventLog) close() {
	l.cancel()
	<-l.ended
}

// listEvents answers with the list of events, or, to Accept: text/event-stream, with a stream of them.
func (s *Server) listEvents(w http.ResponseWriter, r *http.Request) {
	seq, err := requestUint(r, "after", 0)
	if err != nil {
		invalid(w, err.Error())
		return
	}
	if strings.Contains(r.Header.Get("Accept"), "text/event-stream") {
		// A browser that opens a stream anew says so what it has seen.
		if last, err := strconv.ParseUint(r.Header.Get("Last-Event-ID"), 10, 64); err == nil {
			seq = max(seq, last)
		}
		s.streamEvents(w, r, seq)
		return
	}
	events, _ := s.events.after(seq)
	answer(w, http.StatusOK, api.Events{Events: events})
}

func (s *Server) streamEvents(w http.ResponseWriter, r *http.Request, seq uint64) {
	if s.streams.Add(1) > maxRunning {
		s.streams.Add(-1)
		fail(w, http.StatusServiceUnavailable, api.CodeOverload, "too many streams of events are open on this node")
		return
	}
	defer s.streams.Add(-1)
	rc := http.NewResponseController(w)
	w.Header().Set("Content-Type", "text/event-stream")
	w.Header().Set("Cache-Control", "no-store")
	const beat = 15 * time.Second
	ticker := time.NewTicker(beat)
	defer ticker.Stop()
	over := time.NewTimer(s.stream)
	defer over.Stop()
	for {
		events, more := s.events.after(seq)
		// The stream outlives the server's write timeout; a client that does not read is still cut off.
		if err := rc.SetWriteDeadline(time.Now().Add(2 * beat)); err != nil {
			return
		}
		for _, e := range events {
			body, err := json.Marshal(e)
			if err != nil {
				return
			}
			if _, err := fmt.Fprintf(w, "id: %d\ndata: %s\n\n", e.Seq, body); err != nil {
				return
			}
			seq = e.Seq
		}
		if len(events) == 0 {
			if _, err := fmt.Fprint(w, ":\n\n"); err != nil {
				return
			}
		}
		if err := rc.Flush(); err != nil {
			return
		}
		select {
		case <-r.Context().Done():
			return
		case <-s.closing:
			return
		case <-over.C:
			return
		case <-more:
		case <-ticker.C:
		}
	}
}
