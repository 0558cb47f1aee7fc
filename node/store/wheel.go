package store

// wheel is a hierarchical timing wheel (Varghese & Lauck 1987): entries in the order of their ends, to a tick of 17 ms,
// with constant cost to add and to remove. Level 0 has a slot for each of the next 64 ticks, level 1 for each of the next
// 64 spans of 64 ticks, and so on; an entry comes down a level when its span begins. What ends beyond the last level
// (208 days) waits in the last slot and is placed again.
type wheel struct {
	tick  int64               // all ticks before this one have been dealt with
	used  [wheelLevels]uint64 // a bit for each slot that may hold something
	slots [wheelLevels][wheelSlots]*Entry
}

const (
	tickShift   = 24 // a tick is 2^24 ns
	levelShift  = 6
	wheelSlots  = 1 << levelShift
	wheelLevels = 5
)

func (w *wheel) add(e *Entry) {
	t := max(e.Expires>>tickShift, w.tick)
	level, shift := 0, 0
	for t>>shift-w.tick>>shift >= wheelSlots {
		if level == wheelLevels-1 {
			t = (w.tick>>shift + wheelSlots - 1) << shift
			break
		}
		level++
		shift += levelShift
	}
	i := t >> shift & (wheelSlots - 1)
	head := &w.slots[level][i]
	e.wprev, e.wnext = head, *head
	if e.wnext != nil {
		e.wnext.wprev = &e.wnext
	}
	*head = e
	w.used[level] |= 1 << i
}

func (w *wheel) remove(e *Entry) {
	if e.wprev == nil {
		return
	}
	*e.wprev = e.wnext
	if e.wnext != nil {
		e.wnext.wprev = e.wprev
	}
	e.wprev, e.wnext = nil, nil
}

// due takes entries that have ended off the wheel and appends them to out, until out is full, the work is used up, or
// nothing is due. Called again it goes on where it stopped.
func (w *wheel) due(now int64, work *int, out []*Entry) []*Entry {
	for target := now >> tickShift; w.tick < target; w.turn(target) {
		for level := wheelLevels - 1; level > 0; level-- {
			shift := level * levelShift
			if w.tick&(1<<shift-1) != 0 {
				continue
			}
			i := w.tick >> shift & (wheelSlots - 1)
			for head := &w.slots[level][i]; *head != nil; *work-- {
				if *work <= 0 {
					return out
				}
				e := *head
				w.remove(e)
				w.add(e)
			}
			w.used[level] &^= 1 << i
		}
		i := w.tick & (wheelSlots - 1)
		for head := &w.slots[0][i]; *head != nil; *work-- {
			if *work <= 0 || len(out) == cap(out) {
				return out
			}
			e := *head
			w.remove(e)
			out = append(out, e)
		}
		w.used[0] &^= 1 << i
	}
	return out
}

// turn goes on to the next tick at which there may be something to do.
func (w *wheel) turn(target int64) {
	w.tick++
	shift := 0
	for _, used := range w.used {
		if used != 0 {
			w.tick = min(target, (w.tick+1<<shift-1)&^(1<<shift-1))
			return
		}
		shift += levelShift
	}
	w.tick = target
}
