package transport

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"github.com/huddle-cache/huddle/transport/peerpb"
)

// otherIncarnation begins the reason for which a node refuses a Hello that is meant for an id it does not have.
const otherIncarnation = "another incarnation"

// RefusedError is the reason for which a peer, or this node, did not accept the other's Hello.
type RefusedError struct{ Reason string }

func (e *RefusedError) Error() string { return "refused: " + e.Reason }

// Gone tells whether an error that Unreachable reported says that the member is no more: nothing listens at its address, or
// its process has another id. A firewall that rejects connections looks the same.
func Gone(err error) bool {
	var refused *RefusedError
	if errors.As(err, &refused) {
		return strings.HasPrefix(refused.Reason, otherIncarnation)
	}
	return errors.Is(err, syscall.ECONNREFUSED)
}

// checkMember says what is wrong with a member that somebody claims to be; empty: nothing.
func checkMember(m *peerpb.Member) string {
	switch {
	case m == nil:
		return "no member named"
	case m.GetId() == 0:
		return "the id is 0"
	case m.GetName() == "":
		return "the name is empty"
	case len(m.GetName()) > maxNameBytes:
		return fmt.Sprintf("the name has %d bytes; at most %d are allowed", len(m.GetName()), maxNameBytes)
	case len(m.GetAddr()) > maxNameBytes:
		return fmt.Sprintf("the address has %d bytes; at most %d are allowed", len(m.GetAddr()), maxNameBytes)
	}
	return ""
}

// checkHello says why a node that would say ours does not accept theirs; empty: it does. An answer is addressed to nobody.
func checkHello(ours, theirs *peerpb.Hello, answer bool) string {
	if theirs == nil {
		return "the first frame carries no Hello"
	}
	if reason := mismatch(ours, theirs); reason != "" {
		return reason
	}
	if reason := checkMember(theirs.GetFrom()); reason != "" {
		return reason
	}
	if theirs.GetFrom().GetId() == ours.GetFrom().GetId() {
		return "both ends have the same id"
	}
	if !answer && theirs.GetTo() != ours.GetFrom().GetId() {
		return fmt.Sprintf("%s: this is %s, not %s", otherIncarnation, hexID(ours.GetFrom().GetId()), hexID(theirs.GetTo()))
	}
	return ""
}

// mismatch says in what two nodes differ that must be the same, in the words of the one that says ours; empty: in nothing.
func mismatch(ours, theirs *peerpb.Hello) string {
	switch {
	case theirs.GetProtocol() != ours.GetProtocol():
		return fmt.Sprintf("protocol versions differ: this node has %d, the other %d", ours.GetProtocol(), theirs.GetProtocol())
	case theirs.GetCluster() != ours.GetCluster():
		return clustersDiffer(ours.GetCluster(), theirs.GetCluster())
	case theirs.GetRing() != ours.GetRing():
		here, there := unshared(ours.GetRing(), clip(theirs.GetRing()))
		return fmt.Sprintf("settings differ: this node has %s, the other %s", here, there)
	case theirs.GetReplicas() != ours.GetReplicas():
		return fmt.Sprintf("replicas differ: this node has %d, the other %d", ours.GetReplicas(), theirs.GetReplicas())
	}
	return ""
}

func clustersDiffer(ours, theirs string) string {
	return fmt.Sprintf("clusters differ: this node has %q, the other %q", ours, clip(theirs))
}

// refusal says why the peer that says theirs refuses this node. What it does not take is told from its Hello, in words of this
// node: those of the peer are the wrong way round here.
func refusal(ours, theirs *peerpb.Hello) string {
	if reason := mismatch(ours, theirs); reason != "" {
		return reason
	}
	return clip(theirs.GetRefused())
}

// unshared names of two lists of settings those that the other does not have, or all if they are the same but for the order.
func unshared(ours, theirs string) (here, there string) {
	const comma = ", "
	mine, others := strings.Split(ours, comma), strings.Split(theirs, comma)
	without := func(list, other []string) string {
		return strings.Join(slices.DeleteFunc(slices.Clone(list), func(s string) bool { return slices.Contains(other, s) }), comma)
	}
	if here, there = without(mine, others), without(others, mine); here == "" && there == "" {
		here, there = ours, theirs
	}
	named := func(s string) string {
		if s == "" {
			return "nothing of the kind"
		}
		return strconv.Quote(s)
	}
	return named(here), named(there)
}

// clip bounds what is repeated of a stranger's words.
func clip(s string) string {
	const longest = 256
	if len(s) > longest {
		return strings.ToValidUTF8(s[:longest], "") + "…"
	}
	return s
}
