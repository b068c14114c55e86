package script

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"

	"scriptbridge/record"
)

// Bounds on one run's output. Samples may be more where the operator's
// max_series is.
const (
	nagiosMaxSamples = 100_000
	nagiosMaxText    = 1024 // bytes kept of what a failed plugin said
	nagiosMaxLabel   = 1024 // bytes; a label's value is not longer on the page either
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

// nagiosSeries is what two items of performance data may not share.
type nagiosSeries struct{ label, unit string }

// parseNagios reads what a plugin printed that exited with the code state, one
// of 0 to 3:
//
//	TEXT | PERFORMANCE DATA
//	LONG TEXT
//	LONG TEXT | PERFORMANCE DATA
//	PERFORMANCE DATA
//
// (Nagios Plugin API; all lines but the first may be missing). A line is cut at
// its first stroke. Further lines without one are text until one has come that
// has it, and performance data from there on. Where not even one item begins it
// is text all the same: the usage of many plugins is full of strokes. An item
// that cannot be used is refused alone; the error joins a record.LineError for
// each. units keeps the Meta of samples from run to run. Nothing returned refers
// to out.
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
		text, data, stroke := bytes.Cut(line, []byte("|"))
		if inData && !stroke {
			text, data = nil, line
		}
		if data = trimBlanks(data); len(data) > 0 && !hasNagiosItem(data) {
			text, data, stroke = line, nil, false
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
	return strings.ToValidUTF8(cutText(string(line), stderrLine), "\uFFFD")
}

// cutStatus shortens the status text for its label.
func cutStatus(text string) string {
	if len(text) <= nagiosMaxStatus {
		return text
	}
	return cutText(text, nagiosMaxStatus-len("…"))
}

// hasNagiosItem reports whether an item begins anywhere in data.
func hasNagiosItem(data []byte) bool {
	for len(data) > 0 {
		if _, _, err := cutNagiosLabel(data); err == nil {
			return true
		}
		_, data = cutWord(data)
	}
	return false
}

// data reads items of performance data, separated by blanks; none is in front.
func (r *nagiosReader) data(data []byte) {
	for len(data) > 0 {
		label, value, err := cutNagiosLabel(data)
		if err != nil {
			word, rest := cutWord(data)
			r.refuse(word, "bad_perfdata", err)
			data = rest
			continue
		}
		value, rest := cutWord(value)
		r.item(label, string(value), trimBlanks(data[:len(data)-len(rest)]))
		data = rest
	}
}

// errNagiosLabel is told of the word in which no item begins.
var errNagiosLabel = errors.New("an item of performance data is 'label'=value (a label with blanks stands in single quotes)")

// cutNagiosLabel cuts `label=` off text, which does not begin with a blank. In
// quotes the label may have blanks and equals signs, and two single quotes
// stand for one.
func cutNagiosLabel(text []byte) (label string, rest []byte, err error) {
	if text[0] != '\'' {
		word, _ := cutWord(text)
		i := bytes.IndexByte(word, '=')
		if i <= 0 {
			return "", nil, errNagiosLabel
		}
		if i > nagiosMaxLabel {
			return "", nil, fmt.Errorf("a label may have %d bytes", nagiosMaxLabel)
		}
		return string(word[:i]), text[i+1:], nil
	}
	var b []byte
	for i := 1; i < len(text) && len(b) <= nagiosMaxLabel; i++ {
		if text[i] != '\'' {
			b = append(b, text[i])
			continue
		}
		if i++; i == len(text) {
			break
		}
		switch {
		case text[i] == '\'':
			b = append(b, '\'')
		case text[i] == '=' && len(b) > 0:
			return string(b), text[i+1:], nil
		default:
			return "", nil, errNagiosLabel
		}
	}
	return "", nil, errNagiosLabel
}

// item reads `value[unit];[warning];[critical];[minimum];[maximum]`. A value
// that is not known (U) makes no series, and neither do its thresholds, whose
// unit is not known.
func (r *nagiosReader) item(label, text string, raw []byte) {
	fields := strings.Split(strings.TrimRight(text, ";"), ";")
	if fields[0] == "U" {
		return
	}
	number, uom, err := cutNagiosNumber(fields[0])
	scale := nagiosScaleOf(uom)
	value, ok := scale.read(number)
	switch {
	case errors.Is(err, errDecimalComma):
		r.refuse(raw, "decimal_comma", fmt.Errorf("%q: %w", cutText(label, nagiosQuoted), err))
		return
	case !ok:
		r.refuse(raw, "not_a_number", fmt.Errorf("%q: %w", cutText(label, nagiosQuoted), errNagiosNumber))
		return
	}
	metas := r.units.metas(scale.nagiosFamily)
	if metas == nil {
		r.refuse(raw, "too_many", fmt.Errorf("%q: the plugin has used %d other units already", cutText(label, nagiosQuoted), nagiosMaxUnits))
		return
	}
	series := nagiosSeries{label, scale.unit}
	switch {
	case r.seen[series]:
		r.refuse(raw, "duplicate", fmt.Errorf("%q is there twice (the first one is used)", cutText(label, nagiosQuoted)))
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
			r.refuse(raw, "bad_threshold", fmt.Errorf("%q: %w", cutText(label, nagiosQuoted), err))
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
		return fmt.Errorf("%q follows the maximum", cutText(field, nagiosQuoted))
	}
	l := nagiosLimits[place]
	if l.low == l.high {
		v, ok := it.scale.readBound(field, it.uom)
		if !ok {
			return fmt.Errorf("the %s %q is not a number", l.name, cutText(field, nagiosQuoted))
		}
		it.add(l.high, v)
		return nil
	}
	r, ok := it.scale.readRange(field, it.uom)
	if !ok {
		return fmt.Errorf("the %s threshold %q is not a range (such as 10, 10:, ~:10, 10:20 or @10:20)", l.name, cutText(field, nagiosQuoted))
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
