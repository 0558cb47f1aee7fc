package strategy

import (
	"encoding/json"
	"fmt"
	"strconv"
	"time"
)

// date is a time with the JSON of a JavaScript Date.
type date time.Time

func (d date) MarshalJSON() ([]byte, error) { return appendDate(nil, time.Time(d)), nil }

func (d *date) UnmarshalJSON(data []byte) error {
	t, err := parseDate(data)
	*d = date(t)
	return err
}

func sameDate(a, b date) bool { return time.Time(a).Equal(time.Time(b)) }

// layouts are the forms of a date that are read. A date without a zone is taken as UTC.
func layouts() [6]string {
	return [6]string{
		time.RFC3339, // also reads any fraction of a second
		"2006-01-02T15:04:05",
		"2006-01-02T15:04Z07:00",
		"2006-01-02",
		"2006-01-02 15:04:05Z07:00",
		"2006-01-02 15:04:05",
	}
}

// maxDate is how many seconds from 1970 a JavaScript Date may be.
const maxDate = 8.64e12

// appendDate writes t as JavaScript's Date.prototype.toJSON does: UTC, milliseconds, years beyond four digits with a sign
// and six digits. The zero time is null, as a date that is none.
func appendDate(b []byte, t time.Time) []byte {
	if t.IsZero() {
		return append(b, "null"...)
	}
	t = t.UTC()
	b = append(b, '"')
	if year := t.Year(); year < 0 || year > 9999 {
		b = fmt.Appendf(b, "%+07d", year)
		b = t.AppendFormat(b, "-01-02T15:04:05.000Z")
	} else {
		b = t.AppendFormat(b, "2006-01-02T15:04:05.000Z")
	}
	return append(b, '"')
}

var errDate = fmt.Errorf("%w: expires is no date", ErrInvalid)

// parseDate reads a date leniently: an ISO 8601 string, milliseconds since 1970 as a number, or null.
func parseDate(raw []byte) (time.Time, error) {
	if len(raw) == 0 || raw[0] != '"' {
		if string(raw) == "null" {
			return time.Time{}, nil
		}
		var ms float64
		if json.Unmarshal(raw, &ms) != nil || ms < -maxDate*1000 || ms > maxDate*1000 {
			return time.Time{}, errDate
		}
		return time.UnixMilli(int64(ms)).UTC(), nil
	}
	var text string
	if json.Unmarshal(raw, &text) != nil {
		return time.Time{}, errDate
	}
	shift := 0
	if len(text) > 7 && (text[0] == '+' || text[0] == '-') {
		year, err := strconv.Atoi(text[:7])
		if err != nil {
			return time.Time{}, errDate
		}
		base := 2000 + (year%400+400)%400 // the calendar repeats every 400 years
		shift = year - base
		text = strconv.Itoa(base) + text[7:]
	}
	for _, layout := range layouts() {
		if t, err := time.Parse(layout, text); err == nil {
			if t = t.UTC(); shift != 0 { // arithmetic in local time could land in an hour that comes twice
				t = t.AddDate(shift, 0, 0)
			}
			return t, nil
		}
	}
	return time.Time{}, errDate
}
