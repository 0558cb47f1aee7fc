package resp

import (
	"bytes"
	"io"
	"slices"
	"strings"
	"testing"

	"github.com/tidwall/redcon"

	"github.com/huddle-cache/huddle/transport/resp/resptest"
)

// FuzzServer sends any bytes: the server must not fall over, and must go on to answer others.
// Run it with -fuzzminimizetime 1x: what a server covers is not the same in each run, and minimizing takes all the time.
func FuzzServer(f *testing.F) {
	for _, script := range resptest.Scripts() {
		f.Add([]byte(script))
	}
	f.Add([]byte(cmd("set", "k", "v") + cmd("multi") + cmd("get", "k") + cmd("exec")))
	f.Add([]byte("*1\r\n$9223372036854775807\r\n"))
	f.Add([]byte("*2\r\n$3\r\nget\r\n$-5\r\n"))
	f.Add([]byte("hello 3\r\nsadd s a b\r\nsmembers s\r\nsscan s 0\r\n"))
	s := start(f, Config{MaxValueBytes: 500, splitAt: 40, pruneIn: 1})
	f.Fuzz(func(t *testing.T, raw []byte) {
		w := dial(t, s.Addr())
		go func() {
			_, _ = w.conn.Write(raw)
			_, _ = w.conn.Write([]byte("\r\nquit\r\n"))
			if c, ok := w.conn.(interface{ CloseWrite() error }); ok {
				_ = c.CloseWrite()
			}
		}()
		if _, err := io.Copy(io.Discard, w.r); isTimeout(err) {
			t.Error("the connection hangs")
		}
		if got := dial(t, s.Addr()).do("ping"); got != "+PONG\r\n" {
			t.Errorf("another client is answered %q", got)
		}
	})
}

// FuzzQuick: what the quick way takes, the other takes too, and reads the same in it.
func FuzzQuick(f *testing.F) {
	f.Add([]byte(cmd("get", "k")))
	f.Add([]byte(cmd("set", "k", strings.Repeat("v", 100)) + cmd("get", "")))
	for _, odd := range []string{
		"*2\r\n$3\r\nget\r\n$01\r\nk\r\n", "*02\r\n$3\r\nget\r\n$1\r\nk\r\n", "*1\r\n$\r\n\r\n", "*\r\n", "*0\r\n", "*1\r\n$-0\r\n\r\n",
		"*1\r\n$00000004\r\nping\r\n", "*1\r\n$4\r\npingpong", "*1\r\n$4\nping\r\n", "*1\r\n$0\r\n\r\n", "*1\r\n$4\r\nping\r",
	} {
		f.Add([]byte(odd))
	}
	lim := limits{args: 20, bulk: 200, frame: 500, commands: 1}
	f.Fuzz(func(t *testing.T, raw []byte) {
		quick := scanner{buf: raw[:len(raw):len(raw)]}
		args, ok := quick.quick(lim, nil)
		if !ok {
			if len(args) != 0 || quick.start != 0 {
				t.Fatalf("%q is not taken, but %q of it is", raw, args)
			}
			return
		}
		slow := scanner{buf: raw[:len(raw):len(raw)]}
		frame, err := slow.next(lim)
		if err != nil || len(frame) != quick.start || slow.start != quick.start {
			t.Fatalf("of %q the quick way takes %d bytes, the other %d and %v", raw, quick.start, len(frame), err)
		}
		_, want, _, rest, err := redcon.ReadNextCommand(frame, nil)
		if err != nil || len(rest) != 0 || !slices.EqualFunc(args, want, bytes.Equal) {
			t.Fatalf("%q is read as %q, and as %q, %v", raw, args, want, err)
		}
	})
}

// FuzzSet reads any bytes as a stored set, and a set made of them back.
func FuzzSet(f *testing.F) {
	f.Add(encodeSet([]member{{name: []byte("a")}, {name: []byte("ab"), named: true}, {name: []byte("b"), named: true, gone: true}}))
	f.Add([]byte(magic + "s\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"))
	f.Add([]byte(magic + "s\x02\x00\x01a\xff\xff\xff\xff\x0f\x01"))
	f.Add([]byte(magic + "p" + magic))
	f.Add(top{partsID{1, 2, 3}, true}.stored())
	f.Fuzz(func(t *testing.T, raw []byte) {
		if k, value := unwrap(wrap(raw)); k != plain || !bytes.Equal(value, raw) {
			t.Fatalf("a plain value reads back as %q", value)
		}
		switch k, body := unwrap(raw); k {
		case set:
			if all, err := decodeSet(body); err == nil {
				again, err := decodeSet(encodeSet(all)[len(magic)+1:])
				if err != nil || !slices.EqualFunc(all, again, sameMember) {
					t.Fatalf("%v reads back as %v, %v", all, again, err)
				}
			}
		case parts:
			if up, err := parseTop(body); err == nil && !bytes.Equal(up.stored(), raw) {
				t.Fatalf("%v reads back as %q", up, up.stored())
			}
		}
		var given []member
		for i, name := range sorted(bytes.Split(raw, []byte{0})) {
			given = append(given, member{name, i%2 == 0, i%3 == 0})
		}
		k, body := unwrap(encodeSet(given))
		if k != set {
			t.Fatal("a set is not read as one")
		}
		all, err := decodeSet(body)
		if err != nil || !slices.EqualFunc(all, given, sameMember) {
			t.Fatalf("%v reads back as %v, %v", given, all, err)
		}
		half := given[len(given)/2:]
		rest := exclude(given, half)
		with, added := include(rest, half)
		if added != len(half) || len(with) != len(given) || !slices.IsSortedFunc(with, byName) {
			t.Fatalf("%d without %d are %d, and with them again %d, %d of them new", len(given), len(half), len(rest), len(with), added)
		}
	})
}

// FuzzHash reads any bytes as a stored hash, and does with them what it would do with an ordered map.
func FuzzHash(f *testing.F) {
	whole, _, _ := putFields(nil, fieldsGiven([][]byte{[]byte("a"), []byte("1"), nil, nil, []byte("b"), []byte("2")}))
	f.Add(whole)
	f.Add(whole[:len(whole)-1])
	f.Add([]byte(magic + "h"))
	f.Add([]byte(magic + "h\x02\x00"))
	f.Add([]byte(magic + "h\x01\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"))
	f.Add([]byte(magic + "h\x01\x01\xff\xff\xff\xff\xff\xff\xff\xff\x7f\x01"))
	f.Add([]byte(magic + "h\x01\x02\x01a\x01b\x01a\x01c"))
	f.Add([]byte("a\x001\x00b\x002\x00a\x003"))
	f.Fuzz(func(t *testing.T, raw []byte) {
		if k, value := unwrap(wrap(raw)); k != plain || !bytes.Equal(value, raw) {
			t.Fatalf("a plain value reads back as %q", value)
		}
		given := bytes.Split(raw, []byte{0})
		if k, body := unwrap(raw); k == hash {
			n := 0
			var bad error
			for _, err := range fields(body) {
				if bad = err; err == nil {
					n++
				}
			}
			if count, err := fieldCount(body); bad == nil && (err != nil || count != n) {
				t.Fatalf("%d fields are counted as %d, %v", n, count, err)
			}
			if _, _, err := putFields(body, fieldsGiven(given)); (err == nil) != (bad == nil) {
				t.Fatalf("it is read with %v, and changed with %v", bad, err)
			}
			if _, _, err := dropFields(body, given); (err == nil) != (bad == nil) {
				t.Fatalf("it is read with %v, and changed with %v", bad, err)
			}
		}
		var names []string
		values := make(map[string]string)
		var body []byte
		for i := 0; i+1 < len(given); i += 2 { // one command for each
			name, value := string(given[i]), string(given[i+1])
			_, there := values[name]
			if !there {
				names = append(names, name)
			}
			values[name] = value
			stored, created, err := putFields(body, fieldsGiven(given[i:i+2]))
			if err != nil || (created == 1) == there {
				t.Fatalf("%q: %d new, %v", name, created, err)
			}
			k, now := unwrap(stored)
			if body = now; k != hash || IsSet(stored) {
				t.Fatal("a hash is not read as one")
			}
		}
		if all, _, err := putFields(nil, fieldsGiven(given)); len(names) > 0 && (err != nil || !bytes.Equal(all[len(magic)+1:], body)) {
			t.Fatalf("all at once: %q, %v, one by one: %q", all, err, body)
		}
		check := func(body []byte) {
			i := 0
			for f, err := range fields(body) {
				if err != nil || i == len(names) || string(f.name) != names[i] || string(f.value) != values[names[i]] {
					t.Fatalf("%q, field %d: %q, %v", body, i, f, err)
				}
				i++
			}
			if i != len(names) {
				t.Fatalf("%d fields, want %d", i, len(names))
			}
			got, err := valuesOf(body, given)
			for i, name := range given {
				one, oneErr := valueOf(body, name)
				want, ok := values[string(name)]
				if err != nil || oneErr != nil || (got[i] != nil) != ok || string(got[i]) != want || (one != nil) != ok || string(one) != want {
					t.Fatalf("%q: %q, %v, and %q, %v; want %q", name, got[i], err, one, oneErr, want)
				}
			}
		}
		check(body)
		if len(names) < 2 {
			return
		}
		gone := names[len(names)/2]
		rest, dropped, err := dropFields(body, [][]byte{[]byte(gone), []byte(gone)})
		if err != nil || dropped != 1 {
			t.Fatalf("%d dropped, %v", dropped, err)
		}
		names = slices.Delete(names, len(names)/2, len(names)/2+1)
		delete(values, gone)
		check(rest[len(magic)+1:])
	})
}

func sameMember(a, b member) bool {
	return bytes.Equal(a.name, b.name) && a.named == b.named && a.gone == b.gone
}
