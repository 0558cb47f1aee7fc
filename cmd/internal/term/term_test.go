package term

import (
	"bytes"
	"strings"
	"testing"
	"time"
)

func TestTableAlignsColouredCells(t *testing.T) {
	s := Style{on: true}
	table := NewTable("NAME", ">ENTRIES")
	table.Row(s.Green("a"), "1")
	table.Row("longer", s.Red("1,000"))
	lines := table.Lines(Style{})
	want := VisibleLen(lines[1])
	if len(lines) != 3 || VisibleLen(lines[2]) != want || want != len("longer  ENTRIES") {
		t.Fatalf("columns do not line up: %q", lines)
	}
}

func TestTruncateKeepsEscapesWhole(t *testing.T) {
	s := Style{on: true}
	got := Truncate(s.Red("abcdef")+"gh", 4)
	if VisibleLen(got) != 4 || !strings.HasSuffix(got, "\x1b[0m") || !strings.Contains(got, "abc…") {
		t.Fatalf("got %q", got)
	}
	if got := Truncate("short", 10); got != "short" {
		t.Fatalf("got %q", got)
	}
}

func TestCleanTakesOutEscapeSequences(t *testing.T) {
	if got := Clean("a\x1b[2Jb\r\n\u009bé"); got != "a?[2Jb???é" {
		t.Fatalf("got %q", got)
	}
}

func TestFormats(t *testing.T) {
	for _, c := range []struct{ got, want string }{
		{Count(0), "0"},
		{Count(999), "999"},
		{Count(1000), "1,000"},
		{Count(uint64(1234567)), "1,234,567"},
		{Count(-1234), "-1,234"},
		{Bytes(512), "512 B"},
		{Bytes(3 << 20), "3.0 MiB"},
		{Duration(210 * time.Microsecond), "0.21 ms"},
		{Duration(14 * time.Millisecond), "14 ms"},
		{Duration(2410 * time.Millisecond), "2.41 s"},
		{Percent(1, 0), "–"},
		{Percent(1, 4), "25.0 %"},
	} {
		if c.got != c.want {
			t.Errorf("got %q, want %q", c.got, c.want)
		}
	}
}

func TestLiveWithoutTerminalPrintsLinesOnly(t *testing.T) {
	var out bytes.Buffer
	l := NewLive(&out)
	l.Block([]string{"table"})
	l.Println("said")
	l.Close()
	if out.String() != "said\n" {
		t.Fatalf("got %q", out.String())
	}
}

func TestWrap(t *testing.T) {
	s := Style{on: true}
	got := Wrap("one "+s.Red("two")+" three overlongword x", 9)
	want := []string{"one " + s.Red("two"), "three", "overlongword", "x"}
	if strings.Join(got, "|") != strings.Join(want, "|") {
		t.Fatalf("got %q", got)
	}
}
