package main

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"github.com/huddle-cache/huddle/node"
)

// A node whose log is piped to a program that ends first, as tee does at ^C, hands over all the same.
func TestTheReaderOfTheLogGoesFirst(t *testing.T) {
	other, err := node.Start(t.Context(), node.Config{Name: "other", Replicas: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	<-other.Ready()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	out, in, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), self, "serve", "--name", "piped", "--listen", "127.0.0.1:0", "--join", other.Addr(), "--replicas", "1", "--resp", "off", "--admin", "off")
	cmd.Stdout, cmd.Stderr = in, in
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	_ = in.Close() // the process has its own
	lines := bufio.NewScanner(out)
	for lines.Scan() && !strings.Contains(lines.Text(), `msg="in sync"`) {
	}
	for i := range 100 {
		if err := other.Set(t.Context(), fmt.Sprint("k", i), []byte("v")); err != nil {
			t.Fatal(err)
		}
	}
	_ = out.Close()
	if err := cmd.Process.Signal(syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil {
		t.Errorf("the node: %v", err)
	}
	for i := range 100 {
		if _, found, err := other.Get(t.Context(), fmt.Sprint("k", i)); !found || err != nil {
			t.Fatalf("entry %d: %v, %v", i, found, err)
		}
	}
}
