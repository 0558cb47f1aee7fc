package node

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"runtime"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/huddle-cache/huddle/ring"
	"github.com/huddle-cache/huddle/transport"
	"github.com/huddle-cache/huddle/transport/gossip"
	pb "github.com/huddle-cache/huddle/transport/peerpb"
)

func (n *Node) found(p gossip.Peer) {
	n.lock()
	defer n.unlock()
	n.m.Found(p.Member, p.Chain, p.Size)
	if p.Leaving {
		n.m.Goes(p.Member.GetId())
	}
}

func (n *Node) gone(id uint64) {
	n.lock()
	defer n.unlock()
	n.m.Gone(id)
}

// handler is the node as the transport sees it.
type handler Node

func (h *handler) Up(peer *pb.Member, session uint64) {
	(*Node)(h).lock()
	defer (*Node)(h).unlock()
	h.m.Up(peer, session)
}

func (h *handler) Receive(peer, session uint64, ms []*pb.Message) {
	(*Node)(h).lock()
	defer (*Node)(h).unlock()
	h.m.Receive(peer, session, ms...)
}

func (h *handler) Down(peer, session uint64, err error) {
	(*Node)(h).lock()
	defer (*Node)(h).unlock()
	h.log.Debug("session ended", "peer", fmt.Sprintf("%016x", peer), "error", err)
	h.m.Down(peer, session)
}

func (h *handler) Unreachable(peer uint64, err error) {
	var r *transport.RefusedError
	barred := errors.As(err, &r) && !transport.Gone(err)
	if barred {
		(*Node)(h).noteRefusal(peer, "a peer and this node do not go together: "+r.Reason)
	}
	(*Node)(h).lock()
	defer (*Node)(h).unlock()
	if barred {
		h.m.Barred(peer)
	}
	h.m.Unreachable(peer, transport.Gone(err))
}

func (h *handler) Refused(peer uint64, remote, reason string) {
	(*Node)(h).noteRefusal(peer, "this node has refused "+remote+": "+reason)
	(*Node)(h).publish(Event{Time: time.Now(), Kind: "refused", View: h.view.Load(), Text: remote + ": " + reason})
	(*Node)(h).lock()
	defer (*Node)(h).unlock()
	h.m.Barred(peer)
}

// env is the node as the machine sees it. Its methods run under n.mu, but for Now and Yield, which readers call without it.
type env Node

func (e *env) Now() int64 { return e.clock.Now() }

func (e *env) Send(peer, session uint64, msg *pb.Message) { e.transport.Queue(peer, session, msg) }

func (e *env) Queued(peer, session uint64) int { return e.transport.Queued(peer, session) }

func (e *env) Disconnect(id uint64) { e.transport.Disconnect(id) }

func (e *env) Random() uint64 { return rand.Uint64() }

func (e *env) Yield() { runtime.Gosched() }

func (e *env) Connect(m *pb.Member) {
	if e.wire != nil {
		m = proto.CloneOf(m)
		m.Addr = e.wire.Dial(m.GetAddr())
	}
	e.transport.Connect(m)
}

// Build hands the work to the builder; should it be that far behind, the machine asks again.
func (e *env) Build(names []string) {
	select {
	case e.builds <- names:
	default:
	}
}

// builder makes the rings, off the path of messages.
func (n *Node) builder() {
	params := ring.Params{Partitions: n.cfg.Partitions, VirtualNodes: n.cfg.VirtualNodes, Load: n.cfg.Load}
	for {
		select {
		case <-n.closed:
			return
		case names := <-n.builds:
			t, err := ring.Build(names, n.cfg.Replicas, params)
			if err != nil {
				n.log.Error("members without a ring", "members", len(names), "error", err)
			}
			n.lock()
			n.m.Built(names, t)
			n.unlock()
		}
	}
}

func (e *env) Reincarnate(self *pb.Member) {
	e.transport.SetSelf(self)
}

func (e *env) Announce(chain, view uint64, size int) {
	e.outMu.Lock()
	defer e.outMu.Unlock()
	e.view.Store(view)
	e.meta = gossip.Peer{Member: e.transport.Self(), Chain: chain, View: view, Size: size, Leaving: e.meta.Leaving}
	if g := e.gossip.Load(); g != nil {
		g.Announce(e.meta)
	}
}

func (e *env) Event(kind, member, text string) {
	level := slog.LevelInfo
	switch kind {
	case "name-taken", "lost-majority", "forgotten", "started-over", "given-up": // somebody's help is needed, or entries are lost, or not gone
		level = slog.LevelWarn
	}
	e.log.Log(context.Background(), level, text, "event", kind)
	(*Node)(e).publish(Event{Time: time.Now(), Kind: kind, Member: member, View: e.view.Load(), Text: text})
}
