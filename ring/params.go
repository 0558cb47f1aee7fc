package ring

import (
	"errors"
	"fmt"
	"math"
	"strconv"
)

// The defaults of [Params]. In samples of clusters of up to 50 members with random
// names, none that joined or left moved more than 1.3 times its ideal share of the
// partitions. That is a measurement, not a bound: TestMovement has the figures.
const (
	DefaultPartitions   = 8191
	DefaultVirtualNodes = 500
	DefaultLoad         = 1.25
)

// The bounds within which [Params.Validate] accepts parameters and [Build]
// accepts members. They keep a mistyped figure from taking all memory.
const (
	MaxPartitions   = 1 << 20
	MaxVirtualNodes = 1 << 12
	MaxLoad         = 1 << 10
	MaxMembers      = math.MaxUint16
)

// Errors of [Params.Validate], [Build] and [Diff], for use with errors.Is.
var (
	ErrParams     = errors.New("ring: bad parameters")
	ErrMembers    = errors.New("ring: bad members")
	ErrReplicas   = errors.New("ring: replicas must be at least 1")
	ErrPartitions = errors.New("ring: tables differ in their number of partitions")
)

// placement names the algorithm and its version. Two nodes whose placements
// differ must not share a cluster, for they would disagree on owners.
const placement = "consistent/1.0.0 xxhash"

// Params are the ring's parameters. They must be equal on all nodes of a
// cluster; [Params.String] is the text to compare. A zero field stands for its
// default.
type Params struct {
	// Partitions is the number of parts the keys are split into, and the unit in
	// which they move. More of them even out the members' shares and cost more to
	// build. A prime is a good choice.
	Partitions int

	// VirtualNodes is the number of points each member has on the circle. More of
	// them even out the shares and cost more to build.
	VirtualNodes int

	// Load bounds the partitions that one member owns among N members to
	// ceil(Partitions / N * Load). It is at least 1. Close to 1 the shares are
	// even, but a change of members moves more partitions than it has to.
	Load float64
}

// DefaultParams returns the defaults.
func DefaultParams() Params {
	return Params{Partitions: DefaultPartitions, VirtualNodes: DefaultVirtualNodes, Load: DefaultLoad}
}

// WithDefaults returns p with its zero fields replaced by the defaults.
func (p Params) WithDefaults() Params {
	d := DefaultParams()
	if p.Partitions != 0 {
		d.Partitions = p.Partitions
	}
	if p.VirtualNodes != 0 {
		d.VirtualNodes = p.VirtualNodes
	}
	if p.Load != 0 {
		d.Load = p.Load
	}
	return d
}

// Validate reports whether a ring can be built from p. Its error wraps
// [ErrParams] and names the field. Every p it accepts has room for all
// partitions, whatever the number of members: with Load of at least 1, N members
// may own N * ceil(Partitions / N * Load) partitions, which is never less than
// Partitions.
func (p Params) Validate() error {
	p = p.WithDefaults()
	if p.Partitions < 1 || p.Partitions > MaxPartitions {
		return fmt.Errorf("%w: Partitions is %d, want 1 to %d", ErrParams, p.Partitions, MaxPartitions)
	}
	if p.VirtualNodes < 1 || p.VirtualNodes > MaxVirtualNodes {
		return fmt.Errorf("%w: VirtualNodes is %d, want 1 to %d", ErrParams, p.VirtualNodes, MaxVirtualNodes)
	}
	if !(p.Load >= 1 && p.Load <= MaxLoad) { // written so that NaN fails
		return fmt.Errorf("%w: Load is %v, want 1 to %d", ErrParams, p.Load, MaxLoad)
	}
	return nil
}

// String returns the canonical text of p with its defaults filled in, led by
// the placement algorithm and its version:
//
//	consistent/1.0.0 xxhash p=8191 v=500 l=1.25
//
// Nodes may share a cluster only if their texts are equal.
func (p Params) String() string {
	p = p.WithDefaults()
	return placement +
		" p=" + strconv.Itoa(p.Partitions) +
		" v=" + strconv.Itoa(p.VirtualNodes) +
		" l=" + strconv.FormatFloat(p.Load, 'g', -1, 64)
}

// capacity returns how many partitions one of n members may own. It is the
// library's formula, operation by operation, because rounding matters.
func (p Params) capacity(n int) int {
	return int(math.Ceil(float64(p.Partitions) / float64(n) * p.Load))
}
