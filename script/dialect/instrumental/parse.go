package instrumental

import (
	"bytes"
	"fmt"
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
	metas = 1000
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
	// metas are those of the names seen lately, so that a metric's Meta is the
	// same in every run.
	metas map[string]*record.Meta
}

// state is the reading of one run's output.
type state struct {
	*parser
	number   int // of the line being read
	line     []byte
	samples  []record.Sample
	index    map[*record.Meta]int // where in samples
	warnings []string
	refused  lines.Refusals
}

// parse reads lines `NAME VALUE [TIME]`, split at any whitespace. It reads on
// past every line that it cannot use; the error joins a record.LineError for
// each. Empty lines are passed over, a name that is printed again gets the
// later value, with a warning. Nothing returned refers to out.
func (p *parser) parse(out []byte) (samples []record.Sample, warnings []string, err error) {
	d := state{
		parser:  p,
		samples: make([]record.Sample, 0, min(bytes.Count(out, []byte("\n"))+1, 1024)),
		index:   make(map[*record.Meta]int),
	}
	for line := range bytes.Lines(bytes.TrimPrefix(out, []byte("\ufeff"))) {
		d.number++
		if d.line = lines.TrimBlanks(line); len(d.line) > 0 {
			d.read()
		}
	}
	if len(p.metas) > 2*len(d.samples)+metas { // a script that makes up names
		clear(p.metas)
		for _, s := range d.samples {
			p.metas[s.Meta.ID] = s.Meta
		}
	}
	return d.samples, d.warnings, d.refused.Err()
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
	meta := d.metas[string(name)]
	if meta == nil {
		meta = &record.Meta{ID: string(name), Name: d.prefix + "." + string(name), Type: record.Gauge}
		d.metas[meta.ID] = meta
	}
	if i, twice := d.index[meta]; twice {
		s := &d.samples[i]
		s.Value, s.Time, s.Line = value, at, d.number
		d.warnTwice(name)
		return
	}
	if len(d.samples) >= d.maxSamples {
		d.refuse("too_many", "the run gave %d values before this one (max_series allows more)", len(d.samples))
		return
	}
	d.index[meta] = len(d.samples)
	d.samples = append(d.samples, record.Sample{Name: meta.Name, Value: value, Time: at, Meta: meta, Line: d.number})
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
