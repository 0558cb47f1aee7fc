package transport

import (
	"errors"
	"fmt"
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
	if theirs.GetProtocol() != ours.GetProtocol() {
		return fmt.Sprintf("protocol versions differ: ours %d, theirs %d", ours.GetProtocol(), theirs.GetProtocol())
	}
	if theirs.GetCluster() != ours.GetCluster() {
		return fmt.Sprintf("clusters differ: ours %q, theirs %q", ours.GetCluster(), clip(theirs.GetCluster()))
	}
	if theirs.GetRing() != ours.GetRing() {
		return fmt.Sprintf("ring parameters differ: ours %q, theirs %q", ours.GetRing(), clip(theirs.GetRing()))
	}
	if theirs.GetReplicas() != ours.GetReplicas() {
		return fmt.Sprintf("replicas differ: ours %d, theirs %d", ours.GetReplicas(), theirs.GetReplicas())
	}
	if reason := checkMember(theirs.GetFrom()); reason != "" {
		return reason
	}
	if theirs.GetFrom().GetId() == ours.GetFrom().GetId() {
		return "both ends have the same id"
	}
	if !answer && theirs.GetTo() != ours.GetFrom().GetId() {
		return fmt.Sprintf("%s: this is %016x, not %016x", otherIncarnation, ours.GetFrom().GetId(), theirs.GetTo())
	}
	return ""
}

// clip bounds what is repeated of a stranger's words.
func clip(s string) string {
	const longest = 256
	if len(s) > longest {
		return strings.ToValidUTF8(s[:longest], "") + "…"
	}
	return s
}
