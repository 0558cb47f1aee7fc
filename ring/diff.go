package ring

import (
	"fmt"
	"slices"
)

// Delta says how the owners in one table differ from those in another. Members
// are matched by name.
type Delta struct {
	Joined  []string // members of the new table alone, sorted
	Left    []string // members of the old table alone, sorted
	Changes []Change // the partitions whose holders or their order changed, ascending
}

// Change is one partition whose holders, or their order, changed.
type Change struct {
	Partition int
	Before    []string // the holders in the old table, owner first
	After     []string // the holders in the new table, owner first
}

// Diff compares two tables. Either may be nil, which stands for a table
// without members. Tables that differ in their number of partitions cannot be
// compared: [ErrPartitions]. The nodes need no Diff: each looks at its own part of
// both tables. It is for whoever asks what a change of members moves, as the tests
// of this promise do.
func Diff(before, after *Table) (Delta, error) {
	var d Delta
	if before == nil && after == nil {
		return d, nil
	}
	if before == nil || after == nil {
		return diffNil(before, after), nil
	}
	if before.Partitions() != after.Partitions() {
		return d, fmt.Errorf("%w: %d and %d", ErrPartitions, before.Partitions(), after.Partitions())
	}
	d.Joined = missing(after.members, before)
	d.Left = missing(before.members, after)
	for part := range before.Partitions() {
		if sameHolders(before, after, part) {
			continue
		}
		d.Changes = append(d.Changes, Change{part, before.names(part), after.names(part)})
	}
	return d, nil
}

// diffNil is Diff with one of the tables nil.
func diffNil(before, after *Table) Delta {
	var d Delta
	if before == nil {
		d.Joined = slices.Clone(after.members)
		for part := range after.Partitions() {
			d.Changes = append(d.Changes, Change{Partition: part, After: after.names(part)})
		}
		return d
	}
	d.Left = slices.Clone(before.members)
	for part := range before.Partitions() {
		d.Changes = append(d.Changes, Change{Partition: part, Before: before.names(part)})
	}
	return d
}

// missing returns those of names that are no members of t.
func missing(names []string, t *Table) []string {
	var out []string
	for _, name := range names {
		if _, ok := t.Index(name); !ok {
			out = append(out, name)
		}
	}
	return out
}

func sameHolders(a, b *Table, part int) bool {
	return slices.EqualFunc(a.Owners(part), b.Owners(part), func(i, j uint16) bool {
		return a.members[i] == b.members[j]
	})
}

// names returns the names of a partition's holders, owner first.
func (t *Table) names(part int) []string {
	out := make([]string, 0, t.copies)
	for _, m := range t.Owners(part) {
		out = append(out, t.members[m])
	}
	return out
}

// Moved returns the number of partitions that have another owner than before.
func (d Delta) Moved() int {
	n := 0
	for _, c := range d.Changes {
		if c.OwnerMoved() {
			n++
		}
	}
	return n
}

// Transfers returns the number of partitions that members must fetch: for each
// partition, the new holders that did not hold it before.
func (d Delta) Transfers() int {
	n := 0
	for _, c := range d.Changes {
		n += len(c.Gained())
	}
	return n
}

// OwnerMoved reports whether the partition has another owner than before.
func (c Change) OwnerMoved() bool { return first(c.Before) != first(c.After) }

// Promoted reports whether the partition has a new owner that held a copy of it
// before, and so needs to fetch nothing.
func (c Change) Promoted() bool {
	return c.OwnerMoved() && slices.Contains(c.Before, first(c.After))
}

// Gained returns the holders that did not hold the partition before, in their
// new order.
func (c Change) Gained() []string { return without(c.After, c.Before) }

// Lost returns the holders that no longer hold the partition, in their old
// order.
func (c Change) Lost() []string { return without(c.Before, c.After) }

// first returns the owner in a list of holders, "" (no member's name) if it is
// empty.
func first(holders []string) string {
	if len(holders) == 0 {
		return ""
	}
	return holders[0]
}

// without returns those of a that are not in b.
func without(a, b []string) []string {
	var out []string
	for _, s := range a {
		if !slices.Contains(b, s) {
			out = append(out, s)
		}
	}
	return out
}
