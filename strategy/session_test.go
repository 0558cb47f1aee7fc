package strategy_test

import (
	"encoding/json"
	"math"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/huddle-cache/huddle/strategy"
)

const vendureSession = `{"cacheExpiry":1786000123.456,"id":17,"token":"6f1a","expires":"2027-08-01T12:30:45.123Z","activeOrderId":"o-1","activeChannelId":2,"authenticationStrategy":"native","user":{"id":"u1","identifier":"ada@example.com","verified":true,"channelPermissions":[{"id":1,"token":"t","code":"__default_channel__","permissions":["Authenticated","SuperAdmin"],"x":{"y":null}}],"loyalty":{"points":9007199254740993}},"custom":["<&>",1.50]}`

func TestSessionKeepsVendureJSON(t *testing.T) {
	for name, text := range map[string]string{
		"full":      vendureSession,
		"anonymous": `{"cacheExpiry":1786000123,"id":"a","token":"t","expires":"2027-08-01T12:30:45.000Z","activeOrderId":null,"user":null}`,
		"nulls in user": `{"cacheExpiry":0.5,"id":1,"token":"t","expires":"2027-08-01T12:30:45.000Z","user":{"id":1,"identifier":"i",` +
			`"verified":false,"channelPermissions":null}}`,
		"names that differ in case": `{"cacheExpiry":1,"id":1,"token":"t","TOKEN":"other","Expires":"never"}`,
		"big numbers":               `{"cacheExpiry":1,"id":12345678901234567890,"token":"t","big":1e400}`,
	} {
		t.Run(name, func(t *testing.T) {
			s, err := strategy.ParseSession([]byte(text))
			if err != nil {
				t.Fatal(err)
			}
			got, err := json.Marshal(s)
			if err != nil {
				t.Fatal(err)
			}
			if a, b := generic(t, got), generic(t, []byte(text)); !reflect.DeepEqual(a, b) {
				t.Fatalf("got  %s\nwant %s", got, text)
			}
		})
	}
}

func generic(t *testing.T, data []byte) any {
	t.Helper()
	var v any
	dec := json.NewDecoder(strings.NewReader(string(data)))
	dec.UseNumber()
	if err := dec.Decode(&v); err != nil {
		t.Fatal(err)
	}
	return v
}

func TestSessionFields(t *testing.T) {
	s, err := strategy.ParseSession([]byte(vendureSession))
	if err != nil {
		t.Fatal(err)
	}
	if s.CacheExpiry != 1786000123.456 || s.ID != strategy.NumberID(17) || s.Token != "6f1a" || s.ActiveOrderID != strategy.StringID("o-1") ||
		s.ActiveChannelID != strategy.NumberID(2) || s.AuthenticationStrategy != "native" ||
		!s.Expires.Equal(time.Date(2027, 8, 1, 12, 30, 45, 123e6, time.UTC)) {
		t.Errorf("session: %+v", s)
	}
	u := s.User
	if u == nil || u.ID != strategy.StringID("u1") || u.Identifier != "ada@example.com" || !u.Verified || len(u.ChannelPermissions) != 1 {
		t.Fatalf("user: %+v", u)
	}
	c := u.ChannelPermissions[0]
	if c.ID != strategy.NumberID(1) || c.Token != "t" || c.Code != "__default_channel__" ||
		!reflect.DeepEqual(c.Permissions, []string{"Authenticated", "SuperAdmin"}) || string(c.Extra["x"]) != `{"y":null}` {
		t.Errorf("channel: %+v", c)
	}
	if strategy.NumberID(7) == strategy.StringID("7") || strategy.NumberID(7).String() != strategy.StringID("7").String() {
		t.Error("the IDs 7 and \"7\" must differ and have the same text")
	}
}

func TestNewSessionHasWhatVendureReads(t *testing.T) {
	got, err := json.Marshal(strategy.CachedSession{
		Token: "t", Expires: time.Date(2027, 1, 2, 3, 4, 5, 6e6, time.FixedZone("", 3600)),
		User: &strategy.CachedSessionUser{ID: strategy.NumberID(1), ChannelPermissions: []strategy.ChannelPermissions{{}}},
	})
	if err != nil {
		t.Fatal(err)
	}
	const want = `{"cacheExpiry":0,"token":"t","expires":"2027-01-02T02:04:05.006Z","user":{"id":1,"identifier":"","verified":false,` +
		`"channelPermissions":[{"token":"","code":"","permissions":[]}]}}`
	if string(got) != want {
		t.Fatalf("got  %s\nwant %s", got, want)
	}
}

func TestSessionRefused(t *testing.T) {
	for _, text := range []string{
		``, `null`, `[]`, `7`, `{`, `{"token":7}`, `{"id":true}`, `{"id":[]}`, `{"expires":"secret"}`, `{"expires":5}`,
		`{"user":[]}`, `{"user":{"verified":"secret"}}`, `{"user":{"channelPermissions":[null]}}`, `{"cacheExpiry":1e400}`,
	} {
		s, err := strategy.ParseSession([]byte(text))
		if err == nil {
			t.Errorf("%s: read as %+v", text, s)
			continue
		}
		if strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: the error shows the input: %v", text, err)
		}
	}
	for _, s := range []strategy.CachedSession{
		{Token: "t", CacheExpiry: math.NaN()},
		{Token: "t", Expires: time.Date(12345, 1, 1, 0, 0, 0, 0, time.UTC)},
		{Token: "t", Extra: map[string]json.RawMessage{"x": json.RawMessage(`{`)}},
	} {
		if out, err := json.Marshal(s); err == nil {
			t.Errorf("written as %s", out)
		}
	}
}

func FuzzParseSession(f *testing.F) {
	f.Add([]byte(vendureSession))
	f.Add([]byte(`{"token":"t","user":{"id":"1","channelPermissions":[{}]},"expires":"2027-08-01T12:30:45+02:00"}`))
	f.Add([]byte(`{"token":null,"id":null,"user":null,"":1}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		s, err := strategy.ParseSession(data)
		if err != nil {
			return
		}
		once, err := json.Marshal(s)
		if err != nil {
			t.Fatalf("cannot write what was read: %v", err)
		}
		again, err := strategy.ParseSession(once)
		if err != nil {
			t.Fatalf("cannot read what was written: %v\n%s", err, once)
		}
		twice, err := json.Marshal(again)
		if err != nil || string(once) != string(twice) {
			t.Fatalf("changed (%v)\n%s\n%s", err, once, twice)
		}
		var before, after map[string]json.RawMessage
		if json.Unmarshal(data, &before) != nil || json.Unmarshal(once, &after) != nil {
			t.Fatal("not an object")
		}
		for name := range before {
			if _, ok := after[name]; !ok {
				t.Fatalf("field %q is lost", name)
			}
		}
		clone, err := json.Marshal(s.Clone())
		if err != nil || string(clone) != string(once) {
			t.Fatalf("the clone differs: %s", clone)
		}
	})
}
