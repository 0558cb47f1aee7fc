package nodetest_test

import (
	"bytes"
	"io"
	"strings"
	"sync"
	"testing"

	"github.com/huddle-cache/huddle/node/nodetest"
)

// logged is a test that keeps what is written to its log.
type logged struct {
	testing.TB
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *logged) Output() io.Writer { return l }

func (l *logged) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(b)
}

// The log of the nodes is the test's where it asks for it, and else nobody's.
func TestWithLog(t *testing.T) {
	for _, asked := range []bool{true, false} {
		l := &logged{TB: t}
		var opts []nodetest.Option
		if asked {
			opts = append(opts, nodetest.WithLog())
		}
		nodetest.Start(l, 1, opts...)
		l.mu.Lock()
		if got := strings.Contains(l.buf.String(), "event=view"); got != asked {
			t.Errorf("asked for: %v; it has %q", asked, l.buf.String())
		}
		l.mu.Unlock()
	}
}
