package protocol

import (
	"fmt"
	"maps"
	"slices"

	"github.com/huddle-cache/huddle/node/store"
	pb "github.com/huddle-cache/huddle/transport/peerpb"
)

const never64 = int64(1) << 62

// checker records every operation's begin and end in the world's own time, and judges each read when it ends.
type checker struct {
	s        *sim
	failures []string
	value    int
	sets     map[string]*simWrite // by value
	acked    map[int][]*simWrite  // by key: confirmed writes, deletes and cuts
	all      map[int][]*simWrite  // by key: every write, also the unconfirmed, in the order in which they began
	gen      map[int]int          // of revocable keys

	revoked  map[string][]*simWrite // by token: confirmed revocations
	won      map[string][]*simWrite // by lock: Sets of an absent key that were told they are the one
	freed    map[string][]*simWrite // by lock: its deletes, and the cuts of everything, also the unconfirmed
	replaced map[string]bool        // by value and version: a write on condition of those was confirmed

	seen, refused map[string]bool // by value
}

type simWrite struct {
	kind       string
	key        int // -1: a cut
	token      string
	value      string
	begin, end int64 // end: never64 until confirmed
	age        int64 // of a fill: when it was read from the database
	fill       bool
	version    uint64   // that it was given, if confirmed
	chain      uint64   // that this is of
	ends       bool     // a Set whose value has a TTL, or may have, or tags of another key
	revokes    bool     // a delete for good, or until the retention ends
	replaces   string   // what it is conditional on: a value and its version
	asOf       *simRead // what it is conditional on: that nothing has changed since then
	ifPresent  bool
	ifAbsent   bool
	tags       []string  // of a cut; none: of everything
	only       []string  // of a Set: its tags, if they are not all that its key has
	madeOf     *simWrite // what the value was made of: a cut that ends the one ends the other
	moved      func()    // goes on when it is confirmed
}

// simRead is what a condition goes by: a version or a ticket that was got at a time, in a chain, and the tags it had, or is to have.
type simRead struct {
	at    int64
	chain uint64
	tags  []string
}

func newChecker(s *sim) *checker {
	return &checker{
		s: s, sets: map[string]*simWrite{}, acked: map[int][]*simWrite{}, all: map[int][]*simWrite{},
		gen: map[int]int{}, revoked: map[string][]*simWrite{},
		won: map[string][]*simWrite{}, freed: map[string][]*simWrite{}, replaced: map[string]bool{},
		seen: map[string]bool{}, refused: map[string]bool{},
	}
}

func (c *checker) fail(format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	c.s.logf("FAILED: %s", text)
	if len(c.failures) < 3 {
		c.failures = append(c.failures, text)
	}
}

// revocable tells whether a key's token, once revoked, makes way for a new one. Others are used all along.
func (c *checker) revocable(key int) bool { return key >= c.s.cfg.keys-c.s.cfg.revoked }

func (c *checker) token(key int) string {
	if c.revocable(key) {
		return fmt.Sprintf("r%d.%d", key, c.gen[key])
	}
	return fmt.Sprintf("k%d", key)
}

// tagsOf are what the entries of a key are tagged with: other keys share the one or the other.
func (c *checker) tagsOf(key int) []string {
	return []string{fmt.Sprintf("t%d", key%c.s.cfg.tags), fmt.Sprintf("s%d", key%3)}
}

// covers tells whether a write or a cut is of a key.
func (c *checker) covers(w *simWrite, key int) bool {
	if w.key >= 0 {
		return w.key == key
	}
	return len(w.tags) == 0 || slices.ContainsFunc(c.tagsOf(key), func(tag string) bool { return slices.Contains(w.tags, tag) })
}

// ends tells whether a write or a cut, of the key of a value, ends that.
func (c *checker) ends(x, w *simWrite) bool {
	if x.key < 0 && len(x.tags) > 0 && w.only != nil {
		return slices.ContainsFunc(w.only, func(tag string) bool { return slices.Contains(x.tags, tag) })
	}
	return c.covers(x, w.key)
}

// locks judges that no two held a lock at once: between two that won it lies something that may have freed it. A Delete may take
// effect more than once while it is under way, for it is sent again when a session breaks; so this is not linearizability.
func (c *checker) locks() {
	for token, won := range c.won {
		for i := 1; i < len(won); i++ { // in the order in which they were told
			a, b := won[i-1], won[i]
			freed := func(w *simWrite) bool { return w.begin < b.end && w.end > min(a.begin, b.begin) }
			if !slices.ContainsFunc(c.freed[token], freed) && !slices.ContainsFunc(c.freed[""], freed) {
				c.fail("lock %s won at %.3f (from %.3f on) and at %.3f (from %.3f on), with nothing between that frees it",
					token, f(a.end), f(a.begin), f(b.end), f(b.begin))
			}
		}
	}
}

// judge: is the value read older than a write that was confirmed before the read began (P1, P6)?
func (c *checker) judge(p *simProc, key int, token string, e *store.Entry, begin int64, how string) {
	c.s.stats.Hits++
	w := c.sets[e.Value]
	if w == nil {
		c.fail("%s read a value nobody wrote", p.name)
		return
	}
	if c.seen[e.Value] = true; c.refused[e.Value] {
		c.fail("%s read (%s) %s=%s, which was refused to whom wrote it", p.name, how, token, w.value)
	}
	if c.s.cfg.forget > 0 { // a part may serve what another has replaced
		return
	}
	if r := c.revocation(token, begin); r != nil && !c.kept(r) {
		c.s.stats.Revived++ // a late Set after every copy of the revocation was lost at once, for P5 reaches as far as P2, or was given up for want of room
	} else if r != nil {
		c.fail("P5: %s read (%s) %s=%s, revoked at %.3f, before the read began at %.3f", p.name, how, token, w.value, f(r.end), f(begin))
	}
	for made := w.madeOf; made != nil; made = made.madeOf {
		if x := c.endedBy(made, begin); x != nil {
			c.fail("P1: %s read (%s) %s=%s, made of %s=%s of %.3f, older than a cut of %v of %.3f confirmed at %.3f, before the read began at %.3f",
				p.name, how, token, w.value, made.token, made.value, f(made.since()), x.tags, f(x.begin), f(x.end), f(begin))
			return
		}
	}
	age := w.since()
	for _, x := range c.acked[key] {
		if w.ifPresent && x.end < begin && c.outlived(x, w) {
			c.fail("P1: %s read (%s) %s=%s, which took the place of what a cut of %v of %.3f ended, confirmed at %.3f, before the read began at %.3f",
				p.name, how, token, w.value, x.tags, f(x.begin), f(x.end), f(begin))
			return
		}
		if x.end < begin && (age < x.begin && c.ends(x, w) || p.m.lay.view.Chain == x.chain && x.above(e)) {
			for _, q := range c.s.procs {
				if q.m.lay != nil {
					pt := &q.m.parts[partOf(token)]
					h := q.m.store.Get(partOf(token), token)
					c.s.logf("  %s view %d part %d owner %v acting %v holder %v complete %v holders %v entry %+v", q.name, q.m.lay.number(), partOf(token), pt.owner, pt.acting, pt.holder, pt.complete.Load(), pt.holders[token], h)
				}
			}
			c.fail("P1: %s read (%s) %s=%s of %s, older than a %s of %.3f confirmed at %.3f, before the read began at %.3f",
				p.name, how, token, w.value, when(age), x.kind, f(x.begin), f(x.end), f(begin))
			return
		}
	}
}

// outlived tells whether what a save on condition that the key is there can have been made of is all older than a cut of it.
func (c *checker) outlived(x, w *simWrite) bool {
	if x.kind != "cut" || len(x.tags) > 0 && !slices.Contains(x.tags, c.tagsOf(w.key)[0]) { // the tag that all values of the key have
		return false
	}
	return w.begin < x.end && !c.setSince(x, w)
}

// above tells whether a confirmed write or cut has a later version than an entry of its scope. So has every one whose owner made it after the entry,
// also if that was not confirmed, or at the same time.
func (w *simWrite) above(e *store.Entry) bool {
	switch {
	case w.key >= 0:
		return w.token == e.Key && e.Version < w.version
	case len(w.tags) > 0 && !slices.ContainsFunc(e.Tags, func(tag string) bool { return slices.Contains(w.tags, tag) }):
		return false
	}
	return e.Age() < w.version
}

// since is when a value was there at the latest.
func (w *simWrite) since() int64 {
	if w.fill {
		return w.age
	}
	return w.end
}

// endedBy returns a cut that was confirmed before a time and has ended a value, or nil.
func (c *checker) endedBy(w *simWrite, before int64) *simWrite {
	for _, x := range c.acked[w.key] {
		if x.kind == "cut" && x.end < before && w.since() < x.begin && c.ends(x, w) {
			return x
		}
	}
	return nil
}

// revocation returns one of a token that was confirmed before a read began, and that cannot have ended before now, or nil.
func (c *checker) revocation(token string, begin int64) *simWrite {
	for _, r := range c.revoked[token] {
		if r.end < begin && c.s.now < r.begin+c.s.cfg.retention*98/100 { // the fastest clock runs ahead by 1 %
			return r
		}
	}
	return nil
}

// kept tells whether a confirmed write is under the premise of P2: never have too many died at once, or nobody has since it began. Nor is there so little
// room that it may have been given up.
func (c *checker) kept(w *simWrite) bool {
	if c.s.cfg.forget > 0 || c.s.cfg.memory < 1<<20 || c.s.cfg.graves > 0 && w.kind == "delete" {
		return false
	}
	return c.s.cfg.careful || w.begin > c.s.lostAt
}

// absent judges the answer that a key is certainly absent, under the premise of P2.
func (c *checker) absent(p *simProc, key int, token string, begin int64, how string) {
	c.s.stats.Misses++
	if w := c.lasting(key, token, begin); w != nil && c.kept(w) {
		c.fail("P2: %s was told (%s), from %.3f on, that %s is absent: %s was confirmed at %.3f", p.name, how, f(begin), token, w.value, f(w.end))
	}
}

// lasting returns, of the Sets of a key that were confirmed before a time, the one that began last, if there must be a value since then: it has no
// TTL, and nothing that ends values can have taken effect after it. Else it returns nil.
func (c *checker) lasting(key int, token string, before int64) *simWrite {
	last := (*simWrite)(nil)
	for _, w := range c.all[key] {
		if w.kind == "set" && w.token == token && w.end < before {
			last = w
		}
	}
	if last == nil || last.ends {
		return nil
	}
	for _, w := range c.all[key] {
		until := w.end
		if until == never64 {
			until = w.begin + goesOn + 10*sec // what is sent by then may be held up
		}
		if (w.kind == "delete" || w.kind == "cut" || w.ends) && (w.token == token || w.token == "") && until >= last.begin {
			return nil
		}
	}
	return last
}

func f(t int64) float64 { return float64(t) / 1e9 }

// when is f of a time that may never have come.
func when(t int64) string {
	if t == never64 {
		return "a write never confirmed"
	}
	return fmt.Sprintf("%.3f", f(t))
}

// began records a write; ended confirms it.
func (c *checker) began(w *simWrite) *simWrite {
	w.begin, w.end = c.s.now, never64
	if w.value != "" {
		c.sets[w.value] = w
	}
	for k := range c.s.cfg.keys {
		if c.covers(w, k) {
			c.all[k] = append(c.all[k], w)
		}
	}
	return w
}

func (c *checker) ended(p *simProc, w *simWrite, r Result) {
	if r.Status != pb.Status_OK {
		if c.s.stats.Unacked++; r.Status == pb.Status_CONDITION || r.Status == pb.Status_FULL {
			c.refuse(p, w, r.Status)
		}
		return
	}
	c.s.stats.Acked++
	w.end, w.chain = c.s.now, p.m.lay.view.Chain
	if w.key >= 0 {
		w.version = r.Version
	}
	for k := range c.s.cfg.keys {
		if c.covers(w, k) {
			c.acked[k] = append(c.acked[k], w)
		}
	}
	c.s.logf("%s: %s %s%v confirmed (began %.3f) %s", p.name, w.kind, w.token, w.tags, f(w.begin), w.value)
	c.condition(p, w)
	if w.moved != nil {
		w.moved()
	}
	if w.replaces != "" {
		if c.replaced[w.replaces] && c.s.cfg.forget == 0 {
			c.fail("two writes of %s were told that they had replaced %s", w.token, w.replaces)
		}
		c.replaced[w.replaces] = true
	}
	if w.revokes {
		c.revoked[w.token] = append(c.revoked[w.token], w)
	}
	if w.revokes && c.revocable(w.key) { // late writes of the old token go on for a while; then a new one takes its place
		c.s.at(c.s.between(0, 2*sec), nil, func() {
			if c.token(w.key) == w.token {
				c.gen[w.key]++
			}
		})
	}
}

// condition judges a conditional write that was done: what was confirmed before it began must have had it refused.
func (c *checker) condition(p *simProc, w *simWrite) {
	if c.s.cfg.forget > 0 {
		return
	}
	for _, x := range c.acked[w.key] {
		if x.end >= w.begin || x.key >= 0 && x.token != w.token {
			continue
		}
		if o := w.asOf; o != nil && x.begin > o.at && x.chain == o.chain && p.m.lay.view.Chain == o.chain && (x.key >= 0 || len(x.tags) == 0 ||
			slices.ContainsFunc(o.tags, func(tag string) bool { return slices.Contains(x.tags, tag) })) {
			c.fail("a write of %s=%s that began at %.3f at %s was told that nothing had changed since %.3f: a %s of %.3f was confirmed at %.3f",
				w.token, w.value, f(w.begin), p.name, f(o.at), x.kind, f(x.begin), f(x.end))
		}
		if w.ifPresent && (x.kind == "delete" || x.kind == "cut" && len(x.tags) == 0) && !c.setSince(x, w) {
			c.fail("a write of %s=%s that began at %.3f at %s was told that the key is there: a %s of %.3f was confirmed at %.3f, and nothing has set it since",
				w.token, w.value, f(w.begin), p.name, x.kind, f(x.begin), f(x.end))
		}
	}
	if w.ifAbsent {
		if x := c.lasting(w.key, w.token, w.begin); x != nil && c.kept(x) {
			c.fail("P2: a write of %s=%s that began at %.3f at %s was told that the key is absent: %s was confirmed at %.3f", w.token, w.value, f(w.begin), p.name, x.value, f(x.end))
		}
	}
}

// setSince tells whether something may have set the key of w after x, before that was done.
func (c *checker) setSince(x, w *simWrite) bool {
	return slices.ContainsFunc(c.all[w.key], func(y *simWrite) bool {
		switch {
		case y == w || y.value == "" || y.token != w.token || y.end < x.begin:
			return false
		case y.fill:
			return y.age >= x.begin
		}
		return y.end != never64 || y.begin+goesOn+10*sec >= x.begin
	})
}

// refuse judges that what was refused has not been written, and takes it out of what may have taken effect.
func (c *checker) refuse(p *simProc, w *simWrite, s pb.Status) {
	if w.value != "" {
		if c.refused[w.value] = true; c.seen[w.value] {
			c.fail("%s was told %v for %q, which was read", p.name, s, w.value)
		}
	}
	for k := range c.s.cfg.keys {
		c.all[k] = slices.DeleteFunc(c.all[k], func(x *simWrite) bool { return x == w })
	}
}

// finality judges that what was revoked in any part, and no member of which has died, is revoked everywhere once the parts have met (P5).
func (c *checker) finality() {
	for _, token := range slices.Sorted(maps.Keys(c.revoked)) {
		for _, p := range c.s.procs {
			if holder, _ := p.m.lay.holds(p.id, partOf(token)); !holder {
				continue
			}
			if e := p.m.store.Get(partOf(token), token); e == nil || e.Kind != store.Revoked {
				c.fail("P5: %s, revoked at %.3f, is not revoked at %s: %+v", token, f(c.revoked[token][0].end), p.name, e)
			}
		}
	}
}

// end judges what must hold once the faults have ceased: the cluster is one and in sync (P4), and, if at most
// Replicas-1 nodes died at a time, nothing confirmed has been lost (P2).
func (c *checker) end() {
	if len(c.failures) > 0 {
		return
	}
	if !c.s.allInSync() {
		for _, p := range c.s.procs {
			if m := p.m; m.lay != nil {
				c.s.logf("%s: view %s missing %d waiting %d barrier %v leased %v gone %v", p.name, m.lay.view, m.missing, len(m.waiting), m.barrierOff, m.leased(), p.gone)
			} else {
				c.s.logf("%s: no view, gone %v", p.name, p.gone)
			}
			for _, id := range p.m.order {
				q := p.m.peers[id]
				c.s.logf("   knows %s %x session %d gossiped %v chain %x refused %v silent %v suspects %x", q.member.Name, id>>48, q.session, q.gossiped, q.chain>>48, q.refused, p.m.silent(id, p.Now()), q.suspects)
			}
			c.s.logf("   campaign %+v vote %+v wantedAt %d left %v leaving %v", p.m.campaign, p.m.vote, p.m.wantedAt, p.m.left, p.m.leaving)
		}
		c.fail("not healed %.0f s after the last fault", f(c.s.cfg.quiet))
		return
	}
	for _, p := range c.s.procs {
		if m := p.m; !p.gone && m.lay == nil && c.s.now-p.born > 10*sec && m.clash.with == nil {
			c.fail("%s is outside, and does not say that its name is in use", p.name)
		}
	}
	if c.s.cfg.forget > 0 {
		c.finality()
	}
	if !c.s.cfg.careful {
		return
	}
	c.locks()
	for key := range c.s.cfg.keys {
		token := c.token(key)
		owner := c.s.procs[0]
		for _, p := range c.s.procs {
			if p.m.lay == nil {
				continue
			}
			if _, own := p.m.lay.holds(p.id, partOf(token)); own {
				owner = p
			}
		}
		e, out := owner.m.Read(token)
		if w := c.lasting(key, token, c.s.now); out != Hit && w != nil {
			c.fail("P2: %s=%s, confirmed at %.3f, is lost (%d)", token, w.value, f(w.end), out)
		} else if out == Hit {
			c.judge(owner, key, token, e, c.s.now, "at the end")
		}
	}
}
