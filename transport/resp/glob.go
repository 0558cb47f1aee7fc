package resp

import (
	"context"
	"errors"
	"strconv"
)

// maxPattern bounds a pattern, in bytes. What matching takes goes with the product of the lengths of pattern and string.
const maxPattern = 1 << 10

var errPattern = "ERR huddle: pattern over " + strconv.Itoa(maxPattern) + " bytes"

// errMatching: the time of a command ran out while it looked for what matches a pattern.
var errMatching = errors.New("matching took too long")

// element is what one or, for many, any number of bytes are compared with.
type element struct {
	many  bool
	any   bool
	class *byteSet // nil: the byte itself
	char  byte
}

// byteSet has a bit for each byte.
type byteSet [4]uint64

func (b *byteSet) add(c byte)      { b[c>>6] |= 1 << (c & 63) }
func (b *byteSet) has(c byte) bool { return b[c>>6]&(1<<(c&63)) != 0 }

// glob is a compiled pattern of Redis: * any bytes, ? one byte, [a-z] and [^a-z] one of or none of these, \c the byte c itself.
// It is for one goroutine.
type glob struct {
	elements []element
	ctx      context.Context
	steps    int // since ctx was last looked at
}

// compileGlob compiles a pattern. False: it is too long. Matching ends with an error when ctx ends.
func compileGlob(ctx context.Context, pattern []byte) (*glob, bool) {
	if len(pattern) > maxPattern {
		return nil, false
	}
	g := &glob{ctx: ctx, elements: make([]element, 0, len(pattern))}
	for p := pattern; len(p) > 0; {
		n := 1
		e := element{char: p[0]}
		switch {
		case p[0] == '*':
			e.many = true
		case p[0] == '?':
			e.any = true
		case p[0] == '[':
			e.class, n = compileClass(p)
		case p[0] == '\\' && len(p) > 1:
			e.char, n = p[1], 2
		}
		g.elements, p = append(g.elements, e), p[n:]
	}
	return g, true
}

// compileClass compiles the class at the start of a pattern, which takes n bytes of it. One that does not end reaches to the end of
// the pattern, as with Redis.
func compileClass(pattern []byte) (class *byteSet, n int) {
	class = new(byteSet)
	i := 1
	not := i < len(pattern) && pattern[i] == '^'
	if not {
		i++
	}
	for ; i < len(pattern) && pattern[i] != ']'; i++ {
		rest := pattern[i:]
		switch {
		case rest[0] == '\\' && len(rest) > 1:
			i++
			class.add(rest[1])
		case len(rest) > 2 && rest[1] == '-':
			i += 2
			for c, high := int(min(rest[0], rest[2])), int(max(rest[0], rest[2])); c <= high; c++ {
				class.add(byte(c))
			}
		default:
			class.add(rest[0])
		}
	}
	if not {
		for w := range class {
			class[w] = ^class[w]
		}
	}
	return class, min(i+1, len(pattern))
}

// match tells whether s matches. It looks at the context every so many steps, of this call and of those before.
func match[S string | []byte](g *glob, s S) (bool, error) {
	const often = 1 << 14
	all := g.elements
	star, again := -1, 0 // behind the last *, and where in s to go on if what follows it does not match
	p, i := 0, 0
	for i < len(s) {
		if g.steps++; g.steps >= often {
			if g.steps = 0; g.ctx.Err() != nil {
				return false, g.ended()
			}
		}
		if p < len(all) {
			e := &all[p]
			if e.many {
				p++
				star, again = p, i
				continue
			}
			if e.any || e.class != nil && e.class.has(s[i]) || e.class == nil && e.char == s[i] {
				p, i = p+1, i+1
				continue
			}
		}
		if star < 0 {
			return false, nil
		}
		again++
		p, i = star, again
	}
	for p < len(all) && all[p].many {
		p++
	}
	return p == len(all), nil
}

// ended is the error of a context that has ended.
func (g *glob) ended() error {
	if err := g.ctx.Err(); !errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	return errMatching
}

// matching returns those of keys that match. A pattern of nil matches all.
func (g *glob) matching(keys []string) ([]string, error) {
	if g == nil {
		return keys, nil
	}
	var some []string
	for _, key := range keys {
		switch ok, err := match(g, key); {
		case err != nil:
			return nil, err
		case ok:
			some = append(some, key)
		}
	}
	return some, nil
}
