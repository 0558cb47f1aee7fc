package resp

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	crand "crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestWhenUnsure(t *testing.T) {
	t.Parallel()
	unsure := func(context.Context, string) error { return ErrUnsure }
	stuck := func(ctx context.Context, _ string) error { <-ctx.Done(); return ctx.Err() }
	reads := []struct{ send, absent string }{
		{"get k", "$-1\r\n"},
		{"mget k l", "*2\r\n$-1\r\n$-1\r\n"},
		{"exists k", ":0\r\n"},
		{"ttl k", ":-2\r\n"},
		{"type k", "+none\r\n"},
		{"hget k f", "$-1\r\n"},
		{"hmget k f g", "*2\r\n$-1\r\n$-1\r\n"},
		{"hgetall k", "*0\r\n"},
		{"hkeys k", "*0\r\n"},
		{"hvals k", "*0\r\n"},
		{"hlen k", ":0\r\n"},
		{"hexists k f", ":0\r\n"},
		{"hstrlen k f", ":0\r\n"},
		{"hscan k 0", "*2\r\n$1\r\n0\r\n*0\r\n"},
	}
	for name, lookup := range map[string]func(context.Context, string) error{"unsure at once": unsure, "no answer": stuck} {
		t.Run(name, func(t *testing.T) {
			f := newFake()
			f.lookup = lookup
			waits := dial(t, start(t, Config{Backend: f, Timeout: 60 * time.Millisecond}).Addr())
			misses := dial(t, start(t, Config{Backend: f, WhenUnsure: Miss, Timeout: time.Minute}).Addr())
			for _, r := range reads {
				waits.send(r.send + "\r\n")
				if got := waits.reply(); got != "-TRYAGAIN huddle: not sure just now\r\n" {
					t.Errorf("%s, wait: %q", r.send, got)
				}
				misses.send(r.send + "\r\n")
				if got := misses.reply(); got != r.absent {
					t.Errorf("%s, miss: %q", r.send, got)
				}
			}
		})
	}
	t.Run("certain after a while", func(t *testing.T) {
		f := newFake()
		if err := f.Set(t.Context(), "k", []byte("v"), SetArgs{}); err != nil {
			t.Fatal(err)
		}
		var asked atomic.Int64
		f.lookup = func(context.Context, string) error {
			if asked.Add(1) < 4 {
				return ErrUnsure
			}
			return nil
		}
		w := dial(t, start(t, Config{Backend: f}).Addr())
		if got := w.do("get", "k"); got != "$1\r\nv\r\n" {
			t.Error(got)
		}
	})
	t.Run("what is changed is never guessed to be absent", func(t *testing.T) {
		f := newFake()
		f.lookup = unsure
		w := dial(t, start(t, Config{Backend: f, WhenUnsure: Miss, Timeout: 40 * time.Millisecond}).Addr())
		for _, args := range [][]string{
			{"incr", "k"},
			{"sadd", "k", "a"},
			{"getset", "k", "v"},
			{"getdel", "k"},
			{"watch", "k"},
			{"expire", "k", "9"},
			{"smembers", "k"},
			{"sismember", "k", "a"},
			{"hset", "k", "f", "v"},
			{"hmset", "k", "f", "v"},
			{"hsetnx", "k", "f", "v"},
			{"hincrby", "k", "f", "1"},
			{"hdel", "k", "f"},
			{"rename", "k", "l"},
			{"renamenx", "k", "l"},
		} {
			if got := w.do(args...); got != "-TRYAGAIN huddle: not sure just now\r\n" {
				t.Errorf("%s: %q", args[0], got)
			}
		}
	})
}

func TestErrorReplies(t *testing.T) {
	t.Parallel()
	for err, want := range map[error]string{
		ErrUnavailable:               "-CLUSTERDOWN ",
		ErrUnconfirmed:               "-UNCONFIRMED ",
		context.DeadlineExceeded:     "-UNCONFIRMED ",
		ErrTooLarge:                  "-ERR huddle: over the size limit",
		ErrRevoked:                   "-REVOKED ",
		ErrOverload:                  "-BUSY ",
		ErrInvalid:                   "-ERR huddle: key cannot be used",
		ErrClosed:                    "-ERR huddle: the node is closing",
		errors.New("secret-token-7"): "-ERR huddle: internal error",
	} {
		f := newFake()
		s := start(t, Config{Backend: f})
		w := dial(t, s.Addr())
		w.do("set", "k", "v")
		w.do("hset", "there", "f", "v", "g", "w")
		f.write = func(context.Context, string) error { return fmt.Errorf("set: %w", err) }
		for _, args := range [][]string{
			{"set", "k", "v"},
			{"del", "k"},
			{"del", "k", "l"},
			{"mset", "k", "v", "l", "v"},
			{"expire", "k", "10"},
			{"flushall"},
			{"setnx", "k", "v"},
			{"incr", "n"},
			{"sadd", "s", "a"},
			{"getset", "k", "v"},
			{"hset", "h", "f", "v"},
			{"hset", "there", "f", "v"},
			{"hmset", "h", "f", "v"},
			{"hsetnx", "h", "f", "v"},
			{"hincrby", "h", "f", "1"},
			{"hdel", "there", "f"},
			{"hdel", "there", "f", "g"},
			{"rename", "k", "l"},
			{"renamenx", "there", "l"},
		} {
			if got := w.do(args...); !strings.HasPrefix(got, want) || strings.Contains(got, "secret") {
				t.Errorf("%v: %v answers %q", err, args, got)
			}
		}
	}
}

// TestEachKeyIsTried: an error of one key does not keep the others from being deleted.
func TestEachKeyIsTried(t *testing.T) {
	t.Parallel()
	f := newFake()
	w := dial(t, start(t, Config{Backend: f}).Addr())
	w.do("mset", "a", "1", "b", "2", "c", "3")
	f.write = func(_ context.Context, key string) error {
		if key == "a" {
			return ErrUnavailable
		}
		return nil
	}
	if got := w.do("del", "a", "b", "c"); !strings.HasPrefix(got, "-CLUSTERDOWN") {
		t.Error(got)
	}
	if got := w.do("exists", "a", "b", "c"); got != ":1\r\n" {
		t.Error(got)
	}
}

func TestDefaultTTL(t *testing.T) {
	t.Parallel()
	f := newFake()
	f.defaultTTL = time.Hour
	w := dial(t, start(t, Config{Backend: f}).Addr())
	for _, tc := range [][2]string{
		{"set k v", "+OK"},
		{"ttl k", ":3600"},
		{"set k v ex 10", "+OK"},
		{"set k v keepttl", "+OK"},
		{"ttl k", ":10"},
		{"persist k", ":1"},
		{"incr n", ":1"},
		{"ttl n", ":3600"},
		{"expire n 10", ":1"},
		{"incr n", ":2"},
		{"ttl n", ":10"},
		{"sadd s a", ":1"},
		{"ttl s", ":-1"}, // a set ends when it is told to
		{"expire s 10", ":1"},
		{"sadd s b", ":1"},
		{"ttl s", ":10"},
		{"ttl k", ":-1"},
		{"rename k l", "+OK"},
		{"ttl l", ":-1"}, // what has no end keeps having none
		{"rename l k", "+OK"},
		{"hset h f v", ":1"},
		{"ttl h", ":3600"},
		{"expire h 10", ":1"},
		{"hset h f v g w", ":1"},
		{"hincrby h n 1", ":1"},
		{"hdel h f", ":1"},
		{"ttl h", ":10"},
		{"rename h i", "+OK"},
		{"ttl i", ":10"},
		{"hdel i g n", ":2"},
		{"hset i f v", ":1"},
		{"ttl i", ":3600"},
		{"set k v ex 9000000000000", "+OK"},
		{"ttl k", ":3153600000"},
	} {
		w.send(tc[0] + "\r\n")
		if got := w.reply(); got != tc[1]+"\r\n" {
			t.Errorf("%s: %q, want %s", tc[0], got, tc[1])
		}
	}
}

// TestReadsOfAPipelineAreMadeAtOnce: none of the reads is answered before all have been asked.
func TestReadsOfAPipelineAreMadeAtOnce(t *testing.T) {
	t.Parallel()
	const n = 16
	f := newFake()
	w := dial(t, start(t, Config{Backend: f, Timeout: 20 * time.Second}).Addr())
	var pipeline, want strings.Builder
	for i := range n {
		w.do("set", fmt.Sprint("k", i), fmt.Sprint(i))
		pipeline.WriteString(cmd("get", fmt.Sprint("k", i)))
		fmt.Fprintf(&want, "$%d\r\n%d\r\n", len(fmt.Sprint(i)), i)
	}
	var arrived atomic.Int64
	all := make(chan struct{})
	f.lookup = func(ctx context.Context, _ string) error {
		if arrived.Add(1) == n {
			close(all)
		}
		select {
		case <-all:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	w.send(pipeline.String())
	var got strings.Builder
	for range n {
		got.WriteString(w.reply())
	}
	if got.String() != want.String() {
		t.Errorf("%q, want %q", got.String(), want.String())
	}
}

// TestPipelineOrder mixes reads and writes of the same keys: each reply is as if the commands ran one after the other.
func TestPipelineOrder(t *testing.T) {
	t.Parallel()
	w := dial(t, start(t, Config{Backend: newFake()}).Addr())
	w.send("set k 1\r\nget k\r\nget none\r\nstrlen k\r\nset k 22\r\nget k\r\nget\r\nget k\r\nfoo\r\nttl k\r\nmulti\r\nget k\r\nset k 3\r\nget k\r\nexec\r\nget k\r\ntype k\r\n")
	want := []string{
		"+OK", "$1\r\n1", "$-1", ":1", "+OK", "$2\r\n22", "-ERR wrong number of arguments for 'get' command", "$2\r\n22",
		"-ERR unknown command 'foo', with args beginning with: ", ":-1", "+OK", "+QUEUED", "+QUEUED", "+QUEUED", "*3\r\n$2\r\n22\r\n+OK\r\n$1\r\n3", "$1\r\n3", "+string",
	}
	for i, s := range want {
		if got := w.reply(); got != s+"\r\n" {
			t.Errorf("reply %d: %q, want %q", i, got, s)
		}
	}
}

// countingListener counts the writes on its connections.
type countingConn struct {
	net.Conn
	writes *atomic.Int64
}

func (c countingConn) Write(p []byte) (int, error) {
	c.writes.Add(1)
	return c.Conn.Write(p)
}

type countingListener struct {
	net.Listener
	writes atomic.Int64
}

func (l *countingListener) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return countingConn{conn, &l.writes}, nil
}

func TestOneWriteForABatch(t *testing.T) {
	t.Parallel()
	s, err := Listen(Config{Addr: "127.0.0.1:0", Backend: fastFake{newFake()}})
	if err != nil {
		t.Fatal(err)
	}
	counting := &countingListener{Listener: s.ln}
	s.ln = counting
	served := make(chan error, 1)
	go func() { served <- s.Serve() }()
	w := dial(t, s.Addr())
	w.do("ping")
	before := counting.writes.Load()
	const n = 150 // commands of different sizes, more than are taken in one piece
	var b strings.Builder
	for i := range n {
		b.WriteString(cmd("set", "k", strings.Repeat("x", i)))
	}
	if b.Len() > 60_000 || b.Len() < 8<<10 {
		t.Fatal("the batch has the wrong size", b.Len())
	}
	w.send(b.String())
	for range n {
		w.reply()
	}
	// The kernel may deliver the batch in parts: one write for each receive, and a receive takes 8 KiB and more.
	if got := counting.writes.Load() - before; got > 4 {
		t.Errorf("%d writes for one batch", got)
	}
	if err := errors.Join(s.Close(), <-served); err != nil {
		t.Error(err)
	}
}

func TestConcurrentChanges(t *testing.T) {
	t.Parallel()
	s := start(t, Config{Backend: newFake(), Timeout: 30 * time.Second})
	const clients, each = 8, 50
	var wg sync.WaitGroup
	for i := range clients {
		w := dial(t, s.Addr())
		wg.Go(func() {
			for j := range each {
				w.do("incr", "n")
				w.do("sadd", "s", fmt.Sprint(i, "-", j))
				for { // WATCH, GET, SET
					w.send("watch m\r\nget m\r\n")
					w.reply()
					v := strings.Split(w.reply(), "\r\n")
					n := 0
					if len(v) > 2 {
						fmt.Sscan(v[1], &n)
					}
					w.send("multi\r\nset m " + fmt.Sprint(n+1) + "\r\nexec\r\n")
					w.reply()
					w.reply()
					if got := w.reply(); got == "*1\r\n+OK\r\n" {
						break
					} else if got != "*-1\r\n" {
						t.Errorf("exec: %q", got)
						return
					}
				}
			}
		})
	}
	wg.Wait()
	w := dial(t, s.Addr())
	total := clients * each
	for _, args := range [][]string{{"get", "n"}, {"scard", "s"}, {"get", "m"}} {
		if got := w.do(args...); !strings.Contains(got, fmt.Sprint(total)) {
			t.Errorf("%v: %q, want %d", args, got, total)
		}
	}
}

// TestWatchedKeyChangesDuringExec: the change falls between the comparison of versions and the write.
func TestWatchedKeyChangesDuringExec(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct{ name, commands, want, value string }{
		{"before anything is written", "get k\r\nset k mine\r\n", "*-1\r\n", "theirs"},
		{"by a delete", "del k\r\n", "*-1\r\n", "theirs"},
		{"by a change", "getset k mine\r\n", "*-1\r\n", "theirs"},
		{"after something was written", "set other x\r\nset k mine\r\n", "*2\r\n+OK\r\n-EXECABORT a watched key changed while the transaction ran\r\n", "theirs"},
		{"the key itself is written twice", "set other x\r\n", "*1\r\n+OK\r\n", "theirs"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			f := newFake()
			w := dial(t, start(t, Config{Backend: f}).Addr())
			w.send("set k old\r\nwatch k\r\nmulti\r\n" + tc.commands)
			for range 3 + strings.Count(tc.commands, "\n") {
				w.reply()
			}
			var once sync.Once
			f.lookup = nil
			f.write = func(context.Context, string) error {
				once.Do(func() {
					f.write = nil
					if err := f.Set(t.Context(), "k", []byte("theirs"), SetArgs{}); err != nil {
						t.Error(err)
					}
				})
				return nil
			}
			if got := w.do("exec"); got != tc.want {
				t.Errorf("exec: %q, want %q", got, tc.want)
			}
			if got := w.do("get", "k"); !strings.Contains(got, tc.value) {
				t.Errorf("the key holds %q", got)
			}
		})
	}
}

// TestFill: what a client read elsewhere, because a key was absent, and stores under WATCH, loses to all that happened to the key
// meanwhile, also if that left it absent.
func TestFill(t *testing.T) {
	t.Parallel()
	const stored, refused = "*1\r\n+OK\r\n", "*-1\r\n"
	for _, tc := range []struct{ name, meanwhile, fill, want, value string }{
		{"nothing", "get k", "set k filled ex 100", stored, "$6\r\nfilled\r\n"},
		{"another key is deleted", "del other", "set k filled", stored, "$6\r\nfilled\r\n"},
		{"it is deleted, though absent", "del k", "set k filled ex 100", refused, "$-1\r\n"},
		{"it is set", "set k newer", "set k filled", refused, "$5\r\nnewer\r\n"},
		{"it is set and deleted", "set k newer\r\ndel k", "set k filled", refused, "$-1\r\n"},
		{"all is cleared", "flushdb", "setex k 100 filled", refused, "$-1\r\n"},
		{"a counter", "del k", "incr k", refused, "$-1\r\n"},
		{"a set", "del k", "sadd k a", refused, "$-1\r\n"},
		{"a hash", "del k", "hset k f v", refused, "$-1\r\n"},
		{"renamed to it", "set other x\r\ndel k", "rename other k", refused, "$-1\r\n"},
		{"renamed to it, and nothing", "set other x", "rename other k", stored, "$1\r\nx\r\n"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := start(t, Config{Backend: fillFake{fastFake{newFake()}}})
			ours, theirs := dial(t, s.Addr()), dial(t, s.Addr())
			if got := ours.do("watch", "k") + ours.do("get", "k"); got != "+OK\r\n$-1\r\n" {
				t.Fatalf("watch, get: %q", got)
			}
			theirs.send(tc.meanwhile + "\r\n")
			for range 1 + strings.Count(tc.meanwhile, "\n") {
				theirs.reply()
			}
			ours.send("multi\r\n" + tc.fill + "\r\nexec\r\n")
			ours.reply()
			ours.reply()
			if got := ours.reply(); got != tc.want {
				t.Errorf("exec: %q, want %q", got, tc.want)
			}
			if got := theirs.do("get", "k"); got != tc.value {
				t.Errorf("the key holds %q, want %q", got, tc.value)
			}
		})
	}
}

func TestUnixSocket(t *testing.T) {
	path := filepath.Join(t.TempDir(), "sock")
	dead, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	dead.SetUnlinkOnClose(false) // as if its process had been killed
	dead.Close()
	s, err := Listen(Config{Addr: "unix:" + path, Backend: newFake()})
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- s.Serve() }()
	if s.Addr() != "unix:"+path {
		t.Error(s.Addr())
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Error(info.Mode(), err)
	}
	if got := dial(t, s.Addr()).do("ping"); got != "+PONG\r\n" {
		t.Error(got)
	}
	if _, err := Listen(Config{Addr: "unix:" + path, Backend: newFake()}); err == nil {
		t.Error("a socket in use was taken over")
	}
	if err := errors.Join(s.Close(), <-served); err != nil {
		t.Error(err)
	}
	if left, err := os.ReadDir(filepath.Dir(path)); err != nil || len(left) > 0 {
		t.Error("left behind:", left, err)
	}
	if err := os.WriteFile(path, []byte("precious"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Listen(Config{Addr: "unix:" + path, Backend: newFake()}); err == nil {
		t.Error("a file that is no socket was replaced")
	}
}

// Why there can be no socket is said of what the operator named, not of the hidden directory in which it is made.
func TestUnixSocketErrors(t *testing.T) {
	dir := t.TempDir()
	missing := filepath.Join(dir, "missing")
	deep := filepath.Join(dir, strings.Repeat("d", maxSocketPath-len(dir)-3))
	used := filepath.Join(dir, "used")
	start(t, Config{Addr: "unix:" + used})
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{
		filepath.Join(dir, strings.Repeat("s", maxSocketPath-len(dir))): fmt.Sprintf("%d bytes, and no client can name more than %d", maxSocketPath+1, maxSocketPath),
		deep + "/s":    fmt.Sprintf("directory has %d bytes, at most %d", len(deep), maxSocketPath-len(hiddenSocket)),
		missing + "/s": "cannot make a socket in " + missing + ": no such file or directory",
		file + "/s":    "cannot make a socket in " + file + ": not a directory",
		used:           used + ": address already in use",
	} {
		s, err := Listen(Config{Addr: "unix:" + path, Backend: newFake()})
		if err == nil {
			_ = s.Close()
			t.Errorf("%s: no error", path)
		} else if !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "/.r") {
			t.Errorf("%s: %v", path, err)
		}
	}
	longest := filepath.Join(dir, strings.Repeat("s", maxSocketPath-len(dir)-1))
	if got := dial(t, start(t, Config{Addr: "unix:" + longest}).Addr()).do("ping"); got != "+PONG\r\n" {
		t.Error(got)
	}
}

// Of two that start at the same time on a socket that was left behind, the one whose socket is in the place keeps it when the other ends.
func TestCloseLeavesTheSocketOfAnother(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	ours, err := Listen(Config{Addr: "unix:" + path, Backend: newFake()})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(path); err != nil { // the other has found a dead one, and put its own in the place only now
		t.Fatal(err)
	}
	other := start(t, Config{Addr: "unix:" + path})
	if err := ours.Close(); err != nil {
		t.Error(err)
	}
	if got := dial(t, other.Addr()).do("ping"); got != "+PONG\r\n" {
		t.Error(got)
	}
	if err := other.Close(); err != nil {
		t.Error(err)
	}
	if _, err := os.Lstat(path); !os.IsNotExist(err) {
		t.Errorf("the socket is left behind: %v", err)
	}
}

// selfSigned returns the TLS configurations of a server and of its clients.
func selfSigned(t *testing.T) (server, client *tls.Config) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), crand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}}
	der, err := x509.CreateCertificate(crand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AddCert(cert)
	return &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}}, &tls.Config{RootCAs: roots, ServerName: "127.0.0.1"}
}

func TestTLS(t *testing.T) {
	t.Parallel()
	server, client := selfSigned(t)
	server.MinVersion = tls.VersionTLS12
	var log lines
	s := start(t, Config{TLS: server, Logger: log.logger()})
	for range 2 {
		plainText := dial(t, s.Addr())
		plainText.send("ping\r\n")
		plainText.closed()
	}
	_ = dial(t, s.Addr()).conn.Close() // a probe
	for _, other := range []*tls.Config{{ServerName: "127.0.0.1"}, {RootCAs: client.RootCAs, ServerName: "127.0.0.1", MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS11}} {
		if err := tls.Client(dial(t, s.Addr()).conn, other).Handshake(); err == nil {
			t.Error("there is a handshake")
		}
	}
	eventually(t, "those who did not get in have gone", func() bool { return clientsOf(s) == 0 })
	for what, times := range map[string]int{"level=WARN": 2, "does not speak TLS": 1, "no way to speak TLS": 1} {
		if n := strings.Count(log.text(), what); n != times {
			t.Errorf("%q is logged %d times: %s", what, n, log.text())
		}
	}
	w := dial(t, s.Addr())
	w.conn = tls.Client(w.conn, client)
	w.r.Reset(w.conn)
	if got := w.do("set", "k", "v") + w.do("get", "k"); got != "+OK\r\n$1\r\nv\r\n" {
		t.Error(got)
	}
}

// TestClose ends connections that are idle, in the middle of a command, and waiting for an answer.
func TestClose(t *testing.T) {
	f := newFake()
	asked := make(chan struct{}, 1)
	f.lookup = func(ctx context.Context, _ string) error {
		asked <- struct{}{}
		<-ctx.Done()
		return ctx.Err()
	}
	s, err := Listen(Config{Addr: "127.0.0.1:0", Backend: f, Timeout: time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- s.Serve() }()
	idle, half, waiting := dial(t, s.Addr()), dial(t, s.Addr()), dial(t, s.Addr())
	idle.do("ping")
	half.send("*2\r\n$3\r\nget")
	waiting.send("get k\r\n")
	<-asked
	if err := errors.Join(s.Close(), <-served, s.Close()); err != nil {
		t.Error(err)
	}
	goleak.VerifyNone(t)
	s, err = Listen(Config{Addr: "127.0.0.1:0", Backend: f})
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(s.Close(), s.Serve()); err != nil {
		t.Error("never served:", err)
	}
}

func TestConfig(t *testing.T) {
	for name, cfg := range map[string]Config{
		"no backend":       {},
		"unknown mode":     {Backend: newFake(), WhenUnsure: "guess"},
		"negative timeout": {Backend: newFake(), Timeout: -1},
		"negative limit":   {Backend: newFake(), MaxConns: -1},
		"huge value":       {Backend: newFake(), MaxValueBytes: 1 << 30},
		"no such address":  {Backend: newFake(), Addr: "256.0.0.1:1"},
	} {
		if s, err := Listen(cfg); err == nil {
			s.Close()
			t.Error(name, "is accepted")
		}
	}
}
