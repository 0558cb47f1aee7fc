package strategy

import (
	"encoding/json"
	"os"
	"os/exec"
	"reflect"
	"testing"
	"time"
)

// sameAsJSON holds what quick accepts against what encoding/json makes of it.
func sameAsJSON(t *testing.T, text string) (accepted bool) {
	t.Helper()
	got, ok := quickSession(text)
	if !ok {
		return false
	}
	want, err := decodeAny(text)
	if err != nil {
		t.Fatalf("accepted, but %v: %s", err, text)
	}
	gotText, err := got.MarshalJSON()
	if err != nil {
		t.Fatalf("%v: %s", err, text)
	}
	wantText, err := want.MarshalJSON()
	if err != nil || string(gotText) != string(wantText) {
		t.Fatalf("written again (error %v):\n%s\n%s", err, gotText, wantText)
	}
	// What is kept of the text may differ in the spaces around it.
	plain := func(s *CachedSession) {
		s.doc = document{}
		if s.User != nil {
			s.User.doc = document{}
			for i := range s.User.ChannelPermissions {
				s.User.ChannelPermissions[i].doc = document{}
			}
		}
	}
	plain(&got)
	plain(&want)
	if !reflect.DeepEqual(got, want) {
		t.Fatalf("%s:\n%#v\n%#v", text, got, want)
	}
	return true
}

func TestQuickSession(t *testing.T) {
	quickly := []string{
		`{}`,
		` { "token" : "t" } `,
		`{"cacheExpiry":1700000000.125,"id":"s","token":"t","expires":"2030-01-02T03:04:05.678Z","activeOrderId":17,"user":{"id":1,` +
			`"identifier":"a@b","verified":true,"channelPermissions":[{"id":"1","token":"c","code":"d","permissions":["A","B"]},{}]}}`,
		`{"cacheExpiry":null,"id":null,"token":null,"expires":null,"user":null}`,
		`{"user":{"id":null,"verified":null,"channelPermissions":null}}`,
		`{"user":{"channelPermissions":[{"permissions":null}]}}`,
		`{"user":{"channelPermissions":[{"permissions":[]}]}}`,
		`{"user":{"channelPermissions":[]}}`,
		`{"token":"t","more":{"a":[1,-2.5e+7,true,false,null,"x",{}],"b":[]},"Token":"u"}`,
		`{"token":"grüße","id":-0}`,
		`{"token":"t","note":"a \u0026 \"b\" \\\/\b\f\n\r\t\uD800 grüße"}`,
	}
	slowly := []string{
		`{"token":"t","token":"u"}`,
		`{"token":"\u0074"}`,
		`{"to\u006ben":"t"}`,
		"{\"token\":\"\xff\"}",
		"{\"token\":\"a\nb\"}",
		`{"token":"t",}`,
		`{"token":"t"}}`,
		`{"token":"t"} x`,
		`{"token":7}`,
		`{"id":01}`,
		`{"x":"\u00g0"}`,
		`{"x":"\u00"}`,
		`{"x":"\x"}`,
		`{"x":"\`,
		"{\"x\":\"\xff\"}",
		"{\"x\":\"\\n\n\"}",
		`{"id":1.}`,
		`{"id":.5}`,
		`{"id":1e}`,
		`{"id":-}`,
		`{"id":true}`,
		`{"cacheExpiry":1e999}`,
		`{"expires":"2030-01-02"}`,
		`{"expires":1893553440000}`,
		`{"user":{"verified":1}}`,
		`{"user":[]}`,
		`{"user":{"channelPermissions":[null]}}`,
		`{"user":{"channelPermissions":[{"permissions":[null]}]}}`,
		`{"user":{"channelPermissions":[{},]}}`,
		`{"x":[[[[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]]]]}`,
		`{"token":"t","x":nul}`,
		`{"token":"t"`,
		`{"token"`,
		`null`,
		``,
	}
	for _, text := range quickly {
		if !sameAsJSON(t, text) {
			t.Errorf("%s: left to encoding/json", text)
		}
	}
	for _, text := range slowly {
		if sameAsJSON(t, text) {
			t.Errorf("%s: accepted", text)
		}
	}
}

// In autumn an hour of local time comes twice: a date in it is the instant that its offset says, whoever reads it.
func TestDateInTheHourThatComesTwice(t *testing.T) {
	const berlin = "Europe/Berlin"
	if _, err := time.LoadLocation(berlin); err != nil {
		t.Fatal(err)
	}
	if os.Getenv("TZ") != berlin { // in a process of its own: time.Now, in what goroutine ever, reads time.Local
		again := exec.Command(os.Args[0], "-test.run=^"+t.Name()+"$")
		again.Env = append(os.Environ(), "TZ="+berlin)
		if out, err := again.CombinedOutput(); err != nil {
			t.Errorf("%v: %s", err, out)
		}
		return
	}
	for text, want := range map[string]time.Time{
		`"2026-10-25T02:30:00+02:00"`:      time.Date(2026, 10, 25, 0, 30, 0, 0, time.UTC),
		`"2026-10-25T02:30:00+01:00"`:      time.Date(2026, 10, 25, 1, 30, 0, 0, time.UTC),
		`"+012026-10-25T02:30:00+02:00"`:   time.Date(12026, 10, 25, 0, 30, 0, 0, time.UTC),
		`"-000001-10-31T02:30:00.5+01:00"`: time.Date(-1, 10, 31, 1, 30, 0, 5e8, time.UTC),
	} {
		if got, err := parseDate([]byte(text)); err != nil || !got.Equal(want) {
			t.Errorf("%s: %v, %v; want %v", text, got, err, want)
		}
		sameAsJSON(t, `{"expires":`+text+`}`)
	}
}

// TestManyFields is of an object with more fields than are looked through one by one.
func TestManyFields(t *testing.T) {
	many := map[string]any{"token": "t"}
	for i := range 3 * fewFields {
		many[string(rune('a'+i%26))+string(rune('A'+i/26))] = i
	}
	text, _ := json.Marshal(many)
	var s CachedSession
	if err := s.UnmarshalJSON(text); err != nil {
		t.Fatal(err)
	}
	if err := s.SetField("aA", "changed"); err != nil {
		t.Fatal(err)
	}
	again, err := s.MarshalJSON()
	if err != nil {
		t.Fatal(err)
	}
	var got map[string]any
	if err := json.Unmarshal(again, &got); err != nil {
		t.Fatal(err)
	}
	if many["aA"] = "changed"; len(got) != len(many) || got["aA"] != "changed" || got["zB"] != float64(many["zB"].(int)) {
		t.Errorf("written again: %s", again)
	}
}

func FuzzQuickSession(f *testing.F) {
	f.Add(`{"cacheExpiry":1.5,"id":"a","token":"t","expires":"2030-01-02T03:04:05.678Z","user":{"id":1,"channelPermissions":[{"permissions":["A"]}]},"x":[{}]}`)
	f.Add(`{"id":-1.5e-7,"user":null,"y":{"a":null,"b":[true,false]}}`)
	f.Fuzz(func(t *testing.T, text string) { sameAsJSON(t, text) })
}
