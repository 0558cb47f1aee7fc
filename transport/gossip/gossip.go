// Package gossip finds the processes of a cluster and spreads a few words that each says of itself. It wraps
// hashicorp/memberlist, and it decides nothing: who is a member is agreed upon elsewhere. Gone is a guess, Found a hint.
package gossip

import (
	"context"
	"errors"
	"fmt"
	"log"
	"log/slog"
	"net"
	"strconv"
	"sync"
	"time"

	"github.com/hashicorp/memberlist"
)

// Config describes the gossip of one process. Transport and Self are required.
type Config struct {
	// Transport carries the gossip, and says at which address others send it; Close shuts it down.
	Transport memberlist.NodeAwareTransport
	// Cluster labels the gossip. Others are not heard.
	Cluster string
	// Self is announced first.
	Self Peer
	// Profile is how patient failure detection is: "local", "lan" or "wan". Default "lan".
	Profile string
	// Join lists where others may be found; see ParseJoin.
	Join []string
	// Recheck is how often it is looked whether somebody has been lost sight of. Default 10 s.
	Recheck time.Duration
	// Found tells of a process that has come, or of its news. Gone tells that an id is not to be heard any more: the process
	// is silent, has left, or has another id by now. Both come from one goroutine, without a lock held; calls about one
	// process that nobody waits for are merged. Either may be nil.
	Found func(Peer)
	Gone  func(id uint64)
	// Resolver looks up names. Default net.DefaultResolver.
	Resolver Resolver
	// Logger receives what happens. Default: discarded.
	Logger *slog.Logger
}

// Gossip is running. Its methods may be called from any goroutine.
type Gossip struct {
	cfg    Config
	log    *slog.Logger
	list   *memberlist.Memberlist
	roll   *roll
	finder *finder

	ctx    context.Context
	cancel context.CancelFunc
	wg     sync.WaitGroup
	news   chan struct{} // something to announce
	every  time.Duration // at most one announcement in that time

	end    sync.Mutex // over Leave and Close
	closed bool
}

// Start begins to gossip and to look for others. It does not wait for them.
func Start(cfg Config) (*Gossip, error) {
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	if cfg.Resolver == nil {
		cfg.Resolver = net.DefaultResolver
	}
	if cfg.Recheck == 0 {
		cfg.Recheck = recheck
	}
	if cfg.Transport == nil || cfg.Recheck < 0 {
		return nil, errors.New("gossip: Config.Transport is missing or Config.Recheck negative")
	}
	mc, err := profile(cfg.Profile)
	if err != nil {
		return nil, err
	}
	var joins []Join
	for _, s := range cfg.Join {
		j, err := ParseJoin(s)
		if err != nil {
			return nil, err
		}
		joins = append(joins, j)
	}
	host, port, err := cfg.Transport.FinalAdvertiseAddr("", 0)
	if err != nil {
		return nil, fmt.Errorf("gossip: %w", err)
	}
	// A name of its own for each run of a process: under it, nothing can be at odds with an earlier run's address.
	name := cfg.Self.Member.GetName() + "#" + strconv.FormatUint(cfg.Self.Member.GetId(), 16)
	roll, err := newRoll(name, cfg.Self)
	if err != nil {
		return nil, fmt.Errorf("gossip: %w", err)
	}
	mc.Name = name
	mc.Transport = cfg.Transport
	mc.AdvertiseAddr, mc.AdvertisePort = host.String(), port
	mc.BindPort = port
	mc.Label = cfg.Cluster
	mc.Delegate, mc.Events, mc.Alive = roll, roll, roll
	mc.Logger = log.New(newLogWriter(cfg.Logger, time.Now), "", 0)

	g := &Gossip{cfg: cfg, log: cfg.Logger, roll: roll, news: make(chan struct{}, 1), every: mc.GossipInterval}
	g.ctx, g.cancel = context.WithCancel(context.Background())
	if g.list, err = memberlist.Create(mc); err != nil {
		g.cancel()
		return nil, fmt.Errorf("gossip: %w", err)
	}
	g.finder = newFinder(g, joins, net.JoinHostPort(host.String(), strconv.Itoa(port)))
	g.wg.Go(g.tell)
	g.wg.Go(g.announce)
	g.wg.Go(g.finder.run)
	return g, nil
}

// Announce spreads new words about this process, in the background. The id may be a new one. If self cannot be announced,
// that is logged, and the words before it stay.
func (g *Gossip) Announce(self Peer) {
	if err := g.roll.setSelf(self); err != nil {
		g.log.Error("cannot announce this process", "error", err)
		return
	}
	select {
	case g.news <- struct{}{}:
	default:
	}
}

// announce passes news to memberlist, not more often than it gossips.
func (g *Gossip) announce() {
	for {
		select {
		case <-g.ctx.Done():
			return
		case <-g.news:
		}
		_ = g.list.UpdateNode(time.Millisecond) // queued; nobody needs to wait until it is sent
		if !sleep(g.ctx, g.every) {
			return
		}
	}
}

// tell reports who has come and gone.
func (g *Gossip) tell() {
	for {
		select {
		case <-g.ctx.Done():
			return
		case <-g.roll.changed:
		}
		found, gone := g.roll.differences()
		for _, id := range gone {
			if g.cfg.Gone != nil && g.ctx.Err() == nil {
				g.cfg.Gone(id)
			}
		}
		for _, p := range found {
			if g.cfg.Found != nil && g.ctx.Err() == nil {
				g.cfg.Found(p)
			}
		}
	}
}

// Peers returns the processes that are thought alive, without this one. What they point to must not be changed.
func (g *Gossip) Peers() []Peer { return g.roll.peers() }

// Reached tells whether another process has been found or, where all join addresses are this process's own, that there is
// no other to be found. It stays true.
func (g *Gossip) Reached() bool { return g.finder.reached.Load() }

// Trouble says of one of the addresses that are tried why it cannot be joined; empty: there is none.
func (g *Gossip) Trouble() string { return g.finder.trouble() }

// Leave tells the others that this process goes, and waits until that is said, or for a round of gossip and a half: by then
// some of them know, and tell the rest. After it this process is not found any more; Close is still to be called.
func (g *Gossip) Leave() {
	g.end.Lock()
	defer g.end.Unlock()
	if g.closed {
		return
	}
	g.finder.stop()
	_ = g.list.Leave(g.every + g.every/2) // its error is that the word has not gone out as often as it may
}

// Close ends gossip, without a word to others, and joins its goroutines: neither Found nor Gone is called after it. It may
// take as long as one exchange with another process does, a second or two; a probe that memberlist has under way ends by
// itself, within a few probe intervals. It must not be called from Found or Gone.
func (g *Gossip) Close() error {
	g.end.Lock()
	defer g.end.Unlock()
	if g.closed {
		return nil
	}
	g.closed = true
	g.cancel()
	err := g.list.Shutdown()
	g.wg.Wait()
	if err != nil {
		return fmt.Errorf("gossip: %w", err)
	}
	return nil
}

// sleep is false if the context ends first.
func sleep(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}
