package strategy

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/huddle-cache/huddle/node"
)

// Codec turns values into bytes and back. Its methods must be safe for concurrent use; Decode must not keep data.
type Codec[T any] interface {
	Encode(value T) ([]byte, error)
	Decode(data []byte) (T, error)
}

// JSON is the Codec of a Typed that uses encoding/json: JSON[T]{}. It is the one that NewTyped takes for nil.
type JSON[T any] struct{}

// Encode returns the JSON of value.
func (JSON[T]) Encode(value T) ([]byte, error) { return json.Marshal(value) }

// Decode reads JSON.
func (JSON[T]) Decode(data []byte) (value T, err error) {
	err = json.Unmarshal(data, &value)
	return value, err
}

// Typed caches sessions of any type by token, with the behaviour of PeerToPeer: unsure is a miss, a deleted token stays
// dead, a load never stores a stale value. Its methods are safe for concurrent use.
type Typed[T any] struct {
	core
	codec Codec[T]
	scope string
}

// NewTyped returns a cache on a running node, which must not be nil. A nil codec is JSON. Caches of different types that share a
// cluster must differ in WithKeyPrefix.
func NewTyped[T any](n *node.Node, codec Codec[T], opts ...Option) *Typed[T] {
	return newTyped(onNode{n}, codec, opts...)
}

func newTyped[T any](on backend, codec Codec[T], opts ...Option) *Typed[T] {
	if codec == nil {
		codec = JSON[T]{}
	}
	t := &Typed[T]{core: core{options: newOptions("typed:", opts), on: on}, codec: codec}
	t.scope = "in:" + t.prefix
	return t
}

// Item is a value with what its entry needs to know, as Set and the function of a Load give it:
//
//	strategy.Item[Account]{Value: account, Expires: time.Now().Add(time.Hour), UserID: "7"}
type Item[T any] struct {
	Value T
	// Expires ends the entry. Zero: as WithDefaultTTL says.
	Expires time.Time
	// UserID lets RevokeUser find the entry. Empty: nobody's.
	UserID string
}

// Set stores the item under token, with the errors of PeerToPeer.Set: ErrInvalid for a value that the codec does not encode. An item that has
// expired is removed instead.
func (t *Typed[T]) Set(ctx context.Context, token string, item Item[T]) error {
	key, err := keyOf(t.prefix, token)
	var l loaded
	if err == nil {
		l, err = t.encode(item)
	}
	if err == nil {
		err = t.put(ctx, key, l)
	}
	return wrap("session cache: set", err)
}

// Get returns the value of token, decoded afresh: it is the caller's own. A miss is no error; see PeerToPeer.Get.
func (t *Typed[T]) Get(ctx context.Context, token string) (value T, found bool, err error) {
	key, err := keyOf(t.prefix, token)
	if err != nil {
		return value, false, nil
	}
	e, found, err := t.lookup(ctx, key)
	if err != nil {
		return value, false, t.missed(ctx, err)
	}
	if !found {
		return value, false, nil
	}
	decoded, err := t.codec.Decode(e.Value)
	if err != nil {
		t.failed(ctx, "session cache: stored value cannot be decoded, taken as a miss", errDecode)
		return value, false, nil
	}
	return decoded, true, nil
}

// errDecode stands for a codec's error, which may quote the value.
var errDecode = fmt.Errorf("%w: not decodable", ErrInvalid)

// Delete removes token for good, as PeerToPeer.Delete does.
func (t *Typed[T]) Delete(ctx context.Context, token string) error {
	key, err := keyOf(t.prefix, token)
	if err != nil {
		return nil
	}
	return t.remove(ctx, key)
}

// Clear removes everything that was written through a Typed of this prefix, and nothing else.
func (t *Typed[T]) Clear(ctx context.Context) error {
	return wrap("session cache: clear", t.on.InvalidateTags(ctx, t.scope))
}

// Load returns the value of token, or calls load and stores what it returns, as PeerToPeer.Load does. It fails with ErrInvalid, too, for a value that
// the codec does not encode, or does not decode again.
func (t *Typed[T]) Load(ctx context.Context, token string, load func(context.Context) (Item[T], error)) (T, error) {
	var none T
	key, err := keyOf(t.prefix, token)
	if err != nil {
		return none, fmt.Errorf("session cache: load: %w", err)
	}
	if e, found, _ := t.on.Peek(key); found { // or else it would wait for a load under way
		if value, err := t.codec.Decode(e.Value); err == nil {
			return value, nil
		}
	}
	usable := func(e node.Entry) bool {
		_, err := t.codec.Decode(e.Value)
		return err == nil
	}
	data, err := t.load(ctx, key, usable, func(ctx context.Context) (loaded, error) {
		item, err := load(ctx)
		if err != nil {
			return loaded{}, err
		}
		return t.encode(item)
	})
	if err != nil {
		return none, err
	}
	value, err := t.codec.Decode(data)
	if err != nil {
		return none, fmt.Errorf("session cache: load: %w", errDecode)
	}
	return value, nil
}

func (t *Typed[T]) encode(item Item[T]) (loaded, error) {
	data, err := t.codec.Encode(item.Value)
	if err != nil {
		return loaded{}, fmt.Errorf("%w: not encodable: %w", ErrInvalid, err)
	}
	l := loaded{value: data, ttl: t.lifetime(item.Expires), tags: []string{t.scope}}
	if item.UserID != "" {
		l.tags = append(l.tags, UserTag(item.UserID))
	}
	return l, nil
}
