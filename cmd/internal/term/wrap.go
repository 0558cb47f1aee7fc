package term

import "strings"

// Wrap breaks text at spaces into lines of at most width columns; a longer word stands alone. Escape sequences take no room.
func Wrap(text string, width int) []string {
	var lines []string
	line, columns := "", 0
	for word := range strings.SplitSeq(text, " ") {
		n := VisibleLen(word)
		if columns > 0 && columns+1+n > width {
			lines = append(lines, line)
			line, columns = "", 0
		}
		if line != "" {
			line += " "
			columns++
		}
		line += word
		columns += n
	}
	return append(lines, line)
}
