package resp

import (
	"context"
	"testing"
	"testing/synctest"
	"time"
)

type contextKey struct{}

// A bounded context ends when and as one of package context does, whether somebody waits for its end or only asks.
func TestBoundedEndsAsAContextDoes(t *testing.T) {
	const timeout = time.Second
	for name, end := range map[string]func(cancelParent, cancel func()){
		"time":   func(_, _ func()) { time.Sleep(timeout) },
		"parent": func(cancelParent, _ func()) { cancelParent() },
		"end":    func(_, cancel func()) { cancel() },
	} {
		for _, waited := range []bool{false, true} {
			synctest.Test(t, func(t *testing.T) {
				parent, cancelParent := context.WithCancel(context.WithValue(context.Background(), contextKey{}, name))
				defer cancelParent()
				want, cancel := context.WithTimeout(parent, timeout)
				got := newBounded(parent, timeout)
				defer got.end()
				child := context.Context(got)
				if waited {
					var cancelChild func()
					child, cancelChild = context.WithCancel(got)
					defer cancelChild()
				}
				if d, ok := got.Deadline(); !ok || time.Until(d) != timeout || got.Value(contextKey{}) != name {
					t.Errorf("%s: deadline %v, %v, value %v", name, d, ok, got.Value(contextKey{}))
				}
				if err := got.Err(); err != nil {
					t.Errorf("%s: ended at once: %v", name, err)
				}
				end(cancelParent, func() { cancel(); got.end() })
				synctest.Wait()
				if got.Err() != want.Err() {
					t.Errorf("%s, waited for %v: %v, want %v", name, waited, got.Err(), want.Err())
				}
				<-got.Done()
				<-child.Done()
				if got.Err() != want.Err() {
					t.Errorf("%s, waited for %v, then: %v, want %v", name, waited, got.Err(), want.Err())
				}
				cancel()
			})
		}
	}
}
