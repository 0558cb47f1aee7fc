package main

import (
	"context"
	"errors"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/buraksezer/olric"
	"github.com/buraksezer/olric/config"
	"github.com/cespare/xxhash/v2"

	"github.com/huddle-cache/huddle/scripts/bench/load"
)

const (
	dmap       = "bench"
	partitions = 271 // Olric's default
)

// newOlric starts a node of Olric in this process: every entry on replicas nodes, written to all of them before a Put returns.
func newOlric(port, gossip, replicas int, join []string) (*olric.Olric, error) {
	c := config.New("local")
	c.BindAddr, c.BindPort = "127.0.0.1", port
	c.MemberlistConfig.BindAddr, c.MemberlistConfig.BindPort = "127.0.0.1", gossip
	c.MemberlistConfig.AdvertiseAddr, c.MemberlistConfig.AdvertisePort = "127.0.0.1", gossip
	c.Peers = join
	c.PartitionCount = partitions
	c.ReplicaCount, c.ReplicationMode = replicas, config.SyncReplicationMode
	c.WriteQuorum = replicas
	c.LogOutput, c.LogLevel, c.LogVerbosity = io.Discard, "ERROR", 1
	started := make(chan struct{})
	c.Started = func() { close(started) }
	db, err := olric.New(c)
	if err != nil {
		return nil, err
	}
	failed := make(chan error, 1)
	go func() { failed <- db.Start() }()
	select {
	case <-started:
		return db, nil
	case err := <-failed:
		return nil, errors.Join(errors.New("Olric has not started"), err)
	case <-time.After(20 * time.Second):
		return nil, errors.New("Olric does not start")
	}
}

// serveOlric takes the node's ports, the number of copies, and the gossip address to join.
func serveOlric(args []string) (string, error) {
	port, err := strconv.Atoi(args[0])
	if err != nil {
		return "", err
	}
	gossip, err := strconv.Atoi(args[1])
	if err != nil {
		return "", err
	}
	replicas, err := strconv.Atoi(args[2])
	if err != nil {
		return "", err
	}
	_, err = newOlric(port, gossip, replicas, args[3:])
	return "127.0.0.1:" + args[0], err
}

type olricPeer struct{ dm olric.DMap }

func openOlric(at place) func(context.Context, *settings) (load.Target, *load.Keys, func(), error) {
	return func(ctx context.Context, s *settings) (load.Target, *load.Keys, func(), error) {
		ports, err := freePorts(2 * s.nodes)
		if err != nil {
			return nil, nil, nil, err
		}
		db, err := newOlric(ports[0], ports[1], s.replicas, nil)
		if err != nil {
			return nil, nil, nil, err
		}
		var args [][]string
		for i := 1; i < s.nodes; i++ {
			args = append(args, []string{
				strconv.Itoa(ports[2*i]), strconv.Itoa(ports[2*i+1]), strconv.Itoa(s.replicas), "127.0.0.1:" + strconv.Itoa(ports[1]),
			})
		}
		_, stop, err := startAll("serve-olric", args)
		if err != nil {
			_ = db.Shutdown(context.Background())
			return nil, nil, nil, err
		}
		end := func() {
			ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
			defer cancel()
			_ = db.Shutdown(ctx)
			stop()
		}
		client := db.NewEmbeddedClient()
		here := "127.0.0.1:" + strconv.Itoa(ports[0])
		keys, err := olricKeys(ctx, client, here, at, s)
		if err != nil {
			return nil, nil, end, err
		}
		dm, err := client.NewDMap(dmap)
		return olricPeer{dm: dm}, keys, end, err
	}
}

// olricKeys waits until every node has its share, and narrows the keys to those whose owner is, or is not, this process.
func olricKeys(ctx context.Context, client *olric.EmbeddedClient, here string, at place, s *settings) (*load.Keys, error) {
	deadline := time.Now().Add(30 * time.Second)
	for {
		table, err := client.RoutingTable(ctx)
		if err == nil {
			owners := map[string]bool{}
			copied := true
			for _, r := range table {
				if len(r.PrimaryOwners) > 0 {
					owners[r.PrimaryOwners[len(r.PrimaryOwners)-1]] = true
				}
				copied = copied && len(r.ReplicaOwners) >= min(s.replicas, s.nodes)-1
			}
			if len(owners) == s.nodes && copied {
				return s.keys.Only(func(key string) bool {
					r := table[xxhash.Sum64String(dmap+key)%partitions]
					mine := strings.HasPrefix(r.PrimaryOwners[len(r.PrimaryOwners)-1], here)
					return at == anywhere || mine == (at == local)
				}), nil
			}
		}
		if time.Now().After(deadline) {
			return nil, errors.Join(errors.New("Olric's nodes do not share the partitions"), err)
		}
		time.Sleep(100 * time.Millisecond)
	}
}

func (p olricPeer) Get(ctx context.Context, key string) (bool, error) {
	r, err := p.dm.Get(ctx, key)
	if errors.Is(err, olric.ErrKeyNotFound) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	v, err := r.Byte()
	return len(v) > 0, err
}

func (p olricPeer) Set(ctx context.Context, key string, value []byte) error {
	return p.dm.Put(ctx, key, value, olric.EX(keyLife))
}

func (p olricPeer) Delete(ctx context.Context, key string) error {
	_, err := p.dm.Delete(ctx, key)
	return err
}
