package lines

import (
	"bytes"
	"slices"
	"strings"

	"scriptbridge/record"
)

// Samples are those of one output. Their texts and labels are in a few pieces of
// memory, so that no line costs an allocation.
type Samples struct {
	All    []record.Sample
	texts  Texts
	labels []record.Label
	lines  int // of the output
	most   int
}

// SamplesOf makes room for the samples of an output: most at most.
func SamplesOf(out []byte, most int) Samples {
	s := Samples{lines: bytes.Count(out, []byte("\n")) + 1, most: most}
	s.All = make([]record.Sample, 0, min(s.lines, most, 1024))
	return s
}

// Expect says how many lines there are in all, where that was not known.
func (s *Samples) Expect(lines int) { s.lines = lines }

// Full says that there are as many as there may be.
func (s *Samples) Full() bool { return len(s.All) >= s.most }

// Add adds a sample, which is read from the line of that number. Where room has to be
// made, it is as much as all lines will need if they go on like those before.
func (s *Samples) Add(line int) *record.Sample {
	n := len(s.All)
	if n == cap(s.All) {
		room := n
		if line > 0 {
			room = int(float64(n) * float64(s.lines) / float64(line))
		}
		more := make([]record.Sample, n, max(2*n, 16, min(room+room/16, s.most)))
		copy(more, s.All)
		s.All = more
	}
	s.All = s.All[:n+1]
	return &s.All[n]
}

// Labels gives room for the labels of one sample; nil for none.
func (s *Samples) Labels(n int) []record.Label { return s.Used(s.Room(n)[:n]) }

// Room gives room for as many labels, which Used takes, as far as it is used: until then
// it is given again.
func (s *Samples) Room(n int) []record.Label {
	if cap(s.labels)-len(s.labels) < n {
		s.labels = make([]record.Label, 0, max(n, min(2*cap(s.labels), 4096), 16))
	}
	return s.labels[len(s.labels):len(s.labels)]
}

// Used takes the room of labels that stand in what Room gave; nil for none.
func (s *Samples) Used(labels []record.Label) []record.Label {
	if len(labels) == 0 {
		return nil
	}
	s.labels = s.labels[:len(s.labels)+len(labels)]
	return slices.Clip(labels)
}

// Index gives an Index of as much room, which is to be freed.
func (s *Samples) Index() *Index { return s.IndexOf(s.most) }

// IndexOf is an Index with room for no more than is expected.
func (s *Samples) IndexOf(expected int) *Index { return NewIndex(min(s.lines, s.most, expected)) }

// Text gives a copy of a text of a sample.
func (s *Samples) Text(text string) string { return s.texts.Keep(text) }

// TextOf is Text of bytes.
func (s *Samples) TextOf(text []byte) string { return s.texts.KeepBytes(text) }

// Texts keeps copies of many texts in a few pieces of memory. One that is still in
// use keeps its whole piece. The zero value is ready.
type Texts struct{ piece strings.Builder }

const (
	firstPiece = 256
	lastPiece  = 16 << 10
)

// Keep gives a copy of a text, which may be in parts.
func (t *Texts) Keep(parts ...string) string {
	n := 0
	for _, part := range parts {
		n += len(part)
	}
	from := t.room(n)
	for _, part := range parts {
		t.piece.WriteString(part)
	}
	return t.piece.String()[from:]
}

// KeepBytes gives a copy of a text.
func (t *Texts) KeepBytes(text []byte) string {
	from := t.room(len(text))
	t.piece.Write(text)
	return t.piece.String()[from:]
}

// room makes room for n bytes, and tells where they begin.
func (t *Texts) room(n int) int {
	if t.piece.Cap()-t.piece.Len() < n {
		size := max(n, min(2*t.piece.Cap(), lastPiece), firstPiece)
		t.piece = strings.Builder{}
		t.piece.Grow(size)
	}
	return t.piece.Len()
}
