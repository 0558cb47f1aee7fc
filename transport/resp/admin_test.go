package resp

import (
	"strings"
	"testing"
)

// boundedFake is a fake that tells its bound.
type boundedFake struct{ *fake }

func (boundedFake) Info() []InfoSection {
	return []InfoSection{{"Memory", [][2]string{{"used_memory", "1"}, {"maxmemory", "4096"}}}}
}

// CONFIG GET and INFO agree about the memory.
func TestConfigGetMaxmemory(t *testing.T) {
	t.Parallel()
	c := dial(t, start(t, Config{Backend: boundedFake{newFake()}}).Addr())
	c.send("config get MAXMEMORY\r\n")
	if got := c.reply(); got != "*2\r\n$9\r\nmaxmemory\r\n$4\r\n4096\r\n" {
		t.Errorf("%q", got)
	}
}

// CLIENT LIST tells some of the clients, if that is asked for.
func TestClientListOfSome(t *testing.T) {
	t.Parallel()
	s := start(t, Config{})
	first, second := dial(t, s.Addr()), dial(t, s.Addr())
	first.do("ping")
	second.do("ping")
	for _, c := range []struct {
		args []string
		want int
	}{{nil, 2}, {[]string{"type", "NORMAL"}, 2}, {[]string{"type", "replica"}, 0}, {[]string{"id", "2"}, 1}, {[]string{"id", "1", "2", "9"}, 2}} {
		if got := strings.Count(first.do(append([]string{"client", "list"}, c.args...)...), " addr="); got != c.want {
			t.Errorf("%q: %d clients", c.args, got)
		}
	}
}
