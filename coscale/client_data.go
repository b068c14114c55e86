package coscale

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"math"
	"net/http"
	"slices"
	"strconv"
	"unicode/utf8"

	"scriptbridge/internal/texts"
)

// This file writes what there is much of: values. Its JSON is that of
// encoding/json, at a quarter of the price (TestAppendJSON).

// InsertData sends values in one call, packed as the vendor's CLI does. It is
// the caller's affair to stay under 8 MiB of JSON. The error is a *RefusedError
// where the server, a bridge, took the call but not all points.
func (c *Client) InsertData(ctx context.Context, data []Data) error {
	return c.InsertEach(ctx, func(yield func(*Data) bool) {
		for i := range data {
			if !yield(&data[i]) {
				return
			}
		}
	})
}

// InsertEach is InsertData of what need not be there all at once: each entry is
// done with when the next one is asked for.
func (c *Client) InsertEach(ctx context.Context, data iter.Seq[*Data]) error {
	var body bytes.Buffer
	body.WriteString("cdata=")
	if err := c.pack(&body, data); err != nil {
		return fmt.Errorf("writing data: %w", err)
	}
	var said insertAnswer
	if err := c.call(ctx, http.MethodPost, "data/", body.Bytes(), &said); err != nil {
		return err
	}
	return said.refusedOf()
}

// pack writes a list as the text of a form's field.
func (c *Client) pack(to *bytes.Buffer, data iter.Seq[*Data]) (err error) {
	packed := base64.NewEncoder(base64.StdEncoding, escaping{to})
	zip, ok := c.zips.Get().(*gzip.Writer)
	if !ok {
		zip = new(gzip.Writer)
	}
	defer c.zips.Put(zip)
	zip.Reset(packed)
	text := []byte{'['}
	first := true
	for d := range data {
		if !first {
			text = append(text, ',')
		}
		first = false
		if text, err = d.appendJSON(text); err != nil {
			return err
		}
		if len(text) >= 16<<10 {
			if _, err := zip.Write(text); err != nil {
				return err
			}
			text = text[:0]
		}
	}
	_, err = zip.Write(append(text, "]\n"...))
	return errors.Join(err, zip.Close(), packed.Close())
}

// escaping writes base64 as it stands in a form.
type escaping struct{ to *bytes.Buffer }

func (e escaping) Write(text []byte) (int, error) {
	n := len(text)
	for len(text) > 0 {
		i := bytes.IndexAny(text, "+/=")
		if i < 0 {
			e.to.Write(text)
			break
		}
		e.to.Write(text[:i])
		fmt.Fprintf(e.to, "%%%02X", text[i])
		text = text[i+1:]
	}
	return n, nil
}

var _ io.Writer = escaping{}

// appendJSON writes what json.Marshal does, but that <, > and & stand as they are.
func (d *Data) appendJSON(b []byte) (_ []byte, err error) {
	b = append(b, `{"m":`...)
	b = strconv.AppendInt(b, d.Metric, 10)
	if d.Subject != "" {
		if b, err = appendText(append(b, `,"s":`...), d.Subject); err != nil {
			return b, err
		}
	}
	b = append(b, `,"d":`...)
	if d.Points == nil {
		b = append(b, "null"...)
	} else {
		b = append(b, '[')
		for i := range d.Points {
			if i > 0 {
				b = append(b, ',')
			}
			if b, err = d.Points[i].appendJSON(b); err != nil {
				return b, err
			}
		}
		b = append(b, ']')
	}
	if len(d.Dimensions) == 0 {
		return append(b, '}'), nil
	}
	b = append(b, `,"dv":{`...)
	var few [4]string
	for i, name := range sortedKeys(few[:0], d.Dimensions) {
		if i > 0 {
			b = append(b, ',')
		}
		if b, err = appendText(b, name); err != nil {
			return b, err
		}
		if b, err = appendText(append(b, ':'), d.Dimensions[name]); err != nil {
			return b, err
		}
	}
	return append(b, "}}"...), nil
}

func sortedKeys(keys []string, m map[string]string) []string {
	for key := range m {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	return keys
}

// appendJSON writes [time,value] or [time,[samples,width,[values]]]. NaN and
// infinity are an error.
func (p *Point) appendJSON(b []byte) (_ []byte, err error) {
	b = append(strconv.AppendInt(append(b, '['), p.Time, 10), ',')
	h := p.Histogram
	if h == nil {
		b, err = appendNumber(b, p.Value)
		return append(b, ']'), err
	}
	b = append(b, '[')
	for _, v := range []float64{h.Samples, h.Width} {
		if b, err = appendNumber(b, v); err != nil {
			return b, err
		}
		b = append(b, ',')
	}
	b = append(b, '[')
	for i, v := range h.Values {
		if i > 0 {
			b = append(b, ',')
		}
		if b, err = appendNumber(b, v); err != nil {
			return b, err
		}
	}
	return append(b, "]]]"...), nil
}

// appendText writes a string.
func appendText(b []byte, s string) ([]byte, error) {
	for i := range len(s) {
		if c := s[i]; c < ' ' || c >= utf8.RuneSelf || c == '"' || c == '\\' || c == 0x7f {
			text, err := texts.JSON(s)
			return append(b, text...), err
		}
	}
	return append(append(append(b, '"'), s...), '"'), nil
}

// appendNumber writes a number as encoding/json does, which does as ECMAScript.
func appendNumber(b []byte, v float64) ([]byte, error) {
	if v == math.Trunc(v) && math.Abs(v) < 1e15 && (v != 0 || !math.Signbit(v)) {
		return strconv.AppendInt(b, int64(v), 10), nil
	}
	if a := math.Abs(v); a >= 1e-6 && a < 1e21 {
		return strconv.AppendFloat(b, v, 'f', -1, 64), nil
	}
	text, err := json.Marshal(v)
	return append(b, text...), err
}
