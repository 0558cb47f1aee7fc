package gossip

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"unicode/utf8"

	"github.com/hashicorp/memberlist"

	"github.com/huddle-cache/huddle/transport/peerpb"
)

// Bounds of what a process may announce; together they keep within memberlist's limit of 512 bytes.
const (
	maxName = 200
	maxAddr = 260
	// metaVersion comes first in what is announced, and changes with its layout.
	metaVersion = 1
	flagLeaving = 1
)

// Peer is what a process says of itself. It tells others where to look; it proves nothing.
type Peer struct {
	// Member is who it is: a name of at most 200 bytes, an id that is not 0, and the address for RPC, of at most 260 bytes.
	Member *peerpb.Member
	// Chain and View are the cluster it is in and the view it has; 0: none.
	Chain, View uint64
	// Size is the number of members of that view.
	Size int
	// Leaving: it is about to go.
	Leaving bool
}

// validate says why a peer cannot be announced.
func (p Peer) validate() error {
	m := p.Member
	switch {
	case m.GetId() == 0:
		return errors.New("the member has no id")
	case m.GetName() == "":
		return errors.New("the member has no name")
	case len(m.GetName()) > maxName:
		return fmt.Errorf("the name has %d bytes; at most %d are allowed", len(m.GetName()), maxName)
	case len(m.GetAddr()) > maxAddr:
		return fmt.Errorf("the address has %d bytes; at most %d are allowed", len(m.GetAddr()), maxAddr)
	case !utf8.ValidString(m.GetName()) || !utf8.ValidString(m.GetAddr()):
		return errors.New("the name and the address must be UTF-8")
	case p.Size < 0 || p.Size > math.MaxInt32:
		return fmt.Errorf("a view of %d members", p.Size)
	}
	return nil
}

// encode makes: version, flags, id and chain (8 bytes each), view and size (varints), name and address (length and bytes).
func (p Peer) encode() ([]byte, error) {
	if err := p.validate(); err != nil {
		return nil, err
	}
	b := make([]byte, 0, 64+len(p.Member.GetName())+len(p.Member.GetAddr()))
	flags := byte(0)
	if p.Leaving {
		flags |= flagLeaving
	}
	b = append(b, metaVersion, flags)
	b = binary.BigEndian.AppendUint64(b, p.Member.GetId())
	b = binary.BigEndian.AppendUint64(b, p.Chain)
	b = binary.AppendUvarint(b, p.View)
	b = binary.AppendUvarint(b, uint64(p.Size)) //nolint:gosec // checked by validate
	for _, s := range []string{p.Member.GetName(), p.Member.GetAddr()} {
		b = binary.AppendUvarint(b, uint64(len(s)))
		b = append(b, s...)
	}
	if len(b) > memberlist.MetaMaxSize {
		return nil, fmt.Errorf("name and address together are %d bytes too long", len(b)-memberlist.MetaMaxSize)
	}
	return b, nil
}

// decodePeer reads what encode makes, and nothing else. Bytes at the end are left to later versions.
func decodePeer(b []byte) (Peer, error) {
	if len(b) > memberlist.MetaMaxSize {
		return Peer{}, errors.New("too long")
	}
	r := reader{b: b}
	version, flags := r.byte(), r.byte()
	if r.failed {
		return Peer{}, errors.New("cut off")
	}
	if version != metaVersion {
		return Peer{}, fmt.Errorf("version %d of the announcement, not %d", version, metaVersion)
	}
	p := Peer{Leaving: flags&flagLeaving != 0, Member: &peerpb.Member{}}
	p.Member.Id = r.uint64()
	p.Chain = r.uint64()
	p.View = r.uvarint()
	size := r.uvarint()
	p.Member.Name = r.string()
	p.Member.Addr = r.string()
	if r.failed {
		return Peer{}, errors.New("cut off")
	}
	if size > math.MaxInt32 {
		return Peer{}, fmt.Errorf("a view of %d members", size)
	}
	p.Size = int(size)
	return p, p.validate()
}

// reader takes values off the front of b until that fails.
type reader struct {
	b      []byte
	failed bool
}

// take returns the next n bytes, or n zero bytes where there are fewer and n is small.
func (r *reader) take(n uint64) []byte {
	if r.failed || n > uint64(len(r.b)) {
		r.failed = true
		return make([]byte, 8)
	}
	out := r.b[:n]
	r.b = r.b[n:]
	return out
}

func (r *reader) byte() byte     { return r.take(1)[0] }
func (r *reader) uint64() uint64 { return binary.BigEndian.Uint64(r.take(8)) }
func (r *reader) string() string { return string(r.take(r.uvarint())) }

func (r *reader) uvarint() uint64 {
	v, n := binary.Uvarint(r.b)
	if n <= 0 || r.failed {
		r.failed = true
		return 0
	}
	r.b = r.b[n:]
	return v
}
