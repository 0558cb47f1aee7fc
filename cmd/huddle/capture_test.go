package main

import (
	"bufio"
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/huddle-cache/huddle/cmd/internal/cluster"
)

// capture records what goes over the peer ports of a cluster, by TCP and UDP, while f runs.
func capture(t *testing.T, c *cluster.Cluster, f func()) []byte {
	t.Helper()
	file := filepath.Join(t.TempDir(), "capture")
	args := []string{"-i", "lo", "-n", "-U", "-Z", "root", "-B", "65536", "-s", "0", "-w", file}
	for i, n := range c.Nodes() {
		if i > 0 {
			args = append(args, "or")
		}
		_, port, _ := strings.Cut(n.Listen, ":")
		args = append(args, "port", port)
	}
	cmd := exec.Command("tcpdump", args...)
	said, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	listening := make(chan bool, 1)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		lines := bufio.NewScanner(said)
		for lines.Scan() {
			if strings.Contains(lines.Text(), "listening on") {
				listening <- true
			}
		}
	}()
	select {
	case <-listening:
	case <-ended:
		t.Fatal("tcpdump has ended before it listened; may this user capture packets?")
	case <-time.After(20 * time.Second):
		_ = cmd.Process.Kill()
		t.Fatal("tcpdump does not listen")
	}
	f()
	_ = cmd.Process.Signal(os.Interrupt)
	<-ended
	if err := cmd.Wait(); err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// What goes between the nodes of a cluster with a key, or with certificates, holds no token and no value. Without either it does,
// which shows that the capture would have found them.
func TestNothingIsSentInClear(t *testing.T) {
	if _, err := exec.LookPath("tcpdump"); err != nil || os.Getuid() != 0 {
		t.Skipf("NOT TESTED that nothing is sent in clear: this needs tcpdump, and root (%v, user %d); scripts/test.sh installs it", err, os.Getuid())
	}
	dir := t.TempDir()
	key := filepath.Join(dir, "key")
	newKeyFile(t, key)
	cert, certKey, authority := newCertificates(t, dir, time.Hour)
	for _, x := range []struct {
		name    string
		args    []string
		inClear bool
	}{
		{"key", []string{"--key-file", key}, false},
		{"certificates", []string{"--tls-cert", cert, "--tls-key", certKey, "--tls-ca", authority}, false},
		{"nothing", nil, true},
	} {
		t.Run(x.name, func(t *testing.T) {
			c, at := startWith(t, cluster.Options{Args: x.args})
			data := capture(t, c, func() {
				tr := startTraffic(t, at, 8)
				tr.more(5000)
				t.Logf("%d requests", tr.stop())
			})
			t.Logf("captured %d bytes", len(data))
			if len(data) < 1<<20 {
				t.Fatalf("%d bytes of 5,000 requests were captured", len(data))
			}
			for _, mark := range []string{tokenMark, valueMark} {
				if found := bytes.Contains(data, []byte(mark)); found != x.inClear {
					t.Errorf("%s in clear: %v", mark, found)
				}
			}
			for _, n := range c.Nodes() {
				if log := n.Log(); strings.Contains(log, tokenMark) || strings.Contains(log, valueMark) {
					t.Error("a token or a value is in the log")
				}
			}
		})
	}
}
