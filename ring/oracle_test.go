package ring

import (
	"flag"
	"fmt"
	"slices"
	"testing"

	"github.com/buraksezer/consistent"
	"github.com/cespare/xxhash/v2"
	"pgregory.net/rapid"
)

var oracleDefaults = flag.Bool("oracle", false,
	"TestPlacementIsTheLibrarys compares with the library at the default parameters for all N from 1 to 64 (many minutes: raise -timeout), not for a few")

type libMember string

func (m libMember) String() string { return string(m) }

type libHasher hasher

func (h libHasher) Sum64(b []byte) uint64 { return h(b) }

// library asks the library for the ring of exactly these members and returns
// the owner of each partition. It reports false if the library panics.
func library(members []string, p Params, hash hasher) (owners []string, ok bool) {
	defer func() {
		if recover() != nil {
			owners, ok = nil, false
		}
	}()
	list := make([]consistent.Member, 0, len(members))
	for _, m := range members {
		list = append(list, libMember(m))
	}
	c := consistent.New(list, consistent.Config{
		Hasher: libHasher(hash), PartitionCount: p.Partitions, ReplicationFactor: p.VirtualNodes, Load: p.Load,
	})
	for part := range p.Partitions {
		owners = append(owners, c.GetPartitionOwner(part).String())
	}
	return owners, true
}

// oracle is what Build promises, word for word: the next holder of a partition
// is the owner that the library gives it in a ring without the holders so far.
// Rings are kept by their members, in sorted order.
type oracle struct {
	p     Params
	hash  hasher
	rings map[string][]string
}

func newOracle(p Params, hash hasher) *oracle {
	return &oracle{p: p, hash: hash, rings: make(map[string][]string)}
}

func (o *oracle) holders(members []string, replicas, part int) ([]string, bool) {
	left := slices.Sorted(slices.Values(members))
	var out []string
	for len(out) < replicas && len(left) > 0 {
		key := fmt.Sprintf("%q", left)
		ring, seen := o.rings[key]
		if !seen {
			ring, _ = library(left, o.p, o.hash)
			o.rings[key] = ring
		}
		if ring == nil {
			return nil, false
		}
		out = append(out, ring[part])
		left = slices.DeleteFunc(slices.Clone(left), func(m string) bool { return m == ring[part] })
	}
	return out, true
}

// check compares a table with the oracle, partition by partition.
func (o *oracle) check(t rapid.TB, table *Table, replicas int) {
	t.Helper()
	for part := range o.p.Partitions {
		want, ok := o.holders(table.Members(), replicas, part)
		if !ok {
			t.Fatalf("the library panics where Build succeeds: %q, %v", table.Members(), o.p)
		}
		if got := table.names(part); !slices.Equal(got, want) {
			t.Fatalf("partition %d of %v: %q, want %q", part, o.p, got, want)
		}
		if got := table.Members()[table.Owner(part)]; got != want[0] {
			t.Fatalf("Owner(%d) is %q, want %q", part, got, want[0])
		}
	}
}

func TestPlacementIsTheLibrarys(t *testing.T) {
	small := Params{Partitions: 61, VirtualNodes: 3, Load: 1.25}
	for n := 1; n <= 64; n++ {
		table := mustBuild(t, names(n, uint64(n)), 2, small)
		newOracle(small, xxhash.Sum64).check(t, table, 2)
	}
	sizes := []int{1, 2, 3, 4}
	if *oracleDefaults {
		sizes = sizes[:0]
		for n := 1; n <= 64; n++ {
			sizes = append(sizes, n)
		}
	}
	for _, n := range sizes {
		p := DefaultParams()
		table := mustBuild(t, names(n, uint64(n)), 2, p)
		newOracle(p, xxhash.Sum64).check(t, table, 2)
	}
}

func genMembers(most int) *rapid.Generator[[]string] {
	name := rapid.OneOf(
		rapid.StringN(1, 8, -1),
		rapid.StringMatching(`[0-9]{1,2}:?[a-c]{0,2}`),
		rapid.Map(rapid.IntRange(0, 999), func(i int) string { return fmt.Sprintf("node-%d", i) }),
	)
	return rapid.SliceOfNDistinct(name, 1, most, rapid.ID[string])
}

func genParams(parts, virtual int) *rapid.Generator[Params] {
	return rapid.Custom(func(t *rapid.T) Params {
		return Params{
			Partitions:   rapid.IntRange(1, parts).Draw(t, "partitions"),
			VirtualNodes: rapid.IntRange(1, virtual).Draw(t, "virtual nodes"),
			Load:         rapid.OneOf(rapid.Just(1.0), rapid.Float64Range(1, 2), rapid.Float64Range(1, MaxLoad)).Draw(t, "load"),
		}
	})
}

func TestBuildAgreesWithOracle(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		members := genMembers(16).Draw(t, "members")
		replicas := rapid.IntRange(1, 5).Draw(t, "replicas")
		p := genParams(60, 6).Draw(t, "params")
		given := slices.Clone(members)

		table, err := Build(members, replicas, p)
		if err != nil {
			t.Fatalf("Build: %v", err)
		}
		newOracle(p, xxhash.Sum64).check(t, table, replicas)
		if !slices.Equal(members, given) {
			t.Fatal("Build changed the caller's slice")
		}

		shuffled := rapid.Permutation(members).Draw(t, "order")
		again, err := Build(shuffled, replicas, p)
		if err != nil {
			t.Fatalf("Build in another order: %v", err)
		}
		if !slices.Equal(again.Members(), table.Members()) || !slices.Equal(again.owners, table.owners) {
			t.Fatal("the order of members matters")
		}
	})
}

// With a hash of a few bits, virtual nodes of several members meet at one
// place, and some members end up with none.
func TestBuildAgreesWithOracleWhenHashesCollide(t *testing.T) {
	full, built := 0, 0
	rapid.Check(t, func(t *rapid.T) {
		members := genMembers(8).Draw(t, "members")
		replicas := rapid.IntRange(1, 4).Draw(t, "replicas")
		p := genParams(40, 8).Draw(t, "params")
		bits := rapid.IntRange(0, 8).Draw(t, "bits of hash")
		hash := func(b []byte) uint64 { return xxhash.Sum64(b) & (1<<bits - 1) }

		o := newOracle(p, hash)
		table, err := build(members, replicas, p, hash)
		if err == nil {
			built++
			o.check(t, table, replicas)
			return
		}
		full++
		for part := range p.Partitions {
			if _, ok := o.holders(members, replicas, part); !ok {
				return
			}
		}
		t.Fatalf("Build fails where the library succeeds: %v", err)
	})
	if full == 0 || built == 0 {
		t.Fatalf("%d rings without room and %d with: the test wants both", full, built)
	}
}

func TestPartitionOfAgreesWithLibrary(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		key := rapid.String().Draw(t, "key")
		n := rapid.IntRange(1, 5000).Draw(t, "partitions")
		c := consistent.New(nil, consistent.Config{Hasher: libHasher(xxhash.Sum64), PartitionCount: n})
		if got, want := PartitionOf(key, n), c.FindPartitionID([]byte(key)); got != want {
			t.Fatalf("PartitionOf(%q, %d) is %d, want %d", key, n, got, want)
		}
	})
}
