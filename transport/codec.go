package transport

import (
	"fmt"

	"google.golang.org/grpc/mem"

	"github.com/huddle-cache/huddle/transport/peerpb"
)

// codec writes and reads frames with generated code, without reflection. The bytes are those of protobuf.
type codec struct{}

func (codec) Name() string { return "proto" }

func (codec) Marshal(v any) (mem.BufferSlice, error) {
	f, ok := v.(*peerpb.Frame)
	if !ok {
		return nil, fmt.Errorf("transport: a frame is expected, not %T", v)
	}
	size := f.SizeVT()
	pool := mem.DefaultBufferPool()
	if mem.IsBelowBufferPoolingThreshold(size) {
		buf := make([]byte, size)
		if _, err := f.MarshalToSizedBufferVT(buf); err != nil {
			return nil, err
		}
		return mem.BufferSlice{mem.SliceBuffer(buf)}, nil
	}
	buf := pool.Get(size)
	if _, err := f.MarshalToSizedBufferVT((*buf)[:size]); err != nil {
		pool.Put(buf)
		return nil, err
	}
	return mem.BufferSlice{mem.NewBuffer(buf, pool)}, nil
}

func (codec) Unmarshal(data mem.BufferSlice, v any) error {
	f, ok := v.(*peerpb.Frame)
	if !ok {
		return fmt.Errorf("transport: a frame is expected, not %T", v)
	}
	buf := data.MaterializeToBuffer(mem.DefaultBufferPool())
	defer buf.Free()
	return f.UnmarshalWhole(buf.ReadOnlyData())
}
