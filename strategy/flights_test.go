package strategy

import (
	"context"
	"testing"
	"testing/synctest"
)

// A load that nobody waits for any more leaves alone, when it ends, the one that has taken its place: or else a third would run beside that.
func TestALoadGivenUpLeavesTheNextAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var g flights[int]
		loads := 0
		load := func(end <-chan struct{}, value int) func(context.Context) result[int] {
			return func(context.Context) result[int] {
				loads++
				<-end // whatever the context says
				return result[int]{value: value}
			}
		}
		got := make(chan int, 2)
		do := func(ctx context.Context, fn func(context.Context) result[int]) {
			if v, err := g.do(ctx, "k", fn); err == nil {
				got <- v
			}
		}
		ctx, leave := context.WithCancel(t.Context())
		first, second := make(chan struct{}), make(chan struct{})
		go do(ctx, load(first, 1))
		synctest.Wait()
		leave()
		synctest.Wait()
		go do(t.Context(), load(second, 2))
		synctest.Wait()
		close(first)
		synctest.Wait()
		if g.running["k"] == nil || loads != 2 {
			t.Fatalf("%d loads were begun; the second is known: %v", loads, g.running["k"] != nil)
		}
		close(second)
		if v := <-got; v != 2 {
			t.Errorf("got %d", v)
		}
		synctest.Wait()
		if len(g.running) != 0 {
			t.Errorf("%d loads are still known", len(g.running))
		}
	})
}
