package node

import (
	"fmt"
	"testing"
)

// A subscriber that does not read loses the oldest events, and holds up nobody.
func TestSlowSubscriberLosesTheOldest(t *testing.T) {
	n := &Node{subs: map[chan Event]bool{}}
	slow, cancel := n.Subscribe(3)
	other, _ := n.Subscribe(10)
	for i := range 10 {
		n.publish(Event{Text: fmt.Sprint(i)})
	}
	cancel()
	cancel() // once more is nothing
	n.endSubscriptions()
	for ch, first := range map[<-chan Event]int{slow: 7, other: 0} {
		for e := range ch {
			if e.Text != fmt.Sprint(first) {
				t.Errorf("event %s, want %d", e.Text, first)
			}
			first++
		}
		if first != 10 {
			t.Errorf("the last event is %d", first-1)
		}
	}
	if late, _ := n.Subscribe(0); len(late) != 0 {
		t.Error("an event after the end")
	} else if _, open := <-late; open {
		t.Error("a subscription that never ends")
	}
}
