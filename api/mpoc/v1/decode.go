// SPDX-License-Identifier: Apache-2.0

package mpocv1

import (
	"bytes"
	"encoding"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"reflect"
	"strings"
	"sync"
	"unicode/utf8"
)

// ErrBody reports a body that is not what it should be.
var ErrBody = errors.New("mpoc: malformed body")

// Decode reads one body of the kind T. Errors wrap ErrBody.
func Decode[T any](data []byte) (T, error) {
	var v T
	if most := limit(&v); len(data) > most {
		return v, fmt.Errorf("%w: %d bytes, at most %d", ErrBody, len(data), most)
	}
	if err := strict(data, &v); err != nil {
		var none T
		return none, err
	}
	if b, ok := any(v).(interface{ Valid() error }); ok {
		if err := b.Valid(); err != nil {
			var none T
			if !errors.Is(err, ErrBody) {
				err = fmt.Errorf("%w: %w", ErrBody, err)
			}
			return none, err
		}
	}
	return v, nil
}

// Longest is how many bytes a body of the kind T may have.
func Longest[T any]() int64 {
	var v T
	return int64(limit(&v))
}

// Read decodes a body of the kind T from r and reads no further than such a
// body may be long.
func Read[T any](r io.Reader) (T, error) {
	var v T
	data, err := io.ReadAll(io.LimitReader(r, int64(limit(&v))+1))
	if err != nil {
		return v, err
	}
	return Decode[T](data)
}

// strict decodes what encoding/json would, less what it is lenient about.
func strict(data []byte, v any) error {
	if !utf8.Valid(data) {
		return fmt.Errorf("%w: not UTF-8", ErrBody)
	}
	d := json.NewDecoder(bytes.NewReader(data))
	d.UseNumber()
	if err := walk(d, reflect.TypeOf(v).Elem(), &place{key: "body"}); err != nil {
		return err
	}
	if _, err := d.Token(); err != io.EOF {
		return fmt.Errorf("%w: something behind the body", ErrBody)
	}
	if err := json.Unmarshal(data, v); err != nil {
		return fmt.Errorf("%w: %w", ErrBody, err)
	}
	return nil
}

var (
	rawType  = reflect.TypeFor[json.RawMessage]()
	textType = reflect.TypeFor[encoding.TextUnmarshaler]()
	jsonType = reflect.TypeFor[json.Unmarshaler]()
)

// place is where a value is, for a message that is seldom needed.
type place struct {
	in    *place // nil at the top
	key   string // "" in a list
	index int
}

func (p *place) String() string {
	switch {
	case p.in == nil:
		return p.key
	case p.key == "":
		return fmt.Sprintf("%s[%d]", p.in, p.index)
	}
	return p.in.String() + "." + p.key
}

// walk holds the next value against the type it will be read into: its keys for
// an object, its kind for everything else. What is inside a value without keys
// is left to Unmarshal.
func walk(d *json.Decoder, t reflect.Type, at *place) error {
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	if t == rawType { // whoever decodes it looks into it
		var raw json.RawMessage
		if err := d.Decode(&raw); err != nil {
			return fmt.Errorf("%w: %s: %w", ErrBody, at, err)
		}
		if string(raw) == "null" {
			return fmt.Errorf("%w: %s is null", ErrBody, at)
		}
		return nil
	}
	token, err := d.Token()
	if err != nil {
		return fmt.Errorf("%w: %s: %w", ErrBody, at, err)
	}
	if token == nil {
		return fmt.Errorf("%w: %s is null", ErrBody, at)
	}
	p := reflect.PointerTo(t)
	delim, open := token.(json.Delim)
	switch {
	case p.Implements(textType) || p.Implements(jsonType):
		if open {
			return fmt.Errorf("%w: %s is a list or an object", ErrBody, at)
		}
		return nil
	case t.Kind() == reflect.Struct:
		if delim != '{' {
			return fmt.Errorf("%w: %s is not an object", ErrBody, at)
		}
		return walkObject(d, t, at)
	case t.Kind() == reflect.Slice:
		if delim != '[' {
			return fmt.Errorf("%w: %s is not a list", ErrBody, at)
		}
		item := place{in: at}
		for ; d.More(); item.index++ {
			if err := walk(d, t.Elem(), &item); err != nil {
				return err
			}
		}
		_, err = d.Token()
		return err
	case open:
		return fmt.Errorf("%w: %s is a list or an object", ErrBody, at)
	}
	return nil
}

func walkObject(d *json.Decoder, t reflect.Type, at *place) error {
	keys := fields(t)
	seen := make(map[string]bool, len(keys))
	value := place{in: at}
	for d.More() {
		token, err := d.Token()
		if err != nil {
			return fmt.Errorf("%w: %s: %w", ErrBody, at, err)
		}
		key := token.(string) // More said that there is one
		f, known := keys[key]
		if !known || seen[key] {
			return fmt.Errorf("%w: %s has the key %.40q, which is unknown or repeated",
				ErrBody, at, key)
		}
		seen[key] = true
		value.key = key
		if err := walk(d, f.of, &value); err != nil {
			return err
		}
	}
	if _, err := d.Token(); err != nil {
		return fmt.Errorf("%w: %s: %w", ErrBody, at, err)
	}
	for key, f := range keys {
		if !f.optional && !seen[key] {
			return fmt.Errorf("%w: %s lacks the key %q", ErrBody, at, key)
		}
	}
	return nil
}

// field is a key of an object.
type field struct {
	of       reflect.Type
	optional bool
}

// byType holds the fields of every type that was met.
var byType sync.Map // reflect.Type -> map[string]field

// fields lists the keys of a struct, embedded ones included.
func fields(t reflect.Type) map[string]field {
	if keys, ok := byType.Load(t); ok {
		return keys.(map[string]field)
	}
	keys := map[string]field{}
	for i := range t.NumField() {
		f := t.Field(i)
		if f.Anonymous {
			for key, inner := range fields(f.Type) {
				keys[key] = inner
			}
			continue
		}
		name, options, _ := strings.Cut(f.Tag.Get("json"), ",")
		keys[name] = field{of: f.Type, optional: strings.Contains(options, "omitempty")}
	}
	byType.Store(t, keys)
	return keys
}
