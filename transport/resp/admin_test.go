package resp

import "testing"

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
