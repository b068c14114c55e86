package scalyr

import (
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"unicode/utf16"
	"unicode/utf8"

	"scriptbridge/internal/texts"
	"scriptbridge/script/dialect/lines"
)

// This file reads the lists of a batch, which are nearly all that a host says:
// encoding/json takes ten times as long. What it gives are parts of the message's text.

// jsonReader reads JSON from front to back. Once it has met what is none, it is at its
// end, and err says why.
type jsonReader struct {
	text    string
	at      int
	err     error
	records []entry
	lines   []logLine
	fields  []recordField // those of the records are slices of it
	texts   lines.Texts   // with what had escapes
	plain   []byte        // scratch
}

var jsonReaders = sync.Pool{New: func() any { return new(jsonReader) }}

func newJSONReader(text string) *jsonReader {
	r := jsonReaders.Get().(*jsonReader)
	r.text, r.at, r.err = text, 0, nil
	return r
}

// free gives its memory to who comes next; what it gave holds no longer.
func (r *jsonReader) free() {
	clear(r.records)
	clear(r.lines)
	clear(r.fields)
	r.records, r.lines, r.fields = r.records[:0], r.lines[:0], r.fields[:0]
	r.text, r.texts = "", lines.Texts{}
	jsonReaders.Put(r)
}

// next skips blanks and gives what follows; 0 at the end.
func (r *jsonReader) next() byte {
	for ; r.at < len(r.text); r.at++ {
		if c := r.text[r.at]; c != ' ' && c != '\t' && c != '\r' && c != '\n' {
			return c
		}
	}
	return 0
}

func (r *jsonReader) fail(format string, args ...any) {
	if r.err == nil {
		r.err = fmt.Errorf(format, args...)
	}
	r.at = len(r.text)
}

// more goes to the next member of a list or an object, which ends in end; false
// behind the last one. first is true where none has been.
func (r *jsonReader) more(end byte, first bool) bool {
	c := r.next()
	switch {
	case c == end:
		r.at++
		return false
	case first && c != 0:
		return true
	case c == ',':
		r.at++
		if c = r.next(); c != end && c != 0 {
			return true
		}
	}
	r.fail("invalid character %q in a list or an object, at %d", c, r.at)
	return false
}

// list has each value of a list read; null has none.
func (r *jsonReader) list(each func()) {
	if !r.opens('[', "list") {
		return
	}
	for first := true; r.more(']', first); first = false {
		each()
	}
}

// object has each value of an object read, whose name has been; null has none.
func (r *jsonReader) object(each func(name string)) {
	if !r.opens('{', "object") {
		return
	}
	for first := true; r.more('}', first); first = false {
		each(r.name())
	}
}

// name reads the name of a member, and what stands between it and the value.
func (r *jsonReader) name() string {
	name := r.string("name")
	if r.next() != ':' {
		r.fail("no : follows a name, at %d", r.at)
		return ""
	}
	r.at++
	return name
}

// opens reports whether a value begins, and goes behind its beginning; null is none.
func (r *jsonReader) opens(begin byte, what string) bool {
	switch c := r.next(); c {
	case begin:
		r.at++
		return true
	case 'n':
		if r.raw() == "null" {
			return false
		}
	}
	r.fail("no %s, at %d", what, r.at)
	return false
}

// string reads a string; null is an empty one.
func (r *jsonReader) string(what string) string {
	if r.next() != '"' {
		if raw := r.raw(); raw != "null" || what == "name" {
			r.fail("the %s is no text, at %d", what, r.at)
		}
		return ""
	}
	i := r.at + 1
	for i < len(r.text) && plainByte[r.text[i]] {
		i++
	}
	if i < len(r.text) && r.text[i] == '"' {
		text := r.text[r.at+1 : i]
		r.at = i + 1
		return text
	}
	return r.escaped()
}

// plainByte tells the bytes that stand for themselves in a string.
var plainByte = func() (plain [256]bool) {
	for c := ' '; c < 0x80; c++ {
		plain[c] = c != '"' && c != '\\'
	}
	return plain
}()

// escaped reads a string that is not its own text.
func (r *jsonReader) escaped() string {
	plain, n := unescape(r.plain[:0], r.text[r.at+1:])
	r.plain = plain
	if n > 0 {
		r.at += 1 + n
		return r.texts.KeepBytes(plain)
	}
	var text string
	if err := json.Unmarshal([]byte(r.raw()), &text); err != nil {
		r.fail("%w", err)
	}
	return text
}

// unescape appends what a JSON string in ASCII stands for, as Python writes it, and gives
// its length up to the quote that ends it; 0 where it is none, or has half of a pair of
// surrogates.
func unescape(to []byte, text string) (plain []byte, n int) {
	for i := 0; i < len(text); i++ {
		from := i
		for i < len(text) && plainByte[text[i]] {
			i++
		}
		to = append(to, text[from:i]...)
		if i+1 < len(text) && text[i] == '\\' {
			if short := escapes[text[i+1]]; short != 0 {
				to = append(to, short)
				i++
				continue
			}
			char, n := escapedRune(text[i:])
			if n == 0 {
				return to, 0
			}
			to = utf8.AppendRune(to, char)
			i += n - 1
			continue
		}
		if i < len(text) && text[i] == '"' {
			return to, i + 1
		}
		return to, 0
	}
	return to, 0
}

// escapes are what stands for one character behind a backslash.
var escapes = [256]byte{'"': '"', '\\': '\\', '/': '/', 'b': '\b', 'f': '\f', 'n': '\n', 'r': '\r', 't': '\t'}

// escapedRune reads \u and four digits, or two of them for a pair of surrogates, and
// gives their length; 0 where that is none.
func escapedRune(text string) (char rune, n int) {
	if text[1] != 'u' {
		return 0, 0
	}
	char, ok := hex4(text[2:])
	n = 6
	if ok && utf16.IsSurrogate(char) {
		var low rune
		if ok = strings.HasPrefix(text[6:], `\u`); ok {
			low, ok = hex4(text[8:])
		}
		n = 12
		char = utf16.DecodeRune(char, low)
		ok = ok && char != utf8.RuneError
	}
	if !ok {
		return 0, 0
	}
	return char, n
}

// hex4 reads the four digits that a text begins with.
func hex4(text string) (char rune, ok bool) {
	if len(text) < 4 {
		return 0, false
	}
	for i := range 4 {
		c := rune(text[i])
		switch {
		case '0' <= c && c <= '9':
			c -= '0'
		case 'a' <= c|0x20 && c|0x20 <= 'f':
			c = c | 0x20 - 'a' + 10
		default:
			return 0, false
		}
		char = char<<4 | c
	}
	return char, true
}

// raw reads a value as it is written, which need not be JSON if it is no scalar.
func (r *jsonReader) raw() string {
	r.next()
	begin, depth := r.at, 0
	for r.at < len(r.text) {
		switch c := r.text[r.at]; c {
		case '"':
			r.skipText()
		case '[', '{':
			depth++
			r.at++
		case ']', '}':
			depth--
			r.at++
		case ',', ':', ' ', '\t', '\r', '\n':
			r.at++
		default:
			r.skipWord()
		}
		if depth <= 0 {
			break
		}
	}
	return r.text[begin:r.at]
}

func (r *jsonReader) skipText() {
	for r.at++; r.at < len(r.text); r.at++ {
		switch r.text[r.at] {
		case '\\':
			r.at++
		case '"':
			r.at++
			return
		}
	}
	r.at = len(r.text)
}

// skipWord skips a number, true, false or null.
func (r *jsonReader) skipWord() {
	for ; r.at < len(r.text); r.at++ {
		switch r.text[r.at] {
		case ',', ':', ']', '}', '[', '{', '"', ' ', '\t', '\r', '\n':
			return
		}
	}
}

// value reads a value: as JSON has it, or {"f": "NaN"} for a number that JSON
// has not.
func (r *jsonReader) value() fieldValue {
	switch r.next() {
	case '"':
		return fieldValue{kind: kindText, text: r.string("value")}
	case '{', '[':
		return r.special()
	}
	begin := r.at
	r.skipWord()
	word := r.text[begin:r.at]
	v, ok := number(word)
	if !ok {
		v, ok = constant(word)
	}
	if !ok {
		r.fail("%q is no value", texts.Shorten(word, 40))
	}
	return v
}

// special reads a value that is neither a text nor a word.
func (r *jsonReader) special() fieldValue {
	raw := r.raw()
	var special struct {
		F string `json:"f"`
	}
	switch {
	case !json.Valid([]byte(raw)):
		r.fail("%q is no value", texts.Shorten(raw, 40))
	case raw[0] == '{' && json.Unmarshal([]byte(raw), &special) == nil:
		if x, ok := notFinite[special.F]; ok {
			return fieldValue{kind: kindNumber, number: x, text: special.F}
		}
	}
	return fieldValue{text: texts.Shorten(raw, 40)}
}

// constant reads what JSON has besides.
func constant(word string) (fieldValue, bool) {
	switch word {
	case "true":
		return fieldValue{kind: kindBool, number: 1, text: word}, true
	case "false":
		return fieldValue{kind: kindBool, text: word}, true
	case "null":
		return fieldValue{text: word}, true
	}
	return fieldValue{}, false
}
