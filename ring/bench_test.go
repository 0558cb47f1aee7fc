package ring

import (
	"fmt"
	"slices"
	"testing"

	"github.com/cespare/xxhash/v2"
)

func BenchmarkLookUp(b *testing.B) {
	table := mustBuild(b, names(10, 1), 2, Params{})
	key := "5f0c1d9be2a44c8f9d3c7b1e0a6f4d2c5f0c1d9be2a44c8f9d3c7b1e0a6f4d2c"
	sink := 0
	b.ReportAllocs()
	for b.Loop() {
		sink += int(table.Owners(table.Partition(key))[0])
	}
	if sink < 0 {
		b.Fatal("an owner below 0")
	}
}

func BenchmarkBuild(b *testing.B) {
	for _, p := range []Params{DefaultParams(), {1021, 100, 1.25}} {
		for _, replicas := range []int{2, 3} {
			for _, n := range []int{3, 10, 20, 50, 100} {
				b.Run(fmt.Sprintf("p=%d/v=%d/replicas=%d/N=%d", p.Partitions, p.VirtualNodes, replicas, n), func(b *testing.B) {
					members := names(n, 1)
					b.ReportAllocs()
					for b.Loop() {
						mustBuild(b, members, replicas, p)
					}
				})
			}
		}
	}
}

// BenchmarkLibrary does what Build does for two copies with rings of the
// library: the ring of all members and one without each.
func BenchmarkLibrary(b *testing.B) {
	p := Params{1021, 100, 1.25}
	for _, n := range []int{3, 10, 20, 50, 100} {
		b.Run(fmt.Sprintf("p=%d/v=%d/replicas=2/N=%d", p.Partitions, p.VirtualNodes, n), func(b *testing.B) {
			members := slices.Sorted(slices.Values(names(n, 1)))
			b.ReportAllocs()
			for b.Loop() {
				if _, ok := library(members, p, xxhash.Sum64); !ok {
					b.Fatal("the library panics")
				}
				for i := range members {
					if _, ok := library(leaveOut(members, i), p, xxhash.Sum64); !ok {
						b.Fatal("the library panics")
					}
				}
			}
		})
	}
}

func BenchmarkDiff(b *testing.B) {
	members := names(10, 1)
	before, after := mustBuild(b, members, 2, Params{}), mustBuild(b, members[1:], 2, Params{})
	b.ReportAllocs()
	for b.Loop() {
		mustDiff(b, before, after)
	}
}
