package script

import (
	"encoding/json"
	"math"
	"strconv"
	"strings"
	"unicode"
)

// scalyrKind is what a value is to Python.
type scalyrKind uint8

const (
	scalyrNone scalyrKind = iota // null, or what no monitor may emit
	scalyrNumber
	scalyrBool
	scalyrText
)

// scalyrValue is a value as a monitor emitted it.
type scalyrValue struct {
	kind   scalyrKind
	number float64 // of a bool: 1 or 0
	text   string  // of a text; of any other, as it stands in a metric line
}

// scalyrField is one extra field.
type scalyrField struct {
	name  string
	value scalyrValue
}

// scalyrRecord is one value of a metric.
type scalyrRecord struct {
	name   string
	value  scalyrValue
	fields []scalyrField
}

// line is the value as it stands in a metric line: JSON.
func (v scalyrValue) line() string {
	if v.kind != scalyrText {
		return v.text
	}
	var b strings.Builder
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if e.Encode(v.text) != nil { // which no string does
		return `""`
	}
	return strings.TrimSuffix(b.String(), "\n")
}

// Not finite, as Python writes it to JSON and to text.
var scalyrNotFinite = map[string]float64{
	"NaN": math.NaN(), "nan": math.NaN(),
	"Infinity": math.Inf(1), "inf": math.Inf(1), "+Inf": math.Inf(1),
	"-Infinity": math.Inf(-1), "-inf": math.Inf(-1), "-Inf": math.Inf(-1),
}

// scalyrScalar reads what is no string: true, false, null, or a number of
// JSON. A whole one that no float64 holds is infinite, any other such is none.
func scalyrScalar(word string) (scalyrValue, bool) {
	switch word {
	case "true":
		return scalyrValue{kind: scalyrBool, number: 1, text: word}, true
	case "false":
		return scalyrValue{kind: scalyrBool, text: word}, true
	case "null":
		return scalyrValue{text: word}, true
	}
	if x, ok := scalyrNotFinite[word]; ok {
		return scalyrValue{kind: scalyrNumber, number: x, text: word}, true
	}
	if word == "" || word[0] != '-' && (word[0] < '0' || word[0] > '9') || !json.Valid([]byte(word)) {
		return scalyrValue{}, false
	}
	x, err := strconv.ParseFloat(word, 64) // of one that is too large an infinity
	if err != nil && strings.ContainsAny(word, ".eE") {
		return scalyrValue{text: word}, true
	}
	return scalyrValue{kind: scalyrNumber, number: x, text: word}, true
}

// parseScalyrLine reads a line that a monitor wrote to its metric log by
// itself: `name value key=value…`, or key=value pairs alone, as the agent's
// emit_values wrote them, each number of which is a metric (spec/scalyr.md,
// 3.3). Anything else is text: false.
func parseScalyrLine(line string) ([]scalyrRecord, bool) {
	line = strings.TrimSpace(strings.ToValidUTF8(line, "\ufffd"))
	name, rest, _ := strings.Cut(line, " ")
	if strings.Contains(name, "=") {
		fields, ok := scalyrPairs(line, true)
		numbers := false
		var records []scalyrRecord
		for _, f := range fields {
			numbers = numbers || f.value.kind == scalyrNumber || f.value.kind == scalyrBool
			records = append(records, scalyrRecord{name: f.name, value: f.value})
		}
		return records, ok && numbers
	}
	if !scalyrWord(name) {
		return nil, false
	}
	value, rest, ok := cutScalyrValue(rest)
	if !ok {
		return nil, false
	}
	fields, ok := scalyrPairs(rest, false)
	if !ok {
		return nil, false
	}
	return []scalyrRecord{{name: name, value: value, fields: fields}}, true
}

// scalyrPairs reads key=value pairs with blanks between them. Texts may be
// bare where emit_values wrote them so.
func scalyrPairs(s string, bare bool) ([]scalyrField, bool) {
	var fields []scalyrField
	for {
		s = strings.TrimLeft(s, " ")
		if s == "" {
			return fields, true
		}
		key, rest, ok := strings.Cut(s, "=")
		if !ok || !scalyrWord(key) {
			return nil, false
		}
		value, after, ok := cutScalyrValue(rest)
		if word, behind, _ := strings.Cut(rest, " "); !ok && bare {
			value, after, ok = scalyrValue{kind: scalyrText, text: strings.ReplaceAll(word, `\"`, `"`)}, behind, true
		}
		if !ok {
			return nil, false
		}
		fields = append(fields, scalyrField{key, value})
		s = after
	}
}

// cutScalyrValue reads a value in front of a blank or the end.
func cutScalyrValue(s string) (v scalyrValue, rest string, ok bool) {
	if !strings.HasPrefix(s, `"`) {
		word, rest, _ := strings.Cut(s, " ")
		v, ok = scalyrScalar(word)
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
			return scalyrValue{kind: scalyrText, text: text}, s[i+1:], true
		}
	}
	return v, "", false
}

// scalyrWord reports whether s is a name of a metric or a field that the agent
// takes as it is.
func scalyrWord(s string) bool { return s != "" && scalyrName(s) == s || scalyrReserved[s] }

// scalyrReserved are names that the agent keeps to itself: it appends a _.
var scalyrReserved = map[string]bool{"logfile": true, "monitor": true, "metric": true, "value": true, "instance": true, "severity": true}

// scalyrName gives a metric or a field the name that the agent gives it
// (spec/scalyr.md, 1.7). What it made already stays as it is.
func scalyrName(s string) string {
	good := s != ""
	for i, r := range s {
		letter := r == '_' || 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z'
		if i == 0 && !letter || !letter && !scalyrWordRune(r) {
			good = false
			break
		}
	}
	if !good {
		mapped := strings.Map(func(r rune) rune {
			if scalyrWordRune(r) {
				return r
			}
			return '_'
		}, s)
		if first := mapped + " "; first[0] != '_' && (first[0]|0x20 < 'a' || first[0]|0x20 > 'z') {
			mapped = "sa_" + mapped
		}
		s = mapped
	}
	if scalyrReserved[s] {
		s += "_"
	}
	return s
}

// scalyrWordRune reports whether r may stand in a name, behind the first.
func scalyrWordRune(r rune) bool {
	return r == '_' || r == '.' || r == '-' || unicode.IsLetter(r) || unicode.IsDigit(r) || unicode.IsNumber(r)
}
