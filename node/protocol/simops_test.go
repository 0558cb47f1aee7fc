package protocol

import (
	"fmt"
	"slices"
	"strings"

	pb "github.com/huddle-cache/huddle/transport/peerpb"
)

// What the callers of the simulated processes do. How it ends is judged in check_test.go.

// client issues operations at a process.
func (s *sim) client(p *simProc) {
	var next func()
	next = func() {
		s.check.operate(p)
		every := s.cfg.opEvery
		if s.cfg.sharp && !s.quietNow {
			every /= 6
		}
		s.at(s.between(1, 2*every), p, next)
	}
	s.at(s.between(1, 2*s.cfg.opEvery), p, next)
}

// operate does one operation, by chance.
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
	deletes, cuts := 0.12, 0.01
	if c.s.cfg.careful { // values live long enough to be lost
		deletes, cuts = 0.05, 0.003
	}
	switch x := c.s.r.Float64(); {
	case x < deletes:
		c.delete(p, key)
	case x < deletes+cuts:
		c.clear(p)
	case x < deletes+3*cuts:
		c.clear(p, c.tagsOf(key)[0])
	case x < deletes+4*cuts:
		c.clear(p, c.tagsOf(key)[0], "u", c.tagsOf(c.s.r.Intn(c.s.cfg.keys))[1])
	case x < 0.30:
		c.set(p, key)
	case x < 0.34:
		c.load(p, key)
	case x < 0.37:
		c.touch(p, key, 0)
	case x < 0.47:
		c.revise(p, key)
	case x < 0.495:
		c.move(p, c.s.r.Intn(c.s.cfg.keys-c.s.cfg.revoked), c.s.r.Intn(c.s.cfg.keys-c.s.cfg.revoked))
	default:
		c.read(p, key)
	}
}

const (
	opTime = 600 * ms    // that a caller waits for a read; for a write it waits eight times as long,
	goesOn = 20 * opTime // and a deletion goes on after that
)

func (c *checker) read(p *simProc, key int) {
	begin, token := c.s.now, c.token(key)
	if e, out := p.m.Read(token); out == Hit {
		c.s.stats.LocalHits++
		c.judge(p, key, token, e, begin, "local")
		return
	} else if out == Absent {
		c.absent(p, key, token, begin, "local")
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
			c.absent(p, key, token, begin, "remote")
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
	w, b := &simWrite{key: key}, &pb.Write{Key: c.token(key), Value: []byte(c.newValue()), Tags: c.tagsOf(key)}
	if c.s.chance(0.3) { // who saves it adds the other
		w.only = b.Tags[:1]
		b.Tags = w.only
	}
	if c.s.chance(0.1) || c.s.cfg.sharp && c.s.chance(0.1) { // ends soon: what it took the place of must not come back
		b.Ttl = c.s.between(20*ms, 2*sec)
	}
	b.KeepTtl = c.s.chance(0.05)
	c.write(p, w, b)
}

// delete deletes a key. It is a revocation if the token is not to be used again, and, now and then, if the retention ends within the schedule.
func (c *checker) delete(p *simProc, key int) {
	b := &pb.Write{Key: c.token(key), Kind: pb.Kind_TOMBSTONE}
	if c.revocable(key) || c.s.cfg.retention < c.s.cfg.duration && c.s.chance(0.3) {
		b.Kind = pb.Kind_REVOKED
	}
	c.write(p, &simWrite{key: key}, b)
}

// revise reads a key, and some time later changes or deletes it on condition that it still is what was read, or is there at all.
func (c *checker) revise(p *simProc, key int) {
	begin, token := c.s.now, c.token(key)
	p.m.Get(&pb.Get{Key: token, Keep: true, Fill: true}, p.Now()+opTime, func(r Result) {
		if r.Status != pb.Status_OK {
			return
		}
		c.judge(p, key, token, r.Entry, begin, "remote")
		read := c.asOf(p, r.Entry.Tags)
		late := 300 * ms
		if c.s.chance(0.05) {
			late = 10 * sec
		}
		c.s.at(c.s.between(0, late), p, func() {
			if c.token(key) != token { // its successor is another session
				return
			}
			version := r.Entry.Version
			w := &simWrite{key: key, asOf: read, replaces: fmt.Sprintf("%s of version %x", r.Entry.Value, version)}
			switch x := c.s.r.Float64(); {
			case x < 0.2:
				c.touch(p, key, version)
			case x < 0.4:
				c.write(p, w, &pb.Write{Key: token, Kind: pb.Kind_TOMBSTONE, IfVersion: version})
			case x < 0.8:
				w.madeOf = c.sets[r.Entry.Value]
				tags := r.Entry.Tags
				switch all := c.tagsOf(key); {
				case len(tags) >= len(all):
				case x < 0.5:
					tags = all
				default:
					w.only = tags
				}
				c.write(p, w, &pb.Write{Key: token, Value: []byte(c.newValue()), Tags: tags, IfVersion: version, KeepTtl: x < 0.6})
			case x < 0.9 || r.Ticket == 0:
				c.write(p, &simWrite{key: key}, &pb.Write{Key: token, Value: []byte(c.newValue()), Tags: c.tagsOf(key), IfPresent: true})
			default: // the ticket is the condition
				w.replaces, w.madeOf = "", c.sets[r.Entry.Value]
				tags := r.Entry.Tags // of another key, too, if it was moved here
				if all := c.tagsOf(key); len(tags) < len(all) {
					tags = all
				}
				c.write(p, w, &pb.Write{Key: token, Value: []byte(c.newValue()), Tags: tags, Ticket: r.Ticket, TicketChain: r.Chain})
			}
		})
	})
}

// asOf notes that a process has just got a version or a ticket.
func (c *checker) asOf(p *simProc, tags []string) *simRead {
	return &simRead{c.s.now, p.m.lay.view.Chain, tags}
}

// move gives what one key holds to another, and deletes the first, as RENAME does.
func (c *checker) move(p *simProc, from, to int) {
	if from == to {
		return
	}
	p.m.GetAgain(&pb.Get{Key: c.token(to), Fill: true}, p.Now()+opTime, func(at Result) {
		if at.Ticket == 0 {
			return
		}
		begin, read := c.s.now, c.asOf(p, c.tagsOf(to))
		if at.Status == pb.Status_OK {
			read.tags = at.Entry.Tags
		}
		p.m.Get(&pb.Get{Key: c.token(from)}, p.Now()+opTime, func(r Result) {
			if r.Status != pb.Status_OK {
				return
			}
			e := r.Entry
			c.judge(p, from, c.token(from), e, begin, "to be moved")
			w := &simWrite{key: to, madeOf: c.sets[e.Value], moved: func() {
				gone := &simWrite{key: from, replaces: fmt.Sprintf("%s of version %x", e.Value, e.Version)}
				c.write(p, gone, &pb.Write{Key: c.token(from), Kind: pb.Kind_TOMBSTONE, IfVersion: e.Version})
			}}
			b := &pb.Write{Key: c.token(to), Value: []byte(c.newValue()), Tags: append(slices.Clone(e.Tags), c.tagsOf(to)...), Origin: e.Age()}
			switch x := c.s.r.Float64(); {
			case x < 0.4:
				b.Ticket, b.TicketChain, w.asOf = at.Ticket, at.Chain, read
			case x < 0.55 && at.Status == pb.Status_OK:
				b.IfVersion, w.asOf = at.Entry.Version, read
				w.replaces = fmt.Sprintf("%s of version %x", at.Entry.Value, b.IfVersion)
			case x < 0.7:
				b.IfPresent = true
			case x < 0.8:
				b.IfAbsent = true
			}
			if c.s.chance(0.3) { // whoever moves it takes its time
				c.s.at(c.s.between(0, 3*sec), p, func() { c.write(p, w, b) })
				return
			}
			c.write(p, w, b)
		})
	})
}

// write has a Set or a deletion done, and records how it ends.
func (c *checker) write(p *simProc, w *simWrite, b *pb.Write) {
	w.kind, w.token, w.value = "set", b.Key, string(b.Value)
	w.ifPresent, w.ifAbsent = b.IfPresent, b.IfAbsent
	w.ends, w.revokes = b.Ttl > 0 || b.KeepTtl || len(b.Tags) > len(c.tagsOf(w.key)), b.Kind == pb.Kind_REVOKED
	giveUp := int64(0)
	if b.Kind != pb.Kind_LIVE {
		w.kind, giveUp = "delete", p.Now()+goesOn
	}
	c.began(w)
	p.m.Write(b, p.Now()+opTime*8, giveUp, func(r Result) { c.ended(p, w, r) })
}

func (c *checker) touch(p *simProc, key int, ifVersion uint64) {
	p.m.Write(&pb.Write{Key: c.token(key), Touch: true, Ttl: 3600 * sec, IfVersion: ifVersion}, p.Now()+opTime, 0, func(Result) {})
}

// clear cuts what has any of the tags, or everything.
func (c *checker) clear(p *simProc, tags ...string) {
	w := c.began(&simWrite{kind: "cut", key: -1, tags: tags})
	if len(tags) == 0 {
		c.freed[""] = append(c.freed[""], w)
	}
	if key := c.s.r.Intn(c.s.cfg.keys); c.s.chance(0.3) { // and somebody is saving a session just then
		token := c.token(key)
		c.s.at(c.s.between(0, 4*ms), p, func() {
			c.write(p, &simWrite{key: key}, &pb.Write{Key: token, Value: []byte(c.newValue()), Tags: c.tagsOf(key), IfPresent: true})
		})
	}
	var made *cut
	p.m.Cut(tags, p.Now()+opTime*8, p.Now()+goesOn, func(r Result) {
		if r.Status == pb.Status_OK && made != nil {
			w.version = made.records[0].Version
		}
		if c.ended(p, w, r); r.Status == pb.Status_OK && len(tags) == 1 && c.s.chance(0.5) { // and logs in
			c.revise(p, c.s.r.Intn(c.s.cfg.keys))
		}
	})
	if cuts := p.m.sortedCuts(); w.end == never64 && len(cuts) > 0 {
		made = cuts[len(cuts)-1]
	}
}

// load fills from the database after a miss, some time later (P6).
func (c *checker) load(p *simProc, key int) {
	token := c.token(key)
	p.m.Get(&pb.Get{Key: token, Fill: true, Keep: true}, p.Now()+opTime, func(r Result) {
		if r.Status != pb.Status_ABSENT {
			return
		}
		w := &simWrite{kind: "fill", key: key, token: token, value: c.newValue(), fill: true, age: c.s.now, asOf: c.asOf(p, c.tagsOf(key)), ifAbsent: c.s.chance(0.3)}
		late := 800 * ms
		if c.s.chance(0.2) {
			late = 5 * sec // a tombstone ends sooner
		}
		c.s.at(c.s.between(ms, late), p, func() {
			c.began(w)
			b := &pb.Write{Key: token, Value: []byte(w.value), Tags: c.tagsOf(key), Ticket: r.Ticket, TicketChain: r.Chain, IfAbsent: w.ifAbsent}
			p.m.Write(b, p.Now()+opTime, 0, func(r Result) {
				if r.Status == pb.Status_OK {
					c.condition(p, w)
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
