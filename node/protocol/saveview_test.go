package protocol

import (
	"slices"
	"testing"

	"github.com/huddle-cache/huddle/node/store"
	pb "github.com/huddle-cache/huddle/transport/peerpb"
)

// Who comes into a cluster is the owner of keys before it has read the cuts that are remembered there. One of them, of the user who logs in meanwhile, into a
// session of before, must not end that: it was confirmed before the log-in began.
func TestALogInBeforeTheCutsAreRead(t *testing.T) {
	for mutant, want := range map[string]bool{"": true, "save-of-old-views": false} {
		b := newBench(t, mutant)
		b.join()
		b.pass(1500*ms, 2, 3)
		p := partition(t, func(p int) bool { return b.m.parts[p].acting && !b.m.parts[p].complete.Load() })
		key, status := keyOf(p), pb.Status(-1)
		b.m.Write(&pb.Write{Key: key, IfPresent: true, Tags: []string{"store", "user"}}, b.now+5*sec, 0, func(r Result) { status = r.Status })
		for _, l := range b.take(func(m *pb.Message) bool { return m.GetPullKey() != nil }) {
			b.from(l.to, b.stamp(l.msg.Id, &pb.Message{Body: &pb.Message_PullKeyReply{PullKeyReply: &pb.PullKeyReply{
				Key: key, Entry: &pb.Entry{Key: key, Version: 2<<viewShift + 5, Tags: []string{"store"}},
			}}}))
		}
		for _, l := range b.take(func(m *pb.Message) bool { return m.GetCopy() != nil }) {
			b.from(l.to, b.stamp(l.msg.Id, pb.NewCopyReply()))
		}
		if status != pb.Status_OK {
			t.Fatal(status)
		}
		b.m.applyCuts([]*pb.CutRecord{{Tag: "user", Version: 2<<viewShift + 9}}) // as they come from the sources
		if e := b.m.store.Get(p, key); (e != nil && e.Kind == store.Live) != want {
			t.Errorf("mutant %q: the session, whose save is confirmed: %+v", mutant, e)
		}
	}
}

// A cut may be left half done: whoever makes it dies when one copy has heard of it, and its owner not. What is saved when that member is replaced is no older
// than that, nor is what is made of another key's entry: the copy must keep it, or the confirmed save is lost with the owner.
func TestASaveAfterACutThatWasLeftHalfDone(t *testing.T) {
	type save struct {
		tags []string
		on   func(w *pb.Write, age uint64)
	}
	there := func(w *pb.Write, _ uint64) { w.IfPresent = true }
	for _, x := range []save{
		{[]string{"store"}, there},
		{[]string{"store", "user"}, there},
		{[]string{"store", "user"}, func(w *pb.Write, age uint64) { w.Origin = age }},
	} {
		for mutant, want := range map[string]Outcome{"": Hit, "save-of-old-views": Absent} {
			s := &saving{sim: rested(t, 4)}
			for _, p := range s.procs {
				p.m.cfg.Mutant = mutant
			}
			s.owner = s.ownerOf(savedKey)
			spare, heir := s.holdersWithoutOne(t, savedKey)
			if got := s.write(&pb.Write{Tags: x.tags}); got != pb.Status_OK {
				t.Fatal(got)
			}
			age := s.entry().Age()
			heir.m.applyCuts([]*pb.CutRecord{{Tag: "user", Version: spare.m.nextVersion()}})
			s.kill(spare, false)
			if !s.until(20*sec, func() bool { return len(s.owner.m.lay.ids) == 3 && s.owner.m.InSync() }) {
				t.Fatal("it is not replaced")
			}
			w := &pb.Write{Tags: []string{"store", "user"}}
			if x.on(w, age); s.write(w) != pb.Status_OK {
				t.Fatal("not saved")
			}
			s.kill(s.owner, false)
			if !s.until(20*sec, func() bool { return heir.m.lay.owner(partOf(savedKey)) == heir.id && heir.m.InSync() }) {
				t.Fatal("nobody takes over")
			}
			if _, got := heir.m.Read(savedKey); got != want {
				t.Errorf("mutant %q, %v: %v, want %v", mutant, w, got, want)
			}
		}
	}
}

// holdersWithoutOne returns a process that holds nothing of a key, and the one that has the copy with it and without it.
func (s *sim) holdersWithoutOne(t *testing.T, key string) (spare, heir *simProc) {
	t.Helper()
	lay := s.procs[0].m.lay
	was := lay.table.Owners(partOf(key))
	for i, id := range lay.ids {
		names := slices.Delete(namesOf(lay.view.Members), i, i+1)
		table, err := s.ring(names)
		if err != nil {
			t.Fatal(err)
		}
		is := table.Owners(partOf(key))
		if slices.Contains(was, uint16(i)) || names[is[0]] != lay.view.Members[was[0]].Name || names[is[1]] != lay.view.Members[was[1]].Name {
			continue
		}
		return s.byID(id), s.byID(lay.ids[was[1]])
	}
	t.Fatal("no such process: choose another key")
	return nil, nil
}
