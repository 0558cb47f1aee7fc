package ring

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/cespare/xxhash/v2"
	"pgregory.net/rapid"
)

// checkTable holds a table to what every table must satisfy.
func checkTable(t rapid.TB, table *Table, n, replicas int, p Params) {
	t.Helper()
	p = p.WithDefaults()
	if table.Partitions() != p.Partitions || len(table.Members()) != n || table.Copies() != min(replicas, n) {
		t.Fatalf("table of %d partitions, %d members, %d copies; want %d, %d, %d", table.Partitions(),
			len(table.Members()), table.Copies(), p.Partitions, n, min(replicas, n))
	}
	owned := make([]int, n)
	for part := range p.Partitions {
		holders := table.Owners(part)
		if len(holders) != table.Copies() || cap(holders) != len(holders) {
			t.Fatalf("partition %d has %d holders (capacity %d), want %d", part, len(holders), cap(holders), table.Copies())
		}
		for i, m := range holders {
			if int(m) >= n || slices.Contains(holders[:i], m) {
				t.Fatalf("partition %d has holders %v among %d members", part, holders, n)
			}
		}
		if table.Owner(part) != int(holders[0]) {
			t.Fatalf("partition %d: Owner is %d, Owners %v", part, table.Owner(part), holders)
		}
		owned[holders[0]]++
	}
	if most := slices.Max(owned); most > p.capacity(n) {
		t.Fatalf("a member owns %d partitions, more than %d", most, p.capacity(n))
	}
}

func TestBuildHasRoomForAnyMembers(t *testing.T) {
	for n := 1; n <= 200; n++ {
		for _, p := range []Params{
			{1, 1, 1},
			{2, 1, 1},
			{n, 1, 1},
			{n + 1, 1, 1},
			{3 * n, 2, 1},
			{271, 3, 1},
			{271, 3, 1.25},
			{97, 5, math.Nextafter(1, 2)},
			{97, 1, MaxLoad},
		} {
			checkTable(t, mustBuild(t, names(n, 7), 2, p), n, 2, p)
		}
	}
	for _, n := range []int{1, 2, 3, 20} {
		checkTable(t, mustBuild(t, names(n, 8), 3, Params{}), n, 3, Params{})
	}
}

func TestBuildAnyValidParams(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		members := genMembers(64).Draw(t, "members")
		replicas := rapid.OneOf(rapid.IntRange(1, 70), rapid.Just(math.MaxInt)).Draw(t, "replicas")
		p := genParams(50, 5).Draw(t, "params")
		table, err := Build(members, replicas, p)
		if err != nil {
			t.Fatalf("Build: %v", err)
		}
		checkTable(t, table, len(members), replicas, p)
	})
}

// checkPromotion takes out each member in turn: the partitions it owned must
// pass to the holder that came after it.
func checkPromotion(t rapid.TB, members []string, replicas int, p Params) {
	t.Helper()
	whole, err := Build(members, replicas, p)
	if err != nil {
		t.Fatalf("Build: %v", err)
	}
	for i, x := range whole.Members() {
		left, err := Build(leaveOut(whole.Members(), i), replicas, p)
		if err != nil {
			t.Fatalf("Build without one: %v", err)
		}
		for part := range whole.Partitions() {
			holders := whole.names(part)
			if holders[0] != x {
				continue
			}
			after := left.names(part)
			if same := len(holders) - 1; !slices.Equal(after[:same], holders[1:]) {
				t.Fatalf("partition %d was held by %q; without the owner by %q", part, holders, after)
			}
		}
	}
}

func TestPromotedHolder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		members := genMembers(12).Filter(func(m []string) bool { return len(m) > 1 }).Draw(t, "members")
		checkPromotion(t, members, rapid.IntRange(2, 4).Draw(t, "replicas"), genParams(60, 6).Draw(t, "params"))
	})
	for n := 2; n <= 64; n += 6 {
		checkPromotion(t, names(n, 3), 2, Params{Partitions: 271, VirtualNodes: 20})
	}
	for _, n := range []int{2, 3, 5} {
		checkPromotion(t, names(n, 4), 3, Params{})
	}
	checkPromotion(t, names(300, 3), 2, Params{Partitions: 601, VirtualNodes: 2, Load: 1.25}) // more than a byte counts
}

func TestBuildErrors(t *testing.T) {
	for _, c := range []struct {
		name     string
		members  []string
		replicas int
		p        Params
		want     error
		text     string
	}{
		{"no members", nil, 2, Params{}, ErrMembers, "0 of them"},
		{"too many members", make([]string, MaxMembers+1), 2, Params{}, ErrMembers, "65536 of them"},
		{"empty name", []string{"a", ""}, 2, Params{}, ErrMembers, "empty name"},
		{"same name twice", []string{"b", "a", "b"}, 2, Params{}, ErrMembers, `"b" is there twice`},
		{"no replicas", []string{"a"}, 0, Params{}, ErrReplicas, "not 0"},
		{"negative replicas", []string{"a"}, -3, Params{}, ErrReplicas, "not -3"},
		{"negative partitions", []string{"a"}, 1, Params{Partitions: -1}, ErrParams, "Partitions is -1"},
		{"too many partitions", []string{"a"}, 1, Params{Partitions: MaxPartitions + 1}, ErrParams, "Partitions"},
		{"negative virtual nodes", []string{"a"}, 1, Params{VirtualNodes: -1}, ErrParams, "VirtualNodes is -1"},
		{"too many virtual nodes", []string{"a"}, 1, Params{VirtualNodes: MaxVirtualNodes + 1}, ErrParams, "VirtualNodes"},
		{"load below 1", []string{"a"}, 1, Params{Load: 0.99}, ErrParams, "Load is 0.99"},
		{"negative load", []string{"a"}, 1, Params{Load: -1}, ErrParams, "Load is -1"},
		{"load not a number", []string{"a"}, 1, Params{Load: math.NaN()}, ErrParams, "Load is NaN"},
		{"infinite load", []string{"a"}, 1, Params{Load: math.Inf(1)}, ErrParams, "Load is +Inf"},
	} {
		t.Run(c.name, func(t *testing.T) {
			table, err := Build(c.members, c.replicas, c.p)
			if table != nil || !errors.Is(err, c.want) || !strings.Contains(err.Error(), c.text) {
				t.Errorf("Build returned %v, %v; want an error like %q with %q", table, err, c.want, c.text)
			}
		})
	}
}

func TestParams(t *testing.T) {
	if got := (Params{}).WithDefaults(); got != DefaultParams() {
		t.Errorf("defaults of nothing are %+v", got)
	}
	full := Params{Partitions: 7, VirtualNodes: 8, Load: 1.5}
	if got := full.WithDefaults(); got != full {
		t.Errorf("WithDefaults changed %+v to %+v", full, got)
	}
	for _, p := range []Params{{}, full, {1, 1, 1}, {MaxPartitions, MaxVirtualNodes, MaxLoad}} {
		if err := p.Validate(); err != nil {
			t.Errorf("%v: %v", p, err)
		}
	}
	for p, want := range map[Params]string{
		{}:                  "consistent/1.0.0 xxhash p=8191 v=500 l=1.25",
		{1021, 100, 2}:      "consistent/1.0.0 xxhash p=1021 v=100 l=2",
		{Load: 1.000000001}: "consistent/1.0.0 xxhash p=8191 v=500 l=1.000000001",
	} {
		if got := p.String(); got != want {
			t.Errorf("String is %q, want %q", got, want)
		}
	}
}

// The handshake names a version of the library and promises its placement. This
// test and the next fail when either changes: then change the placement's name.
func TestPlacementNamesTheLibrarysVersion(t *testing.T) {
	mod, err := os.ReadFile("../go.mod")
	if err != nil {
		t.Fatal(err)
	}
	lib, version, _ := strings.Cut(strings.Fields(placement)[0], "/")
	if want := "github.com/buraksezer/" + lib + " v" + version; !strings.Contains(string(mod), want) {
		t.Errorf("go.mod does not require %q, which Params.String names", want)
	}
}

func TestPlacementStaysAsItIs(t *testing.T) {
	p := Params{1021, 100, 1.25}
	table := mustBuild(t, []string{"alpha", "beta", "gamma", "delta", "epsilon"}, 3, p)
	newOracle(p, xxhash.Sum64).check(t, table, 3)
	sum := sha256.New()
	if err := binary.Write(sum, binary.BigEndian, table.owners); err != nil {
		t.Fatal(err)
	}
	const want = "5547b864d78e9b8911d7ed5f308c9b7819903801879bbd46bdfa944d58beea7a"
	if got := fmt.Sprintf("%x", sum.Sum(nil)); got != want {
		t.Errorf("the owners' digest is %s, want %s", got, want)
	}
}

func TestOutOfRange(t *testing.T) {
	table := mustBuild(t, []string{"a", "b"}, 2, Params{Partitions: 10})
	for _, part := range []int{-1, 10, math.MaxInt, math.MinInt} {
		if table.Owners(part) != nil || table.Owner(part) != -1 {
			t.Errorf("partition %d has owners %v, owner %d", part, table.Owners(part), table.Owner(part))
		}
	}
	for _, n := range []int{math.MinInt, -1, 0, 1} {
		if got := PartitionOf("key", n); got != 0 {
			t.Errorf("PartitionOf with %d partitions is %d", n, got)
		}
	}
}

func TestIndex(t *testing.T) {
	table := mustBuild(t, []string{"c", "a", "b"}, 2, Params{Partitions: 10})
	for want, name := range []string{"a", "b", "c"} {
		if i, ok := table.Index(name); !ok || i != want {
			t.Errorf("Index(%q) is %d, %v", name, i, ok)
		}
	}
	for _, name := range []string{"", "aa", "d"} {
		if _, ok := table.Index(name); ok {
			t.Errorf("Index finds %q", name)
		}
	}
	if got := table.Params(); got != (Params{10, DefaultVirtualNodes, DefaultLoad}) {
		t.Errorf("Params is %v", got)
	}
}

func TestLookUpDoesNotAllocate(t *testing.T) {
	table := mustBuild(t, names(5, 1), 2, Params{})
	key := strings.Repeat("session-token-", 8)
	sink := 0
	if n := testing.AllocsPerRun(1000, func() {
		part := table.Partition(key)
		sink += int(table.Owners(part)[1]) + table.Owner(part) + PartitionOf(key, 271) + len(table.Members())
	}); n != 0 {
		t.Errorf("a look-up allocates %v times", n)
	}
}

func TestConcurrentUse(t *testing.T) {
	members := names(9, 5)
	want := mustBuild(t, members, 3, Params{Partitions: 271})
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			got, err := Build(members, 3, Params{Partitions: 271})
			if err != nil {
				t.Errorf("Build: %v", err)
				return
			}
			d, err := Diff(want, got)
			if err != nil || len(d.Changes) != 0 {
				t.Errorf("two builds differ: %v, %v", d, err)
			}
		})
	}
	wg.Wait()
}
