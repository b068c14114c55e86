package nagios

import (
	"errors"
	"fmt"
	"strings"

	"scriptbridge/internal/texts"
	"scriptbridge/record"
	"scriptbridge/script/dialect"
	"scriptbridge/script/dialect/lines"
)

// Bounds on one run's output. Samples may be more where the operator's
// max_series is.
const (
	maxSamples = 100_000
	maxText    = 1024 // bytes kept of what a failed plugin said
	maxLabel   = 1024 // bytes; a label's value is not longer on the page either
	maxStrokes = 100  // of one line that are looked at
	maxStatus  = 256  // bytes of the status text on its series
	quoted     = 100  // bytes of what a message quotes
)

// answer is what a plugin's output says.
type answer struct {
	state    int
	text     string   // the first line's, without performance data
	long     []string // the other lines', at most nagiosMaxLog
	moreLong int      // lines beyond them
	blank    bool     // nothing was printed
	samples  []record.Sample
}

// reader reads one run's output.
type reader struct {
	said    answer
	units   *unitTable
	samples lines.Samples
	number  int          // of the line being read
	inText  bool         // the first line with anything on it is behind
	seen    *lines.Index // the items, by family and label
	refused lines.Refusals
	key     []byte // scratch
}

// parse reads what a plugin printed that exited with the code state, one
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
func parse(units *unitTable, state int, out []byte, maxSeries int) (*answer, error) {
	r := reader{
		units: units, samples: lines.SamplesOf(out, max(maxSamples, maxSeries)),
		said: answer{state: state, blank: lines.IsEmpty(out)},
	}
	r.seen = r.samples.Index()
	defer r.seen.Free()
	*r.samples.Add(0) = record.Sample{Name: stateMeta.Name, Meta: stateMeta, Value: float64(state)}
	r.samples.Add(0)
	inData := false
	for line := range strings.Lines(strings.TrimPrefix(string(out), "\ufeff")) {
		r.number++
		text, data, stroke := cutData(line)
		if line := lines.TrimBlanks(line); inData && !stroke && hasItem(line, len(line)) {
			text, data = "", line
		}
		inData = inData || stroke && r.inText
		r.text(strings.TrimSpace(text))
		r.inText = r.inText || stroke || len(r.said.text) > 0
		r.data(data)
	}
	r.said.samples = r.samples.All
	r.said.samples[1] = record.Sample{
		Name: statusMeta.Name, Meta: statusMeta, Value: 1, Line: min(r.number, 1),
		Labels: []record.Label{{Name: "state", Value: states[state]}, {Name: "text", Value: cutStatus(r.said.text)}},
	}
	r.said.samples[0].Line = min(r.number, 1)
	return &r.said, r.refused.Err()
}

// text takes a line's text.
func (r *reader) text(text string) {
	switch {
	case len(text) == 0:
	case !r.inText:
		r.said.text = readable(text)
	case len(r.said.long) == maxLog:
		r.said.moreLong++
	default:
		r.said.long = append(r.said.long, readable(text))
	}
}

// readable is a line for the log.
func readable(line string) string {
	return strings.Clone(strings.ToValidUTF8(texts.Shorten(line, dialect.LogLine), "\uFFFD"))
}

// cutStatus shortens the status text for its label.
func cutStatus(text string) string {
	if len(text) <= maxStatus {
		return text
	}
	return texts.Shorten(text, maxStatus-len("…"))
}

// cutData cuts a line into text and performance data, at the first stroke
// behind which, before the next one, an item begins: text may have strokes too.
// A stroke with nothing behind it ends the text as well. Where data begin with
// a label in quotes, that is one, whatever follows it.
func cutData(line string) (text, data string, stroke bool) {
	at := strings.IndexByte(line, '|')
	for n := 0; at >= 0 && n < maxStrokes; n++ {
		data := lines.TrimBlanks(line[at+1:])
		next := strings.IndexByte(data, '|')
		piece := len(data)
		if next >= 0 {
			piece = next
		}
		if len(data) == 0 || hasItem(data[:min(len(data), piece+2*maxLabel)], piece) || isQuotedLabel(data) {
			return line[:at], data, true
		}
		if next < 0 {
			break
		}
		at = len(line) - len(lines.TrimLeftBlanks(line[at+1:])) + next
	}
	return line, "", false
}

// hasItem reports whether an item begins within the first n bytes of data.
func hasItem(data string, n int) bool {
	for rest := data; len(rest) > 0 && len(data)-len(rest) < n; _, rest = lines.CutWord(rest) {
		if _, _, err := cutLabel(rest); err == nil {
			return true
		}
	}
	return false
}

// isQuotedLabel reports whether data begins with a label in single quotes that
// a blank follows.
func isQuotedLabel(data string) bool {
	if data[0] != '\'' {
		return false
	}
	_, rest, ok := cutQuotes(data)
	return ok && (len(rest) == 0 || lines.IsBlank(rest[0]))
}

// data reads items of performance data, separated by blanks, or by commas,
// which some plugins put between them; none is in front.
func (r *reader) data(data string) {
	for data = cutSeparators(data); len(data) > 0; data = cutSeparators(data) {
		label, value, err := cutLabel(data)
		if err != nil {
			word, rest := lines.CutWord(data)
			if isQuotedLabel(data) {
				_, rest, _ = cutQuotes(data)
				word = data[:len(data)-len(rest)]
			}
			r.refuse(word, "bad_perfdata", err)
			data = rest
			continue
		}
		if data[0] == '\'' {
			label = r.unquoted(label)
		}
		value, rest := cutValue(value)
		r.item(label, value, lines.TrimBlanks(data[:len(data)-len(rest)]))
		data = rest
	}
}

// cutSeparators cuts off what separates items.
func cutSeparators(data string) string {
	for data != "" && (data[0] == ',' || lines.IsBlank(data[0])) {
		data = data[1:]
	}
	if len(data) > 1 && data[0] == '|' && !lines.IsBlank(data[1]) {
		data = data[1:] // a second stroke, in front of a label
	}
	return data
}

// cutValue cuts off a value and what belongs to it. It ends at a blank, at
// the comma at a word's end, and at a comma or stroke behind which, in the same
// word, another label begins; another comma is one of a number.
func cutValue(text string) (value, rest string) {
	for i := range len(text) {
		switch c := text[i]; {
		case lines.IsBlank(c):
			return text[:i], lines.TrimBlanks(text[i:])
		case (c == ',' || c == '|') && (i == 0 || text[i-1] != ',') && beginsItem(text[i+1:]):
			return text[:i], lines.TrimBlanks(text[i+1:])
		}
	}
	return text, ""
}

// beginsItem reports whether what follows a comma is an item, or nothing.
func beginsItem(after string) bool {
	after = strings.TrimLeft(after, ",")
	if len(after) == 0 || lines.IsBlank(after[0]) || after[0] == '\'' {
		return true
	}
	i := strings.IndexAny(after[:min(len(after), maxLabel)], "=,;| \t\r\n\v\f")
	return i > 0 && after[i] == '='
}

// errLabel is told of the word in which no item begins.
var errLabel = errors.New("an item of performance data is 'label'=value (write a label with blanks in single quotes)")

// cutLabel cuts `label=` off text, which does not begin with a blank. In
// quotes the label may have blanks and equals signs, and two single quotes
// stand for one (which is left to unquoted). Blanks around the equals sign are passed over behind a label in
// quotes, and where a number follows; elsewhere they are those of a sentence.
func cutLabel(text string) (label, rest string, err error) {
	if text[0] == '\'' {
		quoted, after, _ := cutQuotes(text)
		rest, ok := strings.CutPrefix(lines.TrimLeftBlanks(after), "=")
		if !ok || quoted == "" {
			return "", "", errLabel
		}
		if len(rest) > 0 && lines.IsBlank(rest[0]) {
			if value, _ := cutValue(lines.TrimLeftBlanks(rest)); strings.IndexByte(value, '=') < 0 {
				rest = lines.TrimLeftBlanks(rest)
			} // else the value is missing, and another item follows
		}
		return quoted, rest, nil
	}
	word, _ := lines.CutWord(text[:min(len(text), maxLabel+2)])
	if i := strings.IndexByte(word, '='); i >= 0 {
		word = word[:i]
	}
	rest, ok := cutEquals(text[len(word):])
	switch {
	case !ok || len(word) == 0:
		return "", "", errLabel
	case len(word) > maxLabel:
		return "", "", fmt.Errorf("a label may have %d bytes", maxLabel)
	}
	return word, rest, nil
}

// cutQuotes cuts off what stands in single quotes, in which two stand for
// one, as it is written.
func cutQuotes(text string) (inside, rest string, ok bool) {
	twice := 0
	for i := 1; i < len(text) && i-1-twice <= maxLabel; i++ {
		switch {
		case text[i] != '\'':
		case i+1 < len(text) && text[i+1] == '\'':
			twice++
			i++
		default:
			return text[1:i], text[i+1:], true
		}
	}
	return "", "", false
}

// unquoted is what stands in quotes with one for two in it.
func (r *reader) unquoted(label string) string {
	if !strings.Contains(label, "''") {
		return label
	}
	r.key = r.key[:0]
	for i := 0; i < len(label); i++ {
		if r.key = append(r.key, label[i]); label[i] == '\'' {
			i++
		}
	}
	return r.samples.TextOf(r.key)
}

// cutEquals cuts off the equals sign that follows a label without quotes, and
// the blanks around it if a number follows.
func cutEquals(text string) (rest string, found bool) {
	rest, found = strings.CutPrefix(lines.TrimLeftBlanks(text), "=")
	if !found {
		return "", false
	}
	apart := lines.IsBlank(text[0])
	if !apart && (len(rest) == 0 || !lines.IsBlank(rest[0])) {
		return rest, true
	}
	if next := lines.TrimLeftBlanks(rest); beginsNumber(next) {
		return next, true
	}
	return rest, !apart
}

// beginsNumber reports whether text begins with a word that may be a value, and
// is not an item of its own.
func beginsNumber(text string) bool {
	word, _ := cutValue(text)
	if len(word) == 0 || strings.IndexByte(word, '=') >= 0 {
		return false
	}
	return word[0] == 'U' || '0' <= word[0] && word[0] <= '9' ||
		len(word) > 1 && strings.IndexByte("+-.", word[0]) >= 0 && ('0' <= word[1] && word[1] <= '9' || word[1] == '.')
}

func (r *reader) refuse(raw, reason string, err error) {
	r.refused.Add(r.number, []byte(raw[:min(len(raw), lines.MaxText)]), reason, err)
}
