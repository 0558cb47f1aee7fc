package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"strings"
)

// roles are what a process started by this one does: it serves, says how it is reached, and ends with its standard input.
var roles = map[string]func(args []string) (addr string, err error){
	"serve-grpc":       serveGRPC,
	"serve-olric":      serveOlric,
	"serve-groupcache": serveGroupcache,
}

// child is the whole of such a process.
func child(serve func([]string) (string, error), args []string) {
	addr, err := serve(args)
	if err != nil {
		fmt.Println("error", err)
		os.Exit(1)
	}
	fmt.Println("ready", addr)
	_, _ = io.Copy(io.Discard, os.Stdin) // until the parent ends, in whatever way
}

// start starts a child and returns what it says it is reached by.
func start(role string, args ...string) (addr string, stop func(), err error) {
	exe, err := os.Executable()
	if err != nil {
		return "", nil, err
	}
	cmd := exec.Command(exe, append([]string{role}, args...)...)
	in, err := cmd.StdinPipe()
	if err != nil {
		return "", nil, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return "", nil, err
	}
	if err := cmd.Start(); err != nil {
		return "", nil, err
	}
	stop = func() { _ = in.Close(); _ = cmd.Wait() }
	line, err := bufio.NewReader(out).ReadString('\n')
	addr, ok := strings.CutPrefix(strings.TrimSpace(line), "ready ")
	if !ok {
		stop()
		return "", nil, errors.Join(fmt.Errorf("%s: %s", role, strings.TrimSpace(line)), err)
	}
	return addr, stop, nil
}

// startAll starts a child per argument.
func startAll(role string, args [][]string) (addrs []string, stop func(), err error) {
	var stops []func()
	stop = func() {
		for _, s := range stops {
			s()
		}
	}
	for _, a := range args {
		addr, s, err := start(role, a...)
		if err != nil {
			stop()
			return nil, nil, err
		}
		addrs, stops = append(addrs, addr), append(stops, s)
	}
	return addrs, stop, nil
}

// freePorts are free just now.
func freePorts(n int) ([]int, error) {
	var out []int
	for range n {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return nil, err
		}
		defer l.Close() // not before all are found, so that they differ
		out = append(out, l.Addr().(*net.TCPAddr).Port)
	}
	return out, nil
}
