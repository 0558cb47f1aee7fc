// Package term draws on terminals: colour where it is wanted, aligned tables, and a block that is redrawn in place.
package term

import (
	"io"
	"os"
	"strings"
	"unicode/utf8"
)

// Style colours text. The zero Style leaves it as it is.
type Style struct{ on bool }

// StyleFor returns the style for w: coloured when w is a terminal and the environment does not set NO_COLOR or TERM=dumb.
func StyleFor(w io.Writer) Style {
	if os.Getenv("NO_COLOR") != "" || os.Getenv("TERM") == "dumb" {
		return Style{}
	}
	return Style{on: IsTerminal(w)}
}

func (s Style) wrap(code, text string) string {
	if !s.on || text == "" {
		return text
	}
	return "\x1b[" + code + "m" + text + "\x1b[0m"
}

// Bold makes text bold.
func (s Style) Bold(text string) string { return s.wrap("1", text) }

// Dim makes text faint.
func (s Style) Dim(text string) string { return s.wrap("2", text) }

// Green marks what is well.
func (s Style) Green(text string) string { return s.wrap("32", text) }

// Yellow marks what is on its way or out of the ordinary.
func (s Style) Yellow(text string) string { return s.wrap("33", text) }

// Red marks what is down or wrong.
func (s Style) Red(text string) string { return s.wrap("31", text) }

// Cyan marks names.
func (s Style) Cyan(text string) string { return s.wrap("36", text) }

// VisibleLen is the number of columns text takes: characters, without escape sequences.
func VisibleLen(text string) int {
	n := 0
	for len(text) > 0 {
		if skip := escapeLen(text); skip > 0 {
			text = text[skip:]
			continue
		}
		_, size := utf8.DecodeRuneInString(text)
		text = text[size:]
		n++
	}
	return n
}

// Truncate shortens text to at most width columns; escape sequences are kept whole, so that colour does not leak.
func Truncate(text string, width int) string {
	if width <= 0 || VisibleLen(text) <= width {
		return text
	}
	var b strings.Builder
	n := 0
	for len(text) > 0 {
		if skip := escapeLen(text); skip > 0 {
			b.WriteString(text[:skip])
			text = text[skip:]
			continue
		}
		_, size := utf8.DecodeRuneInString(text)
		if n < width-1 {
			b.WriteString(text[:size])
		} else if n == width-1 {
			b.WriteString("…")
		}
		n++
		text = text[size:]
	}
	return b.String()
}

// escapeLen is the length of the colour sequence text begins with, 0 if it begins with none.
func escapeLen(text string) int {
	if !strings.HasPrefix(text, "\x1b[") {
		return 0
	}
	end := strings.IndexByte(text, 'm')
	return end + 1
}

// Clean makes text safe to print: control characters, escape sequences among them, become "?".
func Clean(text string) string {
	return strings.Map(func(r rune) rune {
		if r < 0x20 && r != '\t' || r == 0x7f || (r >= 0x80 && r < 0xa0) {
			return '?'
		}
		return r
	}, text)
}
