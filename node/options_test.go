package node

import (
	"errors"
	"testing"
)

// A nil option is none, in every call that takes options.
func TestNilOptions(t *testing.T) {
	n := start(t, Config{})
	ctx := t.Context()
	ended := make(chan Outcome, 2)
	n.Begin([]Op{
		{Kind: OpSet, Key: "a", Set: []SetOption{nil}}, {Kind: OpRemove, Key: "b", Remove: []DeleteOption{nil}},
	}, func(_ int, o Outcome) { ended <- o })
	if err := errors.Join(
		(<-ended).Err, (<-ended).Err,
		n.Set(ctx, "k", []byte("v"), nil, WithTags("t"), nil),
		errors.Join(n.SetMany(ctx, []SetItem{{Key: "l", Options: []SetOption{nil}}})...),
		n.InvalidateTags(ctx, "t"),
		n.Delete(ctx, "l", nil),
		errors.Join(n.DeleteMany(ctx, []string{"a"}, nil)...),
	); err != nil {
		t.Fatal(err)
	}
	if _, found, err := n.Get(ctx, "k"); found || err != nil {
		t.Errorf("Get after its tag was invalidated: %v, %v", found, err)
	}
}

// What the command takes for loopback needs no key here either.
func TestLoopbackNeedsNoKey(t *testing.T) {
	for _, listen := range []string{"Localhost:0", "127.0.0.1:0", "[::ffff:127.0.0.1]:0"} {
		start(t, Config{Listen: listen})
	}
	for _, listen := range []string{":0", "0.0.0.0:0", "[::]:0"} {
		if n, err := Start(t.Context(), Config{Listen: listen}); !errors.Is(err, ErrInvalid) {
			t.Errorf("%s without a key: %v", listen, err)
			if n != nil {
				_ = n.Close()
			}
		}
	}
}
