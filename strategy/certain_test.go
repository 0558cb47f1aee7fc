package strategy

import (
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/huddle-cache/huddle/node/nodetest"
)

// However many tokens a store has found, and however often, it knows that of a request that began just now.
func TestRequestUnderWayDoesNotBringARevokedSessionBack(t *testing.T) {
	n := nodetest.Start(t, 1).Node(0)
	userOf := WithUserOf(func(data []byte) string { return string(data) })
	s, other := NewSCSStore(n, userOf), NewSCSStore(n, userOf)
	in1h := time.Now().Add(time.Hour)
	commit := func(s *SCSStore, token, user string) {
		t.Helper()
		if err := s.Commit(token, []byte(user), in1h); err != nil {
			t.Fatal(err)
		}
	}
	for i := range seenTokens + 2 {
		s.saw(fmt.Sprint("used", i))
	}
	for i := 2; i < seenTokens; i++ { // the first two are forgotten; all but the last two are seen again
		s.saw(fmt.Sprint("used", i))
	}
	commit(s, "a", "nobody")
	commit(s, "b", "nobody")
	for i := range 20 {
		victim := fmt.Sprint("victim", i)
		commit(other, victim, "alice")
		if _, found, err := s.Find(victim); !found || err != nil { // its request begins
			t.Fatal(found, err)
		}
		commit(s, fmt.Sprint("c", i), "nobody")
		commit(s, fmt.Sprint("d", i), "nobody")
		if err := other.RevokeUser(t.Context(), "alice"); err != nil {
			t.Fatal(err)
		}
		if err := s.Commit(victim, []byte("alice"), in1h); !errors.Is(err, ErrRevoked) { // and ends
			t.Errorf("Commit of the %d. session after RevokeUser = %v, want ErrRevoked", i+1, err)
		}
	}
}

func TestRecentIsBounded(t *testing.T) {
	r := newRecent(3, 10*(latestOverhead+markBytes))
	for i := range 10 {
		r.note(fmt.Sprintf("t%03d", i))
		r.note("t000")
	}
	for i := range 10 {
		token := fmt.Sprintf("t%03d", i)
		if got, want := r.has(token), i == 0 || i >= 8; got != want {
			t.Errorf("%s: known %v, want %v", token, got, want)
		}
	}
	small := newRecent(1000, 10*(latestOverhead+markBytes))
	for i := range 100 {
		small.note(fmt.Sprintf("t%03d", i))
	}
	if n := small.marks.count(); n != 10 || small.marks.bytes > small.maxBytes || !small.has("t099") || small.has("t089") {
		t.Errorf("%d tokens, %d bytes", n, small.marks.bytes)
	}
}

// A session that its requests save all the time, as with an idle timeout, does not outlive RevokeUser.
func TestRevokeUserEndsASessionThatIsBeingSaved(t *testing.T) {
	c := nodetest.Start(t, 3)
	userOf := WithUserOf(func(data []byte) string { return string(data) })
	stores := []*SCSStore{NewSCSStore(c.Node(0), userOf), NewSCSStore(c.Node(1), userOf), NewSCSStore(c.Node(2), userOf)}
	in1h := time.Now().Add(time.Hour)
	for i := range 40 {
		token := fmt.Sprint("token", i)
		if err := stores[0].Commit(token, []byte("alice"), in1h); err != nil {
			t.Fatal(err)
		}
		var requests sync.WaitGroup
		for _, s := range stores {
			for range 2 {
				requests.Go(func() {
					for {
						data, found, err := s.Find(token)
						if err != nil || !found {
							return
						}
						if err := s.Commit(token, data, in1h); err != nil {
							return
						}
					}
				})
			}
		}
		if err := stores[i%3].RevokeUser(t.Context(), "alice"); err != nil {
			t.Fatal(err)
		}
		for _, s := range stores {
			if _, found, err := s.Find(token); found || err != nil {
				t.Errorf("found after RevokeUser: %v, %v", found, err)
			}
		}
		if err := stores[0].Delete(token); err != nil { // if it is still there, its requests never end
			t.Fatal(err)
		}
		requests.Wait()
	}
}

// What is noted again is as new as what is noted for the first time.
func TestRecentForgetsTheOldest(t *testing.T) {
	r := newRecent(2, 1<<20)
	for _, token := range []string{"a", "b", "a", "c"} {
		r.note(token)
	}
	if !r.has("a") || r.has("b") || !r.has("c") {
		t.Errorf("a %v, b %v, c %v", r.has("a"), r.has("b"), r.has("c"))
	}
}

// What is saved and what is found is the caller's own: he may use its memory for the next request. Of no bytes there is data all the same.
func TestStoresShareNoDataWithTheCaller(t *testing.T) {
	s := NewSCSStore(nodetest.Start(t, 1).Node(0))
	data, in1h := []byte("data"), time.Now().Add(time.Hour)
	if err := errors.Join(s.Commit("t", data, in1h), s.Commit("empty", nil, in1h)); err != nil {
		t.Fatal(err)
	}
	copy(data, "####")
	all, err := s.All()
	if err != nil || string(all["t"]) != "data" {
		t.Errorf("All = %q, %v", all, err)
	}
	copy(all["t"], "####")
	for range 2 {
		found, ok, err := s.Find("t")
		if !ok || string(found) != "data" {
			t.Errorf("Find = %q, %v, %v", found, ok, err)
		}
		copy(found, "####")
	}
	if found, ok, err := s.Find("empty"); !ok || found == nil || len(found) != 0 {
		t.Errorf("Find of no bytes = %v, %v, %v", found, ok, err)
	}
}
