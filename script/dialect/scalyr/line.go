package scalyr

import (
	"encoding/json"
	"math"
	"strings"
	"unicode"

	"scriptbridge/internal/texts"
)

// valueKind is what a value is to Python.
type valueKind uint8

const (
	kindNone valueKind = iota // null, or what no monitor may emit
	kindNumber
	kindBool
	kindText
	kinds // how many
)

// fieldValue is a value as a monitor emitted it.
type fieldValue struct {
	kind   valueKind
	number float64 // of a bool: 1 or 0
	text   string  // of a text; of any other, as it stands in a metric line
}

// field is one extra field.
type recordField struct {
	name  string
	value fieldValue
}

// metricRecord is one value of a metric.
type metricRecord struct {
	name   string
	value  fieldValue
	fields []recordField
}

// appendLine appends the value as it stands in a metric line: JSON.
func (v fieldValue) appendLine(b []byte) []byte {
	switch {
	case v.kind != kindText:
		return append(b, v.text...)
	case isPlain(v.text):
		return append(append(append(b, '"'), v.text...), '"')
	}
	text, _ := texts.JSON(v.text) // a string never fails
	return append(b, text...)
}

// isPlain reports whether a text between quotes is itself in JSON.
func isPlain(text string) bool {
	for i := range len(text) {
		if c := text[i]; c < ' ' || c >= 0x7f || c == '"' || c == '\\' {
			return false
		}
	}
	return true
}

// Not finite, as Python writes it to JSON and to text.
var notFinite = map[string]float64{
	"NaN": math.NaN(), "nan": math.NaN(),
	"Infinity": math.Inf(1), "inf": math.Inf(1), "+Inf": math.Inf(1),
	"-Infinity": math.Inf(-1), "-inf": math.Inf(-1), "-Inf": math.Inf(-1),
}

// scalar reads what is no string: true, false, null, a number of JSON, or what Python
// writes instead of one.
func scalar(word string) (fieldValue, bool) {
	if v, ok := number(word); ok {
		return v, true
	}
	if v, ok := constant(word); ok {
		return v, true
	}
	x, ok := notFinite[word]
	if !ok {
		return fieldValue{}, false
	}
	return fieldValue{kind: kindNumber, number: x, text: word}, true
}

// lineParser reads lines that a monitor wrote to its metric log by itself. What it
// gives holds until the next one.
type lineParser struct {
	records []metricRecord
	fields  []recordField
}

// parse reads a line: `name value key=value…`, or key=value pairs alone, as the
// agent's emit_values wrote them, each number of which is a metric. Anything else is
// text: false.
func (p *lineParser) parse(line string) ([]metricRecord, bool) {
	line = strings.TrimSpace(strings.ToValidUTF8(line, "\ufffd"))
	p.records, p.fields = p.records[:0], p.fields[:0]
	name, rest, _ := strings.Cut(line, " ")
	if strings.Contains(name, "=") {
		ok := p.pairs(line, true)
		numbers := false
		for _, f := range p.fields {
			numbers = numbers || f.value.kind == kindNumber || f.value.kind == kindBool
			p.records = append(p.records, metricRecord{name: f.name, value: f.value})
		}
		return p.records, ok && numbers
	}
	if !word(name) {
		return nil, false
	}
	value, rest, ok := cutValue(rest)
	if !ok || !p.pairs(rest, false) {
		return nil, false
	}
	p.records = append(p.records, metricRecord{name: name, value: value, fields: p.fields})
	return p.records, true
}

// pairs reads key=value pairs with blanks between them into fields. Texts may be
// bare where emit_values wrote them so.
func (p *lineParser) pairs(s string, bare bool) bool {
	for {
		s = strings.TrimLeft(s, " ")
		if s == "" {
			return true
		}
		key, rest, ok := strings.Cut(s, "=")
		if !ok || !word(key) {
			return false
		}
		value, after, ok := cutValue(rest)
		if word, behind, _ := strings.Cut(rest, " "); !ok && bare {
			value, after, ok = fieldValue{kind: kindText, text: strings.ReplaceAll(word, `\"`, `"`)}, behind, true
		}
		if !ok {
			return false
		}
		p.fields = append(p.fields, recordField{key, value})
		s = after
	}
}

// cutValue reads a value in front of a blank or the end.
func cutValue(s string) (v fieldValue, rest string, ok bool) {
	if !strings.HasPrefix(s, `"`) {
		word, rest, _ := strings.Cut(s, " ")
		v, ok = scalar(word)
		return v, rest, ok
	}
	for i := 1; i < len(s); i++ {
		switch s[i] {
		case '\\':
			i++
		case '"':
			if i+1 < len(s) && s[i+1] != ' ' {
				return v, "", false
			}
			return fieldValue{kind: kindText, text: inQuotes(s[:i+1])}, s[i+1:], true
		}
	}
	return v, "", false
}

// inQuotes gives the text that stands in quotes.
func inQuotes(s string) string {
	if text := s[1 : len(s)-1]; isPlain(text) {
		return text
	}
	var text string
	if json.Unmarshal([]byte(s), &text) != nil {
		// emit_values escaped quotes alone.
		text = strings.ToValidUTF8(strings.ReplaceAll(s[1:len(s)-1], `\"`, `"`), "\uFFFD")
	}
	return text
}

// word reports whether s is a name of a metric or a field that the agent
// takes as it is.
func word(s string) bool { return s != "" && mapName(s) == s || isReserved(s) }

// isReserved tells names that the agent keeps to itself: it appends a _.
func isReserved(s string) bool {
	switch s {
	case "logfile", "monitor", "metric", "value", "instance", "severity":
		return true
	}
	return false
}

// mapName gives a metric or a field the name that the agent gives it
// . What it made already stays as it is.
func mapName(s string) string {
	good := s != ""
	for i, r := range s {
		letter := r == '_' || 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z'
		if i == 0 && !letter || !letter && !wordRune(r) {
			good = false
			break
		}
	}
	if !good {
		mapped := strings.Map(func(r rune) rune {
			if wordRune(r) {
				return r
			}
			return '_'
		}, s)
		if first := mapped + " "; first[0] != '_' && (first[0]|0x20 < 'a' || first[0]|0x20 > 'z') {
			mapped = "sa_" + mapped
		}
		s = mapped
	}
	if isReserved(s) {
		s += "_"
	}
	return s
}

// wordRune reports whether r may stand in a name, behind the first.
func wordRune(r rune) bool {
	return r == '_' || r == '.' || r == '-' || unicode.IsLetter(r) || unicode.IsDigit(r) || unicode.IsNumber(r)
}
