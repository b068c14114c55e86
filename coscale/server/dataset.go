package server

import (
	"bufio"
	"cmp"
	"compress/gzip"
	"encoding/base64"
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
	// pointsAtOnce is how many points there is room made for.
	pointsAtOnce = 4096
)

// entry is one of the data array, or a part of a long one.
type entry struct {
	number  int // of the entry, from 0
	first   int // the number in it of the first of points
	metric  int64
	subject string
	points  []coscale.Point
	// dimensions are values by name, in the order of the names.
	dimensions []record.Label
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
	e := entry{metric: cmp.Or(w.Metric, w.MetricID), subject: cmp.Or(w.Subject, w.SubjectID), dimensions: record.LabelsOf(w.Dimensions)}
	if d.counted += 1 + len(e.dimensions); d.counted > maxEntries {
		return tooMany(maxEntries, "entries and values of dimensions")
	}
	e.number = d.number
	d.number++
	if !slices.ContainsFunc(points, func(part []coscale.Point) bool { return len(part) > 0 }) {
		points = values
	}
	for _, part := range points {
		if len(part) == 0 {
			continue
		}
		e.points = part
		d.entries = append(d.entries, e)
		e.first += len(part)
	}
	return nil
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
		p, err := readPoint(in)
		if err != nil {
			return err
		}
		if err := d.count(&p); err != nil {
			return err
		}
		if len(d.room) == cap(d.room) {
			end()
			d.room, begin = make([]coscale.Point, 0, pointsAtOnce), 0
		}
		d.room = append(d.room, p)
		return nil
	})
	end()
	return parts, err
}

// readPoint reads a point, without what json.Unmarshal needs for each.
func readPoint(in jsonstream.Scanner) (p coscale.Point, err error) {
	raw, err := in.Whole()
	switch {
	case err != nil:
		return p, err
	case raw == nil:
		return p, jsonstream.ErrTooLong
	case !json.Valid(raw):
		return p, json.Unmarshal(raw, &p) // which says why
	}
	return p, p.UnmarshalJSON(raw)
}

// tooMany is the answer to data that are too many for one request.
func tooMany(limit int, what string) error {
	return refusal(http.StatusRequestEntityTooLarge, "too_large", "", "there are more than %d %s; send them in parts", limit, what)
}

// unpack reads the data in cdata: base64 of gzip.
func (d *dataset) unpack(cdata io.Reader) error {
	packed := namedReader{base64.NewDecoder(base64.StdEncoding, unescaped{newBoundedReader(cdata, "cdata", maxCdata)}), "cdata is no base64"}
	unzip, err := gzip.NewReader(packed)
	no := "cdata is no gzip"
	if err != nil {
		if err == io.EOF { //nolint:errorlint // as above
			return badRequest("%s: %v", no, err)
		}
		return namedReader{what: no}.name(err)
	}
	return d.read(bufio.NewReaderSize(newBoundedReader(namedReader{unzip, no}, "the JSON in cdata", maxGunzip), maxValue))
}
