package collector

import (
	"hash/maphash"
	"math"
	"slices"
	"strings"

	"scriptbridge/internal/dense"
)

// block is the series of one family and one source: the unit in which the
// page is rendered and in which families are won and lost.
type block struct {
	family *family // nil once the block is gone
	source *source
	health *healthGroup // whose health it shows, in place of a source's series
	chunk  *chunk       // of the layout, in which it stands
	series []*series
	metric *metric // that it shows
	// members are all that it shows of those without a type in a family with
	// one (untyped.go), as their source calls them; nil where there are none.
	members *[]*metric
	batch   uint32 // the last batch of its source that wrote to it
	// loose: a format would not have its series under their type (strict.go).
	// unchecked: that is to be found out anew.
	loose     formatSet
	unchecked bool
	sorted    bool // its series stand in the order of the page
}

// series is one line of the page, or the lines of one distribution.
type series struct {
	value   float64
	expires instant
	block   *block
	extra   *extra    // nil for most
	ref     dense.Ref // of what its text has behind the name, among its source's texts
	origin  uint32    // see line and sum
	batch   uint32    // the last batch of its source that mentioned it
	at      uint32    // what the value is of, in Unix seconds; exactly in extra, where one came with a time
}

// text is name{labels}, as on the page; of a distribution, its family's.
func (se *series) text() string {
	name, end, rest := se.textParts()
	return name + end + rest
}

// textParts are what the text is put together from. The labels alone are kept, since
// metrics of one source often have the same; and the whole text where its name is not the
// one that most in the family have.
func (se *series) textParts() (name, end, rest string) {
	rest = se.block.source.texts.Get(se.ref)
	if rest == "" || rest[0] == '{' {
		f := se.block.family
		return f.name, f.kind.suffix(), rest
	}
	return "", "", rest
}

// appendText appends the text.
func (se *series) appendText(dst []byte) []byte {
	name, end, rest := se.textParts()
	return append(append(append(dst, name...), end...), rest...)
}

// setText gives the series its text.
func (se *series) setText(text string) {
	f := se.block.family
	rest, ok := strings.CutPrefix(text, f.name)
	if ok {
		rest, ok = strings.CutPrefix(rest, f.kind.suffix())
	}
	if !ok || rest != "" && rest[0] != '{' {
		rest = text
	}
	se.ref = se.block.source.texts.Add(rest)
}

// line is that of the source's output which mentioned the series last; 0 for none.
func (se *series) line() int { return int(se.origin >> 1) }

// sum reports whether the last operation was an Add, or an Observe.
func (se *series) sum() bool { return se.origin&1 == 1 }

// come notes what mentioned the series last.
func (se *series) come(line int, sum bool) {
	se.origin = uint32(min(max(line, 0), math.MaxInt32)) << 1
	if sum {
		se.origin |= 1
	}
}

// extra is what few series have.
type extra struct {
	key    string // see series.key; empty where the text is the key
	stamp  int64  // Unix milliseconds, shown with the value; 0: none
	at     int64  // likewise, what the value is of; 0 while none came with a time
	points []point
	dist   *distribution
}

// point is one value of an average.
type point struct {
	at    instant
	value float64
}

// key is the identity of a series within its source, and its place in its
// family: the text, but for the parts of a histogram and the like (verbatim.go).
func (se *series) key() string {
	if key := se.ownKey(); key != "" {
		return key
	}
	return se.text()
}

// ownKey is the key; empty where it is the text.
func (se *series) ownKey() string {
	if se.extra == nil {
		return ""
	}
	return se.extra.key
}

// hasKey reports whether a key is that of the series.
func (se *series) hasKey(key []byte) bool {
	if own := se.ownKey(); own != "" {
		return own == string(key)
	}
	name, end, rest := se.textParts()
	at, to := len(name), len(name)+len(end)
	return len(key) == to+len(rest) && string(key[to:]) == rest && string(key[:at]) == name && string(key[at:to]) == end
}

// hashKey is the hash of the key.
func (se *series) hashKey() uint64 {
	if own := se.ownKey(); own != "" {
		return maphash.String(seed, own)
	}
	var h maphash.Hash
	h.SetSeed(seed)
	name, end, rest := se.textParts()
	_, _ = h.WriteString(name)
	_, _ = h.WriteString(end)
	_, _ = h.WriteString(rest)
	return h.Sum64()
}

// compare orders series of one block by their keys.
func (se *series) compare(o *series) int {
	if se.ownKey() == "" && o.ownKey() == "" {
		name, _, rest := se.textParts()
		if other, _, otherRest := o.textParts(); name == other {
			return strings.Compare(rest, otherRest)
		}
	}
	return strings.Compare(se.key(), o.key())
}

// distribution is what the series observed; nil where it is one line.
func (se *series) distribution() *distribution {
	if se.extra == nil {
		return nil
	}
	return se.extra.dist
}

// stamp is the time that is shown with the value; 0: none.
func (se *series) stamp() int64 {
	if se.extra == nil {
		return 0
	}
	return se.extra.stamp
}

// setKey gives the series its key.
func (se *series) setKey(key string) {
	switch differs := key != se.text(); {
	case differs && se.extra == nil:
		se.extra = &extra{key: key}
	case differs:
		se.extra.key = key
	case se.extra != nil:
		se.extra.key = ""
	}
}

// lines is how many the series has on the page.
func (se *series) lines() int {
	if d := se.distribution(); d != nil {
		return d.bounds.lines()
	}
	return 1
}

// show makes a metric the one that the block shows.
func (b *block) show(m *metric) {
	b.metric = m
	if plain := m.plain(); plain != nil && !slices.Contains(b.plain(), plain) {
		members := append(b.plain(), plain)
		b.members = &members
	}
}

// plain are the block's members.
func (b *block) plain() []*metric {
	if b.members == nil {
		return nil
	}
	return *b.members
}

// lines is how many the block has on the page, without its header.
func (b *block) lines() int {
	n := 0
	for _, se := range b.series {
		n += se.lines()
	}
	return n
}

// sums reports whether all values of the block are sums that began at 0 with its source.
func (b *block) sums() bool {
	if b.family.builtin {
		return b.family.kind == counter
	}
	return !slices.ContainsFunc(b.series, func(se *series) bool { return !se.sum() })
}

// sortSeries puts the block's series into the order of the page.
func (b *block) sortSeries() {
	if cap(b.series) > len(b.series)+len(b.series)/8 { // they stay so for long
		b.series = slices.Clone(b.series)
	}
	if !b.sorted {
		slices.SortFunc(b.series, (*series).compare)
		b.sorted = true
	}
}

// keep drops the series of a block for which wanted is false, and the block
// when none is left.
func (c *Collector) keep(b *block, wanted func(*series) bool) {
	kept := b.series[:0]
	for _, se := range b.series {
		if wanted(se) {
			kept = append(kept, se)
		} else {
			b.source.forget(se)
		}
	}
	if len(kept) == len(b.series) {
		return
	}
	clear(b.series[len(kept):])
	b.series = kept
	if len(kept) == 0 {
		c.drop(b)
		return
	}
	c.layout.touch(b)
}

// add puts a new series into a block.
func (c *Collector) add(b *block, key, text string) *series {
	se := &series{block: b, expires: never}
	se.setText(text)
	if key != text {
		se.extra = &extra{key: key}
	}
	b.sorted = b.sorted && (len(b.series) == 0 || b.series[len(b.series)-1].compare(se) < 0)
	b.series = append(b.series, se)
	c.layout.touch(b)
	return se
}

// blockSet has blocks of one source by the name of their family.
type blockSet struct{ dense.Set[block] }

func newBlockSet() blockSet {
	return blockSet{dense.Set[block]{Hash: func(b *block) uint64 { return maphash.String(seed, b.family.name) }}}
}

// get gives the block in a family; nil where there is none.
func (s *blockSet) get(name string) *block {
	return s.Find(maphash.String(seed, name), func(b *block) bool { return b.family.name == name })
}

// list gives all blocks, for who changes the set meanwhile.
func (s *blockSet) list() []*block {
	all := make([]*block, 0, s.Len())
	for b := range s.All {
		all = append(all, b)
	}
	return all
}

// seriesSet has series by their key.
type seriesSet struct{ dense.Set[series] }

var seed = maphash.MakeSeed()

func newSeriesSet() seriesSet {
	return seriesSet{dense.Set[series]{Hash: (*series).hashKey}}
}

// get gives the series with a key; nil where there is none.
func (s *seriesSet) get(key []byte) *series {
	return s.Find(maphash.Bytes(seed, key), func(se *series) bool { return se.hasKey(key) })
}
