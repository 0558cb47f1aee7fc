package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"sync"
	"sync/atomic"
	"time"

	"github.com/huddle-cache/huddle/node"
	"github.com/huddle-cache/huddle/strategy"
)

// shop is all replicas and the proxy before them.
type shop struct {
	url      string   // of the proxy
	replicas []string // their own URLs
	nodes    []*node.Node
	servers  []*http.Server
	wg       sync.WaitGroup
}

// startShop starts count replicas, and returns when each is in sync with the others.
func startShop(ctx context.Context, count int, g *gate, cfg node.Config) (*shop, error) {
	s := &shop{}
	if err := s.start(ctx, count, g, cfg); err != nil {
		return nil, errors.Join(err, s.stop())
	}
	return s, nil
}

func (s *shop) start(ctx context.Context, count int, g *gate, cfg node.Config) error {
	var backends []*url.URL
	for i := range count {
		cfg.Name = fmt.Sprintf("replica-%d", i+1)
		if i > 0 {
			cfg.Join = []string{s.nodes[0].Addr()}
		}
		n, err := node.Start(ctx, cfg)
		if err != nil {
			return fmt.Errorf("start %s: %w", cfg.Name, err)
		}
		s.nodes = append(s.nodes, n)
		if err := n.WaitReady(ctx); err != nil {
			return err
		}
		store := strategy.NewSCSStore(n, strategy.WithUserOf(userOf))
		at, err := s.serve(ctx, newService(cfg.Name, store, g))
		if err != nil {
			return err
		}
		s.replicas = append(s.replicas, at.String())
		backends = append(backends, at)
	}
	var turn atomic.Uint64
	at, err := s.serve(ctx, &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
		r.SetURL(backends[turn.Add(1)%uint64(len(backends))])
	}})
	if err != nil {
		return err
	}
	s.url = at.String()
	return nil
}

// serve serves h on a free port of loopback until stop.
func (s *shop) serve(ctx context.Context, h http.Handler) (*url.URL, error) {
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	server := &http.Server{Handler: h, ReadHeaderTimeout: 5 * time.Second}
	s.servers = append(s.servers, server)
	s.wg.Go(func() { _ = server.Serve(l) }) // always an error; after Shutdown it says so
	return &url.URL{Scheme: "http", Host: l.Addr().String()}, nil
}

// stop stops taking requests, proxy first, and lets the nodes leave one by one, each handing over what it holds.
func (s *shop) stop() error {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	var errs []error
	for i := len(s.servers) - 1; i >= 0; i-- {
		errs = append(errs, s.servers[i].Shutdown(ctx))
	}
	s.wg.Wait()
	for _, n := range s.nodes {
		errs = append(errs, n.Leave(ctx))
	}
	return errors.Join(errs...)
}
