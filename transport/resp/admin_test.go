package resp

import (
	"regexp"
	"slices"
	"strings"
	"testing"

	goredis "github.com/redis/go-redis/v9"

	"github.com/huddle-cache/huddle/transport/resp/resptest"
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

// The line of a client has the fields that it has in Redis, but for the file descriptor, which is nobody's business, and what only the
// client's own goroutine knows: redis-py fails if one is missing.
func TestFieldsOfAClient(t *testing.T) {
	t.Parallel()
	ours := start(t, Config{}).Addr()
	fields := func(addr string) (names []string) {
		c := goredis.NewClient(&goredis.Options{Addr: addr, ClientName: "me"})
		t.Cleanup(func() { c.Close() })
		line, err := c.Do(t.Context(), "client", "info").Text()
		if err != nil {
			t.Fatal(err)
		}
		for _, field := range regexp.MustCompile(`(\S+)=`).FindAllStringSubmatch(line, -1) {
			names = append(names, field[1])
		}
		if info, err := c.ClientInfo(t.Context()).Result(); err != nil || info.Name != "me" || info.Multi != -1 {
			t.Errorf("go-redis reads %+v, %v", info, err)
		}
		return names
	}
	got := fields(ours)
	want := slices.DeleteFunc(fields(resptest.Redis(t)), func(name string) bool { return name == "fd" || name == "resp" })
	if !slices.Equal(got, want) {
		t.Errorf("%q\nRedis: %q", got, want)
	}
}
