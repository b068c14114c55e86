package server

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"net/url"
	"strings"

	"scriptbridge/internal/jsonstream"
)

// This file reads the body of a data request as it comes: nothing of it is kept but
// the points, and it ends where there are too many.

// maxName bounds a name in a form.
const maxName = 1 << 10

// dataBody is the body of a data request: a form, urlencoded or a JSON object, or
// the list of the data themselves.
type dataBody struct {
	r      *bufio.Reader
	data   dataset
	source string
	seen   map[string]bool // fields that there were
}

// read reads all of it.
func (b *dataBody) read() error {
	b.seen = make(map[string]bool)
	first, err := jsonstream.Scanner{R: b.r}.Next()
	switch {
	case errors.Is(err, io.EOF):
		return errNoData()
	case err != nil:
		return err
	case first == '[':
		return b.data.read(b.r)
	case first == '{':
		err = b.object()
	default:
		err = b.form()
	}
	if err == nil && !b.seen["data"] && !b.seen["cdata"] {
		return errNoData()
	}
	return err
}

func errNoData() error { return badRequest("there is neither data nor cdata") }

// field takes a field's value, of which it reads as much as it likes. Of several of one
// name the first counts, and cdata before data.
func (b *dataBody) field(name string, value io.Reader) error {
	name = strings.ToLower(name)
	if b.seen[name] || name == "data" && b.seen["cdata"] {
		return nil
	}
	switch name {
	case "source":
		text, err := io.ReadAll(io.LimitReader(value, maxField))
		b.source = string(text)
		b.seen[name] = err == nil
		return err
	case "data":
		b.seen[name] = true
		return b.data.read(bufio.NewReaderSize(value, maxValue))
	case "cdata":
		b.seen[name] = true
		return b.data.unpack(value)
	}
	return nil
}

// unpack reads the data in cdata: base64 of gzip.
func (d *dataset) unpack(cdata io.Reader) error {
	packed := namedReader{base64.NewDecoder(base64.StdEncoding, unescaped{newBoundedReader(cdata, "cdata", maxCdata)}), "cdata is no base64"}
	unzip, err := gzip.NewReader(packed)
	no := "cdata is no gzip"
	if err != nil {
		if err == io.EOF { //nolint:errorlint // as above
			return badRequest("%s: %v", no, err)
		}
		return namedReader{what: no}.name(err)
	}
	return d.read(bufio.NewReaderSize(newBoundedReader(namedReader{unzip, no}, "the JSON in cdata", maxGunzip), maxValue))
}

// form reads an urlencoded form.
func (b *dataBody) form() error {
	for {
		name, end, err := b.name()
		if err != nil {
			return err
		}
		if end == '=' {
			value := &formValue{r: b.r}
			if err := b.field(name, value); err != nil {
				return err
			}
			if _, err := io.Copy(io.Discard, value); err != nil {
				return err
			}
			end = value.end
		}
		if end == 0 {
			return nil
		}
	}
}

// name reads a field's name, and the byte behind it; 0 for the end of the form.
func (b *dataBody) name() (name string, end byte, err error) {
	var text []byte
	for {
		c, err := b.r.ReadByte()
		switch {
		case err != nil && !errors.Is(err, io.EOF):
			return "", 0, err
		case err == nil && c != '=' && c != '&':
			if text = append(text, c); len(text) > maxName {
				return "", 0, badRequest("the form cannot be read: a name has more than %d bytes", maxName)
			}
			continue
		case err == nil:
			end = c
		}
		if bytes.IndexByte(text, ';') >= 0 {
			return "", 0, errSemicolon()
		}
		name, err = url.QueryUnescape(string(text))
		if err != nil {
			err = badRequest("the form cannot be read: %v", err)
		}
		return name, end, err
	}
}

func errSemicolon() error {
	return badRequest("the form cannot be read: invalid semicolon separator in query")
}

// formValue is a value of an urlencoded form, decoded.
type formValue struct {
	r    *bufio.Reader
	over bool
	end  byte // what stands behind it: & or, at the end of the form, 0
	err  error
}

// Read gives an error again and again: who has not heeded it must not get what stands
// behind what is wrong.
func (v *formValue) Read(p []byte) (n int, err error) {
	if v.err == nil {
		n, v.err = v.decode(p)
	}
	return n, v.err
}

func (v *formValue) decode(p []byte) (n int, err error) {
	for n < len(p) {
		if v.over {
			return n, io.EOF
		}
		c, err := v.r.ReadByte()
		switch {
		case errors.Is(err, io.EOF):
			v.over = true
			continue
		case err != nil:
			return n, err
		}
		switch c {
		case '&':
			v.over, v.end = true, c
			continue
		case ';':
			return n, errSemicolon()
		case '+':
			c = ' '
		case '%':
			if c, err = v.escape(); err != nil {
				return n, err
			}
		}
		p[n] = c
		n++
		n += v.come(p[n:])
	}
	return n, nil
}

// come decodes of what has come already as much as is no end and no error.
func (v *formValue) come(p []byte) (n int) {
	text, _ := v.r.Peek(v.r.Buffered())
	at := 0
	for at < len(text) && n < len(p) {
		c := text[at]
		at++
		switch c {
		case '&', ';':
			_, _ = v.r.Discard(at - 1) // which are there
			return n
		case '+':
			c = ' '
		case '%':
			if at+2 > len(text) || unhex[text[at]]|unhex[text[at+1]] > 15 {
				_, _ = v.r.Discard(at - 1) // as above
				return n
			}
			c = unhex[text[at]]<<4 | unhex[text[at+1]]
			at += 2
		}
		p[n] = c
		n++
	}
	_, _ = v.r.Discard(at) // as above
	return n
}

// unhex are the values of hexadecimal digits; 255 of other bytes.
var unhex = func() (t [256]byte) {
	for i := range t {
		t[i] = 255
	}
	for i, c := range "0123456789abcdef" {
		t[c] = byte(i)
		t[strings.ToUpper(string(c))[0]] = byte(i)
	}
	return t
}()

// escape reads the two digits behind a percent sign.
func (v *formValue) escape() (byte, error) {
	digits, err := v.r.Peek(2)
	if err != nil && !errors.Is(err, io.EOF) {
		return 0, err
	}
	var c [1]byte
	if n, err := hex.Decode(c[:], digits); n != 1 || err != nil {
		return 0, badRequest("the form cannot be read: %v", url.EscapeError("%"+string(digits)))
	}
	_, _ = v.r.Discard(2) // which are there
	return c[0], nil
}

// object reads a form that is a JSON object.
func (b *dataBody) object() error {
	in := jsonstream.Scanner{R: b.r}
	err := in.Object(func(name string) error {
		first, err := in.Next()
		switch {
		case err != nil:
			return err
		case first == '"':
			text := namedReader{in.Text(), "the JSON cannot be read"}
			if err := b.field(name, text); err != nil {
				return err
			}
			_, err := io.Copy(io.Discard, text)
			return err
		case first == '[' && strings.EqualFold(name, "data") && !b.seen["data"] && !b.seen["cdata"]:
			b.seen["data"] = true
			return badData(b.data.list(in))
		}
		var raw json.RawMessage // what is no text is kept as it is written
		if err := in.Value(&raw); err != nil || string(raw) == "null" {
			return err
		}
		return b.field(name, bytes.NewReader(raw))
	})
	if err == nil {
		err = in.End()
	}
	return badJSON(err, "the JSON")
}

// badJSON is what is wrong with JSON.
func badJSON(err error, what string) error {
	var ours *apiError
	switch {
	case err == nil || errors.As(err, &ours):
		return err
	case errors.Is(err, jsonstream.ErrTooLong):
		return tooLarge("a value", maxValue)
	case errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF):
		return badRequest("%s cannot be read: unexpected end of JSON input", what)
	}
	return badRequest("%s cannot be read: %v", what, err)
}
