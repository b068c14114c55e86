package nagios

import (
	"encoding/binary"
	"errors"
	"fmt"
	"strings"

	"scriptbridge/internal/texts"
	"scriptbridge/record"
)

// item reads `value[unit];[warning];[critical];[minimum];[maximum]`. A value
// that is not known (U, Us) makes no series, and neither do its thresholds, whose
// unit is not known.
func (r *reader) item(label, text, raw string) {
	first, rest, _ := strings.Cut(strings.TrimRight(text, ";"), ";")
	if r.units.isUnknown(first) {
		return
	}
	number, u, err := r.units.cutNumber(first)
	value, ok := u.scale.read(number)
	switch {
	case errors.Is(err, errDecimalComma):
		r.refuse(raw, "decimal_comma", fmt.Errorf("%q: %w", texts.Shorten(label, quoted), err))
		return
	case errors.Is(err, errThousands):
		r.refuse(raw, "not_a_number", fmt.Errorf("%q: %w", texts.Shorten(label, quoted), err))
		return
	case !ok:
		r.refuse(raw, "not_a_number", fmt.Errorf("%q: %w", texts.Shorten(label, quoted), errNumber))
		return
	}
	metas := r.units.metas(u.scale)
	if metas == nil {
		r.refuse(raw, "too_many", fmt.Errorf("%q: the plugin has used %d other units already", texts.Shorten(label, quoted), maxUnits))
		return
	}
	switch again, full := r.again(label, u.family); {
	case again:
		r.refuse(raw, "duplicate", fmt.Errorf("%q is there twice (the first one is used)", texts.Shorten(label, quoted)))
		return
	case full:
		r.refuse(raw, "too_many", fmt.Errorf("the run gave %d values before this one", len(r.samples.All)))
		return
	}
	labels := r.samples.Labels(1)
	labels[0] = record.Label{Name: "label", Value: r.samples.Text(label)}
	it := item{reader: r, scale: u.scale, uom: u.uom, metas: metas, labels: labels}
	it.add(measured, value)
	for i := 0; rest != ""; i++ {
		var field string
		field, rest, _ = strings.Cut(rest, ";")
		if err := it.limit(i, field); err != nil {
			r.refuse(raw, "bad_threshold", fmt.Errorf("%q: %w", texts.Shorten(label, quoted), err))
		}
	}
}

// again reports whether the label has come with a unit of this family, however that was
// spelt, and notes it where there is room for more.
func (r *reader) again(label string, f family) (again, full bool) {
	counts := byte(0)
	if f.counter {
		counts = 1
	}
	r.key = binary.AppendUvarint(append(r.key[:0], counts), uint64(len(f.unit)))
	r.key = append(append(r.key, f.unit...), label...)
	if full = r.samples.Full(); full {
		_, again = r.seen.Find(r.key)
	} else {
		_, again = r.seen.Add(r.key, 0)
	}
	return again, full
}

// item is the item being read: what its series have in common.
type item struct {
	reader *reader
	scale  scale
	uom    string
	metas  []*record.Meta
	labels []record.Label
}

// limit adds one of the fields behind the value: a threshold, the minimum or
// the maximum.
func (it *item) limit(place int, field string) error {
	if field == "" {
		return nil
	}
	if place >= len(limits) {
		return fmt.Errorf("%q follows the maximum", texts.Shorten(field, quoted))
	}
	l := limits[place]
	if l.low == l.high {
		v, ok := it.scale.readBound(field, it.uom)
		if !ok {
			return fmt.Errorf("the %s %q is not a number", l.name, texts.Shorten(field, quoted))
		}
		it.add(l.high, v)
		return nil
	}
	r, ok := it.scale.readRange(field, it.uom)
	if !ok {
		return fmt.Errorf("the %s threshold %q is not a range (such as 10, 10:, ~:10, 10:20 or @10:20)", l.name, texts.Shorten(field, quoted))
	}
	outside := it.labels
	if r.inside {
		it.labels = it.reader.samples.Labels(2)
		it.labels[0], it.labels[1] = outside[0], record.Label{Name: "inside", Value: "true"}
	}
	if r.hasLow {
		it.add(l.low, r.low)
	}
	if r.hasHigh {
		it.add(l.high, r.high)
	}
	it.labels = outside
	return nil
}

func (it *item) add(what int, v float64) {
	meta, r := it.metas[what], it.reader
	s := r.samples.Add(r.number)
	s.Name, s.Meta, s.Labels, s.Value, s.Line = meta.Name, meta, it.labels, v, r.number
}
