package strategy

import (
	"slices"
	"testing"
)

type sieved string

func (s sieved) key() string { return string(s) }

// What was read since the hand passed last is spared once, and no longer.
func TestSieveSparesOnce(t *testing.T) {
	var gone []string
	s := newSieve(2, 100, func(v sieved) { gone = append(gone, v.key()) })
	for _, key := range []sieved{"a", "b"} {
		s.putLocked(key, 1)
		s.get(key.key())
	}
	s.putLocked("c", 1) // both have been read: the older goes
	s.putLocked("d", 1) // the other has not been read since
	if want := []string{"a", "b"}; !slices.Equal(gone, want) {
		t.Errorf("%q went, not %q", gone, want)
	}
	s.putLocked("c", 1) // a write is a use
	s.putLocked("e", 1)
	if want := []string{"a", "b", "d"}; !slices.Equal(gone, want) {
		t.Errorf("%q went, not %q", gone, want)
	}
}

// The weight is that of what is there.
func TestSieveWeighsWhatIsThere(t *testing.T) {
	gone := 0
	s := newSieve(10, 10, func(sieved) { gone++ })
	s.putLocked("a", 3)
	s.putLocked("a", 8)
	if s.putLocked("b", 2); gone != 0 || s.weight != 10 {
		t.Errorf("%d went, weight %d", gone, s.weight)
	}
	if s.putLocked("b", 3); gone != 1 || s.weight != 3 {
		t.Errorf("%d went, weight %d", gone, s.weight)
	}
	s.clearLocked()
	if s.putLocked("c", 10); gone != 1 || s.weight != 10 {
		t.Errorf("after all was cleared: %d went, weight %d", gone, s.weight)
	}
}
