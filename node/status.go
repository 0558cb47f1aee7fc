package node

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/huddle-cache/huddle/node/protocol"
)

// Member is one node of the view.
type Member struct {
	Name  string `json:"name"`
	ID    string `json:"id"` // random incarnation, hex: a restart has another
	Addr  string `json:"addr"`
	Self  bool   `json:"self"`
	State string `json:"state"` // "member", "silent", "joining", "leaving"
	// Share is the fraction of the partitions that the member owns, 0 to 1.
	Share float64 `json:"share"`
}

// Members lists the members of the node's present view, sorted by name. Before the node is in one it lists itself.
func (n *Node) Members() []Member {
	n.lock()
	defer n.unlock()
	out := []Member{}
	for _, m := range n.m.Members() {
		out = append(out, Member{
			Name: m.Member.Name, ID: fmt.Sprintf("%016x", m.Member.Id), Addr: m.Member.Addr, Self: m.Self, State: m.State, Share: m.Share,
		})
	}
	return out
}

// Placement says where a key lives.
type Placement struct {
	Partition int      `json:"partition"`
	Owner     string   `json:"owner"`
	Copies    []string `json:"copies"` // the further copies, next owner first
}

// Locate says where key lives in the present view; Owner is empty when there is none.
func (n *Node) Locate(key string) Placement {
	n.lock()
	defer n.unlock()
	p, owner, copies := n.m.Locate(n.tokens.key(key))
	return Placement{Partition: p, Owner: owner, Copies: copies}
}

// Stats are counters since the start and gauges of now.
type Stats struct {
	// View
	Chain      string `json:"chain"` // hex
	View       uint64 `json:"view"`
	Members    int    `json:"members"`
	Acting     bool   `json:"acting"` // has its view lease
	InSync     bool   `json:"in_sync"`
	Leaving    bool   `json:"leaving"` // hands over, or has done so: Leave or HandOver has been called
	Settled    bool   `json:"settled"` // no hand-off is under way in the cluster
	Partitions int    `json:"partitions"`
	Owned      int    `json:"owned"`   // partitions owned
	Pending    int    `json:"pending"` // partitions still to be pulled
	ToPull     int    `json:"to_pull"` // of so many, when the hand-over under way began
	// NameHeldBy is the address of another live process that has this node's name and thereby keeps it out of the cluster.
	// Empty: there is none.
	NameHeldBy string `json:"name_held_by,omitempty"`
	// Waiting says of a node that is in no cluster what it waits for, as far as it knows. Empty: it is in one.
	Waiting string `json:"waiting,omitempty"`
	// Entries
	Entries    int   `json:"entries"` // live entries owned or copied here
	Ending     int   `json:"ending"`  // of these, those with a TTL
	Near       int   `json:"near"`    // near copies kept here
	Tombstones int   `json:"tombstones"`
	Bytes      int64 `json:"bytes"`
	MaxBytes   int64 `json:"max_bytes"`
	// Counters
	Hits        uint64 `json:"hits"`      // answered from this node's memory
	NearHits    uint64 `json:"near_hits"` // of these, from near copies
	Remote      uint64 `json:"remote"`    // reads that another node answered with a value
	Misses      uint64 `json:"misses"`
	Unsure      uint64 `json:"unsure"`
	Sets        uint64 `json:"sets"`
	Deletes     uint64 `json:"deletes"`
	Cuts        uint64 `json:"cuts"`
	Evictions   uint64 `json:"evictions"`
	Expirations uint64 `json:"expirations"`
	Unconfirmed uint64 `json:"unconfirmed"`
	ViewChanges uint64 `json:"view_changes"`
	PulledBytes uint64 `json:"pulled_bytes"` // keys and values pulled in hand-overs
	// PulledEntries is how many entries these were. Late counts deletions and cuts that were confirmed after their caller
	// had given up, GivenUp those of them that never were.
	PulledEntries uint64 `json:"pulled_entries"`
	Late          uint64 `json:"late"`
	GivenUp       uint64 `json:"given_up"`
	SentMessages  uint64 `json:"sent_messages"`
	SentBytes     uint64 `json:"sent_bytes"`
}

// Stats returns the node's counters and gauges.
func (n *Node) Stats() Stats {
	n.lock()
	v := n.m.Status()
	n.unlock()
	st, c := n.store.Stats(), &n.m.Counters
	s := Stats{
		Chain: fmt.Sprintf("%016x", v.Chain), View: v.View, Members: v.Members, Acting: v.Acting, InSync: v.InSync, Leaving: v.Leaving, Settled: v.Settled,
		Partitions: v.Partitions, Owned: v.Owned, Pending: v.Pending, ToPull: v.ToPull, NameHeldBy: v.NameHeldBy.GetAddr(),
		Entries: st.Entries, Ending: st.Ending, Near: st.Near, Tombstones: st.Tombstones, Bytes: st.Bytes, MaxBytes: n.cfg.MaxBytes,
		Hits: c.Hits.Load(), NearHits: c.NearHits.Load(), Remote: c.Remote.Load(), Misses: c.Misses.Load(), Unsure: c.Unsure.Load(),
		Sets: c.Sets.Load(), Deletes: c.Deletes.Load(), Cuts: c.Cuts.Load(), Unconfirmed: c.Unconfirmed.Load(),
		ViewChanges: c.Views.Load(), PulledBytes: c.Pulled.Load(), PulledEntries: c.PulledEntries.Load(), Late: c.Late.Load(), GivenUp: c.GivenUp.Load(), Evictions: st.Evictions, Expirations: st.Expirations,
	}
	if v.View == 0 {
		s.Waiting = n.waiting(v)
	}
	s.SentMessages, s.SentBytes = n.transport.Counters()
	return s
}

// refusal is that of a peer by this node, or of this node by a peer.
type refusal struct {
	at   time.Time
	peer uint64 // 0: not known
	text string
}

// telling is how much a refusal tells of why a node is in no cluster.
type telling int

const (
	ofSomebody  telling = iota // perhaps of one that is outside as well, for reasons of its own
	ofJoined                   // of one at an address to join
	ofAClusters                // of a member of a cluster
)

// refusalLife is how long a refusal explains why nobody lets a node in. The same one is reported once a minute at most.
const refusalLife = 2 * time.Minute

// noteRefusal keeps why there is no session with a peer, one of the two not wanting it. What tells less does not take the place of
// what tells more.
func (n *Node) noteRefusal(peer uint64, text string) {
	r := &refusal{at: time.Now(), peer: peer, text: text}
	for {
		old := n.refusal.Load()
		if old != nil && r.at.Sub(old.at) < refusalLife && n.tells(old.peer) > n.tells(peer) || n.refusal.CompareAndSwap(old, r) {
			return
		}
	}
}

// tells is how much a refusal by a peer tells, or of one.
func (n *Node) tells(peer uint64) telling {
	for _, p := range n.gossip.Load().Peers() {
		switch {
		case peer == 0 || p.Member.GetId() != peer:
		case p.View > 0:
			return ofAClusters
		case slices.Contains(n.cfg.Join, p.Member.GetAddr()):
			return ofJoined
		}
	}
	return ofSomebody
}

// waiting tells what a node in no cluster waits for.
func (n *Node) waiting(v protocol.Status) string {
	text := "a cluster is about to be founded"
	switch {
	case v.Knows:
		text = "there is a cluster, and it has not let this node in yet"
	case v.Met < n.cfg.Expect:
		text = fmt.Sprintf("%d of the %d nodes that are expected are there", v.Met, n.cfg.Expect)
	case !v.Reached:
		text = "nobody has been reached at the addresses to join; this node goes on trying, and founds no cluster alone"
	}
	if r := n.refusal.Load(); r != nil && time.Since(r.at) < refusalLife {
		text += "; " + r.text
	} else if trouble := n.gossip.Load().Trouble(); !v.Reached && trouble != "" {
		text += "; " + strings.Join(strings.Fields(trouble), " ") // memberlist's are of several lines
		if strings.Contains(trouble, "EOF") {
			text += " (so ends a connection to a node with another cluster label)"
		}
	}
	return text
}

// Event is something that happened to the node's view of the cluster.
type Event struct {
	Time   time.Time `json:"time"`
	Kind   string    `json:"kind"` // "view", "ready", "name-taken", "lost-majority", "regained", "forgotten", "started-over", "left", "refused", "given-up"
	Member string    `json:"member,omitempty"`
	View   uint64    `json:"view"`
	Text   string    `json:"text"`
}

// Subscribe returns a channel of events, which is closed by cancel or when the node closes. A slow reader loses the
// oldest. buffer is at least 1.
func (n *Node) Subscribe(buffer int) (events <-chan Event, cancel func()) {
	ch := make(chan Event, max(buffer, 1))
	n.subsMu.Lock()
	defer n.subsMu.Unlock()
	if n.subsClosed {
		close(ch)
		return ch, func() {}
	}
	n.subs[ch] = true
	return ch, func() {
		n.subsMu.Lock()
		defer n.subsMu.Unlock()
		if n.subs[ch] {
			delete(n.subs, ch)
			close(ch)
		}
	}
}

func (n *Node) publish(e Event) {
	n.subsMu.Lock()
	defer n.subsMu.Unlock()
	for ch := range n.subs {
		for {
			select {
			case ch <- e:
			default:
				select { // full: the oldest goes
				case <-ch:
				default:
				}
				continue
			}
			break
		}
	}
}

func (n *Node) endSubscriptions() {
	n.subsMu.Lock()
	defer n.subsMu.Unlock()
	n.subsClosed = true
	for ch := range n.subs {
		close(ch)
	}
	clear(n.subs)
}
