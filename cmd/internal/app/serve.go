package app

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/signal"
	"runtime/debug"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/huddle-cache/huddle/cmd/internal/admin"
	"github.com/huddle-cache/huddle/cmd/internal/api"
	"github.com/huddle-cache/huddle/cmd/internal/metrics"
	"github.com/huddle-cache/huddle/node"
	"github.com/huddle-cache/huddle/transport"
	"github.com/huddle-cache/huddle/transport/resp"
)

// Ends of a node that has not handed over all it held.
var (
	// ErrCutShort: a second signal ended the node before its hand-over was done.
	ErrCutShort = errors.New("ended at once by a second signal, without hand-over")
	// ErrNotHandedOver: the time for the hand-over ran out.
	ErrNotHandedOver = errors.New("left without full hand-over")
	// ErrUnfinished: all was handed over, and then the time ran out for what clients had begun.
	ErrUnfinished = errors.New("left with operations under way")
)

// frontTimeout bounds how long the admin interface may take to end, and how long it may take until each Redis client has its answers.
const frontTimeout = 2 * time.Second

// lookEvery is how often a node that leaves looks whether anybody is there to hand over to, and one that was out of its cluster
// whether it is in sync again.
const lookEvery = 200 * time.Millisecond

// eventBuffer is how many events wait to be taken. They are taken at once.
const eventBuffer = 64

// Serve runs a node until the first signal, then leaves the cluster gracefully within cfg.LeaveTimeout. A second signal ends
// it at once. It returns nil after a leave, and ErrCutShort, ErrNotHandedOver or ErrUnfinished if that was not complete.
func Serve(cfg Config, signals <-chan os.Signal) error {
	// Who reads the log may go first: with a pipe that is closed the process would end at the next line, without hand-over.
	signal.Ignore(syscall.SIGPIPE)
	// From the beginning: one that nobody catches ends the process. What it asks for is done once the node runs.
	hup := make(chan os.Signal, 1)
	signal.Notify(hup, syscall.SIGHUP) // for good: one that comes as the process ends is not to be what ends it
	if err := cfg.Check(); err != nil {
		return err
	}
	files, interrupted, err := loadUnless(cfg.Files, signals)
	if err != nil || interrupted {
		return err
	}
	cfg.Node.Key, cfg.Node.SecondaryKeys, cfg.Node.TokenKey = files.secrets.Key, files.secrets.SecondaryKeys, files.tokens
	cfg.Node.Certificate, cfg.Node.Authorities = files.secrets.Certificate, files.secrets.Authorities
	watch := newWatcher(cfg, files)
	watch.begin()
	boundMemory(cfg.Node.MaxBytes)
	// A signal during the start ends it: the node is not part of anything yet.
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	started := make(chan struct{})
	watched := make(chan bool, 1)
	go func() {
		select {
		case <-signals:
			cancel()
			watched <- true
		case <-started:
			watched <- false
		}
	}()
	n, err := node.Start(ctx, cfg.Node)
	close(started)
	if interrupted = <-watched; interrupted {
		if n != nil {
			return n.Close()
		}
		return nil
	}
	switch {
	case errors.Is(err, node.ErrInvalid):
		return &UsageError{Text: strings.TrimPrefix(err.Error(), "huddle: ")}
	case err != nil:
		return explainListen("--listen", cfg.Node.Listen, err)
	}
	fronts, err := openFronts(cfg, n, watch)
	if err != nil {
		return errors.Join(err, n.Close())
	}
	cfg.Logger.Info("node started", "name", n.Name(), "listen", n.Addr(), "resp", orOff(fronts.respAddr()), "admin", orOff(fronts.adminURL()))
	if !transport.Loopback(cfg.Node.Listen) && cfg.Files.Key == "" && cfg.Files.Cert == "" {
		cfg.Logger.Warn("nothing secures the traffic between nodes; whoever reaches this address can read and change all sessions", "listen", n.Addr())
	}
	watchCtx, stopWatch := context.WithCancel(context.Background())
	var watching sync.WaitGroup
	watching.Go(func() { watch.run(watchCtx, n, hup) })
	defer watching.Wait()
	defer stopWatch()
	return run(cfg, n, fronts, signals)
}

// loadUnless reads the files unless a signal comes first: one that is a pipe may have nobody who writes to it.
func loadUnless(f Files, signals <-chan os.Signal) (files contents, interrupted bool, err error) {
	loaded := make(chan func() (contents, bool, error), 1)
	go func() {
		files, err := f.load()
		loaded <- func() (contents, bool, error) { return files, false, err }
	}()
	select {
	case done := <-loaded:
		return done()
	case <-signals:
		return contents{}, true, nil
	}
}

// boundMemory makes the collector work harder as the process comes near twice the memory for entries and 64 MiB, rather than let
// it grow beyond. What the process has in memory of its own file, some 25 MiB, is not among what the collector counts. GOMEMLIMIT in the environment goes
// before.
func boundMemory(maxBytes int64) {
	const beside = 36 << 20
	if os.Getenv("GOMEMLIMIT") == "" && maxBytes > 0 {
		debug.SetMemoryLimit(2*maxBytes + beside)
	}
}

// run waits for the end and carries it out. Each time that the node has come into a cluster it says so.
func run(cfg Config, n *node.Node, fronts *fronts, signals <-chan os.Signal) error {
	events, cancel := n.Subscribe(eventBuffer)
	defer cancel()
	ticker := time.NewTicker(lookEvery)
	defer ticker.Stop()
	ready := n.Ready()
	var again <-chan time.Time // nil while the node is in sync, as far as the log says
	inSync := func() {
		ready, again = nil, nil
		st := n.Stats()
		cfg.Logger.Info("in sync", "view", st.View, "members", st.Members)
	}
	for {
		select {
		case <-ready:
			inSync()
		case e := <-events:
			if ready == nil && outOfSync(e.Kind) {
				again = ticker.C
			}
		case <-again:
			if n.InSync() {
				inSync()
			}
		case err := <-fronts.failed:
			return errors.Join(err, n.Close(), fronts.close())
		case sig := <-signals:
			cfg.Logger.Info("leaving", "signal", sig.String(), "within", cfg.LeaveTimeout.String())
			return leave(cfg, n, fronts, signals)
		}
	}
}

// outOfSync tells whether, by an event of this kind, the node is or has been out of its cluster.
func outOfSync(kind string) bool {
	return kind == "lost-majority" || kind == "regained" || kind == "started-over"
}

func leave(cfg Config, n *node.Node, fronts *fronts, signals <-chan os.Signal) error {
	fronts.state.leaving.Store(true)
	ctx, cancel := context.WithTimeout(context.Background(), cfg.LeaveTimeout)
	defer cancel()
	begun, entries := time.Now(), n.Stats().Entries
	alone := warnAlone(cfg, n)
	left := make(chan error, 1)
	go func() { left <- depart(ctx, n, fronts) }()
	ticker := time.NewTicker(lookEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
			alone = alone || warnAlone(cfg, n)
		case err := <-left:
			if err == nil {
				cfg.Logger.Info("left", "took", time.Since(begun).Round(time.Millisecond).String())
				return fronts.close()
			}
			if errors.Is(err, ErrUnfinished) {
				cfg.Logger.Warn("left with operations under way; they may take effect or not, deletions among them", "error", err)
				return errors.Join(ErrUnfinished, fronts.close())
			}
			text := "left without full hand-over; the other nodes take over from their copies, and what only this node held is gone"
			if alone {
				text = "left without hand-over, for no majority was within reach; what only this node held is gone"
			}
			cfg.Logger.Warn(text, "entries", entries, "error", err)
			return errors.Join(ErrNotHandedOver, fronts.close())
		case <-signals:
			cancel()
			err := errors.Join(ErrCutShort, n.Close(), fronts.close())
			<-left
			return err
		}
	}
}

// depart hands over while clients are served as ever, for what they want is done by the other nodes. Then the Redis clients are sent elsewhere,
// each when it has its answers, and only after that does the node refuse to do more.
func depart(ctx context.Context, n *node.Node, fronts *fronts) error {
	err := n.HandOver(ctx)
	fronts.drain()
	if err != nil { // Leave says the same, when it has ended what can still be done
		return n.Leave(ctx)
	}
	if err = n.Leave(ctx); err != nil {
		err = fmt.Errorf("%w: %w", ErrUnfinished, err)
	}
	return err
}

// warnAlone says that there is no majority to hand over to, if so.
func warnAlone(cfg Config, n *node.Node) bool {
	silent, noMajority := api.Silent(n.Members(), n.Stats().Members)
	if noMajority {
		cfg.Logger.Warn("no majority within reach: nothing can be handed over; this node waits for one, and a second signal ends it at once",
			"silent", strings.Join(silent, ", "), "within", cfg.LeaveTimeout.String())
	}
	return noMajority
}

// fronts are the listeners beside the node's own. Either may be absent.
type fronts struct {
	state  *adminBackend
	resp   *resp.Server
	admin  *admin.Server
	failed chan error
}

func openFronts(cfg Config, n *node.Node, watch *watcher) (*fronts, error) {
	f := &fronts{state: &adminBackend{Node: n}, failed: make(chan error, 2)}
	if cfg.RESP != "" {
		server, err := resp.Listen(resp.Config{
			Addr:          cfg.RESP,
			CheckPassword: watch.checkPassword(),
			Backend:       &respBackend{node: n, final: cfg.Revoke},
			WhenUnsure:    whenUnsure(cfg.Miss),
			MaxValueBytes: cfg.Node.MaxValueBytes,
			MaxMemory:     cfg.Node.MaxBytes,
			TLS:           watch.respTLS(),
			Logger:        cfg.Logger.With("part", "resp"),
			Version:       cfg.Version,
		})
		if err != nil {
			return nil, explainListen("--resp", cfg.RESP, err)
		}
		f.resp = server
		go func() {
			if err := server.Serve(); err != nil {
				f.failed <- fmt.Errorf("the Redis protocol front ended: %w", err)
			}
		}()
	}
	if cfg.Admin != "" {
		server, err := admin.Listen(admin.Config{
			Addr:          cfg.Admin,
			CheckToken:    watch.checkToken(),
			Backend:       f.state,
			Metrics:       metrics.Handler(n, cfg.Version),
			About:         admin.About{Cluster: cfg.Node.Cluster, RESP: f.respAddr(), Version: cfg.Version, Replicas: cfg.Node.Replicas},
			MaxValueBytes: int64(cfg.Node.MaxValueBytes),
			Logger:        cfg.Logger.With("part", "admin"),
		})
		if err != nil {
			return nil, errors.Join(explainListen("--admin", cfg.Admin, err), f.close())
		}
		f.admin = server
		go func() {
			if err := server.Serve(); err != nil {
				f.failed <- fmt.Errorf("the admin interface ended: %w", err)
			}
		}()
	}
	return f, nil
}

func whenUnsure(miss bool) string {
	if miss {
		return resp.Miss
	}
	return resp.Wait
}

func (f *fronts) respAddr() string {
	if f.resp == nil {
		return ""
	}
	return f.resp.Addr()
}

// orOff is the address of a front, or says that there is none.
func orOff(addr string) string {
	if addr == "" {
		return "off"
	}
	return addr
}

func (f *fronts) adminURL() string {
	if f.admin == nil {
		return ""
	}
	return urlOf(f.admin.Addr())
}

// urlOf is where a browser on this machine finds what listens at addr, perhaps at all its addresses.
func urlOf(addr string) string {
	if host, port, err := net.SplitHostPort(addr); err == nil && net.ParseIP(host).IsUnspecified() {
		addr = net.JoinHostPort("localhost", port)
	}
	return "http://" + addr + "/"
}

// drain ends the connections of Redis clients that have their answers, and waits for the others for a while.
func (f *fronts) drain() {
	if f.resp == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), frontTimeout)
	defer cancel()
	_ = f.resp.Drain(ctx) // close cuts off who is left
}

// close ends both. A client that is cut off in the end is no failure.
func (f *fronts) close() error {
	var err error
	if f.resp != nil {
		err = f.resp.Close()
	}
	if f.admin != nil {
		ctx, cancel := context.WithTimeout(context.Background(), frontTimeout)
		defer cancel()
		if e := f.admin.Close(ctx); e != nil && !errors.Is(e, context.DeadlineExceeded) {
			err = errors.Join(err, e)
		}
	}
	return err
}
