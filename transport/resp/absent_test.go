package resp

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"
)

// fillHook is a fillFake that calls missed when it has found a key absent and has not said so yet.
type fillHook struct {
	fillFake
	missed atomic.Pointer[func(key string)]
}

func (f *fillHook) LookupOrTicket(ctx context.Context, key string) (Entry, bool, Ticket, error) {
	e, found, ticket, err := f.fillFake.LookupOrTicket(ctx, key)
	if missed := f.missed.Load(); !found && missed != nil && f.missed.CompareAndSwap(missed, nil) {
		(*missed)(key)
	}
	return e, found, ticket, err
}

// TestWhatIsSetIsNotTakenForAbsent: a key that is set while a command finds it absent is removed only by a command that has seen it.
func TestWhatIsSetIsNotTakenForAbsent(t *testing.T) {
	t.Parallel()
	for command, want := range map[string]string{
		"getdel k": "$1\r\nv\r\n", "expire k -1": ":1\r\n", "getex k exat 1": "$1\r\nv\r\n", "set k w exat 1 get": "$1\r\nv\r\n", "expire k -1 xx": ":0\r\n",
	} {
		f := &fillHook{fillFake: fillFake{fastFake{newFake()}}}
		w := dial(t, start(t, Config{Backend: f}).Addr())
		missed := func(key string) {
			if err := f.Set(t.Context(), key, []byte("v"), SetArgs{}); err != nil {
				t.Error(err)
			}
		}
		f.missed.Store(&missed)
		w.send(command + "\r\n")
		if got := w.reply(); got != want {
			t.Errorf("%s: %q, want %q", command, got, want)
		}
		if _, found := f.get("k"); found != (command == "expire k -1 xx") {
			t.Errorf("%s: found afterwards: %v", command, found)
		}
	}
}

// TestRemovalOfAWatchedAbsentKey: it is made on condition that nothing has happened to the key since WATCH, and what follows is not.
func TestRemovalOfAWatchedAbsentKey(t *testing.T) {
	t.Parallel()
	for meanwhile, want := range map[string][2]string{
		"get k": {"*2\r\n$-1\r\n+OK\r\n", "$4\r\nmine\r\n"},
		"del k": {"*-1\r\n", "$-1\r\n"},
	} {
		s := start(t, Config{Backend: fillFake{fastFake{newFake()}}})
		ours, theirs := dial(t, s.Addr()), dial(t, s.Addr())
		ours.do("watch", "k")
		theirs.send(meanwhile + "\r\n")
		theirs.reply()
		ours.do("multi")
		ours.do("getdel", "k")
		ours.do("set", "k", "mine")
		if got := ours.do("exec"); got != want[0] {
			t.Errorf("after %q, exec: %q, want %q", meanwhile, got, want[0])
		}
		if got := theirs.do("get", "k"); got != want[1] {
			t.Errorf("after %q the key holds %q, want %q", meanwhile, got, want[1])
		}
	}
}

// TestSessionSetWhileItsSetIsPruned: one that is set after it was found absent for good is neither removed nor dropped.
func TestSessionSetWhileItsSetIsPruned(t *testing.T) {
	t.Parallel()
	f := &fillHook{fillFake: fillFake{fastFake{newFake()}}}
	s := start(t, Config{Backend: f, pruneIn: 1 << 30})
	w := dial(t, s.Addr())
	for i := range pruneFrom {
		w.do("set", fmt.Sprint("k", i), "v")
		w.do("sadd", "tag", fmt.Sprint("k", i))
	}
	w.do("del", "k7", "k8")
	missed := func(key string) { w.do("set", key, "v") }
	f.missed.Store(&missed)
	s.prune(t.Context(), "tag", "tag")
	for _, key := range []string{"k7", "k8"} {
		if exists, member := w.do("exists", key), w.do("sismember", "tag", key); exists != member {
			t.Errorf("%s exists: %q, is a member: %q", key, exists, member)
		}
	}
	if got := w.do("scard", "tag"); got != ":15\r\n" {
		t.Errorf("scard: %q", got)
	}
}
