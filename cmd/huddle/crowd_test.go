package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/huddle-cache/huddle/cmd/internal/cluster"
)

// gauges reads some of a node's metrics.
func gauges(t *testing.T, n *cluster.Node, names ...string) map[string]float64 {
	t.Helper()
	r, err := http.Get(n.URL() + "metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	body, err := io.ReadAll(r.Body)
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]float64{}
	for line := range strings.Lines(string(body)) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), " ")
		for _, want := range names {
			if name == want {
				if out[name], err = strconv.ParseFloat(value, 64); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
	if len(out) != len(names) {
		t.Fatalf("of %v there are only %v", names, out)
	}
	return out
}

// A thousand connections to each port that say nothing, stop in the middle, or talk nonsense do no harm to those who keep
// sessions, and leave nothing behind.
func TestACrowdAtEachPort(t *testing.T) {
	const each = 1000
	key := filepath.Join(t.TempDir(), "key")
	newKeyFile(t, key)
	c, at := startWith(t, cluster.Options{Args: []string{"--key-file", key}})
	n := c.Nodes()[0]
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	watched := []string{"go_goroutines", "go_memstats_heap_inuse_bytes", "process_open_fds"}
	x := startTraffic(t, at, 8)
	x.more(2000)
	before := gauges(t, n, watched...)
	nonsense := bytes.Repeat([]byte("nonsense \x00\xff"), 100)
	for _, port := range []struct {
		name, addr string
		says       [][]byte
	}{
		{"peers", n.Listen, [][]byte{
			nil,
			{0x16, 3, 1, 2, 0, 1},
			nonsense, []byte("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
			{244, 6, 'h', 'u', 'd', 'd', 'l', 'e', 1, 2, 3},
			append([]byte{0x16, 3, 1, 0x3f, 0xff}, nonsense...),
		}},
		{"redis", n.RESP, [][]byte{
			nil, []byte("*3\r\n$3\r\nSET\r\n$1000000\r\n"), nonsense, []byte("*1000000\r\n"), []byte("$-1\r\n"), []byte("GET"),
			[]byte("*2\r\n$3\r\nGET\r\n$999999999999\r\n"),
		}},
		{"admin", n.Admin, [][]byte{
			nil, []byte("GET / HTTP/1.1\r\nHost: localhost\r\n"), nonsense, []byte("PUT /api/v1/entries/k HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000000\r\n\r\nx"),
			[]byte("GET /" + strings.Repeat("x", 10_000)), []byte("POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\n"),
		}},
	} {
		t.Run(port.name, func(t *testing.T) {
			var conns []net.Conn
			for i := range each {
				conn, err := net.DialTimeout("tcp", port.addr, 10*time.Second)
				if err != nil {
					t.Fatalf("connection %d: %v", i, err)
				}
				conns = append(conns, conn)
				_, _ = conn.Write(port.says[i%len(port.says)]) // it may be closed already
			}
			during := gauges(t, n, watched...)
			x.more(3000)
			if !n.Client().Ready(ctx) {
				t.Error("the node is not ready")
			}
			for _, conn := range conns {
				_ = conn.Close()
			}
			var after map[string]float64
			eventually(t, "all is as it was", func() bool {
				after = gauges(t, n, watched...)
				return after["go_goroutines"] <= before["go_goroutines"]+16 && after["process_open_fds"] <= before["process_open_fds"]+16 &&
					after["go_memstats_heap_inuse_bytes"] <= before["go_memstats_heap_inuse_bytes"]+16<<20
			})
			show := func(m map[string]float64) string {
				return fmt.Sprintf("%v goroutines, %.1f MiB, %v files", m[watched[0]], m[watched[1]]/(1<<20), m[watched[2]])
			}
			t.Logf("before: %s; with %d connections: %s; after: %s", show(before), each, show(during), show(after))
		})
	}
	t.Logf("%d requests, none has failed", x.stop())
	for _, n := range c.Nodes() {
		st, err := n.Client().Status(ctx, false)
		if err != nil || st.Stats.Members != 3 || st.Stats.ViewChanges > 3 {
			t.Errorf("%s: %d members, %d changes of the view, %v", n.Name, st.Stats.Members, st.Stats.ViewChanges, err)
		}
	}
	if lines := strings.Count(n.Log(), "level=WARN"); lines > 12 {
		t.Errorf("%d warnings are logged", lines)
	}
}
