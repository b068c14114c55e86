package collector

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"hash/crc32"
	"hash/maphash"
	"io"
	"iter"
	"net/http"
	"slices"
	"strconv"
	"strings"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"

	"scriptbridge/record"
)

// accepted are the formats that a scrape can ask for; text is what it gets
// when it asks for none of them.
var accepted = []expfmt.Format{expfmt.FmtOpenMetrics_1_0_0, expfmt.FmtText}

// ServeHTTP serves the page: the Prometheus text format 0.0.4, or OpenMetrics
// 1.0 where the request prefers it, as one gzip member where it accepts that.
func (c *Collector) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	wanted := expfmt.NegotiateAccept(r.Header, accepted...)
	v := variant{gzip: acceptsGzip(r.Header)}
	if wanted.FormatType() == expfmt.TypeOpenMetrics {
		v.format = openMetrics
	}
	last := c.gather(wanted, nil)
	p := c.finished(v)
	header := w.Header()
	size := p.plain + len(last)
	begin := ""
	if v.gzip {
		crc := crc32.Update(p.crc, crc32.IEEETable, last)
		last = appendTrailer(deflate(new(bytes.Buffer), last, true), crc, p.plain+len(last))
		begin = gzipHeader
		size = len(begin) + p.size + len(last)
		header.Set("Content-Encoding", "gzip")
	}
	header.Set("Content-Type", string(wanted))
	header.Set("Content-Length", strconv.Itoa(size))
	header.Set("Vary", "Accept, Accept-Encoding")
	if r.Method == http.MethodHead {
		return
	}
	to := bufio.NewWriterSize(w, pieceSize)
	_, _ = to.WriteString(begin)
	for piece := range p.all(v.gzip) {
		if _, err := to.Write(piece); err != nil {
			return // they hung up
		}
	}
	_, _ = to.Write(last)
	_ = to.Flush()
}

// finished is the page as it is now.
func (c *Collector) finished(v variant) *page {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.sweep()
	return c.layout.page(v)
}

// page gives the finished page, rendering what changed since the last one.
func (l *layout) page(v variant) *page {
	i := v.index()
	if v.format != text {
		l.checkStrict()
	}
	if l.pages[i] != nil {
		return l.pages[i]
	}
	l.balance()
	p := new(page)
	for _, c := range l.chunks {
		for _, r := range l.render(c, v) {
			p.pieces = append(p.pieces, r.data[v.encoding()])
			p.size += len(r.data[v.encoding()])
			p.plain += r.size
			p.crc = crcMultiply(r.pow, p.crc) ^ r.crc
		}
	}
	l.pages[i] = p
	l.press.rest()
	return p
}

// render gives a chunk's pieces, and makes those that are not there yet.
func (l *layout) render(c *chunk, v variant) []*piece {
	has := c.rendered[v.format]
	if len(has) > 0 && !slices.ContainsFunc(has, func(p *piece) bool { return p.data[v.encoding()] == nil }) {
		return has
	}
	var pieces []*piece
	add := func(text []byte) []byte {
		if len(text) == 0 {
			return text
		}
		n := len(pieces)
		p := &piece{size: len(text), hash: maphash.Bytes(l.press.seed, text)}
		for _, other := range c.rendered {
			if n < len(other) && other[n].size == p.size && other[n].hash == p.hash {
				p = other[n] // the text is the same in that format
				break
			}
		}
		l.press.fill(p, text, v)
		pieces = append(pieces, p)
		return text[:0]
	}
	rest := l.press.text[:0]
	for _, b := range c.blocks {
		rest = b.append(rest, v.format, add)
	}
	l.press.text = add(rest)
	c.rendered[v.format] = pieces
	return pieces
}

// gather gives the process-wide families, without those that keep refuses, and the
// end of an OpenMetrics page; nil keeps all. What of them cannot be had is left out and said in the log.
func (c *Collector) gather(f expfmt.Format, keep func(family string) bool) []byte {
	var buf bytes.Buffer
	if c.registry != nil {
		families, err := c.registry.Gather()
		families, taken := c.admitProcess(families)
		errs := []error{err, taken}
		if f.FormatType() == expfmt.TypeOpenMetrics {
			untangle(families)
		}
		enc := expfmt.NewEncoder(&buf, f)
		for _, mf := range families {
			if keep != nil && !keep(mf.GetName()) {
				continue
			}
			whole := buf.Len()
			if err := enc.Encode(mf); err != nil {
				buf.Truncate(whole)
				errs = append(errs, fmt.Errorf("%s: %w", mf.GetName(), err))
			}
		}
		c.missing.Log(c.logger, errors.Join(errs...), "some process-wide metrics are left out of the page", "all process-wide metrics are on the page again")
	}
	if f.FormatType() == expfmt.TypeOpenMetrics {
		buf.WriteString("# EOF\n")
	}
	return buf.Bytes()
}

// untangle makes families of their own of counters that OpenMetrics would give
// another family's name: go_memstats_alloc_bytes_total, beside the gauge
// go_memstats_alloc_bytes, becomes one of unknown type.
func untangle(families []*dto.MetricFamily) {
	names := make(map[string]bool, len(families))
	for _, mf := range families {
		names[mf.GetName()] = true
	}
	for i, mf := range families {
		name, ok := strings.CutSuffix(mf.GetName(), "_total")
		if !ok || mf.GetType() != dto.MetricType_COUNTER || !names[name] {
			continue
		}
		parted := &dto.MetricFamily{Name: mf.Name, Help: mf.Help, Type: dto.MetricType_UNTYPED.Enum()}
		for _, m := range mf.GetMetric() {
			value := m.GetCounter().GetValue()
			parted.Metric = append(parted.Metric, &dto.Metric{Label: m.GetLabel(), Untyped: &dto.Untyped{Value: &value}})
		}
		families[i] = parted
	}
}

// Textfile gives the page as it is now for node_exporter's textfile collector, in
// pieces, each good until the next one: without times, for which that refuses a whole
// file, and without the process-wide families that keep refuses.
func (c *Collector) Textfile(keep func(family string) bool) iter.Seq[[]byte] {
	last := c.gather(expfmt.FmtText, keep) // first, as for a scrape: a source may have a name of theirs
	page := c.finished(variant{format: textfile})
	return func(yield func([]byte) bool) {
		for piece := range page.all(false) {
			if !yield(piece) {
				return
			}
		}
		yield(last)
	}
}

// WritePage writes the page as it is now, without the process-wide families
// and without those whose name (OpenMetrics': no _total or _info) keep refuses;
// nil keeps all. It is the page of `try` and of /probe.
func (c *Collector) WritePage(w io.Writer, f expfmt.Format, keep func(family string) bool) error {
	as := text
	if f.FormatType() == expfmt.TypeOpenMetrics {
		as = openMetrics
	}
	page := c.chosen(as, keep)
	if as == openMetrics {
		page = append(page, "# EOF\n"...)
	}
	_, err := w.Write(page)
	return err
}

// chosen are the families that keep takes, as they are now.
func (c *Collector) chosen(as format, keep func(family string) bool) (page []byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.sweep()
	c.layout.checkStrict()
	for _, ch := range c.layout.chunks {
		for _, b := range ch.blocks {
			if keep == nil || keep(b.family.name) {
				page = b.append(page, as, nil)
			}
		}
	}
	return page
}

// Sources gives those that the page has something of, in no order.
func (c *Collector) Sources() []*record.Source {
	c.mu.Lock()
	defer c.mu.Unlock()
	all := make([]*record.Source, 0, len(c.sources))
	for _, s := range c.sources {
		all = append(all, s.def)
	}
	return all
}

// Shown gives what the page has of a source now, its health included; mentioned: only
// what its last batch spoke of.
func (c *Collector) Shown(of *record.Source, mentioned bool) *record.Shown {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.sweep()
	shown := &record.Shown{Whole: !mentioned}
	s := c.sources[sourceKey{of.Kind, of.Name}]
	if s == nil {
		return shown
	}
	c.layout.checkStrict()
	shown.Began = s.began
	part := func(b *block) *[]byte {
		if b.sums() {
			return &shown.Sums
		}
		return &shown.Text
	}
	for _, b := range slices.SortedFunc(s.blocks.All, (*block).compare) {
		to := part(b)
		*to = b.appendAlone(*to, mentioned)
	}
	for _, f := range healthFamilies {
		if b := s.group.blocks[f.number]; b != nil && s.has(f) {
			to := part(b)
			*to = s.appendHealth(b.appendHeader(*to, openMetrics), f, b.family.name+b.family.kind.suffix())
		}
	}
	shown.Lines = record.SamplesIn(shown.Text) + record.SamplesIn(shown.Sums)
	return shown
}

// Process gives the families of the whole process.
func (c *Collector) Process() *record.Shown {
	all := bytes.TrimSuffix(c.gather(accepted[0], nil), []byte("# EOF\n"))
	return &record.Shown{Text: all, Lines: record.SamplesIn(all), Whole: true}
}
