package collector

import (
	"bytes"
	"hash/crc32"
	"math"
	"slices"
	"strconv"
	"strings"
)

// format is one of the two texts that Prometheus reads.
type format uint8

const (
	text format = iota
	openMetrics
	formats
)

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

// sheet holds all blocks in the order of the page, cut into chunks of about
// chunkSize bytes. A chunk is rendered, and compressed, by itself: where one
// block changed, only its chunk is made anew.
type sheet struct {
	chunks []*chunk
	pages  [2 * formats]*page // finished; nil after a change
	plain  []byte             // scratch

	doubtful map[*block]struct{} // which judge has to look at
}

// chunk is a stretch of the page.
type chunk struct {
	blocks   []*block // never empty
	size     int      // bytes, as measured when it was last balanced
	rendered [2 * formats]*rendition
}

// rendition is a chunk as bytes that never change again.
type rendition struct {
	data []byte // the text itself, or a byte-aligned stretch of a deflate stream
	size int    // of the text
	crc  uint32 // of the text
	pow  uint32 // what takes a checksum past the text
}

// page is a finished page without its end: the process-wide families.
type page struct {
	pieces [][]byte
	size   int    // of the pieces
	plain  int    // of the text
	crc    uint32 // of the text
}

const (
	// chunkSize weighs the work for one changed block against the bytes that
	// compression loses at each beginning.
	chunkSize = 64 << 10
	// maxBlocks keeps insertion cheap where blocks are many and small.
	maxBlocks = 512
)

// find gives the index of the chunk that b stands in, or would stand in.
func (sh *sheet) find(b *block) int {
	i, found := slices.BinarySearchFunc(sh.chunks, b, func(c *chunk, b *block) int { return c.blocks[0].compare(b) })
	if found || i == 0 {
		return i
	}
	return i - 1
}

// insert puts a block into its place.
func (sh *sheet) insert(b *block) {
	if len(sh.chunks) == 0 {
		sh.chunks = []*chunk{newChunk([]*block{b})}
		sh.touch(b)
		return
	}
	i := sh.find(b)
	c := sh.chunks[i]
	at, _ := slices.BinarySearchFunc(c.blocks, b, (*block).compare)
	c.blocks = slices.Insert(c.blocks, at, b)
	b.chunk = c
	sh.touch(b)
	if len(c.blocks) > maxBlocks {
		sh.chunks = slices.Replace(sh.chunks, i, i+1, newChunk(c.blocks[:maxBlocks/2]), newChunk(c.blocks[maxBlocks/2:]))
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
func (sh *sheet) remove(b *block) {
	sh.touch(b)
	sh.forget(b)
	c := b.chunk
	b.chunk = nil
	if len(c.blocks) == 1 {
		i := slices.Index(sh.chunks, c)
		sh.chunks = slices.Delete(sh.chunks, i, i+1)
		return
	}
	i := slices.Index(c.blocks, b)
	c.blocks = slices.Delete(c.blocks, i, i+1)
}

// touch marks a block as changed, what it shows of its family included.
func (sh *sheet) touch(b *block) {
	sh.stale(b)
	if first := b.family.blocks[0]; b.family.loose > 0 && first != b {
		sh.stale(first) // which shows all of it
	}
	sh.doubt(b)
}

// stale marks the bytes of a block as out of date.
func (sh *sheet) stale(b *block) {
	b.chunk.rendered = [2 * formats]*rendition{}
	sh.pages = [2 * formats]*page{}
}

// balance joins changed chunks that have become small to their neighbours and
// cuts those that have become large.
func (sh *sheet) balance() {
	var out []*chunk
	for _, c := range sh.chunks {
		if c.rendered != ([2 * formats]*rendition{}) {
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
	sh.chunks = out
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
		n += 2*len(b.family.name) + len(b.metric.help) + 32
	}
	for _, se := range b.series {
		n += se.lines() * (len(se.text) + 12)
	}
	return n
}

// page gives the finished page, rendering what changed since the last one.
func (sh *sheet) page(v variant) *page {
	i := v.index()
	if v.format == openMetrics {
		sh.judge()
	}
	if sh.pages[i] != nil {
		return sh.pages[i]
	}
	sh.balance()
	p := new(page)
	for _, c := range sh.chunks {
		r := c.rendered[i]
		if r == nil {
			r = sh.render(c, v)
			c.rendered[i] = r
		}
		p.pieces = append(p.pieces, r.data)
		p.size += len(r.data)
		p.plain += r.size
		p.crc = crcMultiply(r.pow, p.crc) ^ r.crc
	}
	if v.gzip { // small, and dear to write in pieces
		p.pieces = [][]byte{bytes.Join(p.pieces, nil)}
	}
	sh.pages[i] = p
	return p
}

// render makes a chunk's bytes.
func (sh *sheet) render(c *chunk, v variant) *rendition {
	sh.plain = sh.plain[:0]
	for _, b := range c.blocks {
		sh.plain = b.append(sh.plain, v.format)
	}
	r := &rendition{size: len(sh.plain)}
	if !v.gzip {
		r.data = bytes.Clone(sh.plain)
		return r
	}
	r.crc = crc32.ChecksumIEEE(sh.plain)
	r.pow = crcPower(len(sh.plain))
	packer := packers.Get().(*packer)
	defer packers.Put(packer)
	r.data = bytes.Clone(packer.pack(sh.plain, false))
	return r
}

// append appends a block's lines, with the family's header before its first.
func (b *block) append(dst []byte, f format) []byte {
	first := b == b.family.blocks[0]
	if f == openMetrics && b.family.loose > 0 {
		if !first {
			return dst
		}
		return b.family.appendLoose(dst)
	}
	if first {
		dst = b.appendHeader(dst, f)
	}
	b.sortSeries()
	for _, se := range b.series {
		dst = se.append(dst, f)
	}
	return dst
}

// append appends a series' lines.
func (se *series) append(dst []byte, f format) []byte {
	if d := se.distribution(); d != nil {
		for i, v := range d.values() {
			dst = append(d.layout.appendLine(dst, se.text, i, f), ' ')
			dst = append(appendValue(dst, v), '\n')
		}
		return dst
	}
	dst = append(dst, se.text...)
	dst = append(dst, ' ')
	return se.appendNumbers(dst, f)
}

// appendNumbers appends the value of a series, and its time, and ends the line.
func (se *series) appendNumbers(dst []byte, f format) []byte {
	dst = appendValue(dst, se.value)
	if stamp := se.stamp(); stamp != 0 {
		dst = append(dst, ' ')
		dst = appendStamp(dst, stamp, f)
	}
	return append(dst, '\n')
}

// appendHeader appends what the first blocks that have a word say of the family.
func (b *block) appendHeader(dst []byte, f format) []byte {
	name, word := b.family.name, b.family.kind.String()
	help, unit := b.family.said()
	if f == text {
		name += b.family.kind.suffix()
		switch b.family.kind {
		case info:
			word = "gauge"
		case unknown:
			word = "untyped"
		case bareCounter:
			word = "counter"
		}
	}
	if b.family.kind == info {
		unit = "" // which OpenMetrics knows none of there
	}
	return appendMeta(dst, f, name, help, word, unit)
}

// appendMeta appends the header of a family; help and unit may be empty.
func appendMeta(dst []byte, f format, name, help, typ, unit string) []byte {
	line := func(key, value string) {
		dst = append(dst, "# "...)
		dst = append(dst, key...)
		dst = append(dst, ' ')
		dst = append(dst, name...)
		dst = append(dst, ' ')
		dst = append(dst, value...)
		dst = append(dst, '\n')
	}
	if help != "" {
		line("HELP", helpEscapers[f].Replace(help))
	}
	line("TYPE", typ)
	if f == openMetrics && unit != "" {
		line("UNIT", unit)
	}
	return dst
}

// helpEscapers differ: OpenMetrics escapes the quote, the text format must not.
var helpEscapers = [formats]*strings.Replacer{
	text:        strings.NewReplacer(`\`, `\\`, "\n", `\n`),
	openMetrics: strings.NewReplacer(`\`, `\\`, "\n", `\n`, `"`, `\"`),
}

// appendValue appends a value in a spelling that both formats read.
func appendValue(dst []byte, v float64) []byte {
	switch {
	case math.IsInf(v, 1):
		return append(dst, "+Inf"...)
	case v == math.Trunc(v) && math.Abs(v) < 1e15:
		return strconv.AppendInt(dst, int64(v), 10)
	}
	return strconv.AppendFloat(dst, v, 'g', -1, 64)
}

// appendStamp appends a time given in Unix milliseconds.
func appendStamp(dst []byte, ms int64, f format) []byte {
	if f == text {
		return strconv.AppendInt(dst, ms, 10)
	}
	dst = strconv.AppendInt(dst, ms/1000, 10)
	dst = append(dst, '.')
	for unit := int64(100); unit > 0; unit /= 10 {
		dst = append(dst, byte('0'+ms/unit%10))
	}
	return dst
}
