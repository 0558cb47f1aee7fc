package resp

import (
	"bytes"
	"errors"

	"github.com/tidwall/redcon"
)

// limits is what a client may send.
type limits struct {
	args     int  // arguments of a command
	bulk     int  // bytes of an argument
	frame    int  // bytes of a command
	commands int  // commands handed over at a time
	strict   bool // over a limit: a protocol error, not an error reply
}

// Names of the commands that the scanner puts in the place of one that was over a limit: of bytes, or of arguments.
const (
	tooLarge = "\x00too large"
	tooMany  = "\x00too many"
)

// errLater: the command is not to be passed on as it stands, and others before it have to be handed over first.
var errLater = errors.New("later")

// scanner cuts what a client sends into whole commands. It keeps no more than one command of a permitted size, lets nothing
// through that redcon, which reads the commands, would stumble over, and turns inline commands into the usual form.
type scanner struct {
	buf   []byte
	start int // everything before has been handed over
	pos   int // everything before has been looked at

	// The command at start, once its first line is there.
	begun    bool
	args     int  // arguments still to come
	size     int  // bytes announced so far
	headed   bool // the length of the present argument is known: bulk
	bulk     int
	dropping string // not "": the command is over a limit: its bytes are thrown away, and this takes its place
	drop     int    // bytes of the present argument still to be thrown away
}

// firstBuffer is the size of a buffer at first.
const firstBuffer = 8 << 10

// room returns space to receive into; received says how much of it was used. What next returned must not be used any more. A buffer
// that is empty and larger than keep is given up.
func (s *scanner) room(keep int) []byte {
	if s.start > 0 {
		n := copy(s.buf, s.buf[s.start:])
		s.buf, s.pos, s.start = s.buf[:n], s.pos-s.start, 0
	}
	switch {
	case s.buf == nil, len(s.buf) == 0 && cap(s.buf) > keep:
		s.buf = make([]byte, 0, firstBuffer)
	case len(s.buf) == cap(s.buf):
		s.buf = append(make([]byte, 0, 2*cap(s.buf)), s.buf...)
	}
	return s.buf[len(s.buf):cap(s.buf)]
}

func (s *scanner) received(n int) { s.buf = s.buf[:len(s.buf)+n] }

// quick appends the arguments of the next command to args if it is whole, within the limits and written as clients write them,
// and moves behind it. False: next has to look at it. The arguments are valid until room is called.
func (s *scanner) quick(lim limits, args [][]byte) (_ [][]byte, ok bool) {
	b, before := s.buf[s.start:], len(args)
	if s.begun || len(b) == 0 || b[0] != '*' {
		return args, false
	}
	n, i := quickNumber(b, 1)
	if n == 0 || n > lim.args {
		return args, false
	}
	for range n {
		size, at := 0, 0
		if i < len(b) && b[i] == '$' {
			size, at = quickNumber(b, i+1)
		}
		i = at + size + 2
		if at == 0 || i > len(b) || b[i-2] != '\r' || b[i-1] != '\n' || size > lim.bulk {
			clear(args[before:])
			return args[:before], false
		}
		args = append(args, b[at:i-2:i-2])
	}
	if i > lim.frame {
		clear(args[before:])
		return args[:before], false
	}
	s.start += i
	s.pos = s.start
	return args, true
}

// quickNumber reads a number of up to seven digits that stands at i with CR LF behind it, and returns what follows that; 0: it is not so.
func quickNumber(b []byte, i int) (n, next int) {
	first := i
	for end := min(i+7, len(b)-2); i <= end; i++ {
		switch c := b[i]; {
		case '0' <= c && c <= '9' && (n > 0 || i == first):
			n = 10*n + int(c-'0')
		case c == '\r' && b[i+1] == '\n' && i > first:
			return n, i + 2
		default:
			return 0, 0
		}
	}
	return 0, 0
}

// next returns the next whole commands, encoded; nothing means that more has to be received. The bytes are valid until room is
// called. An error is the end of the connection.
func (s *scanner) next(lim limits) ([]byte, error) {
	from := s.start
	for n := 0; n < lim.commands; {
		whole, pass, instead, err := s.step(lim, s.start == from)
		switch {
		case errors.Is(err, errLater):
			s.begun, s.headed = false, false
			return s.buf[from:s.start], nil
		case err != nil:
			return nil, err
		case instead != nil:
			s.start = s.pos
			return instead, nil
		case !whole && s.dropping != "":
			s.start = s.pos
			return nil, nil
		case !whole:
			return s.buf[from:s.start], nil
		}
		s.start = s.pos
		if pass {
			n++
		} else {
			from = s.start
		}
	}
	return s.buf[from:s.start], nil
}

// step looks at the command at start, and moves pos behind it if it is whole. Whole, it is to be passed on as it is, or to be
// replaced, or to be left out. alone: nothing before it waits to be handed over.
func (s *scanner) step(lim limits, alone bool) (whole, pass bool, instead []byte, err error) {
	if !s.begun {
		if whole, err = s.begin(lim, alone); err != nil || !whole {
			if !alone && (err != nil || s.start < len(s.buf) && s.buf[s.start] != '*') {
				err = errLater
			}
			return false, false, nil, err
		}
		if !s.begun { // an inline or an empty command
			if !alone {
				return false, false, nil, errLater
			}
			if s.buf[s.start] == '*' {
				return true, false, nil, nil
			}
			instead, err = encodeInline(bytes.TrimRight(s.buf[s.start:s.pos], "\r\n"))
			return true, false, instead, err
		}
	}
	for s.args > 0 {
		if whole, err = s.argument(lim, alone); err != nil && !alone {
			err = errLater
		}
		if err != nil || !whole {
			return false, false, nil, err
		}
		s.args--
	}
	s.begun = false
	if s.dropping != "" {
		instead = encode([]byte(s.dropping))
		s.dropping = ""
		return true, false, instead, nil
	}
	return true, true, nil, nil
}

// begin reads the first line of a command. begun stays false for one that ends with this line.
func (s *scanner) begin(lim limits, alone bool) (whole bool, err error) {
	s.pos = s.start
	if s.pos == len(s.buf) {
		return false, nil
	}
	if s.buf[s.pos] != '*' {
		_, whole = s.line()
		if !whole && len(s.buf)-s.start > maxLineBytes {
			return false, errors.New("too big inline request")
		}
		return whole, nil
	}
	line, whole := s.line()
	if !whole {
		if len(s.buf)-s.start > maxLineBytes {
			return false, errors.New("too big mbulk count string")
		}
		return false, nil
	}
	n, ok := parseLine(line)
	switch {
	case !ok, !lim.strict && n > maxAnnounced:
		return false, errors.New("invalid multibulk length")
	case lim.strict && n > int64(lim.args):
		return false, errors.New("unauthenticated multibulk length")
	case n > int64(lim.args) && !alone:
		return false, errLater
	case n > int64(lim.args):
		s.dropping = tooMany
	}
	if n > 0 {
		s.begun, s.args, s.size = true, int(n), len(line)
	}
	return true, nil
}

// argument reads one argument.
func (s *scanner) argument(lim limits, alone bool) (whole bool, err error) {
	if !s.headed {
		if s.pos == len(s.buf) {
			return false, nil
		}
		if s.buf[s.pos] != '$' {
			return false, errors.New("expected '$', got '" + string(rune(s.buf[s.pos])) + "'")
		}
		from := s.pos
		line, whole := s.line()
		if !whole {
			if len(s.buf)-from > maxLineBytes {
				return false, errors.New("too big bulk count string")
			}
			return false, nil
		}
		n, ok := parseLine(line)
		switch {
		case !ok, n < 0, n > maxBulkBytes:
			return false, errors.New("invalid bulk length")
		case lim.strict && n > int64(lim.bulk):
			return false, errors.New("unauthenticated bulk length")
		}
		s.headed, s.bulk = true, int(n)
		s.size += len(line) + s.bulk + 2
		if lim.strict && s.size > lim.frame {
			return false, errors.New("unauthenticated command too long")
		}
		if s.dropping == "" && (s.bulk > lim.bulk || s.size > lim.frame) {
			if !alone {
				return false, errLater
			}
			s.dropping = tooLarge
		}
		s.drop = s.bulk + 2
	}
	if s.dropping != "" {
		n := min(s.drop, len(s.buf)-s.pos)
		s.pos, s.drop = s.pos+n, s.drop-n
		s.headed = s.drop > 0
		return !s.headed, nil
	}
	end := s.pos + s.bulk
	if end+2 > len(s.buf) {
		return false, nil
	}
	if s.buf[end] != '\r' || s.buf[end+1] != '\n' {
		return false, errors.New("invalid bulk length")
	}
	s.pos, s.headed = end+2, false
	return true, nil
}

// line returns the line at pos with its ending and moves behind it.
func (s *scanner) line() (line []byte, whole bool) {
	rest := s.buf[s.pos:]
	i := bytes.IndexByte(rest[:min(len(rest), maxLineBytes+1)], '\n')
	if i < 0 {
		return nil, false
	}
	s.pos += i + 1
	return rest[:i+1], true
}

// parseLine reads the number between the first byte of a line and its CR LF.
func parseLine(line []byte) (int64, bool) {
	digits, ok := bytes.CutSuffix(line[1:], []byte("\r\n"))
	if !ok {
		return 0, false
	}
	return parseInt(digits)
}

// encode writes a command the way clients do.
func encode(args ...[]byte) []byte {
	b := redcon.AppendArray(nil, len(args))
	for _, arg := range args {
		b = redcon.AppendBulk(b, arg)
	}
	return b
}
