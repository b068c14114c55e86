package scalyr

import (
	"errors"
	"slices"
	"strconv"
	"strings"

	"scriptbridge/script/dialect/lines"
)

// This file reads what stands in a batch's lists.

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
