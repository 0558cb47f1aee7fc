package keyfile

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func key(b byte) []byte { return bytes.Repeat([]byte{b}, keyBytes) }

func TestParse(t *testing.T) {
	b64, hx := base64.StdEncoding.EncodeToString(key(1)), hex.EncodeToString(key(2))
	for text, want := range map[string]Keys{
		b64 + "\n":                              {Key: key(1)},
		hx:                                      {Key: key(2)},
		"# a comment\r\n\r\n  " + b64 + " \r\n": {Key: key(1)},
		b64 + "\n" + hx + "\n":                  {Key: key(1), Secondary: [][]byte{key(2)}},
		"tokens " + hx + "\n" + b64:             {Key: key(1), Tokens: key(2)},
		string(key(200)):                        {Key: key(200)},
		strings.Repeat("\n", 32):                {Key: key('\n')},
	} {
		k, err := Parse([]byte(text))
		if err != nil || !bytes.Equal(k.Key, want.Key) || !bytes.Equal(k.Tokens, want.Tokens) || !slices.EqualFunc(k.Secondary, want.Secondary, bytes.Equal) {
			t.Errorf("%q: %v, %v", text, k, err)
		}
	}
	for text, want := range map[string]string{
		"":                 "holds no key",
		"# nothing\n":      "holds no key",
		"c2hvcnQ=\n":       "line 1 holds no key",
		b64 + "\nc2hvcnQ=": "line 2 holds no key",
		b64 + "\n\n" + b64: "line 3 holds a key for the second time",
		b64 + "\ntokens " + hx + "\ntokens " + hx: "line 3 is a second",
		strings.Repeat("#", maxFile+1):            "too large",
	} {
		if _, err := Parse([]byte(text)); err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "c2hvcnQ") {
			t.Errorf("%q: %v", text, err)
		}
	}
}

func TestRotation(t *testing.T) {
	path := filepath.Join(t.TempDir(), "key")
	first, err := New()
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, first.Format(), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := first.Use(); err == nil {
		t.Error("a key that is not there is used")
	}
	if _, err := first.Drop(); err == nil {
		t.Error("nothing is dropped")
	}
	k := first
	for _, step := range []func(Keys) (Keys, error){Keys.Add, Keys.Use, Keys.Drop, Keys.Add, Keys.Use, Keys.Drop} {
		if k, err = step(k); err != nil {
			t.Fatal(err)
		}
		if err := k.Replace(path); err != nil {
			t.Fatal(err)
		}
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		back, err := Parse(data)
		if err != nil || !bytes.Equal(back.Key, k.Key) || len(back.Secondary) != len(k.Secondary) || !bytes.Equal(back.Tokens, k.Tokens) {
			t.Fatalf("%v became %v, %v", k, back, err)
		}
		if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("the file has mode %v, %v", info.Mode(), err)
		}
	}
	if bytes.Equal(k.Key, first.Key) || len(k.Tokens) != keyBytes || bytes.Equal(k.Tokens, first.Key) {
		t.Error("the key has not changed, or the tokens are hashed with it")
	}
	for range maxKeys - 1 {
		if k, err = k.Add(); err != nil {
			t.Fatal(err)
		}
	}
	if _, err = k.Add(); err == nil {
		t.Error("there may be any number of keys")
	}
	names, err := os.ReadDir(filepath.Dir(path))
	if err != nil || len(names) != 1 {
		t.Errorf("left behind: %v, %v", names, err)
	}
}

func FuzzParse(f *testing.F) {
	k, err := New()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(k.Format())
	if k, err = k.Add(); err != nil {
		f.Fatal(err)
	}
	f.Add(k.Format())
	f.Add([]byte("# x\n" + hex.EncodeToString(k.Key) + "\r\n"))
	f.Add(k.Key)
	f.Fuzz(func(t *testing.T, data []byte) {
		k, err := Parse(data)
		if err != nil {
			return
		}
		if len(k.Key) != keyBytes || len(k.Secondary) >= maxKeys || k.Tokens != nil && len(k.Tokens) != keyBytes {
			t.Fatalf("a strange file: %v", k)
		}
		back, err := Parse(k.Format())
		if err != nil || !bytes.Equal(back.Format(), k.Format()) {
			t.Fatalf("%v became %v, %v", k, back, err)
		}
	})
}
