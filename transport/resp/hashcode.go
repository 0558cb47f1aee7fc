package resp

import (
	"encoding/binary"
	"iter"
)

// A hash is one entry: magic, 'h', and a byte that says how the rest is written, hashFields. Behind it come the number of fields, and these
// in the order in which they were added, as Redis keeps those of a small hash: each as the number of bytes of its name, the name, the
// number of bytes of its value, and the value. Numbers are unsigned varints. A hash without fields is none, and is never stored.
//
// A hash is never taken apart into a slice of fields: one of many short fields would take ten times its size. What changes it writes it
// anew from the old one, field by field.
const (
	markHash   = 'h'
	hashFields = 1
)

// field is a field of a hash. Both lie in the stored value, and are not to be modified.
type field struct{ name, value []byte }

// fieldCount returns the number of fields of a hash; nil has none.
func fieldCount(body []byte) (int, error) {
	n, _, err := openHash(body)
	return n, err
}

// openHash returns the number of fields of a hash and what is behind it.
func openHash(body []byte) (n int, rest []byte, err error) {
	if body == nil {
		return 0, nil, nil
	}
	if len(body) == 0 || body[0] != hashFields {
		return 0, nil, errCorrupt
	}
	count, used := binary.Uvarint(body[1:])
	if used <= 0 {
		return 0, nil, errCorrupt
	}
	rest = body[1+used:]
	if count > uint64(len(rest)/2) { // the least that a field takes
		return 0, nil, errCorrupt
	}
	return int(count), rest, nil
}

// fields lists the fields of a hash in order; nil has none. A damaged hash ends with errCorrupt.
func fields(body []byte) iter.Seq2[field, error] {
	return func(yield func(field, error) bool) {
		n, rest, err := openHash(body)
		for ; n > 0 && err == nil; n-- {
			var f field
			if f.name, rest, err = cutSized(rest); err != nil {
				break
			}
			if f.value, rest, err = cutSized(rest); err != nil {
				break
			}
			if !yield(f, nil) {
				return
			}
		}
		if err == nil && len(rest) > 0 {
			err = errCorrupt
		}
		if err != nil {
			yield(field{}, err)
		}
	}
}

// cutSized cuts off bytes that follow their number. What it returns is never nil.
func cutSized(b []byte) (cut, rest []byte, err error) {
	n, used := binary.Uvarint(b)
	if used <= 0 || n > uint64(len(b)-used) {
		return nil, nil, errCorrupt
	}
	end := used + int(n)
	return b[used:end:end], b[end:], nil
}

// valueOf returns the value of one field; nil: there is no such field.
func valueOf(body, name []byte) ([]byte, error) {
	for f, err := range fields(body) {
		if err != nil {
			return nil, err
		}
		if string(f.name) == string(name) {
			return f.value, nil
		}
	}
	return nil, nil
}

// valuesOf returns the values of fields in the order of names; nil: there is no such field.
func valuesOf(body []byte, names [][]byte) ([][]byte, error) {
	values := make([][]byte, len(names))
	first := make(map[string]int, len(names)) // where a name is given for the first time
	for i, name := range names {
		if _, ok := first[string(name)]; !ok {
			first[string(name)] = i
		}
	}
	for f, err := range fields(body) {
		if err != nil {
			return nil, err
		}
		if i, ok := first[string(f.name)]; ok {
			values[i] = f.value
		}
	}
	for i, name := range names {
		values[i] = values[first[string(name)]]
	}
	return values, nil
}

// givenFields are the fields that a command gives, by their names, of which the last value counts.
type givenFields struct {
	all   []field
	index map[string]int
}

// fieldsGiven reads pairs of a name and a value.
func fieldsGiven(pairs [][]byte) givenFields {
	g := givenFields{make([]field, 0, len(pairs)/2), make(map[string]int, len(pairs)/2)}
	for i := 0; i+1 < len(pairs); i += 2 {
		at, ok := g.index[string(pairs[i])]
		if !ok {
			at = len(g.all)
			g.index[string(pairs[i])] = at
			g.all = append(g.all, field{name: pairs[i]})
		}
		g.all[at].value = pairs[i+1]
	}
	return g
}

// putFields returns the stored form of a hash with given fields, and how many of these are new. A field that is there keeps its place.
func putFields(body []byte, given givenFields) (stored []byte, created int, err error) {
	before, _, err := openHash(body)
	if err != nil {
		return nil, 0, err
	}
	size := len(body)
	for _, f := range given.all {
		size += len(f.name) + len(f.value) + 2*binary.MaxVarintLen32
	}
	present := make([]bool, len(given.all))
	created = len(given.all)
	for f, err := range fields(body) {
		if err != nil {
			return nil, 0, err
		}
		if at, ok := given.index[string(f.name)]; ok && !present[at] {
			present[at] = true
			created--
		}
	}
	b := newHash(size, before+created)
	for f := range fields(body) {
		if at, ok := given.index[string(f.name)]; ok {
			f.value = given.all[at].value
		}
		b = appendField(b, f)
	}
	for at, f := range given.all {
		if !present[at] {
			b = appendField(b, f)
		}
	}
	return b, created, nil
}

// dropFields returns the stored form of a hash without some fields, and how many of these were there; nil: none is left.
func dropFields(body []byte, names [][]byte) (stored []byte, dropped int, err error) {
	gone := make(map[string]bool, len(names))
	for _, name := range names {
		gone[string(name)] = true
	}
	all := 0
	for f, err := range fields(body) {
		if err != nil {
			return nil, 0, err
		}
		if all++; gone[string(f.name)] {
			dropped++
		}
	}
	if dropped == all {
		return nil, dropped, nil
	}
	b := newHash(len(body), all-dropped)
	for f := range fields(body) {
		if !gone[string(f.name)] {
			b = appendField(b, f)
		}
	}
	return b, dropped, nil
}

// newHash begins the stored form of a hash of n fields, with room for so many bytes of them.
func newHash(size, n int) []byte {
	b := make([]byte, 0, len(magic)+2+binary.MaxVarintLen32+size)
	return binary.AppendUvarint(append(append(b, magic...), markHash, hashFields), uint64(n))
}

func appendField(b []byte, f field) []byte {
	b = append(binary.AppendUvarint(b, uint64(len(f.name))), f.name...)
	return append(binary.AppendUvarint(b, uint64(len(f.value))), f.value...)
}
