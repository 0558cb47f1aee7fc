package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"time"
)

// browser holds one session cookie, and keeps showing it after the service has taken it back: as a thief would.
type browser struct {
	name   string
	cookie *http.Cookie
}

// checker runs the steps of the story and remembers the first that went wrong.
type checker struct {
	ctx context.Context
	out io.Writer
	err error
}

func (c *checker) say(text string) {
	if c.err == nil {
		fmt.Fprintln(c.out, "\n"+text)
	}
}

// want asks one replica and compares the answer.
func (c *checker) want(b *browser, r *replica, method, path string, status int, body string) {
	if c.err != nil {
		return
	}
	gotStatus, gotBody, err := b.ask(c.ctx, method, r.url+path)
	switch {
	case err != nil:
		c.err = fmt.Errorf("%s %s on %s: %w", method, path, r.name, err)
	case gotStatus != status || gotBody != body:
		c.err = fmt.Errorf("%s %s of %s on %s: got %d %q, want %d %q", method, path, b.name, r.name, gotStatus, gotBody, status, body)
	default:
		fmt.Fprintf(c.out, "  %s, %s %s: %s answers %q\n", b.name, method, path, r.name, gotBody)
	}
}

func (b *browser) ask(ctx context.Context, method, target string) (int, string, error) {
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, method, target, nil)
	if err != nil {
		return 0, "", err
	}
	if b.cookie != nil {
		req.AddCookie(b.cookie)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, "", err
	}
	defer res.Body.Close()
	body, err := io.ReadAll(io.LimitReader(res.Body, 4<<10))
	for _, cookie := range res.Cookies() {
		if b.cookie == nil {
			b.cookie = cookie // that of the log-in, and no other
		}
	}
	return res.StatusCode, string(body), err
}

// story tells it and returns the replicas that are left.
func (c *checker) story(replicas []*replica) []*replica {
	const ada, nobody = "you are ada", "not logged in"
	laptop, phone, bob := &browser{name: "laptop"}, &browser{name: "phone"}, &browser{name: "bob"}

	c.say("Ada logs in on two devices, each on another replica. Bob logs in too.")
	c.want(laptop, replicas[0], http.MethodPost, "/login?user=ada", http.StatusOK, "welcome ada")
	c.want(phone, replicas[1], http.MethodPost, "/login?user=ada", http.StatusOK, "welcome ada")
	c.want(bob, replicas[2], http.MethodPost, "/login?user=bob", http.StatusOK, "welcome bob")

	c.say("Every replica knows her.")
	for _, r := range replicas {
		c.want(laptop, r, http.MethodGet, "/me", http.StatusOK, ada)
		c.want(phone, r, http.MethodGet, "/me", http.StatusOK, ada)
		c.want(&browser{name: "a stranger"}, r, http.MethodGet, "/me", http.StatusUnauthorized, nobody)
	}
	if c.err != nil {
		return replicas
	}

	c.say("A replica crashes. Nobody is logged out: a request waits until it is certain.")
	if c.err = replicas[2].kill(); c.err != nil {
		return replicas
	}
	replicas = replicas[:2]
	for _, r := range replicas {
		c.want(laptop, r, http.MethodGet, "/me", http.StatusOK, ada)
		c.want(bob, r, http.MethodGet, "/me", http.StatusOK, "you are bob")
	}

	c.say("She logs out everywhere, on the phone. From then on no replica lets any of her devices in.")
	c.want(phone, replicas[1], http.MethodPost, "/logout-everywhere", http.StatusOK, "bye, everywhere")
	for _, r := range replicas {
		c.want(laptop, r, http.MethodGet, "/me", http.StatusUnauthorized, nobody)
		c.want(phone, r, http.MethodGet, "/me", http.StatusUnauthorized, nobody)
		c.want(bob, r, http.MethodGet, "/me", http.StatusOK, "you are bob")
	}

	c.say("Bob logs out.")
	c.want(bob, replicas[0], http.MethodPost, "/logout", http.StatusOK, "bye")
	c.want(bob, replicas[1], http.MethodGet, "/me", http.StatusUnauthorized, nobody)
	c.say("Every answer was right.")
	return replicas
}
