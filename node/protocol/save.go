package protocol

import (
	"slices"
	"strings"
	"time"

	"github.com/huddle-cache/huddle/node/store"
)

// A save is a write on condition that the entry is there (IfPresent, IfVersion, or a ticket that was given with the entry): what it stores was made of
// what was there. So that it carries no session past a cut, a cut judges it by the age of what it replaces, as it does a touch (rule 10). Its version
// would not do. The owner may make it between the two rounds of a cut, when it has told its clock and does not know of the cut yet: its version is then
// above the cut's, and its condition still holds. Nor does a ticket make it younger, for that may have been given between the two rounds as well.
//
// What is stored under another key than that of what it was made of, as by RENAME, is as old as that: the write tells the age. It is refused where this
// owner knows already of a cut of that age, though the node that read the entry did not yet.
//
// An entry that is saved again and again would keep its age for ever. So the age is raised, and there are two bounds that it need not be below:
//
//   - What this node's clock was keepClock ago. No clock that is older was told to a cut that is still to be confirmed: members are not waited for that
//     long within one view, and a cut starts over in the next. Where it takes longer all the same, as that of a guest that cannot reach one of the members,
//     or one during which all machines slept, it starts over, too.
//   - The view. A cut that is confirmed in this view has a version of it, and one that was confirmed in an earlier view has ended what it was to at all
//     who could be asked for it. Others were left half done: copies that know of such a cut would refuse what the owner, which does not, has taken. And one
//     of a tag that is new to the entry may not have come yet to a node that is new in this view.
//
// A tag that is new to the entry, as that of the user who has just logged in, is for the cuts after this write: it makes the value younger than the latest
// cut of that tag. So the age may be above the version of another cut that is between its rounds just now, and the node that gave the age has such a
// cut begin anew; but only a cut of one of the tags of the value, or of everything. Else a RevokeUser from afar would begin anew for as long as other
// users log in. And for a lease after that no such age is given: those saves wait, so that the cut gets through.

// keepClock is for how long a clock that this node has had counts as one that a cut under way may have been told.
func (m *Machine) keepClock() int64 { return max(int64(time.Minute), 8*m.cfg.ExpelAfter) }

// pastClock is a clock of this node, and when it had that.
type pastClock struct {
	at    int64
	clock uint64
}

// settledClock is a clock that this node had, keepClock ago or longer.
func (m *Machine) settledClock(now int64) uint64 {
	if now-m.past[1].at >= m.keepClock() {
		m.past[0], m.past[1] = m.past[1], pastClock{now, m.clock}
	}
	return m.past[0].clock
}

// recentAge is an age, or one that all cuts that are still to end what is of that age are above.
func (m *Machine) recentAge(age uint64, now int64) uint64 {
	if age = max(age, m.settledClock(now)); m.is("save-of-old-views") {
		return age
	}
	return max(age, m.lay.number()<<viewShift)
}

// savedAge is the age of what takes the place of cur and has these tags; 0: as old as its version. Not ok: it cannot be given now.
func (m *Machine) savedAge(cur *store.Entry, tags []string, now int64) (_ uint64, ok bool) {
	age := m.recentAge(cur.Age(), now)
	old := age
	for _, tag := range tags {
		switch {
		case slices.Contains(cur.Tags, tag):
		case m.is("new-tag-is-new"):
			return 0, true
		case !m.is("new-tag-is-old"):
			if latest := m.store.LatestCut(tag); latest >= age {
				age = latest + 1
			}
		}
	}
	if age > old {
		if now < m.spared.nothing {
			return 0, false
		}
		m.spared.note(age, tags)
	}
	return age, true
}

// spared are the highest ages that were given for the sake of a new tag.
type spared struct {
	any  uint64            // of all,
	most uint64            // of those that are not kept by tag any more,
	tags map[string]uint64 // and of the others by each tag of the value

	nothing int64 // until when none is given
}

// mostSpared bounds the tags of which that is known: more cuts begin anew where it is not.
const mostSpared = 1 << 10

func (s *spared) note(age uint64, tags []string) {
	if len(s.tags) > mostSpared {
		s.most, s.tags = s.any, nil
	}
	if s.tags == nil {
		s.tags = map[string]uint64{}
	}
	s.any = max(s.any, age)
	for _, tag := range tags {
		s.tags[strings.Clone(tag)] = max(s.tags[tag], age)
	}
}

// of is the highest age that may have been given to what a cut of a tag is to end; without one, of everything.
func (s *spared) of(tag string) uint64 {
	if tag == "" {
		return s.any
	}
	return max(s.most, s.tags[tag])
}
