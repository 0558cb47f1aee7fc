package main

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/huddle-cache/huddle/cmd/internal/cluster"
	"github.com/huddle-cache/huddle/transport/resp/resptest"
)

// The promise about the memory of the process holds too when clients ask for much and do not take it, or send half of a command and stop, with
// whatever --max-memory. Others are served meanwhile.
func TestMemoryOfTheProcessWithSlowClients(t *testing.T) {
	const size, keys = 30_000, 300
	huddle := build(t)
	name := func(i int) string { return fmt.Sprint("slow:", i%keys) }
	half := "*6\r\n$4\r\nMSET\r\n" + strings.Repeat("$1000000\r\n"+strings.Repeat("x", 1_000_000)+"\r\n", 3) + "$900000\r\n" + strings.Repeat("y", 800_000)
	for _, tc := range []struct {
		maxMemory int64
		hashed    bool
	}{{16 << 20, true}, {64 << 20, true}, {16 << 20, false}, {64 << 20, false}} {
		t.Run(fmt.Sprintf("%d MiB, hashed tokens %t", tc.maxMemory>>20, tc.hashed), func(t *testing.T) {
			args := []string{"--max-memory", fmt.Sprint(tc.maxMemory)}
			if tc.hashed {
				file := filepath.Join(t.TempDir(), "key")
				newKeyFile(t, file)
				args = append(args, "--hash-tokens", "--key-file", file)
			}
			c, at := startWith(t, cluster.Options{Executable: huddle, Args: args})
			ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
			defer cancel()
			value := make([]byte, size)
			_, _ = rand.NewChaCha8([32]byte{}).Read(value)
			for i := range keys {
				if err := at[1].Set(ctx, name(i), value, 0).Err(); err != nil {
					t.Fatal(err)
				}
			}
			n := c.Nodes()[0]
			bound := 2*tc.maxMemory + 64<<20
			look := func(when string) {
				t.Helper()
				now, most := resident(t, n.PID())
				t.Logf("%s: %d MiB resident, %d MiB at most", when, now>>20, most>>20)
				if most > bound {
					t.Fatalf("%s the process has taken %d MiB, at most %d are allowed", when, most>>20, bound>>20)
				}
			}
			look("before")
			crowd := func(clients int, send func(i int) string) {
				t.Helper()
				var sending sync.WaitGroup
				for i := range clients {
					conn, err := net.Dial("tcp", n.RESP)
					if err != nil {
						t.Fatal(err)
					}
					defer conn.Close()
					if err := conn.(*net.TCPConn).SetReadBuffer(4096); err != nil {
						t.Fatal(err)
					}
					sending.Go(func() {
						_ = conn.SetWriteDeadline(time.Now().Add(20 * time.Second))
						_, _ = io.WriteString(conn, send(i)) // it may be cut off
					})
				}
				sending.Wait()
				for range 10 { // others are served, while what has been asked for is collected
					served := false
					for !served && ctx.Err() == nil { // on a loaded machine it may take several times its patience
						served = at[0].Set(ctx, "other", "value", 0).Err() == nil && at[0].Get(ctx, "other").Val() == "value"
						look("with slow clients")
					}
					if !served {
						t.Fatal("another client is not served")
					}
					time.Sleep(200 * time.Millisecond) // memory may only have grown with time
				}
			}
			crowd(200, func(i int) string {
				var b strings.Builder
				for j := range 256 {
					b.WriteString(resptest.Command("get", name(7*i+j)))
				}
				return b.String()
			})
			crowd(90, func(int) string { return half })
		})
	}
}
