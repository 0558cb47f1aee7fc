package ring

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/cespare/xxhash/v2"
)

func FuzzPartitionOf(f *testing.F) {
	f.Add("", 1)
	f.Add("token", DefaultPartitions)
	f.Add("\x00\xff", -7)
	f.Fuzz(func(t *testing.T, key string, partitions int) {
		got := PartitionOf(key, partitions)
		if got < 0 || got >= max(partitions, 1) {
			t.Fatalf("partition %d of %d", got, partitions)
		}
		if partitions > 0 && uint64(got) != xxhash.Sum64([]byte(key))%uint64(partitions) {
			t.Fatalf("partition %d of %d is not the hash's remainder", got, partitions)
		}
	})
}

// FuzzBuild takes the members' names as lines.
func FuzzBuild(f *testing.F) {
	f.Add("a\nb\nc", 2, 17, 3, 1.25)
	f.Add("a\na", 2, 17, 3, 1.25)
	f.Add("", 0, 0, 0, 0.0)
	f.Add("1:\n:1\n11:", 9, 1, 1, 1.0)
	f.Fuzz(func(t *testing.T, lines string, replicas, partitions, virtual int, load float64) {
		members := strings.Split(lines, "\n")
		if len(members) > 32 || partitions > 200 || virtual > 20 {
			return // only to keep the fuzzer fast
		}
		p := Params{partitions, virtual, load}
		table, err := Build(members, replicas, p)

		distinct := slices.Compact(slices.Sorted(slices.Values(members)))
		switch {
		case p.Validate() != nil:
			if !errors.Is(err, ErrParams) {
				t.Fatalf("%v gives %v", p, err)
			}
		case replicas < 1:
			if !errors.Is(err, ErrReplicas) {
				t.Fatalf("%d replicas give %v", replicas, err)
			}
		case distinct[0] == "" || len(distinct) != len(members):
			if !errors.Is(err, ErrMembers) {
				t.Fatalf("%q give %v", members, err)
			}
		case err != nil:
			t.Fatalf("Build of %q, %v: %v", members, p, err)
		default:
			checkTable(t, table, len(members), replicas, p)
		}
	})
}
