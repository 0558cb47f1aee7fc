package transport

import (
	"math/rand/v2"
	"testing"

	"google.golang.org/grpc/mem"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/huddle-cache/huddle/transport/peerpb"
)

// fill sets fields of m at random, of every kind there is.
func fill(r *rand.Rand, m protoreflect.Message, depth int) {
	fields := m.Descriptor().Fields()
	for i := range fields.Len() {
		f := fields.Get(i)
		if r.IntN(3) == 0 || depth == 0 && f.Message() != nil {
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
