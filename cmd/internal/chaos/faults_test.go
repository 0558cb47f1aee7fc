package chaos

import (
	"bufio"
	"errors"
	"reflect"
	"slices"
	"strings"
	"testing"
)

func TestPlanDependsOnTheSeedAlone(t *testing.T) {
	all := []Fault{Kill, Pause, Restart}
	steps := func(seed uint64) (out []step) {
		p := newPlanner(seed, all, 5, 3)
		for range 60 {
			out = append(out, p.next())
		}
		return out
	}
	a, b, c := steps(7), steps(7), steps(8)
	if !reflect.DeepEqual(a, b) {
		t.Fatal("the same seed made another plan")
	}
	if reflect.DeepEqual(a, c) {
		t.Fatal("another seed made the same plan")
	}
	two := 0
	for _, s := range a {
		if len(s.victims) == 2 {
			two++
		}
		if len(s.victims) < 1 || len(s.victims) > 2 || len(slices.Compact(slices.Clone(s.victims))) != len(s.victims) || s.hold < 0 {
			t.Fatalf("a bad step: %+v", s)
		}
		if s.fault == Restart && len(s.victims) != 1 {
			t.Fatalf("more than one node is restarted at once: %+v", s)
		}
	}
	if two == 0 {
		t.Fatal("with 3 copies, two nodes never fail at once")
	}
}

func TestAMajorityIsAlwaysLeft(t *testing.T) {
	p := newPlanner(1, []Fault{Kill, Pause}, 4, 4)
	for range 100 {
		if s := p.next(); len(s.victims) > 1 {
			t.Fatalf("%d of 4 nodes fail at once", len(s.victims))
		}
	}
}

func TestParseFaults(t *testing.T) {
	got, err := ParseFaults([]string{"kill", " pause", "kill", ""})
	if err != nil || !slices.Equal(got, []Fault{Kill, Pause}) {
		t.Fatalf("got %v, %v", got, err)
	}
	for _, bad := range [][]string{{"flood"}, {}, {""}} {
		if _, err := ParseFaults(bad); err == nil || !strings.Contains(err.Error(), "kill, pause, restart and partition") {
			t.Errorf("%q: %v", bad, err)
		}
	}
}

func TestAPartitionCutsTheRightLinks(t *testing.T) {
	links := func(cut int) (out [][2]int) {
		s := step{fault: Partition, victims: []int{1, 2}, cut: cut}
		for _, v := range s.victims {
			if err := s.eachLink(4, v, func(from, to int) error { out = append(out, [2]int{from, to}); return nil }); err != nil {
				t.Fatal(err)
			}
		}
		return out
	}
	for cut, want := range map[int][][2]int{
		outgoing: {{1, 0}, {1, 3}, {2, 0}, {2, 3}},
		incoming: {{0, 1}, {3, 1}, {0, 2}, {3, 2}},
		both:     {{1, 0}, {0, 1}, {1, 3}, {3, 1}, {2, 0}, {0, 2}, {2, 3}, {3, 2}},
	} {
		if got := links(cut); !slices.Equal(got, want) {
			t.Errorf("direction %d: %v", cut, got)
		}
	}
}

func TestConfigIsChecked(t *testing.T) {
	good := Config{Nodes: 3, Replicas: 2, For: 1}
	if err := good.Check(); err != nil {
		t.Fatal(err)
	}
	for _, change := range []func(*Config){
		func(c *Config) { c.Nodes = 2 }, func(c *Config) { c.Replicas = 1 }, func(c *Config) { c.Replicas = 4 }, func(c *Config) { c.For = 0 },
	} {
		cfg := good
		change(&cfg)
		if cfg.Check() == nil {
			t.Errorf("%+v was taken", cfg)
		}
	}
}

func TestReadReply(t *testing.T) {
	in := bufio.NewReader(strings.NewReader("$3\r\na\r\n\r\n$-1\r\n_\r\n$0\r\n\r\n-TRYAGAIN later\r\n+OK\r\n$x\r\n$5\r\nab"))
	for _, want := range []string{"a\r\n", "", "", ""} {
		if got, err := readReply(in); err != nil || got != want {
			t.Fatalf("got %q, %v, want %q", got, err, want)
		}
	}
	var said *replyError
	if _, err := readReply(in); !errors.As(err, &said) || said.text != "TRYAGAIN later" {
		t.Fatalf("got %v", err)
	}
	for range 3 {
		if _, err := readReply(in); err == nil || errors.As(err, &said) {
			t.Fatalf("got %v", err)
		}
	}
}

// A run without partitions says so, and why.
func TestWhatIsLeftOutIsSaid(t *testing.T) {
	plain := []Fault{Kill, Pause, Restart}
	can, cannot := func() error { return nil }, func() error { return errors.New("cutting the network needs root") }
	if text := leftOut(plain, cannot); text != "Partitions are left out: cutting the network needs root." {
		t.Error(text)
	}
	if text := leftOut(plain, can); !strings.Contains(text, "--faults kill,pause,restart,partition") {
		t.Error(text)
	}
	if text := leftOut(append(plain, Partition), cannot); text != "" {
		t.Error(text)
	}
}
