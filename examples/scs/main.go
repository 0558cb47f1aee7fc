// Command scs shows sessions of github.com/alexedwards/scs/v2 that three replicas of a service share through the nodes
// embedded in them, with nothing beside the service. It starts the replicas in one process, each with its own node and its own
// HTTP server on loopback, behind a small round-robin proxy; tells what it does; and checks every answer.
//
//	go run ./examples/scs           runs the check and exits, 0 only if every answer was right
//	go run ./examples/scs --serve   stays up, to be tried by hand
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/huddle-cache/huddle/node"
)

func main() {
	serve := flag.Bool("serve", false, "stay up until interrupted, instead of running the check")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Stdout, *serve, node.Config{}); err != nil {
		fmt.Fprintln(os.Stderr, "failed:", err)
		stop()
		os.Exit(1)
	}
}

// run starts the shop, its nodes of that configuration, checks it or waits, and shuts it down.
func run(ctx context.Context, out io.Writer, serve bool, cfg node.Config) (err error) {
	started, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	g := newGate()
	shop, err := startShop(started, 3, g, cfg)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, shop.stop()) }()

	fmt.Fprintf(out, "Three replicas are up, and a proxy at %s sends each request to the next of them.\n", shop.url)
	if !serve {
		return check(started, out, shop, g)
	}
	fmt.Fprintf(out, `Try:
  curl -c jar -X POST '%[1]s/login?user=ada'       log in
  curl -b jar %[1]s/me                             ask who you are, again and again
  curl -b jar -X POST %[1]s/logout                 log out this browser
  curl -b jar -X POST %[1]s/logout-everywhere      log out all of ada's
Press Ctrl-C to stop.
`, shop.url)
	<-ctx.Done()
	return nil
}
