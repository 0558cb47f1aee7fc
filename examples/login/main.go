// Command login shows a service that keeps its sessions in a database and caches them, of a type of its own, in the nodes
// embedded in its replicas: a session is looked up once in the whole cluster, and a log-out, a log-out everywhere and a
// change of role count at once on every replica. It starts three replicas in one process on loopback, tells what it does,
// and checks every answer and counts the queries.
//
//	go run ./examples/login           runs the check and exits, 0 only if every answer was right
//	go run ./examples/login --serve   stays up, to be tried by hand
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/signal"
	"sync"
	"syscall"
	"time"

	"github.com/huddle-cache/huddle/node"
	"github.com/huddle-cache/huddle/strategy"
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

// run starts the replicas, each with a node of that configuration, checks them or waits, and shuts them down.
func run(ctx context.Context, out io.Writer, serve bool, cfg node.Config) (err error) {
	bounded, cancel := context.WithTimeout(ctx, 2*time.Minute)
	defer cancel()
	db := newDatabase(map[string]string{"ada": "admin", "bob": "guest"})
	c := cluster{cfg: cfg}
	defer func() { err = errors.Join(err, c.stop()) }()
	for i := range 3 {
		if err := c.start(bounded, fmt.Sprintf("replica-%d", i+1), db); err != nil {
			return err
		}
	}
	if !serve {
		return check(bounded, out, c.urls, db)
	}
	fmt.Fprintf(out, `Three replicas are up. Try:
  curl -c jar -X POST '%s/login?user=ada'               log in on one
  curl -b jar %s/me                                     ask another who you are
  curl -b jar -X POST '%s/role?user=ada&role=guest'     give up the role of admin
  curl -b jar -X POST %s/logout-everywhere              log out all of ada's
Press Ctrl-C to stop.
`, c.urls[0], c.urls[1], c.urls[2], c.urls[0])
	<-ctx.Done()
	return nil
}

// cluster is the replicas of the service.
type cluster struct {
	cfg     node.Config
	urls    []string
	nodes   []*node.Node
	servers []*http.Server
	wg      sync.WaitGroup
}

// start starts one more replica, and returns when it is in sync with the others.
func (c *cluster) start(ctx context.Context, name string, db *database) error {
	cfg := c.cfg
	cfg.Name = name
	for _, n := range c.nodes {
		cfg.Join = append(cfg.Join, n.Addr())
	}
	n, err := node.Start(ctx, cfg)
	if err != nil {
		return fmt.Errorf("start %s: %w", name, err)
	}
	c.nodes = append(c.nodes, n)
	if err := n.WaitReady(ctx); err != nil {
		return err
	}
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	cache := strategy.NewTyped[account](n, nil, strategy.WithKeyPrefix("login:"))
	server := &http.Server{Handler: newService(db, cache), ReadHeaderTimeout: 5 * time.Second}
	c.servers = append(c.servers, server)
	c.urls = append(c.urls, "http://"+l.Addr().String())
	c.wg.Go(func() { _ = server.Serve(l) }) // always an error; after Shutdown it says so
	return nil
}

// stop takes no more requests, and lets the nodes leave one by one, each handing over what it holds.
func (c *cluster) stop() error {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	var errs []error
	for _, s := range c.servers {
		errs = append(errs, s.Shutdown(ctx))
	}
	c.wg.Wait()
	for _, n := range c.nodes {
		errs = append(errs, n.Leave(ctx))
	}
	return errors.Join(errs...)
}
