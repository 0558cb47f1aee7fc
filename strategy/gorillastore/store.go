// Package gorillastore keeps the sessions of github.com/gorilla/sessions in the cluster of the service's own replicas.
//
// It is a module of its own, so that package strategy needs no session library.
package gorillastore

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/http"
	"runtime"
	"sync"
	"time"
	"weak"

	"github.com/gorilla/securecookie"
	"github.com/gorilla/sessions"

	"github.com/huddle-cache/huddle/node"
	"github.com/huddle-cache/huddle/strategy"
)

// Store is a sessions.Store. The cookie holds a signed random ID, the cluster holds the values: a session that has been
// ended is ended on every replica at once, which a store of cookies cannot do.
//
// It is the store of record: where it is not certain just now whether a session exists, Get and New wait for certainty
// within the context of the request (5 s without a deadline), and then fail with strategy.ErrUnsure; they return an
// empty session beside the error, as gorilla wants it, which Save refuses to store. Answer such a request with 503, not with
// a log-in page.
//
// Options and codecs are to be set before the store is used; then its methods are safe for concurrent use. It has nothing
// to close; the node belongs to the caller.
type Store struct {
	// Codecs sign the ID in the cookie, and encrypt it where there are keys for that. MaxAge sets their age too.
	Codecs []securecookie.Codec
	// Options are those of a new session. Default: path "/", 30 days, HttpOnly, SameSite Lax. Behind TLS, set Secure too.
	Options *sessions.Options

	sessions *strategy.SCSStore
	unsure   sync.Map // weak.Pointer[sessions.Session] -> error: what could not be read
}

// New returns the store of a running node, which must not be nil. keyPairs are those of sessions.NewCookieStore, the same on
// all replicas: a key of 32 or 64 bytes to sign with, then one of 16, 24 or 32 bytes to encrypt with or nil, and older
// pairs after it. The stores that share a cluster must differ in strategy.WithStorePrefix; the default is "gorilla:".
func New(n *node.Node, keyPairs [][]byte, opts ...strategy.StoreOption) *Store {
	s := &Store{
		Codecs:   securecookie.CodecsFromPairs(keyPairs...),
		Options:  &sessions.Options{Path: "/", HttpOnly: true, SameSite: http.SameSiteLaxMode},
		sessions: strategy.NewSCSStore(n, append([]strategy.StoreOption{strategy.WithStorePrefix("gorilla:")}, opts...)...),
	}
	s.MaxAge(30 * 24 * 60 * 60)
	return s
}

// WithUser tells the store whose session it is by its values, "" for nobody's, so that RevokeUser finds it, and what ends the user's
// sessions in all stores and caches: see strategy.UserTag and strategy.WithUserOf.
func WithUser(userOf func(values map[any]any) string) strategy.StoreOption {
	return strategy.WithUserOf(func(data []byte) string {
		values, err := decode(data)
		if err != nil {
			return ""
		}
		return userOf(values)
	})
}

// MaxAge sets how many seconds a session lives after it was last saved, in the cluster and in the browser.
func (s *Store) MaxAge(seconds int) {
	s.Options.MaxAge = seconds
	for _, codec := range s.Codecs {
		if sc, ok := codec.(*securecookie.SecureCookie); ok {
			sc.MaxAge(seconds)
		}
	}
}

// Get returns the session of the request, the same one each time within a request; see New for its errors.
func (s *Store) Get(r *http.Request, name string) (*sessions.Session, error) {
	return sessions.GetRegistry(r).Get(s, name)
}

// New returns the session that the request's cookie names or, where there is none, a new one: a cookie that names a session
// that has ended gets a new ID, never the old one. Errors: strategy.ErrUnsure; that of a cookie which is not ours or has been tampered
// with, beside a new session that can be saved.
func (s *Store) New(r *http.Request, name string) (*sessions.Session, error) {
	session := sessions.NewSession(s, name)
	opts := *s.Options
	session.Options = &opts
	session.IsNew = true
	cookie, err := r.Cookie(name)
	if err != nil {
		return session, nil // there is none
	}
	var id string
	if err := securecookie.DecodeMulti(name, cookie.Value, &id, s.Codecs...); err != nil {
		return session, err
	}
	data, found, err := s.sessions.FindCtx(r.Context(), id)
	switch {
	case err != nil:
		session.ID = id
		s.refuse(session, err)
		return session, err
	case !found:
		return session, nil
	}
	values, err := decode(data)
	if err != nil {
		return session, fmt.Errorf("session store: stored values cannot be decoded: %w", err)
	}
	session.ID, session.Values, session.IsNew = id, values, false
	return session, nil
}

// refuse remembers that nothing must be stored from this session, as long as it is in use.
func (s *Store) refuse(session *sessions.Session, err error) {
	key := weak.Make(session)
	s.unsure.Store(key, err)
	runtime.AddCleanup(session, func(key weak.Pointer[sessions.Session]) { s.unsure.Delete(key) }, key)
}

// Unread returns why a session that Get or New has returned could not be read, strategy.ErrUnsure, or nil if it could: for who has the session, and not
// the error beside it.
func (s *Store) Unread(session *sessions.Session) error {
	if cause, unsure := s.unsure.Load(weak.Make(session)); unsure {
		return cause.(error)
	}
	return nil
}

// Save stores the session and sets its cookie; one with MaxAge 0 or less is ended for good instead. It fails, without a
// cookie, with strategy.ErrRevoked when the session was ended while the request was under way: answer as if there were none.
// Other errors: strategy.ErrUnsure for a session that could not be read, ErrUnavailable, ErrUnconfirmed, ErrTooLarge.
func (s *Store) Save(r *http.Request, w http.ResponseWriter, session *sessions.Session) error {
	if session.Options.MaxAge <= 0 {
		if session.ID != "" {
			if err := s.sessions.DeleteCtx(r.Context(), session.ID); err != nil {
				return err
			}
		}
		session.ID = ""
		s.unsure.Delete(weak.Make(session))
		http.SetCookie(w, sessions.NewCookie(session.Name(), "", session.Options))
		return nil
	}
	if cause := s.Unread(session); cause != nil {
		return fmt.Errorf("session store: not saved, for it could not be read: %w", cause)
	}
	data, err := encode(session.Values)
	if err != nil {
		return fmt.Errorf("session store: %w", err)
	}
	if session.ID == "" {
		session.ID = rand.Text()
	}
	cookie, err := securecookie.EncodeMulti(session.Name(), session.ID, s.Codecs...)
	if err != nil {
		return fmt.Errorf("session store: %w", err)
	}
	expiry := time.Now().Add(time.Duration(session.Options.MaxAge) * time.Second)
	if err := s.sessions.CommitCtx(r.Context(), session.ID, data, expiry); err != nil {
		return err
	}
	http.SetCookie(w, sessions.NewCookie(session.Name(), cookie, session.Options))
	return nil
}

// Renew ends what is stored of the session, so that the next Save stores its values under a new ID. Call it when a user logs
// in or gains rights: an ID that somebody else planted or saw before is then worth nothing.
func (s *Store) Renew(ctx context.Context, session *sessions.Session) error {
	if session.ID == "" {
		return nil
	}
	if err := s.sessions.DeleteCtx(ctx, session.ID); err != nil {
		return err
	}
	session.ID = ""
	return nil
}

// RevokeUser ends every session that one user has in this store, on every replica, also those whose requests are under way; the
// user may log in anew at once. It needs WithUser. A request under way that calls Renew carries the values over to the new ID, and this is not
// noticed: it looks as a log-in does.
func (s *Store) RevokeUser(ctx context.Context, userID string) error {
	return s.sessions.RevokeUser(ctx, userID)
}

func encode(values map[any]any) ([]byte, error) { return securecookie.GobEncoder{}.Serialize(values) }

func decode(data []byte) (map[any]any, error) {
	values := map[any]any{}
	if err := (securecookie.GobEncoder{}).Deserialize(data, &values); err != nil {
		return nil, errors.New("not the values of a session") // the cause may quote them
	}
	return values, nil
}

var _ sessions.Store = (*Store)(nil)
