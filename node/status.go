package node

import "fmt"

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
	Evictions   uint64 `json:"evictions"` // values and near copies given up for room
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
