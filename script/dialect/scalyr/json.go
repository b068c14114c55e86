package scalyr

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
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
	for i := r.at + 1; i < len(r.text); i++ {
		switch c := r.text[i]; {
		case c == '"':
			text := r.text[r.at+1 : i]
			r.at = i + 1
			return text
		case c == '\\' || c < ' ' || c >= 0x80:
			return r.escaped()
		}
	}
	r.fail("unexpected end of JSON input")
	return ""
}

// escaped reads a string that is not its own text.
func (r *jsonReader) escaped() string {
	raw := r.raw()
	plain, ok := unescape(r.plain[:0], raw[1:max(1, len(raw)-1)])
	if r.plain = plain; ok && len(raw) > 1 && raw[len(raw)-1] == '"' {
		return r.texts.KeepBytes(plain)
	}
	var text string
	if err := json.Unmarshal([]byte(raw), &text); err != nil {
		r.fail("%w", err)
	}
	return text
}

// unescape appends what a JSON string in ASCII stands for, as Python writes it; false
// where it is none, or has half of a pair of surrogates.
func unescape(to []byte, text string) ([]byte, bool) {
	for i := 0; i < len(text); i++ {
		c := text[i]
		if c != '\\' {
			if c < ' ' || c >= 0x80 {
				return to, false
			}
			to = append(to, c)
			continue
		}
		if i++; i == len(text) {
			return to, false
		}
		switch c = text[i]; c {
		case '"', '\\', '/':
		case 'b':
			c = '\b'
		case 'f':
			c = '\f'
		case 'n':
			c = '\n'
		case 'r':
			c = '\r'
		case 't':
			c = '\t'
		case 'u':
			char, ok := hex4(text[i+1:])
			i += 4
			if utf16.IsSurrogate(char) && ok {
				var low rune
				if ok = strings.HasPrefix(text[i+1:], `\u`); ok {
					low, ok = hex4(text[i+3:])
				}
				i += 6
				char = utf16.DecodeRune(char, low)
				ok = ok && char != utf8.RuneError
			}
			if !ok {
				return to, false
			}
			to = utf8.AppendRune(to, char)
			continue
		default:
			return to, false
		}
		to = append(to, c)
	}
	return to, true
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

// number reads a number of JSON. A whole one that no float64 holds is infinite, any
// other such is none; false where it is no number.
func number(word string) (v fieldValue, ok bool) {
	if !isNumber(word) {
		return v, false
	}
	x, ok := lines.ShortDecimal(word)
	if !ok {
		var err error
		x, err = strconv.ParseFloat(word, 64) // of one that is too large an infinity
		if err != nil && strings.ContainsAny(word, ".eE") {
			return fieldValue{text: word}, true
		}
	}
	return fieldValue{kind: kindNumber, number: x, text: word}, true
}

// isNumber reports whether a word is a number of JSON: -?(0|[1-9]\d*)(\.\d+)?([eE][-+]?\d+)?
func isNumber(word string) bool {
	i := 0
	digits := func() bool {
		from := i
		for i < len(word) && '0' <= word[i] && word[i] <= '9' {
			i++
		}
		return i > from
	}
	if i < len(word) && word[i] == '-' {
		i++
	}
	if zero := i < len(word) && word[i] == '0'; zero {
		i++
	} else if !digits() {
		return false
	}
	if i < len(word) && word[i] == '.' {
		if i++; !digits() {
			return false
		}
	}
	if i < len(word) && word[i]|0x20 == 'e' {
		if i++; i < len(word) && (word[i] == '-' || word[i] == '+') {
			i++
		}
		if !digits() {
			return false
		}
	}
	return i == len(word)
}

// entry is one record of a batch: a list of name, value, fields,
// monitor_id and time in milliseconds.
type entry struct {
	record metricRecord
	id     string
	hasID  bool
	millis int64 // 0: none
}

// entries reads a list of records.
func (r *jsonReader) entries() []entry {
	r.records = r.records[:0]
	r.list(func() {
		if n := len(r.records); n == cap(r.records) && n >= 64 { // the rest is likely to be like these
			most := float64(n) * float64(len(r.text)-r.at) / float64(r.at)
			r.records = slices.Grow(r.records, min(int(most*1.1)+16, (len(r.text)-r.at)/shortestRecord+16))
		}
		r.records = append(r.records, r.entry())
	})
	return r.records
}

const shortestRecord = len(`["a",1],`)

var errShort = errors.New("a record has no name or value")

func (r *jsonReader) entry() (e entry) {
	place := 0
	begun := r.opens('[', "record")
	for ; begun && r.more(']', place == 0); place++ {
		switch place {
		case 0:
			e.record.name = r.string("name of a metric")
		case 1:
			e.record.value = r.value()
		case 2:
			e.record.fields = r.recordFields()
		case 3:
			if e.hasID = r.next() == '"'; e.hasID || r.next() != 'n' {
				e.id = r.string("monitor id")
			} else {
				r.value()
			}
		case 4:
			if v := r.value(); v.kind == kindNumber && v.number > 0 && v.number < 1e15 {
				e.millis = int64(v.number)
			}
		default:
			r.value()
		}
	}
	if place < 2 && r.err == nil {
		r.fail("%w", errShort)
	}
	return e
}

// recordFields reads fields, in the order of their names. Of two of one name the last
// counts. What is no object has none.
func (r *jsonReader) recordFields() []recordField {
	if r.next() != '{' {
		r.value()
		return nil
	}
	from, sorted := len(r.fields), true
	r.object(func(name string) {
		sorted = sorted && (len(r.fields) == from || r.fields[len(r.fields)-1].name < name)
		r.fields = append(r.fields, recordField{name, r.value()})
	})
	fields := r.fields[from:]
	if !sorted {
		slices.SortStableFunc(fields, func(a, b recordField) int { return strings.Compare(a.name, b.name) })
		n := 0
		for i, f := range fields {
			if i+1 == len(fields) || fields[i+1].name != f.name {
				fields[n] = f
				n++
			}
		}
		fields = fields[:n]
	}
	return slices.Clip(fields)
}

// logLine is text for the metric log.
type logLine struct {
	text  string
	id    string
	hasID bool
}

// logLines reads a list of them.
func (r *jsonReader) logLines() []logLine {
	r.list(func() { r.lines = append(r.lines, r.logLine()) })
	return r.lines
}

func (r *jsonReader) logLine() (line logLine) {
	begun := r.opens('{', "line")
	for first := true; begun && r.more('}', first); first = false {
		switch r.name() {
		case "text":
			line.text = r.string("text of a line")
		case "id":
			if line.hasID = r.next() != 'n'; line.hasID {
				line.id = r.string("monitor id")
			} else {
				r.value()
			}
		default:
			r.value()
		}
	}
	return line
}
