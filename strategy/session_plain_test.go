package strategy

import (
	"math"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// What is written in one pass is what encoding/json writes, and is read again as it was.
func TestPlainSession(t *testing.T) {
	text := rapid.OneOf(rapid.String(), rapid.StringMatching(`[a-zA-Z0-9:_-]{0,40}`), rapid.Map(rapid.SliceOf(rapid.Byte()), func(b []byte) string { return string(b) }))
	id := rapid.OneOf(rapid.Just(ID{}), rapid.Map(text, StringID), rapid.Map(rapid.Int64(), IntID))
	number := rapid.OneOf(rapid.Float64(), rapid.SampledFrom([]float64{0, math.Copysign(0, -1), 1 << 53, -1 << 53, 1e21, 1e-7, math.MaxInt64, math.MinInt64, 1754000000.25}),
		rapid.Map(rapid.Int64(), func(n int64) float64 { return float64(n) }))
	when := rapid.OneOf(rapid.Just(time.Time{}), rapid.Map(rapid.Int64Range(-1e14, 1e15), func(ms int64) time.Time { return time.UnixMilli(ms) }))
	channel := rapid.Custom(func(t *rapid.T) ChannelPermissions {
		return ChannelPermissions{ID: id.Draw(t, "id"), Token: text.Draw(t, "token"), Code: text.Draw(t, "code"), Permissions: rapid.SliceOf(text).Draw(t, "permissions")}
	})
	rapid.Check(t, func(t *rapid.T) {
		s := CachedSession{
			CacheExpiry: number.Draw(t, "cacheExpiry"), ID: id.Draw(t, "id"), Token: text.Draw(t, "token"), Expires: when.Draw(t, "expires"),
			ActiveOrderID: id.Draw(t, "order"), ActiveChannelID: id.Draw(t, "channel"), AuthenticationStrategy: text.Draw(t, "strategy"),
		}
		if rapid.Bool().Draw(t, "user") {
			s.User = &CachedSessionUser{ID: id.Draw(t, "user id"), Identifier: text.Draw(t, "identifier"), Verified: rapid.Bool().Draw(t, "verified")}
			if rapid.Bool().Draw(t, "channels") {
				s.User.ChannelPermissions = rapid.SliceOf(channel).Draw(t, "permissions")
			}
		}
		got, ok := plainSession(&s)
		if !ok {
			t.Fatal("not written")
		}
		want, err := s.marshalAny()
		if err != nil || string(got) != string(want) {
			t.Fatalf("error %v\n%s\n%s", err, got, want)
		}
		var back CachedSession
		if err := back.UnmarshalJSON(got); err != nil {
			t.Fatal(err)
		}
		if _, ok := plainSession(&back); ok {
			t.Fatal("what came from JSON is written in one pass: fields that are not known would be lost")
		}
	})
}

// What one pass cannot write is left to the general way.
func TestPlainSessionLeaves(t *testing.T) {
	user := func(u CachedSessionUser) CachedSession { return CachedSession{Token: "t", User: &u} }
	var known CachedSession
	if err := known.SetField("x", 1); err != nil {
		t.Fatal(err)
	}
	var knownUser CachedSessionUser
	if err := knownUser.SetField("x", 1); err != nil {
		t.Fatal(err)
	}
	var knownChannel ChannelPermissions
	if err := knownChannel.SetField("x", 1); err != nil {
		t.Fatal(err)
	}
	for what, s := range map[string]CachedSession{
		"a field of the session": known, "a field of the user": user(knownUser),
		"a field of a channel": user(CachedSessionUser{ChannelPermissions: []ChannelPermissions{{}, knownChannel}}),
		"no number":            {Token: "t", CacheExpiry: math.NaN()}, "an endless time": {Token: "t", CacheExpiry: math.Inf(-1)},
	} {
		if text, ok := plainSession(&s); ok {
			t.Errorf("%s: %s", what, text)
		}
	}
}
