package protocol

import (
	"slices"
	"strings"

	"github.com/huddle-cache/huddle/ring"
	pb "github.com/huddle-cache/huddle/transport/peerpb"
)

// layout is a view, or a set of a view's history, with its ring: who holds what. Immutable.
type layout struct {
	view  *pb.View
	table *ring.Table
	ids   []uint64 // in the order of view.Members, which is the ring's
	index map[uint64]int
	self  int // this node's place among ids; -1: it is not a member

	adoptedAt int64 // when this node adopted it
}

func (l *layout) number() uint64 {
	if l == nil {
		return 0
	}
	return l.view.Number
}

func (l *layout) has(id uint64) bool {
	if l == nil {
		return false
	}
	_, ok := l.index[id]
	return ok
}

func (l *layout) isLeaving(id uint64) bool {
	if l == nil {
		return false
	}
	return lists(l.view.Leaving, id)
}

func (l *layout) owner(p int) uint64 { return l.ids[l.table.Owner(p)] }

// holds tells whether id holds partition p, and whether as its owner.
func (l *layout) holds(id uint64, p int) (holder, owner bool) {
	i, ok := l.index[id]
	if !ok {
		return false, false
	}
	return l.place(i, p)
}

// mine tells whether this node holds partition p, and whether as its owner.
func (l *layout) mine(p int) (holder, owner bool) { return l.place(l.self, p) }

func (l *layout) place(i, p int) (holder, owner bool) {
	k := slices.Index(l.table.Owners(p), uint16(i)) // -1 is no member's place: there are fewer than that
	return k >= 0, k == 0
}

// quorum is the number of members, of n, that must agree.
func quorum(n int) int { return n/2 + 1 }

// layoutCache keeps the last few rings: a ring is a function of the names alone. Making one takes 15 ms for three members
// and 50 ms for fifty, with three copies 20 and 700 (go test ./ring -run - -bench Build). So it is made beside the machine
// (Env.Build), and a view is adopted once its rings are there.
type layoutCache struct {
	replicas int
	params   ring.Params
	limit    int
	names    []string
	tables   []*ring.Table
}

// cachedRings is how many rings are kept at least.
const cachedRings = 32

func namesOf(members []*pb.Member) []string {
	names := make([]string, len(members))
	for i, m := range members {
		names[i] = m.Name
	}
	return names
}

func cacheKey(names []string) string { return strings.Join(names, "\x00") }

func (c *layoutCache) has(names []string) bool { return slices.Contains(c.names, cacheKey(names)) }

func (c *layoutCache) add(names []string, t *ring.Table) {
	for len(c.names) >= max(c.limit, cachedRings) {
		c.names, c.tables = c.names[1:], c.tables[1:]
	}
	c.names, c.tables = append(c.names, cacheKey(names)), append(c.tables, t)
}

func (c *layoutCache) table(members []*pb.Member) (*ring.Table, error) {
	names := namesOf(members)
	if i := slices.Index(c.names, cacheKey(names)); i >= 0 {
		return c.tables[i], nil
	}
	t, err := ring.Build(names, c.replicas, c.params)
	if err != nil {
		return nil, err
	}
	c.add(names, t)
	return t, nil
}

// layout makes the layout of a view, as the node self sees it.
func (c *layoutCache) layout(v *pb.View, self uint64) (*layout, error) {
	t, err := c.table(v.Members)
	if err != nil {
		return nil, err
	}
	l := &layout{view: v, table: t, ids: make([]uint64, len(v.Members)), index: make(map[uint64]int, len(v.Members))}
	for i, m := range v.Members {
		l.ids[i] = m.Id
		l.index[m.Id] = i
	}
	l.self = -1
	if i, ok := l.index[self]; ok {
		l.self = i
	}
	return l, nil
}

// lists tells whether the member with the id is among members.
func lists(members []*pb.Member, id uint64) bool {
	return slices.ContainsFunc(members, func(m *pb.Member) bool { return m.Id == id })
}

func sortMembers(ms []*pb.Member) {
	slices.SortFunc(ms, func(a, b *pb.Member) int { return strings.Compare(a.Name, b.Name) })
}

func insertSorted(s []uint64, x uint64) []uint64 {
	if i, ok := slices.BinarySearch(s, x); !ok {
		return slices.Insert(s, i, x)
	}
	return s
}

func removeSorted(s []uint64, x uint64) []uint64 {
	if i, ok := slices.BinarySearch(s, x); ok {
		return slices.Delete(s, i, i+1)
	}
	return s
}
