package transport

import (
	"bytes"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/huddle-cache/huddle/transport/peerpb"
)

// The pause between two attempts is not cut short: a link that breaks again and again pokes itself each time.
func TestAPauseIsNotCutShort(t *testing.T) {
	tr, _ := node(t, 1, nil)
	l := newLink(tr, &peerpb.Member{Name: "node-2", Id: 2, Addr: "127.0.0.1:1"})
	l.poke()
	if ok := l.wait(time.After(time.Millisecond)); !ok || len(l.wake) != 1 {
		t.Errorf("the link goes on: %v; it is to look: %v", ok, len(l.wake) == 1)
	}
	if ok := l.wait(nil); !ok || len(l.wake) != 0 {
		t.Errorf("at rest: goes on %v; it is to look: %v", ok, len(l.wake) == 1)
	}
	l.cancel()
	if l.wait(nil) || l.wait(make(chan time.Time)) {
		t.Error("a link that is over goes on")
	}
}

// A refusal is in the log once, however often it is tried again, and once more when its reason is another; the handler hears of each. Nobody hears of a link
// that is over, nor that this node has become another while it introduced itself.
func TestWhatALinkReports(t *testing.T) {
	var log bytes.Buffer
	tr, r := node(t, 1, func(cfg *Config) { cfg.Logger = slog.New(slog.NewTextHandler(&log, nil)) })
	l := newLink(tr, &peerpb.Member{Name: "node-2", Id: 2, Addr: "127.0.0.1:1"})
	told := ""
	refused := func(reason string) error { return &RefusedError{Reason: reason} }
	for _, err := range []error{refused("one"), refused("one"), ErrNewSelf, refused("another"), errors.New("no answer")} {
		if !l.report(err, &told) {
			t.Errorf("%v: the link is over", err)
		}
	}
	l.cancel()
	if l.report(refused("late"), &told) {
		t.Error("a link that is over goes on")
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.unreachable) != 4 {
		t.Errorf("the handler hears of %v", r.unreachable)
	}
	if n := strings.Count(log.String(), "refuses this node"); n != 2 {
		t.Errorf("%d lines:\n%s", n, log.String())
	}
}

// Where a member is to be found may change, also while nobody is where it was; one that is not wanted any more is not dialled.
func TestWhomALinkIsFor(t *testing.T) {
	a, ra := node(t, 1, nil)
	b, _ := node(t, 2, nil)
	for _, nobody := range []*peerpb.Member{{Name: "nobody", Addr: b.Addr()}, a.Self()} {
		a.Connect(nobody)
	}
	if len(a.links) != 0 {
		t.Errorf("links %v", a.links)
	}
	a.Connect(&peerpb.Member{Name: "node-2", Id: 2, Addr: "127.0.0.1:1"})
	if err := ra.anError(); !Gone(err) {
		t.Fatal(err)
	}
	a.Connect(b.Self())
	ra.session(2)
	l := a.links[2]
	a.Disconnect(2)
	if l.ctx.Err() == nil || len(a.links) != 0 {
		t.Errorf("the link is over: %v; links %v", l.ctx.Err() != nil, a.links)
	}
}

// Who says again who it is loses no session, and may use its memory again; who says what cannot be stays what it was.
func TestTheSameSelf(t *testing.T) {
	a, _, ra, rb := pair(t, nil)
	session, at := ra.session(2), rb.session(1)
	self := &peerpb.Member{Name: "node-1", Id: 1}
	a.SetSelf(self)
	a.SetSelf(&peerpb.Member{Name: "node-1"})
	if !a.Send(2, session, message(1, 1)) {
		t.Error("the session has ended")
	}
	rb.ids(at, 1)
	self = &peerpb.Member{Name: "node-1", Id: 9}
	a.SetSelf(self)
	if self.Id = 10; a.Self().GetId() != 9 {
		t.Errorf("self is %v", a.Self())
	}
}

// A session that was broken off before it was told of is not told of, and takes nothing more; the one after it need not wait.
func TestASessionThatIsBrokenAtOnce(t *testing.T) {
	tr, r := node(t, 1, nil)
	s, err := tr.register(tr.Self(), &peerpb.Member{Name: "node-2", Id: 2}, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	s.fail(ErrReplaced)
	if tr.Send(2, s.number, message(1, 1)) {
		t.Error("it takes a message")
	}
	s.serve()
	<-s.done
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.up) != 0 || len(r.ended) != 0 {
		t.Errorf("up %v, ended %v", r.up, r.ended)
	}
}
