package protocol

import (
	"slices"
	"strings"
	"time"

	"github.com/huddle-cache/huddle/node/store"
)

// A save is a write on condition that the entry is there: what it stores was made of what was there. A cut has a version above the clocks that the
// members told in its round one; a save that its owner makes after that, and before round two, has a higher one, and the condition holds still. So a
// cut judges a save by the age of what it replaces, as it does a touch (rule 10), or else a session that is saved just then would outlive RevokeUser. A ticket is
// such a condition where the entry is there, and does not make the save younger: it may have been given between the two rounds.
//
// What is stored under another key than that of what it was made of, as by RENAME, is as old as that in the same way: the write tells the age. What was cut
// already at this owner, though not yet where it was read, is refused.
//
// How old it may be is bounded: what was told to a cut that is confirmed is no older than keepClock. Members are not waited for that long within one view, and
// a cut starts over in the next; where it takes longer all the same, as that of a guest does which cannot reach one of them, or one during which all
// machines slept, it starts over, too. So an entry that is saved again and again is of a recent age to the cuts that are remembered.
//
// Nor is either older than the view. A cut that is confirmed in this view has a version of it, and one that was confirmed in an earlier one has ended what it
// was to at all who could be asked for it. Others were left half done, so that some copies refuse what the owner takes; and one of a tag that is new there may
// not have come yet to who is new in this view.
//
// A tag that is new there, as of the user who has just logged in, is for the cuts after this write: it makes the value younger than the latest cut of
// that tag. That one may be later than round one of another cut that is under way, and whose version is then below the age: who gave that age has
// such a cut begin anew. Not one of a tag that the value has not: or a user who is ended from afar would be ended anew for as long as others log in.
// Nor are such ages given for a lease after that: such saves wait, and the cut comes round.

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
