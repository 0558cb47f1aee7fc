package demo

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/huddle-cache/huddle/cmd/internal/api"
	"github.com/huddle-cache/huddle/cmd/internal/cluster"
	"github.com/huddle-cache/huddle/cmd/internal/term"
)

func replicas(healthy ...bool) *balancer {
	b := &balancer{}
	for _, h := range healthy {
		r := &replica{node: &cluster.Node{Name: "n"}}
		r.healthy.Store(h)
		b.replicas = append(b.replicas, r)
	}
	return b
}

func TestTheBalancerAvoidsTheSickAndTheOneThatFailed(t *testing.T) {
	b := replicas(true, false, true)
	seen := map[*replica]int{}
	for range 200 {
		seen[b.pick(nil)]++
	}
	if seen[b.replicas[1]] != 0 || seen[b.replicas[0]] == 0 || seen[b.replicas[2]] == 0 {
		t.Errorf("picked %v", seen)
	}
	for range 50 {
		if b.pick(b.replicas[0]) != b.replicas[2] {
			t.Fatal("the one that failed was picked again though another is healthy")
		}
	}
	one := replicas(true)
	if one.pick(one.replicas[0]) != one.replicas[0] {
		t.Error("the only one was not picked again")
	}
	if none := replicas(false, false); none.pick(nil) == nil {
		t.Error("with all sick, none was picked")
	}
}

func TestARequestGoesToAnotherReplicaWhenOneFails(t *testing.T) {
	b := replicas(true, true)
	bad := b.replicas[0]
	for range 20 {
		r, err := b.send(t.Context(), nil, func(_ context.Context, r *replica) (string, bool, error) {
			if r == bad {
				return "", false, errors.New("down")
			}
			return "v", true, nil
		})
		if err != nil || r.value != "v" || r.by == bad {
			t.Fatalf("%+v, %v", r, err)
		}
	}
	if b.retries.Load() == 0 {
		t.Error("no retry was counted")
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := b.send(ended, nil, func(context.Context, *replica) (string, bool, error) { return "", false, errors.New("down") })
	if !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}

func TestMeasureTellsWhatAKillCost(t *testing.T) {
	s := newShop(replicas(true))
	s.measure(time.Second)
	if s.tally.slowAfterKill.Load() != 0 {
		t.Error("a slow read before any kill was blamed on it")
	}
	s.tally.killed.Store(time.Now().Add(-2 * time.Second).UnixNano())
	s.measure(time.Millisecond)
	s.measure(slow)
	if s.tally.slowAfterKill.Load() != 1 || time.Duration(s.tally.longestRead.Load()) != slow {
		t.Errorf("%d slow, longest %v", s.tally.slowAfterKill.Load(), time.Duration(s.tally.longestRead.Load()))
	}
	if after := time.Duration(s.tally.longestOutage.Load()); after < 2*time.Second || after > 10*time.Second {
		t.Errorf("the slow read ended %v after the kill", after)
	}
	s.tally.healed.Store(time.Now().Add(-time.Second).UnixNano())
	s.measure(slow)
	if s.tally.slowAfterKill.Load() != 1 {
		t.Error("a slow read that began after the others had settled was blamed on the kill")
	}
	s.tally.healed.Store(0)
	s.tally.killed.Store(time.Now().Add(-time.Minute).UnixNano())
	s.measure(time.Second)
	if s.tally.slowAfterKill.Load() != 1 {
		t.Error("a slow read long after the kill was blamed on it")
	}
	if s.tally.reads.Load() != 5 {
		t.Errorf("%d reads", s.tally.reads.Load())
	}
}

func TestAReplicaIsCalledWhatItIs(t *testing.T) {
	status := func(view uint64, acting bool) (st api.Status) {
		st.View, st.Acting = view, acting
		return st
	}
	for _, c := range []struct {
		row  row
		want string
	}{
		{row{}, "no answer"},
		{row{answers: true}, "joining"},
		{row{answers: true, status: status(4, false)}, "waiting"},
		{row{answers: true, status: status(4, true)}, "catching up"},
	} {
		if got := c.row.outOfSync(); got != c.want {
			t.Errorf("%+v is %q, want %q", c.row, got, c.want)
		}
	}
	if got := (row{p99: time.Second}).timed(0); got != "–" {
		t.Errorf("without a read: %q", got)
	}
	if got := newShop(replicas(true)).tally.latencies(); got != "–" {
		t.Errorf("without a read in all: %q", got)
	}
}

func TestAFaultIsCountedAndTold(t *testing.T) {
	s := newShop(replicas(true))
	for range 150 {
		s.fault("%s", "stale")
	}
	if s.tally.wrong.Load() != 150 || len(s.wrongs) != 100 {
		t.Errorf("%d counted, %d to be told", s.tally.wrong.Load(), len(s.wrongs))
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if s.answered(ended, "x", context.Canceled) || s.tally.wrong.Load() != 150 {
		t.Error("a request cut short by the end counts as wrong")
	}
	if s.answered(t.Context(), "x", errNoAnswer) || s.tally.wrong.Load() != 151 {
		t.Error("a request without an answer does not count as wrong")
	}
}

func TestSessionsAreJSONWithAUser(t *testing.T) {
	v := &visitor{id: 7, name: "Anna", cart: 2}
	var got session
	if err := json.Unmarshal([]byte(v.encode("tok")), &got); err != nil {
		t.Fatal(err)
	}
	if got.Token != "tok" || got.User.ID != 7 || got.Cart != 2 || got.User.Identifier != "Anna@shop.example" {
		t.Errorf("got %+v", got)
	}
	if one, other := newToken(), newToken(); one == other {
		t.Error("two tokens are the same")
	}
}

func TestConfigIsChecked(t *testing.T) {
	for _, cfg := range []Config{{Nodes: 0}, {Nodes: MaxNodes + 1}, {Nodes: 3, For: time.Second}} {
		cfg.Out = io.Discard
		if err := Run(t.Context(), cfg); err == nil {
			t.Errorf("%+v was taken", cfg)
		}
	}
}

func TestAnInstallationThatCannotStartIsReported(t *testing.T) {
	err := Run(t.Context(), Config{Nodes: 1, Out: io.Discard, Executable: "/nonexistent/huddle"})
	if err == nil {
		t.Fatal("no error")
	}
}

func TestEachCallsForEveryItem(t *testing.T) {
	got := make([]int, 100)
	items := make([]int, 100)
	for i := range items {
		items[i] = i
	}
	each(items, func(i int) { got[i]++ })
	for i, n := range got {
		if n != 1 {
			t.Fatalf("item %d: %d times", i, n)
		}
	}
}

func TestTheTellerDoesNotBreakLinesForAFile(t *testing.T) {
	var out writer
	tell := &teller{live: term.NewLive(&out), begun: time.Now()}
	tell.say("a line %s", "that goes on and on and on and on and on and on and on and on and on and on and on and on and on and on")
	if out.lines != 1 {
		t.Errorf("%d lines", out.lines)
	}
}

func TestTheSummaryTellsWhatTheBalancerDid(t *testing.T) {
	for _, c := range []struct {
		retries, wrong uint64
		want           string
	}{
		{0, 0, "each request was answered at the first try; no session was lost"},
		{1, 0, "1 try met a node that was dead or not sure yet, and the balancer went on to another; no session was lost"},
		{2, 1, "2 tries met a node that was dead or not sure yet, and the balancer went on to another"},
	} {
		if got := balanced(c.retries, c.wrong); got != c.want {
			t.Errorf("%+v: %q", c, got)
		}
	}
}

// The title says how long it goes on and how to end it.
func TestTheTitleTellsTheEnd(t *testing.T) {
	for goesOn, want := range map[time.Duration]string{0: "own. ^C ends it.", 15 * time.Second: "It goes on for 15s once they are ready; ^C ends it."} {
		var out bytes.Buffer
		(&teller{live: term.NewLive(&out), begun: time.Now()}).title(3, goesOn)
		if !strings.Contains(out.String(), want) {
			t.Errorf("%q, want %q", out.String(), want)
		}
	}
}

// writer counts lines.
type writer struct{ lines int }

func (w *writer) Write(p []byte) (int, error) {
	for _, b := range p {
		if b == '\n' {
			w.lines++
		}
	}
	return len(p), nil
}
