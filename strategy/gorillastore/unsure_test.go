package gorillastore

import (
	"errors"
	"runtime"
	"testing"
	"time"

	"github.com/gorilla/sessions"
)

// What is remembered of a session that could not be read goes with it.
func TestUnreadSessionsAreForgotten(t *testing.T) {
	s := &Store{}
	cause := errors.New("unsure")
	session := sessions.NewSession(s, "name")
	s.refuse(session, cause)
	runtime.GC()
	if got := s.Unread(session); got != cause {
		t.Errorf("Unread = %v", got)
	}
	runtime.KeepAlive(session)
	left := 1
	for begin := time.Now(); left > 0 && time.Since(begin) < 10*time.Second; {
		runtime.GC()
		left = 0
		s.unsure.Range(func(any, any) bool { left++; return true })
	}
	if left > 0 {
		t.Error("the session has gone, and what is remembered of it has not")
	}
}
