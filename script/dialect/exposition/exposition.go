// Package exposition reads an exposition: Prometheus's text format 0.0.4, or
// OpenMetrics 1.0. exposition.go reads lines, words.go their words, family.go what belongs to one name.
package exposition

import (
	"bytes"
	"fmt"
	"strings"
	"time"

	"scriptbridge/record"
	"scriptbridge/script/dialect/lines"
)

const (
	maxLabels = 256  // of one sample; no page shows so many
	maxMillis = 1e15 // the year 33658
)

// parser is the reading of one run's output.
type parser struct {
	openMetrics bool
	number      int    // of the line being read
	line        string // that line
	samples     lines.Samples
	of          []*family // the family of each sample
	numbers     *lines.Index
	families    []*family         // by those numbers
	slab        []family          // what the next ones are made of
	labelNames  map[string]string // interned
	told, kept  int               // families with a Meta; of them, those with that of the run before
	refused     lines.Refusals

	// Scratch, reused from line to line.
	pairs []record.Label // of the line being read
	names []string       // interned, of the labels of the line before
	last  *family        // of the name that was looked for last
	key   []byte
}

// MaxSamples bounds what is read at once, where the operator's max_series is not
// more.
const MaxSamples = 100_000

// Parse reads an exposition: the text format 0.0.4, or OpenMetrics
// 1.0 where a line `# EOF` says so. It reads on past every line that it cannot
// use; the error joins a record.LineError for each. known are the metas of the
// run before, by name; metas are this run's, the same where nothing changed.
// Nothing returned refers to out.
//
// Series that stand in it twice are all given: to know them for the same is a
// sink's business. Exemplars are left out.
func Parse(out []byte, maxSamples int, known map[string]*record.Meta) (samples []record.Sample, metas map[string]*record.Meta, err error) {
	d := read(out, maxSamples, known)
	return d.samples.All, d.metas(known), d.refused.Err()
}

// Samples is Parse of an exposition that is not all of a script's, so that its metas
// alone are of no use.
func Samples(out []byte, maxSamples int, known map[string]*record.Meta) ([]record.Sample, error) {
	d := read(out, maxSamples, known)
	return d.samples.All, d.refused.Err()
}

func read(out []byte, maxSamples int, known map[string]*record.Meta) *parser {
	out = bytes.TrimPrefix(out, []byte("\ufeff"))
	d := &parser{
		openMetrics: isOpenMetrics(out),
		samples:     lines.SamplesOf(out, maxSamples),
		labelNames:  make(map[string]string),
	}
	families := maxSamples
	if len(known) > 0 { // many lines may be of few
		families = len(known)
	}
	d.numbers = d.samples.IndexOf(families)
	defer d.numbers.Free()
	d.of = make([]*family, 0, cap(d.samples.All))
	for line := range strings.Lines(string(out)) {
		d.number++
		d.line = trim(line)
		switch {
		case d.line == "":
		case d.line[0] == '#':
			d.comment(d.line[1:])
		default:
			d.sample(d.line)
		}
	}
	d.finish(known)
	return d
}

// isOpenMetrics looks for the line that ends an OpenMetrics document.
func isOpenMetrics(out []byte) bool {
	eof := []byte("# EOF")
	for end := 0; ; {
		i := bytes.Index(out[end:], eof)
		if i < 0 {
			return false
		}
		begin := end + i
		end = begin + len(eof)
		if (begin == 0 || out[begin-1] == '\n') && (end == len(out) || out[end] == '\n' || out[end] == '\r') {
			return true
		}
	}
}

func (d *parser) refuse(reason string, err error) {
	d.refused.Add(d.number, []byte(d.line[:min(len(d.line), lines.MaxText)]), reason, err)
}

func (d *parser) refusef(reason, format string, args ...any) {
	d.refuse(reason, fmt.Errorf(format, args...))
}

// sample reads `name{label="value",…} value [time] [# exemplar]`.
func (d *parser) sample(rest string) {
	name, rest := cutMetricName(rest)
	blank := rest != "" && lines.IsBlank(rest[0])
	rest = trimLeft(rest)
	d.pairs = d.pairs[:0]
	switch {
	case rest != "" && rest[0] == '{':
		var ok bool
		if name, rest, ok = d.braces(name, rest[1:]); !ok {
			return
		}
	case name == "" || rest != "" && !blank:
		d.refuse("bad_name", badName(d.line))
		return
	}
	rest = trimLeft(rest)
	word, rest := cutWord(rest)
	if word == "" {
		d.refusef("no_value", "%s has no value (print no line when there is none)", name)
		return
	}
	value, ok := parseFloat(word)
	if !ok {
		d.refusef("not_a_number", "%s: %q is not a number (print no line when there is no value)", name, lines.Clip([]byte(word)))
		return
	}
	var at time.Time
	if word, rest = cutWord(rest); word != "" && word[0] != '#' {
		if at, ok = parseTime(word, d.openMetrics); !ok {
			d.refuse("bad_time", d.badTime(name, word))
			return
		}
		word, rest = cutWord(rest)
	}
	if word != "" && (word != "#" || !strings.HasPrefix(rest, "{")) {
		d.refusef("extra_words", "%s: its value is followed by %q (write one sample a line)", name, lines.Clip([]byte(strings.TrimRight(word+" "+rest, " "))))
		return
	}
	d.add(name, value, at)
}

// add makes a sample of what was read and of pairs.
func (d *parser) add(name string, value float64, at time.Time) {
	if d.samples.Full() {
		d.refusef("too_many", "the run gave %d values before this one (max_series allows more)", len(d.samples.All))
		return
	}
	n := d.family(name)
	if n.of == nil {
		n.of = d.familyOf(n)
	}
	if bound := n.of.kind.bound; bound != "" {
		for _, l := range d.pairs {
			if l.Name == bound && !isFloat(l.Value) {
				d.refusef("bad_labels", "%s: %s=%q is not a number", name, bound, lines.Clip([]byte(l.Value)))
				return
			}
		}
	}
	n.of.sampled = true
	labels := d.samples.Labels(len(d.pairs))
	copy(labels, d.pairs)
	s := d.samples.Add(d.number)
	s.Name, s.Labels, s.Value, s.Time, s.Line = n.name, labels, value, at, d.number
	d.of = append(d.of, n.of)
}

// braces reads what follows a {, up to the }, into pairs. In front of it stood
// name, or nothing: then the name stands inside, in quotes. It reports false
// when it has refused the line.
func (d *parser) braces(name, rest string) (string, string, bool) {
	for {
		rest = trimLeft(rest)
		if strings.HasPrefix(rest, "}") {
			if name == "" {
				d.refusef("bad_name", "the sample has no name")
			}
			return name, rest[1:], name != ""
		}
		label, after, ok := d.labelName(rest)
		if !ok {
			return "", "", false
		}
		if !strings.HasPrefix(after, "=") {
			if rest[0] != '"' || name != "" {
				d.refusef("bad_labels", "the label %s is not followed by = (write name{label=\"value\"} 1)", label)
				return "", "", false
			}
			name, rest = legacyName(label, true), after
		} else if rest, ok = d.pair(legacyName(label, false), after[1:]); !ok {
			return "", "", false
		}
		switch {
		case strings.HasPrefix(rest, ","):
			rest = rest[1:]
		case !strings.HasPrefix(rest, "}"):
			d.refusef("bad_labels", "a , or the closing } is missing after the label %s", label)
			return "", "", false
		}
	}
}

// labelName reads a label's name, or a name in quotes.
func (d *parser) labelName(text string) (name, rest string, ok bool) {
	if strings.HasPrefix(text, `"`) {
		if name, rest, ok = cutQuoted(text); !ok {
			d.refusef("bad_labels", "a quote is not closed")
			return "", "", false
		}
		if name == "" {
			d.refusef("bad_labels", "a name in quotes is empty")
			return "", "", false
		}
		return unescape(name, true), trimLeft(rest), true
	}
	if text == "" {
		d.refusef("bad_labels", "no } ends the labels")
		return "", "", false
	}
	if name, rest = cutLabelName(text); name == "" {
		d.refusef("bad_labels", "%q does not begin with a label's name (write name{label=\"value\"} 1)", lines.Clip([]byte(text)))
		return "", "", false
	}
	return name, trimLeft(rest), true
}

// pair reads the value of a label, which stands in quotes, and keeps both.
func (d *parser) pair(label, text string) (rest string, ok bool) {
	text = trimLeft(text)
	if !strings.HasPrefix(text, `"`) {
		d.refusef("bad_labels", "the value of the label %s is not in double quotes", label)
		return "", false
	}
	value, rest, ok := cutQuoted(text)
	switch {
	case !ok:
		d.refusef("bad_labels", "the quote of the label %s is not closed", label)
		return "", false
	case strings.HasPrefix(label, "__") || strings.Contains(label, ":"):
		d.refusef("bad_labels", "%s cannot be a label's name (it takes letters, digits and _, no digit and no __ first)", label)
		return "", false
	case len(d.pairs) == maxLabels:
		d.refusef("too_long", "the sample has more than %d labels", maxLabels)
		return "", false
	}
	for _, l := range d.pairs {
		if l.Name == label {
			d.refusef("bad_labels", "the label %s is there twice", label)
			return "", false
		}
	}
	d.pairs = append(d.pairs, record.Label{Name: d.intern(label, len(d.pairs)), Value: d.value(value)})
	return trimLeft(rest), true
}

// value gives a copy of what stands in a label's quotes.
func (d *parser) value(text string) string {
	if strings.IndexByte(text, '\\') < 0 {
		return d.samples.Text(text)
	}
	d.key = appendUnescaped(d.key[:0], text, true)
	return d.samples.TextOf(d.key)
}

// intern gives the copy of a label's name, of which there is one; place is that of the
// label in its line, where the line before is likely to have had the same.
func (d *parser) intern(label string, place int) string {
	if place < len(d.names) && d.names[place] == label {
		return d.names[place]
	}
	name, known := d.labelNames[label]
	if !known {
		name = strings.Clone(label)
		d.labelNames[name] = name
	}
	d.names = append(d.names[:min(place, len(d.names))], name)
	return name
}

func (d *parser) badTime(name, word string) error {
	if d.openMetrics {
		return fmt.Errorf("%s: %q is not a time in seconds", name, lines.Clip([]byte(word)))
	}
	return fmt.Errorf("%s: %q is not a time in whole milliseconds (OpenMetrics has seconds, and ends in a line # EOF)", name, lines.Clip([]byte(word)))
}

// earliest is the begin of 2001, which no sample of what runs now is of: such
// times are seconds where milliseconds are asked for, and Prometheus would drop
// their samples as too old.
var earliest = time.Date(2001, 1, 1, 0, 0, 0, 0, time.UTC)

// DropEarlyTimes takes away the times before that, and warns of the first.
func DropEarlyTimes(samples []record.Sample) (warnings []string) {
	for i := range samples {
		if s := &samples[i]; !s.Time.IsZero() && s.Time.Before(earliest) {
			s.Time = time.Time{}
			if warnings == nil {
				warnings = []string{fmt.Sprintf("the time of %s is before 2001, and such times are not used: the text format has milliseconds, and OpenMetrics, which ends in a line # EOF, seconds", s.Name)}
			}
		}
	}
	return warnings
}
