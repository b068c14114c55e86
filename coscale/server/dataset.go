package server

import (
	"bufio"
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"slices"
	"strings"

	"scriptbridge/coscale"
	"scriptbridge/internal/jsonstream"
	"scriptbridge/record"
)

// Bounds of the data of one request.
const (
	// maxPoints: the CLI's largest call, 8 MiB of JSON, holds some 700 000 at most. A
	// value of a histogram counts for one.
	maxPoints = 1_000_000
	// maxEntries is of entries and the values of their dimensions.
	maxEntries = 250_000
	// maxValue is bytes of what is read at once, such as a point.
	maxValue = 64 << 10
	// pointsAtOnce is how many points there is room made for at most, and keysAtOnce for how
	// many bytes of keys: twice as much each time, from leastAtOnce.
	pointsAtOnce = 4096
	keysAtOnce   = 64 << 10
	leastAtOnce  = 128
)

// entry is one of the data array, or a part of a long one.
type entry struct {
	number int32    // of the entry, from 0
	first  int32    // the number in it of the first of points
	of     entryKey // what its points are of
	points []coscale.Point
}

// wire is an entry as it is sent: with m, s and d, as all known clients send it, or with
// the words of the vendor's Swagger description.
type wire struct {
	coscale.Data
	MetricID  int64           `json:"metricId"`  // for m,
	SubjectID string          `json:"subjectId"` // s
	Values    []coscale.Point `json:"data"`      // and d
}

// dataset are the data of a request, as far as they are read. Its size is known while it is
// read, and bounded.
type dataset struct {
	entries []entry
	number  int // of the next entry
	counted int // towards maxEntries
	points  int // towards maxPoints
	room    []coscale.Point
	keys    []byte // room for those of entries

	// Scratch of one entry:
	text       jsonstream.Plain
	key        entryKey
	point      coscale.Point
	plain      []coscale.Point
	dimensions []dimension
	parts      [][]coscale.Point
}

// read reads the data array, behind which nothing may follow.
func (d *dataset) read(r *bufio.Reader) error {
	in := jsonstream.Scanner{R: r}
	switch _, err := in.Next(); {
	case errors.Is(err, io.EOF):
		return errNoData()
	case err != nil:
		return err
	}
	if err := d.list(in); err != nil {
		return badData(err)
	}
	return badData(in.End())
}

// badData is what is wrong with the data.
func badData(err error) error { return badJSON(err, "the data") }

// list reads the data array.
func (d *dataset) list(in jsonstream.Scanner) error {
	*d = dataset{}
	return in.List("the data are no list of entries", func() error {
		if taken, err := d.plainEntry(in); taken || err != nil {
			return err
		}
		raw, err := in.Whole()
		switch {
		case err != nil:
			return err
		case raw == nil:
			return d.long(in)
		}
		var w wire
		if err := json.Unmarshal(raw, &w); err != nil {
			return err
		}
		for _, points := range [][]coscale.Point{w.Points, w.Values} {
			for i := range points {
				if err := d.count(&points[i]); err != nil {
					return err
				}
			}
		}
		return d.add(&w, [][]coscale.Point{w.Points}, [][]coscale.Point{w.Values})
	})
}

// plainEntry reads an entry as nearly all clients write it, out of what has come; false
// for another one, of which nothing is read then.
func (d *dataset) plainEntry(in jsonstream.Scanner) (taken bool, err error) {
	if taken, err := in.Plain(&d.text, d.readPlain); !taken || err != nil {
		return false, err
	}
	for i := range d.plain {
		if err := d.count(&d.plain[i]); err != nil {
			return false, err
		}
	}
	return true, d.keep(d.key, len(d.dimensions), d.inRoom(d.plain))
}

// readPlain reads an entry of which the scratch holds the parts then.
func (d *dataset) readPlain(in *jsonstream.Plain) bool {
	var metric int64
	var subject []byte
	var seen [4]bool
	d.plain, d.dimensions = d.plain[:0], d.dimensions[:0]
	ok := in.Is('{')
	for first := true; ok; first = false {
		var more bool
		if more, ok = in.More('}', first); !ok || !more {
			break
		}
		name, isText := in.Text()
		if ok = isText && in.Is(':'); !ok {
			break
		}
		i := slices.Index(plainNames[:], string(name))
		if i < 0 || seen[i] {
			return false
		}
		seen[i] = true
		switch i {
		case 0:
			metric, ok = in.Int()
		case 1:
			subject, ok = in.Text()
		case 2:
			ok = d.plainPoints(in)
		case 3:
			ok = d.plainDimensions(in)
		}
	}
	if ok {
		d.key = appendEntryKey(d.key[:0], metric, subject, d.dimensions)
	}
	return ok
}

// plainNames are those of an entry as nearly all clients write it.
var plainNames = [4]string{"m", "s", "d", "dv"}

func (d *dataset) plainPoints(in *jsonstream.Plain) bool {
	if !in.Is('[') {
		return false
	}
	for first := true; ; first = false {
		if more, ok := in.More(']', first); !ok || !more {
			return ok
		}
		if !d.point.Plain(in) {
			return false
		}
		d.plain = append(d.plain, d.point)
	}
}

// plainDimensions reads values of dimensions, in the order of the names then.
func (d *dataset) plainDimensions(in *jsonstream.Plain) bool {
	if !in.Is('{') {
		return false
	}
	for first := true; ; first = false {
		more, ok := in.More('}', first)
		if !ok {
			return false
		}
		if !more {
			break
		}
		var one dimension
		if one.name, ok = in.Text(); !ok || !in.Is(':') {
			return false
		}
		if one.value, ok = in.Text(); !ok {
			return false
		}
		d.dimensions = append(d.dimensions, one)
	}
	if len(d.dimensions) < 2 {
		return true
	}
	byName := func(a, b dimension) int { return bytes.Compare(a.name, b.name) }
	slices.SortFunc(d.dimensions, byName)
	for i := 1; i < len(d.dimensions); i++ {
		if byName(d.dimensions[i-1], d.dimensions[i]) == 0 {
			return false // of which the last counts
		}
	}
	return true
}

// newRoom makes room for more points.
func (d *dataset) newRoom() {
	d.room = make([]coscale.Point, 0, roomAfter(cap(d.room), pointsAtOnce))
}

// roomAfter is how much room to make after so much was not enough.
func roomAfter(before, most int) int { return max(leastAtOnce, min(2*before, most)) }

// inRoom copies points to where they stay, in parts of which each lies in one piece.
func (d *dataset) inRoom(points []coscale.Point) (parts [][]coscale.Point) {
	parts = d.parts[:0]
	for len(points) > 0 {
		if len(d.room) == cap(d.room) {
			d.newRoom()
		}
		begin, n := len(d.room), min(len(points), cap(d.room)-len(d.room))
		d.room = append(d.room, points[:n]...)
		parts = append(parts, d.room[begin:len(d.room):len(d.room)])
		points = points[n:]
	}
	d.parts = parts
	return parts
}

// long reads an entry with many points, one by one.
func (d *dataset) long(in jsonstream.Scanner) error {
	var w wire
	var points, values [][]coscale.Point
	err := in.Object(func(name string) (err error) {
		switch strings.ToLower(name) {
		case "m":
			return in.Value(&w.Metric)
		case "metricid":
			return in.Value(&w.MetricID)
		case "s":
			return in.Value(&w.Subject)
		case "subjectid":
			return in.Value(&w.SubjectID)
		case "d":
			points, err = d.pointList(in)
		case "data":
			values, err = d.pointList(in)
		case "dv":
			return in.Value(&w.Dimensions)
		default:
			return in.Value(new(json.RawMessage))
		}
		return err
	})
	if err != nil {
		return err
	}
	return d.add(&w, points, values)
}

// add keeps an entry, in parts if there are several: of its values where it has no points.
func (d *dataset) add(w *wire, points, values [][]coscale.Point) error {
	if !slices.ContainsFunc(points, func(part []coscale.Point) bool { return len(part) > 0 }) {
		points = values
	}
	d.dimensions = d.dimensions[:0]
	for _, l := range record.LabelsOf(w.Dimensions) {
		d.dimensions = append(d.dimensions, dimension{[]byte(l.Name), []byte(l.Value)})
	}
	d.key = appendEntryKey(d.key[:0], cmp.Or(w.Metric, w.MetricID), []byte(cmp.Or(w.Subject, w.SubjectID)), d.dimensions)
	return d.keep(d.key, len(d.dimensions), points)
}

// keep keeps an entry with so many dimensions.
func (d *dataset) keep(key entryKey, dimensions int, points [][]coscale.Point) error {
	if d.counted += 1 + dimensions; d.counted > maxEntries {
		return tooMany(maxEntries, "entries and values of dimensions")
	}
	e := entry{number: int32(d.number)}
	d.number++
	for _, part := range points {
		if len(part) == 0 {
			continue
		}
		if e.of == nil {
			e.of = d.keepKey(key)
		}
		e.points = part
		d.entries = append(d.entries, e)
		e.first += int32(len(part))
	}
	return nil
}

// keepKey copies a key to where it stays: where the one before is, if that is the same.
func (d *dataset) keepKey(key entryKey) entryKey {
	if n := len(d.entries); n > 0 && string(d.entries[n-1].of) == string(key) {
		return d.entries[n-1].of
	}
	if cap(d.keys)-len(d.keys) < len(key) {
		d.keys = make([]byte, 0, max(roomAfter(cap(d.keys), keysAtOnce), len(key)))
	}
	begin := len(d.keys)
	d.keys = append(d.keys, key...)
	return entryKey(d.keys[begin:len(d.keys):len(d.keys)])
}

// speakOf has those entries speak of a subject that do not say of what.
func (d *dataset) speakOf(subject string) {
	for i := range d.entries {
		e := &d.entries[i]
		if d.key = e.of.with(d.key[:0], subject); len(d.key) != len(e.of) {
			e.of = d.keepKey(d.key)
		}
	}
}

// weight is what a point counts for: itself, and the values of its histogram.
func weight(p *coscale.Point) int {
	if p.Histogram == nil {
		return 1
	}
	return 1 + len(p.Histogram.Values)
}

// count counts a point.
func (d *dataset) count(p *coscale.Point) error {
	if d.points += weight(p); d.points > maxPoints {
		return tooMany(maxPoints, "points")
	}
	return nil
}

// pointList reads the points of an entry, in parts of which each lies in one piece.
func (d *dataset) pointList(in jsonstream.Scanner) (parts [][]coscale.Point, err error) {
	begin := len(d.room)
	end := func() {
		if begin < len(d.room) {
			parts = append(parts, d.room[begin:len(d.room):len(d.room)])
		}
	}
	err = in.List("the points of an entry are no list", func() error {
		p, err := d.readPoint(in)
		if err != nil {
			return err
		}
		if err := d.count(&p); err != nil {
			return err
		}
		if len(d.room) == cap(d.room) {
			end()
			d.newRoom()
			begin = 0
		}
		d.room = append(d.room, p)
		return nil
	})
	end()
	return parts, err
}

// readPoint reads a point, without what json.Unmarshal needs for each.
func (d *dataset) readPoint(in jsonstream.Scanner) (coscale.Point, error) {
	if taken, err := in.Plain(&d.text, d.point.Plain); taken || err != nil {
		return d.point, err
	}
	raw, err := in.Whole()
	switch {
	case err != nil:
		return d.point, err
	case raw == nil:
		return d.point, jsonstream.ErrTooLong
	case !json.Valid(raw):
		return d.point, json.Unmarshal(raw, &d.point) // which says why
	}
	err = d.point.UnmarshalJSON(raw)
	return d.point, err
}

// tooMany is the answer to data that are too many for one request.
func tooMany(limit int, what string) error {
	return refusal(http.StatusRequestEntityTooLarge, "too_large", "", "there are more than %d %s; send them in parts", limit, what)
}
