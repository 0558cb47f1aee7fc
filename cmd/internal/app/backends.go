package app

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/huddle-cache/huddle/cmd/internal/admin"
	"github.com/huddle-cache/huddle/node"
	"github.com/huddle-cache/huddle/strategy"
	"github.com/huddle-cache/huddle/transport/resp"
)

// respBackend shows a node to the Redis protocol front.
type respBackend struct {
	node  *node.Node
	final finalKeys
}

// finalKeys are prefixes of the keys whose DEL is final. None: DEL is final nowhere.
type finalKeys []string

func (f finalKeys) has(key string) bool {
	return slices.ContainsFunc(f, func(prefix string) bool { return strings.HasPrefix(key, prefix) })
}

var (
	_ resp.FastBackend     = (*respBackend)(nil)
	_ resp.FillBackend     = (*respBackend)(nil)
	_ resp.UnsetBackend    = (*respBackend)(nil)
	_ resp.PrefetchBackend = (*respBackend)(nil)
	_ resp.ManyBackend     = (*respBackend)(nil)
	_ resp.LaterBackend    = (*respBackend)(nil)
)

// LookupNow implements resp.FastBackend.
func (b *respBackend) LookupNow(key string) (resp.Entry, bool, bool) {
	e, found, ok := b.node.Peek(key)
	if !ok || !found {
		return resp.Entry{}, false, ok
	}
	return respEntry(e), true, true
}

func respEntry(e node.Entry) resp.Entry {
	return resp.Entry{Value: e.Value, Version: e.Version, TTL: e.TTL, Tags: e.Tags, Age: e.Age}
}

// Prefetch implements resp.PrefetchBackend.
func (b *respBackend) Prefetch(keys []string) { b.node.Prefetch(keys) }

// Lookup implements resp.Backend.
func (b *respBackend) Lookup(ctx context.Context, key string) (resp.Entry, bool, error) {
	e, found, err := b.node.Lookup(ctx, key)
	if err != nil || !found {
		return resp.Entry{}, false, respError(err)
	}
	return respEntry(e), true, nil
}

// LookupOrTicket implements resp.FillBackend. A copy that answers in place of the owner gives no ticket.
func (b *respBackend) LookupOrTicket(ctx context.Context, key string) (resp.Entry, bool, resp.Ticket, error) {
	e, found, ticket, err := b.node.LookupAtOwner(ctx, key)
	switch {
	case err != nil:
		return resp.Entry{}, false, resp.Ticket{}, respError(err)
	case found:
		return respEntry(e), true, respTicket(ticket), nil
	case ticket == node.Ticket{}:
		return resp.Entry{}, false, resp.Ticket{}, resp.ErrUnsure
	}
	return resp.Entry{}, false, respTicket(ticket), nil
}

func respTicket(t node.Ticket) resp.Ticket { return resp.Ticket{t.Clock, t.Chain} }

// RemoveAbsent implements resp.FillBackend. It is never final: nobody has seen that there was something to delete.
func (b *respBackend) RemoveAbsent(ctx context.Context, key string, ticket resp.Ticket) error {
	return respError(b.node.DeleteAbsent(ctx, key, node.Ticket{Clock: ticket[0], Chain: ticket[1]}))
}

// Set implements resp.Backend.
func (b *respBackend) Set(ctx context.Context, key string, value []byte, a resp.SetArgs) error {
	return respError(b.node.Set(ctx, key, value, setOptions(value, a)...))
}

// SetMany implements resp.ManyBackend.
func (b *respBackend) SetMany(ctx context.Context, items []resp.SetItem) []error {
	sets := make([]node.SetItem, len(items))
	for i, it := range items {
		sets[i] = node.SetItem{Key: it.Key, Value: it.Value, Options: setOptions(it.Value, it.Args)}
	}
	errs := b.node.SetMany(ctx, sets)
	for i, err := range errs {
		errs[i] = respError(err)
	}
	return errs
}

// Begin implements resp.LaterBackend.
func (b *respBackend) Begin(ops []resp.Op, ended func(i int, o resp.Outcome)) {
	all := make([]node.Op, len(ops))
	for i, op := range ops {
		all[i] = node.Op{Key: op.Key, Timeout: op.Timeout}
		switch o := &all[i]; op.Kind {
		case resp.OpLookup:
			o.Kind = node.OpLookup
		case resp.OpSet:
			o.Kind, o.Value, o.Set = node.OpSet, op.Value, setOptions(op.Value, op.Args)
		case resp.OpRemove:
			o.Kind, o.Remove = node.OpRemove, deleteOptions(b.final.has(op.Key), 0)
		}
	}
	b.node.Begin(all, func(i int, o node.Outcome) {
		ended(i, resp.Outcome{
			Entry: respEntry(o.Entry), Found: o.Found, Err: respError(o.Err),
		})
	})
}

// setOptions says how a value is written. A session of a known user is tagged with that user, so that revoke-user finds it.
func setOptions(value []byte, a resp.SetArgs) []node.SetOption {
	var opts []node.SetOption
	switch {
	case a.KeepTTL:
		opts = append(opts, node.WithKeepTTL())
	case a.NoTTL:
		opts = append(opts, node.WithoutTTL())
	case a.TTL > 0:
		opts = append(opts, node.WithTTL(a.TTL))
	}
	switch {
	case a.IfAbsent:
		opts = append(opts, node.IfAbsent())
	case a.IfPresent:
		opts = append(opts, node.IfPresent())
	case a.IfVersion != 0:
		opts = append(opts, node.IfVersion(a.IfVersion))
	}
	if a.Ticket != (resp.Ticket{}) {
		opts = append(opts, node.WithTicket(node.Ticket{Clock: a.Ticket[0], Chain: a.Ticket[1]}))
	}
	if a.Age != 0 {
		opts = append(opts, node.WithAge(a.Age))
	}
	tags := a.Tags
	if tag, ok := userTagOf(value); ok && !slices.Contains(tags, tag) {
		tags = append(tags[:len(tags):len(tags)], tag)
	}
	if len(tags) > 0 {
		opts = append(opts, node.WithTags(tags...))
	}
	return opts
}

// Unset implements resp.UnsetBackend.
func (b *respBackend) Unset(ctx context.Context, key string, ifVersion uint64) (bool, error) {
	existed, err := b.node.Remove(ctx, key, deleteOptions(false, ifVersion)...)
	return existed, respError(err)
}

// Remove implements resp.Backend. A set is never revoked, for it is no token: a user who logs out everywhere logs in again.
func (b *respBackend) Remove(ctx context.Context, key string, ifVersion uint64) (bool, error) {
	final := b.final.has(key) && !b.holdsSet(ctx, key)
	existed, err := b.node.Remove(ctx, key, deleteOptions(final, ifVersion)...)
	return existed, respError(err)
}

// deleteOptions says how a key is deleted. ifVersion 0: whatever is there.
func deleteOptions(revoke bool, ifVersion uint64) []node.DeleteOption {
	var opts []node.DeleteOption
	if revoke {
		opts = append(opts, node.Revoke())
	}
	if ifVersion != 0 {
		opts = append(opts, node.DeleteIfVersion(ifVersion))
	}
	return opts
}

func (b *respBackend) holdsSet(ctx context.Context, key string) bool {
	e, found, err := b.node.Lookup(ctx, key)
	return err == nil && found && resp.IsSet(e.Value)
}

// Touch implements resp.Backend.
func (b *respBackend) Touch(ctx context.Context, key string, ttl time.Duration, ifVersion uint64) (bool, error) {
	if ifVersion != 0 {
		err := b.node.TouchIfVersion(ctx, key, ttl, ifVersion)
		return err == nil, respError(err)
	}
	existed, err := b.node.Touch(ctx, key, ttl)
	return existed, respError(err)
}

// Clear implements resp.Backend.
func (b *respBackend) Clear(ctx context.Context) error { return respError(b.node.Clear(ctx)) }

// Scan implements resp.Backend.
func (b *respBackend) Scan(ctx context.Context, cursor uint64, count int) ([]string, uint64, error) {
	keys, next, err := b.node.Scan(ctx, cursor, count)
	return keys, next, respError(err)
}

// Len implements resp.Backend.
func (b *respBackend) Len(ctx context.Context) (int, error) {
	n, err := b.node.Len(ctx)
	return n, respError(err)
}

// Info implements resp.Backend.
func (b *respBackend) Info() []resp.InfoSection {
	st := b.node.Stats()
	num := func(n uint64) string { return strconv.FormatUint(n, 10) }
	yes := func(b bool) string {
		if b {
			return "1"
		}
		return "0"
	}
	return []resp.InfoSection{
		{Name: "Huddle", Fields: [][2]string{
			{"huddle_name", b.node.Name()},
			{"huddle_addr", b.node.Addr()},
			{"huddle_view", num(st.View)},
			{"huddle_members", strconv.Itoa(st.Members)},
			{"huddle_in_sync", yes(st.InSync)},
			{"huddle_settled", yes(st.Settled)},
			{"huddle_partitions_owned", strconv.Itoa(st.Owned)},
		}},
		{Name: "Memory", Fields: [][2]string{
			{"used_memory", strconv.FormatInt(st.Bytes, 10)},
			{"used_memory_human", humanBytes(st.Bytes)},
			{"maxmemory", strconv.FormatInt(st.MaxBytes, 10)},
			{"maxmemory_human", humanBytes(st.MaxBytes)},
		}},
		{Name: "Stats", Fields: [][2]string{
			{"keyspace_hits", num(st.Hits + st.Remote)},
			{"keyspace_misses", num(st.Misses)},
			{"expired_keys", num(st.Expirations)},
			{"evicted_keys", num(st.Evictions)},
		}},
		{Name: "Keyspace", Fields: keyspace(st)},
	}
}

// keyspace is the database as INFO shows it, which is not at all while it is empty. Keys are those that this node holds: DBSIZE asks the
// cluster, which costs too much for what is asked every second.
func keyspace(st node.Stats) [][2]string {
	if st.Entries == 0 {
		return nil
	}
	return [][2]string{{"db0", fmt.Sprintf("keys=%d,expires=%d,avg_ttl=0", st.Entries, st.Ending)}}
}

// humanBytes writes a number of bytes as Redis does.
func humanBytes(n int64) string {
	if n < 1024 {
		return strconv.FormatInt(n, 10) + "B"
	}
	f, unit := float64(n)/1024, 0
	for ; f >= 1024; unit++ { // an int64 is less than 1024 E
		f /= 1024
	}
	return fmt.Sprintf("%.2f%c", f, "KMGTPE"[unit])
}

// respError gives an error of the node the identity the front knows.
func respError(err error) error {
	if err == nil {
		return nil
	}
	for _, pair := range [][2]error{
		{node.ErrCondition, resp.ErrCondition},
		{node.ErrStaleFill, resp.ErrCondition},
		{node.ErrUnsure, resp.ErrUnsure},
		{node.ErrUnconfirmed, resp.ErrUnconfirmed}, // first: a deletion without a majority is both, and goes on
		{node.ErrUnavailable, resp.ErrUnavailable},
		{node.ErrTooLarge, resp.ErrTooLarge},
		{node.ErrInvalid, resp.ErrInvalid},
		{node.ErrHashed, resp.ErrHashed},
		{node.ErrRevoked, resp.ErrRevoked},
		{node.ErrOverload, resp.ErrOverload},
		{node.ErrClosed, resp.ErrClosed},
	} {
		if !errors.Is(err, pair[0]) {
			continue
		}
		wrapped := fmt.Errorf("%w: %w", pair[1], err)
		if text := admin.Detail(err); text != "" {
			return &resp.DetailError{Err: wrapped, Text: text}
		}
		return wrapped
	}
	return err
}

// adminBackend shows a node to the admin interface.
type adminBackend struct {
	*node.Node
	leaving atomic.Bool
}

var _ admin.Backend = (*adminBackend)(nil)

// InSync implements admin.Backend. A node that leaves is no longer in sync: balancers should look elsewhere.
func (b *adminBackend) InSync() bool { return !b.leaving.Load() && b.Node.InSync() }

// Set implements admin.Backend. A session of a known user is tagged with that user, as from the Redis protocol.
func (b *adminBackend) Set(ctx context.Context, key string, value []byte, a admin.SetArgs) error {
	return b.Node.Set(ctx, key, value, setOptions(value, resp.SetArgs{
		TTL: a.TTL, NoTTL: a.NoTTL, Tags: a.Tags, IfAbsent: a.If.Absent, IfPresent: a.If.Present, IfVersion: a.If.Version,
	})...)
}

// Remove implements admin.Backend.
func (b *adminBackend) Remove(ctx context.Context, key string, revoke bool, ifVersion uint64) (bool, error) {
	return b.Node.Remove(ctx, key, deleteOptions(revoke, ifVersion)...)
}

// RevokeUser implements admin.Backend.
func (b *adminBackend) RevokeUser(ctx context.Context, userID string) error {
	return b.InvalidateTags(ctx, strategy.UserTag(userID))
}
