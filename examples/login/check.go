package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"
)

// checker runs the steps of the story and remembers the first that went wrong.
type checker struct {
	ctx  context.Context
	out  io.Writer
	urls []string
	db   *database
	err  error
}

func (c *checker) say(text string) {
	if c.err == nil {
		fmt.Fprintln(c.out, "\n"+text)
	}
}

// ask asks one replica, showing the cookie, and compares the answer. It returns the cookie that the service sets.
func (c *checker) ask(cookie *http.Cookie, replica int, request string, status int, body string) *http.Cookie {
	if c.err != nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(c.ctx, 20*time.Second)
	defer cancel()
	method, path, _ := strings.Cut(request, " ")
	req, err := http.NewRequestWithContext(ctx, method, c.urls[replica]+path, nil)
	if err != nil {
		c.err = err
		return nil
	}
	if cookie != nil {
		req.AddCookie(cookie)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		c.err = err
		return nil
	}
	defer res.Body.Close()
	data, err := io.ReadAll(io.LimitReader(res.Body, 4<<10))
	got := strings.TrimSpace(string(data))
	switch {
	case err != nil:
		c.err = err
	case res.StatusCode != status || got != body:
		c.err = fmt.Errorf("%s on replica %d: got %d %q, want %d %q", request, replica+1, res.StatusCode, got, status, body)
	default:
		fmt.Fprintf(c.out, "  %s: replica %d answers %q\n", request, replica+1, got)
	}
	for _, set := range res.Cookies() {
		return set
	}
	return nil
}

// everywhere asks every replica who the cookie's owner is.
func (c *checker) everywhere(cookie *http.Cookie, status int, body string) {
	for i := range c.urls {
		c.ask(cookie, i, "GET /me", status, body)
	}
}

// queries checks how many look-ups in the database the steps since the last call took. On a machine so busy that a node is
// not sure for a moment there may be a few more: then the database is asked, and nothing wrong is answered.
func (c *checker) queries(want int64) {
	const more = 3
	if got := c.db.queries.Swap(0); c.err == nil && (got < want || got > want+more) {
		c.err = fmt.Errorf("%d queries, want %d", got, want)
	} else if c.err == nil {
		fmt.Fprintf(c.out, "  that took the database %d queries\n", got)
	}
}

// check tells the story and fails at the first wrong answer.
func check(ctx context.Context, out io.Writer, urls []string, db *database) error {
	c := &checker{ctx: ctx, out: out, urls: urls, db: db}

	c.say("Ada, an admin, logs in on two devices, and Bob on one.")
	laptop := c.ask(nil, 0, "POST /login?user=ada", http.StatusOK, "welcome")
	phone := c.ask(nil, 1, "POST /login?user=ada", http.StatusOK, "welcome")
	bob := c.ask(nil, 2, "POST /login?user=bob", http.StatusOK, "welcome")

	c.say("Each session is looked up once, whichever replica is asked, and how often.")
	for range 3 {
		c.everywhere(laptop, http.StatusOK, "ada, admin")
		c.everywhere(phone, http.StatusOK, "ada, admin")
		c.everywhere(bob, http.StatusOK, "bob, guest")
	}
	c.queries(3)

	c.say("Bob becomes an editor. That counts at once, everywhere, and costs one query.")
	c.ask(bob, 0, "POST /role?user=ada&role=guest", http.StatusForbidden, "only for admins")
	c.ask(laptop, 1, "POST /role?user=bob&role=editor", http.StatusOK, "done")
	c.everywhere(bob, http.StatusOK, "bob, editor")
	c.queries(1)

	c.say("Ada logs out on the laptop. From then on no replica lets it in; the phone is not touched.")
	c.ask(laptop, 2, "POST /logout", http.StatusOK, "done")
	c.everywhere(laptop, http.StatusUnauthorized, "not logged in")
	c.everywhere(phone, http.StatusOK, "ada, admin")

	c.say("She logs in anew, and then out everywhere.")
	laptop = c.ask(nil, 0, "POST /login?user=ada", http.StatusOK, "welcome")
	c.everywhere(laptop, http.StatusOK, "ada, admin")
	c.ask(phone, 1, "POST /logout-everywhere", http.StatusOK, "done")
	c.everywhere(phone, http.StatusUnauthorized, "not logged in")
	c.everywhere(laptop, http.StatusUnauthorized, "not logged in")
	c.everywhere(bob, http.StatusOK, "bob, editor")
	c.say("Every answer was right.")
	return c.err
}
