package gossip

import (
	"net/netip"
	"strconv"
	"sync"
	"time"

	"github.com/hashicorp/memberlist"
	"google.golang.org/protobuf/proto"
)

const (
	maxLost    = 64 // addresses remembered of those that went without a word
	rememberIt = time.Hour
)

// roll is the list of the processes as memberlist reports them. memberlist calls it under a lock of its own, so that it only
// notes; who is interested is told from another goroutine.
type roll struct {
	name    string        // this process, to memberlist
	changed chan struct{} // differences may have something

	mu    sync.Mutex
	self  []byte
	alive map[string]seen // by memberlist's name
	told  map[string]Peer // what differences has returned
	lost  map[string]time.Time
}

// seen is a process that is alive.
type seen struct {
	peer Peer
	addr string // for gossip
}

func newRoll(name string, self Peer) (*roll, error) {
	r := &roll{
		name: name, changed: make(chan struct{}, 1),
		alive: map[string]seen{}, told: map[string]Peer{}, lost: map[string]time.Time{},
	}
	return r, r.setSelf(self)
}

func (r *roll) setSelf(self Peer) error {
	b, err := self.encode()
	if err != nil {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.self = b
	return nil
}

func (r *roll) wake() {
	select {
	case r.changed <- struct{}{}:
	default:
	}
}

// differences returns what has changed since the last call: new or changed processes, and ids that are no more.
func (r *roll) differences() (found []Peer, gone []uint64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for name, old := range r.told {
		now, ok := r.alive[name]
		if !ok {
			delete(r.told, name)
		}
		if !ok || now.peer.Member.GetId() != old.Member.GetId() {
			gone = append(gone, old.Member.GetId())
		}
	}
	for name, now := range r.alive {
		if old, ok := r.told[name]; !ok || !equal(old, now.peer) {
			r.told[name] = now.peer
			found = append(found, now.peer)
		}
	}
	return found, gone
}

func equal(a, b Peer) bool {
	return a.Chain == b.Chain && a.View == b.View && a.Size == b.Size && a.Leaving == b.Leaving && proto.Equal(a.Member, b.Member)
}

func (r *roll) peers() []Peer {
	r.mu.Lock()
	defer r.mu.Unlock()
	out := make([]Peer, 0, len(r.alive))
	for _, s := range r.alive {
		out = append(out, s.peer)
	}
	return out
}

// addresses returns where the living are, and where those were that have been lost of late.
func (r *roll) addresses(now time.Time) (alive map[string]bool, lost []string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	alive = make(map[string]bool, len(r.alive))
	for _, s := range r.alive {
		alive[s.addr] = true
	}
	for addr, at := range r.lost {
		if now.Sub(at) > rememberIt || alive[addr] {
			delete(r.lost, addr)
			continue
		}
		lost = append(lost, addr)
	}
	return alive, lost
}

// NotifyAlive refuses processes that do not say who they are.
func (r *roll) NotifyAlive(n *memberlist.Node) error {
	_, err := decodePeer(n.Meta)
	return err
}

// NotifyJoin notes a process.
func (r *roll) NotifyJoin(n *memberlist.Node) { r.note(n) }

// NotifyUpdate notes its news.
func (r *roll) NotifyUpdate(n *memberlist.Node) { r.note(n) }

func (r *roll) note(n *memberlist.Node) {
	if n.Name == r.name {
		return
	}
	peer, err := decodePeer(n.Meta)
	if err != nil {
		return // NotifyAlive has refused it
	}
	r.mu.Lock()
	r.alive[n.Name] = seen{peer, address(n)}
	r.mu.Unlock()
	r.wake()
}

// NotifyLeave notes that a process has gone. Where it was is remembered if it has not said that it goes.
func (r *roll) NotifyLeave(n *memberlist.Node) {
	r.mu.Lock()
	s, ok := r.alive[n.Name]
	delete(r.alive, n.Name)
	if ok && !s.peer.Leaving {
		if len(r.lost) >= maxLost {
			r.forgetOldest()
		}
		r.lost[s.addr] = time.Now()
	}
	r.mu.Unlock()
	r.wake()
}

func (r *roll) forgetOldest() {
	oldest, when := "", time.Time{}
	for addr, at := range r.lost {
		if oldest == "" || at.Before(when) {
			oldest, when = addr, at
		}
	}
	delete(r.lost, oldest)
}

func address(n *memberlist.Node) string {
	ip, ok := netip.AddrFromSlice(n.Addr)
	if !ok {
		return ""
	}
	return joinHostPort(ip, strconv.Itoa(int(n.Port)))
}

// NodeMeta returns what this process announces.
func (r *roll) NodeMeta(limit int) []byte {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.self) > limit {
		return nil // not with memberlist's limit, which encode keeps
	}
	return r.self
}

// NotifyMsg does nothing: there are no messages beside the announcements.
func (r *roll) NotifyMsg([]byte) {}

// GetBroadcasts returns nothing, for the same reason.
func (r *roll) GetBroadcasts(int, int) [][]byte { return nil }

// LocalState returns nothing, for the same reason.
func (r *roll) LocalState(bool) []byte { return nil }

// MergeRemoteState does nothing, for the same reason.
func (r *roll) MergeRemoteState([]byte, bool) {}
