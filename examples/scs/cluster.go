package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"sync/atomic"
	"time"

	"github.com/huddle-cache/huddle/node"
	"github.com/huddle-cache/huddle/strategy"
)

// cluster is the replicas and the proxy before them.
type cluster struct {
	replicas []*replica
	proxy    string
	servers  []*http.Server
}

// replica is one instance of the service with its embedded node.
type replica struct {
	node *node.Node
	url  *url.URL
}

func startCluster(ctx context.Context, n int) (*cluster, error) {
	c := &cluster{}
	if err := c.start(ctx, n); err != nil {
		return nil, errors.Join(err, c.stop())
	}
	return c, nil
}

func (c *cluster) start(ctx context.Context, n int) error {
	for i := range n {
		cfg := node.Config{Name: string(rune('a' + i)), Listen: "127.0.0.1:0"}
		if i > 0 {
			cfg.Join = []string{c.replicas[0].node.Addr()}
		}
		started, err := node.Start(ctx, cfg)
		if err != nil {
			return fmt.Errorf("start node %s: %w", cfg.Name, err)
		}
		r := &replica{node: started}
		c.replicas = append(c.replicas, r)
		select {
		case <-started.Ready():
		case <-ctx.Done():
			return fmt.Errorf("node %s is not in sync: %w", cfg.Name, ctx.Err())
		}
		if r.url, err = c.serve(newService(cfg.Name, strategy.NewSCSStore(started))); err != nil {
			return err
		}
	}
	proxy, err := c.serve(roundRobin(c.replicas))
	if err != nil {
		return err
	}
	c.proxy = proxy.String()
	return nil
}

// serve serves handler on a free port of loopback.
func (c *cluster) serve(handler http.Handler) (*url.URL, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	server := &http.Server{Handler: handler, ReadHeaderTimeout: 5 * time.Second}
	c.servers = append(c.servers, server)
	go func() { _ = server.Serve(listener) }() // ends by stop
	return &url.URL{Scheme: "http", Host: listener.Addr().String()}, nil
}

// roundRobin deals requests out to the replicas in turn.
func roundRobin(replicas []*replica) http.Handler {
	var turn atomic.Uint64
	return &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
		r.SetURL(replicas[turn.Add(1)%uint64(len(replicas))].url)
	}}
}

// stop stops the servers, proxy first, and then the nodes, which hand over as they leave.
func (c *cluster) stop() error {
	ctx, cancel := context.WithTimeout(context.Background(), 15*time.Second)
	defer cancel()
	var err error
	for i := range c.servers {
		err = errors.Join(err, c.servers[len(c.servers)-1-i].Shutdown(ctx))
	}
	for _, r := range c.replicas {
		if leave := r.node.Leave(ctx); leave != nil {
			err = errors.Join(err, fmt.Errorf("leave: %w", leave), r.node.Close())
		}
	}
	return err
}
