package resp

import (
	"bytes"
	"encoding/binary"
	"errors"
	"iter"
)

// An entry is a plain value or a set. A plain value is stored as it is, so that all that reads the cache by other ways finds it
// unchanged. A set begins with magic and 's'. A plain value that begins with magic itself is stored behind magic and 'p': nothing
// a client sets is ever taken for a set.
//
// Behind the mark of a set come the number of its members and then the members in byte order, each as the number of bytes it
// shares with the one before, the number of bytes that follow, and these. Numbers are unsigned varints.
const (
	magic     = "\x00huddle\x01"
	markPlain = 'p'
	markSet   = 's'
)

var errCorrupt = errors.New("stored set is damaged")

type kind int

const (
	plain kind = iota
	set
)

// unwrap tells what a stored value is, and returns the plain value or what stands behind the mark of a set.
func unwrap(stored []byte) (kind, []byte) {
	if len(stored) > len(magic) && stored[0] == magic[0] && string(stored[:len(magic)]) == magic {
		switch stored[len(magic)] {
		case markPlain:
			return plain, stored[len(magic)+1:]
		case markSet:
			return set, stored[len(magic)+1:]
		}
	}
	return plain, stored
}

// IsSet tells whether a value, as a Backend stores it, is a set.
func IsSet(stored []byte) bool {
	k, _ := unwrap(stored)
	return k == set
}

// wrap returns the stored form of a plain value.
func wrap(value []byte) []byte {
	if len(value) < len(magic) || string(value[:len(magic)]) != magic {
		return value
	}
	return append(append([]byte(magic), markPlain), value...)
}

// memberCount returns the number of members of a set.
func memberCount(body []byte) (int, error) {
	n, used := binary.Uvarint(body)
	if used <= 0 || n > maxSetMembers {
		return 0, errCorrupt
	}
	return int(n), nil
}

// members lists the members of a set in order. Each is valid until the next. A damaged set ends with errCorrupt.
func members(body []byte) iter.Seq2[[]byte, error] {
	return func(yield func([]byte, error) bool) {
		n, err := memberCount(body)
		if err != nil {
			yield(nil, err)
			return
		}
		_, used := binary.Uvarint(body)
		body = body[used:]
		var member []byte
		for range n {
			shared, used := binary.Uvarint(body)
			if used <= 0 || shared > uint64(len(member)) {
				yield(nil, errCorrupt)
				return
			}
			body = body[used:]
			size, used := binary.Uvarint(body)
			if used <= 0 || size > uint64(len(body)-used) {
				yield(nil, errCorrupt)
				return
			}
			body = body[used:]
			member = append(member[:shared], body[:size]...)
			body = body[size:]
			if !yield(member, nil) {
				return
			}
		}
	}
}

// setWriter builds a set from members in byte order.
type setWriter struct {
	body  []byte
	last  []byte
	count int
}

func (w *setWriter) add(member []byte) {
	shared := 0
	for shared < len(w.last) && shared < len(member) && w.last[shared] == member[shared] {
		shared++
	}
	w.body = binary.AppendUvarint(w.body, uint64(shared))
	w.body = binary.AppendUvarint(w.body, uint64(len(member)-shared))
	w.body = append(w.body, member[shared:]...)
	w.last = append(w.last[:shared], member[shared:]...)
	w.count++
}

// stored returns the set in its stored form.
func (w *setWriter) stored() []byte {
	b := make([]byte, 0, len(magic)+1+binary.MaxVarintLen64+len(w.body))
	b = append(append(b, magic...), markSet)
	b = binary.AppendUvarint(b, uint64(w.count))
	return append(b, w.body...)
}

// union returns a set with the members of body (nil: none) and those of sorted, and how many of these are new.
func union(body []byte, sorted [][]byte) (w setWriter, added int, err error) {
	take := func() {
		w.add(sorted[0])
		sorted = sorted[1:]
		added++
	}
	if body != nil {
		for m, err := range members(body) {
			if err != nil {
				return w, 0, err
			}
			for len(sorted) > 0 && bytes.Compare(sorted[0], m) < 0 {
				take()
			}
			if len(sorted) > 0 && bytes.Equal(sorted[0], m) {
				sorted = sorted[1:]
			}
			w.add(m)
		}
	}
	for len(sorted) > 0 {
		take()
	}
	return w, added, nil
}

// without returns a set with the members of body that are not in sorted, and how many were left out.
func without(body []byte, sorted [][]byte) (w setWriter, removed int, err error) {
	for m, err := range members(body) {
		if err != nil {
			return w, 0, err
		}
		for len(sorted) > 0 && bytes.Compare(sorted[0], m) < 0 {
			sorted = sorted[1:]
		}
		if len(sorted) > 0 && bytes.Equal(sorted[0], m) {
			removed++
			continue
		}
		w.add(m)
	}
	return w, removed, nil
}
