package node

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"encoding/base64"
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/huddle-cache/huddle/node/protocol"
)

// Keys of any bytes are kept, and break no session between nodes.
func TestKeysOfAnyBytes(t *testing.T) {
	ns := cluster(t, 3, Config{})
	ctx := ctxT(t)
	keys := []string{"plain", "\xff\xfe", "\x00", "\x00b:", "\x00b:_w", "\xff", "caf\xc3\xa9", "caf\xe9", strings.Repeat("\x80", maxKeyBytes), "\x00b:\xff"}
	for i, k := range keys {
		if err := ns[i%3].Set(ctx, k, []byte(k)); err != nil {
			t.Fatalf("%q: %v", k, err)
		}
	}
	for i, k := range keys {
		if v, ok, err := ns[(i+1)%3].Get(ctx, k); string(v) != k || !ok || err != nil {
			t.Errorf("%q: %q, %v, %v", k, v, ok, err)
		}
	}
	seen := map[string]int{}
	listed, next, err := ns[0].Scan(ctx, 0, 1000)
	if err != nil || next != 0 {
		t.Fatal(next, err)
	}
	for _, k := range listed {
		seen[k]++
	}
	for _, k := range keys {
		if seen[k] != 1 {
			t.Errorf("%q is listed %d times: %q", k, seen[k], listed)
		}
	}
	if err := ns[0].Set(ctx, "k", nil, WithTags("\xff")); !errors.Is(err, ErrInvalid) {
		t.Error(err)
	}
	if err := ns[0].InvalidateTags(ctx, "\xff"); !errors.Is(err, ErrInvalid) {
		t.Error(err)
	}
}

// With HashTokens neither key nor value is anywhere in the stores, and all works as without.
func TestHashTokens(t *testing.T) {
	key := []byte("0123456789abcdef0123456789abcdef")
	ns := cluster(t, 3, Config{Key: key, HashTokens: true})
	ctx := ctxT(t)
	token, value := "token-in-clear", []byte("value-in-clear")
	if err := ns[0].Set(ctx, token, value, WithTTL(time.Minute), WithTags("user:1")); err != nil {
		t.Fatal(err)
	}
	for _, n := range ns {
		if v, ok, err := n.Get(ctx, token); !bytes.Equal(v, value) || !ok || err != nil {
			t.Fatal(v, ok, err)
		}
		if e, ok, err := n.Lookup(ctx, token); !bytes.Equal(e.Value, value) || !ok || err != nil || e.TTL == 0 || e.Tags[0] != "user:1" {
			t.Fatal(e, ok, err)
		}
		if e, ok, known := n.Peek(token); known && (!ok || !bytes.Equal(e.Value, value) || e.Memo != nil) {
			t.Fatal(e, ok) // a memo would keep in memory what a caller has made of the value
		}
		if e, ok, _, err := n.LookupOrTicket(ctx, token); !bytes.Equal(e.Value, value) || !ok || err != nil || e.Memo != nil {
			t.Fatal(e, ok, err)
		}
		if n.Locate(token).Owner != ns[0].Locate(token).Owner {
			t.Error("nodes disagree on where a token lives")
		}
		for p := range n.cfg.Partitions {
			es, _ := n.store.List(p, "", false, 1<<30)
			for _, e := range es {
				if strings.Contains(fmt.Sprintf("%q %q", e.Key, e.Value), "in-clear") {
					t.Fatalf("in memory: %q %q", e.Key, e.Value)
				}
			}
		}
		if _, _, err := n.Scan(ctx, 0, 10); !errors.Is(err, ErrHashed) {
			t.Error(err)
		}
		if count, err := n.Len(ctx); count != 1 || err != nil {
			t.Error(count, err)
		}
	}
	if ok, err := ns[1].Touch(ctx, token, time.Hour); !ok || err != nil {
		t.Fatal(ok, err)
	}
	_, ok, ticket, err := ns[1].LookupOrTicket(ctx, "fill")
	if ok || err != nil {
		t.Fatal(ok, err)
	}
	if err := ns[2].Set(ctx, "fill", value, WithTicket(ticket)); err != nil {
		t.Fatal(err)
	}
	if err := ns[2].Delete(ctx, token, Revoke()); err != nil {
		t.Fatal(err)
	}
	for _, n := range ns {
		if _, ok, err := n.Get(ctx, token); ok || err != nil {
			t.Error("after the delete", ok, err)
		}
	}
	if err := ns[0].Set(ctx, token, value); !errors.Is(err, ErrRevoked) {
		t.Error(err)
	}
	// What has been tampered with is an error, not a value.
	if err := ns[0].Set(ctx, "other", value); err != nil {
		t.Fatal(err)
	}
	for _, n := range ns {
		if e, out := n.m.Read(n.tokens.key("other")); out == protocol.Hit {
			e.Bytes()[len(e.Value)-1] ^= 1
			if v, _, err := n.Get(ctx, "other"); err == nil {
				t.Errorf("a value that was changed is served: %q", v)
			}
			e.Bytes()[len(e.Value)-1] ^= 1
		}
	}
}

func TestHashTokensConfig(t *testing.T) {
	if _, err := Start(t.Context(), Config{HashTokens: true}); !errors.Is(err, ErrInvalid) || !strings.Contains(err.Error(), "needs a Key") {
		t.Error(err)
	}
	if _, err := Start(t.Context(), Config{HashTokens: true, TokenKey: make([]byte, 5)}); !errors.Is(err, ErrInvalid) {
		t.Error(err)
	}
	key, other := bytes.Repeat([]byte{1}, 32), bytes.Repeat([]byte{2}, 32)
	a := start(t, Config{Name: "a", Key: key, HashTokens: true})
	<-a.Ready()
	for name, cfg := range map[string]Config{
		"not hashed": {}, "hashed with another key": {HashTokens: true, TokenKey: other},
	} {
		cfg.Name, cfg.Key, cfg.Join = "b", key, []string{a.Addr()}
		b := start(t, cfg)
		eventually(t, "a refusal", func() bool {
			return b.Stats().Members != 2 && a.Stats().Members == 1 && b.gossip.Load().Reached()
		})
		if b.InSync() {
			t.Errorf("%s: a node joins whose keys are others", name)
		}
		b.Close()
	}
	// One that knows the token key by itself joins under another key of the cluster.
	if err := a.Rekey(Secrets{Key: key, SecondaryKeys: [][]byte{other}}); err != nil {
		t.Fatal(err)
	}
	c := start(t, Config{Name: "c", Key: other, SecondaryKeys: [][]byte{key}, HashTokens: true, TokenKey: a.tokens.secret, Join: []string{a.Addr()}})
	settled(t, a, c)
	if err := a.Set(ctxT(t), "k", []byte("v")); err != nil {
		t.Fatal(err)
	}
	if v, _, err := c.Get(ctxT(t), "k"); string(v) != "v" || err != nil {
		t.Error(v, err)
	}
}

// What an entry is stored under does not open it: who has a node's memory has that. Nor do two values that are the same look so.
func TestTheNameOfASealedEntryDoesNotOpenIt(t *testing.T) {
	tok := &tokens{secret: []byte("secret")}
	one, err := tok.seal("token", []byte("value"))
	if err != nil {
		t.Fatal(err)
	}
	two, err := tok.seal("token", []byte("value"))
	if err != nil || bytes.Equal(one, two) {
		t.Errorf("sealed twice it is the same; %v", err)
	}
	name, err := base64.RawURLEncoding.DecodeString(tok.key("token"))
	if err != nil {
		t.Fatal(err)
	}
	block, err := aes.NewCipher(name)
	if err != nil {
		t.Fatal(err)
	}
	aead, err := cipher.NewGCM(block)
	if err != nil {
		t.Fatal(err)
	}
	if v, err := aead.Open(nil, one[:nonceBytes], one[nonceBytes:], nil); err == nil {
		t.Errorf("its name opens it: %q", v)
	}
	if v, err := tok.open("token", one); string(v) != "value" || err != nil {
		t.Errorf("%q, %v", v, err)
	}
	if v, err := tok.open("another", one); !errors.Is(err, errSealed) {
		t.Errorf("under another key: %q, %v", v, err)
	}
}

// The secret and the values are the node's own: callers may use their memory again.
func TestWhatIsGivenIsCopied(t *testing.T) {
	ctx, value := ctxT(t), []byte("value")
	n := start(t, Config{})
	for what, set := range map[string]func() error{
		"Set":     func() error { return n.Set(ctx, "k", value) },
		"SetMany": func() error { return n.SetMany(ctx, []SetItem{{Key: "k", Value: value}})[0] },
	} {
		copy(value, "value")
		if err := set(); err != nil {
			t.Fatal(err)
		}
		copy(value, "other")
		if v, _, err := n.Get(ctx, "k"); string(v) != "value" || err != nil {
			t.Errorf("%s: %q, %v", what, v, err)
		}
	}
	secret := bytes.Repeat([]byte{1}, 32)
	tok, err := newTokens(Config{HashTokens: true, TokenKey: secret})
	if err != nil {
		t.Fatal(err)
	}
	was := tok.key("k")
	clear(secret)
	if tok.key("k") != was {
		t.Error("the secret is its caller's")
	}
}

// A ticket that is none fills nothing; a TTL is of a hundred years at most; a value may be as large as the bound.
func TestBoundsOfASet(t *testing.T) {
	ctx := ctxT(t)
	n := start(t, Config{MaxValueBytes: 100})
	if err := n.Set(ctx, "k", nil, WithTicket(Ticket{})); !errors.Is(err, ErrStaleFill) {
		t.Errorf("a fill without a ticket: %v", err)
	}
	if err := n.Set(ctx, "k", make([]byte, 101)); !errors.Is(err, ErrTooLarge) {
		t.Errorf("one byte too many: %v", err)
	}
	if _, found, err := n.Get(ctx, "k"); found || err != nil {
		t.Errorf("found %v, %v", found, err)
	}
	if err := n.Set(ctx, "k", make([]byte, 100), WithTTL(math.MaxInt64)); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if e, found, err := n.Lookup(ctx, "k"); !found || err != nil || e.TTL > maxTTL || e.TTL < maxTTL-time.Hour {
			t.Errorf("%+v, %v, %v", e, found, err)
		}
		if ok, err := n.Touch(ctx, "k", math.MaxInt64); !ok || err != nil {
			t.Fatal(ok, err)
		}
	}
}
