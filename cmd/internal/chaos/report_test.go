package chaos

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"github.com/huddle-cache/huddle/cmd/internal/term"
)

// A run that tested nothing is no success.
func TestOnlyWhatWasCheckedIsSaidToBeKept(t *testing.T) {
	const kept = "Every promise was kept."
	for _, c := range []struct {
		about       string
		run         run
		broken      int
		interrupted bool
		want        error
		says        string
	}{
		{"all as it should be", run{steps: 3, lastLook: true}, 0, false, nil, kept},
		{"too short for a fault", run{lastLook: true}, 0, false, ErrUnchecked, "Nothing was checked"},
		{"interrupted before a fault", run{}, 0, true, ErrUnchecked, "Interrupted."},
		{"interrupted between faults", run{steps: 2}, 0, true, ErrUnchecked, "the last look"},
		{"a last look without an answer", run{steps: 2}, 0, false, ErrUnchecked, "the last look"},
		{"broken", run{steps: 2, lastLook: true}, 1, false, ErrBroken, "BROKEN"},
		{"broken, then interrupted", run{steps: 2}, 1, true, ErrBroken, "Interrupted."},
		{"not healed", run{steps: 2, unhealed: "for ever"}, 0, false, ErrBroken, "for ever"},
	} {
		var out bytes.Buffer
		r := c.run
		r.live, r.style = term.NewLive(&out), term.Style{}
		err := r.report(&load{broken: c.broken}, c.interrupted)
		if !errors.Is(err, c.want) || !strings.Contains(out.String(), c.says) {
			t.Errorf("%s: %v\n%s", c.about, err, out.String())
		}
		if strings.Contains(out.String(), kept) != (c.want == nil) {
			t.Errorf("%s: says that promises were kept, or not\n%s", c.about, out.String())
		}
	}
}
