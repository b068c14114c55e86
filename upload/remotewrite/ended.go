package remotewrite

import (
	"bytes"
	"encoding/binary"
	"iter"
	"strconv"
	"strings"

	"github.com/cespare/xxhash/v2"
	"github.com/klauspost/compress/s2"

	"scriptbridge/record"
	"scriptbridge/upload/spool"
)

// This file finds out which series have ended: those that a source had when it was
// written last, or was written in part since then, and has no more. Which those were is
// kept in the spool, in the same transaction as what was written, so that an end is told
// across a restart too. A series with times of its own gets no marker, as with a scrape.

// seriesOf gives the name{labels} of all series of a page without times of their own,
// each with the line that says its type.
func seriesOf(shown *record.Shown) iter.Seq2[[]byte, []byte] {
	return func(yield func(series, kind []byte) bool) {
		for _, text := range [][]byte{shown.Text, shown.Sums} {
			var kind []byte
			for line := range bytes.Lines(text) {
				if line[0] == '#' {
					if bytes.HasPrefix(line, kindPrefix) {
						kind = line
					}
					continue
				}
				if series, rest := cutSeries(line); !stamped(rest) && !yield(series, kind) {
					return
				}
			}
		}
	}
}

var kindPrefix = []byte("# TYPE ")

// digest tells one set of series from another.
func digest(shown *record.Shown) uint64 {
	h := xxhash.New()
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
	setPrefix = "set/"
	partMark  = "\x00" // which no name has
)

// sourceOf is the source of such a key.
func sourceOf(key string) string {
	source, _, _ := strings.Cut(strings.TrimPrefix(key, setPrefix), partMark)
	return source
}

// keepPart keeps the series of a part of what a source shows.
func keepPart(tx *spool.Tx, source string, shown *record.Shown, sum uint64) error {
	return tx.Set(partKey(source, sum), listed(shown, sum))
}

// listed are the series of what is shown, one a line, as they are kept.
func listed(shown *record.Shown, sum uint64) []byte {
	var list, last []byte
	for series, kind := range seriesOf(shown) {
		if !bytes.Equal(kind, last) { // a marker tells it, too
			list, last = append(list, kind...), kind
		}
		list = append(append(list, series...), ending...)
	}
	return append(binary.BigEndian.AppendUint64(nil, sum), s2.Encode(nil, list)...)
}

// turnOver keeps the series that a source has now, whose digest is given, in the place of
// those that it had, and gives those that have ended, one a line.
func turnOver(tx *spool.Tx, source string, shown *record.Shown, sum uint64) (ended []byte, err error) {
	key := setKey(source)
	was := tx.Get(key)
	var parts []string
	for part := range tx.Each(partsKey(source)) {
		parts = append(parts, part)
	}
	if len(was) >= 8 && binary.BigEndian.Uint64(was) == sum && len(parts) == 0 {
		return nil, nil
	}
	told := make(map[string]bool) // those that are there, or have ended
	for series := range seriesOf(shown) {
		told[string(series)] = true
	}
	none := len(told) == 0
	for _, from := range append([]string{key}, parts...) {
		ended = endedOf(ended, tx.Get(from), told)
	}
	if err := tx.Delete(parts...); err != nil {
		return nil, err
	}
	if none {
		return ended, tx.Delete(key)
	}
	return ended, tx.Set(key, listed(shown, sum))
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
		series := string(bytes.TrimSuffix(line, []byte(ending)))
		if told[series] {
			continue
		}
		told[series] = true
		ended = append(append(ended, kind...), line...)
		kind = nil
	}
	return ended
}
