package resp

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// renames is a fake whose writes of a RENAME others may get in the way of. It tells the writes of the new key, and the removals of the old.
type renames struct {
	fastFake
	before func(step string, key string) error // called before a write takes effect
}

func (f *renames) Set(ctx context.Context, key string, value []byte, a SetArgs) error {
	if f.before != nil {
		if err := f.before("set", key); err != nil {
			return err
		}
	}
	return f.fake.Set(ctx, key, value, a)
}

func (f *renames) Remove(ctx context.Context, key string, ifVersion uint64) (bool, error) {
	if f.before != nil {
		if err := f.before("remove", key); err != nil {
			return false, err
		}
	}
	return f.fake.Remove(ctx, key, ifVersion)
}

// TestRenameMeanwhile: another node changes one of the keys before the new key is written, or before the old one is removed. What was deleted
// stays deleted, and what was written is lost only where Redis would have lost it.
func TestRenameMeanwhile(t *testing.T) {
	t.Parallel()
	const ok, noKey = "+OK\r\n", "-ERR no such key\r\n"
	for _, tc := range []struct {
		before, commands string // "set" of the new key, or "remove" of the old
		want             string
		old, new         string // afterwards; "": absent
	}{
		{"set", "get old", ok, "", "v"},
		{"set", "del old", noKey, "", ""},
		{"set", "del new", ok, "", "v"},
		{"set", "set old w", ok, "", "w"},
		{"set", "del old; set old w", ok, "", "w"},
		{"set", "set new theirs", ok, "", "v"},
		{"set", "del old; set new theirs", noKey, "", "theirs"},
		{"set", "del old; sadd old m", ok, "", "a set"},
		{"set", "expire old 100", ok, "", "v"},
		{"set", "flushall", noKey, "", ""},
		{"set", "rename old other", noKey, "", ""},
		{"remove", "get old", ok, "", "v"},
		{"remove", "del old", noKey, "", ""},
		{"remove", "expire old -1", noKey, "", ""},
		{"remove", "getdel old", noKey, "", ""},
		{"remove", "flushall", noKey, "", ""},
		{"remove", "rename old other", noKey, "", ""},
		{"remove", "del new", ok, "", ""},
		{"remove", "del old; del new", noKey, "", ""},
		{"remove", "del new; set old w", ok, "", ""},
		{"remove", "set old w", ok, "", "w"},
		{"remove", "del old; set old w", ok, "", "w"},
		{"remove", "del old; hset old f w", ok, "", "a hash"},
		{"remove", "expire old 100", ok, "", "v"},
		{"remove", "set new theirs", ok, "", "theirs"},
		{"remove", "set new theirs; set old w", ok, "", "theirs"},
		{"remove", "del old; set new theirs", noKey, "", "theirs"},
	} {
		for _, there := range []bool{false, true} {
			f := &renames{fastFake: fastFake{newFake()}}
			w, other := dial(t, start(t, Config{Backend: f}).Addr()), dial(t, start(t, Config{Backend: f.fastFake}).Addr())
			w.do("set", "old", "v")
			if there {
				w.do("set", "new", "before")
			}
			var once sync.Once
			f.before = func(step, key string) error {
				if step == tc.before && (step == "set") == (key == "new") {
					once.Do(func() {
						for command := range strings.SplitSeq(tc.commands, "; ") {
							if got := other.do(strings.Fields(command)...); strings.HasPrefix(got, "-") {
								t.Errorf("%s: %q", command, got)
							}
						}
					})
				}
				return nil
			}
			if got := w.do("rename", "old", "new"); got != tc.want {
				t.Errorf("%s before %s (new key there: %t): %q, want %q", tc.commands, tc.before, there, got, tc.want)
			}
			want := tc.new
			if want == "" && there && tc.want == noKey && !strings.Contains(tc.commands, "flushall") && !strings.Contains(tc.commands, "del new") {
				want = "before"
			}
			for key, want := range map[string]string{"old": tc.old, "new": want} {
				got := "-" + errWrongType + "\r\n"
				switch want {
				case "":
					got = "$-1\r\n"
				case "a set", "a hash":
				default:
					got = fmt.Sprintf("$%d\r\n%s\r\n", len(want), want)
				}
				if is := w.do("get", key); is != got {
					t.Errorf("%s before %s (new key there: %t): %s holds %q, want %q", tc.commands, tc.before, there, key, is, got)
				}
			}
			if strings.Contains(tc.commands, "expire old 100") {
				if got := w.do("ttl", "new"); got != ":100\r\n" {
					t.Errorf("%s before %s: ttl %q", tc.commands, tc.before, got)
				}
			}
		}
	}
}

// fillRenames is renames with tickets.
type fillRenames struct{ *renames }

func (f fillRenames) LookupOrTicket(ctx context.Context, key string) (Entry, bool, Ticket, error) {
	return fillFake{f.fastFake}.LookupOrTicket(ctx, key)
}

func (f fillRenames) RemoveAbsent(ctx context.Context, key string, t Ticket) error {
	return fillFake{f.fastFake}.RemoveAbsent(ctx, key, t)
}

// TestRenameDoesNotBringBackWhatWasCleared: not for a moment either.
func TestRenameDoesNotBringBackWhatWasCleared(t *testing.T) {
	f := fillRenames{&renames{fastFake: fastFake{newFake()}}}
	w, other := dial(t, start(t, Config{Backend: f}).Addr()), dial(t, start(t, Config{Backend: f.fastFake}).Addr())
	w.do("set", "old", "v")
	steps := ""
	f.before = func(step, key string) error {
		if steps += step + " " + key + ";"; steps == "set new;" {
			other.do("flushall")
		}
		return nil
	}
	if got := w.do("rename", "old", "new"); got != "-ERR no such key\r\n" {
		t.Errorf("%q", got)
	}
	if steps != "set new;" {
		t.Errorf("after everything was cleared: %s", steps)
	}
}

// TestRenameTwice: two nodes rename a key to the same name. One of them does, and neither takes the new key back from the other.
func TestRenameTwice(t *testing.T) {
	t.Parallel()
	for _, before := range []string{"set", "remove"} {
		f := &renames{fastFake: fastFake{newFake()}}
		w, other := dial(t, start(t, Config{Backend: f}).Addr()), dial(t, start(t, Config{Backend: f.fastFake}).Addr())
		w.do("set", "old", "v", "ex", "100")
		var theirs string
		var once sync.Once
		f.before = func(step, key string) error {
			if step == before && (step == "set") == (key == "new") {
				once.Do(func() { theirs = other.do("rename", "old", "new") })
			}
			return nil
		}
		if got := w.do("rename", "old", "new"); theirs != "+OK\r\n" || got != "-ERR no such key\r\n" {
			t.Errorf("before %s: %q, the other %q", before, got, theirs)
		}
		if got := w.do("get", "new") + w.do("ttl", "new") + w.do("exists", "old"); got != "$1\r\nv\r\n:100\r\n:0\r\n" {
			t.Errorf("before %s, afterwards: %q", before, got)
		}
	}
}

// TestRenameErrors: what fails before the new key is written changes nothing; afterwards both are there.
func TestRenameErrors(t *testing.T) {
	t.Parallel()
	for _, step := range []string{"set", "remove"} {
		for err, want := range map[error]string{
			ErrUnavailable: "-CLUSTERDOWN ", ErrUnconfirmed: "-UNCONFIRMED ", ErrRevoked: "-REVOKED ", ErrOverload: "-BUSY ", ErrTooLarge: "-ERR huddle: over the size limit",
		} {
			f := &renames{fastFake: fastFake{newFake()}}
			w := dial(t, start(t, Config{Backend: f}).Addr())
			w.do("hset", "old", "f", "v")
			f.before = func(at, _ string) error {
				if at == step {
					return err
				}
				return nil
			}
			if got := w.do("rename", "old", "new"); !strings.HasPrefix(got, want) {
				t.Errorf("%v at %s: %q", err, step, got)
			}
			want := ":1\r\n"
			if step == "remove" {
				want = ":2\r\n"
			}
			if got := w.do("exists", "old", "new"); got != want {
				t.Errorf("%v at %s: %q of the keys are there", err, step, got)
			}
		}
	}
}

// TestRenameUnconfirmed: a removal that took effect, whose answer was lost, is not taken for another's DEL. The value stays under the new name.
func TestRenameUnconfirmed(t *testing.T) {
	t.Parallel()
	for _, there := range []bool{false, true} {
		f := &renames{fastFake: fastFake{newFake()}}
		w := dial(t, start(t, Config{Backend: f}).Addr())
		w.do("set", "old", "v")
		if there {
			w.do("set", "new", "before")
		}
		f.before = func(step, key string) error {
			if step != "remove" {
				return nil
			}
			if _, err := f.fake.Remove(t.Context(), key, 0); err != nil {
				t.Error(err)
			}
			return ErrUnconfirmed
		}
		if got := w.do("rename", "old", "new"); !strings.HasPrefix(got, "-UNCONFIRMED ") {
			t.Errorf("%q", got)
		}
		if got := w.do("get", "new") + w.do("exists", "old"); got != "$1\r\nv\r\n:0\r\n" {
			t.Errorf("afterwards: %q", got)
		}
	}
}

// TestRenameInTransactions: an EXEC that finds a watched key changed leaves no new key behind.
func TestRenameInTransactions(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct{ before, meanwhile, want, keys string }{
		{"set", "del old", "*-1\r\n", ""},
		{"remove", "del old", "*1\r\n-EXECABORT a watched key changed while the transaction ran\r\n", ""},
		{"remove", "set old w", "*1\r\n-EXECABORT a watched key changed while the transaction ran\r\n", "old"},
		{"remove", "set other w", "*1\r\n+OK\r\n", "new other"},
	} {
		f := &renames{fastFake: fastFake{newFake()}}
		w, other := dial(t, start(t, Config{Backend: f}).Addr()), dial(t, start(t, Config{Backend: f.fastFake}).Addr())
		w.do("set", "old", "v")
		w.do("watch", "old")
		if tc.before == "set" { // before EXEC compares versions
			other.do("del", "old")
		}
		w.do("multi")
		w.do("rename", "old", "new")
		var once sync.Once
		f.before = func(step, key string) error {
			if step == tc.before && key == "old" {
				once.Do(func() { other.do(strings.Fields(tc.meanwhile)...) })
			}
			return nil
		}
		if got := w.do("exec"); got != tc.want {
			t.Errorf("%s before %s: %q, want %q", tc.meanwhile, tc.before, got, tc.want)
		}
		if got := strings.Join(elements(w.do("keys", "*")), " "); got != tc.keys {
			t.Errorf("%s before %s: afterwards there are %q, want %q", tc.meanwhile, tc.before, got, tc.keys)
		}
	}
}

// TestRenameOfSets: a small set is an entry as any other; one in parts is refused, and stays as it was.
func TestRenameOfSets(t *testing.T) {
	t.Parallel()
	f := newFake()
	w := dial(t, start(t, Config{Backend: fastFake{f}, splitAt: 60}).Addr())
	w.do("sadd", "small", "a", "b")
	large := []string{"sadd", "large"}
	for i := range 50 {
		large = append(large, fmt.Sprint("member ", i))
	}
	w.do(large...)
	for _, tc := range [][2]string{
		{"rename small moved", "+OK"},
		{"scard moved", ":2"},
		{"rename large moved", "-ERR huddle: a set above 4 KiB cannot be renamed"},
		{"renamenx large new", "-ERR huddle: a set above 4 KiB cannot be renamed"},
		{"renamenx large moved", ":0"},
		{"rename large large", "+OK"},
		{"scard large", ":50"},
		{"scard moved", ":2"},
		{"set k v", "+OK"},
		{"rename k large", "+OK"},
		{"get large", "$1\r\nv"},
	} {
		if got := w.do(strings.Fields(tc[0])...); got != tc[1]+"\r\n" {
			t.Errorf("%s: %q", tc[0], got)
		}
	}
	eventually(t, "the parts of what was written over are removed", func() bool { return f.parts() == 0 })
}

// TestRenameAndDelete: of a RENAME and a DEL of the old key at the same time, at different nodes, one finds it and the other does not; and
// nothing is left of what was deleted.
func TestRenameAndDelete(t *testing.T) {
	t.Parallel()
	f := newFake()
	a, b := start(t, Config{Backend: fastFake{f}, Timeout: time.Minute}), start(t, Config{Backend: f, Timeout: time.Minute})
	var wg sync.WaitGroup
	var renamed, deleted atomic.Int64
	for worker := range 4 {
		wa, wb := dial(t, a.Addr()), dial(t, b.Addr())
		wg.Go(func() {
			for i := range 150 {
				old, to := fmt.Sprint("old ", worker, i), fmt.Sprint("new ", worker, i)
				wa.do("hset", old, "f", "v")
				wa.send(cmd("rename", old, to))
				wb.send(cmd("del", old))
				rename, del := wa.reply(), wb.reply()
				left := wa.do("exists", old) + wa.do("exists", to)
				switch rename + del + left {
				case "+OK\r\n:0\r\n:0\r\n:1\r\n":
					renamed.Add(1)
				case "-ERR no such key\r\n:1\r\n:0\r\n:0\r\n":
					deleted.Add(1)
				default:
					t.Errorf("rename: %q, del: %q, left: %q", rename, del, left)
				}
			}
		})
	}
	wg.Wait()
	t.Logf("%d renamed, %d deleted", renamed.Load(), deleted.Load())
}

// TestRenamesDoNotWaitForEachOther: keys that are renamed to each other's names at the same time are locked in one order.
func TestRenamesDoNotWaitForEachOther(t *testing.T) {
	t.Parallel()
	s := start(t, Config{Timeout: time.Minute})
	var wg sync.WaitGroup
	for i := range 6 {
		w := dial(t, s.Addr())
		wg.Go(func() {
			from, to := "a", "b"
			if i%2 == 0 {
				from, to = to, from
			}
			for range 100 {
				w.do("set", from, fmt.Sprint(i))
				if got := w.do("rename", from, to); got != "+OK\r\n" && got != "-ERR no such key\r\n" {
					t.Errorf("rename: %q", got)
				}
			}
		})
	}
	wg.Wait()
	s.changing.mu.Lock()
	defer s.changing.mu.Unlock()
	if n := len(s.changing.byKey); n != 0 {
		t.Error(n, "locks are left behind")
	}
}

// A RENAME that gets only one of its keys in time lets go of that one.
func TestRenameThatWaitsForTheOtherKeyInVain(t *testing.T) {
	t.Parallel()
	s := start(t, Config{Timeout: 500 * time.Millisecond})
	w := dial(t, s.Addr())
	w.do("set", "a", "1")
	unlock, err := s.changing.lock(t.Context(), "b")
	if err != nil {
		t.Fatal(err)
	}
	if got := w.do("rename", "a", "b"); !strings.HasPrefix(got, "-TRYAGAIN ") {
		t.Error(got)
	}
	unlock()
	if got := w.do("incr", "a"); got != ":2\r\n" {
		t.Error(got)
	}
}
