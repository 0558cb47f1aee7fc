package strategy

import (
	"fmt"
	"maps"
	"math"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
	"unsafe"

	"pgregory.net/rapid"
)

// sameAgain holds what comes out of an item against the session that went in, twice: what is done to the first copy does not reach the second.
func sameAgain(t interface{ Fatalf(string, ...any) }, value string) (packed bool) {
	s, within, err := decodeSession(value)
	if err != nil {
		t.Fatalf("%v: %s", err, value)
	}
	it := newDecoded(&s, value, within, false)
	for range 2 {
		got := CachedSession{Token: "what was here before", User: &CachedSessionUser{}}
		if copyOf(it, strings.Clone(value), &got, false); !reflect.DeepEqual(got, s) {
			t.Fatalf("%s:\ngot  %#v, %#v\nwant %#v, %#v", value, got, got.User, s, s.User)
		}
		if u := got.User; u != nil {
			u.Identifier, u.ID = "changed", IntID(7)
			for i := range u.ChannelPermissions {
				c := &u.ChannelPermissions[i]
				for j := range c.Permissions {
					c.Permissions[j] = "changed"
				}
				c.Code, c.Permissions = "changed", append(c.Permissions, "another")
			}
			u.ChannelPermissions = append(u.ChannelPermissions, ChannelPermissions{Code: "another"})
		}
	}
	return it.value.general == nil
}

// jsonDrawer draws the JSON of sessions: fields in any order or absent, null, spaces, fields that are not known.
type jsonDrawer struct {
	*rapid.T
	escapes bool // in texts, which quickSession leaves to encoding/json
}

func (d jsonDrawer) space() string {
	return rapid.SampledFrom([]string{"", "", "", " ", "\n\t"}).Draw(d.T, "space")
}

func (d jsonDrawer) text() string {
	text := rapid.StringMatching(`[a-zA-Zäß€ :_-]{0,12}`).Draw(d.T, "text")
	if d.escapes && rapid.Bool().Draw(d.T, "escape") {
		text += `\u0026`
	}
	return `"` + text + `"`
}

func (d jsonDrawer) id() string {
	return rapid.OneOf(rapid.Custom(func(*rapid.T) string { return d.text() }), rapid.StringMatching(`-?[1-9][0-9]{0,30}`), rapid.Just("1.50e+3")).Draw(d.T, "id")
}

func (d jsonDrawer) date() string {
	sec := rapid.Int64Range(-62e9, 250e9).Draw(d.T, "seconds")
	return time.Unix(sec, sec&0xffff*1e4).In(time.FixedZone("", int(sec%14)*3600)).Format(`"` + time.RFC3339Nano + `"`)
}

func (d jsonDrawer) object(fields map[string]func() string) string {
	fields["more"] = func() string {
		return rapid.SampledFrom([]string{`{"a":[1.0,"x\u0026"]}`, `"\"\\"`, `[]`, `7`}).Draw(d.T, "unknown")
	}
	var all []string
	for _, name := range rapid.Permutation(slices.Sorted(maps.Keys(fields))).Draw(d.T, "order") {
		value := "null"
		switch rapid.IntRange(0, 9).Draw(d.T, "presence") {
		case 0:
			continue
		case 1:
		default:
			value = fields[name]()
		}
		all = append(all, d.space()+`"`+name+`"`+d.space()+":"+value)
	}
	return d.space() + "{" + strings.Join(all, ",") + d.space() + "}"
}

func (d jsonDrawer) list(most int, each func() string) string {
	all := make([]string, rapid.IntRange(0, most).Draw(d.T, "length"))
	for i := range all {
		all[i] = each()
	}
	return "[" + strings.Join(all, d.space()+",") + "]"
}

func (d jsonDrawer) channel() string {
	most := rapid.SampledFrom([]int{0, 5, 20, 100}).Draw(d.T, "most")
	return d.object(map[string]func() string{"id": d.id, "token": d.text, "code": d.text, "permissions": func() string { return d.list(most, d.text) }})
}

func (d jsonDrawer) user() string {
	most := rapid.SampledFrom([]int{1, 1, 4}).Draw(d.T, "most")
	return d.object(map[string]func() string{
		"id": d.id, "identifier": d.text, "channelPermissions": func() string { return d.list(most, d.channel) },
		"verified": func() string { return fmt.Sprint(rapid.Bool().Draw(d.T, "verified")) },
	})
}

func (d jsonDrawer) session() string {
	return d.object(map[string]func() string{
		"cacheExpiry": func() string {
			return rapid.OneOf(rapid.Just("-0"), rapid.Map(rapid.Float64(), func(f float64) string { return fmt.Sprint(f) })).Draw(d.T, "number")
		},
		"id": d.id, "token": d.text, "expires": d.date, "activeOrderId": d.id, "activeChannelId": d.id, "authenticationStrategy": d.text, "user": d.user,
	})
}

func TestPackedIsWhatWasDecoded(t *testing.T) {
	packed := 0
	rapid.Check(t, func(t *rapid.T) {
		d := jsonDrawer{T: t, escapes: rapid.IntRange(0, 4).Draw(t, "escapes") == 0}
		if sameAgain(t, d.session()) {
			packed++
		}
	})
	if packed == 0 {
		t.Error("none was packed")
	}
}

func TestWhatIsPacked(t *testing.T) {
	long := func(n int) string { return strings.Repeat("x", n) }
	permissions := func(n int) string {
		return `{"token":"t","user":{"channelPermissions":[{"permissions":["A"` + strings.Repeat(`,"A"`, n-1) + `]}]}}`
	}
	for name, c := range map[string]struct {
		value  string
		packed bool
	}{
		"nothing":                    {`{}`, true},
		"the empty ID":               {`{"id":"","user":{"id":""}}`, true},
		"dates before all":           {`{"expires":"0000-01-01T00:00:00+14:00"}`, true},
		"as long as may be":          {`{"token":"t","more":"` + long(math.MaxUint16-23) + `"}`, true},
		"too long":                   {`{"token":"t","more":"` + long(math.MaxUint16-22) + `"}`, false},
		"an ID as long as may be":    {`{"token":"t","id":"` + long(idLength) + `"}`, true},
		"an ID that is too long":     {`{"token":"t","id":"` + long(idLength+1) + `"}`, false},
		"permissions, most":          {permissions(mostPlaces - perChannel), true},
		"permissions, one too many":  {permissions(mostPlaces - perChannel + 1), false},
		"an escape in a known field": {`{"token":"\u0074"}`, false},
		"an escape in another":       {`{"token":"t","more":"\u0074"}`, true},
	} {
		if packed := sameAgain(t, c.value); packed != c.packed {
			t.Errorf("%s: packed is %v", name, packed)
		}
	}
	for n := 1; n <= mostPlaces-perChannel; n++ {
		sameAgain(t, permissions(n))
	}
}

// A session that has come together otherwise is not taken for one of the value.
func TestOnlyTextsOfTheValueArePacked(t *testing.T) {
	value := `{"token":"t","id":"abc","expires":"2030-01-02T03:04:05Z"}`
	for name, change := range map[string]func(*CachedSession){
		"another text":                      func(s *CachedSession) { s.Token = strings.Clone("t") },
		"a text that goes on":               func(s *CachedSession) { s.ID = StringID(unsafe.String(unsafe.StringData(value), len(value)+1)) },
		"a time of another zone":            func(s *CachedSession) { s.Expires = s.Expires.In(time.FixedZone("", 3600)) },
		"a time with the monotonic reading": func(s *CachedSession) { s.Expires = time.Now() },
	} {
		s, within, err := decodeSession(value)
		if err != nil || !within {
			t.Fatal(within, err)
		}
		if newDecoded(&s, value, true, false).value.general != nil {
			t.Error("not packed as it was")
		}
		change(&s)
		if newDecoded(&s, value, true, false).value.general == nil {
			t.Errorf("%s: packed", name)
		}
	}
}
