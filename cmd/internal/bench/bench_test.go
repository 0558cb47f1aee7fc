package bench

import (
	"bufio"
	"bytes"
	"io"
	"net"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/huddle-cache/huddle/cmd/internal/bench/load"
	"github.com/huddle-cache/huddle/cmd/internal/term"
)

func TestTime(t *testing.T) {
	for ns, want := range map[int64]string{0: "0 ns", 999: "999 ns", 1234: "1.23 µs", 45_100: "45.1 µs", 430_000_000: "430 ms", 2_500_000_000: "2.50 s"} {
		if got := Time(ns); got != want {
			t.Errorf("%d: %q, want %q", ns, got, want)
		}
	}
}

func run(via Via, w load.Workload, callers int, perSecond float64, p50 int64) Measured {
	l := load.Latency{Count: 10, P50: p50, P99: 2 * p50}
	return Measured{Via: via, Result: load.Result{
		Workload: w.String(), Callers: callers, PerSecond: perSecond, Requests: 10, All: l, Ops: map[string]load.Latency{"get": l},
	}}
}

func TestComparisonPairsRunsOfOneKind(t *testing.T) {
	got := compare([]Measured{
		run(RESP, load.Read, 1, 100, 2000),
		run(Redis, load.Read, 1, 200, 1000),
		run(RESP, load.Read, 8, 300, 1000),
		run(Redis, load.Read, 8, 100, 3000),
		run(Node, load.Read, 8, 900, 10),
		run(RESP, load.Write, 8, 300, 1000), // interrupted before Redis had its turn
	})
	if len(got) != 2 {
		t.Fatalf("%+v", got)
	}
	if a := got[0]; a.Callers != 1 || a.Throughput != 0.5 || a.P50 != 0.5 || a.P99 != 0.5 {
		t.Errorf("%+v", a)
	}
	if b := got[1]; b.Callers != 8 || b.Throughput != 3 || b.P50 != 3 || b.P99 != 3 {
		t.Errorf("%+v", b)
	}
	text := strings.Join(comparisonLines(got, term.Style{}), "\n")
	for _, want := range []string{"read", "0.50", "3.00", "2.00 µs"} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is not in\n%s", want, text)
		}
	}
}

func TestRowsLineUpWithTheHead(t *testing.T) {
	var out bytes.Buffer
	s := newShow(Config{Out: &out, For: time.Second, Workloads: []load.Workload{load.Read}, Callers: []int{1}, Addrs: []string{"a"}})
	s.measured(run(Strategy, load.ReadMostly, 4096, 12_345_678, 123_000))
	lines := strings.Split(strings.TrimRight(out.String(), "\n"), "\n")
	h, row := lines[2], lines[3]
	if term.VisibleLen(row) != len(h) || !strings.HasPrefix(row, "strategy  read-mostly    4,096    12,345,678  get") {
		t.Errorf("\n%s\n%s", h, row)
	}
}

// What a Get after a log-out has to find is no miss.
func TestMissesThatAreDueAreNotListed(t *testing.T) {
	var out bytes.Buffer
	s := newShow(Config{Out: &out, For: time.Second, Addrs: []string{"a"}})
	for w, want := range map[load.Workload]bool{load.Logout: false, load.Read: true} {
		m := run(RESP, w, 1, 100, 1000)
		m.Misses = 4321
		out.Reset()
		if s.measured(m); strings.Contains(out.String(), "4,321") != want {
			t.Errorf("%v:\n%s", w, out.String())
		}
	}
}

// Where nothing answers there is no table, but a hint.
func TestWithoutANodeThereIsNoTable(t *testing.T) {
	var out bytes.Buffer
	err := Run(t.Context(), Config{Workloads: []load.Workload{load.Read}, Callers: []int{1}, Keys: 100, Addrs: []string{"127.0.0.1:1"}, Out: &out, Err: &out})
	if err == nil || !strings.Contains(err.Error(), "huddle serve") || !strings.Contains(err.Error(), "--self-contained") || out.Len() != 0 {
		t.Errorf("%v after %q", err, out.String())
	}
}

// server is the address of what speaks the Redis protocol: answer says what it answers to a command.
func server(t *testing.T, answer func(command string) string) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = ln.Close() })
	serve := func(c net.Conn) {
		defer c.Close()
		in := bufio.NewScanner(c)
		for number := ""; in.Scan(); { // *N, and N times $length and the argument
			if number = in.Text(); number[0] != '*' {
				return
			}
			command := ""
			for n, _ := strconv.Atoi(number[1:]); n > 0; n-- {
				if in.Scan(); in.Scan() && command == "" {
					command = strings.ToUpper(in.Text())
				}
			}
			if _, err := io.WriteString(c, answer(command)); err != nil {
				return
			}
		}
	}
	go func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			go serve(c)
		}
	}()
	return ln.Addr().String()
}

// Where a deletion is final the keys would be dead after the first run, and 100,000 revocations take the room of others: nothing is written there.
func TestAClusterWhoseDELIsFinalIsLeftAlone(t *testing.T) {
	var sets, deletes atomic.Int64
	addr := server(t, func(command string) string {
		switch command {
		case "HELLO":
			return "-ERR unknown command\r\n"
		case "SET":
			if sets.Add(1); deletes.Load() > 0 {
				return "-REVOKED huddle: the key was deleted for good\r\n"
			}
		case "DEL", "UNLINK":
			return ":" + strconv.FormatInt(deletes.Add(1), 10) + "\r\n"
		}
		return "+OK\r\n"
	})
	var out bytes.Buffer
	err := Run(t.Context(), Config{
		Workloads: []load.Workload{load.Read}, Callers: []int{1}, Keys: 100, Requests: 1, Addrs: []string{addr}, Out: &out, Err: &out,
	})
	if err == nil || !strings.Contains(err.Error(), "--revoke-prefix") || out.Len() != 0 {
		t.Errorf("%v after %q", err, out.String())
	}
	if sets.Load() != 2 || deletes.Load() != 1 {
		t.Errorf("%d sets and %d deletions, which is more than it takes to find out", sets.Load(), deletes.Load())
	}
}

// A port that wants TLS ends the connection without a word.
func TestAConnectionThatEndsIsExplained(t *testing.T) {
	var out bytes.Buffer
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	go func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			_, _ = c.Read(make([]byte, 1024)) // or the rest would reset the connection
			_ = c.Close()
		}
	}()
	err = Run(t.Context(), Config{
		Workloads: []load.Workload{load.Read}, Callers: []int{1}, Keys: 100, Requests: 1, Addrs: []string{ln.Addr().String()}, Out: &out, Err: &out,
	})
	if err == nil || !strings.Contains(err.Error(), "--resp-tls-cert") {
		t.Errorf("%v after %q", err, out.String())
	}
}
