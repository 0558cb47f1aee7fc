package protocol

import (
	"fmt"
	"testing"

	"github.com/huddle-cache/huddle/node/store"
	"github.com/huddle-cache/huddle/ring"
	pb "github.com/huddle-cache/huddle/transport/peerpb"
)

// lent is an owner among three, with entries that the others may keep near copies of.
func lent(t *testing.T, mutant string, n int) (b *bench, keys []string) {
	b = newBench(t, mutant)
	b.enter(2, 3)
	b.confirm(2, 3)
	b.pass(2*sec, 2, 3)
	for i := 0; len(keys) < n; i++ {
		key := fmt.Sprint("key", i)
		p := ring.PartitionOf(key, benchRing.Partitions)
		if o := holdersAmong(t, 3, p); o[0] != 1 || o[1] != 2 {
			continue
		}
		keys = append(keys, key)
		b.m.store.Put(p, &store.Entry{Key: key, Value: "v", Version: 2<<viewShift + 1})
	}
	b.from(3, b.stamp(600, &pb.Message{Body: &pb.Message_LeaseAsk{LeaseAsk: &pb.LeaseAsk{Asked: b.now}}}))
	b.take(func(*pb.Message) bool { return true })
	return b, keys
}

// lend lets c read a key to keep it, and tells whether it may. What is recalled from c it is told before the answer.
func (b *bench) lend(key string) (kept bool, recalled []letter) {
	b.t.Helper()
	b.from(3, b.stamp(601, &pb.Message{Body: &pb.Message_Get{Get: &pb.Get{Key: key, Keep: true}}}))
	recalled = b.take(func(m *pb.Message) bool { return m.GetInvalidate() != nil })
	for _, l := range b.take(func(m *pb.Message) bool { return m.GetGetReply() != nil }) {
		kept = l.msg.GetGetReply().Keep
	}
	return kept, recalled
}

func (b *bench) confirmDropped(ls ...letter) {
	for _, l := range ls {
		b.from(l.to, b.stamp(l.msg.Id, &pb.Message{Body: &pb.Message_InvalidateReply{InvalidateReply: &pb.InvalidateReply{}}}))
	}
}

// noted tells whether c is noted as a holder of a key.
func (b *bench) noted(key string) bool {
	return len(b.m.parts[ring.PartitionOf(key, benchRing.Partitions)].holders[key]) > 0
}

// However many keys have been read, near copies are granted: for each new one an old one is recalled, and those that are read again stay.
func TestOldNotesAreRecalled(t *testing.T) {
	b, keys := lent(t, "", 1000)
	hot, refused, recalls, again := keys[0], 0, 0, 0
	for i, key := range keys {
		if i%10 == 0 && !b.noted(hot) {
			again++
		}
		if i%10 == 0 {
			b.lend(hot)
		}
		kept, rs := b.lend(key)
		if !kept {
			refused++
		}
		if len(rs) > 1 {
			t.Fatalf("%d were recalled for one", len(rs))
		}
		recalls += len(rs)
		b.confirmDropped(rs...)
		if b.m.holders > b.m.cfg.MaxHolders {
			t.Fatalf("%d notes", b.m.holders)
		}
	}
	if refused > 0 || again > 1 {
		t.Errorf("refused %d times; the key that is read all the time was recalled %d times", refused, again)
	}
	if least := len(keys) - b.m.cfg.MaxHolders; recalls < least || recalls > len(keys) {
		t.Errorf("%d recalls for %d reads of new keys", recalls, len(keys))
	}
	n := 0
	for p := range b.m.parts {
		for _, hs := range b.m.parts[p].holders {
			n += len(hs)
		}
	}
	if n != b.m.holders {
		t.Errorf("%d notes, counted as %d", n, b.m.holders)
	}
}

// A holder that does not answer is not told of all its notes at once, nor for ever: it is asked again after a while.
func TestRecallsUnanswered(t *testing.T) {
	b, keys := lent(t, "", 300)
	sent := 0
	lend := func() {
		for _, key := range keys {
			_, rs := b.lend(key)
			sent += len(rs)
		}
	}
	lend()
	if spare := b.m.cfg.MaxHolders / 16; sent != spare || b.m.holders != b.m.cfg.MaxHolders {
		t.Errorf("%d recalls, %d notes", sent, b.m.holders)
	}
	b.pass(b.m.cfg.ExpelAfter+100*ms, 2, 3)
	b.take(func(*pb.Message) bool { return true })
	if lend(); sent != 2*(b.m.cfg.MaxHolders/16) {
		t.Errorf("%d recalls after a while", sent)
	}
}

// What a reader kept under a session that has ended is recalled without a word.
func TestVoidNotesGiveWay(t *testing.T) {
	b, keys := lent(t, "", 150)
	for _, key := range keys[:90] {
		b.lend(key)
	}
	for p := range b.m.parts {
		for _, hs := range b.m.parts[p].holders {
			for i := range hs {
				hs[i].session = 99
			}
		}
	}
	for _, key := range keys[90:] {
		if kept, rs := b.lend(key); !kept || len(rs) > 0 {
			t.Fatalf("kept: %v; %d recalls", kept, len(rs))
		}
	}
}

// Who reads a key again while it is recalled from him keeps a note: what he holds now came after.
func TestReadWhileRecalled(t *testing.T) {
	b, keys := lent(t, "", 300)
	for _, key := range keys {
		_, rs := b.lend(key)
		if len(rs) == 0 {
			continue
		}
		again := rs[0].msg.GetInvalidate().Key
		b.lend(again)
		b.confirmDropped(rs...)
		if !b.noted(again) {
			t.Error("forgotten")
		}
		return
	}
	t.Fatal("none was recalled")
}
