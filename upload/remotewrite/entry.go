package remotewrite

import (
	"bytes"
	"encoding/binary"
	"errors"
	"iter"

	"scriptbridge/record"
)

// entry is what one entry of the spool holds: a stretch of the page at one time, which is
// the entry's. The text is that of the page, so that what is made of it when it is
// sent is what Prometheus makes of a scrape.
type entry struct {
	text  []byte // families
	sums  []byte // families of sums, which began at 0 at began
	ended []byte // series that have ended, with the labels that they were sent with, as families whose values are NaN
	began int64  // Unix milliseconds
	// renewed says that the values are as they were: those with a time of their own have
	// been sent already.
	renewed bool
}

// entryForm begins every entry.
const entryForm = 1

// pieceMost bounds the text of an entry, in bytes. A family's header or a line
// alone may be longer.
const pieceMost = 256 << 10

// append appends the entry as it lies in the spool.
func (e *entry) append(dst []byte) []byte {
	flags := byte(0)
	if e.renewed {
		flags = 1
	}
	dst = append(dst, entryForm, flags)
	dst = binary.AppendVarint(dst, e.began)
	dst = binary.AppendUvarint(dst, uint64(len(e.text)))
	dst = binary.AppendUvarint(dst, uint64(len(e.sums)))
	dst = append(append(dst, e.text...), e.sums...)
	return append(dst, e.ended...)
}

var errEntry = errors.New("an entry that cannot be read")

// parseEntry is the reverse of append. The entry holds slices of data.
func parseEntry(data []byte) (*entry, error) {
	if len(data) < 2 || data[0] != entryForm {
		return nil, errEntry
	}
	e := &entry{renewed: data[1]&1 != 0}
	data = data[2:]
	began, n := binary.Varint(data)
	if n <= 0 {
		return nil, errEntry
	}
	e.began, data = began, data[n:]
	var sizes [2]uint64
	for i := range sizes {
		size, n := binary.Uvarint(data)
		if n <= 0 {
			return nil, errEntry
		}
		sizes[i], data = size, data[n:]
	}
	if sizes[0] > uint64(len(data)) || sizes[1] > uint64(len(data))-sizes[0] {
		return nil, errEntry
	}
	e.text, data = data[:sizes[0]], data[sizes[0]:]
	e.sums, e.ended = data[:sizes[1]], data[sizes[1]:]
	return e, nil
}

// entriesOf cuts what is shown, and what has ended, into entries, each with the number
// of its samples.
func entriesOf(shown *record.Shown, ended []byte, renewed bool) iter.Seq2[*entry, int] {
	return func(yield func(*entry, int) bool) {
		began := int64(0)
		if len(shown.Sums) > 0 {
			began = shown.Began.UnixMilli()
		}
		if len(shown.Text)+len(shown.Sums)+len(ended) <= pieceMost {
			e := &entry{text: shown.Text, sums: shown.Sums, ended: ended, began: began, renewed: renewed}
			if n := shown.Lines + record.SamplesIn(ended); n > 0 {
				yield(e, n)
			}
			return
		}
		for piece, n := range pieces(shown.Text) {
			if !yield(&entry{text: piece, renewed: renewed}, n) {
				return
			}
		}
		for piece, n := range pieces(shown.Sums) {
			if !yield(&entry{sums: piece, began: began, renewed: renewed}, n) {
				return
			}
		}
		for piece, n := range pieces(ended) {
			if !yield(&entry{ended: piece, renewed: renewed}, n) {
				return
			}
		}
	}
}

var newline = []byte("\n")

// pieces cuts families into texts of about pieceMost, each with the headers of its
// families, and gives the number of samples in each.
func pieces(text []byte) iter.Seq2[[]byte, int] {
	return func(yield func([]byte, int) bool) {
		var piece, header []byte
		samples, heading := 0, false
		for line := range bytes.Lines(text) {
			if line[0] == '#' {
				if !heading {
					header = header[:0]
				}
				header, heading = append(header, line...), true
				continue
			}
			if len(piece)+len(header)+len(line) > pieceMost && samples > 0 {
				if !yield(piece, samples) {
					return
				}
				piece, samples, heading = nil, 0, true
			}
			if heading {
				piece, heading = append(piece, header...), false
			}
			piece, samples = append(piece, line...), samples+1
		}
		if samples > 0 {
			yield(piece, samples)
		}
	}
}

// cutSeries cuts a line of a page into name{labels} and what follows the blank after
// it: the value, and its time where it has one.
func cutSeries(line []byte) (series, rest []byte) {
	at := bytes.LastIndexByte(line, '}') // values have none
	if at < 0 {
		at = bytes.IndexByte(line, ' ') - 1
	}
	if at+2 > len(line) {
		return line, nil
	}
	return line[:at+1], bytes.TrimSuffix(line[at+2:], newline)
}

// stamped says whether what follows a series has a time of its own.
func stamped(rest []byte) bool { return bytes.IndexByte(rest, ' ') >= 0 }
