package node

import (
	"context"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"
)

// Members that come and go after a flood of deletes, so that partitions are given away and taken back under a raised floor, cost
// no session a copy.
func TestFloodThenBounce(t *testing.T) {
	const sessions, maxBytes = 3000, 16 << 20
	ns := cluster(t, 3, Config{MaxBytes: maxBytes, MaxValueBytes: 64 << 10, Retention: 24 * time.Hour})
	ctx, cancel := context.WithTimeout(context.Background(), time.Hour)
	defer cancel()
	key := func(i int) string { return fmt.Sprint("session:", i) }
	for i := range sessions {
		if err := ns[i%3].Set(ctx, key(i), make([]byte, 300)); err != nil {
			t.Fatal(err)
		}
	}
	done := make(chan bool)
	for w := range 64 {
		go func() {
			for range 1000 {
				_ = ns[w%3].Delete(ctx, fmt.Sprintf("random:%016x", rand.Uint64()), Revoke())
			}
			done <- true
		}()
	}
	for range 64 {
		<-done
	}
	floors := 0
	for p := range ns[0].cfg.Partitions {
		if ns[0].store.Floor(p) > 0 {
			floors++
		}
	}
	if floors == 0 {
		t.Fatal("the flood was too small: no floor was raised")
	}
	for round := range 2 {
		j := start(t, Config{
			Name: fmt.Sprint("x", round), Join: []string{ns[0].Addr()}, MaxBytes: maxBytes, MaxValueBytes: 64 << 10,
			Partitions: ns[0].cfg.Partitions, VirtualNodes: ns[0].cfg.VirtualNodes, Load: ns[0].cfg.Load,
		})
		eventually(t, "it joins", func() bool { return ns[0].Stats().Members == 4 })
		_ = j.Leave(ctx)
		eventually(t, "it is gone", func() bool { return ns[0].Stats().Members == 3 })
		lost := 0
		for i := range sessions {
			if _, ok, err := ns[i%3].Get(ctx, key(i)); !ok || err != nil {
				lost++
			}
		}
		if lost > 0 {
			t.Errorf("round %d: %d sessions lost", round, lost)
		}
		settled(t, ns...)
		copies := 0
		for _, n := range ns {
			copies += n.Stats().Entries
		}
		if copies != 2*sessions {
			t.Errorf("round %d: %d copies of %d sessions, want %d", round, copies, sessions, 2*sessions)
		}
	}
}
