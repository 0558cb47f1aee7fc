package transport

import (
	"errors"
	"testing"
)

// A session can be made anew by either side: Connect may follow Disconnect at once, before the end has been reported.
func TestDisconnectAndConnectAtOnce(t *testing.T) {
	a, b, ra, rb := pair(t, nil)
	session, at := ra.session(2), rb.session(1)
	a.Disconnect(2)
	a.Connect(b.Self())
	if err := ra.end(session); !errors.Is(err, ErrDisconnected) {
		t.Errorf("the session ended with %v", err)
	}
	rb.end(at)
	session, at = ra.session(2), rb.session(1)
	b.Disconnect(1)
	b.Connect(a.Self())
	if err := rb.end(at); !errors.Is(err, ErrDisconnected) {
		t.Errorf("the session ended with %v", err)
	}
	ra.end(session)
	session, at = ra.session(2), rb.session(1)
	if !a.Send(2, session, message(7, 1)) || rb.ids(at, 1)[0] != 7 {
		t.Error("nothing arrives")
	}
}
