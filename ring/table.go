package ring

import (
	"fmt"
	"slices"
	"sort"

	"github.com/cespare/xxhash/v2"
)

// Table says which members own each partition. It never changes, so it may be
// shared freely. Make one with [Build].
type Table struct {
	params  Params
	members []string
	copies  int
	owners  []uint16 // copies a partition, one partition after the other
}

// Build computes the owners of all partitions among members, with replicas
// holders of each in all (the owner included), or all members if there are
// fewer. The order of members is of no account; the slice is copied. Zero
// fields of p stand for their defaults.
//
// Equal names, an empty name, no member at all and more than [MaxMembers] give
// [ErrMembers]; replicas below 1 gives [ErrReplicas]; p gives what
// [Params.Validate] says of it. With anything else Build succeeds.
//
// Its work grows with the number of distinct sets of members it leaves out (see
// the package comment) times Partitions: with two copies at most N+1 times
// Partitions, with each further copy at most Partitions squared more.
func Build(members []string, replicas int, p Params) (*Table, error) {
	return build(members, replicas, p, xxhash.Sum64)
}

func build(members []string, replicas int, p Params, hash hasher) (*Table, error) {
	if err := p.Validate(); err != nil {
		return nil, err
	}
	if replicas < 1 {
		return nil, fmt.Errorf("%w, not %d", ErrReplicas, replicas)
	}
	sorted, err := sortedNames(members)
	if err != nil {
		return nil, err
	}
	p = p.WithDefaults()
	t := &Table{params: p, members: sorted, copies: min(replicas, len(sorted))}
	t.owners = make([]uint16, p.Partitions*t.copies)
	c := newCircle(sorted, p, hash)
	if !t.fill(c) {
		return nil, fmt.Errorf("%w: no room for all partitions", ErrMembers)
	}
	return t, nil
}

// sortedNames returns a sorted copy of names, if they can be a ring's members.
func sortedNames(names []string) ([]string, error) {
	if len(names) == 0 || len(names) > MaxMembers {
		return nil, fmt.Errorf("%w: %d of them, want 1 to %d", ErrMembers, len(names), MaxMembers)
	}
	sorted := slices.Clone(names)
	slices.Sort(sorted)
	if sorted[0] == "" {
		return nil, fmt.Errorf("%w: empty name", ErrMembers)
	}
	for i, name := range sorted[1:] {
		if name == sorted[i] {
			return nil, fmt.Errorf("%w: %q is there twice", ErrMembers, name)
		}
	}
	return slices.Clip(sorted), nil
}

// fill computes the owners, one holder after the other. For the next holder,
// the partitions that have the same holders so far, in any order, share a ring.
func (t *Table) fill(c *circle) bool {
	loads := make([]int32, len(t.members))
	ring := make([]uint16, t.params.Partitions)
	for level := range t.copies {
		for _, group := range t.groups(level) {
			without := t.Owners(group[0])[:level]
			// The last partition of the group is the last that matters: a
			// partition's place depends on those before it alone. But where
			// members hide each other there may be no room for a later one,
			// and a ring that cannot be completed is none.
			upTo := ring
			if !c.shared {
				upTo = ring[:group[len(group)-1]+1]
			}
			if !c.place(without, upTo, loads) {
				return false
			}
			for _, part := range group {
				t.owners[part*t.copies+level] = ring[part]
			}
		}
	}
	return true
}

// groups returns the partitions in ascending order, grouped by the set of their
// first level holders.
func (t *Table) groups(level int) [][]int {
	var groups [][]int
	index := make(map[string]int)
	set := make([]uint16, level)
	key := make([]byte, 0, 2*level)
	for part := range t.params.Partitions {
		copy(set, t.Owners(part))
		slices.Sort(set)
		key = key[:0]
		for _, m := range set {
			key = append(key, byte(m>>8), byte(m))
		}
		g, ok := index[string(key)]
		if !ok {
			g = len(groups)
			index[string(key)] = g
			groups = append(groups, nil)
		}
		groups[g] = append(groups[g], part)
	}
	return groups
}

// Params returns the parameters the table was built from, defaults filled in.
func (t *Table) Params() Params { return t.params }

// Members returns the members' names, sorted. The slice is shared: do not write
// to it.
func (t *Table) Members() []string { return t.members }

// Index returns the index of the member called name, and whether there is one.
func (t *Table) Index(name string) (int, bool) {
	i := sort.SearchStrings(t.members, name)
	return i, i < len(t.members) && t.members[i] == name
}

// Partitions returns the number of partitions.
func (t *Table) Partitions() int { return t.params.Partitions }

// Copies returns how many members hold each partition, the owner included:
// the smaller of the replicas asked for and the number of members.
func (t *Table) Copies() int { return t.copies }

// Partition returns the partition of key. It does not allocate.
func (t *Table) Partition(key string) int { return PartitionOf(key, t.params.Partitions) }

// Owners returns the holders of a partition, as indexes into [Table.Members]:
// the owner first, then the one that owns it when the owner is gone, and so on.
// There are [Table.Copies] of them, all different. The slice is shared: do not
// write to it. It is nil if there is no such partition. It does not allocate.
func (t *Table) Owners(partition int) []uint16 {
	if partition < 0 || partition >= t.params.Partitions {
		return nil
	}
	i := partition * t.copies
	return t.owners[i : i+t.copies : i+t.copies]
}

// Owner returns the owner of a partition, as an index into [Table.Members].
// Every partition of the table has one; -1 means that there is no such
// partition.
func (t *Table) Owner(partition int) int {
	if partition < 0 || partition >= t.params.Partitions {
		return -1
	}
	return int(t.owners[partition*t.copies])
}
