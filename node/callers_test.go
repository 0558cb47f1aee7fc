package node

import (
	"context"
	"errors"
	"fmt"
	"math"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/huddle-cache/huddle/node/protocol"
	pb "github.com/huddle-cache/huddle/transport/peerpb"
)

// What a caller does with a slice of his, or with one that he got, changes nothing here.
func TestTagsAreNotShared(t *testing.T) {
	n := start(t, Config{})
	ctx := t.Context()
	for i, read := range []func() (Entry, bool){
		func() (Entry, bool) { e, found, _ := n.Lookup(ctx, "k"); return e, found },
		func() (Entry, bool) { e, found, _, _ := n.LookupOrTicket(ctx, "k"); return e, found },
		func() (Entry, bool) { e, found, _, _ := n.LookupAtOwner(ctx, "k"); return e, found },
	} {
		if err := n.Set(ctx, "k", []byte("v"), WithTags("user:7")); err != nil {
			t.Fatal(err)
		}
		e, found := read()
		if !found || len(e.Tags) != 1 {
			t.Fatal(i, e, found)
		}
		e.Tags[0] = "changed"
		if err := n.InvalidateTags(ctx, "user:7"); err != nil {
			t.Fatal(err)
		}
		if _, found, err := n.Get(ctx, "k"); found || err != nil {
			t.Errorf("%d: served after its tag was invalidated: %v", i, err)
		}
	}
}

func TestWhichErrorATagGets(t *testing.T) {
	n := start(t, Config{})
	ctx := t.Context()
	many := make([]string, maxTags+1)
	for i := range many {
		many[i] = fmt.Sprint(i)
	}
	for _, c := range []struct {
		tags []string
		want error
	}{
		{[]string{"ok", ""}, ErrInvalid},
		{[]string{"\xff"}, ErrInvalid},
		{[]string{strings.Repeat("x", maxTagBytes+1)}, ErrTooLarge},
		{many, ErrTooLarge},
		{[]string{strings.Repeat("x", maxTagBytes)}, nil},
		{many[1:], nil},
	} {
		if err := n.Set(ctx, "k", nil, WithTags(c.tags...)); !errors.Is(err, c.want) {
			t.Errorf("Set with %d tags: %v, want %v", len(c.tags), err, c.want)
		}
		if err := n.InvalidateTags(ctx, c.tags...); !errors.Is(err, c.want) {
			t.Errorf("InvalidateTags of %d: %v, want %v", len(c.tags), err, c.want)
		}
	}
}

// A time without end is not one that is over.
func TestTimeoutsWithoutEnd(t *testing.T) {
	n := start(t, Config{ReadTimeout: math.MaxInt64, WriteTimeout: math.MaxInt64})
	far, cancel := context.WithDeadline(t.Context(), time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC))
	defer cancel()
	for what, got := range map[string]int64{
		"a context's deadline": n.deadline(far, time.Second), "the default": n.deadline(t.Context(), n.cfg.WriteTimeout),
		"that of an Op": n.until(math.MaxInt64, 0),
	} {
		if left := time.Duration(got - n.clock.Now()); left < maxTTL-time.Minute || left > maxTTL {
			t.Errorf("%s leaves %v", what, left)
		}
	}
	if left := time.Duration(n.until(0, time.Minute) - n.clock.Now()); left > time.Minute || left < 50*time.Second {
		t.Errorf("of a minute %v is left", left)
	}
}

func TestNothingIsTriedForACallerWhoHasGone(t *testing.T) {
	n := start(t, Config{})
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if err := n.WaitReady(t.Context()); err != nil {
		t.Fatal(err)
	}
	chain := n.Stats().Chain
	for what, err := range map[string]error{
		"Set":     n.Set(ended, "k", nil),
		"Touch":   func() error { _, err := n.Touch(ended, "k", time.Second); return err }(),
		"SetMany": n.SetMany(ended, []SetItem{{Key: "k"}})[0],
		"Forget":  n.Forget(ended, "somebody"),
	} {
		if !errors.Is(err, context.Canceled) || errors.Is(err, ErrUnconfirmed) {
			t.Errorf("%s: %v", what, err)
		}
	}
	if _, found, err := n.Get(t.Context(), "k"); found || err != nil || n.Stats().Chain != chain {
		t.Errorf("found %v, %v; chain %s, then %s", found, err, chain, n.Stats().Chain)
	}
}

func TestAnOpOfNoKind(t *testing.T) {
	n := start(t, Config{})
	if err := n.Set(t.Context(), "k", []byte("v")); err != nil {
		t.Fatal(err)
	}
	ended := make(chan Outcome, 1)
	n.Begin([]Op{{Kind: 9, Key: "k"}}, func(_ int, o Outcome) { ended <- o })
	if o := <-ended; !errors.Is(o.Err, ErrInvalid) || o.Found {
		t.Errorf("%+v", o)
	}
	if _, found, err := n.Get(t.Context(), "k"); !found || err != nil {
		t.Errorf("then: found %v, %v", found, err)
	}
}

func TestTheLastWordOnTheTTLCounts(t *testing.T) {
	n := start(t, Config{DefaultTTL: time.Hour})
	for _, c := range []struct {
		opts []SetOption
		want time.Duration
	}{
		{[]SetOption{WithTTL(time.Minute), WithoutTTL()}, 0},
		{[]SetOption{WithoutTTL(), WithTTL(time.Minute)}, time.Minute},
		{nil, time.Hour},
		{[]SetOption{WithKeepTTL(), WithTTL(time.Minute)}, time.Hour}, // of the one before
	} {
		if err := n.Set(t.Context(), "k", nil, c.opts...); err != nil {
			t.Fatal(err)
		}
		e, _, err := n.Lookup(t.Context(), "k")
		if err != nil || e.TTL > c.want || e.TTL < c.want-c.want/10 {
			t.Errorf("TTL %v, want %v; %v", e.TTL, c.want, err)
		}
	}
}

func TestExpectNeedsJoin(t *testing.T) {
	if n, err := Start(t.Context(), Config{Expect: 3}); !errors.Is(err, ErrInvalid) {
		t.Errorf("Expect without Join: %v", err)
		if n != nil {
			_ = n.Close()
		}
	}
	start(t, Config{Expect: 1})
}

func TestWaitReady(t *testing.T) {
	n := start(t, Config{})
	if err := n.WaitReady(t.Context()); err != nil {
		t.Error(err)
	}
	alone, err := Start(t.Context(), Config{Join: []string{"127.0.0.1:1"}})
	if err != nil {
		t.Fatal(err)
	}
	defer alone.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if err := alone.WaitReady(ctx); !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "nobody has been reached") {
		t.Errorf("where nobody is: %v", err)
	}
	woken := make(chan error, 1)
	go func() { woken <- alone.WaitReady(context.WithoutCancel(ctx)) }()
	_ = alone.Close()
	if err := <-woken; !errors.Is(err, ErrClosed) {
		t.Errorf("of a node that is closed: %v", err)
	}
}

// A deletion that is not confirmed goes on for as long as a revoked key stays dead, and the end of a node that ends before is told of.
func TestHowLongADeletionGoesOn(t *testing.T) {
	for retention, want := range map[time.Duration]time.Duration{0: time.Hour, 2 * time.Hour: 2 * time.Hour, time.Second: time.Minute} {
		n := start(t, Config{Retention: retention})
		if d := time.Duration(n.goOn() - n.clock.Now()); d > want || d < want-time.Minute/2 {
			t.Errorf("with a retention of %v it goes on for %v", retention, d)
		}
	}
	n := start(t, Config{Join: []string{"127.0.0.1:1"}}) // in no cluster
	events, cancel := n.Subscribe(8)
	defer cancel()
	ended, gone := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer gone()
	if err := n.Delete(ended, "k", Revoke()); !errors.Is(err, ErrUnconfirmed) {
		t.Errorf("Delete: %v", err)
	}
	if err := n.InvalidateTags(ended, "t"); !errors.Is(err, ErrUnconfirmed) {
		t.Errorf("InvalidateTags: %v", err)
	}
	eventually(t, "nobody waits for them", func() bool { return n.Stats().Unconfirmed == 2 })
	_ = n.Close()
	var kinds []string
	for e := range events {
		kinds = append(kinds, e.Kind)
	}
	if fmt.Sprint(kinds) != "[given-up]" || n.Stats().GivenUp != 2 {
		t.Errorf("events %v, %d given up", kinds, n.Stats().GivenUp)
	}
}

// A deletion that was begun goes on after its time, too.
func TestABegunDeletionGoesOn(t *testing.T) {
	n := start(t, Config{Join: []string{"127.0.0.1:1"}}) // in no cluster
	ended := make(chan Outcome, 1)
	n.Begin([]Op{{Kind: OpRemove, Key: "k", Timeout: 50 * time.Millisecond}}, func(_ int, o Outcome) { ended <- o })
	if o := <-ended; !errors.Is(o.Err, ErrUnconfirmed) {
		t.Errorf("it has ended with %v", o.Err)
	}
	_ = n.Close()
	if s := n.Stats(); s.GivenUp != 1 {
		t.Errorf("%d deletions were under way when the node was closed", s.GivenUp)
	}
}

// What is begun at a node that is closed gives the room for its value back, as what is set there does.
func TestNoRoomIsLeftTakenAtClose(t *testing.T) {
	n := start(t, Config{})
	_ = n.Close()
	value := make([]byte, largeValue)
	n.Begin([]Op{{Kind: OpSet, Key: "begun", Value: value}}, func(_ int, o Outcome) {
		if !errors.Is(o.Err, ErrClosed) {
			t.Errorf("begun: %v", o.Err)
		}
	})
	if err := n.Set(t.Context(), "set", value); !errors.Is(err, ErrClosed) {
		t.Errorf("Set: %v", err)
	}
	for i, err := range n.SetMany(t.Context(), []SetItem{{Key: "one", Value: value}, {Key: "two", Value: value}}) {
		if !errors.Is(err, ErrClosed) {
			t.Errorf("SetMany %d: %v", i, err)
		}
	}
	for i, of := range n.rooms {
		if !of.TryAcquire(largeBytes) {
			t.Errorf("room %d is still taken", i)
		}
	}
}

// full takes all room for large values until the test ends.
func (n *Node) full(t *testing.T) {
	t.Helper()
	for i, of := range n.rooms {
		if !of.TryAcquire(largeBytes) {
			t.Fatalf("room %d is taken", i)
		}
		t.Cleanup(func() { of.Release(largeBytes) })
	}
}

// A large value waits for room for no longer than a write may take, whether or not its caller has a deadline, and is told that nothing was tried.
func TestTheWaitForRoomCounts(t *testing.T) {
	n := start(t, Config{Join: []string{"127.0.0.1:1"}, WriteTimeout: 50 * time.Millisecond}) // in no cluster
	n.full(t)
	value := make([]byte, largeValue)
	for what, err := range map[string]error{
		"Set":     n.Set(context.Background(), "k", value),
		"SetMany": n.SetMany(context.Background(), []SetItem{{Key: "k", Value: value}})[0],
	} {
		if !errors.Is(err, ErrOverload) || errors.Is(err, ErrUnconfirmed) {
			t.Errorf("%s: %v", what, err)
		}
	}
	n = start(t, Config{Join: []string{"127.0.0.1:1"}, WriteTimeout: time.Hour})
	n.full(t)
	begun := make(chan error, 1)
	n.Begin([]Op{{Kind: OpSet, Key: "k", Value: value, Timeout: 50 * time.Millisecond}}, func(_ int, o Outcome) { begun <- o.Err })
	if err := <-begun; !errors.Is(err, context.DeadlineExceeded) || errors.Is(err, ErrUnconfirmed) {
		t.Errorf("Begin with a time of its own: %v", err)
	}
}

// A value that is larger than all the room takes all of it, and is not kept waiting for more.
func TestAValueLargerThanTheRoom(t *testing.T) {
	n := start(t, Config{MaxValueBytes: 2 * largeBytes})
	value := make([]byte, largeBytes+1)
	if err := n.Set(t.Context(), "one", value); err != nil {
		t.Error(err)
	}
	if err := n.SetMany(t.Context(), []SetItem{{Key: "two", Value: value}})[0]; err != nil {
		t.Error(err)
	}
}

// Who does not wait for a deletion, or for a cut, hears that it goes on, and that there is no majority for it just now.
func TestADeletionOfAMinorityIsTold(t *testing.T) {
	n := start(t, Config{Join: []string{"127.0.0.1:1"}}) // in no cluster
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for what, err := range map[string]error{"Delete": n.Delete(ctx, "k"), "Clear": n.Clear(ctx)} {
		if !errors.Is(err, ErrUnconfirmed) || !errors.Is(err, ErrUnavailable) || !errors.Is(err, context.Canceled) {
			t.Errorf("%s: %v", what, err)
		}
	}
}

// Of several Sets under way together each is told of itself: one that waits in vain for room was not tried, one that was submitted may take effect.
func TestSetsThatWaitForRoomBesideOthers(t *testing.T) {
	n := start(t, Config{Join: []string{"127.0.0.1:1"}}) // in no cluster
	n.full(t)
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		for n.m.Counters.Sets.Load() == 0 {
			runtime.Gosched()
		}
		cancel()
	}()
	errs := n.SetMany(ctx, []SetItem{{Key: "small"}, {Key: "large", Value: make([]byte, largeValue)}})
	if err := errs[0]; !errors.Is(err, ErrUnconfirmed) || !errors.Is(err, context.Canceled) || errors.Is(err, ErrOverload) {
		t.Errorf("under way: %v", err)
	}
	if err := errs[1]; !errors.Is(err, ErrOverload) || !errors.Is(err, context.Canceled) || errors.Is(err, ErrUnconfirmed) {
		t.Errorf("without room: %v", err)
	}
}

// Who is closed has handed nothing over.
func TestLeaveAfterClose(t *testing.T) {
	n := start(t, Config{})
	_ = n.Close()
	if err := n.HandOver(t.Context()); !errors.Is(err, ErrClosed) {
		t.Errorf("HandOver: %v", err)
	}
	if err := n.Leave(t.Context()); !errors.Is(err, ErrClosed) {
		t.Errorf("Leave: %v", err)
	}
	n = start(t, Config{})
	for range 2 { // the second time it has left already
		if err := n.Leave(t.Context()); err != nil {
			t.Errorf("Leave: %v", err)
		}
	}
	if err := n.HandOver(t.Context()); err != nil {
		t.Errorf("HandOver after Leave: %v", err)
	}
}

// What a change may be told, by what has become of it: whether it may take effect still, and whether there is a majority, are not to be confused.
func TestWhatAChangeIsTold(t *testing.T) {
	kinds := []error{ErrClosed, ErrUnconfirmed, ErrUnavailable}
	for _, c := range []struct {
		goesOn bool
		r      protocol.Result
		want   []error
	}{
		{false, protocol.Result{}, []error{ErrUnavailable}},
		{false, protocol.Result{NoMajority: true}, []error{ErrUnavailable}},
		{false, protocol.Result{Tried: true}, []error{ErrUnconfirmed}},
		{false, protocol.Result{Tried: true, NoMajority: true}, []error{ErrUnconfirmed}},
		{false, protocol.Result{Closed: true}, []error{ErrClosed}},
		{false, protocol.Result{Closed: true, Tried: true}, []error{ErrClosed, ErrUnconfirmed}},
		{true, protocol.Result{}, []error{ErrUnconfirmed}},
		{true, protocol.Result{Tried: true}, []error{ErrUnconfirmed}},
		{true, protocol.Result{NoMajority: true}, []error{ErrUnconfirmed, ErrUnavailable}},
		{true, protocol.Result{Closed: true}, []error{ErrClosed}},
	} {
		c.r.Status = pb.Status_UNSURE
		err := writeError("set", c.goesOn, c.r, nil)
		for _, kind := range kinds {
			if errors.Is(err, kind) != slices.Contains(c.want, kind) {
				t.Errorf("goes on %v, %+v: %v", c.goesOn, c.r, err)
			}
		}
		if c.r.NoMajority && !c.goesOn && !c.r.Tried && err.Error() == writeError("set", false, protocol.Result{Status: pb.Status_UNSURE}, nil).Error() {
			t.Errorf("without a majority it is told as if there were one: %v", err)
		}
	}
}

// When Close has returned everything that Begin has begun has ended, also what still waited for room.
func TestCloseEndsWhatWaitsForRoom(t *testing.T) {
	n := start(t, Config{WriteTimeout: 300 * time.Millisecond})
	if err := n.WaitReady(t.Context()); err != nil {
		t.Fatal(err)
	}
	if !n.roomFor(&pb.Write{Key: "k", Value: make([]byte, largeBytes)}).try() {
		t.Fatal("no room")
	}
	var ended atomic.Int32
	n.Begin([]Op{{Kind: OpSet, Key: "k", Value: make([]byte, largeValue)}}, func(_ int, o Outcome) {
		if ended.Add(1); !errors.Is(o.Err, ErrOverload) {
			t.Error(o.Err)
		}
	})
	if err := n.Close(); err != nil {
		t.Error(err)
	}
	if got := ended.Load(); got != 1 {
		t.Errorf("%d operations have ended", got)
	}
}
