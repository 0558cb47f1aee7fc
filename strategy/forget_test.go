package strategy

import (
	"errors"
	"fmt"
	"runtime"
	"testing"
	"time"
	"weak"

	"github.com/huddle-cache/huddle/node"
	"github.com/huddle-cache/huddle/node/nodetest"
)

// What was decoded of a session is given up with it, and not when the next one is decoded: who logs out leaves nothing behind.
func TestNothingDecodedOutlivesDeleteAndClear(t *testing.T) {
	n := nodetest.Start(t, 1).Node(0)
	ctx := t.Context()
	token := func(i int) string { return fmt.Sprint("t", i) }
	decode := func(p *PeerToPeer) (notes []weak.Pointer[node.Note]) {
		for i := range 50 {
			_, found, err := p.Get(ctx, token(i))
			e, _, _ := n.Peek(p.prefix + token(i))
			note := e.Memo.Load()
			if !found || err != nil || note == nil {
				t.Fatal(found, err, note)
			}
			notes = append(notes, weak.Make(note))
		}
		return notes
	}
	for about, end := range map[string]func(p *PeerToPeer) error{
		"Clear": func(p *PeerToPeer) error { return p.Clear(ctx) },
		"Delete": func(p *PeerToPeer) (err error) {
			for i := range 50 {
				err = errors.Join(err, p.Delete(ctx, token(i)))
			}
			return err
		},
	} {
		p := NewPeerToPeer(n, WithKeyPrefix(about+":"))
		for i := range 50 {
			if err := p.Set(ctx, CachedSession{Token: token(i)}); err != nil {
				t.Fatal(err)
			}
		}
		notes := decode(p)
		if err := end(p); err != nil {
			t.Fatal(err)
		}
		kept := func() (count int) {
			for _, note := range notes {
				if note.Value() != nil {
					count++
				}
			}
			return count
		}
		for deadline := time.Now().Add(10 * time.Second); kept() > 0; runtime.GC() {
			if time.Now().After(deadline) {
				t.Fatalf("%d decoded sessions are kept after %s", kept(), about)
			}
		}
		runtime.KeepAlive(p)
	}
}
