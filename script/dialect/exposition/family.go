package exposition

import (
	"cmp"
	"slices"
	"strings"

	"scriptbridge/record"
	"scriptbridge/script/dialect/lines"
)

// family is what an exposition says of one name, and the samples under it.
type family struct {
	name                  string  // as printed
	of                    *family // that of samples of this name; nil while there are none
	kind                  *kind
	help, unit            string
	helped, typed, united bool // by a line of its own
	sampled               bool
	meta                  *record.Meta // once all is read; nil when nothing was said
}

// family finds or makes that of a name, which is often that of the line before.
func (d *parser) family(name string) *family {
	if d.last == nil || d.last.name != name {
		d.last = d.findFamily(name)
	}
	return d.last
}

func (d *parser) findFamily(name string) *family {
	d.key = append(d.key[:0], name...)
	i, again := d.numbers.Add(d.key, len(d.families))
	if again {
		return d.families[i]
	}
	if len(d.slab) == 0 {
		d.slab = make([]family, min(max(len(d.families), 8), 1024))
	}
	f := &d.slab[0]
	d.slab = d.slab[1:]
	f.name, f.kind = d.samples.Text(name), &noKind
	d.families = append(d.families, f)
	return f
}

// known finds the family of a name of two parts; nil where there is none.
func (d *parser) known(base, end string) *family {
	d.key = append(append(d.key[:0], base...), end...)
	if i, ok := d.numbers.Find(d.key); ok {
		return d.families[i]
	}
	return nil
}

// kind is a type as a script may print it.
type kind struct {
	typ record.Type
	// parts are the ends of its samples' names, beyond the name itself.
	parts []string
	bound string // the label whose value must be a number
}

// kinds are the types of both formats. What neither client_golang nor a
// page in text knows is shown as what comes closest.
var kinds = map[string]*kind{
	"counter":        {typ: record.Counter, parts: []string{"_total", "_created"}},
	"gauge":          {typ: record.Gauge},
	"histogram":      {typ: record.Histogram, parts: []string{"_bucket", "_sum", "_count", "_created"}, bound: "le"},
	"summary":        {typ: record.Summary, parts: []string{"_sum", "_count", "_created"}, bound: "quantile"},
	"untyped":        {typ: record.Unknown},
	"unknown":        {typ: record.Unknown},
	"info":           {typ: record.Info, parts: []string{"_info"}},
	"stateset":       {typ: record.Gauge},
	"gaugehistogram": {typ: record.Unknown, parts: []string{"_bucket", "_gsum", "_gcount"}},
}

// noKind is that of a family without a type.
var noKind kind

// parts are all ends that a kind may have.
var parts = []string{"_total", "_created", "_bucket", "_sum", "_count", "_info", "_gsum", "_gcount"}

// owns reports whether a sample whose name has that end behind the family's is
// the family's. In text, a counter's family has the whole name.
func (f *family) owns(part string, openMetrics bool) bool {
	return slices.Contains(f.kind.parts, part) && (openMetrics || f.kind.typ != record.Counter)
}

// comment reads what follows a #: HELP, TYPE and UNIT mean something, all else
// is for people.
func (d *parser) comment(text string) {
	if text == "" || !lines.IsBlank(text[0]) {
		return
	}
	keyword, rest := cutWord(trimLeft(text))
	if keyword != "HELP" && keyword != "TYPE" && keyword != "UNIT" {
		return
	}
	name, rest, ok := d.metaName(rest)
	if !ok {
		return
	}
	f := d.family(name)
	switch keyword {
	case "HELP":
		d.help(f, rest)
	case "TYPE":
		d.typ(f, rest)
	case "UNIT":
		d.unit(f, rest)
	}
}

// metaName reads the name behind HELP and the like.
func (d *parser) metaName(text string) (name, rest string, ok bool) {
	name, rest = cutWord(text)
	quoted := strings.HasPrefix(text, `"`)
	if quoted {
		if name, rest, ok = cutQuoted(text); !ok {
			d.refusef("bad_metadata", "a quote is not closed")
			return "", "", false
		}
		name = legacyName(unescape(name, true), true)
	}
	own, left := cutMetricName(name)
	switch {
	case own != "" && left == "":
		return name, trimLeft(rest), true
	case quoted:
		d.refusef("bad_metadata", "a name in quotes is empty")
	case text == "":
		d.refusef("bad_metadata", "it names no metric")
	default:
		d.refuse("bad_name", badName(text))
	}
	return "", "", false
}

func (d *parser) help(f *family, text string) {
	if f.helped {
		d.refusef("bad_metadata", "a HELP of %s came before (write one, in front of its samples)", f.name)
		return
	}
	f.helped, f.help = true, unescape(text, d.openMetrics)
}

func (d *parser) typ(f *family, word string) {
	kind, ok := kinds[strings.ToLower(word)]
	late := ok && (f.sampled || slices.ContainsFunc(kind.parts, func(part string) bool {
		p := d.known(f.name, part)
		return p != nil && p.sampled && !p.typed && (d.openMetrics || kind.typ != record.Counter)
	}))
	switch {
	case !ok:
		d.refusef("bad_metadata", "%q is not a type of the text format (counter, gauge, histogram, summary, untyped) or of OpenMetrics", lines.Clip([]byte(word)))
	case f.typed:
		d.refusef("bad_metadata", "a TYPE of %s came before (write one, in front of its samples)", f.name)
	case late:
		d.refusef("bad_metadata", "the TYPE of %s comes after its samples (write it in front of them)", f.name)
	default:
		f.typed, f.kind = true, kind
	}
}

func (d *parser) unit(f *family, unit string) {
	switch {
	case f.united:
		d.refusef("bad_metadata", "a UNIT of %s came before (write one, in front of its samples)", f.name)
	case unit != "" && !strings.HasSuffix(f.name, "_"+unit):
		d.refusef("bad_metadata", "the name %s does not end in its unit %q", f.name, lines.Clip([]byte(unit)))
	default:
		f.united, f.unit = true, unit
	}
}

// familyOf finds the family of samples of a name: the name's own, or that of the
// name without an end that the family's type has.
func (d *parser) familyOf(own *family) *family {
	if own.typed || own.sampled {
		return own
	}
	for _, part := range parts {
		if base, ok := strings.CutSuffix(own.name, part); ok {
			if f := d.known(base, ""); f != nil && f.owns(part, d.openMetrics) {
				return f
			}
		}
	}
	return own
}

// finish gives every sample its Meta, now that all is known of the families.
func (d *parser) finish(before map[string]*record.Meta) {
	for _, f := range d.families {
		if f.sampled && (f.typed || f.helped || f.united) {
			old := before[f.name]
			f.meta = d.metaOf(f, old)
			d.told++
			if f.meta == old {
				d.kept++
			}
		}
	}
	for _, f := range d.families {
		f.of = cmp.Or(d.creates(f), f)
	}
	for i, f := range d.of {
		d.samples.All[i].Meta = f.of.meta
	}
}

// metas gives the Metas by name: those of the run before, if they are the same.
func (d *parser) metas(before map[string]*record.Meta) map[string]*record.Meta {
	if d.kept == d.told && d.told == len(before) && before != nil {
		return before
	}
	metas := make(map[string]*record.Meta, d.told)
	for _, f := range d.families {
		if f.meta != nil {
			metas[f.meta.Name] = f.meta
		}
	}
	return metas
}

// metaOf is the family's Meta: the one before, if it is the same. What one has is not
// a part of anything larger, since it may be kept for long.
func (d *parser) metaOf(f *family, before *record.Meta) *record.Meta {
	typ := d.typeOf(f)
	if before != nil && before.Help == f.help && before.Unit == f.unit && before.Type == typ {
		return before
	}
	return &record.Meta{Name: strings.Clone(f.name), Help: strings.Clone(f.help), Unit: strings.Clone(f.unit), Type: typ}
}

// typeOf is the family's type. A counter foo_total beside another metric foo
// is unknown: OpenMetrics, where both would be foo, has no room for the two.
func (d *parser) typeOf(f *family) record.Type {
	if base, ok := strings.CutSuffix(f.name, "_total"); ok && f.kind.typ == record.Counter {
		if other := d.known(base, ""); other != nil && other.sampled {
			return record.Unknown
		}
	}
	return f.kind.typ
}

// creates gives the family that f says the time of creation of. In text, the
// Python client prints foo_created as a gauge of its own, which OpenMetrics has
// as a part of the counter foo_total or the histogram foo.
func (d *parser) creates(f *family) *family {
	base, ok := strings.CutSuffix(f.name, "_created")
	if !ok || f.kind.typ != record.Gauge && f.kind.typ != record.Unknown {
		return nil
	}
	if p := d.known(base, ""); p != nil && p.meta != nil && p.owns("_created", d.openMetrics) {
		return p
	}
	if p := d.known(base, "_total"); p != nil && p.meta != nil && p.meta.Type == record.Counter {
		return p
	}
	return nil
}
