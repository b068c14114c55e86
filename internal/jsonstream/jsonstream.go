// Package jsonstream reads JSON that is longer than one wants to keep: lists and
// objects are taken apart as they come, and only their values are read at once.
package jsonstream

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
)

// Scanner reads JSON as it comes.
type Scanner struct {
	// R has room for a value that is read at once.
	R *bufio.Reader
}

// ErrTooLong is what is wrong with a value for which there is no room.
var ErrTooLong = errors.New("a value is too long")

// Next skips blanks and shows what follows.
func (in Scanner) Next() (byte, error) {
	for {
		c, err := in.R.ReadByte()
		if err != nil {
			return 0, err
		}
		if c != ' ' && c != '\t' && c != '\r' && c != '\n' {
			return c, in.R.UnreadByte()
		}
	}
}

// End refuses what follows.
func (in Scanner) End() error {
	c, err := in.Next()
	if err == nil {
		return fmt.Errorf("invalid character %q after top-level value", c)
	}
	if errors.Is(err, io.EOF) {
		return nil
	}
	return err
}

// List has each value of a list read; null has none.
func (in Scanner) List(noList string, each func() error) error {
	c, err := in.Next()
	switch {
	case err != nil:
		return err
	case c == 'n':
		return in.Value(&struct{}{})
	case c != '[':
		return errors.New(noList)
	}
	return in.members(']', "array element", each)
}

// Object has each value of an object read, whose name has been.
func (in Scanner) Object(each func(name string) error) error {
	return in.members('}', "object key:value pair", func() error {
		c, err := in.Next()
		if err != nil {
			return err
		}
		if c != '"' {
			return fmt.Errorf("invalid character %q looking for beginning of object key string", c)
		}
		var name string
		if err := in.Value(&name); err != nil {
			return err
		}
		if c, err = in.Next(); err != nil {
			return err
		}
		if c != ':' {
			return fmt.Errorf("invalid character %q after object key", c)
		}
		_, _ = in.R.ReadByte() // it is there
		return each(name)
	})
}

// members has all read that stands between what comes next and end, with commas in
// between.
func (in Scanner) members(end byte, what string, each func() error) error {
	_, _ = in.R.ReadByte() // it is there
	for first := true; ; first = false {
		c, err := in.Next()
		switch {
		case err != nil:
			return err
		case c == end && first:
			_, _ = in.R.ReadByte() // as above
			return nil
		case first:
		case c != end && c != ',':
			return fmt.Errorf("invalid character %q after %s", c, what)
		default:
			_, _ = in.R.ReadByte() // as above
			if c == end {
				return nil
			}
		}
		if err := each(); err != nil {
			return err
		}
	}
}

// Value reads a value.
func (in Scanner) Value(into any) error {
	raw, err := in.Whole()
	if err == nil && raw == nil {
		err = ErrTooLong
	}
	if err != nil {
		return err
	}
	return json.Unmarshal(raw, into)
}

// Whole gives a value as it is written, until the next call; nil for one that is too long
// for that, which is still to be read. What it gives need not be JSON.
func (in Scanner) Whole() ([]byte, error) {
	if _, err := in.Next(); err != nil {
		return nil, err
	}
	var s span
	for {
		text, _ := in.R.Peek(in.R.Buffered())
		if n := s.scan(text); n > 0 {
			_, _ = in.R.Discard(n) // which are there; text stays as it is until the next read
			return text[:n], nil
		}
		if len(text) == in.R.Size() {
			return nil, nil
		}
		// It moves what is there to the front of R, under what text was.
		text, err := in.R.Peek(len(text) + 1)
		if errors.Is(err, io.EOF) && s.scalar {
			_, _ = in.R.Discard(len(text)) // as above
			return text, nil
		}
		if err != nil {
			return nil, err
		}
	}
}

// Plain has the next value read by read, if that can, and reports whether it could; else
// the value is still to be read. read is given p, which is scratch, may be called more than
// once, and what it was given holds until the next read of R.
func (in Scanner) Plain(p *Plain, read func(*Plain) bool) (bool, error) {
	if _, err := in.Next(); err != nil {
		return false, err
	}
	for {
		text, _ := in.R.Peek(in.R.Buffered())
		*p = Plain{B: text}
		if read(p) {
			_, _ = in.R.Discard(p.At) // which are there
			return true, nil
		}
		if !p.Short || len(text) == in.R.Size() {
			return false, nil
		}
		// Twice as much, so that a value which comes in small pieces is not begun anew with
		// each. An error is for who reads the value otherwise.
		_, _ = in.R.Peek(min(2*len(text), in.R.Size()))
		if in.R.Buffered() == len(text) {
			return false, nil
		}
	}
}

// span finds where a value ends.
type span struct {
	at     int // how far it has looked
	depth  int
	text   bool // within a text
	scalar bool // a number or a word, which ends where something else begins
}

// scan gives the length of the value with which b begins; 0 where it does not end in
// b. It goes on where it was.
func (s *span) scan(b []byte) int {
	for ; s.at < len(b); s.at++ {
		c := b[s.at]
		switch {
		case s.text && c == '\\':
			if s.at+1 == len(b) {
				return 0 // to be looked at again, with what follows
			}
			s.at++
			continue
		case s.text:
			s.text = c != '"'
		case c == '"' && !s.scalar:
			s.text = true
		case (c == '[' || c == '{') && !s.scalar:
			s.depth++
		case c == ']' || c == '}' || c == ',' || c == ' ' || c == '\t' || c == '\r' || c == '\n':
			if s.scalar {
				return s.at
			}
			if c == ']' || c == '}' {
				s.depth--
			}
		case s.depth == 0:
			s.scalar = true
		}
		if s.depth <= 0 && !s.text && !s.scalar {
			return s.at + 1
		}
	}
	return 0
}
