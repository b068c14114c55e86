package remotewrite

import (
	"bytes"
	"encoding/binary"
	"iter"
	"strconv"
	"strings"

	"github.com/cespare/xxhash/v2"
	"github.com/klauspost/compress/s2"
	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"

	"scriptbridge/record"
	"scriptbridge/upload/spool"
)

// This file finds out which series have ended: those that a source had when it was
// written last, or was written in part since then, and has no more. Which those were is
// kept in the spool, in the same transaction as what was written, so that an end is told
// across a restart too; as the destination knows them, so that series whose labels a
// reload has changed end under those that they had. A series with times of its own gets no
// marker, as with a scrape. owners.go knows which of them another source has now.

// seriesOf gives the name{labels} of all series of a page without times of their own.
func seriesOf(shown *record.Shown) iter.Seq[[]byte] {
	return func(yield func(series []byte) bool) {
		for _, text := range [][]byte{shown.Text, shown.Sums} {
			for line := range bytes.Lines(text) {
				if line[0] == '#' {
					continue
				}
				if series, rest := cutSeries(line); !stamped(rest) && !yield(series) {
					return
				}
			}
		}
	}
}

var kindPrefix = []byte("# TYPE ")

// digest tells one set of series from another, and from the same one under other labels.
func (r *reader) digest(shown *record.Shown) uint64 {
	h := xxhash.New()
	_, _ = h.WriteString(r.labels)
	for series := range seriesOf(shown) {
		_, _ = h.Write(series) // it never fails
		_, _ = h.Write(newline)
	}
	return h.Sum64()
}

// ending is the value of a series that has ended.
const ending = " NaN\n"

// setKey is where the series of a source are kept in the spool. What was written of a part
// of what it shows, and is not known to be among those, has a key that begins with
// partsKey.
func setKey(source string) string { return setPrefix + source }

func partsKey(source string) string { return setKey(source) + partMark }

func partKey(source string, sum uint64) string {
	return partsKey(source) + strconv.FormatUint(sum, 16)
}

const (
	setPrefix = "series/"
	partMark  = "\x00" // which no name has
)

// sourceOf is the source of such a key.
func sourceOf(key string) string {
	source, _, _ := strings.Cut(strings.TrimPrefix(key, setPrefix), partMark)
	return source
}

// listed are the series of what is shown, as the destination knows them, as families that
// have ended.
func (r *reader) listed(shown *record.Shown) (list []byte) {
	r = r.another()
	for _, text := range [][]byte{shown.Text, shown.Sums} {
		for piece := range pieces(text) {
			var g group
			_, _ = r.page(&g, piece, 0, 0, true) // without those with times of their own; what cannot be read is not sent either
			var last *family
			for i := range g.samples {
				s := &g.samples[i]
				if s.family != last {
					last = s.family
					list = (&family{name: last.name, kind: last.kind}).appendHeader(list)
				}
				list = append(appendSeries(list, s.labels), ending...)
			}
		}
	}
	return list
}

// appendSeries appends labels as name{labels}.
func appendSeries(dst []byte, ls labels.Labels) []byte {
	name := ls.Get(model.MetricNameLabel)
	before := byte('{')
	if model.LegacyValidation.IsValidMetricName(name) {
		dst = append(dst, name...)
	} else {
		dst, before = append(append(append(dst, `{"`...), helpEscaper.Replace(name)...), '"'), ','
	}
	ls.Range(func(l labels.Label) {
		if l.Name == model.MetricNameLabel {
			return
		}
		dst, before = append(dst, before), ','
		if model.LegacyValidation.IsValidLabelName(l.Name) {
			dst = append(dst, l.Name...)
		} else {
			dst = append(append(append(dst, '"'), helpEscaper.Replace(l.Name)...), '"')
		}
		dst = append(append(append(dst, `="`...), helpEscaper.Replace(l.Value)...), '"')
	})
	if before == ',' {
		dst = append(dst, '}')
	}
	return dst
}

// packed is a list as it is kept.
func packed(list []byte, sum uint64) []byte {
	return append(binary.BigEndian.AppendUint64(nil, sum), s2.Encode(nil, list)...)
}

// keepPart keeps the series of a part of what a source shows.
func keepPart(tx *spool.Tx, source string, list []byte, sum uint64) (t turned, err error) {
	for line := range ends(list) {
		t.added = append(t.added, xxhash.Sum64(line))
	}
	return t, tx.Set(partKey(source, sum), packed(list, sum))
}

// turned is what has become of a source's series.
type turned struct {
	added []uint64 // those that it did not have, by their ids
	ended []byte   // those that it has no more, as families
}

// turnOver keeps the series that a source has now, whose digest is given, in the place of
// those that it had. first says that nothing is known of the source but what is kept.
func turnOver(tx *spool.Tx, source string, list []byte, sum uint64, first bool) (t turned, err error) {
	key := setKey(source)
	was := tx.Get(key)
	var parts []string
	for part := range tx.Each(partsKey(source)) {
		parts = append(parts, part)
	}
	told := make(map[string]bool) // those that there are or were; true where they were told before
	for line := range ends(list) {
		told[string(line)] = false
	}
	none := len(told) == 0
	same := len(was) >= 8 && binary.BigEndian.Uint64(was) == sum && len(parts) == 0
	if !same {
		for _, from := range append([]string{key}, parts...) {
			t.ended = endedOf(t.ended, tx.Get(from), told)
		}
	}
	for line := range ends(list) {
		if first || !told[string(line)] {
			t.added = append(t.added, xxhash.Sum64(line))
		}
	}
	if same {
		return t, nil
	}
	if err := tx.Delete(parts...); err != nil {
		return t, err
	}
	if none {
		return t, tx.Delete(key)
	}
	return t, tx.Set(key, packed(list, sum))
}

// ends gives the lines of families that have ended.
func ends(list []byte) iter.Seq[[]byte] {
	return func(yield func([]byte) bool) {
		for line := range bytes.Lines(list) {
			if line[0] != '#' && !yield(line) {
				return
			}
		}
	}
}

// endedOf appends the series of a list that are not told of yet, and notes that they are.
func endedOf(ended, list []byte, told map[string]bool) []byte {
	if len(list) < 8 {
		return ended
	}
	before, err := s2.Decode(nil, list[8:])
	if err != nil {
		return ended // of a file that was damaged: it only spares markers
	}
	var kind []byte
	for line := range bytes.Lines(before) {
		if line[0] == '#' {
			kind = line
			continue
		}
		_, known := told[string(line)]
		told[string(line)] = true
		if known {
			continue
		}
		ended = append(append(ended, kind...), line...)
		kind = nil
	}
	return ended
}
