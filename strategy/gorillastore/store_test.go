package gorillastore_test

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/gob"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/gorilla/sessions"
	"go.uber.org/goleak"

	"github.com/huddle-cache/huddle/node"
	"github.com/huddle-cache/huddle/node/nodetest"
	"github.com/huddle-cache/huddle/strategy"
	"github.com/huddle-cache/huddle/strategy/gorillastore"
)

type flash struct{ Text string }

func TestMain(m *testing.M) {
	gob.Register(flash{})
	goleak.VerifyTestMain(m)
}

const name = "session-name"

var key = []byte("a key of thirty-two bytes to sign")

func newStore(n *node.Node, opts ...strategy.StoreOption) *gorillastore.Store {
	return gorillastore.New(n, [][]byte{key}, opts...)
}

// browser keeps one cookie.
type browser struct{ cookie *http.Cookie }

// request runs a handler of one replica, which gets the session of a request with the browser's cookie.
func (b *browser) request(t *testing.T, s *gorillastore.Store, do func(r *http.Request, w http.ResponseWriter, session *sessions.Session, err error)) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	r := httptest.NewRequestWithContext(ctx, http.MethodGet, "http://localhost/", nil)
	if b.cookie != nil {
		r.AddCookie(b.cookie)
	}
	w := httptest.NewRecorder()
	session, err := s.Get(r, name)
	do(r, w, session, err)
	for _, c := range w.Result().Cookies() {
		b.cookie = c
	}
}

// want reads a value of the session, which must be there and be found.
func (b *browser) want(t *testing.T, s *gorillastore.Store, key, value any) {
	t.Helper()
	b.request(t, s, func(_ *http.Request, _ http.ResponseWriter, session *sessions.Session, err error) {
		if err != nil || session.IsNew || session.Values[key] != value {
			t.Errorf("new %v, values %v, error %v; want %v: %v", session.IsNew, session.Values, err, key, value)
		}
	})
}

// wantNone checks that there is no such session, with certainty.
func (b *browser) wantNone(t *testing.T, s *gorillastore.Store) {
	t.Helper()
	b.request(t, s, func(_ *http.Request, _ http.ResponseWriter, session *sessions.Session, err error) {
		if err != nil || !session.IsNew || session.ID != "" || len(session.Values) != 0 {
			t.Errorf("new %v, ID %q, values %v, error %v; want a new session", session.IsNew, session.ID, session.Values, err)
		}
	})
}

// set stores a value in the session.
func (b *browser) set(t *testing.T, s *gorillastore.Store, key, value any) {
	t.Helper()
	b.request(t, s, func(r *http.Request, w http.ResponseWriter, session *sessions.Session, err error) {
		if err != nil {
			t.Fatalf("Get: %v", err)
		}
		session.Values[key] = value
		if err := session.Save(r, w); err != nil {
			t.Fatalf("Save: %v", err)
		}
	})
}

func stores(c *nodetest.Cluster, opts ...strategy.StoreOption) (out []*gorillastore.Store) {
	for _, n := range c.Nodes() {
		out = append(out, newStore(n, opts...))
	}
	return out
}

func TestStore(t *testing.T) {
	s := stores(nodetest.Start(t, 3))
	b := &browser{}
	b.wantNone(t, s[0])
	b.set(t, s[0], "user", "ada")
	b.set(t, s[1], 42, 43)
	first := b.cookie.Value
	if len(first) > 400 {
		t.Errorf("a cookie of %d bytes", len(first))
	}
	for i := range s {
		b.want(t, s[i], "user", "ada")
		b.want(t, s[i], 42, 43)
	}

	// Flashes, of a type of our own, are read once.
	b.request(t, s[2], func(r *http.Request, w http.ResponseWriter, session *sessions.Session, _ error) {
		session.AddFlash(flash{"saved"})
		session.AddFlash("x", "elsewhere")
		if err := sessions.Save(r, w); err != nil {
			t.Fatal(err)
		}
	})
	b.request(t, s[0], func(r *http.Request, w http.ResponseWriter, session *sessions.Session, _ error) {
		got := session.Flashes()
		if len(got) != 1 || got[0] != (flash{"saved"}) || len(session.Flashes("elsewhere")) != 1 {
			t.Errorf("flashes %v", got)
		}
		if err := sessions.Save(r, w); err != nil {
			t.Fatal(err)
		}
	})
	b.request(t, s[1], func(_ *http.Request, _ http.ResponseWriter, session *sessions.Session, _ error) {
		if got := session.Flashes(); len(got) != 0 {
			t.Errorf("flashes again: %v", got)
		}
	})

	// A new ID at the log-in: the old one is worth nothing.
	old := &browser{cookie: b.cookie}
	b.request(t, s[1], func(r *http.Request, w http.ResponseWriter, session *sessions.Session, _ error) {
		if err := s[1].Renew(r.Context(), session); err != nil {
			t.Fatal(err)
		}
		if err := session.Save(r, w); err != nil {
			t.Fatal(err)
		}
	})
	for i := range s {
		old.wantNone(t, s[i])
		b.want(t, s[i], "user", "ada")
	}
}

func TestLogOut(t *testing.T) {
	s := stores(nodetest.Start(t, 3))
	for _, age := range []int{-1, 0} {
		logOut(t, s, age)
	}
}

// logOut ends a session by a MaxAge while another request is under way.
func logOut(t *testing.T, s []*gorillastore.Store, age int) {
	b := &browser{}
	b.set(t, s[0], "user", "ada")
	thief := &browser{cookie: b.cookie}
	late := &browser{cookie: b.cookie}
	late.request(t, s[2], func(r *http.Request, w http.ResponseWriter, slow *sessions.Session, err error) {
		if err != nil || slow.IsNew {
			t.Fatalf("new %v, error %v", slow.IsNew, err)
		}
		b.request(t, s[1], func(r *http.Request, w http.ResponseWriter, session *sessions.Session, _ error) {
			session.Options.MaxAge = age
			if err := session.Save(r, w); err != nil {
				t.Fatalf("log-out: %v", err)
			}
			if session.ID != "" {
				t.Error("the session keeps its ID")
			}
		})
		slow.Values["cart"] = "book"
		if err := slow.Save(r, w); !errors.Is(err, strategy.ErrRevoked) {
			t.Errorf("late Save = %v, want ErrRevoked", err)
		}
		if w.Header().Get("Set-Cookie") != "" {
			t.Error("a cookie was set for a session that was not saved")
		}
	})
	if b.cookie.Value != "" || age < 0 && b.cookie.MaxAge >= 0 {
		t.Errorf("the browser keeps its cookie: %v", b.cookie)
	}
	for i := range s {
		thief.wantNone(t, s[i])
	}
	thief.set(t, s[0], "user", "eve")
	if strings.Contains(thief.cookie.String(), late.cookie.Value) {
		t.Error("a session that ended goes on under its ID")
	}
}

func TestRevokeUser(t *testing.T) {
	nodes := nodetest.Start(t, 2)
	s := stores(nodes, gorillastore.WithUser(func(values map[any]any) string {
		user, _ := values["user"].(string)
		return user
	}))
	phone, laptop, bob := &browser{}, &browser{}, &browser{}
	phone.set(t, s[0], "user", "ada")
	laptop.set(t, s[1], "user", "ada")
	bob.set(t, s[0], "user", "bob")
	laptop.request(t, s[0], func(r *http.Request, w http.ResponseWriter, session *sessions.Session, _ error) {
		if err := s[1].RevokeUser(t.Context(), "ada"); err != nil {
			t.Fatal(err)
		}
		if err := session.Save(r, w); !errors.Is(err, strategy.ErrRevoked) {
			t.Errorf("Save of the request that was under way = %v, want ErrRevoked", err)
		}
	})
	for i := range s {
		phone.wantNone(t, s[i])
		laptop.wantNone(t, s[i])
		bob.want(t, s[i], "user", "bob")
	}
	laptop.set(t, s[0], "user", "ada")
	laptop.want(t, s[1], "user", "ada")
	if err := nodes.Node(1).InvalidateTags(t.Context(), strategy.UserTag("ada")); err != nil { // as revoke-user does
		t.Fatal(err)
	}
	laptop.wantNone(t, s[0])
	bob.want(t, s[0], "user", "bob")
	if err := newStore(nil).RevokeUser(t.Context(), "ada"); !errors.Is(err, strategy.ErrInvalid) {
		t.Errorf("RevokeUser without WithUser = %v, want ErrInvalid", err)
	}
}

// A node that is not sure does not say that there is no session, and overwrites none.
func TestUnsureIsNotAbsent(t *testing.T) {
	c := nodetest.Start(t, 3)
	s := stores(c, strategy.WithStoreWait(300*time.Millisecond))
	b := &browser{}
	b.set(t, s[1], "user", "ada")
	b.want(t, s[0], "user", "ada")
	c.Isolate(0)
	var r *http.Request
	var session *sessions.Session
	var err error
	for begin := time.Now(); err == nil && time.Since(begin) < 10*time.Second; { // until its leases have ended
		r = httptest.NewRequestWithContext(t.Context(), http.MethodGet, "http://localhost/", nil)
		r.AddCookie(b.cookie)
		if session, err = s[0].Get(r, name); err == nil && session.IsNew {
			t.Fatal("a session that exists is said to be new")
		}
	}
	w := httptest.NewRecorder()
	if session == nil || !errors.Is(err, strategy.ErrUnsure) {
		t.Fatalf("Get = %v, %v; want ErrUnsure", session, err)
	}
	if err := s[0].Unread(session); !errors.Is(err, strategy.ErrUnsure) {
		t.Errorf("Unread = %v, want ErrUnsure", err)
	}
	if known, err := s[1].Get(httptest.NewRequestWithContext(t.Context(), http.MethodGet, "http://localhost/", nil), name); err != nil || s[1].Unread(known) != nil {
		t.Errorf("Unread of a session that was read = %v (%v)", s[1].Unread(known), err)
	}
	session.Values["user"] = "nobody"
	if err := session.Save(r, w); !errors.Is(err, strategy.ErrUnsure) || w.Header().Get("Set-Cookie") != "" {
		t.Errorf("Save = %v, cookie %q; want ErrUnsure and none", err, w.Header().Get("Set-Cookie"))
	}
	if err := s[0].Renew(r.Context(), session); err == nil || session.ID == "" {
		t.Errorf("Renew = %v, ID %q, though nobody has ended the old one", err, session.ID)
	}
	session.Options.MaxAge = -1
	if err := session.Save(r, w); err == nil {
		t.Error("a log-out that reached nobody is said to be done")
	}
	c.Heal(0)
	c.WaitSettled()
}

func TestCookies(t *testing.T) {
	n := nodetest.Start(t, 1).Node(0)
	s := newStore(n)
	if s.Options.Path != "/" || !s.Options.HttpOnly || s.Options.MaxAge != 30*24*60*60 {
		t.Errorf("options %+v", s.Options)
	}
	b := &browser{}
	b.set(t, s, "user", "ada")
	if c := b.cookie; !c.HttpOnly || c.SameSite != http.SameSiteLaxMode || c.MaxAge != s.Options.MaxAge {
		t.Errorf("cookie %v", c)
	}
	forged := &browser{cookie: &http.Cookie{Name: name, Value: b.cookie.Value[:20] + "A" + b.cookie.Value[21:]}}
	forged.request(t, s, func(r *http.Request, w http.ResponseWriter, session *sessions.Session, err error) {
		if err == nil || session == nil || !session.IsNew || len(session.Values) != 0 {
			t.Errorf("a forged cookie: session %+v, error %v", session, err)
		}
		if err := session.Save(r, w); err != nil { // a new one takes its place
			t.Errorf("Save: %v", err)
		}
	})

	// What cannot be decoded takes nobody's session over, and is told to nobody.
	broken := &browser{}
	broken.set(t, s, "user", "bob")
	broken.request(t, s, func(_ *http.Request, _ http.ResponseWriter, session *sessions.Session, _ error) {
		err := strategy.NewSCSStore(n, strategy.WithStorePrefix("gorilla:")).Commit(session.ID, []byte("secret"), time.Now().Add(time.Hour))
		if err != nil {
			t.Fatal(err)
		}
	})
	broken.request(t, s, func(_ *http.Request, _ http.ResponseWriter, session *sessions.Session, err error) {
		if err == nil || strings.Contains(err.Error(), "secret") || !session.IsNew || session.ID != "" || session.Values == nil {
			t.Errorf("what cannot be decoded: session %+v, error %v", session, err)
		}
	})

	// What a session's own options say does not change the store's, nor the other way round.
	b.request(t, s, func(r *http.Request, w http.ResponseWriter, session *sessions.Session, _ error) {
		s.Options.Path = "/elsewhere"
		session.Options.Domain = "example.com"
		if session.Options.Path != "/" || s.Options.Domain != "" {
			t.Errorf("session %+v, store %+v", session.Options, s.Options)
		}
		session.Values["big"] = make([]byte, 2<<20)
		if err := session.Save(r, w); !errors.Is(err, strategy.ErrTooLarge) {
			t.Errorf("Save of 2 MiB = %v, want ErrTooLarge", err)
		}
		delete(session.Values, "big")
		session.Values["f"] = func() {}
		if err := session.Save(r, w); err == nil {
			t.Error("Save of a function works")
		}
	})

	// A session that is only saved for a second ends by itself.
	s.MaxAge(1)
	short := &browser{}
	short.set(t, s, "user", "ada")
	for ctx := t.Context(); ctx.Err() == nil; {
		var is bool
		short.request(t, s, func(_ *http.Request, _ http.ResponseWriter, session *sessions.Session, _ error) { is = !session.IsNew })
		if !is {
			break
		}
	}
}

// MaxAge is also how old a cookie may be: a session that lives for longer than the codecs' 30 days is found for as long.
func TestOldCookies(t *testing.T) {
	s, b := newStore(nodetest.Start(t, 1).Node(0)), &browser{}
	s.MaxAge(60 * 24 * 60 * 60)
	b.set(t, s, "user", "ada")
	raw, err := base64.URLEncoding.DecodeString(b.cookie.Value)
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(raw), "|")
	value, _, _ := strings.Cut(rest, "|")
	dated := fmt.Sprintf("%d|%s", time.Now().Add(-40*24*time.Hour).Unix(), value)
	sign := hmac.New(sha256.New, key)
	_, _ = sign.Write([]byte(name + "|" + dated))
	b.cookie.Value = base64.URLEncoding.EncodeToString(append([]byte(dated+"|"), sign.Sum(nil)...))
	b.want(t, s, "user", "ada")
	s.MaxAge(30 * 24 * 60 * 60)
	b.request(t, s, func(_ *http.Request, _ http.ResponseWriter, session *sessions.Session, err error) {
		if err == nil || !session.IsNew {
			t.Errorf("a cookie that is too old: session %+v, error %v", session, err)
		}
	})
}
