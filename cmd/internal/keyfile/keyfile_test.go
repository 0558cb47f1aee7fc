package keyfile

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/huddle-cache/huddle/transport"
)

func key(b byte) []byte { return bytes.Repeat([]byte{b}, keyBytes) }

func TestParse(t *testing.T) {
	raw := "\xe5" + strings.Repeat("a\n", 15) + "b" // no UTF-8
	b64, hx := base64.StdEncoding.EncodeToString(key(1)), hex.EncodeToString(key(2))
	for text, want := range map[string]Keys{
		b64 + "\n":                              {Key: key(1)},
		hx:                                      {Key: key(2)},
		"# a comment\r\n\r\n  " + b64 + " \r\n": {Key: key(1)},
		b64 + "\n" + hx + "\n":                  {Key: key(1), Secondary: [][]byte{key(2)}},
		"tokens " + hx + "\n" + b64:             {Key: key(1), Tokens: key(2)},
		keysTo(8):                               {Key: key(1), Secondary: [][]byte{key(2), key(3), key(4), key(5), key(6), key(7), key(8)}},
		raw:                                     {Key: []byte(raw)},
		"#" + raw[:31]:                          {Key: []byte("#" + raw[:31])},
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
		strings.Repeat("#", 16<<10+1):             "larger than 16384",
		keysTo(9):                                 "there are more than 8 keys",
		strings.Repeat("\x00", 32):                "line 1 holds no key",
		string(key(200)):                          "line 1 holds no key",
		strings.Repeat("\n", 32):                  "it holds no key",
		"# the key is in /etc/huddle/key\n":       "it holds no key",
		"der Schlüssel liegt in /etc/key\n":       "line 1 holds no key",
		"0123456789abcdef0123456789abcdef":        "line 1 holds no key",
	} {
		if _, err := Parse([]byte(text)); err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "c2hvcnQ") {
			t.Errorf("%q: %v", text, err)
		}
	}
}

// keysTo is a file of the keys up to that one.
func keysTo(n byte) (text string) {
	for i := range n {
		text += hex.EncodeToString(key(i+1)) + "\n"
	}
	return text
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
		if k, err = k.Use(); err != nil {
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

// No step can be left out or done twice, also when each begins with what is in the file: else it would be the new key that is
// dropped, or the old one that is used again.
func TestStepsAreInOrder(t *testing.T) {
	again := func(k Keys, err error) Keys {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		if k, err = Parse(k.Format()); err != nil {
			t.Fatal(err)
		}
		return k
	}
	refused := func(what string, err error, next string) {
		t.Helper()
		if err == nil || !strings.Contains(err.Error(), next) {
			t.Errorf("%s: %v", what, err)
		}
	}
	first := again(New())
	k := again(first.Add())
	_, err := k.Add()
	refused("a second key is added", err, "--rotate use")
	_, err = k.Drop()
	refused("dropped before use", err, "--rotate use")
	added := k.Added
	k = again(k.Use())
	if !bytes.Equal(k.Key, added) || len(k.Secondary) != 1 || !bytes.Equal(k.Secondary[0], first.Key) {
		t.Fatalf("used is %v", k)
	}
	_, err = k.Use()
	refused("the old key is used again", err, "--rotate drop")
	more := again(k.Add()) // without dropping, which is allowed
	if more = again(more.Use()); len(more.Secondary) != 2 || !bytes.Equal(more.Secondary[0], added) {
		t.Errorf("used is %v", more)
	}
	if k = again(k.Drop()); !bytes.Equal(k.Key, added) || k.Secondary != nil || bytes.Contains(k.Format(), []byte("#")) {
		t.Errorf("left is %v", k)
	}

	// The key that was added is found wherever an editor has put it.
	k = again(first.Add())
	k.Secondary = append(k.Secondary, key(9))
	if k = again(k.Use()); bytes.Equal(k.Key, key(9)) {
		t.Error("another key than the one added is used")
	}

	// A comment about a key that is not there, or is not the first, says nothing: its key was dropped by hand.
	k = again(first.Add())
	stray := Keys{Key: k.Key, Secondary: k.Secondary}.Format()
	for _, comment := range []string{addedLine + "0123", usedLine + "0123", usedLine + transport.Fingerprint(k.Secondary[0])} {
		if k, err := Parse(append([]byte(comment+"\n"), stray...)); err != nil || k.Added != nil || k.Used {
			t.Errorf("%q: %v, %v", comment, k, err)
		}
	}

	// What was used before the step is still what it was.
	was := k.Format()
	if _, err := k.Use(); err != nil || !bytes.Equal(k.Format(), was) {
		t.Errorf("%s became %s, %v", was, k.Format(), err)
	}

	// A file without the comment, as earlier versions wrote it, goes through all steps.
	k = again(first.Add())
	old := func(k Keys) Keys { return again(Keys{Key: k.Key, Secondary: k.Secondary, Tokens: k.Tokens}, nil) }
	added = k.Secondary[0]
	if k = again(old(k).Use()); !bytes.Equal(k.Key, added) {
		t.Errorf("used is %v", k)
	}
	if k = again(old(k).Drop()); !bytes.Equal(k.Key, added) || k.Secondary != nil {
		t.Errorf("left is %v", k)
	}
}

// A file that only its owner, or his group, may read stays so; one that everybody may read does not.
func TestReplaceKeepsStrangersOut(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("a file has no such mode on Windows")
	}
	k, err := New()
	if err != nil {
		t.Fatal(err)
	}
	for mode, want := range map[os.FileMode]os.FileMode{0o600: 0o600, 0o640: 0o640, 0o400: 0o400, 0o644: 0o600, 0o666: 0o600} {
		path := filepath.Join(t.TempDir(), "key")
		if err := errors.Join(os.WriteFile(path, nil, 0o600), os.Chmod(path, mode), k.Replace(path)); err != nil {
			t.Fatal(err)
		}
		if info, err := os.Stat(path); err != nil || info.Mode().Perm() != want {
			t.Errorf("%v became %v, %v", mode, info.Mode(), err)
		}
	}
}

// Where the path is a link, as in what is mounted for a process, the file it leads to is replaced and the link stays. What cannot be replaced leaves no
// keys behind beside it.
func TestReplaceByALink(t *testing.T) {
	k, err := New()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	path, link := filepath.Join(dir, "of-the-cluster", "key"), filepath.Join(dir, "key")
	if err := errors.Join(os.Mkdir(filepath.Dir(path), 0o700), os.WriteFile(path, nil, 0o600)); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(path, link); err != nil {
		t.Skip("no links here: ", err)
	}
	if err := k.Replace(link); err != nil {
		t.Fatal(err)
	}
	if data, err := os.ReadFile(path); err != nil || !bytes.Equal(data, k.Format()) {
		t.Errorf("the file the link leads to: %q, %v", data, err)
	}
	if to, err := os.Readlink(link); err != nil || to != path {
		t.Errorf("the link leads to %q, %v", to, err)
	}
	if err := k.Replace(filepath.Dir(path)); err == nil {
		t.Error("a directory is replaced")
	}
	if names, err := os.ReadDir(dir); err != nil || len(names) != 2 {
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

// A new file is there whole, its owner's alone, and never in the place of another.
func TestCreate(t *testing.T) {
	k, err := New()
	if err != nil {
		t.Fatal(err)
	}
	for about, create := range map[string]func(string) error{"linked": k.Create, "in place": k.createInPlace} {
		dir := t.TempDir()
		path := filepath.Join(dir, "key")
		if err := create(path); err != nil {
			t.Fatal(err)
		}
		data, err := os.ReadFile(path)
		if err != nil || !bytes.Equal(data, k.Format()) {
			t.Errorf("%s: %q, %v", about, data, err)
		}
		if info, err := os.Stat(path); err != nil || runtime.GOOS != "windows" && info.Mode().Perm() != 0o600 {
			t.Errorf("%s: the file has mode %v, %v", about, info.Mode(), err)
		}
		if err := os.WriteFile(path, []byte("another"), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := create(path); !errors.Is(err, fs.ErrExist) {
			t.Errorf("%s: over another: %v", about, err)
		}
		if data, err := os.ReadFile(path); err != nil || string(data) != "another" {
			t.Errorf("%s: another became %q, %v", about, data, err)
		}
		if names, err := os.ReadDir(dir); err != nil || len(names) != 1 {
			t.Errorf("%s: left behind: %v, %v", about, names, err)
		}
		missing := filepath.Join(dir, "missing", "key")
		if err := create(missing); !errors.Is(err, fs.ErrNotExist) || !strings.Contains(err.Error(), missing) {
			t.Errorf("%s: %v", about, err)
		}
	}
}
