package node

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// handlerFunc is a log that has no attributes but those of the line.
type handlerFunc func(r slog.Record)

func (handlerFunc) Enabled(context.Context, slog.Level) bool        { return true }
func (h handlerFunc) Handle(_ context.Context, r slog.Record) error { h(r); return nil }
func (h handlerFunc) WithAttrs([]slog.Attr) slog.Handler            { return h }
func (h handlerFunc) WithGroup(string) slog.Handler                 { return h }

// A logger that blocks, as standard error does when nobody reads it, blocks nobody else, and its node stays a member.
func TestALoggerThatBlocks(t *testing.T) {
	gate := make(chan struct{})
	said := make(chan string, 1000)
	blocked := slog.New(handlerFunc(func(r slog.Record) {
		<-gate
		said <- r.Message
	}))
	n := start(t, Config{Logger: blocked})
	open := sync.OnceFunc(func() { close(gate) })
	t.Cleanup(open) // before the node is closed
	settled(t, n)
	other := start(t, Config{Join: []string{n.Addr()}})
	settled(t, n, other)
	for i := range 10 {
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		if err := n.Set(ctx, fmt.Sprint(i), nil); err != nil {
			t.Error(err)
		}
		cancel()
	}
	if len(said) != 0 {
		t.Fatal("the logger has not blocked")
	}
	open()
	_ = n.Close() // all is said by then
	close(said)
	var lines []string
	for text := range said {
		lines = append(lines, text)
	}
	if !slices.ContainsFunc(lines, func(text string) bool { return strings.Contains(text, "session up") }) {
		t.Errorf("said: %q", lines)
	}
}

// A logger may ask the node what it is to be told of.
func TestALoggerThatAsks(t *testing.T) {
	var n atomic.Pointer[Node]
	asked := make(chan uint64, 1000)
	n.Store(start(t, Config{Logger: slog.New(handlerFunc(func(slog.Record) {
		if n := n.Load(); n != nil {
			asked <- n.Stats().View
		}
	}))}))
	settled(t, n.Load())
	other := start(t, Config{Join: []string{n.Load().Addr()}})
	settled(t, n.Load(), other)
	if err := n.Load().Close(); err != nil || len(asked) == 0 {
		t.Errorf("asked %d times, %v", len(asked), err)
	}
}

// Lines keep their order and their attributes. What the logger does not take in time is left out, and that is said in its place.
func TestLinesThatAreLeftOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gate := make(chan struct{})
		var said []string
		l := newLogs(slog.New(handlerFunc(func(r slog.Record) {
			<-gate
			text := r.Message
			r.Attrs(func(a slog.Attr) bool { text += " " + a.String(); return true })
			said = append(said, text)
		})))
		log := l.logger()
		log.Info("0")
		synctest.Wait() // it is being given to the logger
		for i := range mostLines + 7 {
			log.Info(fmt.Sprint(i+1), "i", i)
		}
		close(gate)
		synctest.Wait()
		log.Info("at last")
		l.close()
		log.Info("nobody is told")
		if len(said) != mostLines+3 || said[0] != "0" || said[mostLines] != fmt.Sprintf("%d i=%d", mostLines, mostLines-1) {
			t.Fatalf("%d lines, of the first %q", len(said), said[:min(len(said), 3)])
		}
		for i := range mostLines {
			if !strings.HasPrefix(said[i], fmt.Sprint(i)) {
				t.Fatalf("line %d is %q", i, said[i])
			}
		}
		if !strings.HasSuffix(said[mostLines+1], "lines=7") || said[mostLines+2] != "at last" {
			t.Errorf("then %q", said[mostLines+1:])
		}
	})
}

// What a caller's handler knows by With is kept.
func TestLinesKeepWhatTheirLoggerHas(t *testing.T) {
	var log logged
	l := newLogs(slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelInfo})))
	l.logger().With("node", "a").WithGroup("of").Info("text", "k", "v")
	l.logger().Debug("nobody is told")
	l.close()
	if got := log.String(); !strings.HasSuffix(got, "msg=text node=a of.k=v\n") || strings.Count(got, "\n") != 1 {
		t.Errorf("got %q", got)
	}
}
