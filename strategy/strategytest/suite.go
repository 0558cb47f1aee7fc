package strategytest

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/huddle-cache/huddle/strategy"
)

// Run runs the suite. open returns one or more handles on one shared, empty cache, such as one for each replica; what is
// done on the first handle is looked for on all. It is called once for each test and cleans up with t.Cleanup.
//
// The cache must take tokens of up to 200 bytes and sessions of up to 64 KiB, and it must have bounds: Set of a token of 5,000 bytes,
// Load of one, and Set of a session of 16 MiB fail with ErrTooLarge; Get of such a token is a miss, and Delete no error.
func Run(t *testing.T, open func(t *testing.T) []strategy.SessionCache) {
	t.Helper()
	for _, test := range []struct {
		name string
		run  func(suite, *testing.T)
	}{
		{"SetGet", suite.setGet},
		{"Miss", suite.miss},
		{"Overwrite", suite.overwrite},
		{"RoundTrip", suite.roundTrip},
		{"CallersOwn", suite.callersOwn},
		{"Delete", suite.delete},
		{"DeleteWins", suite.deleteWins},
		{"DeleteWinsForUnknown", suite.deleteWinsForUnknown},
		{"Clear", suite.clear},
		{"ClearKeepsDead", suite.clearKeepsDead},
		{"Expires", suite.expires},
		{"CacheExpiryEndsNothing", suite.cacheExpiryEndsNothing},
		{"SetExpiredRemoves", suite.setExpiredRemoves},
		{"Invalid", suite.invalid},
		{"Large", suite.large},
		{"RevokeUser", suite.revokeUser},
		{"Load", suite.load},
		{"LoadError", suite.loadError},
		{"LoadOnce", suite.loadOnce},
		{"LoadOvertakenByDelete", suite.loadOvertakenByDelete},
		{"LoadOvertakenBySet", suite.loadOvertakenBySet},
		{"LoadOvertakenByRevokeUser", suite.loadOvertakenByRevokeUser},
		{"LoadOvertakenByClear", suite.loadOvertakenByClear},
		{"LoadJoiner", suite.loadJoiner},
		{"Parallel", suite.parallel},
	} {
		t.Run(test.name, func(t *testing.T) { test.run(suite{open(t), t.Context()}, t) })
	}
}

type suite struct {
	caches []strategy.SessionCache
	ctx    context.Context
}

// last is the handle farthest from the first: the same one if there is only one.
func (s suite) last() strategy.SessionCache { return s.caches[len(s.caches)-1] }

// Session returns a session of a user, as the suite uses it, that ends in an hour.
func Session(token, userID string) strategy.CachedSession {
	return strategy.CachedSession{
		CacheExpiry:            float64(time.Now().Add(5*time.Minute).UnixMilli()) / 1000,
		ID:                     strategy.IntID(4711),
		Token:                  token,
		Expires:                time.Now().Add(time.Hour).UTC().Truncate(time.Millisecond),
		ActiveOrderID:          strategy.StringID("o-1"),
		AuthenticationStrategy: "native",
		User: &strategy.CachedSessionUser{
			ID: strategy.StringID(userID), Identifier: "someone@example.com", Verified: true,
			ChannelPermissions: []strategy.ChannelPermissions{{
				ID: strategy.IntID(1), Token: "channel", Code: "__default_channel__",
				Permissions: []string{"Authenticated", "ReadOrder", "UpdateOrder"},
			}},
		},
	}
}

func (s suite) mustSet(t *testing.T, session strategy.CachedSession) {
	t.Helper()
	if err := s.caches[0].Set(s.ctx, session); err != nil {
		t.Fatalf("Set: %v", err)
	}
}

// want looks for a session on every handle.
func (s suite) want(t *testing.T, session strategy.CachedSession) {
	t.Helper()
	for i, c := range s.caches {
		got, found, err := c.Get(s.ctx, session.Token)
		if err != nil || !found {
			t.Fatalf("handle %d: Get = found %v, error %v; want the session", i, found, err)
		}
		sameJSON(t, got, session)
	}
}

func (s suite) wantMiss(t *testing.T, token string) {
	t.Helper()
	for i, c := range s.caches {
		got, found, err := c.Get(s.ctx, token)
		if err != nil || found {
			t.Fatalf("handle %d: Get = found %v, error %v; want a miss", i, found, err)
		}
		if !reflect.DeepEqual(got, strategy.CachedSession{}) {
			t.Fatalf("handle %d: a miss came with a session", i)
		}
	}
}

func sameJSON(t *testing.T, got, want strategy.CachedSession) {
	t.Helper()
	a, errA := json.Marshal(got)
	b, errB := json.Marshal(want)
	if errA != nil || errB != nil {
		t.Fatalf("no JSON form: %v, %v", errA, errB)
	}
	if !equalJSON(t, a, b) {
		t.Fatalf("got  %s\nwant %s", a, b)
	}
}

// equalJSON compares the meaning of two texts; numbers by their digits.
func equalJSON(t *testing.T, a, b []byte) bool {
	t.Helper()
	var x, y any
	for _, p := range []struct {
		text []byte
		into *any
	}{{a, &x}, {b, &y}} {
		d := json.NewDecoder(bytes.NewReader(p.text))
		d.UseNumber()
		if err := d.Decode(p.into); err != nil {
			t.Fatalf("not JSON: %v", err)
		}
	}
	return reflect.DeepEqual(x, y)
}

func (s suite) setGet(t *testing.T) {
	session := Session("t1", "u1")
	s.mustSet(t, session)
	s.want(t, session)
	s.want(t, session) // what a first read left behind answers the second
}

func (s suite) miss(t *testing.T) {
	s.wantMiss(t, "nobody")
	s.wantMiss(t, "")
	s.wantMiss(t, strings.Repeat("x", 5000))
}

func (s suite) overwrite(t *testing.T) {
	for round := range 5 {
		session := Session("t1", "u1")
		session.ActiveOrderID = strategy.IntID(int64(round))
		writer := s.caches[round%len(s.caches)]
		if err := writer.Set(s.ctx, session); err != nil {
			t.Fatalf("Set: %v", err)
		}
		s.want(t, session)
	}
}

func (s suite) roundTrip(t *testing.T) {
	for i, text := range []string{
		`{"cacheExpiry":1893456000.125,"id":"s1","token":"T","expires":"2099-01-02T03:04:05.678Z"}`,
		`{"cacheExpiry":1893456000,"id":12345678901234567890123,"token":"T","expires":"2099-01-02T03:04:05.678Z","user":null,"activeOrderId":null,"activeChannelId":7}`,
		`{"cacheExpiry":1,"id":1,"token":"T","expires":"2099-01-02T03:04:05.678Z","authenticationStrategy":"","custom":{"a":[1,2.50,null]},
		  "user":{"id":9007199254740993,"identifier":"ä <&> \u2028","verified":false,"nick":null,"channelPermissions":[
		    {"id":"1","token":"c","code":"d","permissions":[],"weight":1e2},{"id":2,"token":"","code":"","permissions":["A","B"]}]}}`,
		`{"cacheExpiry":1,"id":1,"token":"T","expires":"2099-01-02T03:04:05.678Z","Token":"other","user":{"id":1,"identifier":"x","verified":true,"channelPermissions":[]}}`,
	} {
		text = strings.Replace(text, `"token":"T"`, fmt.Sprintf(`"token":"rt%d"`, i), 1)
		var session strategy.CachedSession
		if err := json.Unmarshal([]byte(text), &session); err != nil {
			t.Fatalf("session %d: %v", i, err)
		}
		s.mustSet(t, session)
		for _, c := range s.caches {
			got, found, err := c.Get(s.ctx, session.Token)
			if err != nil || !found {
				t.Fatalf("session %d: found %v, error %v", i, found, err)
			}
			again, err := json.Marshal(got)
			if err != nil || !equalJSON(t, again, []byte(text)) {
				t.Fatalf("session %d (error %v):\ngot  %s\nwant %s", i, err, again, text)
			}
		}
	}
}

func (s suite) callersOwn(t *testing.T) {
	mine := Session("t1", "u1")
	s.mustSet(t, mine)
	spoil := func(session *strategy.CachedSession) {
		session.Token = "spoilt"
		session.User.Identifier = "spoilt"
		session.User.ChannelPermissions[0].Code = "spoilt"
		session.User.ChannelPermissions[0].Permissions[0] = "SuperAdmin"
		session.User.ChannelPermissions[0].Permissions = append(session.User.ChannelPermissions[0].Permissions, "SuperAdmin")
		if err := session.SetField("spoilt", true); err != nil {
			t.Fatal(err)
		}
	}
	spoil(&mine) // what was passed in
	s.want(t, sessionLike(mine, "t1", "u1"))
	for _, c := range s.caches {
		for range 2 {
			got, _, _ := c.Get(s.ctx, "t1")
			if got.User == nil {
				t.Fatal("session lost")
			}
			spoil(&got)
		}
	}
	s.want(t, sessionLike(mine, "t1", "u1"))
}

// sessionLike is Session with the times of another.
func sessionLike(like strategy.CachedSession, token, userID string) strategy.CachedSession {
	session := Session(token, userID)
	session.CacheExpiry, session.Expires = like.CacheExpiry, like.Expires
	return session
}

func (s suite) delete(t *testing.T) {
	s.mustSet(t, Session("t1", "u1"))
	s.mustSet(t, Session("t2", "u1"))
	keep := Session("t3", "u1")
	s.mustSet(t, keep)
	s.want(t, keep)
	if err := s.last().Delete(s.ctx, "t1"); err != nil {
		t.Fatalf("Delete: %v", err)
	}
	s.wantMiss(t, "t1")
	for _, absent := range []string{"t1", "never", "", strings.Repeat("x", 5000)} {
		if err := s.caches[0].Delete(s.ctx, absent); err != nil {
			t.Fatalf("Delete of an absent token: %v", err)
		}
	}
	s.want(t, keep)
}

func (s suite) deleteWins(t *testing.T) {
	session := Session("t1", "u1")
	s.mustSet(t, session)
	if err := s.caches[0].Delete(s.ctx, "t1"); err != nil {
		t.Fatal(err)
	}
	for i, c := range s.caches {
		if err := c.Set(s.ctx, session); !errors.Is(err, strategy.ErrRevoked) {
			t.Fatalf("handle %d: late Set = %v, want ErrRevoked", i, err)
		}
	}
	s.wantMiss(t, "t1")
}

func (s suite) deleteWinsForUnknown(t *testing.T) {
	if err := s.caches[0].Delete(s.ctx, "never-set"); err != nil {
		t.Fatal(err)
	}
	if err := s.last().Set(s.ctx, Session("never-set", "u1")); !errors.Is(err, strategy.ErrRevoked) {
		t.Fatalf("late Set = %v, want ErrRevoked", err)
	}
	s.wantMiss(t, "never-set")
}

func (s suite) clear(t *testing.T) {
	for i := range 20 {
		s.mustSet(t, Session(fmt.Sprintf("t%d", i), "u1"))
	}
	s.want(t, mustGet(t, s, "t7"))
	if err := s.last().Clear(s.ctx); err != nil {
		t.Fatalf("Clear: %v", err)
	}
	for i := range 20 {
		s.wantMiss(t, fmt.Sprintf("t%d", i))
	}
	again := Session("t1", "u1")
	s.mustSet(t, again)
	s.want(t, again)
}

func mustGet(t *testing.T, s suite, token string) strategy.CachedSession {
	t.Helper()
	session, found, err := s.caches[0].Get(s.ctx, token)
	if !found || err != nil {
		t.Fatalf("Get: found %v, error %v", found, err)
	}
	return session
}

func (s suite) clearKeepsDead(t *testing.T) {
	if err := s.caches[0].Delete(s.ctx, "t1"); err != nil {
		t.Fatal(err)
	}
	if err := s.caches[0].Clear(s.ctx); err != nil {
		t.Fatal(err)
	}
	if err := s.last().Set(s.ctx, Session("t1", "u1")); !errors.Is(err, strategy.ErrRevoked) {
		t.Fatalf("Set of a deleted token after Clear = %v, want ErrRevoked", err)
	}
}

func (s suite) expires(t *testing.T) {
	session := Session("t1", "u1")
	session.Expires = time.Now().Add(400 * time.Millisecond)
	s.mustSet(t, session)
	if _, found, _ := s.caches[0].Get(s.ctx, "t1"); !found && time.Now().Before(session.Expires) {
		t.Fatal("gone before its time")
	}
	for _, c := range s.caches {
		for found := true; found; {
			if time.Since(session.Expires) > 10*time.Second {
				t.Fatal("still there long after its time")
			}
			_, found, _ = c.Get(s.ctx, "t1")
			if found {
				wait(s.ctx, 5*time.Millisecond)
			}
		}
	}
}

func wait(ctx context.Context, d time.Duration) {
	select {
	case <-time.After(d):
	case <-ctx.Done():
	}
}

func (s suite) cacheExpiryEndsNothing(t *testing.T) {
	session := Session("t1", "u1")
	session.CacheExpiry = 1
	s.mustSet(t, session)
	s.want(t, session)
}

func (s suite) setExpiredRemoves(t *testing.T) {
	session := Session("t1", "u1")
	s.mustSet(t, session)
	session.Expires = time.Now().Add(-time.Second)
	s.mustSet(t, session)
	s.wantMiss(t, "t1")
	session.Expires = time.Now().Add(time.Hour).Truncate(time.Millisecond)
	s.mustSet(t, session) // removed, not revoked
	s.want(t, session)
}

func (s suite) invalid(t *testing.T) {
	if err := s.caches[0].Set(s.ctx, strategy.CachedSession{}); !errors.Is(err, strategy.ErrInvalid) {
		t.Fatalf("Set without a token = %v, want ErrInvalid", err)
	}
	if err := s.caches[0].Set(s.ctx, Session(strings.Repeat("x", 5000), "u")); !errors.Is(err, strategy.ErrTooLarge) {
		t.Fatalf("Set of a long token = %v, want ErrTooLarge", err)
	}
	for token, want := range map[string]error{"": strategy.ErrInvalid, strings.Repeat("x", 5000): strategy.ErrTooLarge} {
		_, err := s.loader(t, 0).Load(s.ctx, token, func(context.Context) (strategy.CachedSession, error) {
			t.Error("loaded what cannot be stored")
			return Session(token, "u"), nil
		})
		if !errors.Is(err, want) {
			t.Fatalf("Load of a token of %d bytes = %v, want %v", len(token), err, want)
		}
	}
}

func (s suite) large(t *testing.T) {
	session := Session("t1", "u1")
	for i := range 1500 {
		p := &session.User.ChannelPermissions[0].Permissions
		*p = append(*p, fmt.Sprintf("UpdateSomethingOfShop%d", i))
	}
	s.mustSet(t, session)
	s.want(t, session)
	if err := session.SetField("blob", strings.Repeat("x", 16<<20)); err != nil {
		t.Fatal(err)
	}
	if err := s.caches[0].Set(s.ctx, session); !errors.Is(err, strategy.ErrTooLarge) {
		t.Fatalf("Set of 16 MiB = %v, want ErrTooLarge", err)
	}
}

func (s suite) revokeUser(t *testing.T) {
	revoker, ok := s.last().(strategy.UserRevoker)
	if !ok {
		t.Fatal("no UserRevoker")
	}
	for i := range 5 {
		s.mustSet(t, Session(fmt.Sprintf("a%d", i), "alice"))
	}
	numbered := Session("n", "")
	numbered.User.ID = strategy.IntID(42)
	s.mustSet(t, numbered)
	bob, nobody := Session("b", "bob"), Session("c", "")
	nobody.User = nil
	s.mustSet(t, bob)
	s.mustSet(t, nobody)
	moved := Session("m", "alice")
	s.mustSet(t, moved)
	moved.User.ID = strategy.StringID("bob")
	s.mustSet(t, moved) // now it is bob's
	for _, id := range []string{"alice", "42"} {
		if err := revoker.RevokeUser(s.ctx, id); err != nil {
			t.Fatalf("RevokeUser: %v", err)
		}
	}
	for i := range 5 {
		s.wantMiss(t, fmt.Sprintf("a%d", i))
	}
	s.wantMiss(t, "n")
	s.want(t, bob)
	s.want(t, nobody)
	s.want(t, moved)
	again := Session("a1", "alice")
	s.mustSet(t, again) // loaded afresh
	s.want(t, again)
	if err := revoker.RevokeUser(s.ctx, ""); !errors.Is(err, strategy.ErrInvalid) {
		t.Fatalf("RevokeUser of nobody = %v, want ErrInvalid", err)
	}
}

func (s suite) parallel(t *testing.T) {
	var wg sync.WaitGroup
	for w := range 8 {
		c := s.caches[w%len(s.caches)]
		wg.Go(func() {
			for i := range 50 {
				token := fmt.Sprintf("p%d", i%10)
				session := Session(token, "u")
				session.ActiveOrderID = strategy.IntID(int64(w))
				if err := c.Set(s.ctx, session); err != nil {
					t.Errorf("Set: %v", err)
					return
				}
				if got, found, err := c.Get(s.ctx, token); err != nil || !found || got.Token != token {
					t.Errorf("Get: found %v, error %v, right token %v", found, err, got.Token == token)
					return
				}
			}
		})
	}
	wg.Wait()
	for i := range 10 { // all handles agree in the end
		s.want(t, mustGet(t, s, fmt.Sprintf("p%d", i)))
	}
}
