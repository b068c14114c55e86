package textfile

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/prometheus/common/model"

	"scriptbridge/internal/texts"
	"scriptbridge/record"
	"scriptbridge/script/dialect"
	"scriptbridge/script/dialect/exposition"
	"scriptbridge/script/dialect/lines"
)

// merger makes one exposition of many, and keeps what it needs from one turn to
// the next.
type merger struct {
	maxAge          time.Duration // of a file; 0 for none
	maxSamples      int
	honorTimestamps bool
	// metas are the last turn's, by the family's name: what did not change is used
	// again, so that sinks know it for the same.
	metas map[string]*record.Meta
	// said are the Metas of the last turn's samples, in their order, where all files
	// agreed: each is its family's in metas.
	said []*record.Meta
}

// merging is one turn.
type merging struct {
	*merger
	result  dialect.Result
	texts   []text   // of the files that gave samples
	lines   int      // of result.Output
	bytes   int      // of all files
	leftOut []string // what is said of each file that is
	refused []error
	more    int // lines that are refused beyond lines.MaxRefused
}

// text is where the samples of a file begin.
type text struct {
	first int
	name  string
}

// fileOf gives the name of the file that a sample is from.
func (t *merging) fileOf(sample int) string {
	n, found := slices.BinarySearchFunc(t.texts, sample, func(one text, sample int) int { return one.first - sample })
	if !found {
		n--
	}
	return t.texts[n].name
}

// merge gives what stands in files, in their order. It joins a record.LineError for
// each line that cannot be used, and for each file that is left out.
func (m *merger) merge(files []file, now time.Time) *dialect.Result {
	t := &merging{merger: m}
	t.result.Complete = true
	for i := range files {
		t.bytes += len(files[i].text) + 1
	}
	for i := range files {
		t.add(&files[i], now)
	}
	t.unite()
	if m.honorTimestamps {
		t.result.Warnings = append(t.result.Warnings, exposition.DropEarlyTimes(t.result.Samples)...)
	}
	t.judge(len(files))
	return &t.result
}

// add takes in one file.
func (t *merging) add(f *file, now time.Time) {
	r := f.refused
	if r == nil && t.maxAge > 0 && now.Sub(f.modTime) > t.maxAge {
		r = &refusal{"stale", fmt.Errorf("was last written %s, longer ago than max_age, which is %s", f.modTime.UTC().Format(time.RFC3339), model.Duration(t.maxAge))}
	}
	shown := record.File{Path: f.path, ModTime: f.modTime, Used: r == nil}
	switch {
	case r != nil:
		err := fmt.Errorf("%s: %w", texts.Printable(f.name), r.err)
		t.leftOut = append(t.leftOut, err.Error())
		t.refuse(&record.LineError{Text: f.name, Reason: r.reason, Err: err})
	case isOwnPage(f.text):
		t.result.Warnings = append(t.result.Warnings, fmt.Sprintf("%s is left out: it is a page of scriptbridge, whose series would be read from it again and again", texts.Printable(f.name)))
		return
	case len(f.text) > 0:
		shown.Line = t.lines + 1
		t.read(f)
	}
	t.result.Files = append(t.result.Files, shown)
}

// isOwnPage reports whether a text is a metrics page of scriptbridge, which it may
// be told to write into the very folder.
func isOwnPage(text []byte) bool {
	own := []byte("scriptbridge_")
	return bytes.HasPrefix(text, own) || bytes.Contains(text, append([]byte("\n"), own...))
}

// read reads the text of a file, and puts it behind those before it.
func (t *merging) read(f *file) {
	whole, cut := wholeLines(f.text)
	samples, err := exposition.Samples(whole, t.maxSamples-len(t.result.Samples), t.metas)
	refused := record.LineErrors(err)
	if cut != nil {
		refused = append(refused, &record.LineError{
			Line: 1 + bytes.Count(whole, newline), Text: string(cut[:min(len(cut), lines.MaxText)]), Reason: "unfinished",
			Err: errors.New("no newline ends it, so that it may be half a line (end the file in a newline; write under another name, and rename the file when it is whole)"),
		})
	}
	for _, le := range refused {
		if le.Line > 0 {
			le.Line += t.lines
		}
		t.refuse(le)
	}
	for i := range samples {
		samples[i].Line += t.lines
	}
	if len(samples) > 0 {
		t.texts = append(t.texts, text{len(t.result.Samples), f.name})
	}
	if t.result.Output == nil {
		t.result.Output = make([]byte, 0, t.bytes)
	}
	t.result.Output = append(t.result.Output, f.text...)
	t.append(samples)
	if !bytes.HasSuffix(f.text, newline) {
		t.result.Output = append(t.result.Output, '\n')
	}
	t.lines += bytes.Count(f.text, newline)
	if !bytes.HasSuffix(f.text, newline) {
		t.lines++
	}
}

// append makes as much room as all files will need if they go on like those before.
func (t *merging) append(samples []record.Sample) {
	all := t.result.Samples
	n := len(all) + len(samples)
	switch {
	case all == nil:
		all = samples
	case n > cap(all):
		room := int(float64(n) * float64(t.bytes) / float64(len(t.result.Output)))
		all = append(append(make([]record.Sample, 0, max(min(room+room/16, t.maxSamples), n)), all...), samples...)
	default:
		all = append(all, samples...)
	}
	t.result.Samples = all
}

var newline = []byte("\n")

// wholeLines gives the text up to the last newline, and what is behind it where that
// may be half a line: a comment says nothing there, and `# EOF` is whole.
func wholeLines(text []byte) (whole, cut []byte) {
	end := bytes.LastIndexByte(text, '\n') + 1
	last := lines.TrimBlanks(text[end:])
	switch {
	case string(last) == "# EOF":
		return text, nil
	case len(last) == 0 || last[0] == '#':
		return text[:end], nil
	}
	return text[:end], last
}

// refuse keeps why a line or a file is of no use.
func (t *merging) refuse(le *record.LineError) {
	if len(t.refused) >= lines.MaxRefused {
		t.more += 1 + le.More
		return
	}
	t.refused = append(t.refused, le)
}

// united is what all files say of one family.
type united struct {
	typ        record.Type
	help, unit string
	by         string // the file that says its type
	meta       *record.Meta
}

// is reports whether a Meta, which may be nil, says the same.
func (u *united) is(m *record.Meta) bool {
	return m != nil && m.Type == u.typ && m.Help == u.help && m.Unit == u.unit
}

// unite has one Meta for all samples of a family, whatever file they are in: the
// type, the help and the unit are those of the first file that has one. Samples of
// another type are left out.
func (t *merging) unite() {
	if t.sayTheSame() {
		t.giveSame()
		return
	}
	families := make(map[string]*united, len(t.metas))
	var slab []united
	clear(t.said)
	t.said = t.said[:0]
	for i, said := range t.says {
		t.said = append(t.said, said)
		one := families[said.Name]
		if one == nil {
			if len(slab) == 0 {
				slab = make([]united, min(max(len(families), 8), 1024))
			}
			one, slab = &slab[0], slab[1:]
			families[said.Name] = one
		}
		if one.typ == record.Unknown && said.Type != record.Unknown {
			one.typ, one.by = said.Type, t.fileOf(i)
		}
		one.help, one.unit = cmp.Or(one.help, said.Help), cmp.Or(one.unit, said.Unit)
	}
	same := len(families) == len(t.metas)
	for name, one := range families {
		if one.meta = t.metas[name]; !one.is(one.meta) {
			one.meta, same = &record.Meta{Name: name, Type: one.typ, Help: one.help, Unit: one.unit}, false
		}
	}
	if !same {
		t.metas = make(map[string]*record.Meta, len(families))
		for name, one := range families {
			t.metas[name] = one.meta
		}
	}
	t.give(families)
}

// says gives what samples say of their family, with the first that does: most say
// what the one before has.
func (t *merging) says(yield func(sample int, said *record.Meta) bool) {
	var last *record.Meta
	for i := range t.result.Samples {
		said := t.result.Samples[i].Meta
		if said == nil || said == last {
			continue
		}
		last = said
		if !yield(i, said) {
			return
		}
	}
}

// sayTheSame reports whether all samples have the very Metas of the last turn, where
// all files agreed: so they do now, and metas are right.
func (t *merging) sayTheSame() bool {
	before := t.said
	for _, said := range t.says {
		if len(before) == 0 || before[0] != said {
			return false
		}
		before = before[1:]
	}
	return len(t.said) > 0 && len(before) == 0
}

// giveSame gives the samples that say nothing what another file says of their family.
func (t *merging) giveSame() {
	for i := range t.result.Samples {
		if s := &t.result.Samples[i]; s.Meta == nil {
			s.Meta = t.metas[s.Name]
		}
	}
}

// give gives each sample its family's Meta.
func (t *merging) give(families map[string]*united) {
	kept, agreed := t.result.Samples[:0], true
	conflicts := make(map[[2]string]*record.LineError)
	var last string
	var one *united
	for i := range t.result.Samples {
		s := &t.result.Samples[i]
		name := s.Name
		if s.Meta != nil {
			name = s.Meta.Name
		}
		if name != last || i == 0 {
			last, one = name, families[name]
		}
		agreed = agreed && (s.Meta == nil || s.Meta == one.meta)
		if one == nil || s.Meta == nil || s.Meta.Type == record.Unknown || s.Meta.Type == one.meta.Type {
			s.Meta = nil
			if one != nil {
				s.Meta = one.meta
			}
			if len(kept) < i {
				kept = append(kept, *s)
			} else {
				kept = kept[:i+1]
			}
			continue
		}
		key := [2]string{t.fileOf(i), name}
		if conflicts[key] != nil {
			conflicts[key].More++
			continue
		}
		conflicts[key] = &record.LineError{
			Line: s.Line, Text: s.Name, Reason: "type_conflict",
			Err: fmt.Errorf("%s has another type in %s, whose series stay (let both files say the same type)", name, texts.Printable(one.by)),
		}
		t.refuse(conflicts[key])
	}
	t.result.Samples = kept
	if !agreed {
		t.said = t.said[:0]
	}
}

// judge says what is wrong with the turn as a whole: that files are left out, or
// that no line can be used.
func (t *merging) judge(files int) {
	t.result.Err = errors.Join(t.refused...)
	if t.more > 0 {
		t.result.Err = errors.Join(t.result.Err, &record.LineError{
			Reason: "too_many", Err: fmt.Errorf("%d more lines were refused after the first %d", t.more, lines.MaxRefused), More: t.more - 1,
		})
	}
	var wrong error
	switch n := len(t.leftOut); {
	case n == 1:
		wrong = fmt.Errorf("%s is left out of %d: %s", texts.Count(n, "file"), files, t.leftOut[0])
	case n > 1:
		wrong = fmt.Errorf("%s of %d are left out; the first: %s", texts.Count(n, "file"), files, t.leftOut[0])
	case len(t.refused) > 0 && len(t.result.Samples) == 0:
		wrong = fmt.Errorf("no line of %s can be used; the first that cannot: %w", texts.Count(files, "file"), errors.New(t.refused[0].Error()))
	default:
		return
	}
	t.result.Failure = record.Invalid
	t.result.Err = errors.Join(wrong, t.result.Err)
}
