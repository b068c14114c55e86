package collector

import (
	"slices"
	"strings"
)

// This file is what becomes of a metric whose source does not say its type, as
// a script without # TYPE. It contradicts nobody: where another source has
// the name in a family with a type, it joins that, whoever came first, and
// leaves it when nobody says the type any more.

// typed gives a metric without a type as one of a family to which another
// source gives one; or the metric itself.
func (c *Collector) typed(s *source, m *metric) *metric {
	if m.kind != unknown || m.bounds() != nil || m.refused() != nil {
		return m
	}
	f := c.named(m.sample)
	if f == nil || f.builtin || !f.typedBeside(s) {
		return m
	}
	as := m.other()
	if as == nil || as.family() != f.name || as.kind != f.kind {
		if as = m.memberOf(f.name, f.kind); as == nil {
			return m
		}
		m.own().other = as
	}
	return as
}

// typedBeside reports whether a source other than s says the type of a family.
func (f *family) typedBeside(s *source) bool {
	others := f.typed
	if b := s.blocks.get(f.name); b != nil && b.family == f && !b.untyped() {
		others--
	}
	return others > 0
}

// memberOf is the metric as a member of a family; nil where no sample of that
// is called like it.
func (m *metric) memberOf(family string, kind kindOf) *metric {
	as := &metric{meta: m.meta, sample: m.sample, familyLen: uint32(len(family)), kind: kind, rare: &rare{other: m}}
	end, ok := strings.CutPrefix(m.sample, family)
	switch {
	case !ok:
		return nil
	case partsOf[kind] != nil:
		if !slices.Contains(partsOf[kind], end) || kind == histogram && end == "" { // which has no sample of that name
			return nil
		}
		as.keepPart(family, end)
	case kind == counter && end == "_created":
		as.own().part = createdPart(family)
	case end != kind.suffix():
		return nil
	default:
		if strings.HasSuffix(family, "_"+m.sample[len(m.sample)-int(m.unitLen):]) {
			as.unitLen = m.unitLen
		}
	}
	return as
}

// untyped reports whether the block's source does not say its type.
func (b *block) untyped() bool { return b.metric.kind == unknown || b.metric.plain() != nil }

// follows reports whether a block without a type makes way for a family of s: by
// joining it where that has a type, and by having none again where that has
// none either.
func (b *block) follows(s *source, name string, kind kindOf) bool {
	if !b.untyped() || kind == unknown {
		return b.untyped() && !b.family.typedBeside(s)
	}
	claimed := claims(name, kind)
	return !slices.ContainsFunc(b.series, func(se *series) bool {
		sample := sampleOf(se.text())
		return slices.Contains(claimed, sample) && (&metric{sample: sample}).memberOf(name, kind) == nil
	})
}

// sampleOf is the name in a series' text.
func sampleOf(text string) string {
	name, _, _ := strings.Cut(text, "{")
	return name
}

// moved are the series of a block that has been taken away, and what it showed.
type moved struct {
	source *source
	batch  uint32
	series []*series
	texts  []string  // of those
	plain  []*metric // as the source called them
}

// takeOut takes a block away whose series placeTyped puts elsewhere.
func (c *Collector) takeOut(b *block) moved {
	l := moved{source: b.source, batch: b.batch, series: b.series, plain: b.plain()}
	for _, se := range b.series {
		l.texts = append(l.texts, se.text())
	}
	if b.metric.plain() == nil {
		l.plain = []*metric{b.metric}
	}
	c.remove(b)
	return l
}

// placeTyped puts the series of lots without a type where they belong now: into
// the family that has one, or families of their own.
func (c *Collector) placeTyped(lots []moved) {
	for _, l := range lots {
		for at, se := range l.series {
			text := l.texts[at]
			i := slices.IndexFunc(l.plain, func(m *metric) bool { return m.sample == sampleOf(text) })
			m := c.typed(l.source, l.plain[i])
			key := m.keyOf(text)
			if l.source.series.get([]byte(key)) != nil {
				continue // le="1" and le="1.0" are one now
			}
			b := l.source.blocks.get(m.family())
			if b == nil {
				b = c.addBlock(l.source, m.family(), m, false)
				b.batch = l.batch
			}
			b.show(m)
			se.block = b
			se.setText(text)
			se.setKey(key)
			b.series, b.sorted = append(b.series, se), false
			l.source.series.Add(se)
			l.source.lines += se.lines()
			c.layout.touch(b)
		}
	}
}

// keyOf is the key of a series of the metric, by its text.
func (m *metric) keyOf(text string) string {
	if m.part() == nil {
		return text
	}
	labels := strings.TrimPrefix(text, m.sample)
	bound, rest := cutLabel(labels, m.part().bound)
	key := append([]byte(m.part().group+rest), keyEnd, m.part().rank)
	if m.part().bound != "" {
		key = appendBound(key, bound)
	}
	return string(key)
}

// cutLabel cuts a label out of {labels} as they stand on the page.
func cutLabel(labels, name string) (value, rest string) {
	from, to, ok := findLabel(labels, name)
	if !ok {
		return "", labels
	}
	begin := from - len(name) - len(`="`) - 1 // the { or , in front
	switch rest = labels[to+1:]; {
	case begin > 0:
		rest = labels[:begin] + rest
	case rest == "}":
		rest = ""
	default:
		rest = "{" + rest[1:]
	}
	return unescaper.Replace(labels[from:to]), rest
}

// findLabel gives the place of a label's value in {labels} as they stand on the
// page.
func findLabel(labels, name string) (from, to int, ok bool) {
	for at := 0; at < len(labels) && labels[at] != '}'; at = to + 1 {
		from = at + 1 + strings.Index(labels[at+1:], `="`) + len(`="`)
		for to = from; labels[to] != '"'; to++ {
			if labels[to] == '\\' {
				to++
			}
		}
		if labels[at+1:from-len(`="`)] == name {
			return from, to, true
		}
	}
	return 0, 0, false
}

var unescaper = strings.NewReplacer(`\\`, `\`, `\"`, `"`, `\n`, "\n")
