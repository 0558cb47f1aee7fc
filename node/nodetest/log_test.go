package nodetest_test

import (
	"bytes"
	"io"
	"strings"
	"sync"
	"testing"
	"time"

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

func (l *logged) text() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.String()
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
		for begun := time.Now(); asked && !strings.Contains(l.text(), "event=view"); time.Sleep(time.Millisecond) { // events are told after what they tell of
			if time.Since(begun) > 10*time.Second {
				t.Fatalf("asked for; it has %q", l.text())
			}
		}
		if text := l.text(); !asked && text != "" {
			t.Errorf("not asked for; it has %q", text)
		}
	}
}
