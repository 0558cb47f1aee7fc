package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"strings"
	"time"

	"github.com/groupcache/groupcache-go/v3"
	"github.com/groupcache/groupcache-go/v3/transport"
	cachepeer "github.com/groupcache/groupcache-go/v3/transport/peer"

	"github.com/huddle-cache/huddle/scripts/bench/load"
)

const (
	group      = "bench"
	groupBytes = 512 << 20
)

// nothing keeps nothing: with it a process asks the owner each time.
type nothing struct{}

func (nothing) Get(string) (transport.ByteView, bool) { return transport.ByteView{}, false }
func (nothing) Add(string, transport.ByteView)        {}
func (nothing) Stats() groupcache.CacheStats          { return groupcache.CacheStats{} }
func (nothing) Remove(string)                         {}
func (nothing) Bytes() int64                          { return 0 }
func (nothing) Close()                                {}

// newGroupcache starts a member of all. What it owns and does not have, it makes: 512 bytes, in no time.
func newGroupcache(addr string, all []string, keep bool) (*groupcache.Daemon, transport.Group, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	quiet := slog.New(slog.DiscardHandler)
	opts := groupcache.Options{Logger: quiet, Transport: transport.NewHttpTransport(transport.HttpTransportOptions{Logger: quiet})}
	if !keep {
		opts.CacheFactory = func(int64) (groupcache.Cache, error) { return nothing{}, nil }
	}
	d, err := groupcache.ListenAndServe(ctx, addr, opts)
	if err != nil {
		return nil, nil, err
	}
	var peers []cachepeer.Info
	for _, a := range all {
		peers = append(peers, cachepeer.Info{Address: a})
	}
	if err := d.SetPeers(ctx, peers); err != nil {
		return nil, nil, err
	}
	value := make([]byte, 512)
	g, err := d.NewGroup(group, groupBytes, groupcache.GetterFunc(func(_ context.Context, _ string, dest transport.Sink) error {
		return dest.SetBytes(value, time.Time{})
	}))
	return d, g, err
}

// serveGroupcache takes the place of this member among the addresses that follow.
func serveGroupcache(args []string) (string, error) {
	i, err := strconv.Atoi(args[0])
	if err != nil {
		return "", err
	}
	addr := args[1+i]
	_, _, err = newGroupcache(addr, args[1:], true)
	return addr, err
}

type groupcachePeer struct {
	noWrites
	group transport.Group
}

func openGroupcache(at place) func(context.Context, *settings) (load.Target, *load.Keys, func(), error) {
	return func(ctx context.Context, s *settings) (load.Target, *load.Keys, func(), error) {
		ports, err := freePorts(s.nodes)
		if err != nil {
			return nil, nil, nil, err
		}
		var addrs []string
		for _, p := range ports {
			addrs = append(addrs, fmt.Sprintf("127.0.0.1:%d", p))
		}
		var args [][]string
		for i := 1; i < s.nodes; i++ {
			args = append(args, append([]string{strconv.Itoa(i)}, addrs...))
		}
		_, stop, err := startAll("serve-groupcache", args)
		if err != nil {
			return nil, nil, nil, err
		}
		d, g, err := newGroupcache(addrs[0], addrs, at == local)
		if err != nil {
			stop()
			return nil, nil, nil, err
		}
		end := func() {
			ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
			defer cancel()
			_ = d.Shutdown(ctx)
			stop()
		}
		p := groupcachePeer{group: g}
		keys := s.keys
		if at == remote {
			keys = keys.Only(func(key string) bool { _, elsewhere := d.GetInstance().PickPeer(key); return elsewhere })
		}
		for i, key := range keys.Names() { // once each, so that all are where they will be asked for
			if i%1000 == 0 && ctx.Err() != nil {
				return nil, nil, end, ctx.Err()
			}
			if found, err := p.Get(ctx, key); !found || err != nil {
				return nil, nil, end, errors.Join(errors.New("groupcache does not answer"), err)
			}
		}
		return p, keys, end, nil
	}
}

func (p groupcachePeer) Get(ctx context.Context, key string) (bool, error) {
	var value []byte
	err := p.group.Get(ctx, key, transport.AllocatingByteSliceSink(&value))
	if err != nil && strings.Contains(err.Error(), "not found") {
		return false, nil
	}
	return len(value) > 0, err
}
