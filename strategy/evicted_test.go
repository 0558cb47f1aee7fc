package strategy_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/huddle-cache/huddle/node"
	"github.com/huddle-cache/huddle/node/nodetest"
	"github.com/huddle-cache/huddle/strategy"
)

// A session that its owner has evicted, and a copy serves still, cannot be saved: then it has ended, and is not found for ever by requests none of which can
// save it.
func TestSaveOfASessionThatItsOwnerHasEvicted(t *testing.T) {
	c := nodetest.Start(t, 2, nodetest.WithConfig(func(_ int, c *node.Config) { c.MaxBytes, c.MaxValueBytes = 1<<20, 64<<10 }))
	owner, other := c.Node(0), c.Node(1)
	store, atOwner := strategy.NewSCSStore(other), strategy.NewSCSStore(owner)
	in1h := time.Now().Add(time.Hour)
	var tokens []string
	for i := 0; len(tokens) < 3; i++ {
		token := fmt.Sprint("token", i)
		if owner.Locate("scs:"+token).Owner != owner.Name() {
			continue
		}
		tokens = append(tokens, token)
		if err := store.Commit(token, []byte("ada"), in1h); err != nil {
			t.Fatal(err)
		}
	}
	for i := range 100 { // several times what there is room for
		page := fmt.Sprint("page:", i)
		if err := owner.Set(t.Context(), page, make([]byte, 32<<10)); err != nil {
			t.Fatal(err)
		}
		if _, found, err := owner.Get(t.Context(), page); !found || err != nil {
			t.Fatal(found, err)
		}
		for _, token := range tokens { // where they are in use
			if _, found, err := store.Find(token); !found || err != nil {
				t.Fatal("the copy is gone too:", err)
			}
		}
	}
	for i, token := range tokens {
		if _, found, ok := owner.Peek("scs:" + token); found || !ok {
			t.Fatal("not evicted at its owner")
		}
		if err := store.Commit(token, []byte("ada, later"), in1h); !errors.Is(err, strategy.ErrRevoked) {
			t.Errorf("Commit %d: %v", i, err)
		}
		for _, s := range []*strategy.SCSStore{store, atOwner} {
			if data, found, err := s.Find(token); found || err != nil {
				t.Errorf("%d: found after Commit has said that it was ended: %q, %v", i, data, err)
			}
		}
	}
}
