package resp

import (
	"bytes"
	"encoding/binary"
	"errors"
	"iter"
	"slices"
)

// An entry is a plain value, a hash (hashcode.go), a set, or the top of a set that is kept in parts. A plain value is stored as it is, so
// that all that reads the cache by other ways finds it unchanged. A set begins with magic and 's', one in parts with magic and 't'. A plain
// value that begins with magic itself is stored behind magic and 'p': nothing a client sets is ever taken for a set or a hash.
//
// Behind the mark of a set come the number of its members and then the members in byte order, each as the number of bytes it
// shares with the one before, times four, plus its flags; the number of bytes that follow; and these. Numbers are unsigned varints.
// Behind the mark of a set in parts come a byte that says whether it is being closed, and the id of its parts.
const (
	magic     = "\x00huddle\x01"
	markPlain = 'p'
	markSet   = 's'
	markParts = 't'

	flagNamed = 1
	flagGone  = 2
)

// maxDecodedBytes bounds the members of one entry, without the saving by what they share.
const maxDecodedBytes = 64 << 20

var errCorrupt = errors.New("stored value is damaged")

type kind int

const (
	plain kind = iota
	set
	parts
	hash
)

// unwrap tells what a stored value is, and returns the plain value or what stands behind the mark.
func unwrap(stored []byte) (kind, []byte) {
	if len(stored) > len(magic) && stored[0] == magic[0] && string(stored[:len(magic)]) == magic {
		switch stored[len(magic)] {
		case markPlain:
			return plain, stored[len(magic)+1:]
		case markSet:
			return set, stored[len(magic)+1:]
		case markParts:
			return parts, stored[len(magic)+1:]
		case markHash:
			return hash, stored[len(magic)+1:]
		}
	}
	return plain, stored
}

// IsSet tells whether a value, as a Backend stores it, is a set or a part of one.
func IsSet(stored []byte) bool {
	k, _ := unwrap(stored)
	return k == set || k == parts
}

// wrap returns the stored form of a plain value.
func wrap(value []byte) []byte {
	if len(value) < len(magic) || string(value[:len(magic)]) != magic {
		return value
	}
	return append(append([]byte(magic), markPlain), value...)
}

// member is an element of a set.
type member struct {
	name  []byte
	named bool // a key of this name has been seen
	gone  bool // later that key was absent
}

// memberCount returns the number of members of a set.
func memberCount(body []byte) (int, error) {
	n, used := binary.Uvarint(body)
	if used <= 0 || n > uint64(len(body)) {
		return 0, errCorrupt
	}
	return int(n), nil
}

// members lists the members of a set in order. The name of each is valid until the next. A damaged set ends with errCorrupt.
func members(body []byte) iter.Seq2[member, error] {
	return func(yield func(member, error) bool) {
		n, err := memberCount(body)
		if err != nil {
			yield(member{}, err)
			return
		}
		_, used := binary.Uvarint(body)
		body = body[used:]
		var name []byte
		for range n {
			first, used := binary.Uvarint(body)
			shared := first >> 2
			if used <= 0 || shared > uint64(len(name)) {
				yield(member{}, errCorrupt)
				return
			}
			body = body[used:]
			size, used := binary.Uvarint(body)
			if used <= 0 || size > uint64(len(body)-used) {
				yield(member{}, errCorrupt)
				return
			}
			body = body[used:]
			name = append(name[:shared], body[:size]...)
			body = body[size:]
			if !yield(member{name, first&flagNamed != 0, first&flagGone != 0}, nil) {
				return
			}
		}
	}
}

// decodeSet returns the members of a set; nil has none.
func decodeSet(body []byte) ([]member, error) {
	if body == nil {
		return nil, nil
	}
	var all []member
	size := 0
	for m, err := range members(body) {
		if err != nil {
			return nil, err
		}
		if size += len(m.name); size > maxDecodedBytes {
			return nil, errCorrupt
		}
		m.name = bytes.Clone(m.name)
		all = append(all, m)
	}
	return all, nil
}

// encodeSet returns the stored form of a set whose members are in order.
func encodeSet(all []member) []byte {
	b := append(append(make([]byte, 0, 64+32*len(all)), magic...), markSet)
	b = binary.AppendUvarint(b, uint64(len(all)))
	var last []byte
	for _, m := range all {
		shared := 0
		for shared < len(last) && shared < len(m.name) && last[shared] == m.name[shared] {
			shared++
		}
		first := uint64(shared) << 2
		if m.named {
			first |= flagNamed
		}
		if m.gone {
			first |= flagGone
		}
		b = binary.AppendUvarint(b, first)
		b = binary.AppendUvarint(b, uint64(len(m.name)-shared))
		b = append(b, m.name[shared:]...)
		last = m.name
	}
	return b
}

// sizeOf is what the members of a set take when decoded.
func sizeOf(all []member) int {
	n := 0
	for _, m := range all {
		n += len(m.name)
	}
	return n
}

func byName(a, b member) int { return bytes.Compare(a.name, b.name) }

// include returns all with the members of given, both in order, and how many of these are new.
//
// given says of each member whether there is a key of its name now. A member that is there already and was seen to be a key is taken
// for one no longer if that key is absent: whoever adds it may be about to set the key, and until then it must not be dropped.
func include(all, given []member) (with []member, added int) {
	with = make([]member, 0, len(all)+len(given))
	for len(all) > 0 || len(given) > 0 {
		order := 0
		switch {
		case len(all) == 0:
			order = 1
		case len(given) == 0:
			order = -1
		default:
			order = byName(all[0], given[0])
		}
		switch {
		case order < 0:
			with, all = append(with, all[0]), all[1:]
		case order > 0:
			with, given = append(with, given[0]), given[1:]
			added++
		default:
			m, g := all[0], given[0]
			with = append(with, member{name: m.name, named: g.named})
			all, given = all[1:], given[1:]
		}
	}
	return with, added
}

// exclude returns all without the members of given, both in order.
func exclude(all, given []member) []member {
	return slices.DeleteFunc(slices.Clone(all), func(m member) bool {
		_, found := slices.BinarySearchFunc(given, m, byName)
		return found
	})
}

// top is what the entry of a set in parts holds.
type top struct {
	id      partsID
	closing bool // all parts were found empty, and it is being removed
}

// partsID names the parts of one set, or of one part that is in parts itself. It is never used again.
type partsID [8]byte

func (t top) stored() []byte {
	b := append([]byte(magic), markParts, 0)
	if t.closing {
		b[len(b)-1] = 1
	}
	return append(b, t.id[:]...)
}

func parseTop(body []byte) (top, error) {
	if len(body) != 1+len(partsID{}) || body[0] > 1 {
		return top{}, errCorrupt
	}
	return top{partsID(body[1:]), body[0] == 1}, nil
}
