package protocol

import (
	"fmt"
	"testing"

	"github.com/huddle-cache/huddle/node/store"
	pb "github.com/huddle-cache/huddle/transport/peerpb"
)

// saving is a cluster at rest in which a session is saved again and again on one condition.
type saving struct {
	*sim
	owner, other *simProc
	on           func(w *pb.Write, version uint64)
	tags         func(saved int) []string
}

const savedKey = "session"

func newSaving(t *testing.T, mutant string, on func(w *pb.Write, version uint64)) *saving {
	t.Helper()
	s := &saving{sim: restedBy(t, 2, 3), on: on, tags: func(int) []string { return []string{"user", "store"} }}
	s.owner, s.other = s.ownerOf(savedKey), s.procs[0]
	if s.other == s.owner {
		s.other = s.procs[1]
	}
	s.owner.m.cfg.Mutant = mutant
	return s
}

// ownerOf returns the owner of a key, in a cluster at rest.
func (s *sim) ownerOf(key string) *simProc {
	lay := s.procs[0].m.lay
	return s.byID(lay.ids[lay.table.Owner(partOf(key))])
}

// write makes a write and says how it ended.
func (s *saving) write(w *pb.Write) (status pb.Status) {
	status = -1
	w.Key = savedKey
	s.owner.m.Write(w, s.owner.Now()+5*sec, 0, func(r Result) { status = r.Status })
	s.until(10*sec, func() bool { return status != -1 })
	return status
}

// entry is what the owner has.
func (s *saving) entry() *store.Entry { return s.owner.m.store.Get(partOf(savedKey), savedKey) }

// cut makes a cut, and meanwhile saves the session all the time.
func (s *saving) cut(tags []string) (saved int, confirmed bool) {
	var save func()
	save = func() {
		if confirmed {
			return
		}
		if e := s.entry(); e != nil {
			w := &pb.Write{Key: savedKey, Tags: s.tags(saved)}
			s.on(w, e.Version)
			if w.Ticket != 0 {
				w.TicketChain = s.owner.m.lay.view.Chain
			}
			s.owner.m.Write(w, s.owner.Now()+5*sec, 0, func(r Result) {
				if r.Status == pb.Status_OK {
					saved++
				}
			})
		}
		s.at(50_000, s.owner, save)
	}
	s.at(0, s.owner, save)
	s.other.m.Cut(tags, s.other.Now()+5*sec, 0, func(r Result) { confirmed = r.Status == pb.Status_OK })
	s.until(10*sec, func() bool { return confirmed })
	s.until(sec, func() bool { return false })
	return saved, confirmed
}

// A save on condition that the session is there, of a request that was under way, must not carry it past a cut: not even if its owner makes it
// after it has told its clock to the cut and before it has voided, time and again. Nor does a ticket make it younger that was given just then.
func TestSavesDoNotOutliveACut(t *testing.T) {
	for name, on := range map[string]func(w *pb.Write, version uint64){
		"IfPresent":                func(w *pb.Write, _ uint64) { w.IfPresent = true },
		"IfVersion":                func(w *pb.Write, version uint64) { w.IfVersion = version },
		"IfVersion, with a ticket": func(w *pb.Write, version uint64) { w.IfVersion, w.Ticket = version, version },
		"a ticket alone":           func(w *pb.Write, version uint64) { w.Ticket = version }, // which is refused, too, if the entry is another
	} {
		for _, tags := range [][]string{{"user"}, nil} { // what is cut; nil: everything
			for mutant, want := range map[string]pb.Status{"": pb.Status_CONDITION, "save-is-new": pb.Status_OK} {
				s := newSaving(t, mutant, on)
				if got := s.write(&pb.Write{Tags: []string{"store", "user"}}); got != pb.Status_OK {
					t.Fatal(got)
				}
				if saved, confirmed := s.cut(tags); saved == 0 || !confirmed {
					t.Fatalf("saved %d times; the cut is confirmed: %v", saved, confirmed)
				}
				if got := s.write(&pb.Write{IfPresent: true, Tags: []string{"user"}}); got != want {
					t.Errorf("%s, mutant %q, cut of %q: a save after the cut: %v, want %v", name, mutant, tags, got, want)
				}
			}
		}
	}
}

// Nor must one that adds a tag each time: it is new to cuts of that tag, and not to those of the others.
func TestSavesWithNewTagsDoNotOutliveACut(t *testing.T) {
	for _, tags := range [][]string{{"store"}, nil} {
		for mutant, want := range map[string]pb.Status{"": pb.Status_CONDITION, "new-tag-is-new": pb.Status_OK} {
			s := newSaving(t, mutant, func(w *pb.Write, _ uint64) { w.IfPresent = true })
			s.tags = func(saved int) []string { return []string{"store", fmt.Sprint("user ", saved)} }
			if got := s.write(&pb.Write{Tags: []string{"store"}}); got != pb.Status_OK {
				t.Fatal(got)
			}
			if saved, confirmed := s.cut(tags); saved == 0 || !confirmed {
				t.Fatalf("saved %d times; the cut is confirmed: %v", saved, confirmed)
			}
			if got := s.write(&pb.Write{IfPresent: true, Tags: []string{"store"}}); got != want {
				t.Errorf("mutant %q, cut of %q: a save after the cut: %v, want %v", mutant, tags, got, want)
			}
		}
	}
}

// Who logs in into a session that has no user is not ended by what ended the user before, and a session that is saved again and again is of a
// recent age.
func TestSavesAreNotTooOld(t *testing.T) {
	s := userless(t, "")
	first := s.entry().Version
	for range 20 {
		if got := s.write(&pb.Write{IfPresent: true, Tags: []string{"store", "user"}}); got != pb.Status_OK {
			t.Fatalf("a save after the log-in: %v", got)
		}
		s.until(20*sec, func() bool { return false })
	}
	if e := s.entry(); e.Age() <= first || e.Age() >= e.Version {
		t.Errorf("age %d, version %d; that of the first value was %d", e.Age(), e.Version, first)
	}
	if got := userless(t, "new-tag-is-old").write(&pb.Write{IfPresent: true, Tags: []string{"store", "user"}}); got == pb.Status_OK {
		t.Error("without the rule that a tag is new, the log-in is there")
	}
}

// userless is a session without a user, who is cut.
func userless(t *testing.T, mutant string) *saving {
	t.Helper()
	s := newSaving(t, mutant, nil)
	if got := s.write(&pb.Write{Tags: []string{"store"}}); got != pb.Status_OK {
		t.Fatal(got)
	}
	confirmed := false
	s.other.m.Cut([]string{"user"}, s.other.Now()+5*sec, 0, func(r Result) { confirmed = r.Status == pb.Status_OK })
	if !s.until(10*sec, func() bool { return confirmed }) {
		t.Fatal("the cut is not confirmed")
	}
	return s
}

// A session that gets another token, as by RENAME, must not outlive a cut either: not even if it is read where the cut has not voided yet, and written
// where the ticket for the new key is above the version of the cut.
func TestMovesDoNotOutliveACut(t *testing.T) {
	for mutant, want := range map[string]bool{"": false, "made-anew": true} {
		outlived, moves := false, 0
		for round := range 80 { // the cut comes a little later each time
			s := rested(t, 3)
			for _, p := range s.procs {
				p.m.cfg.Mutant = mutant
			}
			ownedBy := func(p *simProc, name string) string {
				for i := 0; ; i++ {
					if key := fmt.Sprint(name, i); s.ownerOf(key) == p {
						return key
					}
				}
			}
			front := s.procs[0] // reads here what it moves, so that there is time between the ticket and the second round
			keys := []string{ownedBy(front, "session"), ownedBy(s.procs[1], "session")}
			ended := func(w *pb.Write, then func(Result)) { front.m.Write(w, front.Now()+5*sec, 0, then) }
			confirmed, placed := false, false
			ended(&pb.Write{Key: keys[0], Tags: []string{"user"}}, func(r Result) { placed = r.Status == pb.Status_OK })
			if !s.until(10*sec, func() bool { return placed }) {
				t.Fatal("not stored")
			}
			var move func(from, to string)
			move = func(from, to string) {
				if confirmed {
					return
				}
				front.m.GetAgain(&pb.Get{Key: to, Fill: true}, front.Now()+5*sec, func(ticket Result) {
					front.m.GetAgain(&pb.Get{Key: from, Fill: true}, front.Now()+5*sec, func(found Result) {
						if found.Entry == nil {
							return
						}
						e := found.Entry
						w := &pb.Write{Key: to, Tags: e.Tags, Ticket: ticket.Ticket, TicketChain: ticket.Chain, Origin: e.Age()}
						version := e.Version
						ended(w, func(r Result) {
							if r.Status != pb.Status_OK {
								move(from, to)
								return
							}
							moves++
							ended(&pb.Write{Key: from, Kind: pb.Kind_TOMBSTONE, IfVersion: version}, func(Result) { move(to, from) })
						})
					})
				})
			}
			s.at(0, front, func() { move(keys[0], keys[1]) })
			for _, key := range keys { // their owners are busy, so the tickets soon are above whatever they have told to the cut
				owner := s.ownerOf(key)
				beside := ownedBy(owner, "beside")
				var write func()
				write = func() {
					if owner.m.Write(&pb.Write{Key: beside}, owner.Now()+5*sec, 0, func(Result) {}); !confirmed {
						s.at(20_000, owner, write)
					}
				}
				s.at(0, owner, write)
			}
			s.at(int64(round)*ms/4, s.procs[2], func() {
				s.procs[2].m.Cut([]string{"user"}, s.procs[2].Now()+5*sec, 0, func(r Result) { confirmed = r.Status == pb.Status_OK })
			})
			if !s.until(10*sec, func() bool { return confirmed }) {
				t.Fatal("the cut is not confirmed")
			}
			s.until(sec, func() bool { return false })
			for _, key := range keys {
				if e := s.ownerOf(key).m.store.Get(partOf(key), key); e != nil && e.Kind == store.Live {
					outlived = true
				}
			}
		}
		if moves < 20 {
			t.Errorf("mutant %q: %d moves", mutant, moves)
		}
		if outlived != want {
			t.Errorf("mutant %q: a session has outlived the cut: %v, want %v", mutant, outlived, want)
		}
	}
}
