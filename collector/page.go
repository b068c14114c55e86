package collector

import (
	"bytes"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
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
	size := p.size + len(last)
	if v.gzip {
		crc := crc32.Update(p.crc, crc32.IEEETable, last)
		packer := packers.Get().(*packer)
		defer packers.Put(packer)
		last = appendTrailer(packer.pack(last, true), crc, p.plain+len(last))
		size = len(gzipHeader) + p.size + len(last)
		header.Set("Content-Encoding", "gzip")
	}
	header.Set("Content-Type", string(wanted))
	header.Set("Content-Length", strconv.Itoa(size))
	header.Set("Vary", "Accept, Accept-Encoding")
	if r.Method == http.MethodHead {
		return
	}
	if v.gzip {
		if _, err := io.WriteString(w, gzipHeader); err != nil {
			return // they hung up
		}
	}
	for _, piece := range p.pieces {
		if _, err := w.Write(piece); err != nil {
			return
		}
	}
	_, _ = w.Write(last)
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
		r := c.rendered[i]
		if r == nil {
			r = l.render(c, v)
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
	l.pages[i] = p
	return p
}

// render makes a chunk's bytes.
func (l *layout) render(c *chunk, v variant) *rendered {
	l.plain = l.plain[:0]
	for _, b := range c.blocks {
		l.plain = b.append(l.plain, v.format)
	}
	r := &rendered{size: len(l.plain)}
	if !v.gzip {
		r.data = bytes.Clone(l.plain)
		return r
	}
	r.crc = crc32.ChecksumIEEE(l.plain)
	r.pow = crcPower(len(l.plain))
	packer := packers.Get().(*packer)
	defer packers.Put(packer)
	r.data = bytes.Clone(packer.pack(l.plain, false))
	return r
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
// pieces that nobody may change: without times, for which that refuses a whole
// file, and without the process-wide families that keep refuses.
func (c *Collector) Textfile(keep func(family string) bool) [][]byte {
	last := c.gather(expfmt.FmtText, keep) // first, as for a scrape: a source may have a name of theirs
	return append(slices.Clone(c.finished(variant{format: textfile}).pieces), last)
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
				page = b.append(page, as)
			}
		}
	}
	return page
}
