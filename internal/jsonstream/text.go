package jsonstream

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// text is a text in JSON, decoded.
type text struct {
	r       *bufio.Reader
	over    bool
	pending []byte // decoded, and not read yet
}

// Text decodes a text, whose first quote comes next, as it is read.
func (in Scanner) Text() io.Reader {
	_, _ = in.R.ReadByte() // it is there
	return &text{r: in.R}
}

func (v *text) Read(p []byte) (n int, err error) {
	for n < len(p) {
		if len(v.pending) > 0 {
			p[n], v.pending = v.pending[0], v.pending[1:]
			n++
			continue
		}
		if v.over {
			return n, io.EOF
		}
		c, err := v.r.ReadByte()
		if err != nil {
			return n, ended(err)
		}
		switch {
		case c == '"':
			v.over = true
			continue
		case c < ' ':
			return n, fmt.Errorf("invalid character %q in string literal", c)
		case c == '\\':
			if err := v.escape(); err != nil {
				return n, err
			}
			continue
		}
		p[n] = c
		n++
	}
	return n, nil
}

// escape decodes what stands behind a backslash.
func (v *text) escape() error {
	c, err := v.r.ReadByte()
	if err != nil {
		return ended(err)
	}
	if c == 'u' {
		one, err := v.unit()
		if err != nil {
			return err
		}
		if next, _ := v.r.Peek(2); utf16.IsSurrogate(one) && string(next) == `\u` {
			if six, _ := v.r.Peek(6); len(six) == 6 {
				if low, err := strconv.ParseUint(string(six[2:]), 16, 16); err == nil {
					if both := utf16.DecodeRune(one, rune(low)); both != utf8.RuneError {
						_, _ = v.r.Discard(6) // which are there
						one = both
					}
				}
			}
		}
		v.pending = utf8.AppendRune(v.pending[:0], one)
		return nil
	}
	i := strings.IndexByte(`"\/bfnrt`, c)
	if i < 0 {
		return fmt.Errorf("invalid character %q in string escape code", c)
	}
	v.pending = append(v.pending[:0], "\"\\/\b\f\n\r\t"[i])
	return nil
}

// unit reads four digits.
func (v *text) unit() (rune, error) {
	digits, err := v.r.Peek(4)
	if err != nil {
		return 0, ended(err)
	}
	n, err := strconv.ParseUint(string(digits), 16, 16)
	if err != nil {
		return 0, fmt.Errorf("%.4q is no code of a character", digits)
	}
	_, _ = v.r.Discard(4) // which are there
	return rune(n), nil
}

// ended is the error of a text that has no end.
func ended(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}
