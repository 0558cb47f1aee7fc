package ginstore_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"testing"
	"time"

	"github.com/gin-contrib/sessions"
	"github.com/gin-contrib/sessions/tester"
	"github.com/gin-gonic/gin"
	"go.uber.org/goleak"

	"github.com/huddle-cache/huddle/node"
	"github.com/huddle-cache/huddle/node/nodetest"
	"github.com/huddle-cache/huddle/strategy"
	"github.com/huddle-cache/huddle/strategy/ginstore"
	"github.com/huddle-cache/huddle/strategy/gorillastore"
)

func TestMain(m *testing.M) {
	gin.SetMode(gin.TestMode)
	goleak.VerifyTestMain(m)
}

func keys() [][]byte { return [][]byte{[]byte("a key of thirty-two bytes to sign")} }

// TestOwnSuite runs the tests that gin-contrib/sessions has for stores.
func TestOwnSuite(t *testing.T) {
	c := nodetest.Start(t, 3)
	for name, test := range map[string]func(*testing.T, func(*testing.T) sessions.Store){
		"GetSet":    func(t *testing.T, f func(*testing.T) sessions.Store) { tester.GetSet(t, f) },
		"DeleteKey": func(t *testing.T, f func(*testing.T) sessions.Store) { tester.DeleteKey(t, f) },
		"Flashes":   func(t *testing.T, f func(*testing.T) sessions.Store) { tester.Flashes(t, f) },
		"Clear":     func(t *testing.T, f func(*testing.T) sessions.Store) { tester.Clear(t, f) },
		"Options":   func(t *testing.T, f func(*testing.T) sessions.Store) { tester.Options(t, f) },
		"Many":      func(t *testing.T, f func(*testing.T) sessions.Store) { tester.Many(t, f) },
	} {
		t.Run(name, func(t *testing.T) {
			test(t, func(*testing.T) sessions.Store {
				return ginstore.New(c.Node(1), keys(), strategy.WithStorePrefix(name+":"))
			})
		})
	}
}

// service is a small gin service, as each replica runs it.
func service(t *testing.T, n *node.Node) string {
	t.Helper()
	store := ginstore.New(n, keys(), strategy.WithStoreWait(300*time.Millisecond), gorillastore.WithUser(func(values map[any]any) string {
		user, _ := values["user"].(string)
		return user
	}))
	store.Options(sessions.Options{Path: "/", HttpOnly: true})
	r := gin.New()
	r.Use(sessions.Sessions("session", store), ginstore.Certain("session", store))
	save := func(c *gin.Context, session sessions.Session) {
		switch err := session.Save(); {
		case errors.Is(err, strategy.ErrRevoked):
			c.String(http.StatusUnauthorized, "ended")
		case err != nil:
			c.String(http.StatusServiceUnavailable, "later")
		default:
			c.String(http.StatusOK, "done")
		}
	}
	r.GET("/login", func(c *gin.Context) {
		session := sessions.Default(c)
		session.Set("user", c.Query("user"))
		save(c, session)
	})
	r.GET("/me", func(c *gin.Context) { c.String(http.StatusOK, fmt.Sprint(sessions.Default(c).Get("user"))) })
	r.GET("/logout", func(c *gin.Context) {
		session := sessions.Default(c)
		session.Clear()
		session.Options(sessions.Options{Path: "/", MaxAge: -1})
		save(c, session)
	})
	r.GET("/everywhere", func(c *gin.Context) {
		if err := store.RevokeUser(c.Request.Context(), c.Query("user")); err != nil {
			c.String(http.StatusServiceUnavailable, err.Error())
		}
	})
	server := httptest.NewServer(r)
	t.Cleanup(server.Close)
	return server.URL
}

func TestService(t *testing.T) {
	c := nodetest.Start(t, 3)
	var urls []string
	for _, n := range c.Nodes() {
		urls = append(urls, service(t, n))
	}
	jar, err := cookiejar.New(nil) // cookies do not tell ports apart: one jar serves all replicas
	if err != nil {
		t.Fatal(err)
	}
	client := &http.Client{Jar: jar, Timeout: 15 * time.Second}
	t.Cleanup(client.CloseIdleConnections)
	get := func(replica int, path string) (int, string) {
		t.Helper()
		res, err := client.Get(urls[replica] + path)
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		body, err := io.ReadAll(res.Body)
		if err != nil {
			t.Fatal(err)
		}
		return res.StatusCode, string(body)
	}
	want := func(replica int, path string, status int, body string) {
		t.Helper()
		if s, b := get(replica, path); s != status || body != "" && b != body {
			t.Errorf("%s on %d: %d %q, want %d %q", path, replica, s, b, status, body)
		}
	}
	want(0, "/login?user=ada", http.StatusOK, "done")
	for i := range urls {
		want(i, "/me", http.StatusOK, "ada")
	}
	want(2, "/everywhere?user=ada", http.StatusOK, "")
	for i := range urls {
		want(i, "/me", http.StatusOK, "<nil>")
	}
	want(1, "/login?user=ada", http.StatusOK, "done")
	site, err := url.Parse(urls[0])
	if err != nil {
		t.Fatal(err)
	}
	thief := jar.Cookies(site)
	want(2, "/logout", http.StatusOK, "done")
	jar.SetCookies(site, thief)
	for i := range urls {
		want(i, "/me", http.StatusOK, "<nil>")
	}

	// What revoke-user does ends these sessions too.
	jar.SetCookies(site, nil)
	want(1, "/login?user=ada", http.StatusOK, "done")
	if err := c.Node(0).InvalidateTags(t.Context(), strategy.UserTag("ada")); err != nil {
		t.Fatal(err)
	}
	for i := range urls {
		want(i, "/me", http.StatusOK, "<nil>")
	}

	// A replica that is cut off does not say that nobody is logged in.
	jar.SetCookies(site, nil)
	want(1, "/login?user=bob", http.StatusOK, "done")
	want(0, "/me", http.StatusOK, "bob")
	c.Isolate(0)
	for begin := time.Now(); ; {
		status, body := get(0, "/me")
		if status == http.StatusServiceUnavailable {
			break
		}
		if body != "bob" || time.Since(begin) > 10*time.Second {
			t.Fatalf("cut off: %d %q", status, body)
		}
	}
	c.WaitSettled() // the others have gone on without it
	want(1, "/me", http.StatusOK, "bob")
	c.Heal(0)
	c.WaitSettled()
	want(0, "/me", http.StatusOK, "bob")
}

// What Certain has let through stays what it was: the handler gets the session that Certain has read, also where middleware between them and
// sessions.Sessions has given the request another context.
func TestCertainReadsWhatTheHandlerGets(t *testing.T) {
	type key struct{}
	trace := func(c *gin.Context) {
		c.Request = c.Request.WithContext(context.WithValue(c.Request.Context(), key{}, "trace"))
	}
	for what, many := range map[string]bool{"Sessions": false, "SessionsMany": true} {
		t.Run(what, func(t *testing.T) {
			c := nodetest.Start(t, 3)
			n := c.Node(0)
			store := ginstore.New(n, keys(), strategy.WithStoreWait(300*time.Millisecond))
			cut := func(g *gin.Context) { // between Certain and the handler the node loses touch with the others
				if g.Query("cut") != "" {
					c.Isolate(0)
					for n.Stats().Acting {
						time.Sleep(10 * time.Millisecond)
					}
				}
			}
			first, session := sessions.Sessions("session", store), sessions.Default
			if many {
				first = sessions.SessionsMany([]string{"session"}, store)
				session = func(g *gin.Context) sessions.Session { return sessions.DefaultMany(g, "session") }
			}
			r := gin.New()
			r.Use(first, trace, ginstore.Certain("session", store), cut)
			r.GET("/login", func(g *gin.Context) {
				session(g).Set("user", "ada")
				if err := session(g).Save(); err != nil {
					t.Error(err)
				}
			})
			r.GET("/me", func(g *gin.Context) { g.String(http.StatusOK, "%v", session(g).Get("user")) })
			w := httptest.NewRecorder()
			r.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/login", nil))
			for _, want := range []struct {
				path, body string
				status     int
			}{{"/me", "ada", http.StatusOK}, {"/me?cut=1", "ada", http.StatusOK}, {"/me", "", http.StatusServiceUnavailable}} {
				req := httptest.NewRequest(http.MethodGet, want.path, nil)
				req.AddCookie(w.Result().Cookies()[0])
				got := httptest.NewRecorder()
				if r.ServeHTTP(got, req); got.Code != want.status || got.Body.String() != want.body {
					t.Errorf("%s: %d %q, want %d %q", want.path, got.Code, got.Body, want.status, want.body)
				}
				if again := got.Header().Get("Retry-After"); (again != "") != (want.status == http.StatusServiceUnavailable) {
					t.Errorf("%s: %d, to be tried again after %q", want.path, got.Code, again)
				}
			}
			c.Heal(0)
		})
	}
}

// The options of the store are those of its sessions' cookies; without a MaxAge they leave the age as it is.
func TestOptions(t *testing.T) {
	store := ginstore.New(nodetest.Start(t, 1).Node(0), keys())
	r := gin.New()
	r.Use(sessions.Sessions("session", store))
	r.GET("/", func(g *gin.Context) {
		sessions.Default(g).Set("user", "ada")
		if err := sessions.Default(g).Save(); err != nil {
			t.Error(err)
		}
	})
	const month = 30 * 24 * 60 * 60
	for _, c := range []struct{ age, want int }{{0, month}, {7, 7}, {0, 7}} {
		store.Options(sessions.Options{Path: "/shop", MaxAge: c.age, Secure: true})
		w := httptest.NewRecorder()
		r.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/", nil))
		if cookie := w.Result().Cookies()[0]; cookie.MaxAge != c.want || cookie.Path != "/shop" || !cookie.Secure {
			t.Errorf("options with a MaxAge of %d: %v, want %d", c.age, cookie, c.want)
		}
	}
}
