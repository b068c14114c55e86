package instrumental

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"time"

	"scriptbridge/record"
	"scriptbridge/script/dialect/lines"
)

const (
	// Samples of one run, where the operator's max_series is not more.
	maxSamples = 100_000
	// Names that are remembered beyond those of the last two runs or so.
	namesKept = 1000
	// Warnings of one run.
	maxWarnings = 20
	// The last second of the year 9999: what is later is not in seconds.
	maxTime = 253402300799
)

// parser reads what one script prints.
type parser struct {
	prefix     string
	lenient    bool // numbers as Ruby's String#to_f has them
	maxSamples int
	// known are the names seen lately, so that a metric's Meta is the same in
	// every run.
	known map[string]*metric
	order []*metric // of the last run's samples
	run   uint32    // counts them
	names lines.Texts
	slab  []metric // what the next ones are made of
}

// metric is what is known of a name.
type metric struct {
	meta   record.Meta
	run    uint32 // the last one that gave it
	sample uint32 // where among its samples
}

// state is the reading of one run's output.
type state struct {
	*parser
	number   int // of the line being read
	next     int // where in order the line's name is likely to be
	line     []byte
	samples  lines.Samples
	warnings []string
	refused  lines.Refusals
}

// parse reads lines `NAME VALUE [TIME]`, split at any whitespace. It reads on
// past every line that it cannot use; the error joins a record.LineError for
// each. Empty lines are passed over, a name that is printed again gets the
// later value, with a warning. Nothing returned refers to out.
func (p *parser) parse(out []byte) (samples []record.Sample, warnings []string, err error) {
	p.run++
	d := state{parser: p, samples: lines.SamplesOf(out, p.maxSamples)}
	for line := range lines.Trimmed(out) {
		d.number++
		if d.line = line; len(line) > 0 {
			d.read()
		}
	}
	clear(p.order[len(d.samples.All):])
	p.order = p.order[:len(d.samples.All)]
	if len(p.known) > 2*len(d.samples.All)+namesKept { // a script that makes up names
		maps.DeleteFunc(p.known, func(_ string, m *metric) bool { return m.run != p.run })
	}
	return d.samples.All, d.warnings, d.refused.Err()
}

func (d *state) refuse(reason, format string, args ...any) {
	d.refused.Add(d.number, d.line, reason, fmt.Errorf(format, args...))
}

// read reads one line that is not empty.
func (d *state) read() {
	name, rest := lines.CutWord(d.line)
	number, rest := lines.CutWord(rest)
	moment, rest := lines.CutWord(rest)
	switch {
	case len(number) == 0:
		d.refuse("no_value", "%q has no value (print no line when there is none)", lines.Clip(name))
		return
	case len(rest) > 0:
		d.refuse("extra_words", "%q is followed by more than a value and a time (write NAME VALUE, or NAME VALUE TIME)", lines.Clip(name))
		return
	}
	value, ok := lines.ParseDecimal(number)
	problem := "is not a decimal number (options: {lenient_numbers: true} reads it as the vendor's agent did)"
	if d.lenient {
		value, ok = rubyFloat(number)
		problem = "is too large"
	}
	if !ok {
		d.refuse("not_a_number", "the value of %q, %q, %s", lines.Clip(name), lines.Clip(number), problem)
		return
	}
	var at time.Time
	if len(moment) > 0 {
		if at, ok = unixSeconds(moment); !ok {
			d.refuse("bad_time", "the time of %q, %q, is not in Unix seconds", lines.Clip(name), lines.Clip(moment))
			return
		}
	}
	d.add(name, value, at)
}

func (d *state) add(name []byte, value float64, at time.Time) {
	m := d.find(name)
	n := len(d.samples.All)
	switch {
	case m != nil && m.run == d.run:
		s := &d.samples.All[m.sample]
		s.Value, s.Time, s.Line = value, at, d.number
		d.warnTwice(name)
		return
	case d.samples.Full():
		d.refuse("too_many", "the run gave %d values before this one (max_series allows more)", n)
		return
	case m == nil:
		m = d.metric(name)
	}
	if m.run, m.sample = d.run, uint32(n); n < len(d.order) {
		d.order[n] = m
	} else {
		d.order = append(d.order, m)
	}
	s := d.samples.Add(d.number)
	s.Name, s.Value, s.Time, s.Meta, s.Line = m.meta.Name, value, at, &m.meta, d.number
}

// find finds what is known of a name: most scripts print the same names in the same
// order, run after run.
func (d *state) find(name []byte) *metric {
	if d.next < len(d.order) {
		if m := d.order[d.next]; m.meta.ID == string(name) {
			d.next++
			return m
		}
	}
	m := d.known[string(name)]
	if m != nil && m.run == d.run-1 {
		d.next = int(m.sample) + 1
	}
	return m
}

// metric makes one. A few lie together in memory, and so do their names: it is not for
// each of them that the garbage collector has to look.
func (p *parser) metric(name []byte) *metric {
	const together = 16
	if len(p.slab) == 0 {
		p.slab = make([]metric, together)
	}
	m := &p.slab[0]
	p.slab = p.slab[1:]
	whole := p.names.Keep(p.prefix, ".", string(name))
	m.meta = record.Meta{ID: whole[len(whole)-len(name):], Name: whole, Type: record.Gauge}
	p.known[m.meta.ID] = m
	return m
}

func (d *state) warnTwice(name []byte) {
	if len(d.warnings) >= maxWarnings {
		return
	}
	text := fmt.Sprintf("%q is printed more than once in a run: the last value is used", lines.Clip(name))
	if !slices.Contains(d.warnings, text) {
		d.warnings = append(d.warnings, text)
	}
}

// unixSeconds reads a time, which may have a fraction. It must be one that a
// clock can have shown: Ruby made 1970 of any other text.
func unixSeconds(word []byte) (time.Time, bool) {
	v, ok := lines.ParseDecimal(word)
	if !ok || v <= 0 || v > maxTime {
		return time.Time{}, false
	}
	return time.UnixMilli(int64(math.Round(v * 1000))), true
}

// rubyFloat reads a number as Ruby's String#to_f does: as far as the word is
// one, with single underscores between digits; 0 where it does not even begin
// as one. Only a number too large to be one is not ok.
func rubyFloat(word []byte) (float64, bool) {
	digit := func(i int) bool { return i < len(word) && '0' <= word[i] && word[i] <= '9' }
	sign := func(i int) bool { return i < len(word) && (word[i] == '+' || word[i] == '-') }
	number := make([]byte, 0, len(word))
	i := 0
	take := func(n int) {
		number = append(number, word[i:i+n]...)
		i += n
	}
	digits := func() {
		for digit(i) {
			take(1)
			if i < len(word) && word[i] == '_' && digit(i+1) {
				i++
			}
		}
	}
	if sign(i) {
		take(1)
	}
	whole := digit(i)
	digits()
	if i < len(word) && word[i] == '.' && digit(i+1) {
		take(1)
		digits()
	} else if !whole {
		return 0, true
	}
	if i < len(word) && (word[i] == 'e' || word[i] == 'E') {
		n := 1
		if sign(i + 1) {
			n = 2
		}
		if digit(i + n) {
			take(n)
			digits()
		}
	}
	v, err := strconv.ParseFloat(string(number), 64)
	return v, err == nil
}
