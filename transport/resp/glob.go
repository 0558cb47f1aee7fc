package resp

// match tells whether s matches a pattern of Redis: * any bytes, ? one byte, [a-z] and [^a-z] one of or none of these, \c the
// byte c itself. It takes time in proportion to the product of the lengths at most.
func match(pattern, s string) bool {
	star, again := -1, 0 // behind the last *, and where in s to go on if what follows it does not match
	p, i := 0, 0
	for i < len(s) {
		if p < len(pattern) && pattern[p] == '*' {
			p++
			star, again = p, i
			continue
		}
		if p < len(pattern) {
			if ok, n := matchByte(pattern[p:], s[i]); ok {
				p, i = p+n, i+1
				continue
			}
		}
		if star < 0 {
			return false
		}
		again++
		p, i = star, again
	}
	for p < len(pattern) && pattern[p] == '*' {
		p++
	}
	return p == len(pattern)
}

// matchByte matches one byte against the first element of a pattern, which takes n bytes of it.
func matchByte(pattern string, b byte) (ok bool, n int) {
	switch {
	case pattern[0] == '?':
		return true, 1
	case pattern[0] == '[':
		return matchClass(pattern, b)
	case pattern[0] == '\\' && len(pattern) > 1:
		return pattern[1] == b, 2
	}
	return pattern[0] == b, 1
}

// matchClass matches a class. One that does not end reaches to the end of the pattern, as with Redis.
func matchClass(pattern string, b byte) (ok bool, n int) {
	i := 1
	not := i < len(pattern) && pattern[i] == '^'
	if not {
		i++
	}
	for ; i < len(pattern) && pattern[i] != ']'; i++ {
		rest := pattern[i:]
		switch {
		case rest[0] == '\\' && len(rest) > 1:
			i++
			ok = ok || rest[1] == b
		case len(rest) > 2 && rest[1] == '-':
			low, high := min(rest[0], rest[2]), max(rest[0], rest[2])
			i += 2
			ok = ok || low <= b && b <= high
		default:
			ok = ok || rest[0] == b
		}
	}
	return ok != not, min(i+1, len(pattern))
}
