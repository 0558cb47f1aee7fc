package strategy_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"math"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/huddle-cache/huddle/strategy"
	"github.com/huddle-cache/huddle/strategy/strategytest"
)

func meaning(t *testing.T, text []byte) any {
	t.Helper()
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err != nil {
		t.Fatalf("not JSON: %v", err)
	}
	return v
}

func TestSessionRoundTrip(t *testing.T) {
	for _, text := range []string{
		`{"token":"t"}`,
		`{"token":"t","user":null,"expires":null,"id":null,"cacheExpiry":null}`,
		`{"token":"t","authenticationStrategy":"","activeOrderId":""}`,
		`{"token":"t","expires":"2099-01-02T03:04:05+02:00"}`,
		`{"token":"t","expires":"2099-01-02T03:04:05.123456Z"}`,
		`{"token":"t","expires":"+012345-01-02T03:04:05.123Z"}`,
		`{"token":"t","expires":4070908800000,"cacheExpiry":1.50}`,
		`{"token":"t","id":123456789012345678901234567890,"Id":"other","x":{"y":[1.0,2e3,"\ud800"]}}`,
		`{"token":"t","user":{"id":1}}`,
		`{"token":"t","user":{"id":"1","identifier":null,"verified":null,"channelPermissions":null,"z":0}}`,
		`{"token":"t","user":{"channelPermissions":[{"permissions":null},{"permissions":[]},{},{"id":7,"a":false}]}}`,
	} {
		var s strategy.CachedSession
		if err := json.Unmarshal([]byte(text), &s); err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		for name, copied := range map[string]strategy.CachedSession{"itself": s, "its clone": s.Clone()} {
			again, err := json.Marshal(copied)
			if err != nil || !reflect.DeepEqual(meaning(t, again), meaning(t, []byte(text))) {
				t.Errorf("%s (error %v):\ngot  %s\nwant %s", name, err, again, text)
			}
		}
	}
}

func TestSessionFromGo(t *testing.T) {
	s := strategy.CachedSession{
		CacheExpiry: 1700000000.25, ID: strategy.IntID(5), Token: "t<&>",
		Expires: time.Date(2030, 1, 2, 3, 4, 5, 6_999_999, time.FixedZone("", 3600)),
		User:    &strategy.CachedSessionUser{ID: strategy.StringID("9")},
	}
	got, err := json.Marshal(s)
	want := `{"cacheExpiry":1700000000.25,"id":5,"token":"t<&>","expires":"2030-01-02T02:04:05.006Z",` +
		`"user":{"id":"9","identifier":"","verified":false,"channelPermissions":[]}}`
	if err != nil || !reflect.DeepEqual(meaning(t, got), meaning(t, []byte(want))) {
		t.Fatalf("error %v\ngot  %s\nwant %s", err, got, want)
	}
}

func TestSessionChangedAfterReading(t *testing.T) {
	var s strategy.CachedSession
	text := `{"token":"t","id":1,"activeOrderId":7,"authenticationStrategy":null,"user":{"id":1,"identifier":"a","verified":false,"channelPermissions":[]},"x":1}`
	if err := json.Unmarshal([]byte(text), &s); err != nil {
		t.Fatal(err)
	}
	s.ActiveOrderID = strategy.ID{}
	s.AuthenticationStrategy = "native"
	s.User.Verified = true
	if err := s.SetField("x", []int{2}); err != nil {
		t.Fatal(err)
	}
	got, err := json.Marshal(s)
	want := `{"token":"t","id":1,"authenticationStrategy":"native","user":{"id":1,"identifier":"a","verified":true,"channelPermissions":[]},"x":[2]}`
	if err != nil || !reflect.DeepEqual(meaning(t, got), meaning(t, []byte(want))) {
		t.Fatalf("error %v\ngot  %s\nwant %s", err, got, want)
	}
	s.User = nil
	got, err = json.Marshal(s)
	if err != nil || strings.Contains(string(got), "user") {
		t.Fatalf("the user was taken off and is still there: %s (error %v)", got, err)
	}
}

func TestSessionRefused(t *testing.T) {
	for _, text := range []string{
		``, `[]`, `"x"`, `7`, `{`, `{"token":7}`, `{"id":true}`, `{"id":[1]}`, `{"cacheExpiry":"secret"}`, `{"expires":"secret"}`,
		`{"expires":true}`, `{"expires":9e99}`, `{"user":"secret"}`, `{"user":{"verified":"secret"}}`, `{"user":{"channelPermissions":[null]}}`,
		`{"user":{"channelPermissions":[{"permissions":[null]}]}}`, `{"cacheExpiry":1e999}`, `{"expires":"+secret-01-01"}`,
	} {
		var s strategy.CachedSession
		err := s.UnmarshalJSON([]byte(text))
		if !errors.Is(err, strategy.ErrInvalid) {
			t.Errorf("%s: error %v, want ErrInvalid", text, err)
		} else if strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: the error quotes what was read: %v", text, err)
		}
	}
	for _, f := range []float64{math.NaN(), math.Inf(1)} {
		if _, err := json.Marshal(strategy.CachedSession{Token: "t", CacheExpiry: f}); err == nil {
			t.Errorf("cacheExpiry %v has JSON", f)
		}
	}
	if err := new(strategy.CachedSession).SetField("token", "x"); !errors.Is(err, strategy.ErrInvalid) {
		t.Errorf("SetField of a known field = %v, want ErrInvalid", err)
	}
}

// A date that JavaScript has not would be stored, and never read again.
func TestDatesThatCannotBe(t *testing.T) {
	first, last := time.UnixMilli(-8.64e15), time.UnixMilli(8.64e15)
	p, m := strategy.NewPeerToPeerOn(newFakeCluster().node()), strategy.NewInMemory(strategy.InMemoryConfig{})
	for _, expires := range []time.Time{first.Add(-time.Second), last.Add(time.Second), time.Unix(math.MaxInt64/2, 0), time.Unix(1<<63-62135596801, 999999999)} {
		s := strategy.CachedSession{Token: "t", Expires: expires}
		for what, err := range map[string]error{"Validate": s.Validate(), "PeerToPeer": p.Set(t.Context(), s), "InMemory": m.Set(t.Context(), s)} {
			if !errors.Is(err, strategy.ErrInvalid) {
				t.Errorf("%s of a session that ends in %d = %v, want ErrInvalid", what, expires.Year(), err)
			}
		}
	}
	if err := (strategy.CachedSession{Token: "t", Expires: first}).Validate(); err != nil {
		t.Error(err)
	}
	for _, c := range []strategy.SessionCache{p, m} {
		if err := c.Set(t.Context(), strategy.CachedSession{Token: "t", Expires: last}); err != nil {
			t.Error(err)
		}
		if s, found, err := c.Get(t.Context(), "t"); !found || err != nil || !s.Expires.Equal(last) {
			t.Errorf("%T: %v, %v, %v", c, s.Expires, found, err)
		}
	}
}

func TestDates(t *testing.T) {
	want := time.Date(2030, 1, 2, 3, 4, 0, 0, time.UTC)
	for _, text := range []string{
		`"2030-01-02T03:04:00.000Z"`, `"2030-01-02T05:04:00+02:00"`, `"2030-01-02T03:04:00"`, `"2030-01-02T03:04Z"`,
		`"2030-01-02 03:04:00"`, `1893553440000`, `"+002030-01-02T03:04:00Z"`,
	} {
		var s strategy.CachedSession
		if err := json.Unmarshal([]byte(`{"expires":`+text+`}`), &s); err != nil || !s.Expires.Equal(want) {
			t.Errorf("%s = %v (error %v), want %v", text, s.Expires, err, want)
		}
	}
}

func TestCloneSharesNothing(t *testing.T) {
	s := strategytest.Session("t", "u")
	s.User.ChannelPermissions = append(s.User.ChannelPermissions, s.User.ChannelPermissions[0])
	s.User.ChannelPermissions[1].Permissions = []string{"Other"}
	before, _ := json.Marshal(s)
	c := s.Clone()
	c.User.ChannelPermissions[0].Permissions = append(c.User.ChannelPermissions[0].Permissions, "Added")
	c.User.ChannelPermissions[0].Permissions[0] = "Changed"
	c.User.ChannelPermissions[1].Code = "Changed"
	c.User.Identifier = "Changed"
	if c.User.ChannelPermissions[1].Permissions[0] != "Other" {
		t.Error("appending to one channel's permissions changed another's")
	}
	if after, _ := json.Marshal(s); !bytes.Equal(before, after) {
		t.Errorf("changing the clone changed the session:\n%s\n%s", before, after)
	}
}

func FuzzSession(f *testing.F) {
	f.Add([]byte(`{"cacheExpiry":1.5,"id":"a","token":"t","expires":"2030-01-02T03:04:05.678Z","user":{"id":1,"channelPermissions":[{"permissions":["A"]}]},"x":null}`))
	f.Add([]byte(`{"token":"t","expires":"-000001-01-01T00:00:00Z","id":1e400}`))
	f.Add([]byte(`{"token":null,"user":null,"expires":12}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		var s strategy.CachedSession
		if s.UnmarshalJSON(data) != nil || string(data) == "null" {
			return
		}
		again, err := s.Clone().MarshalJSON()
		if err != nil {
			t.Fatalf("read and not to be written: %v", err)
		}
		if !reflect.DeepEqual(meaning(t, again), meaning(t, data)) {
			t.Fatalf("got  %s\nwant %s", again, data)
		}
	})
}
