package metrics

import "strings"

func truth(b bool) float64 {
	if b {
		return 1
	}
	return 0
}

// validLabel replaces what is not UTF-8, which a label must be.
func validLabel(s string) string { return strings.ToValidUTF8(s, "?") }
