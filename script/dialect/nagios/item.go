package nagios

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"scriptbridge/internal/texts"
	"scriptbridge/record"
)

// item reads `value[unit];[warning];[critical];[minimum];[maximum]`. A value
// that is not known (U, Us) makes no series, and neither do its thresholds, whose
// unit is not known.
func (r *reader) item(label, text string, raw []byte) {
	fields := strings.Split(strings.TrimRight(text, ";"), ";")
	if r.units.isUnknown(fields[0]) {
		return
	}
	number, uom, err := cutNumber(fields[0])
	scale := scaleOf(uom)
	value, ok := scale.read(number)
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
	metas := r.units.metas(scale)
	if metas == nil {
		r.refuse(raw, "too_many", fmt.Errorf("%q: the plugin has used %d other units already", texts.Shorten(label, quoted), maxUnits))
		return
	}
	series := series{label, scale.family}
	switch {
	case r.seen[series]:
		r.refuse(raw, "duplicate", fmt.Errorf("%q is there twice (the first one is used)", texts.Shorten(label, quoted)))
		return
	case len(r.said.samples) >= r.maxSamples:
		r.refuse(raw, "too_many", fmt.Errorf("the run gave %d values before this one", len(r.said.samples)))
		return
	}
	r.seen[series] = true
	it := item{reader: r, scale: scale, uom: uom, metas: metas, labels: []record.Label{{Name: "label", Value: label}}}
	it.add(measured, value)
	for i, field := range fields[1:] {
		if err := it.limit(i, field); err != nil {
			r.refuse(raw, "bad_threshold", fmt.Errorf("%q: %w", texts.Shorten(label, quoted), err))
		}
	}
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
		it.labels = append(slices.Clip(it.labels), record.Label{Name: "inside", Value: "true"})
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
	meta := it.metas[what]
	it.reader.said.samples = append(it.reader.said.samples, record.Sample{
		Name: meta.Name, Meta: meta, Labels: it.labels, Value: v, Line: it.reader.number,
	})
}
