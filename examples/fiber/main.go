// Command fiber shows sessions of github.com/gofiber/fiber/v3 that three replicas of a service share through the nodes
// embedded in them, with nothing beside the service. It starts the replicas in one process, each with its own node and
// its own Fiber app on loopback; tells what it does, one of them being killed; and checks every answer.
//
//	go run .           runs the check and exits, 0 only if every answer was right
//	go run . --serve   stays up, to be tried by hand
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
	err := run(ctx, os.Stdout, *serve, node.Config{})
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "failed:", err)
		os.Exit(1)
	}
}

// run starts three replicas, each with a node of that configuration, checks them or waits, and shuts them down.
func run(ctx context.Context, out io.Writer, serve bool, cfg node.Config) (err error) {
	bounded, cancel := context.WithTimeout(ctx, 2*time.Minute)
	defer cancel()
	var replicas []*replica
	defer func() {
		end, cancel := context.WithTimeout(context.Background(), 20*time.Second)
		defer cancel()
		for _, r := range replicas {
			err = errors.Join(err, r.stop(end))
		}
	}()
	for i := range 3 {
		cfg.Name = fmt.Sprintf("replica-%d", i+1)
		r, err := start(bounded, cfg)
		if err != nil {
			return err
		}
		replicas = append(replicas, r)
		cfg.Join = append(cfg.Join, r.node.Addr())
	}
	if serve {
		fmt.Fprintf(out, `Three replicas are up. Try:
  curl -c jar -X POST '%s/login?user=ada'      log in on one
  curl -b jar %s/me                            ask another who you are
  curl -b jar -X POST %s/logout-everywhere     log out all of ada's on the third
Press Ctrl-C to stop.
`, replicas[0].url, replicas[1].url, replicas[2].url)
		<-ctx.Done()
		return nil
	}
	fmt.Fprintln(out, "Three replicas are up.")
	c := &checker{ctx: bounded, out: out}
	replicas = c.story(replicas)
	return c.err
}
