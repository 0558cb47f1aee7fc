package protocol

import (
	"fmt"
	"strings"

	pb "github.com/huddle-cache/huddle/transport/peerpb"
)

// What the callers of the simulated processes do. How it ends is judged in check_test.go.

// client issues operations at a process.
func (s *sim) client(p *simProc) {
	var next func()
	next = func() {
		if p.leaving {
			return
		}
		s.check.operate(p)
		every := s.cfg.opEvery
		if s.cfg.sharp && !s.quietNow {
			every /= 6
		}
		s.at(s.between(1, 2*every), p, next)
	}
	s.at(s.between(1, 2*s.cfg.opEvery), p, next)
}

func (c *checker) operate(p *simProc) {
	if c.s.quietNow && c.s.now > c.s.cfg.duration+c.s.cfg.quiet/2 {
		c.read(p, c.s.r.Intn(c.s.cfg.keys))
		return
	}
	c.s.stats.Ops++
	key := c.s.r.Intn(c.s.cfg.keys)
	if c.s.cfg.sharp && c.s.chance(0.4) { // denser, so more of them are reads
		c.read(p, key)
		return
	}
	if c.s.cfg.cuts > 0 && c.s.chance(c.s.cfg.cuts) {
		c.clear(p, fmt.Sprintf("u%d", c.s.r.Intn(500)))
		return
	}
	if c.s.cfg.careful && c.s.chance(0.1) {
		c.lock(p, fmt.Sprintf("l%d", key%2))
		return
	}
	switch x := c.s.r.Float64(); {
	case x < 0.60:
		c.read(p, key)
	case x < 0.74:
		c.set(p, key)
	case x < 0.88:
		c.delete(p, key)
	case x < 0.92:
		c.load(p, key)
	case x < 0.95:
		c.touch(p, key)
	case x < 0.98:
		c.clear(p, c.keyTag(c.s.r.Intn(c.s.cfg.tags)))
	default:
		c.clear(p, "")
	}
}

const opTime = 600 * ms

func (c *checker) read(p *simProc, key int) {
	begin, token := c.s.now, c.token(key)
	if e, out := p.m.Read(token); out == Hit {
		c.s.stats.LocalHits++
		c.judge(p, key, token, e, begin, "local")
		return
	} else if out == Absent {
		c.s.stats.Misses++
		return
	}
	patience, calm := opTime, c.s.now > c.s.cfg.duration+8*sec && p.m.InSync()
	if calm {
		patience = 4 * sec
	}
	p.m.Get(&pb.Get{Key: token, Keep: true}, p.Now()+patience, func(r Result) {
		if calm && r.Status == pb.Status_UNSURE && p.m.leased() && !p.m.leaving {
			c.fail("P3: %s did not answer a read of %s from %.3f on, long after the last fault", p.name, token, f(begin))
		}
		switch r.Status {
		case pb.Status_OK:
			c.judge(p, key, token, r.Entry, begin, "remote")
		case pb.Status_ABSENT:
			c.s.stats.Misses++
		default:
			c.s.stats.Unsure++
		}
	})
}

func (c *checker) newValue() string {
	c.value++
	return fmt.Sprintf("v%d", c.value) + strings.Repeat(" ", c.s.cfg.padding)
}

func (c *checker) set(p *simProc, key int) {
	w := c.began(&simWrite{kind: "set", key: key, token: c.token(key), value: c.newValue()})
	b := &pb.Write{Key: w.token, Value: []byte(w.value), Tags: []string{c.keyTag(key)}}
	if c.s.cfg.sharp && c.s.chance(0.2) { // ends soon: what it took the place of must not come back
		b.Ttl = c.s.between(20*ms, 2*sec)
	}
	p.m.Write(b, p.Now()+opTime*8, 0, func(r Result) {
		if c.ended(p, w, r); r.Status == pb.Status_FULL {
			if c.refused[w.value] = true; c.seen[w.value] {
				c.fail("%s was told that too much was under way for %q, which was read", p.name, w.value)
			}
		}
	})
}

func (c *checker) delete(p *simProc, key int) {
	w := c.began(&simWrite{kind: "delete", key: key, token: c.token(key)})
	b := &pb.Write{Key: w.token, Kind: pb.Kind_TOMBSTONE}
	if key >= c.s.cfg.keys-c.s.cfg.revoked {
		b.Kind = pb.Kind_REVOKED
	}
	p.m.Write(b, p.Now()+opTime*8, p.Now()+opTime*20, func(r Result) {
		c.ended(p, w, r)
		if b.Kind == pb.Kind_REVOKED && r.Status == pb.Status_OK {
			c.revoked[w.token] = c.s.now
			// Late writes of the old token go on for a while; then a new one takes its place.
			c.s.at(c.s.between(0, 2*sec), nil, func() {
				if c.token(key) == w.token {
					c.gen[key]++
				}
			})
		}
	})
}

func (c *checker) touch(p *simProc, key int) {
	p.m.Write(&pb.Write{Key: c.token(key), Touch: true, Ttl: 3600 * sec}, p.Now()+opTime, 0, func(Result) {})
}

func (c *checker) clear(p *simProc, tag string) {
	w := c.began(&simWrite{kind: "cut", key: -1, tag: tag})
	var tags []string
	if tag != "" {
		tags = []string{tag}
	} else {
		c.freed[""] = append(c.freed[""], w)
	}
	p.m.Cut(tags, p.Now()+opTime*8, p.Now()+opTime*20, func(r Result) { c.ended(p, w, r) })
}

// load fills from the database after a miss, some time later (P6).
func (c *checker) load(p *simProc, key int) {
	token := c.token(key)
	p.m.Get(&pb.Get{Key: token, Fill: true, Keep: true}, p.Now()+opTime, func(r Result) {
		if r.Status != pb.Status_ABSENT {
			return
		}
		w := &simWrite{kind: "fill", key: key, token: token, value: c.newValue(), fill: true, age: c.s.now}
		late := 800 * ms
		if c.s.cfg.sharp && c.s.chance(0.2) {
			late = 5 * sec
		}
		c.s.at(c.s.between(ms, late), p, func() {
			c.began(w)
			b := &pb.Write{Key: token, Value: []byte(w.value), Tags: []string{c.keyTag(key)}, Ticket: r.Ticket, TicketChain: r.Chain}
			p.m.Write(b, p.Now()+opTime, 0, func(r Result) {
				if r.Status == pb.Status_OK {
					c.s.logf("%s: fill %s %s of %.3f stored", p.name, token, w.value, f(w.age))
				}
			})
		})
	})
}

// lock takes or frees a lock: a Set on condition that the key is absent, and a Delete.
func (c *checker) lock(p *simProc, token string) {
	w := &simWrite{kind: "lock", token: token, begin: c.s.now, end: never64}
	b := &pb.Write{Key: token, Value: []byte(c.newValue()), IfAbsent: true}
	value := string(b.Value)
	switch {
	case c.s.chance(0.2):
		p.m.Get(&pb.Get{Key: token}, p.Now()+opTime, func(r Result) {
			if r.Status != pb.Status_OK {
				return
			}
			if c.refused[r.Entry.Value] {
				c.fail("%s read the value %q of a lock that was refused to whom wrote it", p.name, r.Entry.Value)
			}
			c.seen[r.Entry.Value] = true
		})
		return
	case c.s.chance(0.3):
		w.kind, b = "unlock", &pb.Write{Key: token, Kind: pb.Kind_TOMBSTONE}
		c.freed[token] = append(c.freed[token], w)
	}
	p.m.Write(b, p.Now()+opTime*8, 0, func(r Result) {
		if r.Status == pb.Status_CONDITION {
			if c.refused[value] = true; c.seen[value] {
				c.fail("a lock was refused at %s to whom wrote %q, which was read", p.name, value)
			}
		}
		if r.Status != pb.Status_OK {
			return
		}
		w.end = c.s.now
		if b.IfAbsent {
			c.won[token] = append(c.won[token], w)
		}
		c.s.logf("%s: %s %s (began %.3f)", p.name, w.kind, token, f(w.begin))
	})
}
