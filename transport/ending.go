package transport

import (
	"strings"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// ending says why a session has ended to who reads the log, and may know nothing of gRPC. Down gets the error itself.
func ending(err error) string {
	s, ok := status.FromError(err)
	if !ok {
		return err.Error()
	}
	text := s.Message()
	if s.Code() == codes.Aborted { // Link of the peer says why
		return "the peer has ended the session: " + clip(text)
	}
	for _, c := range []struct{ part, words string }{
		{"connection reset", "the connection was reset"},
		{"timed out", "the connection timed out"},
		{"timeout", "the connection timed out"},
		{"EOF", closedWords},
		{"broken pipe", closedWords},
		{"use of closed", closedWords},
		{"closing", closedWords},
		{"canceled", closedWords},
	} {
		if strings.Contains(text, c.part) {
			return c.words
		}
	}
	return clip(text)
}

const closedWords = "the connection was closed"
