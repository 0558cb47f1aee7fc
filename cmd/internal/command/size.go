package command

import (
	"fmt"
	"strconv"
	"strings"
)

// byteSize is a number of bytes, read from text such as 256MB, 1GiB or 4096. KB, MB and GB are powers of 1024, like KiB, MiB
// and GiB: memory is meant.
type byteSize int64

// sizeText is b as it would be given: 300MB.
func sizeText(b byteSize) string {
	for _, u := range []struct {
		suffix string
		bytes  byteSize
	}{{"GB", 1 << 30}, {"MB", 1 << 20}, {"KB", 1 << 10}} {
		if b >= u.bytes {
			return strconv.FormatFloat(float64(b)/float64(u.bytes), 'f', -1, 64) + u.suffix
		}
	}
	return strconv.FormatInt(int64(b), 10) + "B"
}

// UnmarshalText reads a size.
func (b *byteSize) UnmarshalText(text []byte) error {
	s := strings.ToUpper(strings.TrimSpace(string(text)))
	unit := int64(1)
	for _, u := range []struct {
		suffix string
		bytes  int64
	}{
		{"KIB", 1 << 10},
		{"MIB", 1 << 20},
		{"GIB", 1 << 30},
		{"KB", 1 << 10},
		{"MB", 1 << 20},
		{"GB", 1 << 30},
		{"K", 1 << 10},
		{"M", 1 << 20},
		{"G", 1 << 30},
		{"B", 1},
	} {
		if rest, ok := strings.CutSuffix(s, u.suffix); ok {
			s, unit = strings.TrimSpace(rest), u.bytes
			break
		}
	}
	v, err := strconv.ParseFloat(s, 64)
	if err != nil || !(v > 0) || v*float64(unit) >= 1<<62 {
		return fmt.Errorf("%q is no size: give one such as 256MB or 1GB", text)
	}
	*b = byteSize(v * float64(unit))
	return nil
}
