package coscale

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"scriptbridge/record"
	"scriptbridge/script/dialect/lines"
	"scriptbridge/script/process"
)

// Bounds on one run's output. Samples may be more where the operator's
// max_series is.
const (
	maxSamples = 100_000
	maxEvents  = 10_000
)

// dataParser is the reading of one run's output.
type dataParser struct {
	config   *configuration
	end      int64 // of the run, Unix seconds
	number   int   // of the line being read
	line     []byte
	samples  lines.Samples
	events   []record.Event
	warnings []string
	refused  lines.Refusals

	// Where in samples a series is, to find a second value for it: by metric
	// for one without dimensions, by key for one with. In plain it is the index
	// plus 1; 0: not seen.
	plain []int
	keyed *lines.Index

	// Scratch, reused from line to line.
	parts []dimensionPart
	order []int
	key   []byte
}

// dimensionPart is one dimension's value in a line.
type dimensionPart struct {
	dimension  int    // its place among the metric's
	value      []byte // a part of the line
	start, end int    // of the value in key
}

// parseData reads what a script printed for -d in a run that ended at
// end. It reads on past every line that it
// cannot use; the error joins a record.LineError for each. Warnings are about
// lines that it did use. A line that begins with neither M nor E is a banner
// and none of our business. Nothing returned refers to out.
func parseData(c *configuration, out []byte, end time.Time) (samples []record.Sample, events []record.Event, warnings []string, err error) {
	d := dataParser{
		config:  c,
		end:     end.Unix(),
		samples: lines.SamplesOf(out, c.maxSamples),
		plain:   make([]int, len(c.declared.Metrics)),
	}
	d.keyed = d.samples.Index()
	defer d.keyed.Free()
	for line := range lines.Trimmed(out) {
		d.number++
		if len(line) == 0 {
			continue
		}
		d.line = line
		switch line[0] {
		case 'M':
			d.metric(line[1:])
		case 'E':
			d.event(line[1:])
		}
	}
	return d.samples.All, d.events, d.warnings, d.refused.Err()
}

// dropData refuses the data lines of a run that failed.
func dropData(o *process.Outcome) error {
	return lines.Dropped(o, lines.Trimmed(o.Stdout), isData)
}

var (
	errGlued    = errors.New("two lines ran together (print a line and its end in one write)")
	errNoNumber = errors.New("M or E is not followed by an id and a blank")
)

func (d *dataParser) refuse(reason string, err error) {
	d.refused.Add(d.number, d.line, reason, err)
}

// metric reads `<id> ["<dims>"] <value>`, what follows the M.
func (d *dataParser) metric(text []byte) {
	id, rest, ok := cutID(text)
	if !ok || len(rest) > 0 && !lines.IsBlank(rest[0]) {
		d.refuse("no_id", errNoNumber)
		return
	}
	m := d.config.metrics[id]
	if m == nil {
		d.refuse("undeclared", fmt.Errorf("metric %d is not declared by -c, which has %s", id,
			lines.ListIDs(d.config.declared.Metrics, func(m *record.Meta) string { return m.ID })))
		return
	}
	rest = lines.TrimBlanks(rest)
	d.parts = d.parts[:0]
	if len(rest) > 0 && rest[0] == '"' {
		closing := closingQuote(rest)
		if closing < 0 {
			d.refuseRest(rest, "bad_dimensions", fmt.Errorf("metric %d: no quote and blank end the dimensions (write M%d \"1:value\" 8.5)", id, id))
			return
		}
		if !d.dimensions(m, rest[1:closing]) {
			return
		}
		rest = lines.TrimBlanks(rest[closing+1:])
	}
	if len(rest) == 0 {
		d.refuse("no_value", fmt.Errorf("metric %d has no value (print no line when there is none)", id))
		return
	}
	word, others := lines.CutWord(rest)
	value, ok := lines.ParseDecimal(word)
	switch {
	case !ok && len(others) > 0 && bytes.IndexByte(word, ':') > 0:
		d.refuseRest(rest, "bad_dimensions", fmt.Errorf("metric %d: %q is not a number (write dimensions in double quotes)", id, lines.Clip(word)))
	case !ok:
		d.refuseRest(rest, "not_a_number", fmt.Errorf("metric %d: %q is not a decimal number (print no line when there is no value)", id, lines.Clip(word)))
	case len(others) > 0:
		d.refuseRest(rest, "extra_words", fmt.Errorf("metric %d: its value is followed by %q (write one value a line)", id, lines.Clip(others)))
	default:
		d.add(m, value)
	}
}

// refuseRest refuses the line for reason, or as glued when rest looks like two
// lines in one.
func (d *dataParser) refuseRest(rest []byte, reason string, err error) {
	if looksGlued(rest, true) {
		reason, err = "glued", errGlued
	}
	d.refuse(reason, err)
}

// closingQuote finds the quote that ends what the first quote began: one with
// a blank, or nothing, behind it. A value may hold other quotes.
func closingQuote(text []byte) int {
	for i := 1; i < len(text); i++ {
		if text[i] == '"' && (i+1 == len(text) || lines.IsBlank(text[i+1])) {
			return i
		}
	}
	return -1
}

// dimensions reads `1:eth0,2:host:8080`, what stands between the quotes, into
// parts. A piece that does not begin with an id and a colon belongs to the
// value before it, whose comma cannot be told from a separator.
func (d *dataParser) dimensions(m *metric, text []byte) bool {
	if len(lines.TrimBlanks(text)) == 0 {
		return true
	}
	start := 0 // of the last part's value
	for at := 0; at <= len(text); {
		comma := len(text)
		if i := bytes.IndexByte(text[at:], ','); i >= 0 {
			comma = at + i
		}
		id, value, ok := cutID(lines.TrimBlanks(text[at:comma]))
		switch {
		case ok && len(value) > 0 && value[0] == ':':
			dimension := findDimension(m.dimensions, id)
			if dimension < 0 {
				d.refuse("undeclared_dimension", fmt.Errorf("dimension %d of metric %s is not declared by -c, which has %s", id, m.meta.ID,
					lines.ListIDs(m.dimensions, func(d declaredDimension) string { return strconv.FormatUint(d.id, 10) })))
				return false
			}
			start = at + bytes.IndexByte(text[at:comma], ':') + 1
			d.parts = append(d.parts, dimensionPart{dimension: dimension, value: text[start:comma]})
			if len(d.parts) > len(m.dimensions) {
				d.refuse("bad_dimensions", fmt.Errorf("metric %s: a dimension is given twice", m.meta.ID))
				return false
			}
		case len(d.parts) == 0:
			d.refuse("bad_dimensions", fmt.Errorf("metric %s: the dimensions do not begin with an id and a colon (write M%s \"1:value\" 8.5)", m.meta.ID, m.meta.ID))
			return false
		default:
			d.parts[len(d.parts)-1].value = text[start:comma]
		}
		at = comma + 1
	}
	return d.sortParts(m)
}

// sortParts fills order with the parts' places in the order of declaration,
// and refuses a dimension that is given twice.
func (d *dataParser) sortParts(m *metric) bool {
	d.order = d.order[:0]
	for i := range d.parts {
		d.order = append(d.order, i)
	}
	slices.SortFunc(d.order, func(a, b int) int { return d.parts[a].dimension - d.parts[b].dimension })
	for i := 1; i < len(d.order); i++ {
		if d.parts[d.order[i]].dimension == d.parts[d.order[i-1]].dimension {
			d.refuse("bad_dimensions", fmt.Errorf("metric %s: dimension %d is given twice", m.meta.ID, m.dimensions[d.parts[d.order[i]].dimension].id))
			return false
		}
	}
	return true
}

// add makes a sample of the value and the parts. A series that the run gave
// already gets the later value.
func (d *dataParser) add(m *metric, value float64) {
	d.makeKey(m)
	i, again := d.index(m)
	switch {
	case again:
		s := &d.samples.All[i]
		s.Value, s.Line = value, d.number
		d.warnTwice(m)
	case d.samples.Full():
		d.refuse("too_many", fmt.Errorf("the run gave %d values before this one (max_series allows more)", len(d.samples.All)))
	default:
		labels := d.labels(m)
		s := d.samples.Add(d.number)
		s.Name, s.Labels, s.Value, s.Op, s.Meta, s.Line = m.meta.Name, labels, value, m.op, m.meta, d.number
	}
}

// makeKey makes the key of the line's series: the metric and every dimension
// that is not empty, in declared order, since neither order nor an empty label
// makes another series. The key is empty when the metric is all.
func (d *dataParser) makeKey(m *metric) {
	d.key = d.key[:0]
	if len(d.parts) == 0 {
		return
	}
	for _, i := range d.order {
		p := &d.parts[i]
		if len(p.value) == 0 {
			p.start, p.end = 0, 0
			continue
		}
		d.key = binary.AppendUvarint(d.key, uint64(p.dimension))
		d.key = binary.AppendUvarint(d.key, uint64(len(p.value)))
		p.start = len(d.key)
		d.key = append(d.key, p.value...)
		p.end = len(d.key)
	}
	if len(d.key) > 0 {
		d.key = binary.AppendUvarint(d.key, uint64(m.index))
	}
}

// index finds the series of the key among samples, and notes the place of one
// that is new, unless there is no room for it.
func (d *dataParser) index(m *metric) (i int, again bool) {
	next, full := len(d.samples.All), d.samples.Full()
	switch {
	case len(d.key) > 0 && full:
		return d.keyed.Find(d.key)
	case len(d.key) > 0:
		return d.keyed.Add(d.key, next)
	case d.plain[m.index] > 0:
		return d.plain[m.index] - 1, true
	case !full:
		d.plain[m.index] = next + 1
	}
	return next, false
}

// labels makes those of the parts. Their values are parts of a copy of the key.
func (d *dataParser) labels(m *metric) []record.Label {
	if len(d.parts) == 0 {
		return nil
	}
	key := d.samples.TextOf(d.key)
	labels := d.samples.Labels(len(d.parts))
	for i, p := range d.parts {
		labels[i] = record.Label{Name: m.dimensions[p.dimension].name, Value: key[p.start:p.end]}
	}
	return labels
}

func (d *dataParser) warnTwice(m *metric) {
	if len(d.warnings) > maxWarnings {
		return
	}
	text := fmt.Sprintf("metric %s is printed more than once with the same dimensions: the last value is used", m.meta.ID)
	if !slices.Contains(d.warnings, text) {
		d.warnings = addWarning(d.warnings, "%s", text)
	}
}
