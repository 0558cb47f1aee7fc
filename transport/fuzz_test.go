package transport

import (
	"errors"
	"io"
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/huddle-cache/huddle/transport/peerpb"
)

// framesOf is a stream of frames that ends.
type framesOf struct{ frames []*peerpb.Frame }

func (s *framesOf) Send(*peerpb.Frame) error { return nil }

func (s *framesOf) Recv() (*peerpb.Frame, error) {
	if len(s.frames) == 0 {
		return nil, io.EOF
	}
	f := s.frames[0]
	s.frames = s.frames[1:]
	return f, nil
}

// counter counts what is handed over.
type counter struct {
	Handler
	n int
}

func (c *counter) Receive(_, _ uint64, ms []*peerpb.Message) {
	for _, m := range ms {
		if m != nil {
			c.n++
		}
	}
}

// FuzzFrame treats arbitrary bytes as the first frame of a stream, and as a later one.
func FuzzFrame(f *testing.F) {
	ours := &peerpb.Hello{
		Protocol: ProtocolVersion, Ring: "r", Cluster: "c", Replicas: 2, From: &peerpb.Member{Name: "b", Id: 2, Addr: "h:1"},
	}
	for _, frame := range []*peerpb.Frame{
		{},
		{Hello: &peerpb.Hello{
			Protocol: ProtocolVersion, Ring: "r", Cluster: "c", Replicas: 2, From: &peerpb.Member{Name: "a", Id: 1}, To: 2,
		}},
		{Messages: []*peerpb.Message{message(1, 10), {}, {Body: &peerpb.Message_Decide{}}}},
	} {
		b, err := proto.Marshal(frame)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		frame := new(peerpb.Frame)
		if proto.Unmarshal(b, frame) != nil {
			return
		}
		h := frame.GetHello()
		if checkHello(ours, h, false) == "" && (h.GetFrom().GetId() == 0 || h.GetFrom().GetId() == 2 || h.GetTo() != 2 ||
			h.GetRing() != "r" || h.GetCluster() != "c" || h.GetReplicas() != 2 || h.GetFrom().GetName() == "") {
			t.Errorf("accepted: %v", h)
		}
		c := &counter{}
		s := &session{stream: &framesOf{frames: []*peerpb.Frame{frame}}, broken: make(chan struct{})}
		err := s.receive(c, 1)
		if err == nil || errors.Is(err, io.EOF) {
			t.Errorf("the stream ended with %v", err)
		}
		if want := len(frame.GetMessages()); h == nil && c.n != want || h != nil && c.n != 0 {
			t.Errorf("%d messages of %d are handed over", c.n, want)
		}
	})
}
