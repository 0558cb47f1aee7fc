package node

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/huddle-cache/huddle/node/protocol"
)

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
	case v.Knows && v.Paused:
		text = "the cluster has expelled this node soon after it had come in; it waits before it asks to be let in again, and longer while one of the others is out of its reach"
	case v.Knows:
		text = "there is a cluster, and it has not let this node in yet"
	case v.Exiled:
		text = "a cluster that has left this node out, or had yet to let it in, may still be there, and nobody of it is met; this node founds one only together with a node that is started anew"
		if n.cfg.ForgetAfter > 0 {
			text += fmt.Sprintf(", or when this has lasted for %v", n.cfg.ForgetAfter)
		}
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
