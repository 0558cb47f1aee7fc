package resp

import (
	"crypto/sha1"
	"encoding/hex"
	"strings"
	"sync"
)

// scripts are those that EVAL and its like can run: see lockScripts. Its methods are safe for concurrent use.
type scripts struct {
	byForm map[string]*lockScript
	given  map[string]*script // by SHA-1: the texts of lockScripts

	mu     sync.Mutex
	learnt map[string]*script // by SHA-1: other texts of the same form
}

// script is a text of which it is known what it does.
type script struct {
	*lockScript
	sha   string // in lower case
	calls []scriptCall
}

const (
	// A longer text is not looked at.
	maxScriptBytes = 4 << 10
	// Texts that are remembered. Clients send few; who sends more is told that the script is gone, as after a restart of Redis, and sends it again.
	maxLearnt = 1024
)

func newScripts() *scripts {
	s := &scripts{byForm: make(map[string]*lockScript), given: make(map[string]*script), learnt: make(map[string]*script)}
	for _, known := range lockScripts() {
		for _, text := range known.texts {
			form, calls, _ := normalForm([]byte(text))
			s.byForm[form] = &known
			sha := scriptName([]byte(text))
			s.given[sha] = &script{&known, sha, calls}
		}
	}
	return s
}

// scriptName is its SHA-1, by the protocol.
func scriptName(text []byte) string {
	sum := sha1.Sum(text)
	return hex.EncodeToString(sum[:])
}

// learn returns what a text does, and remembers it; nil if that is not known.
func (s *scripts) learn(text []byte) *script {
	if len(text) > maxScriptBytes {
		return nil
	}
	sha := scriptName(text)
	if known := s.find(sha); known != nil {
		return known
	}
	form, calls, ok := normalForm(text)
	if !ok || s.byForm[form] == nil {
		return nil
	}
	one := &script{s.byForm[form], sha, calls}
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.learnt) >= maxLearnt {
		for another := range s.learnt {
			delete(s.learnt, another)
			break
		}
	}
	s.learnt[sha] = one
	return one
}

// find returns the script of a name in lower case, or nil.
func (s *scripts) find(sha string) *script {
	if known := s.given[sha]; known != nil {
		return known
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.learnt[sha]
}

func (s *scripts) flush() {
	s.mu.Lock()
	defer s.mu.Unlock()
	clear(s.learnt)
}

// scriptCall is a command that a script calls, and the line where it does.
type scriptCall struct {
	name string
	line int
}

// normalForm writes a script so that two that differ in comments, white space, the sort of their quotes, or the case of the commands have the same
// form. Not ok: it has something that none of the scripts has which are known.
func normalForm(text []byte) (form string, calls []scriptCall, ok bool) {
	var b strings.Builder
	before, last := "", "" // the two tokens before
	line := 1
	for i := 0; i < len(text); {
		from := i
		c := text[i]
		var token string
		switch next := byteAt(text, i+1); {
		case c == '\n':
			line++
			i++
			continue
		case c == ' ', c == '\t', c == '\r':
			i++
			continue
		case c == '-' && next == '-' && byteAt(text, i+2) != '[':
			for i < len(text) && text[i] != '\n' {
				i++
			}
			continue
		case c == '"', c == '\'':
			for i++; i < len(text) && text[i] != c; i++ {
				if text[i] == '\\' || text[i] == '\n' {
					return "", nil, false
				}
			}
			if i == len(text) {
				return "", nil, false
			}
			i++
			inside := string(text[from+1 : i-1])
			if strings.ContainsAny(inside, `"'`) {
				return "", nil, false
			}
			if last == "(" && (before == "call" || before == "pcall") {
				inside = strings.ToLower(inside)
				calls = append(calls, scriptCall{inside, line})
			}
			token = "'" + inside + "'"
		case isWordByte(c):
			for i < len(text) && isWordByte(text[i]) {
				i++
			}
			token = string(text[from:i])
		case next == '=' && (c == '=' || c == '~'):
			i += 2
			token = string(text[from:i])
		case strings.IndexByte("()[]{},.=#+-<", c) >= 0 && !(c == '-' && next == '-'):
			i++
			token = string(c)
		default:
			return "", nil, false
		}
		b.WriteString(token)
		b.WriteByte(' ')
		before, last = last, token
	}
	return b.String(), calls, true
}

// byteAt is the byte at i, or 0.
func byteAt(b []byte, i int) byte {
	if i < len(b) {
		return b[i]
	}
	return 0
}

func isWordByte(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || c == '_'
}
