package collector

import "slices"

// format is one of the texts that the page is written as.
type format uint8

const (
	text format = iota
	openMetrics
	textfile // text, for node_exporter's textfile collector: see strict.go
	formats
)

// formatSet is a set of formats.
type formatSet uint8

func (s formatSet) has(f format) bool { return s>>f&1 == 1 }

// variant is a format, plain or as it stands inside a gzip member.
type variant struct {
	format format
	gzip   bool
}

func (v variant) index() int {
	if v.gzip {
		return int(v.format + formats)
	}
	return int(v.format)
}

// layout holds all blocks in the order of the page, cut into chunks of about
// chunkSize bytes. A chunk is rendered, and compressed, by itself: where one
// block changed, only its chunk is made anew.
type layout struct {
	chunks []*chunk
	pages  [2 * formats]*page // finished; nil after a change
	press  press

	unchecked map[*block]struct{} // which judge has to look at
}

// chunk is a stretch of the page.
type chunk struct {
	blocks   []*block // never empty
	size     int      // bytes, as measured when it was last balanced
	rendered [formats][]*piece
}

// page is a finished page without its end: the process-wide families.
type page struct {
	pieces [][]byte // compressed
	size   int      // of the pieces
	plain  int      // of the text
	crc    uint32   // of the text, where it is for gzip
}

const (
	// chunkSize: bigger chunks compress better and are written in fewer pieces,
	// smaller ones render less anew (BenchmarkScrapeDuty).
	chunkSize = 64 << 10
	// maxBlocks keeps insertion cheap where blocks are many and small.
	maxBlocks = 512
)

// chunkOf gives the index of the chunk that b stands in, or would stand in.
func (l *layout) chunkOf(b *block) int {
	i, found := slices.BinarySearchFunc(l.chunks, b, func(c *chunk, b *block) int { return c.blocks[0].compare(b) })
	if found || i == 0 {
		return i
	}
	return i - 1
}

// insert puts a block into its place.
func (l *layout) insert(b *block) {
	if len(l.chunks) == 0 {
		l.chunks = []*chunk{newChunk([]*block{b})}
		l.touch(b)
		return
	}
	i := l.chunkOf(b)
	c := l.chunks[i]
	at, _ := slices.BinarySearchFunc(c.blocks, b, (*block).compare)
	c.blocks = slices.Insert(c.blocks, at, b)
	b.chunk = c
	l.touch(b)
	if len(c.blocks) > maxBlocks {
		l.chunks = slices.Replace(l.chunks, i, i+1, newChunk(c.blocks[:maxBlocks/2]), newChunk(c.blocks[maxBlocks/2:]))
	}
}

func newChunk(blocks []*block) *chunk {
	c := &chunk{blocks: slices.Clone(blocks)}
	for _, b := range blocks {
		b.chunk = c
	}
	return c
}

// remove takes a block out.
func (l *layout) remove(b *block) {
	l.touch(b)
	l.forget(b)
	c := b.chunk
	b.chunk = nil
	if len(c.blocks) == 1 {
		i := slices.Index(l.chunks, c)
		l.chunks = slices.Delete(l.chunks, i, i+1)
		return
	}
	i := slices.Index(c.blocks, b)
	c.blocks = slices.Delete(c.blocks, i, i+1)
}

// touch marks a block as changed, what it shows of its family included.
func (l *layout) touch(b *block) {
	l.stale(b)
	if first := b.family.blocks[0]; b.family.loose != ([formats]int32{}) && first != b {
		l.stale(first) // which shows all of it
	}
	l.recheck(b)
}

// stale marks the bytes of a block as out of date.
func (l *layout) stale(b *block) {
	b.chunk.rendered = [formats][]*piece{}
	l.pages = [2 * formats]*page{}
}

// balance joins changed chunks that have become small to their neighbours and
// cuts those that have become large.
func (l *layout) balance() {
	var out []*chunk
	for _, c := range l.chunks {
		if slices.ContainsFunc(c.rendered[:], func(r []*piece) bool { return r != nil }) {
			out = append(out, c)
			continue
		}
		c.size = 0
		for _, b := range c.blocks {
			c.size += b.size()
		}
		switch last := len(out) - 1; {
		case last >= 0 && out[last].size+c.size <= chunkSize && len(out[last].blocks)+len(c.blocks) <= maxBlocks:
			joined := newChunk(append(out[last].blocks, c.blocks...))
			joined.size = out[last].size + c.size
			out[last] = joined
		case c.size > 2*chunkSize:
			out = append(out, c.split()...)
		default:
			out = append(out, c)
		}
	}
	l.chunks = out
}

// split cuts a chunk into some of about chunkSize; a block stays whole.
func (c *chunk) split() []*chunk {
	var out []*chunk
	from, size := 0, 0
	for i, b := range c.blocks {
		n := b.size()
		if i > from && size+n > chunkSize {
			out = append(out, newChunk(c.blocks[from:i]))
			out[len(out)-1].size = size
			from, size = i, 0
		}
		size += n
	}
	out = append(out, newChunk(c.blocks[from:]))
	out[len(out)-1].size = size
	return out
}

// size is about the number of bytes that a block has on the page.
func (b *block) size() int {
	n := 0
	if b == b.family.blocks[0] {
		n += 2*len(b.family.name) + len(b.metric.help()) + 32
	}
	if b.health != nil {
		n += b.healthBytes()
	}
	if len(b.series) > 0 { // which are about alike; a look at each is a tenth of a scrape
		first := b.series[0]
		name, end, rest := first.textParts()
		n += len(b.series) * first.lines() * (len(name) + len(end) + len(rest) + 12)
	}
	return n
}

// What is said of each source is the same for all of them, in the same order,
// and nobody else can have its names. So a source has but a row of values; a
// block of such a family shows those of a group of sources.

// healthGroup are some sources of one kind that stand together on the page.
type healthGroup struct {
	sources []*source // never empty, in the order of the page
	blocks  []*block  // by the number of the family; nil where none has a value
}

// maxGroup is about a chunk's worth of the series of one family.
const maxGroup = 128

// enroll puts a source into the group where it belongs.
func (c *Collector) enroll(s *source) {
	kind := s.def.Kind
	groups := c.groups[kind]
	i, found := slices.BinarySearchFunc(groups, s, func(g *healthGroup, s *source) int { return g.sources[0].compare(s) })
	if len(groups) == 0 {
		groups = []*healthGroup{newGroup()}
	} else if !found && i > 0 {
		i--
	}
	g := groups[i]
	at, _ := slices.BinarySearchFunc(g.sources, s, (*source).compare)
	g.sources = slices.Insert(g.sources, at, s)
	s.group = g
	if len(g.sources) > maxGroup {
		half := newGroup()
		half.sources = slices.Clone(g.sources[maxGroup/2:])
		for _, s := range half.sources {
			s.group = half
		}
		g.sources = slices.Delete(g.sources, maxGroup/2, len(g.sources))
		groups = slices.Insert(groups, i+1, half)
		c.refit(half)
	}
	c.groups[kind] = groups
	c.refit(g)
}

// withdraw is the reverse of enroll.
func (c *Collector) withdraw(s *source) {
	g := s.group
	at := slices.Index(g.sources, s)
	g.sources = slices.Delete(g.sources, at, at+1)
	s.group = nil
	c.refit(g)
	if len(g.sources) == 0 {
		groups := c.groups[s.def.Kind]
		i := slices.Index(groups, g)
		c.groups[s.def.Kind] = slices.Delete(groups, i, i+1)
	}
}

func newGroup() *healthGroup { return &healthGroup{blocks: make([]*block, len(healthFamilies))} }

// refit makes the blocks of a group fit its sources, which have changed.
func (c *Collector) refit(g *healthGroup) {
	for _, f := range healthFamilies {
		b := g.blocks[f.number]
		switch i := slices.IndexFunc(g.sources, func(s *source) bool { return s.has(f) }); {
		case i >= 0:
			c.touchHealth(g.sources[i], f)
		case b != nil:
			g.blocks[f.number] = nil
			c.vacate(b)
		}
	}
}

// touchHealth marks what is shown of a family of a source's health as changed.
func (c *Collector) touchHealth(s *source, f *healthFamily) {
	if b := s.group.blocks[f.number]; b != nil {
		c.layout.touch(b)
		return
	}
	b := &block{family: c.family(builtinPrefix+string(s.def.Kind)+"_"+f.name, f.metric.kind, true), sorted: true, metric: &f.metric, health: s.group}
	s.group.blocks[f.number] = b
	c.attach(b)
}

// healthFamily is what a block of health shows.
func (b *block) healthFamily() *healthFamily {
	return healthFamilies[slices.Index(b.health.blocks, b)]
}

// first is the first source of a block; blocks of one family have none in common.
func (b *block) first() *source {
	if b.health != nil {
		return b.health.sources[0]
	}
	return b.source
}
