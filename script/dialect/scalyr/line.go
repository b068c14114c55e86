package scalyr

import (
	"encoding/json"
	"math"
	"strconv"
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

// line is the value as it stands in a metric line: JSON.
func (v fieldValue) line() string {
	if v.kind != kindText {
		return v.text
	}
	text, _ := texts.JSON(v.text) // a string never fails
	return string(text)
}

// Not finite, as Python writes it to JSON and to text.
var notFinite = map[string]float64{
	"NaN": math.NaN(), "nan": math.NaN(),
	"Infinity": math.Inf(1), "inf": math.Inf(1), "+Inf": math.Inf(1),
	"-Infinity": math.Inf(-1), "-inf": math.Inf(-1), "-Inf": math.Inf(-1),
}

// scalar reads what is no string: true, false, null, or a number of
// JSON. A whole one that no float64 holds is infinite, any other such is none.
func scalar(word string) (fieldValue, bool) {
	switch word {
	case "true":
		return fieldValue{kind: kindBool, number: 1, text: word}, true
	case "false":
		return fieldValue{kind: kindBool, text: word}, true
	case "null":
		return fieldValue{text: word}, true
	}
	if x, ok := notFinite[word]; ok {
		return fieldValue{kind: kindNumber, number: x, text: word}, true
	}
	if word == "" || word[0] != '-' && (word[0] < '0' || word[0] > '9') || !json.Valid([]byte(word)) {
		return fieldValue{}, false
	}
	x, err := strconv.ParseFloat(word, 64) // of one that is too large an infinity
	if err != nil && strings.ContainsAny(word, ".eE") {
		return fieldValue{text: word}, true
	}
	return fieldValue{kind: kindNumber, number: x, text: word}, true
}

// parseLine reads a line that a monitor wrote to its metric log by
// itself: `name value key=value…`, or key=value pairs alone, as the agent's
// emit_values wrote them, each number of which is a metric. Anything else is text: false.
func parseLine(line string) ([]metricRecord, bool) {
	line = strings.TrimSpace(strings.ToValidUTF8(line, "\ufffd"))
	name, rest, _ := strings.Cut(line, " ")
	if strings.Contains(name, "=") {
		fields, ok := pairs(line, true)
		numbers := false
		var records []metricRecord
		for _, f := range fields {
			numbers = numbers || f.value.kind == kindNumber || f.value.kind == kindBool
			records = append(records, metricRecord{name: f.name, value: f.value})
		}
		return records, ok && numbers
	}
	if !word(name) {
		return nil, false
	}
	value, rest, ok := cutValue(rest)
	if !ok {
		return nil, false
	}
	fields, ok := pairs(rest, false)
	if !ok {
		return nil, false
	}
	return []metricRecord{{name: name, value: value, fields: fields}}, true
}

// pairs reads key=value pairs with blanks between them. Texts may be
// bare where emit_values wrote them so.
func pairs(s string, bare bool) ([]recordField, bool) {
	var fields []recordField
	for {
		s = strings.TrimLeft(s, " ")
		if s == "" {
			return fields, true
		}
		key, rest, ok := strings.Cut(s, "=")
		if !ok || !word(key) {
			return nil, false
		}
		value, after, ok := cutValue(rest)
		if word, behind, _ := strings.Cut(rest, " "); !ok && bare {
			value, after, ok = fieldValue{kind: kindText, text: strings.ReplaceAll(word, `\"`, `"`)}, behind, true
		}
		if !ok {
			return nil, false
		}
		fields = append(fields, recordField{key, value})
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
			var text string
			if json.Unmarshal([]byte(s[:i+1]), &text) != nil {
				// emit_values escaped quotes alone.
				text = strings.ToValidUTF8(strings.ReplaceAll(s[1:i], `\"`, `"`), "\uFFFD")
			}
			return fieldValue{kind: kindText, text: text}, s[i+1:], true
		}
	}
	return v, "", false
}

// word reports whether s is a name of a metric or a field that the agent
// takes as it is.
func word(s string) bool { return s != "" && mapName(s) == s || reserved[s] }

// reserved are names that the agent keeps to itself: it appends a _.
var reserved = map[string]bool{"logfile": true, "monitor": true, "metric": true, "value": true, "instance": true, "severity": true}

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
	if reserved[s] {
		s += "_"
	}
	return s
}

// wordRune reports whether r may stand in a name, behind the first.
func wordRune(r rune) bool {
	return r == '_' || r == '.' || r == '-' || unicode.IsLetter(r) || unicode.IsDigit(r) || unicode.IsNumber(r)
}
