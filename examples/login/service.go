package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/huddle-cache/huddle/strategy"
)

// account is what the service wants to know of whoever asks. Any type will do: the cache writes it as JSON.
type account struct {
	User string `json:"user"`
	Role string `json:"role"`
}

const (
	cookieName = "login"
	lifetime   = time.Hour
)

// service is one replica of the login service. The database says what is true, the cache answers.
//
// The order is always the same: first the database, then the cache. Once Delete or RevokeUser has returned nil, no replica
// serves the older answer, and a load that was under way cannot bring it back.
type service struct {
	db    *database
	cache *strategy.Typed[account]
}

func newService(db *database, cache *strategy.Typed[account]) http.Handler {
	s := &service{db, cache}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /login", s.login)
	mux.HandleFunc("GET /me", s.known(func(w http.ResponseWriter, _ *http.Request, a account, _ string) {
		fmt.Fprintf(w, "%s, %s\n", a.User, a.Role)
	}))
	mux.HandleFunc("POST /role", s.known(s.role))
	mux.HandleFunc("POST /logout", s.known(s.logout))
	mux.HandleFunc("POST /logout-everywhere", s.known(s.logoutEverywhere))
	return mux
}

// known lets requests through that show a session, and loads it: from this replica's memory, from another's, or once in the
// whole cluster from the database.
func (s *service) known(next func(w http.ResponseWriter, r *http.Request, a account, token string)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		cookie, err := r.Cookie(cookieName)
		if err != nil || cookie.Value == "" {
			http.Error(w, "not logged in", http.StatusUnauthorized)
			return
		}
		a, err := s.cache.Load(r.Context(), cookie.Value, func(ctx context.Context) (strategy.Item[account], error) {
			a, err := s.db.session(ctx, cookie.Value)
			return strategy.Item[account]{Value: a, UserID: a.User, Expires: time.Now().Add(lifetime)}, err
		})
		switch {
		case errors.Is(err, errNoSession), errors.Is(err, strategy.ErrRevoked), errors.Is(err, strategy.ErrTooLarge):
			http.Error(w, "not logged in", http.StatusUnauthorized)
		case err != nil: // the database's
			http.Error(w, "try again", http.StatusServiceUnavailable)
		default:
			next(w, r, a, cookie.Value)
		}
	}
}

func (s *service) login(w http.ResponseWriter, r *http.Request) {
	token, err := s.db.logIn(r.FormValue("user"))
	if err != nil {
		http.Error(w, "who?", http.StatusForbidden)
		return
	}
	http.SetCookie(w, &http.Cookie{
		Name: cookieName, Value: token, Path: "/", MaxAge: int(lifetime.Seconds()), HttpOnly: true, SameSite: http.SameSiteLaxMode,
	})
	fmt.Fprintln(w, "welcome") // the first request that shows the session loads it
}

// role gives a user another role. It counts from the next request on, on every replica.
func (s *service) role(w http.ResponseWriter, r *http.Request, a account, _ string) {
	if a.Role != "admin" {
		http.Error(w, "only for admins", http.StatusForbidden)
		return
	}
	s.db.setRole(r.FormValue("user"), r.FormValue("role"))
	s.done(w, s.cache.RevokeUser(r.Context(), r.FormValue("user")))
}

func (s *service) logout(w http.ResponseWriter, r *http.Request, _ account, token string) {
	s.db.logOut(token)
	s.done(w, s.cache.Delete(r.Context(), token))
}

func (s *service) logoutEverywhere(w http.ResponseWriter, r *http.Request, a account, _ string) {
	s.db.logOutEverywhere(a.User)
	s.done(w, s.cache.RevokeUser(r.Context(), a.User))
}

// done answers after a change. One that was not confirmed must not be said to be done: the old answer may live for another
// moment somewhere.
func (s *service) done(w http.ResponseWriter, err error) {
	if err != nil {
		http.Error(w, "not confirmed, try again", http.StatusServiceUnavailable)
		return
	}
	fmt.Fprintln(w, "done")
}
