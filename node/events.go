package node

import "time"

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
