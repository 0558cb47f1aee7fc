package protocol

import (
	"strings"
	"testing"
)

// What cannot be forgotten is refused, and the reason says what can be done.
func TestForgetIsForLostMembers(t *testing.T) {
	b := newBench(t, "")
	refused := func(name, why string) {
		t.Helper()
		if err := b.m.Forget(name); err == nil || !strings.Contains(err.Error(), why) {
			t.Errorf("forget %s: %v, want %q", name, err, why)
		}
	}
	refused("c", "in no cluster")
	b.enter(2, 3)
	b.confirm(2, 3)
	b.pass(sec, 2, 3)
	refused("d", "its members are a, b, c")
	refused("c", "is alive, at c")
	refused("a", "the node that was asked")
	b.m.Down(2, 2)
	b.m.Down(3, 3)
	b.pass(b.m.cfg.ExpelAfter + sec)
	if err := b.m.Forget("c"); err != nil {
		t.Errorf("forget a lost member: %v", err)
	}
	if last := b.events[len(b.events)-1]; !strings.HasPrefix(last, "c, which is lost, is no longer counted") {
		t.Errorf("the last event is %q", last)
	}
	if b.pass(b.m.cfg.ExpelAfter); b.m.lay == nil {
		t.Fatal("started over though b may be alive, of which nobody has said that it is lost")
	}
	if err := b.m.Forget("b"); err != nil {
		t.Errorf("forget the other: %v", err)
	}
	if b.pass(b.m.cfg.ExpelAfter); b.m.lay != nil {
		t.Error("still in the view of the lost ones")
	}
}

// A member that was forgotten and has come back counts again: the next loss of the majority is no request to start over.
func TestWhoComesBackIsNotForgotten(t *testing.T) {
	b := newBench(t, "")
	b.enter(2, 4)
	b.confirm(2, 3, 4)
	b.m.Down(4, 4)
	b.pass(b.m.cfg.ExpelAfter+sec, 2, 3)
	if err := b.m.Forget("d"); err != nil {
		t.Fatal(err)
	}
	b.m.Up(benchMembers[3], 4)
	b.pass(sec, 2, 3, 4)
	b.m.Down(3, 3)
	b.m.Down(4, 4)
	if b.pass(5*b.m.cfg.ExpelAfter, 2); b.m.lay == nil {
		t.Error("started over without a majority, since d had once been forgotten")
	}
}
