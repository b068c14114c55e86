//go:build linux

package coscaleapi_test

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"encoding/base64"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/go-kit/log"

	"scriptbridge/collector"
	"scriptbridge/coscale"
	"scriptbridge/receive"
	"scriptbridge/receive/receivertest"
	"scriptbridge/record"
)

// The metrics to which the benchmark's points belong.
const limitMetrics = 100

// limitServer is a receiver at work on an address of its own, with one server and some
// metrics made by a client.
type limitServer struct {
	address string
	session string
	first   int64 // of the metrics
	server  int64
}

func startLimitServer(b *testing.B, sink record.Sink, series int) *limitServer {
	b.Helper()
	c := receivertest.CoScaleConfig(b, b.TempDir(), "127.0.0.1:0")
	c.CoScale.MaxSeries = max(c.CoScale.MaxSeries, series)
	set := receive.NewSet(receive.SetOptions{Sink: sink, Logger: log.NewNopLogger()})
	b.Cleanup(set.Close)
	set.Reload(b.Context(), c)
	s := &limitServer{address: receivertest.Addresses(set.Views()[0].Addresses).Of(b, "http")}
	client := coscale.NewClient(coscale.ClientOptions{URL: "http://" + s.address, AppID: "shop", Token: func() (string, error) { return receivertest.CoScaleToken, nil }})
	make := func(kind coscale.Kind, o any) int64 {
		id, err := client.Create(context.Background(), kind, o)
		if err != nil {
			b.Fatal(err)
		}
		return id
	}
	s.server = make(coscale.Servers, &coscale.Server{Object: coscale.Object{Name: "web-01"}})
	for i := range limitMetrics {
		id := make(coscale.Metrics, &coscale.Metric{Object: coscale.Object{Name: fmt.Sprintf("Requests of kind %d", i)}, DataType: "DOUBLE", Subject: "SERVER", Period: 60})
		if i == 0 {
			s.first = id
		}
	}
	resp, err := http.PostForm("http://"+s.address+"/api/v1/app/shop/login/", url.Values{"accessToken": {receivertest.CoScaleToken}})
	if err != nil {
		b.Fatal(err)
	}
	defer resp.Body.Close()
	var text [200]byte
	n, _ := resp.Body.Read(text[:])
	s.session = strings.Split(string(text[:n]), `"`)[3]
	return s
}

// request is a whole request with so many points, of which each series has as many as the
// others, the oldest first; each points lie in one entry.
func (s *limitServer) request(form string, points, series, each int) []byte {
	var entries []string
	for i := 0; i < points; i += each {
		entry := i / each % series
		var values []string
		for j := range each {
			values = append(values, fmt.Sprintf("[%d,%d.%d]", -(points-i-j)/series, i+j, i%100))
		}
		entries = append(entries, fmt.Sprintf(`{"m":%d,"s":"s%d","dv":{"Queue":"queue-%d"},"d":[%s]}`, s.first+int64(entry%limitMetrics), s.server, entry/limitMetrics, strings.Join(values, ",")))
	}
	return s.post(form, "["+strings.Join(entries, ",")+"]")
}

func (s *limitServer) post(form, text string) []byte {
	var body string
	switch form {
	case "data":
		body = "data=" + url.QueryEscape(text)
	case "cdata":
		var b bytes.Buffer
		encode := base64.NewEncoder(base64.StdEncoding, &b)
		zip := gzip.NewWriter(encode)
		zip.Write([]byte(text))
		zip.Close()
		encode.Close()
		body = "cdata=" + url.QueryEscape(b.String())
	}
	return fmt.Appendf(nil, "POST /api/v1/app/shop/data/ HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/x-www-form-urlencoded\r\nHTTPAuthorization: %s\r\nContent-Length: %d\r\n\r\n%s", s.session, len(body), body)
}

// BenchmarkLimitPoints sends requests of so many points over loopback, one after the other,
// as far as the page. Its CPU time is the whole process's, with what little the client needs
// that sends what is ready. A million points a second on a core are 1,000 ns each.
func BenchmarkLimitPoints(b *testing.B) {
	for _, sink := range []struct {
		name string
		make func() record.Sink
	}{
		{"none", func() record.Sink { return record.Tee{} }},
		{"page", func() record.Sink { return collector.New(collector.Options{}) }},
	} {
		for _, form := range []string{"data", "cdata"} {
			for _, points := range []int{1000, 10_000, 100_000} {
				for _, each := range []int{1, 100} {
					b.Run(fmt.Sprintf("sink=%s/form=%s/each=%d/points=%d", sink.name, form, each, points), func(b *testing.B) {
						benchmarkPoints(b, sink.make(), form, points, each)
					})
				}
			}
		}
	}
}

func benchmarkPoints(b *testing.B, sink record.Sink, form string, points, each int) {
	series := min(points/each, 10_000) // as many as the configuration lets in, where it says nothing
	s := startLimitServer(b, sink, series)
	request := s.request(form, points, series, each)
	conn, err := net.Dial("tcp", s.address)
	if err != nil {
		b.Fatal(err)
	}
	defer conn.Close()
	answers := bufio.NewReader(conn)
	send := func() {
		if _, err := conn.Write(request); err != nil {
			b.Fatal(err)
		}
		resp, err := http.ReadResponse(answers, nil)
		if err != nil {
			b.Fatal(err)
		}
		defer resp.Body.Close()
		var said [200]byte
		n, _ := resp.Body.Read(said[:])
		if want := fmt.Sprint(points); resp.StatusCode != 200 || !strings.Contains(string(said[:n]), want) {
			b.Fatalf("%s: %s", resp.Status, said[:n])
		}
	}
	send() // which makes the series
	least := max(1, 200_000/points)
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	began := cpuTime(b)
	for b.Loop() {
		for range least {
			send()
		}
	}
	took := cpuTime(b) - began
	runtime.ReadMemStats(&after)
	n := float64(b.N * least * points)
	b.ReportMetric(float64(took)/n, "ns/point")
	b.ReportMetric(1000, "ns/point-limit")
	b.ReportMetric(float64(after.Mallocs-before.Mallocs)/n, "allocs/point")
}

// cpuTime is what this process has used.
func cpuTime(b *testing.B) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
