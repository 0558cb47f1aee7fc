package load

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// fake is a cache that is a map. It fails every failEach-th Set.
type fake struct {
	mu       sync.Mutex
	entries  map[string]int
	calls    [ops]int
	failEach int
	begun    func()
}

var errFake = errors.New("no room")

func newFake() *fake { return &fake{entries: map[string]int{}} }

func (f *fake) call(op Op) {
	f.mu.Lock()
	f.calls[op]++
	begun := f.begun
	f.mu.Unlock()
	if begun != nil {
		begun()
	}
}

func (f *fake) Get(_ context.Context, key string) (bool, error) {
	f.call(Get)
	f.mu.Lock()
	defer f.mu.Unlock()
	_, ok := f.entries[key]
	return ok, nil
}

func (f *fake) Set(_ context.Context, key string, value []byte) error {
	f.call(Set)
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.failEach > 0 && f.calls[Set]%f.failEach == 0 {
		return errFake
	}
	f.entries[key] = len(value)
	return nil
}

func (f *fake) Delete(_ context.Context, key string) error {
	f.call(Delete)
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.entries, key)
	return nil
}

func filled(t *testing.T, k *Keys, targets ...*fake) []Target {
	t.Helper()
	var out []Target
	for _, f := range targets {
		if err := Fill(t.Context(), k, 64, nil, f); err != nil {
			t.Fatal(err)
		}
		f.calls = [ops]int{}
		out = append(out, f)
	}
	return out
}

func TestWorkloads(t *testing.T) {
	const requests = 9000
	for _, c := range []struct {
		w                  Workload
		gets, sets, misses int // of 100 calls, about
	}{
		{Read, 100, 0, 0}, {ReadMostly, 95, 5, 0}, {WriteHeavy, 50, 50, 0}, {Write, 0, 100, 0}, {Login, 67, 33, 0}, {Logout, 33, 33, 33},
	} {
		t.Run(c.w.String(), func(t *testing.T) {
			f := newFake()
			k := NewKeys("p:", 1000, 1.05, 1)
			r := Run{Workload: c.w, Keys: k, Callers: 4, ValueBytes: 64, Requests: requests}.Do(t.Context(), filled(t, k, f)...)
			near := func(what string, got, want int) {
				t.Helper()
				if diff := got*100/requests - want; diff < -2 || diff > 2 {
					t.Errorf("%s: %d of %d calls, about %d %% expected", what, got, requests, want)
				}
			}
			near("gets", f.calls[Get], c.gets)
			near("sets", f.calls[Set], c.sets)
			near("deletes", f.calls[Delete], 100-c.gets-c.sets)
			near("misses", int(r.Misses), c.misses)
			if r.Requests < requests || r.Requests > requests+12 || r.Errors != 0 || r.PerSecond <= 0 {
				t.Errorf("%+v", r)
			}
			if total := r.All.Count; total != r.Requests {
				t.Errorf("%d of %d calls timed", total, r.Requests)
			}
			if w, err := ParseWorkload(c.w.String()); w != c.w || err != nil {
				t.Error(w, err)
			}
			for key, n := range f.entries {
				if !strings.HasPrefix(key, "p:") || n != 64 {
					t.Fatalf("%q has %d bytes", key, n)
				}
			}
		})
	}
	if _, err := ParseWorkload("rest"); err == nil || !strings.Contains(err.Error(), "login") {
		t.Error(err)
	}
}

// Whatever a run leaves behind, and whenever it ends, is known afterwards.
func TestAllThatIsSetIsKnown(t *testing.T) {
	for _, w := range []Workload{Write, Login, Logout} {
		for _, requests := range []int64{1, 601} {
			f, k := newFake(), NewKeys("p:", 100, 0, 1)
			for _, callers := range []int{3, 130} {
				Run{Workload: w, Keys: k, Callers: callers, Requests: requests, Warm: 1}.Do(t.Context(), filled(t, k, f)...)
			}
			for _, key := range slices.Concat(k.Names(), k.Others()) {
				delete(f.entries, key)
			}
			if len(f.entries) != 0 {
				t.Errorf("%v, %d requests: %d keys are left of which nobody knows", w, requests, len(f.entries))
			}
		}
	}
}

func TestCallsGoToEachTargetInTurn(t *testing.T) {
	a, b, c := newFake(), newFake(), newFake()
	k := NewKeys("", 100, 0, 1)
	Run{Workload: Read, Keys: k, Callers: 2, Requests: 600}.Do(t.Context(), filled(t, k, a, b, c)...)
	for _, f := range []*fake{a, b, c} {
		if f.calls[Get] != 200 {
			t.Errorf("%d calls of 600 at one of three", f.calls[Get])
		}
	}
}

func TestErrorsAreCounted(t *testing.T) {
	f := newFake()
	f.failEach = 3
	k := NewKeys("", 100, 0, 1)
	r := Run{Workload: Write, Keys: k, Callers: 1, Requests: 300}.Do(t.Context(), f)
	if r.Errors != 100 || r.FirstError != errFake.Error() || r.All.Count != 200 {
		t.Errorf("%+v", r)
	}
	if err := Fill(t.Context(), k, 1, nil, f); !errors.Is(err, errFake) {
		t.Error(err)
	}
}

func TestTheEndOfTheContextEndsTheRun(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	f := newFake()
	var once sync.Once
	f.begun = func() { once.Do(cancel) }
	r := Run{Workload: Write, Keys: NewKeys("", 100, 0, 1), Callers: 4, For: time.Hour}.Do(ctx, f)
	if r.Requests == 0 || r.Seconds > 60 {
		t.Errorf("%+v", r)
	}
	if r := (Run{Workload: Write, Keys: NewKeys("", 100, 0, 1), Callers: 1, For: time.Hour, Warm: time.Hour}).Do(ctx, f); r.Requests != 0 {
		t.Errorf("measured what was only to warm up: %+v", r)
	}
}

// untilEnded is a cache whose calls fail once their context has ended, as those of a client of Redis do.
type untilEnded struct{ *fake }

func (f untilEnded) Set(ctx context.Context, key string, value []byte) error {
	if err := f.fake.Set(ctx, key, value); err != nil {
		return err
	}
	return ctx.Err()
}

// Who ends a run has not found errors of the cache.
func TestTheEndOfTheContextIsNoError(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	f := newFake()
	f.begun = func() {
		if f.calls[Set] == 100 {
			cancel()
		}
	}
	r := Run{Workload: Write, Keys: NewKeys("", 100, 0, 1), Callers: 1, For: time.Hour}.Do(ctx, untilEnded{f})
	if r.Errors != 0 || r.FirstError != "" || r.Requests != 99 {
		t.Errorf("%+v", r)
	}
}

func TestSampledGetsStandForAll(t *testing.T) {
	k := NewKeys("", 100, 0, 1)
	f := newFake()
	r := Run{Workload: WriteHeavy, Keys: k, Callers: 1, Requests: 6400, Sample: 16}.Do(t.Context(), filled(t, k, f)...)
	gets := int64(f.calls[Get])
	if got := r.Ops["get"].Count; got > gets || got < gets-16 {
		t.Errorf("%d of %d Gets stood for", got, gets)
	}
}

func TestKeys(t *testing.T) {
	a, b := NewKeys("p", 5000, 1.05, 7), NewKeys("p", 5000, 1.05, 7)
	for i := range a.order {
		if a.order[i] != b.order[i] {
			t.Fatal("the same seed draws differently")
		}
	}
	share := func(k *Keys) float64 { // of the draws that the most popular key has
		n := map[uint32]int{}
		most := 0
		for _, i := range k.order {
			n[i]++
			most = max(most, n[i])
		}
		return float64(most) / float64(len(k.order))
	}
	if z, u := share(a), share(NewKeys("p", 5000, 0, 7)); z < 0.05 || u > 0.002 {
		t.Errorf("most popular key: Zipf %.4f, uniform %.4f of all draws", z, u)
	}
	first := 0 // of the draws, those of the 1 % of keys that a cache is filled with first
	for _, i := range a.order {
		if i < 50 {
			first++
		}
	}
	if share := float64(first) / float64(len(a.order)); share > 0.2 {
		t.Errorf("the keys that are filled first have %.2f of all draws: ranks are not dealt at random", share)
	}
	half := a.Only(func(key string) bool { return key < a.names[2500] })
	if len(half.names) != 2500 || len(half.order) == 0 {
		t.Fatal(len(half.names), len(half.order))
	}
	for _, i := range half.order {
		if half.names[i] >= a.names[2500] {
			t.Fatal("a key that was left out is drawn")
		}
	}
}
