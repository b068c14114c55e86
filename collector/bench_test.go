//go:build linux

package collector

import (
	"bytes"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strconv"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"scriptbridge/internal/testkit"
)

// client is a scraper that costs next to nothing: it reads the head of a
// response and lets the kernel throw the body away (MSG_TRUNC), so that the
// process's CPU time is the server's and the kernel's.
type client struct {
	conn    *net.TCPConn
	raw     syscall.RawConn
	request []byte
	buf     [4096]byte
}

func newClient(b *testing.B, url string, header http.Header) *client {
	addr := url[len("http://"):]
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = conn.Close() })
	c := &client{conn: conn.(*net.TCPConn)}
	if c.raw, err = c.conn.SyscallConn(); err != nil {
		b.Fatal(err)
	}
	request := bytes.NewBufferString("GET / HTTP/1.1\r\nHost: x\r\n")
	_ = header.Write(request) // a buffer takes everything
	c.request = append(request.Bytes(), "\r\n"...)
	return c
}

// scrape makes one request, and gives the number of bytes of its body.
func (c *client) scrape(b *testing.B) int {
	if _, err := c.conn.Write(c.request); err != nil {
		b.Fatal(err)
	}
	n, body := 0, -1
	for body < 0 {
		m, err := c.conn.Read(c.buf[n:])
		if err != nil {
			b.Fatal(err)
		}
		n += m
		body = bytes.Index(c.buf[:n], []byte("\r\n\r\n"))
	}
	head := c.buf[:body]
	_, length, _ := bytes.Cut(head, []byte("Content-Length: "))
	length, _, _ = bytes.Cut(length, []byte("\r"))
	size, err := strconv.Atoi(string(length))
	if err != nil {
		b.Fatalf("%s: %v", head, err)
	}
	for left := size - (n - body - 4); left > 0; {
		var m int
		var failed error
		err := c.raw.Read(func(fd uintptr) bool {
			m, failed = discard(int(fd), left)
			return failed != syscall.EAGAIN
		})
		if err != nil || failed != nil || m == 0 {
			b.Fatal(err, failed, m)
		}
		left -= m
	}
	return size
}

// discard drops up to n received bytes without copying them.
func discard(fd, n int) (int, error) {
	// Of syscall's own numbers, 386 lacks this one.
	m, _, e := syscall.Syscall6(unix.SYS_RECVFROM, uintptr(fd), 0, uintptr(n), syscall.MSG_TRUNC|syscall.MSG_DONTWAIT, 0, 0)
	if e != 0 {
		return 0, e
	}
	return int(m), nil
}

// BenchmarkScrape scrapes an unchanged page over loopback, beside a handler
// that writes the same bytes ready-made. cpu-ns/op is user and system time of
// the whole process, the client's small share included in both.
func BenchmarkScrape(b *testing.B) {
	for _, l := range []load{{scripts: 100, metrics: 10, dims: 10}, {scripts: 100, metrics: 10, dims: 100}} {
		for _, gzip := range []bool{false, true} {
			c, _ := l.fill(nil)
			full, _ := l.fill(processRegistry())
			w := httptest.NewRecorder()
			r := httptest.NewRequest("GET", "/", nil)
			if gzip {
				r.Header.Set("Accept-Encoding", "gzip")
			}
			c.ServeHTTP(w, r)
			page := w.Body.Bytes()
			plain := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
				w.Header().Set("Content-Length", strconv.Itoa(len(page)))
				_, _ = w.Write(page)
			})
			for _, h := range []struct {
				name    string
				handler http.Handler
			}{{"ready-made", plain}, {"collector", c}, {"collector+registry", full}} {
				b.Run(fmt.Sprintf("series=%d/gzip=%v/%s", l.series(), gzip, h.name), func(b *testing.B) {
					benchmarkScrape(b, h.handler, gzip, func() {})
				})
			}
		}
	}
}

// BenchmarkScrapeChanged scrapes 100 000 series of 1000 scripts after one of
// the scripts has run again, with new values. own: each script has metrics of
// its own; shared: all have the same ones, so that the change is spread over
// all families, the worst case.
func BenchmarkScrapeChanged(b *testing.B) {
	for _, l := range []load{{scripts: 1000, metrics: 10, dims: 10}, {scripts: 1000, metrics: 10, dims: 10, shared: true}} {
		for _, gzip := range []bool{false, true} {
			c, batches := l.fill(nil)
			name := "own"
			if l.shared {
				name = "shared"
			}
			b.Run(fmt.Sprintf("metrics=%s/gzip=%v", name, gzip), func(b *testing.B) {
				n := 0
				benchmarkScrape(b, c, gzip, func() {
					batch := batches[n*37%len(batches)]
					n++
					for i := range batch.Samples {
						batch.Samples[i].Value++
					}
					_ = c.Put(batch)
				})
			})
		}
	}
}

func benchmarkScrape(b *testing.B, h http.Handler, gzip bool, before func()) {
	server := httptest.NewServer(h)
	defer server.Close()
	client := newClient(b, server.URL, request(b, "", gzip).Header)
	size := client.scrape(b)
	b.ReportAllocs()
	b.SetBytes(int64(size))
	begin := testkit.CPUTime()
	for b.Loop() {
		before()
		client.scrape(b)
	}
	b.ReportMetric(float64(testkit.CPUTime()-begin)/float64(b.N), "cpu-ns/op")
}

// BenchmarkPut puts a whole batch of 1000 samples whose values all change.
func BenchmarkPut(b *testing.B) {
	c, batches := load{scripts: 1, metrics: 10, dims: 100}.fill(nil)
	b.ReportAllocs()
	for b.Loop() {
		for i := range batches[0].Samples {
			batches[0].Samples[i].Value++
		}
		_ = c.Put(batches[0])
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*1000), "ns/sample")
}

// BenchmarkFirstScrape renders a page of 100 000 series from nothing.
func BenchmarkFirstScrape(b *testing.B) {
	l := load{scripts: 1000, metrics: 10, dims: 10}
	for _, gzip := range []bool{false, true} {
		b.Run(fmt.Sprintf("gzip=%v", gzip), func(b *testing.B) {
			c, _ := l.fill(nil)
			for b.Loop() {
				for _, ch := range c.layout.chunks {
					c.layout.touch(ch.blocks[0])
				}
				c.layout.page(variant{gzip: gzip})
			}
		})
	}
}

// BenchmarkMemory tells how much memory a series takes, with the page that is
// served: plain and gzip, a page of many series a metric and one of one.
func BenchmarkMemory(b *testing.B) {
	for _, l := range []load{{scripts: 100, metrics: 10, dims: 100}, {scripts: 1000, metrics: 100, dims: 1}, {scripts: 1000, metrics: 100, dims: 1, shared: true}} {
		for _, gzip := range []bool{false, true} {
			b.Run(fmt.Sprintf("dims=%d/shared=%v/gzip=%v", l.dims, l.shared, gzip), func(b *testing.B) {
				batches := l.batches()
				for b.Loop() {
					before := heap()
					c := New(Options{})
					for _, batch := range batches {
						_ = c.Put(batch)
					}
					p := c.layout.page(variant{gzip: gzip})
					b.ReportMetric(float64(heap()-before)/float64(l.series()), "B/series")
					b.ReportMetric(float64(p.size)/float64(l.series()), "page-B/series")
					runtime.KeepAlive(c)
				}
				runtime.KeepAlive(batches)
			})
		}
	}
}
