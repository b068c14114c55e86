package script

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"

	"scriptbridge/internal/texts"
	"scriptbridge/record"
)

// Bounds on one run's output. Samples may be more where the operator's
// max_series is.
const (
	nagiosMaxSamples = 100_000
	nagiosMaxText    = 1024 // bytes kept of what a failed plugin said
	nagiosMaxLabel   = 1024 // bytes; a label's value is not longer on the page either
	nagiosMaxStrokes = 100  // of one line that are looked at
	nagiosMaxStatus  = 256  // bytes of the status text on its series
	nagiosQuoted     = 100  // bytes of what a message quotes
)

// nagiosSaid is what a plugin's output says.
type nagiosSaid struct {
	state    int
	text     string   // the first line's, without performance data
	long     []string // the other lines', at most nagiosMaxLog
	moreLong int      // lines beyond them
	blank    bool     // nothing was printed
	samples  []record.Sample
}

// nagiosReader reads one run's output.
type nagiosReader struct {
	said       nagiosSaid
	units      nagiosUnits
	maxSamples int
	number     int  // of the line being read
	inText     bool // the first line with anything on it is behind
	seen       map[nagiosSeries]bool
	refused    refusals
}

// nagiosSeries is what two items of performance data may not share, however they
// spell the unit.
type nagiosSeries struct {
	label  string
	family nagiosFamily
}

// parseNagios reads what a plugin printed that exited with the code state, one
// of 0 to 3:
//
//	TEXT | PERFORMANCE DATA
//	LONG TEXT
//	LONG TEXT | PERFORMANCE DATA
//	PERFORMANCE DATA
//
// (Nagios Plugin API; all lines but the first may be missing). Further lines
// without a stroke (|) are text until one has come that has it, and performance
// data from there on. Where not even one item begins behind a stroke, it is text
// all the same: the usage of many plugins is full of strokes. An item that
// cannot be used is refused alone; the error joins a record.LineError for each.
// units keeps the Meta of samples from run to run. Nothing returned refers to
// out.
func parseNagios(units nagiosUnits, state int, out []byte, maxSeries int) (*nagiosSaid, error) {
	r := nagiosReader{
		units: units, maxSamples: max(nagiosMaxSamples, maxSeries),
		said: nagiosSaid{state: state, blank: isBlankText(out)},
		seen: make(map[nagiosSeries]bool),
	}
	r.said.samples = []record.Sample{{Name: nagiosState.Name, Meta: nagiosState, Value: float64(state)}, {}}
	inData := false
	for line := range bytes.Lines(bytes.TrimPrefix(out, []byte("\ufeff"))) {
		r.number++
		text, data, stroke := cutNagiosData(line)
		if line := trimBlanks(line); inData && !stroke && hasNagiosItem(line, len(line)) {
			text, data = nil, line
		}
		inData = inData || stroke && r.inText
		r.text(bytes.TrimSpace(text))
		r.inText = r.inText || stroke || len(r.said.text) > 0
		r.data(data)
	}
	r.said.samples[1] = record.Sample{
		Name: nagiosStatus.Name, Meta: nagiosStatus, Value: 1, Line: min(r.number, 1),
		Labels: []record.Label{{Name: "state", Value: nagiosStates[state]}, {Name: "text", Value: cutStatus(r.said.text)}},
	}
	r.said.samples[0].Line = min(r.number, 1)
	return &r.said, r.refused.err()
}

// text takes a line's text.
func (r *nagiosReader) text(text []byte) {
	switch {
	case len(text) == 0:
	case !r.inText:
		r.said.text = readable(text)
	case len(r.said.long) == nagiosMaxLog:
		r.said.moreLong++
	default:
		r.said.long = append(r.said.long, readable(text))
	}
}

// readable is a line for the log.
func readable(line []byte) string {
	return strings.ToValidUTF8(texts.Shorten(string(line), stderrLine), "\uFFFD")
}

// cutStatus shortens the status text for its label.
func cutStatus(text string) string {
	if len(text) <= nagiosMaxStatus {
		return text
	}
	return texts.Shorten(text, nagiosMaxStatus-len("…"))
}

// cutNagiosData cuts a line into text and performance data, at the first stroke
// behind which, before the next one, an item begins: text may have strokes too.
// A stroke with nothing behind it ends the text as well. Where data begin with
// a label in quotes, that is one, whatever follows it.
func cutNagiosData(line []byte) (text, data []byte, stroke bool) {
	at := bytes.IndexByte(line, '|')
	for n := 0; at >= 0 && n < nagiosMaxStrokes; n++ {
		data := trimBlanks(line[at+1:])
		next := bytes.IndexByte(data, '|')
		piece := len(data)
		if next >= 0 {
			piece = next
		}
		if len(data) == 0 || hasNagiosItem(data[:min(len(data), piece+2*nagiosMaxLabel)], piece) || isQuotedLabel(data) {
			return line[:at], data, true
		}
		if next < 0 {
			break
		}
		at = len(line) - len(trimLeftBlanks(line[at+1:])) + next
	}
	return line, nil, false
}

// hasNagiosItem reports whether an item begins within the first n bytes of data.
func hasNagiosItem(data []byte, n int) bool {
	for rest := data; len(rest) > 0 && len(data)-len(rest) < n; _, rest = cutWord(rest) {
		if _, _, err := cutNagiosLabel(rest); err == nil {
			return true
		}
	}
	return false
}

// isQuotedLabel reports whether data begins with a label in single quotes that
// a blank follows.
func isQuotedLabel(data []byte) bool {
	if data[0] != '\'' {
		return false
	}
	_, rest, ok := cutNagiosQuotes(data)
	return ok && (len(rest) == 0 || isBlank(rest[0]))
}

// data reads items of performance data, separated by blanks, or by commas,
// which some plugins put between them; none is in front.
func (r *nagiosReader) data(data []byte) {
	for data = cutNagiosSeparators(data); len(data) > 0; data = cutNagiosSeparators(data) {
		label, value, err := cutNagiosLabel(data)
		if err != nil {
			word, rest := cutWord(data)
			if isQuotedLabel(data) {
				_, rest, _ = cutNagiosQuotes(data)
				word = data[:len(data)-len(rest)]
			}
			r.refuse(word, "bad_perfdata", err)
			data = rest
			continue
		}
		value, rest := cutNagiosValue(value)
		r.item(label, string(value), trimBlanks(data[:len(data)-len(rest)]))
		data = rest
	}
}

// cutNagiosSeparators cuts off what separates items.
func cutNagiosSeparators(data []byte) []byte {
	data = bytes.TrimLeft(data, ", \t\r\n\v\f")
	if len(data) > 1 && data[0] == '|' && !isBlank(data[1]) {
		data = data[1:] // a second stroke, in front of a label
	}
	return data
}

// cutNagiosValue cuts off a value and what belongs to it. It ends at a blank, at
// the comma at a word's end, and at a comma or stroke behind which, in the same
// word, another label begins; another comma is one of a number.
func cutNagiosValue(text []byte) (value, rest []byte) {
	for i, c := range text {
		switch {
		case isBlank(c):
			return text[:i], trimBlanks(text[i:])
		case (c == ',' || c == '|') && (i == 0 || text[i-1] != ',') && beginsNagiosItem(text[i+1:]):
			return text[:i], trimBlanks(text[i+1:])
		}
	}
	return text, nil
}

// beginsNagiosItem reports whether what follows a comma is an item, or nothing.
func beginsNagiosItem(after []byte) bool {
	after = bytes.TrimLeft(after, ",")
	if len(after) == 0 || isBlank(after[0]) || after[0] == '\'' {
		return true
	}
	i := bytes.IndexAny(after[:min(len(after), nagiosMaxLabel)], "=,;| \t\r\n\v\f")
	return i > 0 && after[i] == '='
}

// errNagiosLabel is told of the word in which no item begins.
var errNagiosLabel = errors.New("an item of performance data is 'label'=value (write a label with blanks in single quotes)")

// cutNagiosLabel cuts `label=` off text, which does not begin with a blank. In
// quotes the label may have blanks and equals signs, and two single quotes
// stand for one. Blanks around the equals sign are passed over behind a label in
// quotes, and where a number follows; elsewhere they are those of a sentence.
func cutNagiosLabel(text []byte) (label string, rest []byte, err error) {
	if text[0] == '\'' {
		quoted, after, _ := cutNagiosQuotes(text)
		rest, ok := bytes.CutPrefix(trimLeftBlanks(after), []byte("="))
		if !ok || quoted == "" {
			return "", nil, errNagiosLabel
		}
		if len(rest) > 0 && isBlank(rest[0]) {
			if value, _ := cutNagiosValue(trimLeftBlanks(rest)); bytes.IndexByte(value, '=') < 0 {
				rest = trimLeftBlanks(rest)
			} // else the value is missing, and another item follows
		}
		return quoted, rest, nil
	}
	word, _ := cutWord(text[:min(len(text), nagiosMaxLabel+2)])
	if i := bytes.IndexByte(word, '='); i >= 0 {
		word = word[:i]
	}
	rest, ok := cutEquals(text[len(word):])
	switch {
	case !ok || len(word) == 0:
		return "", nil, errNagiosLabel
	case len(word) > nagiosMaxLabel:
		return "", nil, fmt.Errorf("a label may have %d bytes", nagiosMaxLabel)
	}
	return string(word), rest, nil
}

// cutNagiosQuotes cuts off what stands in single quotes, in which two stand for
// one.
func cutNagiosQuotes(text []byte) (inside string, rest []byte, ok bool) {
	var b []byte
	for i := 1; i < len(text) && len(b) <= nagiosMaxLabel; i++ {
		if text[i] != '\'' {
			b = append(b, text[i])
		} else if i+1 < len(text) && text[i+1] == '\'' {
			b = append(b, '\'')
			i++
		} else {
			return string(b), text[i+1:], true
		}
	}
	return "", nil, false
}

// cutEquals cuts off the equals sign that follows a label without quotes, and
// the blanks around it if a number follows.
func cutEquals(text []byte) (rest []byte, found bool) {
	rest, found = bytes.CutPrefix(trimLeftBlanks(text), []byte("="))
	if !found {
		return nil, false
	}
	apart := isBlank(text[0])
	if !apart && (len(rest) == 0 || !isBlank(rest[0])) {
		return rest, true
	}
	if next := trimLeftBlanks(rest); beginsNumber(next) {
		return next, true
	}
	return rest, !apart
}

// beginsNumber reports whether text begins with a word that may be a value, and
// is not an item of its own.
func beginsNumber(text []byte) bool {
	word, _ := cutNagiosValue(text)
	if len(word) == 0 || bytes.IndexByte(word, '=') >= 0 {
		return false
	}
	return word[0] == 'U' || '0' <= word[0] && word[0] <= '9' ||
		len(word) > 1 && strings.IndexByte("+-.", word[0]) >= 0 && ('0' <= word[1] && word[1] <= '9' || word[1] == '.')
}

// item reads `value[unit];[warning];[critical];[minimum];[maximum]`. A value
// that is not known (U, Us) makes no series, and neither do its thresholds, whose
// unit is not known.
func (r *nagiosReader) item(label, text string, raw []byte) {
	fields := strings.Split(strings.TrimRight(text, ";"), ";")
	if r.units.isUnknown(fields[0]) {
		return
	}
	number, uom, err := cutNagiosNumber(fields[0])
	scale := nagiosScaleOf(uom)
	value, ok := scale.read(number)
	switch {
	case errors.Is(err, errDecimalComma):
		r.refuse(raw, "decimal_comma", fmt.Errorf("%q: %w", texts.Shorten(label, nagiosQuoted), err))
		return
	case errors.Is(err, errThousands):
		r.refuse(raw, "not_a_number", fmt.Errorf("%q: %w", texts.Shorten(label, nagiosQuoted), err))
		return
	case !ok:
		r.refuse(raw, "not_a_number", fmt.Errorf("%q: %w", texts.Shorten(label, nagiosQuoted), errNagiosNumber))
		return
	}
	metas := r.units.metas(scale)
	if metas == nil {
		r.refuse(raw, "too_many", fmt.Errorf("%q: the plugin has used %d other units already", texts.Shorten(label, nagiosQuoted), nagiosMaxUnits))
		return
	}
	series := nagiosSeries{label, scale.nagiosFamily}
	switch {
	case r.seen[series]:
		r.refuse(raw, "duplicate", fmt.Errorf("%q is there twice (the first one is used)", texts.Shorten(label, nagiosQuoted)))
		return
	case len(r.said.samples) >= r.maxSamples:
		r.refuse(raw, "too_many", fmt.Errorf("the run gave %d values before this one", len(r.said.samples)))
		return
	}
	r.seen[series] = true
	it := nagiosItem{reader: r, scale: scale, uom: uom, metas: metas, labels: []record.Label{{Name: "label", Value: label}}}
	it.add(nagiosValue, value)
	for i, field := range fields[1:] {
		if err := it.limit(i, field); err != nil {
			r.refuse(raw, "bad_threshold", fmt.Errorf("%q: %w", texts.Shorten(label, nagiosQuoted), err))
		}
	}
}

// nagiosItem is the item being read: what its series have in common.
type nagiosItem struct {
	reader *nagiosReader
	scale  nagiosScale
	uom    string
	metas  []*record.Meta
	labels []record.Label
}

// limit adds one of the fields behind the value: a threshold, the minimum or
// the maximum.
func (it *nagiosItem) limit(place int, field string) error {
	if field == "" {
		return nil
	}
	if place >= len(nagiosLimits) {
		return fmt.Errorf("%q follows the maximum", texts.Shorten(field, nagiosQuoted))
	}
	l := nagiosLimits[place]
	if l.low == l.high {
		v, ok := it.scale.readBound(field, it.uom)
		if !ok {
			return fmt.Errorf("the %s %q is not a number", l.name, texts.Shorten(field, nagiosQuoted))
		}
		it.add(l.high, v)
		return nil
	}
	r, ok := it.scale.readRange(field, it.uom)
	if !ok {
		return fmt.Errorf("the %s threshold %q is not a range (such as 10, 10:, ~:10, 10:20 or @10:20)", l.name, texts.Shorten(field, nagiosQuoted))
	}
	outside := it.labels
	if r.inside {
		it.labels = append(slices.Clip(it.labels), record.Label{Name: "inside", Value: "true"})
	}
	if r.hasLow {
		it.add(l.low, r.low)
	}
	if r.hasHigh {
		it.add(l.high, r.high)
	}
	it.labels = outside
	return nil
}

func (it *nagiosItem) add(what int, v float64) {
	meta := it.metas[what]
	it.reader.said.samples = append(it.reader.said.samples, record.Sample{
		Name: meta.Name, Meta: meta, Labels: it.labels, Value: v, Line: it.reader.number,
	})
}

func (r *nagiosReader) refuse(raw []byte, reason string, err error) {
	r.refused.add(r.number, raw, reason, err)
}
