package resptest

import (
	"bufio"
	"io"
	"net"
	"os/exec"
	"strings"
	"testing"
)

// Redis starts a redis-server on a free port of loopback, until the test ends, and returns its address. With -short it skips the test.
func Redis(t testing.TB) string {
	t.Helper()
	if testing.Short() {
		t.Skip("needs redis-server")
	}
	bin := Program(t, "redis-server", "redis-server")
	dir := t.TempDir()
	for range 5 {
		ln, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		addr := ln.Addr().String()
		_, port, _ := net.SplitHostPort(addr)
		ln.Close()
		// All hashes of the tests are small ones, which keep the order of their fields.
		c := exec.Command(bin, "--port", port, "--bind", "127.0.0.1", "--save", "", "--dir", dir,
			"--hash-max-listpack-value", "1000000", "--hash-max-listpack-entries", "100000")
		out, err := c.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := c.Start(); err != nil {
			t.Fatal(err)
		}
		ready := false
		lines := bufio.NewScanner(out)
		for lines.Scan() {
			if strings.Contains(lines.Text(), "Ready to accept connections") {
				ready = true
				break
			}
		}
		if !ready { // another process took the port
			_ = c.Wait()
			continue
		}
		drained := make(chan struct{})
		go func() {
			defer close(drained)
			_, _ = io.Copy(io.Discard, out)
		}()
		t.Cleanup(func() {
			_ = c.Process.Kill()
			<-drained
			_ = c.Wait()
		})
		return addr
	}
	t.Fatal("redis-server does not start")
	return ""
}

// Program returns the path of a program, or fails with the name of the Debian package that has it.
func Program(t testing.TB, program, debian string) string {
	t.Helper()
	bin, err := exec.LookPath(program)
	if err != nil {
		t.Fatalf("%s is missing: install the Debian package %s, or run with -short", program, debian)
	}
	return bin
}
