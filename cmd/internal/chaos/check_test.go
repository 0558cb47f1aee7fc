package chaos

import (
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func op(kind Kind, value string, from, to int) Op {
	ret := time.Duration(to) * time.Millisecond
	if to < 0 {
		ret = Never
	}
	return Op{Kind: kind, Value: value, Node: "n", Invoke: time.Duration(from) * time.Millisecond, Return: ret}
}

func TestCheck(t *testing.T) {
	for _, c := range []struct {
		about string
		ops   []Op
		want  string // part of the violation; empty: none
	}{
		{"nothing was ever there", []Op{op(Get, "", 0, 1)}, ""},
		{"what was set is read", []Op{op(Set, "a", 0, 1), op(Get, "a", 2, 3)}, ""},
		{"a planted stale read", []Op{op(Set, "a", 0, 1), op(Set, "b", 2, 3), op(Get, "a", 4, 5)}, "stale"},
		{"a session that survives its log-out", []Op{op(Set, "a", 0, 1), op(Del, "", 2, 3), op(Get, "a", 4, 5)}, "stale"},
		{"stale long after", []Op{op(Set, "a", 0, 1), op(Del, "", 2, 3), op(Get, "", 4, 5), op(Get, "a", 9000, 9001)}, "stale"},
		{"a read that began before the acknowledgement", []Op{op(Set, "a", 0, 1), op(Del, "", 2, 10), op(Get, "a", 9, 12)}, ""},
		{"two writes at the same time, either may win", []Op{op(Set, "a", 0, 5), op(Set, "b", 1, 4), op(Get, "a", 6, 7)}, ""},
		{"two writes at the same time, then a third", []Op{op(Set, "a", 0, 5), op(Set, "b", 1, 4), op(Set, "c", 6, 7), op(Get, "b", 8, 9)}, "stale"},
		{"a write without acknowledgement may come late", []Op{op(Set, "a", 0, -1), op(Set, "b", 2, 3), op(Get, "a", 4, 5)}, ""},
		{"a delete without acknowledgement may not have come", []Op{op(Set, "a", 0, 1), op(Del, "", 2, -1), op(Get, "a", 4, 5)}, ""},
		{"a delete without acknowledgement may have come", []Op{op(Set, "a", 0, 1), op(Del, "", 2, -1), op(Get, "", 4, 5)}, ""},
		{"a newer write not acknowledged makes an older read right", []Op{op(Set, "a", 0, 1), op(Set, "b", 2, -1), op(Get, "a", 4, 5)}, ""},
		{"lost", []Op{op(Set, "a", 0, 1), op(Get, "", 2, 3)}, "lost"},
		{"lost after an older delete", []Op{op(Del, "", 0, 1), op(Set, "a", 2, 3), op(Get, "", 4, 5)}, "lost"},
		{"a delete at the same time as the set", []Op{op(Del, "", 0, 4), op(Set, "a", 2, 3), op(Get, "", 5, 6)}, ""},
		{"a delete at the same time as the read", []Op{op(Set, "a", 0, 1), op(Del, "", 3, 9), op(Get, "", 2, 5)}, ""},
		{"a delete after the read", []Op{op(Set, "a", 0, 1), op(Del, "", 6, 9), op(Get, "", 2, 5)}, "lost"},
		{"made up", []Op{op(Get, "x", 0, 1)}, "never written"},
		{"read from the future", []Op{op(Get, "a", 0, 1), op(Set, "a", 2, 3)}, "before it was written"},
	} {
		got := Check("k", c.ops)
		switch {
		case c.want == "" && len(got) > 0:
			t.Errorf("%s: %v", c.about, got[0])
		case c.want != "" && (len(got) != 1 || !strings.Contains(got[0].String(), c.want)):
			t.Errorf("%s: got %v", c.about, got)
		}
	}
}

// A register that takes each operation at one moment between its beginning and its end breaks no promise, whatever happens. One
// with a stale read planted at its end is found out.
func TestCheckAgainstARegister(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		plant := rapid.Bool().Draw(t, "plant")
		var ops []Op
		now, value := 0, ""
		for i := range rapid.IntRange(1, 40).Draw(t, "n") {
			from, at, to := now+1, now+2, now+3
			now = at // the next may begin before this one returns
			if rapid.Bool().Draw(t, "gap") {
				now = to + 1
			}
			switch rapid.IntRange(0, 3).Draw(t, "kind") {
			case 0:
				value = "v" + string(rune('A'+i))
				ops = append(ops, op(Set, value, from, to))
			case 1:
				value = ""
				ops = append(ops, op(Del, "", from, to))
			default:
				ops = append(ops, op(Get, value, from, to))
			}
		}
		if plant {
			ops = append(ops, op(Set, "first", now+10, now+11), op(Set, "second", now+20, now+21), op(Get, "first", now+30, now+31))
		}
		got := Check("k", ops)
		if plant != (len(got) > 0) {
			t.Fatalf("planted %v, found %v", plant, got)
		}
	})
}

func TestHistoryIsCheckedOnceWhenAllIsOver(t *testing.T) {
	checked := 0
	h := &history{key: "k", left: 2, check: func(*history) { checked++ }}
	if first, second, third := h.begin(), h.begin(), h.begin(); !first || !second || third {
		t.Fatal("the limit does not hold")
	}
	h.end(nil)
	if checked != 0 {
		t.Fatal("checked while an operation is under way")
	}
	o := op(Get, "", 0, 1)
	h.end(&o)
	h.retire()
	if checked != 1 || len(h.ops) != 1 {
		t.Fatalf("checked %d times, %d operations", checked, len(h.ops))
	}
	idle := &history{key: "k", left: 5, check: func(*history) { checked++ }}
	idle.retire()
	idle.retire()
	if checked != 2 || idle.begin() {
		t.Fatal("a retired history is not done")
	}
}
