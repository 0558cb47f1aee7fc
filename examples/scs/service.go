package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/alexedwards/scs/v2"

	"github.com/huddle-cache/huddle/strategy"
)

// replicaHeader names the replica that answered.
const replicaHeader = "X-Replica"

// userKey is where the session holds its user.
const userKey = "user"

// gate holds a slow request until the check lets it go on.
type gate struct{ arrived, open chan struct{} }

func newGate() *gate { return &gate{arrived: make(chan struct{}), open: make(chan struct{})} }

// userOf reads whose session the data is, so that the store can end all sessions of a user.
func userOf(data []byte) string {
	_, values, err := scs.GobCodec{}.Decode(data)
	if err != nil {
		return ""
	}
	user, _ := values[userKey].(string)
	return user
}

// service is the web service as each replica runs it. It knows scs; only the store knows the cluster.
type service struct {
	sessions *scs.SessionManager
	store    *strategy.SCSStore
	gate     *gate
}

func newService(replica string, store *strategy.SCSStore, g *gate) http.Handler {
	s := &service{sessions: scs.New(), store: store, gate: g}
	s.sessions.Store = store
	s.sessions.Lifetime = time.Hour
	s.sessions.ErrorFunc = fail

	mux := http.NewServeMux()
	mux.HandleFunc("POST /login", s.login)
	mux.HandleFunc("GET /me", s.me)
	mux.HandleFunc("GET /slow", s.slow)
	mux.HandleFunc("POST /logout", s.logout)
	mux.HandleFunc("POST /logout-everywhere", s.logoutEverywhere)
	inner := s.sessions.LoadAndSave(mux)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set(replicaHeader, replica)
		inner.ServeHTTP(w, r)
	})
}

// fail answers when the store could not. "The session was ended" and "not sure just now" are different answers: the second
// must not log anybody out.
func fail(w http.ResponseWriter, _ *http.Request, err error) {
	if errors.Is(err, strategy.ErrRevoked) {
		http.Error(w, "your session was ended", http.StatusUnauthorized)
		return
	}
	http.Error(w, "sessions are not available just now, try again", http.StatusServiceUnavailable)
}

func (s *service) login(w http.ResponseWriter, r *http.Request) {
	user := r.FormValue("user")
	if user == "" {
		http.Error(w, "who?", http.StatusBadRequest)
		return
	}
	if err := s.sessions.RenewToken(r.Context()); err != nil {
		fail(w, r, err)
		return
	}
	s.sessions.Put(r.Context(), userKey, user)
	fmt.Fprintf(w, "welcome %s\n", user)
}

func (s *service) me(w http.ResponseWriter, r *http.Request) {
	user := s.sessions.GetString(r.Context(), userKey)
	if user == "" {
		http.Error(w, "not logged in", http.StatusUnauthorized)
		return
	}
	fmt.Fprintf(w, "you are %s\n", user)
}

// slow changes the session and takes its time before it is saved.
func (s *service) slow(w http.ResponseWriter, r *http.Request) {
	s.sessions.Put(r.Context(), "slow", true)
	wait, cancel := context.WithTimeout(r.Context(), 10*time.Second)
	defer cancel()
	select {
	case s.gate.arrived <- struct{}{}:
	case <-wait.Done():
	}
	select {
	case <-s.gate.open:
	case <-wait.Done():
	}
}

func (s *service) logout(w http.ResponseWriter, r *http.Request) {
	if err := s.sessions.Destroy(r.Context()); err != nil {
		fail(w, r, err)
		return
	}
	fmt.Fprintln(w, "bye")
}

func (s *service) logoutEverywhere(w http.ResponseWriter, r *http.Request) {
	user := s.sessions.GetString(r.Context(), userKey)
	if user == "" {
		http.Error(w, "not logged in", http.StatusUnauthorized)
		return
	}
	if err := s.store.RevokeUser(r.Context(), user); err != nil {
		fail(w, r, err)
		return
	}
	if err := s.sessions.Destroy(r.Context()); err != nil { // this request's own, so that it is not saved again
		fail(w, r, err)
		return
	}
	fmt.Fprintln(w, "bye, everywhere")
}
