package transport

import (
	"math/rand/v2"
	"slices"
	"testing"

	"google.golang.org/grpc/mem"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/huddle-cache/huddle/transport/peerpb"
)

// fill sets fields of m at random, of every kind there is.
func fill(r *rand.Rand, m protoreflect.Message, depth int) {
	fields := m.Descriptor().Fields()
	chosen := make(map[protoreflect.OneofDescriptor]protoreflect.FieldDescriptor)
	for i := range m.Descriptor().Oneofs().Len() {
		of := m.Descriptor().Oneofs().Get(i)
		chosen[of] = of.Fields().Get(r.IntN(of.Fields().Len()))
	}
	for i := range fields.Len() {
		f := fields.Get(i)
		if r.IntN(3) == 0 || depth == 0 && f.Message() != nil {
			continue
		}
		if of := f.ContainingOneof(); of != nil && chosen[of] != f {
			continue
		}
		if !f.IsList() {
			if f.Message() != nil {
				fill(r, m.Mutable(f).Message(), depth-1)
			} else {
				m.Set(f, scalar(r, f))
			}
			continue
		}
		list := m.Mutable(f).List()
		for range r.IntN(3) {
			if f.Message() != nil {
				fill(r, list.AppendMutable().Message(), depth-1)
			} else {
				list.Append(scalar(r, f))
			}
		}
	}
}

func scalar(r *rand.Rand, f protoreflect.FieldDescriptor) protoreflect.Value {
	n := r.Uint64() >> r.IntN(64)
	switch f.Kind() {
	case protoreflect.BoolKind:
		return protoreflect.ValueOfBool(n&1 == 1)
	case protoreflect.StringKind:
		return protoreflect.ValueOfString(string(make([]byte, n%300)))
	case protoreflect.BytesKind:
		return protoreflect.ValueOfBytes(make([]byte, n%3000))
	case protoreflect.EnumKind:
		return protoreflect.ValueOfEnum(protoreflect.EnumNumber(n % uint64(f.Enum().Values().Len())))
	case protoreflect.Uint32Kind, protoreflect.Fixed32Kind:
		return protoreflect.ValueOfUint32(uint32(n))
	case protoreflect.Int32Kind, protoreflect.Sint32Kind, protoreflect.Sfixed32Kind:
		return protoreflect.ValueOfInt32(int32(n))
	case protoreflect.Int64Kind, protoreflect.Sint64Kind, protoreflect.Sfixed64Kind:
		return protoreflect.ValueOfInt64(int64(n))
	default:
		return protoreflect.ValueOfUint64(n)
	}
}

// TestCodecSpeaksProtobuf: what the codec writes the library reads, and the other way round.
func TestCodecSpeaksProtobuf(t *testing.T) {
	for seed := range uint64(2000) {
		r := rand.New(rand.NewPCG(seed, 0))
		want := &peerpb.Frame{}
		fill(r, want.ProtoReflect(), 5)
		data, err := codec{}.Marshal(want)
		if err != nil {
			t.Fatal(err)
		}
		got := &peerpb.Frame{}
		if err := proto.Unmarshal(data.Materialize(), got); err != nil || !proto.Equal(got, want) {
			t.Fatalf("seed %d: the library reads something else than was written: %v", seed, err)
		}
		text, err := proto.Marshal(want)
		if err != nil {
			t.Fatal(err)
		}
		got = &peerpb.Frame{}
		if err := (codec{}).Unmarshal(mem.BufferSlice{mem.SliceBuffer(text)}, got); err != nil || !proto.Equal(got, want) {
			t.Fatalf("seed %d: the codec reads something else than was written: %v", seed, err)
		}
		if n := want.SizeVT(); n != len(text) {
			t.Fatalf("seed %d: size %d, of %d bytes", seed, n, len(text))
		}
		data.Free()
	}
	if _, err := (codec{}).Marshal(&peerpb.Member{}); err == nil {
		t.Error("something else than a frame is written")
	}
	if err := (codec{}).Unmarshal(nil, &peerpb.Member{}); err == nil {
		t.Error("something else than a frame is read")
	}
}

func FuzzCodec(f *testing.F) {
	f.Add([]byte{0x12, 0x00})
	f.Fuzz(func(t *testing.T, data []byte) {
		frame := &peerpb.Frame{}
		if (codec{}).Unmarshal(mem.BufferSlice{mem.SliceBuffer(data)}, frame) != nil {
			return
		}
		if out, err := (codec{}).Marshal(frame); err != nil || out.Len() != frame.SizeVT() {
			t.Fatal(err)
		}
	})
}

// Of what every operation sends, a message comes in one piece with its body, and with an entry in that.
func TestWholeMessages(t *testing.T) {
	copied, e := peerpb.NewCopy(1)
	e.Key, e.Value = "k", []byte("v")
	for _, m := range []*peerpb.Message{
		peerpb.NewGet(1, &peerpb.Get{Key: "k"}),
		peerpb.NewGetReply(&peerpb.GetReply{Status: peerpb.Status_ABSENT}),
		peerpb.NewGetReply(&peerpb.GetReply{Entry: &peerpb.Entry{Key: "k", Value: []byte("v")}}),
		peerpb.NewWrite(1, &peerpb.Write{Key: "k", Value: []byte("v")}),
		peerpb.NewWriteReply(&peerpb.WriteReply{Version: 1}),
		copied,
		peerpb.NewCopyReply(),
	} {
		one, err := m.MarshalVT()
		if err != nil {
			t.Fatal(err)
		}
		parts := 1 + testing.AllocsPerRun(100, func() { err = new(peerpb.Message).UnmarshalVT(one) }) // and the message
		if err != nil {
			t.Fatal(err)
		}
		const count = 64
		text, err := (&peerpb.Frame{Messages: slices.Repeat([]*peerpb.Message{m}, count)}).MarshalVT()
		if err != nil {
			t.Fatal(err)
		}
		whole := testing.AllocsPerRun(100, func() { err = new(peerpb.Frame).UnmarshalWhole(text) })
		if err != nil {
			t.Fatal(err)
		}
		saved := 2.0 // what holds the body, and that
		if m.GetGetReply().GetEntry() != nil || m.GetCopy() != nil {
			saved++
		}
		// The frame and its list are two more.
		if whole > count*(parts-saved)+2 {
			t.Errorf("%T: %v allocations for %d messages, %v for one in parts", m.Body, whole, count, parts)
		}
	}
}
