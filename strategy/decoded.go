package strategy

import (
	"sync"

	"github.com/huddle-cache/huddle/node"
)

// decoded bounds the sessions that a PeerToPeer keeps decoded, so that a hit needs no parsing. Each is kept in the memo of the entry that it
// was decoded from, where whoever has found that entry finds it without searching again; it is of just that version, so it is no older than the
// node's answer. Which of them go when there are too many is decided by SIEVE, as in a sieve.
type decoded struct {
	maxCount int
	maxBytes int64

	mu    sync.Mutex
	line  line[decodedSession]
	count int
	bytes int64

	left node.Notes // those in the line whose entries have been replaced or have gone
}

// decodedSession is what a memo holds. Of is the item that it is the value of.
type decodedSession struct {
	node.Note
	prefix int // the length of the key's part that is not the token
	kept
	memo *node.Memo // where it is
	by   *decoded   // who bounds it
	gone bool       // from the line; under the lock
}

// decodedIn returns the session that a memo holds for caches whose keys have a prefix of that length, or nil.
func decodedIn(memo *node.Memo, prefix int) *item[decodedSession] {
	if note := memo.Load(); note != nil {
		if it, ok := note.Of.(*item[decodedSession]); ok && it.value.prefix == prefix {
			return it
		}
	}
	return nil
}

// keep puts a copy of a session into the memo of its entry. weight is what it takes, with the entry, which it keeps in memory.
func (d *decoded) keep(memo *node.Memo, prefix int, session CachedSession, weight int64) {
	if memo == nil || d.maxCount == 0 || weight > d.maxBytes {
		return
	}
	it := &item[decodedSession]{value: decodedSession{prefix: prefix, kept: keep(session), memo: memo, by: d}, weight: weight}
	it.value.Note = node.Note{Of: it, Left: &d.left}
	d.mu.Lock()
	defer d.mu.Unlock()
	if decodedIn(memo, prefix) != nil || !memo.Swap(memo.Load(), &it.value.Note) {
		return // somebody else has just decoded it
	}
	d.line.push(it)
	d.count++
	d.bytes += weight
	for note := d.left.Take(); note != nil; note = d.left.Take() {
		d.drop(note.Of.(*item[decodedSession]))
	}
	for d.count > d.maxCount || d.bytes > d.maxBytes {
		d.drop(d.line.victim(it))
	}
}

// forget gives up what the memo holds.
func (d *decoded) forget(memo *node.Memo, prefix int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if it := decodedIn(memo, prefix); it != nil && it.value.by == d {
		d.drop(it)
	}
}

// forgetAll gives up everything.
func (d *decoded) forgetAll() {
	d.mu.Lock()
	defer d.mu.Unlock()
	for d.line.oldest != nil {
		d.drop(d.line.oldest)
	}
}

func (d *decoded) drop(it *item[decodedSession]) {
	if it.value.gone {
		return
	}
	it.value.gone = true
	it.value.memo.Swap(&it.value.Note, nil)
	d.line.remove(it)
	d.count--
	d.bytes -= it.weight
}
