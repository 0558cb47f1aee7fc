package chaos

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"github.com/huddle-cache/huddle/cmd/internal/cluster"
)

// Fault is something that is done to nodes.
type Fault string

// The faults.
const (
	Kill    Fault = "kill"    // SIGKILL, and a start some time later
	Pause   Fault = "pause"   // SIGSTOP, and SIGCONT some time later
	Restart Fault = "restart" // a graceful leave, and a start
	// Partition cuts the network between some nodes and the rest, in one direction or both. Clients still reach all of them.
	// It needs network namespaces; see cluster.CheckNamespaces.
	Partition Fault = "partition"
)

// Directions of a cut, as the nodes that are cut off see it.
const (
	both = iota
	outgoing
	incoming
)

// ParseFaults reads the names of faults.
func ParseFaults(names []string) ([]Fault, error) {
	var out []Fault
	for _, name := range names {
		switch f := Fault(strings.TrimSpace(name)); {
		case f == "":
		case f != Kill && f != Pause && f != Restart && f != Partition:
			return nil, fmt.Errorf("--faults %q is not known: there are kill, pause, restart and partition", name)
		case !slices.Contains(out, f):
			out = append(out, f)
		}
	}
	if len(out) == 0 {
		return nil, errors.New("--faults is empty: give some of kill, pause, restart and partition")
	}
	return out, nil
}

// step is one fault as it was planned. The plan depends on the seed alone, not on how fast the machine is.
type step struct {
	fault   Fault
	victims []int         // indices of nodes
	rest    time.Duration // quiet time before it
	hold    time.Duration // how long the victims stay down, paused or cut off
	cut     int           // direction of a partition
}

// planner draws steps from a seed.
type planner struct {
	rng     *rand.Rand
	faults  []Fault
	nodes   int
	atOnce  int // how many nodes may fail at once
	planned int
}

func newPlanner(seed uint64, faults []Fault, nodes, replicas int) *planner {
	atOnce := min(replicas-1, (nodes-1)/2)
	return &planner{rng: rand.New(rand.NewPCG(seed, 0x68756464)), faults: faults, nodes: nodes, atOnce: atOnce}
}

// next plans a step. Each fault comes in its turn, so that a short run has all of them.
func (p *planner) next() step {
	s := step{fault: p.faults[p.planned%len(p.faults)]}
	p.planned++
	between := func(from, to time.Duration) time.Duration {
		return from + time.Duration(p.rng.Int64N(int64(to-from)))
	}
	s.rest = between(500*time.Millisecond, 2*time.Second)
	victims := 1
	switch s.fault {
	case Kill:
		victims = 1 + p.rng.IntN(p.atOnce)
		s.hold = between(200*time.Millisecond, 5*time.Second)
	case Pause, Partition:
		victims = 1 + p.rng.IntN(p.atOnce)
		s.cut = p.rng.IntN(3)
		s.hold = between(200*time.Millisecond, 1500*time.Millisecond)
		if p.rng.IntN(2) == 0 {
			s.hold = between(3*time.Second, 7*time.Second) // long enough to be expelled
		}
	case Restart:
		s.hold = between(0, time.Second)
	}
	s.victims = p.rng.Perm(p.nodes)[:victims]
	slices.Sort(s.victims)
	return s
}

// names lists the victims of s.
func (s step) names(nodes []*cluster.Node) string {
	var out []string
	for _, i := range s.victims {
		out = append(out, nodes[i].Name)
	}
	return strings.Join(out, " and ")
}

// tell says what s will do.
func (s step) tell(nodes []*cluster.Node) string {
	verb := map[Fault]string{Kill: "kill -9", Pause: "pause", Restart: "restart", Partition: "cut off"}[s.fault]
	if s.fault == Partition {
		verb += []string{" (both ways)", " (nothing gets out)", " (nothing gets in)"}[s.cut]
	}
	return fmt.Sprintf("%s %s for %v", verb, s.names(nodes), s.hold.Round(time.Millisecond))
}

// leaveWithin bounds a graceful leave. It is longer than --leave-timeout.
const leaveWithin = 30 * time.Second

// do carries s out. When it returns the victims have been started or resumed, but need not be ready. It is not cut short by
// the end of ctx, only hurried: no node is left down or paused.
func (s step) do(ctx context.Context, c *cluster.Cluster) error {
	nodes := c.Nodes()
	var errs []error
	for _, i := range s.victims {
		switch n := nodes[i]; s.fault {
		case Kill:
			n.Kill()
		case Pause:
			errs = append(errs, n.Pause())
		case Restart:
			leave, cancel := context.WithTimeout(context.WithoutCancel(ctx), leaveWithin)
			if err := n.Leave(leave); err != nil {
				errs = append(errs, err)
				n.Kill()
			}
			cancel()
		case Partition:
			errs = append(errs, s.eachLink(len(nodes), i, c.Cut))
		}
	}
	select {
	case <-ctx.Done():
	case <-time.After(s.hold):
	}
	for _, i := range s.victims {
		switch s.fault {
		case Pause:
			nodes[i].Resume()
		case Partition:
			errs = append(errs, s.eachLink(len(nodes), i, c.Mend))
		default:
			errs = append(errs, nodes[i].Start())
		}
	}
	return errors.Join(errs...)
}

// eachLink calls do for every link, as from and to, that the partition cuts between victim i and those that are none.
func (s step) eachLink(nodes, i int, do func(from, to int) error) error {
	var errs []error
	for j := range nodes {
		if slices.Contains(s.victims, j) {
			continue
		}
		if s.cut != incoming {
			errs = append(errs, do(i, j))
		}
		if s.cut != outgoing {
			errs = append(errs, do(j, i))
		}
	}
	return errors.Join(errs...)
}
