package demo

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	mrand "math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/huddle-cache/huddle/cmd/internal/latency"
)

// slow is how long a read takes that a visitor would feel.
const slow = 250 * time.Millisecond

// firstNames are the visitors of the shop.
func firstNames() []string {
	return []string{
		"Anna", "Bela", "Chidi", "Dora", "Emil", "Fatima", "Goran", "Hana", "Ines", "Jonas", "Kaito", "Lena",
		"Mira", "Noah", "Olga", "Pablo", "Quinn", "Rosa", "Samir", "Tove", "Uma", "Viktor", "Wanda", "Yusuf",
	}
}

// visitor has at most one session at a time. mu is held during a request, so that what is expected is always known.
type visitor struct {
	id   int
	name string

	mu    sync.Mutex
	token string // empty: logged out
	value string // what the session should hold
	cart  int
}

// session is what the shop keeps for a visitor who is logged in.
type session struct {
	Token string `json:"token"`
	User  struct {
		ID         int    `json:"id"`
		Identifier string `json:"identifier"`
	} `json:"user"`
	Cart int `json:"cart"`
}

// tally counts what came of the visitors' requests.
type tally struct {
	reads, hits, absent        atomic.Uint64 // absent: a session after its log-out
	logins, logouts, updates   atomic.Uint64
	wrong                      atomic.Uint64 // answers that were wrong, and requests without an answer
	latency, afterKill         latency.Histogram
	slowAfterKill              atomic.Uint64
	killed                     atomic.Int64 // Unix nanoseconds of the last kill, 0: none
	healed                     atomic.Int64 // Unix nanoseconds of when the others had settled after it, 0: they have not
	lastSlow                   atomic.Int64 // nanoseconds after that kill, when the last slow read ended
	longestOutage, longestRead atomic.Int64 // nanoseconds, over all kills
}

// shop sends visitors through a balancer and checks every answer.
type shop struct {
	b        *balancer
	visitors []*visitor
	tally    tally
	wrongs   chan string // what was wrong, for the narration
	regulars []*visitor  // logged in before the shop opened, and away since

	mu   sync.Mutex
	gone []string // tokens logged out last
}

func newShop(b *balancer) *shop {
	s := &shop{b: b, wrongs: make(chan string, 100)}
	for i, name := range firstNames() {
		s.visitors = append(s.visitors, &visitor{id: i + 1, name: name})
	}
	return s
}

// open lets the visitors in until ctx ends.
func (s *shop) open(ctx context.Context, wg *sync.WaitGroup) {
	for _, v := range s.visitors {
		wg.Go(func() {
			for ctx.Err() == nil {
				s.step(ctx, v)
				select {
				case <-ctx.Done():
				case <-time.After(15*time.Millisecond + mrand.N(40*time.Millisecond)):
				}
			}
		})
	}
}

// step is one request of a visitor.
func (s *shop) step(ctx context.Context, v *visitor) {
	v.mu.Lock()
	defer v.mu.Unlock()
	switch dice := mrand.IntN(100); {
	case v.token == "":
		s.login(ctx, v)
	case dice < 3:
		s.logout(ctx, v)
	case dice < 8:
		s.update(ctx, v)
	default:
		s.browse(ctx, v, nil)
	}
}

func (s *shop) login(ctx context.Context, v *visitor) (reply, bool) {
	token, value := newToken(), ""
	v.cart = 0
	value = v.encode(token)
	r, err := s.b.set(ctx, key(token), value)
	if !s.answered(ctx, "the log-in of "+v.name, err) {
		return r, false
	}
	v.token, v.value = token, value
	s.tally.logins.Add(1)
	return r, true
}

func (s *shop) update(ctx context.Context, v *visitor) {
	v.cart++
	value := v.encode(v.token)
	_, err := s.b.set(ctx, key(v.token), value)
	if !s.answered(ctx, "a change to "+v.name+"'s cart", err) {
		v.token = "" // not known any more what it holds
		s.tally.logouts.Add(1)
		return
	}
	v.value = value
	s.tally.updates.Add(1)
}

// browse reads the session and checks it, through the given replica or any.
func (s *shop) browse(ctx context.Context, v *visitor, through *replica) (reply, bool) {
	r, err := s.read(ctx, through, v.token)
	if !s.answered(ctx, "a page for "+v.name, err) {
		return r, false
	}
	switch {
	case !r.found:
		s.fault("%s is logged in, but %s found no session", v.name, r.by.node.Name)
		return r, false
	case r.value != v.value:
		s.fault("%s got another session's or an old value through %s", v.name, r.by.node.Name)
		return r, false
	}
	s.tally.hits.Add(1)
	return r, true
}

// logout ends the session and looks for it everywhere.
func (s *shop) logout(ctx context.Context, v *visitor) (reply, bool) {
	token := v.token
	v.token = ""
	r, err := s.b.del(ctx, key(token))
	if !s.answered(ctx, "the log-out of "+v.name, err) {
		return r, false
	}
	s.tally.logouts.Add(1)
	s.mu.Lock()
	s.gone = append(s.gone, token)
	if len(s.gone) > 500 {
		s.gone = append(s.gone[:0], s.gone[250:]...)
	}
	s.mu.Unlock()
	ok := true
	for _, each := range s.b.replicas {
		if each.healthy.Load() {
			ok = s.checkGone(ctx, each, token, v.name) && ok
		}
	}
	return r, ok
}

// checkGone makes sure that a session that has ended is not found through the replica. One that cannot answer now is no
// reason to think that it would be.
func (s *shop) checkGone(ctx context.Context, each *replica, token, name string) bool {
	if each.node.PID() == 0 {
		return true
	}
	begun := time.Now()
	op, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	_, found, err := each.get(op, key(token))
	if err != nil {
		return true
	}
	s.measure(time.Since(begun))
	if found {
		s.fault("%s has logged out, but %s still has the session", name, each.node.Name)
		return false
	}
	s.tally.absent.Add(1)
	return true
}

func (s *shop) read(ctx context.Context, through *replica, token string) (r reply, err error) {
	if through != nil {
		r, err = s.b.getFrom(ctx, through, key(token))
	} else {
		r, err = s.b.get(ctx, key(token))
	}
	if err == nil || errors.Is(err, errNoAnswer) {
		s.measure(r.took)
	}
	return r, err
}

// measure counts one read.
func (s *shop) measure(took time.Duration) {
	t := &s.tally
	t.reads.Add(1)
	t.latency.Record(took)
	at := t.killed.Load()
	if at == 0 {
		return
	}
	now := time.Now()
	since := now.Sub(time.Unix(0, at))
	if healed := t.healed.Load(); since > 15*time.Second || healed != 0 && now.Add(-took).After(time.Unix(0, healed)) {
		return // it has nothing to do with the kill
	}
	t.afterKill.Record(took)
	raise(&t.longestRead, int64(took))
	if took >= slow {
		t.slowAfterKill.Add(1)
		t.lastSlow.Store(int64(since))
		raise(&t.longestOutage, int64(since))
	}
}

func raise(to *atomic.Int64, v int64) {
	for {
		old := to.Load()
		if v <= old || to.CompareAndSwap(old, v) {
			return
		}
	}
}

// answered tells whether a request was answered. One that was not is wrong, unless the demonstration is at its end.
func (s *shop) answered(ctx context.Context, what string, err error) bool {
	if err == nil {
		return true
	}
	if ctx.Err() == nil {
		s.fault("%s: %v", what, err)
	}
	return false
}

func (s *shop) fault(format string, args ...any) {
	s.tally.wrong.Add(1)
	select {
	case s.wrongs <- fmt.Sprintf(format, args...):
	default: // enough of them are being told
	}
}

// live is the number of visitors who are logged in just now.
func (s *shop) live() int {
	return int(s.tally.logins.Load()) - int(s.tally.logouts.Load())
}

func key(token string) string { return "session:" + token }

func newToken() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails
	return hex.EncodeToString(b[:])
}

func (v *visitor) encode(token string) string {
	var s session
	s.Token, s.Cart = token, v.cart
	s.User.ID, s.User.Identifier = v.id, v.name+"@shop.example"
	out, err := json.Marshal(s)
	if err != nil {
		return ""
	}
	return string(out)
}
