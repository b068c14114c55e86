package collector

import (
	"bytes"
	"cmp"
	"hash/maphash"
	"slices"
	"strings"

	"scriptbridge/internal/dense"
	"scriptbridge/record"
)

// kindOf is what a family is on the page.
type kindOf uint8

const (
	unknown kindOf = iota
	gauge
	counter
	info
	bareCounter // a counter whose name has no _total, which OpenMetrics knows none of
	histogram
	summary
)

// kindOfType has the types that are not unknown on the page.
var kindOfType = map[record.Type]kindOf{record.Gauge: gauge, record.Counter: counter, record.Histogram: histogram, record.Summary: summary}

// family is all series of one name, of however many sources.
type family struct {
	name    string // OpenMetrics': without _total, _info, _bucket and the like
	kind    kindOf
	builtin bool           // made by the bridge: no source can take it
	typed   int32          // how many of blocks are of a source that says the type
	blocks  []*block       // in the order of the page; empty only of a process-wide family
	loose   [formats]int32 // how many of them are loose
}

// description are the HELP and the UNIT of a family: those of the first block that has
// one.
func (f *family) description() (help, unit string) {
	for _, b := range f.blocks {
		if help == "" {
			help = b.metric.help()
		}
		if unit == "" {
			unit = f.name[len(f.name)-int(b.metric.unitLen):]
		}
		if help != "" && unit != "" {
			break
		}
	}
	return help, unit
}

// claimed are the ends of the names that a family of a kind has on a page beside its own, in
// either format.
var claimed = [...][]string{
	counter:   {"_total", "_created"},
	info:      {"_info"},
	histogram: {"_bucket", "_sum", "_count", "_created"},
	summary:   {"_sum", "_count", "_created"},
}

// claims are the names that a family of this name and kind has on a page. No other family
// may have one of them.
func claims(name string, kind kindOf) []string {
	names := []string{name}
	for _, end := range claimed[kind] {
		names = append(names, name+end)
	}
	return names
}

// familySet has families by their names.
type familySet struct{ dense.Set[family] }

func newFamilySet() familySet {
	return familySet{dense.Set[family]{Hash: func(f *family) uint64 { return maphash.String(seed, f.name) }}}
}

// get gives the family of a name; nil where there is none.
func (s *familySet) get(name string) *family {
	return s.Find(maphash.String(seed, name), func(f *family) bool { return f.name == name })
}

// named finds the family that claims a name; nil where there is none.
func (c *Collector) named(name string) *family {
	if f := c.reserved[name]; f != nil {
		return f
	}
	if f := c.families.get(name); f != nil {
		return f
	}
	at := strings.LastIndexByte(name, '_')
	if at < 0 {
		return nil
	}
	if f := c.families.get(name[:at]); f != nil && slices.Contains(claimed[f.kind], name[at:]) {
		return f
	}
	return nil
}

// word is the type's in a format.
func (k kindOf) word(f format) string {
	if f != openMetrics {
		switch k {
		case info:
			return "gauge"
		case unknown:
			return "untyped"
		case bareCounter:
			return "counter"
		}
	}
	return k.String()
}

// String is the type's word on OpenMetrics.
func (k kindOf) String() string {
	return [...]string{"unknown", "gauge", "counter", "info", "unknown", "histogram", "summary"}[k]
}

// noun is the type in a sentence.
func (k kindOf) noun() string {
	return [...]string{"an untyped metric", "a gauge", "a counter", "an info", "a counter without _total", "a histogram", "a summary"}[k]
}

// suffix is what the name of every sample has that its family's has not.
func (k kindOf) suffix() string {
	switch k {
	case counter:
		return "_total"
	case info:
		return "_info"
	default:
		return ""
	}
}

// compare orders blocks as on the page: by family, then as their sources rank.
func (b *block) compare(o *block) int {
	if b.family != o.family {
		return strings.Compare(b.family.name, o.family.name)
	}
	return b.first().compare(o.first())
}

// compare orders sources by precedence: lower rank first. Kind and name make it
// an order even while a reload is under way.
func (s *source) compare(o *source) int {
	return cmp.Or(
		cmp.Compare(s.def.Rank, o.def.Rank),
		-strings.Compare(string(s.def.Kind), string(o.def.Kind)), // scripts first
		strings.Compare(s.def.Name, o.def.Name),
	)
}

// conflicting finds the families that hold a name which a family of this name
// and kind would claim, unless it is that very family.
func (c *Collector) conflicting(name string, kind kindOf) []*family {
	var found []*family
	for _, n := range claims(name, kind) {
		f := c.named(n)
		if f == nil || f.name == name && f.kind == kind || slices.Contains(found, f) {
			continue
		}
		found = append(found, f)
	}
	return found
}

// join gives the block of the source in the family that a metric maps to, and
// makes room for it where it may: the source with the lower rank wins a name,
// whoever came first, and within a source the metric that came first in the
// batch. What has no type wins nothing and loses nothing: it follows.
func (c *Collector) join(s *source, m *metric, whole bool) (*block, *refusal) {
	name := m.family()
	own := s.blocks.get(name)
	if own != nil && own.metric.id() == m.id() {
		return own, nil
	}
	if f := c.named(name); f != nil && f.builtin {
		return nil, s.reservedBy(m, f)
	}
	var yielding []*block // the source's own
	if own != nil {
		if !own.replaceable(whole) {
			return nil, s.duplicateName(m, own.metric.id())
		}
		yielding = append(yielding, own)
	}
	for _, f := range c.conflicting(name, m.kind) {
		if f.builtin {
			return nil, s.reservedBy(m, f)
		}
		for _, b := range f.blocks {
			switch {
			case b.source == s && !b.replaceable(whole):
				return nil, s.duplicateName(m, b.metric.id())
			case b.source == s:
				yielding = append(yielding, b)
			case b.source.compare(s) < 0 && !b.follows(s, name, m.kind):
				return nil, s.typeConflict(m, f, b.source)
			}
		}
	}
	for _, b := range yielding {
		if b.family != nil {
			c.drop(b)
		}
	}
	var followers []moved
	for _, f := range c.conflicting(name, m.kind) {
		for _, b := range slices.Clone(f.blocks) {
			if b.follows(s, name, m.kind) {
				followers = append(followers, c.takeOut(b))
			}
		}
		c.evict(f, s, func(*source) *refusal { return outranked(s) })
	}
	b := c.addBlock(s, name, m, false)
	c.placeTyped(followers)
	return b, nil
}

// reservedBy refuses a metric for the sake of a built-in family.
func (s *source) reservedBy(m *metric, f *family) *refusal {
	if len(f.blocks) == 0 {
		return s.reservedProcess(m.sample, f)
	}
	return s.reservedEvents(m.sample)
}

// replaceable says whether another metric of the same source may take the block's
// name: only in a whole batch, which has not mentioned it yet, so that it is
// about to vanish anyway.
func (b *block) replaceable(whole bool) bool {
	return whole && b.batch != b.source.batch &&
		!slices.ContainsFunc(b.series, func(se *series) bool { return se.sum() })
}

// evict ends a family for the sake of one that s brings, and tells the other
// sources why.
func (c *Collector) evict(f *family, s *source, why func(loser *source) *refusal) {
	var typed, all []*block
	for _, b := range f.blocks {
		if b.untyped() { // which go first: they would take the names again
			all = append(all, b)
		} else {
			typed = append(typed, b)
		}
	}
	for _, b := range append(all, typed...) {
		if b.source != s {
			c.evicted(b.source, b.metric.name(), b.lines(), why(b.source))
		}
		c.drop(b)
	}
}

// addBlock makes the source's block in the family of that name, and the family
// with it; the names must be free.
func (c *Collector) addBlock(s *source, name string, m *metric, builtin bool) *block {
	b := &block{family: c.family(name, m.kind, builtin), source: s, sorted: true}
	b.show(m)
	s.blocks.Add(b)
	c.attach(b)
	return b
}

// family finds or makes the family of a name.
func (c *Collector) family(name string, kind kindOf, builtin bool) *family {
	f := c.named(name)
	if f == nil {
		f = &family{name: name, kind: kind, builtin: builtin}
		c.families.Add(f)
	}
	return f
}

// attach puts a block where it belongs in its family and in the layout.
func (c *Collector) attach(b *block) {
	f := b.family
	i, _ := slices.BinarySearchFunc(f.blocks, b, (*block).compare)
	if len(f.blocks) > 0 {
		c.layout.touch(f.blocks[0]) // it loses the family's header, or has another
	}
	f.blocks = slices.Insert(f.blocks, i, b)
	if !b.untyped() {
		f.typed++
	}
	c.layout.insert(b)
	c.layout.loosen(b, 1)
}

// detach is the reverse of attach; the family may be left without blocks.
func (c *Collector) detach(b *block) {
	f := b.family
	c.layout.remove(b)
	i := slices.Index(f.blocks, b)
	f.blocks = slices.Delete(f.blocks, i, i+1)
	if !b.untyped() {
		f.typed--
	}
	c.layout.loosen(b, -1)
	if len(f.blocks) > 0 {
		c.layout.touch(f.blocks[0]) // it inherits the header, or has another
	}
}

// drop ends a block and all its series. Where it was the last one to say the
// family's type, the others do without.
func (c *Collector) drop(b *block) {
	f := b.family
	c.remove(b)
	if f.typed > 0 || f.kind == unknown || f.builtin {
		return
	}
	var followers []moved
	for _, b := range slices.Clone(f.blocks) {
		followers = append(followers, c.takeOut(b))
	}
	c.placeTyped(followers)
}

// remove takes a block out of its family and the layout.
func (c *Collector) remove(b *block) {
	for _, se := range b.series {
		b.source.forget(se)
	}
	b.source.blocks.Remove(b)
	c.vacate(b)
	b.family, b.series = nil, nil
}

// vacate takes a block off the page, and its family with the last one.
func (c *Collector) vacate(b *block) {
	f := b.family
	c.detach(b)
	if len(f.blocks) == 0 {
		c.families.Remove(f)
	}
}

// duplicate finds a series that would have a line in common with one of a metric
// and a key: another source's, or one that the same source set and now
// observes, or the reverse. Two scripts cannot have one: their names are in
// all their series.
func (b *block) duplicate(m *metric, key []byte) *series {
	for _, o := range b.family.blocks {
		if o != b && o.source.def.Kind == record.Script && b.source.def.Kind == record.Script {
			continue
		}
		if se := o.source.series.get(key); se != nil {
			return se
		}
		if se := o.source.duplicateIn(m, key); se != nil {
			return se
		}
	}
	return nil
}

// duplicateIn finds a series of the source that has a line in common with one of
// another operation: a distribution with a part that was Set, or the reverse.
func (s *source) duplicateIn(m *metric, key []byte) *series {
	if m.part() != nil {
		at := bytes.IndexByte(key, keyEnd) + 1
		if se := s.series.get(key[:at]); se != nil && se.distribution().bounds.has(key[at:]) {
			return se
		}
	}
	if m.bounds() != nil {
		var line []byte
		for i := range m.bounds().lines() {
			line = m.bounds().appendTail(append(line[:0], key...), i)
			if se := s.series.get(line); se != nil {
				return se
			}
		}
	}
	return nil
}
