package resp

import (
	"bytes"
	"cmp"
	"errors"
	"slices"
	"time"
)

// RENAME is two writes: the value, what remains of its TTL, and its tags go to the new key, and then the old key is removed if it is still what was
// read. So an onlooker may see both, and after an error between the two both may be there.
//
// No DEL that was confirmed is undone by it. If the old key was deleted meanwhile, the new one is put back to what it was (or is absent, if that was ended
// meanwhile), unless somebody has changed it since; if the old key was changed, it is read and written anew. If the new key was deleted or written by others after it was
// written here, they came after the RENAME: it is left as it is, and only the old key is removed.
//
// ErrUnconfirmed of either write ends it, and nothing is taken back: the write may have taken effect, and if it was the removal, the new key has
// the only value left. A backend whose condition does not hold because of its own first attempt, which it sent again, answers so.
//
// Two that rename a key to the same name at different nodes must not take it back from each other: see twin.
type renaming struct {
	c        *client
	from, to []byte
	nx       bool   // only if the new key is absent
	placed   bool   // the new key has been written
	version  uint64 // of what was written; 0 if that was written over at once
	replaced lookup // what the new key held before
	twins    int    // how often the new key was found to hold the same value
}

var (
	errNoKey   = errors.New("no such key")
	errTaken   = errors.New("the new key is there")
	errInParts = errors.New("set in parts")
)

func cmdRename(c *client, args [][]byte)   { c.rename(args, false) }
func cmdRenamenx(c *client, args [][]byte) { c.rename(args, true) }

func (c *client) rename(args [][]byte, nx bool) {
	r := renaming{c: c, from: args[1], to: args[2], nx: nx}
	switch err := r.run(); {
	case errors.Is(err, errNoKey):
		c.writeError("ERR no such key")
	case errors.Is(err, errInParts):
		c.writeError("ERR huddle: a set above 4 KiB cannot be renamed")
	case err != nil && !errors.Is(err, errTaken):
		c.fail(err)
	case nx:
		c.writeBool(err == nil)
	default:
		c.writeOK()
	}
}

// run renames, again and again until neither key changes meanwhile. errTaken: the new key is there, and must not be.
func (r *renaming) run() error {
	unlock, err := r.lock()
	if err != nil {
		return asUnsure(err)
	}
	defer unlock()
	return retry(r.c.context(), func(judged bool) error {
		err := r.once(judged)
		if errors.Is(err, errConflict) && r.version != 0 { // the transaction is not carried out
			_ = r.takeBack() // if it was changed meanwhile, it is another's
		}
		return err
	})
}

// lock locks both keys, in an order that is the same for all.
func (r *renaming) lock() (unlock func(), err error) {
	first, second := string(r.from), string(r.to)
	if second < first {
		first, second = second, first
	}
	locks := &r.c.srv.changing
	unlockFirst, err := locks.lock(r.c.context(), first)
	if err != nil || first == second {
		return unlockFirst, err
	}
	unlockSecond, err := locks.lock(r.c.context(), second)
	if err != nil {
		unlockFirst()
		return nil, err
	}
	return func() {
		unlockSecond()
		unlockFirst()
	}, nil
}

// once is one attempt. ErrCondition: one of the keys was changed meanwhile.
func (r *renaming) once(judged bool) error {
	at := r.c.srv.askTicket(r.c.context(), string(r.to))
	target, there, err := r.c.unlessChanged(r.to, at)
	if err != nil {
		return err
	}
	e, found, err := r.c.entry(r.from, judged)
	if err != nil {
		return err
	}
	mine := r.version != 0 && there && target.Version == r.version
	k, _ := unwrap(e.Value)
	switch {
	case !found && mine:
		return cmp.Or(r.takeBack(), errNoKey)
	case !found:
		return errNoKey
	case bytes.Equal(r.from, r.to) && r.nx, there && r.nx && !r.placed:
		return errTaken
	case bytes.Equal(r.from, r.to):
		return nil
	case k == parts && mine: // it was deleted, and made anew
		return cmp.Or(r.takeBack(), errInParts)
	case k == parts:
		return errInParts
	case r.placed && !mine: // others came after
	case there && !r.placed && bytes.Equal(target.Value, e.Value) && slices.Equal(target.Tags, e.Tags):
		err = r.twin(target, e)
	default:
		err = r.place(at, e)
	}
	if err != nil {
		return err
	}
	if _, err = r.c.remove(r.from, e.Version); err == nil {
		r.c.srv.removed(string(r.to), r.replaced)
	}
	return err
}

// place writes e under the new key, if that is still as it was seen before e was read. The write fails by the ticket if everything, or a tag of e, was
// cut since then, for e is void too then; and by the age of e if such a cut is still under way.
func (r *renaming) place(at lookup, e Entry) error {
	a := unchangedSince(at.entry, at.found)
	a.TTL, a.NoTTL, a.Ticket, a.Tags, a.Age = e.TTL, e.TTL == 0, at.ticket, e.Tags, e.Age
	if err := r.c.store(r.to, e.Value, a); err != nil {
		return err
	}
	if !r.placed {
		r.placed, r.replaced = true, lookup{entry: at.entry, found: at.found}
	}
	r.version = 0
	now, found, err := r.c.present(r.to)
	if err == nil && found && bytes.Equal(now.Value, e.Value) {
		r.version = now.Version
	}
	return err
}

// takeBack gives the new key what it held before. ErrCondition: it was changed since. What it held may have been cut meanwhile: by its age the write
// then fails. An entry with tags that has no age is not brought back at all. The key is absent then.
func (r *renaming) takeBack() error {
	e, err := r.replaced.entry, ErrCondition
	if r.replaced.found && (e.Age != 0 || len(e.Tags) == 0) {
		err = r.c.store(r.to, e.Value, SetArgs{TTL: e.TTL, NoTTL: e.TTL == 0, IfVersion: r.version, Tags: e.Tags, Age: e.Age})
	}
	if errors.Is(err, ErrCondition) {
		_, err = r.c.unset(r.to, r.version)
	}
	return err
}

// twin is place where the new key holds the same value already. Perhaps another is renaming the old key to it just now: first it is given time
// to be done. Then the TTL is all that is written, by which the other finds the new key changed, and does not take it back; nor does this one,
// for it has not written the value.
func (r *renaming) twin(target, e Entry) error {
	const patience, pause = 4, 5 * time.Millisecond
	if r.twins++; r.twins <= patience {
		sleep(r.c.context(), pause)
		return ErrCondition
	}
	_, err := r.c.touch(r.to, e.TTL, target.Version)
	return err
}
