package ring

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
)

var movementTable = flag.Bool("movement", false,
	"TestMovement measures every combination of parameters, not the defaults alone, for 20 sets of names each (several minutes: raise -timeout)")

var movementSeed = flag.Uint64("movement-seed", 0, "TestMovement takes the sets of names from this seed on")

// movement is what one change of members moves, as a multiple of the ideal: the
// partitions a member would own if all owned the same. One that joins or leaves
// a group of N (itself included) ideally moves 1/N of the partitions.
type movement struct {
	removeMax, removeMean float64
	addMax, addMean       float64
	strayMean             float64 // part of removeMean that the leaver did not own
	balanceMax            float64 // partitions of the busiest owner, over the mean
}

// names returns n member names as a cluster has them, a name with a random
// incarnation, the same for the same seed.
func names(n int, seed uint64) []string {
	rnd := rand.New(rand.NewPCG(seed, 0x68756464))
	out := make([]string, n)
	for i := range out {
		out[i] = fmt.Sprintf("shop-%d/%016x", i, rnd.Uint64())
	}
	return out
}

func mustBuild(t testing.TB, members []string, replicas int, p Params) *Table {
	t.Helper()
	table, err := Build(members, replicas, p)
	if err != nil {
		t.Fatalf("Build of %d members, %d replicas, %v: %v", len(members), replicas, p, err)
	}
	return table
}

func mustDiff(t testing.TB, a, b *Table) Delta {
	t.Helper()
	d, err := Diff(a, b)
	if err != nil {
		t.Fatalf("Diff: %v", err)
	}
	return d
}

// leaveOut returns a copy of members without the one at i.
func leaveOut(members []string, i int) []string {
	return append(append([]string(nil), members[:i]...), members[i+1:]...)
}

// measure removes each of n members in turn, and adds each of min(n, 16) new
// ones in turn, for each of several sets of names.
func measure(t testing.TB, n, sets int, p Params) movement {
	var m movement
	removed, added := 0, 0
	for set := range sets {
		all := names(n+min(n, 16), uint64(set)+*movementSeed)
		members, joiners := all[:n], all[n:]
		whole := mustBuild(t, members, 1, p)

		owned := make([]int, n)
		for part := range whole.Partitions() {
			owned[whole.Owner(part)]++
		}
		mean := float64(whole.Partitions()) / float64(n)
		for _, o := range owned {
			m.balanceMax = max(m.balanceMax, float64(o)/mean)
		}

		for i, leaver := range members {
			moved := float64(mustDiff(t, whole, mustBuild(t, leaveOut(members, i), 1, p)).Moved())
			own, _ := whole.Index(leaver)
			m.removeMax = max(m.removeMax, moved/mean)
			m.removeMean += moved / mean
			m.strayMean += (moved - float64(owned[own])) / mean
			removed++
		}
		ideal := float64(whole.Partitions()) / float64(n+1)
		for _, joiner := range joiners {
			more := append(append([]string(nil), members...), joiner)
			moved := float64(mustDiff(t, whole, mustBuild(t, more, 1, p)).Moved())
			m.addMax = max(m.addMax, moved/ideal)
			m.addMean += moved / ideal
			added++
		}
	}
	m.removeMean /= float64(removed)
	m.strayMean /= float64(removed)
	m.addMean /= float64(added)
	return m
}

const movementHead = "| N | partitions | virtual nodes | load | remove max | remove mean | of it stray | add max | add mean | busiest owner |\n" +
	"|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|\n"

func (m movement) row(n int, p Params) string {
	return fmt.Sprintf("| %d | %d | %d | %.2f | %.2f | %.2f | %.2f | %.2f | %.2f | %.2f |\n", n, p.Partitions, p.VirtualNodes, p.Load,
		m.removeMax, m.removeMean, m.strayMean, m.addMax, m.addMean, m.balanceMax)
}

// TestMovement holds the default parameters to this: in a sample of clusters, a
// member that joins or leaves moves at most 1.3 times the ideal share. The largest
// figure of a sample grows with the sample, so that a few sets of names prove
// little at N = 50; -movement takes more, and measures other parameters beside the
// defaults, which are held to nothing.
func TestMovement(t *testing.T) {
	const limit = 1.3
	params, setsFor := []Params{DefaultParams()}, func(n int) int { return max(1, 10/n) }
	if *movementTable {
		params, setsFor = movementParams(), func(int) int { return 20 }
	}
	var b strings.Builder
	b.WriteString(movementHead)
	for _, n := range []int{3, 5, 10, 50} {
		for _, p := range params {
			m := measure(t, n, setsFor(n), p)
			b.WriteString(m.row(n, p))
			if p == DefaultParams() && (m.removeMax > limit || m.addMax > limit) {
				t.Errorf("%d members: one that leaves moves %.3f, one that joins %.3f times the ideal share, want at most %.2f",
					n, m.removeMax, m.addMax, limit)
			}
		}
	}
	t.Logf("\n%s", b.String())
	if !*movementTable {
		t.Log("these are the DEFAULTS ALONE, for few sets of names; the whole table: go test ./ring -run TestMovement -v -movement -timeout 30m")
	}
}

// movementParams returns what the table is made of: the defaults among them.
func movementParams() []Params {
	var out []Params
	for _, parts := range []int{271, 1021, 4093, 8191} {
		for _, virtual := range []int{20, 100, 200, 500} {
			for _, load := range []float64{1.1, 1.25, 1.5} {
				out = append(out, Params{parts, virtual, load})
			}
		}
	}
	return out
}
