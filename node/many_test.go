package node_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/huddle-cache/huddle/node"
)

// What cannot be had of one owner keeps no other key from being answered.
func TestManyKeysPastALostOwner(t *testing.T) {
	c := cluster(t, 3, node.Config{Replicas: 1})
	ns, ctx := c.Nodes(), ctxT(t)
	var keys []string
	lost := map[string]bool{}
	for i := range 200 {
		k := fmt.Sprint("k", i)
		if err := ns[0].Set(ctx, k, []byte(k)); err != nil {
			t.Fatal(err)
		}
		keys = append(keys, k)
		lost[k] = ns[0].Locate(k).Owner == ns[2].Name()
	}
	for _, f := range ns[0].GetMany(ctx, keys) {
		if f.Err != nil || !f.Found {
			t.Fatalf("before: %v %v", f.Found, f.Err)
		}
	}
	c.Isolate(2)
	short, cancel := context.WithTimeout(ctx, 200*time.Millisecond)
	defer cancel()
	for i, f := range ns[0].GetMany(short, append(keys, "")) {
		switch {
		case i == len(keys):
			if !errors.Is(f.Err, node.ErrInvalid) {
				t.Errorf("an empty key: %v", f.Err)
			}
		case !lost[keys[i]] && (f.Err != nil || string(f.Value) != keys[i]):
			t.Errorf("%s of a reachable owner: %q, %v", keys[i], f.Value, f.Err)
		}
	}
	deleted := 0
	for i, err := range ns[1].DeleteMany(ctx, keys) {
		switch {
		case err == nil:
			deleted++
		case !lost[keys[i]]:
			t.Errorf("%s of a reachable owner: %v", keys[i], err)
		}
	}
	for i, f := range ns[0].GetMany(ctx, keys) {
		if f.Found {
			t.Errorf("%s is still there", keys[i])
		}
	}
	if deleted == 0 {
		t.Error("nothing was deleted")
	}
}
