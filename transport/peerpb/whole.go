package peerpb

import (
	"slices"

	"google.golang.org/protobuf/encoding/protowire"
)

// whole is a message in one piece with what holds its body, and with the body, if that is not there before: one allocation in the place of
// three. It is for the messages that every operation sends.
type whole[B, Body any] struct {
	b    Body
	body B
	m    Message
}

type elsewhere struct{} // the body is

// NewGet returns a message with that body.
func NewGet(id uint64, b *Get) *Message {
	w := new(whole[Message_Get, elsewhere])
	w.body.Get, w.m.Body, w.m.Id = b, &w.body, id
	return &w.m
}

// NewGetReply returns a message with that body.
func NewGetReply(b *GetReply) *Message {
	w := new(whole[Message_GetReply, elsewhere])
	w.body.GetReply, w.m.Body = b, &w.body
	return &w.m
}

// NewWrite returns a message with that body.
func NewWrite(id uint64, b *Write) *Message {
	w := new(whole[Message_Write, elsewhere])
	w.body.Write, w.m.Body, w.m.Id = b, &w.body, id
	return &w.m
}

// NewWriteReply returns a message with that body.
func NewWriteReply(b *WriteReply) *Message {
	w := new(whole[Message_WriteReply, elsewhere])
	w.body.WriteReply, w.m.Body = b, &w.body
	return &w.m
}

// NewCopy returns a message with a copy of an entry that is still to be filled.
func NewCopy(id uint64) (*Message, *Entry) {
	w := new(whole[Message_Copy, struct {
		of Copy
		e  Entry
	}])
	w.b.of.Entry, w.body.Copy = &w.b.e, &w.b.of
	w.m.Body, w.m.Id = &w.body, id
	return &w.m, &w.b.e
}

// NewCopyReply returns a message with that body.
func NewCopyReply() *Message {
	w := new(whole[Message_CopyReply, CopyReply])
	w.body.CopyReply, w.m.Body = &w.b, &w.body
	return &w.m
}

// Numbers of fields in peer.proto.
const (
	frameMessages     protowire.Number = 2
	messageGet        protowire.Number = 30
	messageGetReply   protowire.Number = 31
	messageWrite      protowire.Number = 32
	messageWriteReply protowire.Number = 33
	messageCopy       protowire.Number = 34
	messageCopyReply  protowire.Number = 35
	getReplyEntry     protowire.Number = 2
	copyEntry         protowire.Number = 1
)

// first takes the first field from text, and its value if that has a length. field is 0 at the end, and where text is malformed.
func first(text []byte) (field protowire.Number, value, rest []byte) {
	field, wire, n := protowire.ConsumeTag(text)
	if n < 0 {
		return 0, nil, nil
	}
	size := protowire.ConsumeFieldValue(field, wire, text[n:])
	if size < 0 {
		return 0, nil, nil
	}
	if wire == protowire.BytesType {
		value, _ = protowire.ConsumeBytes(text[n:])
	}
	return field, value, text[n+size:]
}

func has(text []byte, want protowire.Number) bool {
	field, _, text := first(text)
	for field != 0 && field != want {
		field, _, text = first(text)
	}
	return field == want
}

// room returns an empty message with room for a body of the kind that text has, which is a message as it was sent.
func room(text []byte) *Message {
	for {
		field, body, rest := first(text)
		switch field {
		case 0:
			return new(Message)
		case messageGet:
			w := new(whole[Message_Get, Get])
			w.body.Get, w.m.Body = &w.b, &w.body
			return &w.m
		case messageGetReply:
			if !has(body, getReplyEntry) {
				w := new(whole[Message_GetReply, GetReply])
				w.body.GetReply, w.m.Body = &w.b, &w.body
				return &w.m
			}
			w := new(whole[Message_GetReply, struct {
				r GetReply
				e Entry
			}])
			w.b.r.Entry, w.body.GetReply, w.m.Body = &w.b.e, &w.b.r, &w.body
			return &w.m
		case messageWrite:
			w := new(whole[Message_Write, Write])
			w.body.Write, w.m.Body = &w.b, &w.body
			return &w.m
		case messageWriteReply:
			w := new(whole[Message_WriteReply, WriteReply])
			w.body.WriteReply, w.m.Body = &w.b, &w.body
			return &w.m
		case messageCopy:
			if !has(body, copyEntry) {
				return new(Message)
			}
			m, _ := NewCopy(0)
			return m
		case messageCopyReply:
			return NewCopyReply()
		}
		text = rest
	}
}

// UnmarshalWhole is UnmarshalVT with fewer allocations, for a frame of messages alone.
func (f *Frame) UnmarshalWhole(text []byte) error {
	count := 0
	for rest := text; len(rest) > 0; count++ {
		field, wire, n := protowire.ConsumeField(rest)
		if n < 0 || field != frameMessages || wire != protowire.BytesType {
			return f.UnmarshalVT(text)
		}
		rest = rest[n:]
	}
	f.Messages = slices.Grow(f.Messages, count)
	for len(text) > 0 {
		_, _, n := protowire.ConsumeTag(text)
		body, length := protowire.ConsumeBytes(text[n:])
		m := room(body)
		if err := m.UnmarshalVT(body); err != nil {
			return err
		}
		f.Messages = append(f.Messages, m)
		text = text[n+length:]
	}
	return nil
}
