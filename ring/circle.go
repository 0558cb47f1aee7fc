package ring

import (
	"cmp"
	"encoding/binary"
	"slices"
	"sort"
	"strconv"

	"github.com/cespare/xxhash/v2"
)

// hasher is xxHash64 outside tests.
type hasher func([]byte) uint64

// point is a virtual node: a place on the circle and the member it stands for.
type point struct {
	hash   uint64
	member uint16
}

// circle holds the virtual nodes of all members in order, and where on it the
// search for each partition's owner begins. It never changes once made.
type circle struct {
	params  Params
	members int
	points  []point
	starts  []int32 // partition -> index into points
	shared  bool    // two members have a point at one place
}

// newCircle hashes and sorts the virtual nodes. members are sorted and distinct.
func newCircle(members []string, p Params, hash hasher) *circle {
	c := &circle{
		params:  p,
		members: len(members),
		points:  make([]point, 0, len(members)*p.VirtualNodes),
		starts:  make([]int32, p.Partitions),
	}
	var key []byte
	for m, name := range members {
		for v := range p.VirtualNodes {
			key = strconv.AppendInt(key[:0], int64(v), 10)
			key = append(key, ':')
			key = append(key, name...)
			c.points = append(c.points, point{hash(key), uint16(m)})
		}
	}
	// Of two members with a point at the same place the library keeps the one
	// added last. Here it comes first, and place skips those behind it.
	slices.SortFunc(c.points, func(a, b point) int {
		if a.hash != b.hash {
			return cmp.Compare(a.hash, b.hash)
		}
		return cmp.Compare(b.member, a.member)
	})
	for i := 1; i < len(c.points) && !c.shared; i++ {
		c.shared = c.points[i].hash == c.points[i-1].hash && c.points[i].member != c.points[i-1].member
	}
	var id [8]byte
	for part := range c.starts {
		binary.LittleEndian.PutUint64(id[:], uint64(part))
		h := hash(id[:])
		i := sort.Search(len(c.points), func(i int) bool { return c.points[i].hash >= h })
		if i == len(c.points) {
			i = 0
		}
		c.starts[part] = int32(i)
	}
	return c
}

// place writes the owners of the partitions 0 to len(owners)-1 among the
// members that are not in without, exactly as the library places them in a ring
// of those members alone. loads is scratch space of one number a member. It
// reports false if there is no room, which takes a hash under which a member
// has no point of its own.
func (c *circle) place(without []uint16, owners []uint16, loads []int32) bool {
	room := int32(min(c.params.capacity(c.members-len(without)), c.params.Partitions))
	clear(loads)
	for _, m := range without {
		loads[m] = room // walked past, like a full one
	}
	for part := range owners {
		m, ok := c.walk(int(c.starts[part]), without, loads, room)
		if !ok {
			return false
		}
		owners[part] = m
		loads[m]++
	}
	return true
}

// walk goes once round the circle from i on, to the first member with room.
func (c *circle) walk(i int, without []uint16, loads []int32, room int32) (uint16, bool) {
	points := c.points
	for range len(points) {
		pt := points[i]
		if loads[pt.member] < room && !c.hidden(i, without) {
			return pt.member, true
		}
		if i++; i == len(points) {
			i = 0
		}
	}
	return 0, false
}

// hidden reports whether a member that is not left out has a point before i at
// the same place, so that the library does not see the one at i. Unlike a full
// member, one left out hides nobody.
func (c *circle) hidden(i int, without []uint16) bool {
	for j := i - 1; j >= 0 && c.points[j].hash == c.points[i].hash; j-- {
		if !slices.Contains(without, c.points[j].member) { // if it is i's own, the two are one
			return true
		}
	}
	return false
}

// PartitionOf returns the partition of key among partitions, from 0 to
// partitions-1: the key's xxHash64 modulo partitions, as in the library. It is
// 0 if partitions is less than 2. It does not allocate.
func PartitionOf(key string, partitions int) int {
	if partitions < 2 {
		return 0
	}
	return int(xxhash.Sum64String(key) % uint64(partitions))
}
