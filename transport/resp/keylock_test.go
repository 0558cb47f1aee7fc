package resp

import (
	"context"
	"errors"
	"testing"
)

// Nothing is kept of a key that nobody has, also where one of those who waited for it gave up.
func TestKeyLocksKeepNothing(t *testing.T) {
	t.Parallel()
	var locks keyLocks
	unlock, err := locks.lock(t.Context(), "k")
	if err != nil {
		t.Fatal(err)
	}
	given, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := locks.lock(given, "k"); !errors.Is(err, context.Canceled) {
		t.Errorf("a lock that another has: %v", err)
	}
	next := make(chan struct{})
	go func() {
		defer close(next)
		if unlock, err := locks.lock(t.Context(), "k"); err == nil {
			unlock()
		}
	}()
	unlock()
	<-next
	if len(locks.byKey) != 0 {
		t.Errorf("%d keys are kept", len(locks.byKey))
	}
}
