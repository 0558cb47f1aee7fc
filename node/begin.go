package node

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/huddle-cache/huddle/node/protocol"
	pb "github.com/huddle-cache/huddle/transport/peerpb"
)

// OpKind says what an Op does.
type OpKind uint8

const (
	// OpLookup reads, as Lookup.
	OpLookup OpKind = iota
	// OpSet writes, as Set.
	OpSet
	// OpRemove deletes, as Remove.
	OpRemove
)

// Op is one operation of Begin.
type Op struct {
	Kind   OpKind
	Key    string
	Value  []byte         // of OpSet
	Set    []SetOption    // of OpSet
	Remove []DeleteOption // of OpRemove
	// Timeout bounds it as a context's deadline would. 0: Config.ReadTimeout or Config.WriteTimeout.
	Timeout time.Duration
}

// Outcome is the end of an Op.
type Outcome struct {
	Entry Entry // of OpLookup
	Found bool  // OpLookup: the key is there; OpRemove: it was
	Err   error // as of Lookup, Set or Remove
}

// Begin begins several operations and does not wait for them: who has thousands under way needs no goroutine for each. ended is
// called once for each, with its index, when it has ended: in any order, perhaps before Begin returns, and with ErrClosed, as that says,
// if the node is closed first. It is called by goroutines that have other work to do, so it must not block, and must
// not call the node. Begin does not keep ops; values are kept as by Set.
//
// A deletion whose time is up goes on, as that of Remove does.
func (n *Node) Begin(ops []Op, ended func(i int, o Outcome)) {
	for from := 0; from < len(ops); from += submitAtOnce {
		n.begin(ops[from:min(from+submitAtOnce, len(ops))], func(i int, o Outcome) { ended(from+i, o) })
	}
}

// begin is Begin for as many as are submitted at once.
func (n *Node) begin(ops []Op, ended func(i int, o Outcome)) {
	var submit [submitAtOnce]func(open bool)
	for i := range ops {
		submit[i] = n.prepared(&ops[i], func(o Outcome) { ended(i, o) })
	}
	n.lock()
	defer n.unlock()
	open := !n.isClosed()
	for _, f := range submit[:len(ops)] {
		if f != nil {
			f(open)
		}
	}
}

// prepared does what of an operation needs no lock, and returns what does; nil if it has ended with that. What is returned
// is told whether the node is open.
func (n *Node) prepared(op *Op, ended func(Outcome)) (submit func(open bool)) {
	if op.Kind == OpLookup {
		return n.preparedLookup(op.Key, op.Timeout, ended)
	}
	what, w, err := "set", (*pb.Write)(nil), error(nil)
	switch op.Kind {
	case OpSet:
		w, err = n.newSet(op.Key, op.Value, op.Set)
	case OpRemove:
		what = "delete"
		w, err = n.newRemove(op.Key, op.Remove)
	default:
		err = fmt.Errorf("%w: operation of kind %d", ErrInvalid, op.Kind)
	}
	if err != nil {
		ended(Outcome{Err: err})
		return nil
	}
	done := func(r protocol.Result) {
		ended(Outcome{Found: r.Existed, Err: writeError(what, w.Kind != pb.Kind_LIVE, r, nil)})
	}
	room := n.roomFor(w)
	if !room.try() {
		timeout := cmp.Or(op.Timeout, n.cfg.WriteTimeout)
		return func(open bool) {
			if !open {
				ended(Outcome{Err: ErrClosed})
				return
			}
			n.wg.Go(func() { // it has to wait
				ctx, cancel := context.WithTimeout(context.Background(), timeout)
				defer cancel()
				_, err := n.write(ctx, what, w)
				ended(Outcome{Err: err})
			})
		}
	}
	deadline := n.until(op.Timeout, n.cfg.WriteTimeout)
	return func(open bool) {
		if open {
			n.m.Write(w, deadline, n.giveUp(w), room.giving(done))
			return
		}
		room.give()
		ended(Outcome{Err: ErrClosed})
	}
}

func (n *Node) preparedLookup(key string, timeout time.Duration, ended func(Outcome)) (submit func(open bool)) {
	e, found, ok := n.Peek(key)
	err := error(nil)
	if !found {
		err = checkKey(key)
	}
	if ok || err != nil {
		e.Tags = slices.Clone(e.Tags) // as by Lookup
		ended(Outcome{Entry: e, Found: found, Err: err})
		return nil
	}
	get := &pb.Get{Key: n.tokens.key(key), Keep: !n.cfg.NoNearCopies}
	deadline := n.until(timeout, n.cfg.ReadTimeout)
	return func(open bool) {
		if !open {
			ended(Outcome{Err: ErrClosed})
			return
		}
		n.m.Get(get, deadline, func(r protocol.Result) {
			e, _, err := n.readResult(r, nil)
			if e == nil {
				ended(Outcome{Err: err})
				return
			}
			opened := func() {
				entry, err := n.entry(key, e, n.clock.Now())
				ended(Outcome{Entry: entry, Found: err == nil, Err: err})
			}
			if n.tokens != nil { // to open a seal takes its time
				n.wg.Go(opened)
				return
			}
			opened()
		})
	}
}
