package strategy

import (
	"encoding/json"
	"reflect"
	"testing"
)

// sameAsJSON holds what quick accepts against what encoding/json makes of it.
func sameAsJSON(t *testing.T, text string) (accepted bool) {
	t.Helper()
	got, ok := quickSession(text)
	if !ok {
		return false
	}
	want, err := decodeAny([]byte(text))
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
	for text, quickly := range map[string]bool{
		`{}`:                  true,
		` { "token" : "t" } `: true,
		`{"cacheExpiry":1700000000.125,"id":"s","token":"t","expires":"2030-01-02T03:04:05.678Z","activeOrderId":17,"user":{"id":1,` +
			`"identifier":"a@b","verified":true,"channelPermissions":[{"id":"1","token":"c","code":"d","permissions":["A","B"]},{}]}}`: true,
		`{"cacheExpiry":null,"id":null,"token":null,"expires":null,"user":null}`:           true,
		`{"user":{"id":null,"verified":null,"channelPermissions":null}}`:                   true,
		`{"user":{"channelPermissions":[{"permissions":null}]}}`:                           true,
		`{"user":{"channelPermissions":[{"permissions":[]}]}}`:                             true,
		`{"user":{"channelPermissions":[]}}`:                                               true,
		`{"token":"t","more":{"a":[1,-2.5e+7,true,false,null,"x",{}],"b":[]},"Token":"u"}`: true,
		`{"token":"grüße","id":-0}`:                                                        true,
		`{"token":"t","token":"u"}`:                                                        false,
		`{"token":"\u0074"}`:                                                               false,
		`{"to\u006ben":"t"}`:                                                               false,
		"{\"token\":\"\xff\"}":                                                             false,
		"{\"token\":\"a\nb\"}":                                                             false,
		`{"token":"t",}`:                                                                   false,
		`{"token":"t"}}`:                                                                   false,
		`{"token":"t"} x`:                                                                  false,
		`{"token":7}`:                                                                      false,
		`{"id":01}`:                                                                        false,
		`{"id":1.}`:                                                                        false,
		`{"id":.5}`:                                                                        false,
		`{"id":1e}`:                                                                        false,
		`{"id":-}`:                                                                         false,
		`{"id":true}`:                                                                      false,
		`{"cacheExpiry":1e999}`:                                                            false,
		`{"expires":"2030-01-02"}`:                                                         false,
		`{"expires":1893553440000}`:                                                        false,
		`{"user":{"verified":1}}`:                                                          false,
		`{"user":[]}`:                                                                      false,
		`{"user":{"channelPermissions":[null]}}`:                                           false,
		`{"user":{"channelPermissions":[{"permissions":[null]}]}}`:                         false,
		`{"user":{"channelPermissions":[{},]}}`:                                            false,
		`{"x":[[[[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]]]]}`:                                   false,
		`{"token":"t","x":nul}`:                                                            false,
		`{"token":"t"`:                                                                     false,
		`{"token"`:                                                                         false,
		`null`:                                                                             false,
		``:                                                                                 false,
	} {
		if got := sameAsJSON(t, text); got != quickly {
			t.Errorf("%s: accepted %v, want %v", text, got, quickly)
		}
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
