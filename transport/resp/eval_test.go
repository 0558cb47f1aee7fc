package resp

import (
	"context"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"github.com/huddle-cache/huddle/transport/resp/resptest"
)

// The names under which clients ask for their scripts, which stand in their sources.
func TestScriptsHaveTheNamesThatClientsKnow(t *testing.T) {
	s := newScripts()
	for sha, whose := range map[string]string{
		"b70c2384248f88e6b75b9f89241a180f856ad852": "phpredis",
		"e950836ed1e694540c503ef9972b8de518044d3b": "redsync, unlock",
		"b6b55c439e02c6f52ffb8be7ec8c0d0ac816ea79": "redsync, lock or extend",
		"d75bb8b5bd13532ddedd17762e772346e39b321e": "redsync, extend",
	} {
		if s.find(sha) == nil {
			t.Errorf("%s (%s) is not known", sha, whose)
		}
	}
}

func TestNormalForm(t *testing.T) {
	form := func(text string) string {
		f, _, ok := normalForm([]byte(text))
		if !ok {
			return "not ok"
		}
		return f
	}
	const release = `if redis.call("get",KEYS[1]) == ARGV[1] then return redis.call("del",KEYS[1]) else return 0 end`
	for text, same := range map[string]bool{
		strings.ReplaceAll(release, `"`, "'"):                                       true,
		strings.ReplaceAll(release, " ", "\r\n\t "):                                 true,
		"-- give it back\n" + release + " -- done":                                  true,
		strings.ReplaceAll(strings.ReplaceAll(release, "get", "GeT"), "del", "DEL"): true,
		strings.ReplaceAll(release, "KEYS", "keys"):                                 false,
		strings.ReplaceAll(release, "==", "= ="):                                    false,
		strings.ReplaceAll(release, "==", "~="):                                     false,
		strings.ReplaceAll(release, "[1]", "[2]"):                                   false,
		strings.ReplaceAll(release, "return", "ret"):                                false,
		strings.ReplaceAll(release, "del", "unlink"):                                false,
		strings.ReplaceAll(release, "else", ""):                                     false,
		"--[[" + release + "]]":                                                     false,
		"#!lua\n" + release:                                                         false,
		release + ";":                                                               false,
		release + "\x00":                                                            false,
		strings.ReplaceAll(release, `"get"`, `"\x67et"`):                            false,
		strings.ReplaceAll(release, `"get"`, `"get'"`):                              false,
		release + `"`: false,
	} {
		if got := form(text) == form(release); got != same {
			t.Errorf("%q: the same: %v, want %v", text, got, same)
		}
	}
	if form(`return 'yes'`) == form(`return 'YES'`) {
		t.Error("the case of a string that names no command does not count")
	}
}

// Each script does what it does in Redis, and answers the same, errors too, whatever the key holds and whatever comes with it.
func TestScriptsSameAsRedis(t *testing.T) {
	redis := resptest.Redis(t)
	ours := start(t, Config{Backend: fillFake{fastFake{newFake()}}}).Addr()
	times := regexp.MustCompile(`:[0-9]{4,}\r\n`)
	same := func(args []string, reply string) string {
		if args[0] == "pttl" || strings.HasPrefix(strings.ToLower(args[0]), "eval") || args[0] == "exec" {
			return times.ReplaceAllStringFunc(reply, func(s string) string {
				n, _ := strconv.Atoi(s[1 : len(s)-2])
				return fmt.Sprintf(":%d minutes\r\n", (n+30_000)/60_000)
			})
		}
		return reply
	}
	holds := [][]string{
		{"ping"},
		{"set", "k", "mine"},
		{"set", "k", "mine", "px", "500000"},
		{"set", "k", "another's", "px", "500000"},
		{"set", "k", ""},
		{"set", "k", "41", "px", "500000"},
		{"set", "k", "9223372036854775807"},
		{"sadd", "k", "mine"},
		{"hset", "k", "mine", "1"},
	}
	comes := [][]string{
		{"1", "k", "mine"},
		{"1", "k", "mine", "5000000"},
		{"1", "k", "mine", "5000000", "0"},
		{"1", "k", "mine", "5000000", "1"},
		{"1", "k", "mine", "5000000", "yes", "more"},
		{"1", "k", "mine", "0", "yes"},
		{"1", "k", "mine", "-900000000", "0"},
		{"1", "k", "mine", "x", "1"},
		{"1", "k", "mine", "9223372036854775807", "1"},
		{"1", "k", ""},
		{"1", "k", "1", "500000"},
		{"1", "k"},
		{"x", "k"},
		{"-1", "k"},
		{"2", "k"},
	}
	for _, proto := range []string{"2", "3"} {
		for n, known := range lockScripts() {
			for _, text := range known.texts {
				sha := scriptName([]byte(text))
				var all [][]string
				all = append(all, []string{"flushall"}, []string{"script", "flush"}, []string{"script", "load", text}, []string{"script", "exists", sha, strings.ToUpper(sha), "x"})
				for _, h := range holds {
					for _, args := range comes {
						if known.mine.do == doProlongBy && (len(args) < 4 || args[3] == "x") {
							continue // Redis says what Lua says of a sum of what is no number
						}
						for _, run := range [][]string{{"eval", text}, {"EVALSHA", sha}} {
							all = append(all, []string{"del", "k"}, h, slices.Concat(run, args), []string{"type", "k"}, []string{"pttl", "k"}, []string{"exists", "k"})
						}
					}
				}
				all = append(all, []string{"set", "k", "mine"}, []string{"multi"}, []string{"evalsha", strings.ToUpper(sha), "1", "k", "mine", "5000000"},
					[]string{"eval", text, "1"}, []string{"exists", "k"}, []string{"exec"}, []string{"get", "k"},
					[]string{"command", "getkeys", "eval", text, "2", "a", "b", "c"}, []string{"command", "getkeys", "evalsha", sha, "0", "a"},
					[]string{"command", "getkeys", "evalsha", sha, "3", "a"}, []string{"command", "getkeys", "eval", "x"})
				t.Run(fmt.Sprintf("RESP%s/%d/%s", proto, n, sha[:8]), func(t *testing.T) {
					resptest.CompareCommands(t, redis, ours, proto, all, same)
				})
			}
		}
	}
}

// What phpredis sends with redis.session.locking_enabled: the lock of a session is free again after each request.
func TestSessionLockOfPHP(t *testing.T) {
	w := dial(t, start(t, Config{}).Addr())
	const key, lock = "PHPREDIS_SESSION:5a1c", "PHPREDIS_SESSION:5a1c_LOCK"
	const text = `if redis.call("get",KEYS[1]) == ARGV[1] then return redis.call("del",KEYS[1]) else return 0 end`
	for i, secret := range []string{"host|1", "host|2", "host|3"} {
		for _, step := range [][2]string{
			{cmd("set", lock, secret, "NX", "PX", "30000"), "+OK\r\n"},
			{cmd("set", lock, "another", "NX", "PX", "30000"), "$-1\r\n"},
			{cmd("get", lock), "$6\r\n" + secret + "\r\n"},
			{cmd("setex", key, "1440", fmt.Sprint("n|i:", i)), "+OK\r\n"},
			{cmd("evalsha", "b70c2384248f88e6b75b9f89241a180f856ad852", "1", lock, "another"), ":0\r\n"},
			{cmd("evalsha", "b70c2384248f88e6b75b9f89241a180f856ad852", "1", lock, secret), ":1\r\n"},
			{cmd("eval", text, "1", lock, secret), ":0\r\n"},
		} {
			w.send(step[0])
			if got := w.reply(); got != step[1] {
				t.Fatalf("%q: %q, want %q", step[0], got, step[1])
			}
		}
	}
}

func TestScriptsOfGoRedis(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	for _, proto := range []int{2, 3} {
		c := goredis.NewClient(&goredis.Options{Addr: start(t, Config{}).Addr(), Protocol: proto})
		t.Cleanup(func() { c.Close() })
		release := goredis.NewScript("-- of my own\nif redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end\nreturn 0\n")
		if exists, err := release.Exists(ctx, c).Result(); err != nil || exists[0] {
			t.Fatalf("before it was sent: %v, %v", exists, err)
		}
		for range 2 { // by EVALSHA, then by EVAL; the second time by EVALSHA alone
			if ok, err := c.SetNX(ctx, "lock", "me", time.Minute).Result(); err != nil || !ok {
				t.Fatal(ok, err)
			}
			for _, step := range []struct {
				who  string
				want int
			}{{"you", 0}, {"me", 1}, {"me", 0}} {
				if n, err := release.Run(ctx, c, []string{"lock"}, step.who).Int(); err != nil || n != step.want {
					t.Errorf("RESP%d: released by %s: %d, %v", proto, step.who, n, err)
				}
			}
		}
		if exists, err := release.Exists(ctx, c).Result(); err != nil || !exists[0] {
			t.Errorf("after it was sent: %v, %v", exists, err)
		}
		other := goredis.NewScript("return 1")
		if err := other.Run(ctx, c, nil).Err(); err == nil || err.Error() != errUnknownScript {
			t.Errorf("another script: %v", err)
		}
		if err := other.Load(ctx, c).Err(); err == nil || err.Error() != errUnknownScript {
			t.Errorf("to load another script: %v", err)
		}
		if err := other.EvalSha(ctx, c, nil).Err(); !goredis.HasErrorPrefix(err, "NOSCRIPT") {
			t.Errorf("another script, by name: %v", err)
		}
	}
}

// The texts that are remembered are bounded, in number and each.
func TestLearntScriptsAreBounded(t *testing.T) {
	s := newScripts()
	release := lockScripts()[0].texts[0]
	for i := range maxLearnt + 100 {
		text := []byte(release + "\n-- " + fmt.Sprint(i))
		if one := s.learn(text); one == nil || s.find(one.sha) != one {
			t.Fatalf("%d is not known", i)
		}
	}
	if len(s.learnt) != maxLearnt {
		t.Errorf("%d are remembered", len(s.learnt))
	}
	if s.learn([]byte(release+strings.Repeat(" ", maxScriptBytes))) != nil {
		t.Error("a text of any length is looked at")
	}
}

// A part of a set is nobody's lock, nor is what several keys would have to be for a script that makes sure of all of them.
func TestKeysOfScripts(t *testing.T) {
	w := dial(t, start(t, Config{}).Addr())
	for _, known := range lockScripts() {
		if got := w.do("eval", known.texts[0], "1", partPrefix+"x", "me", "1000"); !strings.HasPrefix(got, "-ERR huddle: ") {
			t.Errorf("%q", got)
		}
		if got := w.do("eval", known.texts[0], "0"); got != "-"+errScriptKeys+"\r\n" {
			t.Errorf("%q", got)
		}
		if got := w.do("eval", known.texts[0], "2", "a", "b", "me", "1000"); (got == "-"+errScriptKeys+"\r\n") != known.all {
			t.Errorf("%q: %q", known.texts[0], got)
		}
	}
}

// A lock is no token: that a script removes it is never final, so that it can be taken again.
func TestReleaseOfALockIsNotFinal(t *testing.T) {
	var unset atomic.Int64
	w := dial(t, start(t, Config{Backend: unsetFake{fastFake{newFake()}, &unset}}).Addr())
	for _, text := range []string{lockScripts()[0].texts[0], `if redis.call('get', KEYS[1]) == ARGV[1] then return redis.call('pexpire', KEYS[1], ARGV[2]) else return 0 end`} {
		if got := w.do("set", "lock", "me", "nx"); got != "+OK\r\n" {
			t.Errorf("%q", got)
		}
		if got := w.do("eval", text, "1", "lock", "me", "0"); got != ":1\r\n" {
			t.Errorf("%q", got)
		}
	}
	if unset.Load() != 2 {
		t.Errorf("%d removals that are not final", unset.Load())
	}
}

// Of many that take and release one lock at once, one has it at a time.
func TestLocksExclude(t *testing.T) {
	s := start(t, Config{Backend: fillFake{fastFake{newFake()}}})
	take, release := `return redis.call("set", KEYS[1], ARGV[1], "NX", "PX", ARGV[2])`, lockScripts()[0].texts[0]
	var holders, taken atomic.Int64
	var wg sync.WaitGroup
	for i := range 8 {
		w := dial(t, s.Addr())
		wg.Go(func() {
			me := fmt.Sprint(i)
			for range 100 {
				if w.do("eval", take, "1", "lock", me, "60000") != "+OK\r\n" {
					_ = w.do("eval", release, "1", "lock", me) // it is another's
					continue
				}
				if holders.Add(1) != 1 {
					t.Error("two have the lock")
				}
				taken.Add(1)
				holders.Add(-1)
				if got := w.do("eval", release, "1", "lock", me); got != ":1\r\n" {
					t.Errorf("released: %q", got)
				}
			}
		})
	}
	wg.Wait()
	if taken.Load() == 0 {
		t.Error("nobody had the lock")
	}
}

// What is between the look at the key and its removal counts: then the key is looked at anew.
func TestScriptIsOneStep(t *testing.T) {
	f := fillFake{fastFake{newFake()}}
	w := dial(t, start(t, Config{Backend: f}).Addr())
	w.do("set", "lock", "me")
	var once sync.Once
	f.write = func(_ context.Context, key string) error {
		once.Do(func() {
			f.mu.Lock()
			defer f.mu.Unlock()
			f.clock++
			f.entries[key] = fakeEntry{value: []byte("you"), version: f.clock}
		})
		return nil
	}
	if got := w.do("eval", lockScripts()[0].texts[0], "1", "lock", "me"); got != ":0\r\n" {
		t.Errorf("the lock of another is released: %q", got)
	}
	if got := w.do("get", "lock"); got != "$3\r\nyou\r\n" {
		t.Errorf("%q", got)
	}
}

// A watched lock that is changed fails the transaction, and what is not confirmed is said to be so and not tried again.
func TestScriptsInTransactionsAndUnconfirmed(t *testing.T) {
	f := fillFake{fastFake{newFake()}}
	s := start(t, Config{Backend: f})
	w, other := dial(t, s.Addr()), dial(t, s.Addr())
	release := lockScripts()[0].texts[0]
	w.do("set", "lock", "me")
	for _, changed := range []bool{false, true} {
		w.do("set", "lock", "me")
		w.do("watch", "lock")
		if changed {
			other.do("eval", `if redis.call("get", KEYS[1]) == ARGV[1] then return redis.call("pexpire", KEYS[1], ARGV[2]) else return 0 end`, "1", "lock", "me", "60000")
		}
		w.do("multi")
		w.do("eval", release, "1", "lock", "me")
		want := "*1\r\n:1\r\n"
		if changed {
			want = "*-1\r\n"
		}
		if got := w.do("exec"); got != want {
			t.Errorf("changed: %v: %q", changed, got)
		}
	}
	var writes atomic.Int64
	f.write = func(context.Context, string) error {
		writes.Add(1)
		return ErrUnconfirmed
	}
	for _, args := range [][]string{{release, "1", "lock", "me"}, {lockScripts()[4].texts[0], "1", "lock", "me", "9"}} {
		writes.Store(0)
		if got := w.do(append([]string{"eval"}, args...)...); !strings.HasPrefix(got, "-UNCONFIRMED") || writes.Load() != 1 {
			t.Errorf("%q after %d writes", got, writes.Load())
		}
	}
}

func FuzzNormalForm(f *testing.F) {
	for _, known := range lockScripts() {
		for _, text := range known.texts {
			f.Add([]byte(text))
		}
	}
	f.Add([]byte("--[["))
	f.Add([]byte("'--"))
	f.Fuzz(func(t *testing.T, text []byte) {
		form, calls, ok := normalForm(text)
		if !ok {
			return
		}
		again, same, ok := normalForm([]byte(form))
		if !ok || again != form || len(same) != len(calls) {
			t.Errorf("%q becomes %q, and that %q", text, form, again)
		}
	})
}
