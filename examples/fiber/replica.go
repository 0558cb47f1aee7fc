package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"time"

	"github.com/gofiber/fiber/v3"

	"github.com/huddle-cache/huddle/node"
	"github.com/huddle-cache/huddle/strategy"
)

// replica is one instance of the service, with the node embedded in it.
type replica struct {
	name string
	url  string
	node *node.Node
	app  *fiber.App
	done chan error
}

// start starts a replica, and returns when it is in sync with the others.
func start(ctx context.Context, cfg node.Config) (*replica, error) {
	name := cfg.Name
	n, err := node.Start(ctx, cfg)
	if err != nil {
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	if err := n.WaitReady(ctx); err != nil {
		return nil, errors.Join(err, n.Close())
	}
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, errors.Join(err, n.Close())
	}
	r := &replica{name: name, url: "http://" + l.Addr().String(), node: n, done: make(chan error, 1)}
	r.app = newService(strategy.NewFiberStorage(n, strategy.WithUserOf(userOf)))
	go func() { r.done <- r.app.Listener(l, fiber.ListenConfig{DisableStartupMessage: true}) }()
	return r, nil
}

// stop takes no more requests, then hands over what the node holds and leaves.
func (r *replica) stop(ctx context.Context) error {
	return errors.Join(r.shutdown(), r.node.Leave(ctx))
}

// kill ends the replica without a word to the others, as a crash does.
func (r *replica) kill() error { return errors.Join(r.node.Close(), r.shutdown()) }

func (r *replica) shutdown() error {
	return errors.Join(r.app.ShutdownWithTimeout(5*time.Second), <-r.done)
}
