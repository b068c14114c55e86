package collector

import (
	"bytes"
	"compress/flate"
	"encoding/binary"
	"hash/crc32"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"

	"github.com/go-kit/log/level"
	"github.com/prometheus/common/expfmt"
)

// gzipHeader begins a member that says nothing of file, time or system.
const gzipHeader = "\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff"

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
	end := ends.Get().(*end)
	defer ends.Put(end)
	end.buf.Reset()
	c.gather(&end.buf, wanted)

	c.mu.Lock()
	c.sweep()
	p := c.sheet.page(v)
	c.mu.Unlock()

	last := end.buf.Bytes()
	size := p.size + len(last)
	header := w.Header()
	if v.gzip {
		last = end.finish(p)
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

// gather appends the process-wide families, and the end of an OpenMetrics
// page. What of them cannot be had is left out and said in the log.
func (c *Collector) gather(buf *bytes.Buffer, f expfmt.Format) {
	if c.registry != nil {
		families, err := c.registry.Gather()
		if err != nil {
			_ = level.Error(c.logger).Log("msg", "some process-wide metrics are left out of the page", "err", err)
		}
		enc := expfmt.NewEncoder(buf, f)
		for _, mf := range families {
			whole := buf.Len()
			if err := enc.Encode(mf); err != nil {
				buf.Truncate(whole)
				_ = level.Error(c.logger).Log("msg", "a process-wide metric is left out of the page", "metric", mf.GetName(), "err", err)
			}
		}
	}
	if f.FormatType() == expfmt.TypeOpenMetrics {
		buf.WriteString("# EOF\n")
	}
}

// end is what one response adds to the page.
type end struct {
	buf    bytes.Buffer
	packed bytes.Buffer
	flate  *flate.Writer
}

var ends = sync.Pool{New: func() any {
	e := new(end)
	e.flate, _ = flate.NewWriter(nil, flate.BestSpeed) // the level is a valid one
	return e
}}

// finish makes the end of the gzip member that p began: the last stretch of
// the deflate stream, the checksum and the length.
func (e *end) finish(p *page) []byte {
	e.packed.Reset()
	e.flate.Reset(&e.packed)
	_, _ = e.flate.Write(e.buf.Bytes()) // a buffer takes everything
	_ = e.flate.Close()
	crc := crc32.Update(p.crc, crc32.IEEETable, e.buf.Bytes())
	trailer := binary.LittleEndian.AppendUint32(e.packed.AvailableBuffer(), crc)
	trailer = binary.LittleEndian.AppendUint32(trailer, uint32(p.plain+e.buf.Len())) //nolint:gosec // modulo 2^32, as RFC 1952 has it
	e.packed.Write(trailer)
	return e.packed.Bytes()
}

// acceptsGzip reads Accept-Encoding (RFC 9110, 12.5.3).
func acceptsGzip(h http.Header) bool {
	any := false
	for _, line := range h.Values("Accept-Encoding") {
		for part := range strings.SplitSeq(line, ",") {
			coding, weight, _ := strings.Cut(part, ";")
			name, value, _ := strings.Cut(strings.ReplaceAll(weight, " ", ""), "=")
			q, err := strconv.ParseFloat(value, 64)
			refused := strings.EqualFold(name, "q") && err == nil && q == 0
			switch strings.ToLower(strings.TrimSpace(coding)) {
			case "gzip", "x-gzip":
				return !refused
			case "*":
				any = !refused
			}
		}
	}
	return any
}

// WritePage writes the page as it is now, without the process-wide families
// and without those whose name (OpenMetrics': no _total or _info) keep refuses;
// nil keeps all. It is the page of `try` and of the textfile.
func (c *Collector) WritePage(w io.Writer, f expfmt.Format, keep func(family string) bool) error {
	as := text
	if f.FormatType() == expfmt.TypeOpenMetrics {
		as = openMetrics
	}
	var page []byte
	c.mu.Lock()
	c.sweep()
	for _, ch := range c.sheet.chunks {
		for _, b := range ch.blocks {
			if keep == nil || keep(b.family.name) {
				page = b.append(page, as)
			}
		}
	}
	c.mu.Unlock()
	if as == openMetrics {
		page = append(page, "# EOF\n"...)
	}
	_, err := w.Write(page)
	return err
}
