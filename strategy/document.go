package strategy

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
)

// document is what a JSON object held when it was read, so that it can be written back without losing anything.
// The map is never changed once it is there: copies share it.
type document struct {
	fields map[string]json.RawMessage // by exact name, also those that the Go type knows
	read   bool                       // came from JSON: a known field that is not in fields was absent
}

// readDocument splits an object into its fields. Names are exact: "Token" is not "token". Of a repeated name the last counts.
func readDocument(data []byte) (document, error) {
	data = bytes.TrimSpace(data)
	if len(data) == 0 || data[0] != '{' {
		return document{}, fmt.Errorf("%w: not a JSON object", ErrInvalid)
	}
	var fields map[string]json.RawMessage
	if json.Unmarshal(data, &fields) != nil { // its error may quote what it read
		return document{}, fmt.Errorf("%w: malformed JSON", ErrInvalid)
	}
	return document{fields, true}, nil
}

// decode reads a known field into v, if there is one. null leaves v as it is.
func (d document) decode(name string, v any) error {
	raw, ok := d.fields[name]
	if !ok {
		return nil
	}
	if json.Unmarshal(raw, v) != nil {
		return fmt.Errorf("%w: field %s has the wrong type", ErrInvalid, name)
	}
	return nil
}

func (d document) field(name string, known func(string) bool) (json.RawMessage, bool) {
	if known(name) {
		return nil, false
	}
	raw, ok := d.fields[name]
	return raw, ok
}

func (d *document) setField(name string, value any, known func(string) bool) error {
	if known(name) {
		return fmt.Errorf("%w: field %s is part of the type", ErrInvalid, name)
	}
	raw, err := json.Marshal(value)
	if err != nil {
		return fmt.Errorf("%w: field %s has no JSON form", ErrInvalid, name)
	}
	fields := make(map[string]json.RawMessage, len(d.fields)+1)
	for k, v := range d.fields {
		fields[k] = v
	}
	fields[name] = raw
	d.fields = fields
	return nil
}

func (d document) weight() int {
	n := 0
	for name, raw := range d.fields {
		n += 64 + len(name) + len(raw)
	}
	return n
}

// writer builds a JSON object from known fields and what the document still holds.
type writer struct {
	doc document
	out []byte
	err error
}

func (w *writer) name(name string) {
	if len(w.out) == 0 {
		w.out = append(w.out, '{')
	} else {
		w.out = append(w.out, ',')
	}
	quoted, _ := json.Marshal(name) // a string always has a JSON form
	w.out = append(append(w.out, quoted...), ':')
}

// put writes a known field whose value is now v. What was read is written back as it was if it still means v. A zero v
// that was absent stays absent; one that was never read is written if it is required.
func put[T any](w *writer, name string, v T, zero, required bool, same func(a, b T) bool) {
	raw, had := w.doc.fields[name]
	if had {
		var old T
		if json.Unmarshal(raw, &old) == nil && same(old, v) {
			w.name(name)
			w.out = append(w.out, raw...)
			return
		}
	}
	if zero && (!required || !had && w.doc.read) {
		return
	}
	encoded, err := json.Marshal(v)
	if err != nil {
		w.err = fmt.Errorf("%w: field %s has no JSON form", ErrInvalid, name)
		return
	}
	w.name(name)
	w.out = append(w.out, encoded...)
}

// scalar is put for types that compare with ==.
func scalar[T comparable](w *writer, name string, v T, required bool) {
	var none T
	put(w, name, v, v == none, required, func(a, b T) bool { return a == b })
}

// finish adds the fields that the type does not know, sorted by name, and returns the object.
func (w *writer) finish(known func(string) bool) ([]byte, error) {
	if w.err != nil {
		return nil, w.err
	}
	unknown := make([]string, 0, len(w.doc.fields))
	for name := range w.doc.fields {
		if !known(name) {
			unknown = append(unknown, name)
		}
	}
	slices.Sort(unknown)
	for _, name := range unknown {
		w.name(name)
		w.out = append(w.out, w.doc.fields[name]...)
	}
	if len(w.out) == 0 {
		w.out = append(w.out, '{')
	}
	return append(w.out, '}'), nil
}
