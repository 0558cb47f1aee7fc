package resp

import "math"

// parseInt reads a decimal number the way Redis does: no sign but '-', no leading zero, no space.
func parseInt(b []byte) (int64, bool) {
	digits := b
	negative := len(b) > 0 && b[0] == '-'
	if negative {
		digits = b[1:]
	}
	switch {
	case len(digits) == 0 || len(digits) > 19:
		return 0, false
	case digits[0] == '0':
		return 0, len(b) == 1
	}
	var n uint64
	for _, c := range digits {
		if c < '0' || c > '9' {
			return 0, false
		}
		n = n*10 + uint64(c-'0') // 19 digits fit
	}
	switch {
	case negative && n <= 1<<63:
		return -int64(n), true // -1<<63 is its own negative
	case !negative && n <= math.MaxInt64:
		return int64(n), true
	}
	return 0, false
}

// plus adds two numbers; not ok: the sum is out of range.
func plus(a, b int64) (sum int64, ok bool) {
	sum = a + b
	return sum, b == 0 || (sum > a) == (b > 0)
}
