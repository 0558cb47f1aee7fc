package strategy

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strconv"
)

type idKind uint8

const (
	idNone idKind = iota
	idText
	idNumber
)

// ID is an identifier that is a string or a number in JSON and stays what it is. Numbers keep their digits, however many.
// The zero ID is none: an optional field that is absent. IDs compare with ==.
type ID struct {
	text string
	kind idKind
}

// StringID returns an ID that is a string in JSON.
func StringID(s string) ID { return ID{s, idText} }

// IntID returns an ID that is a number in JSON.
func IntID(n int64) ID { return ID{strconv.FormatInt(n, 10), idNumber} }

// String returns the text of the ID, for a number its digits as they stood in the JSON. The zero ID is "".
func (id ID) String() string { return id.text }

// IsZero tells whether there is no ID.
func (id ID) IsZero() bool { return id.kind == idNone }

// IsNumber tells whether the ID is a number in JSON.
func (id ID) IsNumber() bool { return id.kind == idNumber }

// MarshalJSON returns a string, a number, or null for the zero ID.
func (id ID) MarshalJSON() ([]byte, error) {
	switch id.kind {
	case idText:
		return json.Marshal(id.text)
	case idNumber:
		return []byte(id.text), nil
	default:
		return []byte("null"), nil
	}
}

// UnmarshalJSON reads a string, a number or null.
func (id *ID) UnmarshalJSON(data []byte) error {
	data = bytes.TrimSpace(data)
	switch {
	case len(data) == 0:
		return fmt.Errorf("%w: empty id", ErrInvalid)
	case data[0] == '"':
		var text string
		if err := json.Unmarshal(data, &text); err != nil {
			return fmt.Errorf("%w: id is no valid string", ErrInvalid)
		}
		*id = StringID(text)
	case string(data) == "null":
		*id = ID{}
	case data[0] == '-' || data[0] >= '0' && data[0] <= '9':
		if !json.Valid(data) {
			return fmt.Errorf("%w: id is no valid number", ErrInvalid)
		}
		*id = ID{string(data), idNumber}
	default:
		return fmt.Errorf("%w: id is neither string nor number", ErrInvalid)
	}
	return nil
}
