package chaos

import (
	"cmp"
	"fmt"
	"slices"
	"time"
)

// Violation is a broken promise.
type Violation struct {
	Key   string
	What  string // in words
	Read  Op
	Write Op // the write that the read should have seen
}

// String tells of the violation in one line.
func (v Violation) String() string {
	text := fmt.Sprintf("%s: %s: GET on %s (%s to %s) returned %s", v.Key, v.What, v.Read.Node, ms(v.Read.Invoke), ms(v.Read.Return), shown(v.Read.Value))
	if v.Write.Kind != "" {
		text += fmt.Sprintf(", though %s %s on %s (%s to %s) had been acknowledged", v.Write.Kind, shown(v.Write.Value), v.Write.Node, ms(v.Write.Invoke), ms(v.Write.Return))
	}
	return text
}

func shown(value string) string {
	if value == "" {
		return "nothing"
	}
	return value
}

func ms(d time.Duration) string {
	if d == Never {
		return "not acknowledged"
	}
	return fmt.Sprintf("%.1f ms", float64(d)/float64(time.Millisecond))
}

// Check compares the operations on one key with what is promised, and returns what is broken:
//
//   - a GET returns a value that was written, and not before that write began;
//   - once a SET or DEL has been acknowledged, no GET that begins later returns a value that is surely older: one whose SET had
//     been acknowledged before that later write began;
//   - once a SET has been acknowledged, no GET that begins later finds nothing, unless a DEL may have come after the SET.
//
// A write without an acknowledgement may take effect at any time after it began, so it excuses much: keep such histories short.
func Check(key string, ops []Op) []Violation {
	var writes, reads []Op
	byValue := make(map[string]Op)
	for _, op := range ops {
		switch op.Kind {
		case Get:
			reads = append(reads, op)
		case Set:
			byValue[op.Value] = op
			writes = append(writes, op)
		case Del:
			writes = append(writes, op)
		}
	}
	slices.SortFunc(writes, func(a, b Op) int { return cmp.Compare(a.Invoke, b.Invoke) })
	var out []Violation
	for _, r := range reads {
		if r.Value == "" {
			if w, lost := lostWrite(r, writes); lost {
				out = append(out, Violation{key, "an acknowledged value is lost", r, w})
			}
			continue
		}
		source, known := byValue[r.Value]
		switch {
		case !known:
			out = append(out, Violation{key, "the value was never written to this key", r, Op{}})
			continue
		case source.Invoke > r.Return:
			out = append(out, Violation{key, "the value was read before it was written", r, Op{}})
			continue
		}
		if w, stale := newerWrite(r, source, writes); stale {
			out = append(out, Violation{key, "a stale value", r, w})
		}
	}
	return out
}

// newerWrite finds a write that was acknowledged before r began, and began after source had been acknowledged.
func newerWrite(r, source Op, writes []Op) (Op, bool) {
	if source.Return == Never {
		return Op{}, false
	}
	for _, w := range slices.Backward(writes) { // the latest says most
		if w.Invoke <= source.Return {
			return Op{}, false
		}
		if w.Return < r.Invoke {
			return w, true
		}
	}
	return Op{}, false
}

// lostWrite finds a SET that was acknowledged before r began, and that no DEL can have come after.
func lostWrite(r Op, writes []Op) (Op, bool) {
	for _, w := range slices.Backward(writes) {
		if w.Kind != Set || w.Return >= r.Invoke {
			continue
		}
		excused := slices.ContainsFunc(writes, func(d Op) bool {
			return d.Kind == Del && d.Invoke < r.Return && d.Return >= w.Invoke
		})
		if !excused {
			return w, true
		}
	}
	return Op{}, false
}
