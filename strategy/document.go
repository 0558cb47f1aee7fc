package strategy

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
)

// document is what a JSON object held when it was read, so that it can be written back without losing anything. It keeps the text,
// and looks into it only when it is asked.
type document struct {
	// text is the object, known to be valid, and what was set since. unread stands before one that did not come from JSON. "": nothing.
	text string
}

const unread = "+"

// spaces are what JSON allows between tokens.
const spaces = " \t\r\n"

// read tells whether the object came from JSON: a known field that is not in it was absent.
func (d document) read() bool { return d.text != "" && d.text[0] == '{' }

type field struct {
	name string
	raw  json.RawMessage
}

// readDocument takes an object, and returns its fields too. Names are exact: "Token" is not "token". Of a repeated name the last counts.
// The document shares text's memory.
func readDocument(text string) (document, fields, error) {
	text = strings.Trim(text, spaces)
	if text == "" || text[0] != '{' {
		return document{}, nil, fmt.Errorf("%w: not a JSON object", ErrInvalid)
	}
	d := document{text: text}
	all, ok := d.parse()
	if !ok {
		return document{}, nil, fmt.Errorf("%w: malformed JSON", ErrInvalid) // the parser's error may quote what it read
	}
	return d, all, nil
}

// fields are those of an object, each name once.
type fields []field

func (f fields) get(name string) (json.RawMessage, bool) {
	for i := range f {
		if f[i].name == name {
			return f[i].raw, true
		}
	}
	return nil, false
}

func (f *fields) put(name string, raw json.RawMessage) {
	for i := range *f {
		if (*f)[i].name == name {
			(*f)[i].raw = raw
			return
		}
	}
	*f = append(*f, field{name, raw})
}

// parse reads the text; false: it is not valid.
func (d document) parse() (fields, bool) {
	text := strings.TrimPrefix(d.text, unread)
	if text == "" {
		return nil, true
	}
	var all fields
	q := quick{text: text}
	for o := q.object(); len(all) <= fewFields; {
		name, more, ok := o.next(&q)
		if ok && !more && q.i == len(text) {
			return all, true
		}
		q.space()
		start := q.i
		if !ok || !more || !q.skip(mostNested) {
			break
		}
		all.put(name, json.RawMessage(text[start:q.i]))
	}
	var byName map[string]json.RawMessage
	if json.Unmarshal([]byte(text), &byName) != nil {
		return nil, false
	}
	all = all[:0]
	for name, raw := range byName {
		all = append(all, field{name, raw})
	}
	return all, true
}

// fewFields is up to how many fields are looked through one by one as they are read.
const fewFields = 64

// fields returns what there is now.
func (d document) fields() fields {
	all, _ := d.parse() // it was valid when it was read
	return all
}

// decode reads a known field into v, if there is one. null leaves v as it is.
func (f fields) decode(name string, v any) error {
	raw, ok := f.get(name)
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
	return d.fields().get(name)
}

func (d *document) setField(name string, value any, known func(string) bool) error {
	if known(name) {
		return fmt.Errorf("%w: field %s is part of the type", ErrInvalid, name)
	}
	raw, err := json.Marshal(value)
	if err != nil {
		return fmt.Errorf("%w: field %s has no JSON form", ErrInvalid, name)
	}
	all := d.fields()
	all.put(name, raw)
	w := &writer{}
	for _, f := range all {
		w.name(f.name)
		w.out = append(w.out, f.raw...)
	}
	text := string(append(w.out, '}'))
	if !d.read() {
		text = unread + text
	}
	d.text = text
	return nil
}

// writer builds a JSON object from known fields and what the document still holds.
type writer struct {
	read bool   // the object came from JSON
	was  fields // what it held then, and what was set since
	out  []byte
	err  error
}

func newWriter(d document) *writer {
	return &writer{read: d.read(), was: d.fields(), out: make([]byte, 0, 512)}
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
	raw, had := w.was.get(name)
	if had {
		var old T
		if json.Unmarshal(raw, &old) == nil && same(old, v) {
			w.name(name)
			w.out = append(w.out, raw...)
			return
		}
	}
	if zero && (!required || !had && w.read) {
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
	unknown := slices.DeleteFunc(w.was, func(f field) bool { return known(f.name) })
	slices.SortFunc(unknown, func(a, b field) int { return strings.Compare(a.name, b.name) })
	for _, f := range unknown {
		w.name(f.name)
		w.out = append(w.out, f.raw...)
	}
	if len(w.out) == 0 {
		w.out = append(w.out, '{')
	}
	return append(w.out, '}'), nil
}
