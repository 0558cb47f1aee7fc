package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"
)

// browser holds one session cookie, and keeps showing it after the service has taken it back: as a thief would.
type browser struct {
	name   string
	cookie *http.Cookie
}

// answer is what a replica said.
type answer struct {
	status  int
	body    string
	replica string
}

func (b *browser) ask(ctx context.Context, method, target string) (answer, error) {
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, method, target, nil)
	if err != nil {
		return answer{}, err
	}
	if b.cookie != nil {
		req.AddCookie(b.cookie)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return answer{}, err
	}
	defer res.Body.Close()
	body, err := io.ReadAll(io.LimitReader(res.Body, 4<<10))
	if err != nil {
		return answer{}, err
	}
	for _, c := range res.Cookies() {
		if c.Value != "" {
			b.cookie = c
		}
	}
	return answer{res.StatusCode, strings.TrimSpace(string(body)), res.Header.Get(replicaHeader)}, nil
}

// checker runs the steps of the story and remembers the first that went wrong.
type checker struct {
	ctx  context.Context
	out  io.Writer
	shop *shop
	err  error
}

func (c *checker) say(format string, args ...any) {
	if c.err == nil {
		fmt.Fprintf(c.out, format+"\n", args...)
	}
}

// want asks the next replica and compares the answer.
func (c *checker) want(b *browser, method, path string, status int, body string) {
	if c.err != nil {
		return
	}
	a, err := b.ask(c.ctx, method, c.shop.url+path)
	switch {
	case err != nil:
		c.err = fmt.Errorf("%s %s: %w", method, path, err)
	case a.status != status || a.body != body:
		c.err = fmt.Errorf("%s %s on %s's %s: got %d %q, want %d %q", method, path, a.replica, b.name, a.status, a.body, status, body)
	default:
		c.say("  %s, %s %s: %s answers %q", b.name, method, path, a.replica, a.body)
	}
}

// everywhere asks every replica itself.
func (c *checker) everywhere(b *browser, status int, body string) {
	for _, replica := range c.shop.replicas {
		if c.err != nil {
			return
		}
		a, err := b.ask(c.ctx, http.MethodGet, replica+"/me")
		switch {
		case err != nil:
			c.err = err
		case a.status != status || a.body != body:
			c.err = fmt.Errorf("%s asked %s for /me: got %d %q, want %d %q", b.name, a.replica, a.status, a.body, status, body)
		default:
			c.say("  %s asks %s who it is: %q", b.name, a.replica, a.body)
		}
	}
}

// check tells the story and fails at the first wrong answer.
func check(ctx context.Context, out io.Writer, s *shop, g *gate) error {
	const ada, nobody = "you are ada", "not logged in"
	c := &checker{ctx: ctx, out: out, shop: s}
	laptop, phone, tablet, bob := &browser{name: "laptop"}, &browser{name: "phone"}, &browser{name: "tablet"}, &browser{name: "bob"}

	c.say("\nAda logs in on three devices, each time on whichever replica comes next. Bob logs in too.")
	for _, b := range []*browser{laptop, phone, tablet} {
		c.want(b, http.MethodPost, "/login?user=ada", http.StatusOK, "welcome ada")
	}
	c.want(bob, http.MethodPost, "/login?user=bob", http.StatusOK, "welcome bob")

	c.say("\nEvery replica knows her, also those that she did not log in on.")
	c.everywhere(laptop, http.StatusOK, ada)
	c.everywhere(phone, http.StatusOK, ada)
	c.everywhere(&browser{name: "a stranger"}, http.StatusUnauthorized, nobody)

	c.say("\nShe logs out on the tablet. From then on no replica lets it in; the others are not touched.")
	c.want(tablet, http.MethodPost, "/logout", http.StatusOK, "bye")
	c.everywhere(tablet, http.StatusUnauthorized, nobody)
	c.everywhere(laptop, http.StatusOK, ada)

	c.say("\nA slow request of the laptop begins. Meanwhile she logs out everywhere, on the phone.")
	slow := make(chan error, 1)
	go func() {
		a, err := (&browser{name: "laptop", cookie: laptop.cookie}).ask(ctx, http.MethodGet, s.url+"/slow")
		if err == nil && a.status != http.StatusUnauthorized {
			err = fmt.Errorf("the slow request was answered with %d %q, want 401", a.status, a.body)
		}
		slow <- err
	}()
	select {
	case <-g.arrived:
	case err := <-slow:
		return fmt.Errorf("the slow request ended too early: %w", err)
	case <-ctx.Done():
		return ctx.Err()
	}
	c.want(phone, http.MethodPost, "/logout-everywhere", http.StatusOK, "bye, everywhere")
	c.everywhere(phone, http.StatusUnauthorized, nobody)
	c.everywhere(laptop, http.StatusUnauthorized, nobody)

	close(g.open)
	if err := <-slow; err != nil && c.err == nil {
		c.err = err
	}
	c.say("\nThe slow request ends and wants to save its session. It is refused: the session does not come back.")
	c.everywhere(laptop, http.StatusUnauthorized, nobody)

	c.say("\nBob is still there, and Ada may log in anew.")
	c.everywhere(bob, http.StatusOK, "you are bob")
	c.want(laptop, http.MethodPost, "/login?user=ada", http.StatusOK, "welcome ada")
	c.everywhere(laptop, http.StatusOK, ada)
	c.say("\nEvery answer was right.")
	return c.err
}
