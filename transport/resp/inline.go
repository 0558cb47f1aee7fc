package resp

import (
	"errors"
	"strconv"
)

var errQuotes = errors.New("unbalanced quotes in request")

// encodeInline turns a line as typed by hand into an encoded command; nil if there is nothing on it.
func encodeInline(line []byte) ([]byte, error) {
	args, err := splitInline(line)
	if err != nil || len(args) == 0 {
		return nil, err
	}
	return encode(args...), nil
}

// splitInline splits at white space. "…" knows the escapes \n \r \t \b \a \xHH and \c for any other c; '…' knows \' alone.
func splitInline(line []byte) (args [][]byte, err error) {
	for i := 0; ; {
		for i < len(line) && isSpace(line[i]) {
			i++
		}
		if i == len(line) {
			return args, nil
		}
		var arg []byte
		for i < len(line) && !isSpace(line[i]) {
			switch quote := line[i]; quote {
			case '"', '\'':
				var n int
				if arg, n = unquote(arg, line[i+1:], quote); n < 0 {
					return nil, errQuotes
				}
				if i += 1 + n; i < len(line) && !isSpace(line[i]) {
					return nil, errQuotes
				}
			default:
				arg = append(arg, quote)
				i++
			}
		}
		args = append(args, arg)
	}
}

// unquote appends to arg what stands before the closing quote, and returns how many bytes it took with the quote; -1: there is none.
func unquote(arg, s []byte, quote byte) ([]byte, int) {
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c == quote:
			return arg, i + 1
		case c == '\\' && quote == '\'' && i+1 < len(s) && s[i+1] == '\'':
			i++
			arg = append(arg, '\'')
		case c == '\\' && quote == '"' && i+1 < len(s):
			i++
			if s[i] == 'x' && i+2 < len(s) {
				if v, err := strconv.ParseUint(string(s[i+1:i+3]), 16, 8); err == nil {
					arg = append(arg, byte(v))
					i += 2
					continue
				}
			}
			arg = append(arg, unescape(s[i]))
		default:
			arg = append(arg, c)
		}
	}
	return nil, -1
}

func unescape(c byte) byte {
	switch c {
	case 'n':
		return '\n'
	case 'r':
		return '\r'
	case 't':
		return '\t'
	case 'b':
		return '\b'
	case 'a':
		return '\a'
	}
	return c
}

func isSpace(c byte) bool { return c == ' ' || c >= '\t' && c <= '\r' || c == 0 }
