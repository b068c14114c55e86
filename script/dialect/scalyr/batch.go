package scalyr

import (
	"bytes"
	"fmt"
	"math"
	"strings"
	"time"

	"scriptbridge/internal/texts"
	"scriptbridge/record"
	"scriptbridge/script/dialect"
	"scriptbridge/script/dialect/lines"
)

// batch is what is made of one batch.
type batch struct {
	samples lines.Samples
	output  []byte
	lines   int
	record  *metricRecord // the present line,
	text    string        // or what it is instead
	refused []error
	by      map[[2]string]*record.LineError
	seen    *lines.Index // of what came with numeric fields: metric and labels
	numeric [][2]int32   // where in numbers theirs are
	numbers []numericField
	stamped time.Time // what stamp says
	stamp   []byte
}

// numericField is a numeric field, and the number as it was written.
type numericField struct {
	*fieldInfo
	text string
}

func newBatch() batch { return batch{samples: lines.SamplesOf(nil, math.MaxInt)} }

// expect says how many more lines there will be.
func (m *mapper) expect(more int) { m.batch.samples.Expect(m.batch.lines + more) }

// refusalsKept bounds the kinds of refusals that are told apart in a batch.
const refusalsKept = 100

// refuse notes that something about the present line was refused; subject is
// what is counted as one.
func (m *mapper) refuse(reason, subject, format string, args ...any) {
	b := &m.batch
	key := [2]string{reason, subject}
	if len(b.by) >= refusalsKept {
		key[1] = ""
	}
	if le := b.by[key]; le != nil {
		le.More++
		return
	}
	if b.by == nil {
		b.by = make(map[[2]string]*record.LineError)
	}
	le := &record.LineError{Line: b.lines, Text: texts.Shorten(string(b.appendLine(nil)), 500), Reason: reason, Err: fmt.Errorf(format, args...)}
	b.by[key] = le
	b.refused = append(b.refused, le)
}

// take gives what was made of the batch and begins a new one.
func (m *mapper) take() batch {
	b := m.batch
	m.batch = newBatch()
	if b.seen != nil {
		b.seen.Free()
	}
	return b
}

// oneLine keeps a text of several lines in one, for Line to count.
var oneLine = strings.NewReplacer("\n", `\n`, "\r", `\r`)

// show begins a line of the output that people see, in the agent's format: a record, or
// a text.
func (m *mapper) show(at time.Time, id string, r *metricRecord, text string) {
	b := &m.batch
	b.lines++
	b.record, b.text = r, text
	if len(b.output) >= dialect.OutputShown {
		return
	}
	if b.stamp == nil || !b.stamped.Equal(at) {
		b.stamped, b.stamp = at, at.UTC().AppendFormat(b.stamp[:0], "2006-01-02 15:04:05.000Z")
	}
	b.output = append(append(append(b.output, b.stamp...), " ["...), m.monitor...)
	b.output = append(append(append(b.output, '('), id...), ")] "...)
	b.output = append(b.appendLine(b.output), '\n')
}

// appendLine appends the present line.
func (b *batch) appendLine(to []byte) []byte {
	if b.record == nil {
		return append(to, oneLine.Replace(b.text)...)
	}
	from := len(to)
	to = b.record.appendLine(to)
	if line := to[from:]; bytes.IndexByte(line, '\n') >= 0 || bytes.IndexByte(line, '\r') >= 0 {
		to = append(to[:from], oneLine.Replace(string(line))...)
	}
	return to
}
