package strategy

import (
	"encoding/json"
	"errors"
	"strconv"
	"strings"
)

// ID is an identifier that is a number in some shops and a string in others, and stays what it is: 7 and "7" differ.
// The zero ID stands for none. IDs can be compared with ==.
type ID struct {
	kind idKind
	text string
}

type idKind uint8

const (
	idNone idKind = iota
	idNumber
	idString
)

// NumberID returns the ID that is the number n.
func NumberID(n int64) ID { return ID{kind: idNumber, text: strconv.FormatInt(n, 10)} }

// StringID returns the ID that is the string s.
func StringID(s string) ID { return ID{kind: idString, text: s} }

// IsZero tells whether there is no ID.
func (id ID) IsZero() bool { return id.kind == idNone }

// IsNumber tells whether the ID is a number.
func (id ID) IsNumber() bool { return id.kind == idNumber }

// String returns the ID as text; the number 7 and the string "7" have the same. It is "" for the zero ID.
func (id ID) String() string { return id.text }

// MarshalJSON writes a number, a string, or null for the zero ID.
func (id ID) MarshalJSON() ([]byte, error) {
	switch id.kind {
	case idNumber:
		return []byte(id.text), nil
	case idString:
		return encode(id.text)
	default:
		return []byte("null"), nil
	}
}

// UnmarshalJSON reads a number, a string, or null as the zero ID.
func (id *ID) UnmarshalJSON(data []byte) error {
	switch text := strings.TrimSpace(string(data)); {
	case text == "null":
		*id = ID{}
	case strings.HasPrefix(text, `"`):
		var s string
		if err := json.Unmarshal(data, &s); err != nil {
			return err
		}
		*id = StringID(s)
	default:
		var n json.Number
		if err := json.Unmarshal(data, &n); err != nil {
			return errors.New("an ID is a number or a string")
		}
		*id = ID{kind: idNumber, text: n.String()}
	}
	return nil
}
