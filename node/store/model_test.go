package store

import (
	"fmt"
	"slices"
	"sync/atomic"
	"testing"

	"pgregory.net/rapid"
)

// clock is a clock that tests set.
type clock struct{ ns atomic.Int64 }

func (c *clock) now() int64 { return c.ns.Load() }

// oracle does the same with maps and loops. It has no bounds: the test gives the store room enough.
type oracle struct {
	now   int64
	parts []map[string]*Entry
	prov  map[*Entry]bool
	tags  map[string]uint64
	clear uint64
}

func (o *oracle) void(e *Entry) bool {
	if e.Kind != Live {
		return false
	}
	if e.Age() <= o.clear {
		return true
	}
	return slices.ContainsFunc(e.Tags, func(t string) bool { return e.Age() <= o.tags[t] })
}

func (o *oracle) get(p int, key string) *Entry {
	e := o.parts[p][key]
	if e == nil || e.Expired(o.now) || o.void(e) {
		return nil
	}
	return e
}

func (o *oracle) put(p int, e *Entry) (*Entry, bool) {
	old, cur := o.get(p, e.Key), o.parts[p][e.Key]
	if o.void(e) {
		return old, false
	}
	if cur != nil {
		same := e.Version == cur.Version
		switch {
		case cur.Kind == Revoked && e.Kind != Revoked && !cur.Expired(o.now):
			return old, false
		case e.Kind == Revoked && cur.Kind != Revoked:
		case same && (o.prov[cur] || cur.Near) && !e.Provisional && !e.Near:
		case same:
			return old, true
		case e.Version < cur.Version:
			return old, false
		}
	}
	delete(o.prov, cur)
	o.parts[p][e.Key] = e
	if e.Provisional {
		o.prov[e] = true
	}
	return old, true
}

func (o *oracle) remove(p int, key string, may func(*Entry) bool) *Entry {
	e := o.parts[p][key]
	if e == nil || !may(e) {
		return nil
	}
	delete(o.parts[p], key)
	return e
}

func (o *oracle) visible(p int, may func(*Entry) bool) (es []*Entry) {
	for key := range o.parts[p] {
		if e := o.get(p, key); e != nil && may(e) {
			es = append(es, e)
		}
	}
	slices.SortFunc(es, func(a, b *Entry) int {
		if a.Key < b.Key {
			return -1
		}
		return 1
	})
	return es
}

// sweep frees what the store must have freed after sweeps without end: all voided, and all whose end lies a tick back.
func (o *oracle) sweep() {
	for _, part := range o.parts {
		for key, e := range part {
			if o.void(e) || e.Expires != 0 && e.Expires>>tickShift < o.now>>tickShift {
				delete(part, key)
			}
		}
	}
}

func drawEntry(t *rapid.T, keys []string, now int64) *Entry {
	e := &Entry{
		Key:     rapid.SampledFrom(keys).Draw(t, "key"),
		Version: rapid.Uint64Range(1, 40).Draw(t, "version"),
		Kind:    rapid.SampledFrom([]Kind{Live, Live, Live, Tombstone, Revoked}).Draw(t, "kind"),
	}
	if rapid.IntRange(0, 2).Draw(t, "aged") == 0 {
		e.Origin = rapid.Uint64Range(1, e.Version).Draw(t, "origin")
	}
	e.Value = fmt.Sprint(e.Key, e.Version)
	if e.Kind != Live || rapid.Bool().Draw(t, "ends") {
		e.Expires = now + rapid.SampledFrom([]int64{1, 1 << 20, 1 << 25, 1 << 31, 1 << 38, 1 << 60}).Draw(t, "ttl")
	}
	if e.Kind == Live {
		e.Tags = rapid.SliceOfN(rapid.SampledFrom([]string{"a", "b", "c"}), 0, 2).Draw(t, "tags")
		e.Near = rapid.IntRange(0, 3).Draw(t, "near") == 0
	}
	e.Provisional = !e.Near && rapid.IntRange(0, 3).Draw(t, "provisional") == 0
	return e
}

func TestModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		const parts = 2
		keys := make([]string, rapid.SampledFrom([]int{3, 60}).Draw(t, "keys"))
		for i := range keys {
			keys[i] = fmt.Sprintf("k%02d", i)
		}
		var c clock
		c.ns.Store(rapid.SampledFrom([]int64{0, -1 << 40, 1<<41 - 5}).Draw(t, "start"))
		s := New(Config{Partitions: parts, Now: c.now})
		o := &oracle{now: c.now(), prov: map[*Entry]bool{}, tags: map[string]uint64{}}
		for range parts {
			o.parts = append(o.parts, map[string]*Entry{})
		}
		part := func() int { return rapid.IntRange(0, parts-1).Draw(t, "p") }
		version := func() uint64 { return rapid.Uint64Range(1, 40).Draw(t, "version") }
		key := func() string { return rapid.SampledFrom(keys).Draw(t, "key") }
		put := func(t *rapid.T) {
			p, e := part(), drawEntry(t, keys, c.now())
			wantOld, wantOK := o.put(p, e)
			old, ok := s.Put(p, e)
			if old != wantOld || ok != wantOK {
				t.Fatalf("Put: %p, %v; want %p, %v", old, ok, wantOld, wantOK)
			}
		}
		t.Repeat(map[string]func(*rapid.T){
			"put": put, "put2": put, "put3": put, "put4": put,
			"remove": func(t *rapid.T) {
				p, k, v := part(), key(), version()
				want := o.remove(p, k, func(e *Entry) bool { return e.Version <= v })
				if got := s.Remove(p, k, v); got != want {
					t.Fatalf("Remove: %p; want %p", got, want)
				}
			},
			"removeNear": func(t *rapid.T) {
				p, k, v := part(), key(), version()
				want := o.remove(p, k, func(e *Entry) bool { return e.Near && e.Version <= v }) != nil
				if got := s.RemoveNear(p, k, v); got != want {
					t.Fatalf("RemoveNear: %v; want %v", got, want)
				}
			},
			"cut": func(t *rapid.T) {
				v := version() / 2
				if tag := rapid.SampledFrom([]string{"a", "b", "c", "all"}).Draw(t, "tag"); tag == "all" {
					s.Cut("", true, v/2)
					o.clear = max(o.clear, v/2)
				} else {
					s.Cut(tag, false, v)
					o.tags[tag] = max(o.tags[tag], v)
				}
			},
			"pass": func(t *rapid.T) {
				c.ns.Add(rapid.SampledFrom([]int64{1, 1 << 20, 1 << 26, 1 << 32, 1 << 39, 1 << 58}).Draw(t, "for"))
				o.now = c.now()
			},
			"sweep": func(*rapid.T) {
				for range 3 { // a cut during a pass asks for another
					for s.Sweep(7) > 0 {
					}
					s.Sweep(1 << 20)
				}
				o.sweep()
				n := 0
				for _, part := range o.parts {
					n += len(part)
				}
				if st := s.Stats(); st.Entries+st.Near+st.Tombstones != n {
					t.Fatalf("%+v after a sweep; want %d entries in all", st, n)
				}
			},
			"wipe": func(t *rapid.T) {
				if rapid.IntRange(0, 9).Draw(t, "rare") > 0 {
					t.Skip()
				}
				p := part()
				s.Wipe(p)
				clear(o.parts[p])
			},
			"wipeNear": func(*rapid.T) {
				p := part()
				s.WipeNear(p)
				for k, e := range o.parts[p] {
					if e.Near {
						delete(o.parts[p], k)
					}
				}
			},
			"confirm": func(*rapid.T) {
				p := part()
				s.Confirm(p)
				for _, e := range o.parts[p] {
					delete(o.prov, e)
				}
			},
			"": func(t *rapid.T) {
				for p := range parts {
					for _, k := range keys {
						got, want := s.Get(p, k), o.get(p, k)
						if got != want {
							t.Fatalf("Get %s: %p; want %p", k, got, want)
						}
						if got != nil && got.IsProvisional() != o.prov[got] {
							t.Fatalf("IsProvisional %s: %v", k, got.IsProvisional())
						}
					}
					checkList(t, s, o, p)
				}
				checkAccount(t, s)
			},
		})
	})
}

func checkList(t *rapid.T, s *Store, o *oracle, p int) {
	want := o.visible(p, func(e *Entry) bool { return !e.Near })
	var got []*Entry
	for after, started, done := "", false, false; !done; {
		var es []*Entry
		es, done = s.List(p, after, started, 400)
		if len(es) == 0 && !done {
			t.Fatal("List makes no progress")
		}
		got = append(got, es...)
		if len(es) > 0 {
			after, started = es[len(es)-1].Key, true
		}
	}
	if !slices.Equal(got, want) {
		t.Fatalf("List: %d entries; want %d", len(got), len(want))
	}
	var keys []string
	for _, e := range o.visible(p, isValue) {
		keys = append(keys, e.Key)
	}
	if got := s.Keys(p); !slices.Equal(got, keys) {
		t.Fatalf("Keys: %v; want %v", got, keys)
	}
	if got := s.Count(p); got != len(keys) {
		t.Fatalf("Count: %d; want %d", got, len(keys))
	}
}

type failer interface {
	Helper()
	Fatalf(string, ...any)
}

// checkAccount recomputes from the tables what the store accounts for, and checks it and the links against each other.
// Nothing else may be under way.
func checkAccount(t failer, s *Store) {
	t.Helper()
	var bytes, graves int64
	var count, ending, linked [classes]int
	timed := 0
	for p := range s.parts {
		prov, n := 0, 0
		tab := s.parts[p].index.load()
		tab.each(func(e *Entry) bool {
			n++
			count[classOf(e)]++
			bytes += int64(e.Size())
			if e.Kind != Live {
				graves += int64(e.Size())
			}
			if e.Expires != 0 {
				timed++
				ending[classOf(e)]++
			}
			if e.IsProvisional() {
				prov++
			}
			if e.part() != p || e.picked() {
				t.Fatalf("part %d, picked %v of an entry in %d", e.part(), e.picked(), p)
			}
			return true
		})
		if prov != s.parts[p].provisional {
			t.Fatalf("%d provisional; want %d", s.parts[p].provisional, prov)
		}
		if full := int(s.parts[p].index.full); n != full || tab.first != nil && n == 0 {
			t.Fatalf("table counts %d of %d", full, n)
		}
	}
	for r := s.cuts.order.oldest; r != nil; r = r.newer {
		bytes += int64(r.Size())
	}
	for c := range s.q.lists {
		for e := s.q.lists[c].oldest; e != nil; e = e.newer {
			linked[c]++
		}
		if linked[c] != s.q.lists[c].n {
			t.Fatalf("list %d counts %d of %d", c, s.q.lists[c].n, linked[c])
		}
	}
	if count != s.q.count || linked != count || ending != s.q.ending {
		t.Fatalf("counted %v, linked %v, in the tables %v; with a TTL %v, in the tables %v", s.q.count, linked, count, s.q.ending, ending)
	}
	for _, level := range s.q.wheel.slots {
		for _, e := range level {
			for ; e != nil; e = e.wnext {
				timed--
			}
		}
	}
	st := s.Stats()
	if timed != 0 || st.Bytes != bytes || st.TombstoneBytes != graves {
		t.Fatalf("accounted %d, %d; want %d, %d; %d missing on the wheel", st.Bytes, st.TombstoneBytes, bytes, graves, timed)
	}
	if st.Bytes > s.q.maxUsed+s.q.maxGraves || st.TombstoneBytes > s.q.maxGraves {
		t.Fatalf("over the bound: %+v", st)
	}
}
