package collector

import (
	"bytes"
	"compress/gzip"
	"errors"
	"flag"
	"io"
	"math"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/textparse"
	"github.com/rogpeppe/go-internal/txtar"

	"scriptbridge/record"
)

// parsed is a page as Prometheus reads it.
type parsed struct {
	values map[string]float64          // by the text of the series
	stamps map[string]int64            // those that have a time
	labels map[string]labels.Labels    // by the text of the series
	types  map[string]model.MetricType // by the name in # TYPE
}

// parsePage reads a page with Prometheus's parser, and fails the test where
// the page is not one that Prometheus keeps whole: a family split or without a
// type, a series twice, a sample that is not its family's.
func parsePage(t testing.TB, page []byte, f expfmt.Format) parsed {
	t.Helper()
	p, err := textparse.New(page, string(f), labels.NewSymbolTable(), textparse.ParserOptions{EnableTypeAndUnitLabels: false})
	if err != nil {
		t.Fatal(err)
	}
	om := f.FormatType() == expfmt.TypeOpenMetrics
	got := parsed{
		values: map[string]float64{}, stamps: map[string]int64{},
		labels: map[string]labels.Labels{}, types: map[string]model.MetricType{},
	}
	helped := map[string]bool{}
	hashes := map[uint64]string{}
	family := ""
	for {
		entry, err := p.Next()
		if errors.Is(err, io.EOF) {
			return got
		}
		if err != nil {
			t.Fatalf("%v\n%s", err, page)
		}
		switch entry {
		case textparse.EntryHelp:
			name, _ := p.Help()
			if helped[string(name)] {
				t.Fatalf("second HELP of %s\n%s", name, page)
			}
			helped[string(name)] = true
			family = string(name)
		case textparse.EntryType:
			name, typ := p.Type()
			if _, ok := got.types[string(name)]; ok {
				t.Fatalf("second TYPE of %s\n%s", name, page)
			}
			got.types[string(name)] = typ
			family = string(name)
		case textparse.EntryUnit:
			if name, _ := p.Unit(); string(name) != family {
				t.Fatalf("UNIT of %s in %s\n%s", name, family, page)
			}
		case textparse.EntrySeries:
			series, stamp, value := p.Series()
			text := string(series)
			var ls labels.Labels
			p.Labels(&ls)
			typ, ok := got.types[family]
			want := family
			if om && typ == model.MetricTypeCounter {
				want += "_total"
			} else if om && typ == model.MetricTypeInfo {
				want += "_info"
			}
			if !ok || ls.Get("__name__") != want && !isPart(ls.Get("__name__"), family, typ) {
				t.Fatalf("%s stands under %s\n%s", text, family, page)
			}
			if !ls.IsValid(model.LegacyValidation) {
				t.Fatalf("%s is not valid\n%s", text, page)
			}
			if o, ok := hashes[ls.Hash()]; ok {
				t.Fatalf("%s stands twice, also as %s\n%s", text, o, page)
			}
			hashes[ls.Hash()] = text
			got.values[text] = value
			got.labels[text] = ls
			if stamp != nil {
				got.stamps[text] = *stamp
			}
		default:
			t.Fatalf("an entry of type %v\n%s", entry, page)
		}
	}
}

// isPart says whether a name is another one that a family of the type has.
func isPart(name, family string, typ model.MetricType) bool {
	if typ == model.MetricTypeCounter { // in text, the family has the name of the total
		return name == strings.TrimSuffix(family, "_total")+"_created"
	}
	suffix, ok := strings.CutPrefix(name, family)
	return ok && (typ == model.MetricTypeSummary && slices.Contains(partsOf[summary], suffix) ||
		typ == model.MetricTypeHistogram && slices.Contains(partsOf[histogram], suffix))
}

// pages gives both pages, without the registry's families, parsed; and checks the one
// for node_exporter.
func pages(t testing.TB, c *Collector) (asText, asOM parsed) {
	t.Helper()
	var b bytes.Buffer
	for _, f := range []expfmt.Format{expfmt.FmtText, expfmt.FmtOpenMetrics_1_0_0} {
		b.Reset()
		if err := c.WritePage(&b, f, nil); err != nil {
			t.Fatal(err)
		}
		if f == expfmt.FmtText {
			asText = parsePage(t, b.Bytes(), f)
		} else {
			asOM = parsePage(t, b.Bytes(), f)
		}
	}
	checkTextfile(t, c, asText)
	return asText, asOM
}

func sameFloat(a, b float64) bool { return a == b || math.IsNaN(a) && math.IsNaN(b) }

// get scrapes the page, and checks the headers and the gzip member.
func get(t testing.TB, c *Collector, f expfmt.Format, packed bool) []byte {
	t.Helper()
	r := httptest.NewRequest(http.MethodGet, "/metrics", nil)
	r.Header.Set("Accept", string(f))
	if packed {
		r.Header.Set("Accept-Encoding", "gzip")
	}
	w := httptest.NewRecorder()
	c.ServeHTTP(w, r)
	if got := w.Header().Get("Content-Type"); !strings.HasPrefix(got, string(f)) {
		t.Fatalf("Content-Type %q, want %q", got, f)
	}
	if got := w.Header().Get("Content-Length"); got != strconv.Itoa(w.Body.Len()) {
		t.Fatalf("Content-Length %s of %d bytes", got, w.Body.Len())
	}
	if !packed {
		return w.Body.Bytes()
	}
	if got := w.Header().Get("Content-Encoding"); got != "gzip" {
		t.Fatalf("Content-Encoding %q", got)
	}
	z, err := gzip.NewReader(w.Body)
	if err != nil {
		t.Fatal(err)
	}
	z.Multistream(false)
	page, err := io.ReadAll(z)
	if err != nil || w.Body.Len() > 0 {
		t.Fatalf("%v, %d bytes after the first member", err, w.Body.Len())
	}
	return page
}

var update = flag.Bool("update", false, "write the wanted files anew")

// TestGolden holds the pages to testdata/page.txtar, byte for byte, in both
// formats: every kind of family, ours too.
func TestGolden(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := New(Options{Retention: time.Minute})
		traffic := &record.Meta{ID: "1", Name: "Incoming traffic on interface", Unit: "b/s", Type: record.Gauge, Datatype: "GAUGE", Calctype: "Instant",
			Rare: &record.Rare{Groups: "Network/Interfaces", Tags: "net"}, Help: "Says \"how much\",\nand C:\\ too", Dimensions: []string{"interface"}}
		packets := &record.Meta{ID: "2", Name: "Packets", Unit: "packets", Type: record.Counter, Datatype: "COUNT", Calctype: "Instant"}
		down := &record.EventMeta{Name: "Link down", Attributes: []string{"interface"}}
		net := &record.Source{Kind: record.Script, Name: "net", Rank: 0, Prefix: "coscale", HonorTimestamps: true}
		b := whole(net,
			set(traffic, traffic.Name, 8.25, "interface", "eth0"), set(traffic, traffic.Name, math.NaN(), "interface", "a\"b\\c\nd"),
			add(packets, packets.Name, 12))
		b.Samples[0].Time = time.UnixMilli(946684799500)
		b.Declared = &record.Declared{Metrics: []*record.Meta{traffic, packets}, Events: []*record.EventMeta{down}}
		e := record.Event{Name: down.Name, Meta: down, Message: "eth1 went \"down\"", Start: time.Unix(946684790, 0), Stop: time.Unix(946684795, 0),
			Attributes: []record.Label{{Name: "interface", Value: "eth1"}}}
		e.ID = e.Identify(net)
		b.Events = []record.Event{e}
		b.Run = &record.Run{Result: record.OK, Duration: 1500 * time.Millisecond, Interval: time.Minute, Timeout: 5 * time.Second, MaxRSS: 1 << 20, Stdout: 77}
		_ = c.Put(b)
		coin := &record.Source{Kind: record.Script, Name: "coin", Rank: 1, Prefix: "scalyr"}
		_ = c.Put(partial(coin, set(nil, "uniform", 0.25, "monitor", "random_coin_monitor"), set(nil, "uniform_count", 3, "monitor", "random_coin_monitor")))
		_ = c.Put(partial(receiver("statsd", 2), set(gaugeMeta, "queue", math.Inf(-1)), add(gaugeMeta, "bad", -1)))

		wanted, err := txtar.ParseFile("testdata/page.txtar")
		if err != nil {
			t.Fatal(err)
		}
		for i, f := range []expfmt.Format{expfmt.FmtText, expfmt.FmtOpenMetrics_1_0_0} {
			got := get(t, c, f, true)
			parsePage(t, got, f)
			if *update {
				wanted.Files[i].Data = got
			} else if diff := cmp.Diff(string(wanted.Files[i].Data), string(got)); diff != "" {
				t.Errorf("%s (-want +got):\n%s", wanted.Files[i].Name, diff)
			}
		}
		if *update {
			if err := os.WriteFile("testdata/page.txtar", txtar.Format(wanted), 0o600); err != nil {
				t.Fatal(err)
			}
		}
	})
}

// TestServe looks at the response as a client does.
func TestServe(t *testing.T) {
	registry := processRegistry()
	broken := prometheus.NewGauge(prometheus.GaugeOpts{Name: "scriptbridge_broken"})
	registry.MustRegister(prometheus.CollectorFunc(func(ch chan<- prometheus.Metric) {
		ch <- prometheus.NewInvalidMetric(broken.Desc(), errors.New("on purpose"))
	}))
	lines := new(lockedLog)
	c := New(Options{Registry: registry, Logger: lines})
	_ = c.Put(whole(script("s", 0), set(gaugeMeta, "a", 1), set(counterMeta, "go_away", 1)))

	// What Prometheus 3 asks with.
	const prometheus3 = "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,application/openmetrics-text;version=0.0.1;q=0.5,text/plain;version=1.0.0;q=0.4,text/plain;version=0.0.4;q=0.3,*/*;q=0.2"
	for _, tt := range []struct {
		method, accept, encoding string
		format                   expfmt.Format
		packed                   bool
	}{
		{"GET", "", "", expfmt.FmtText, false},
		{"GET", "*/*", "gzip, deflate", expfmt.FmtText, true},
		{"GET", prometheus3, "gzip", expfmt.FmtOpenMetrics_1_0_0, true},
		{"GET", "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited;q=0.7," + prometheus3, "", expfmt.FmtOpenMetrics_1_0_0, false},
		{"GET", "text/html", "gzip;q=0", expfmt.FmtText, false},
		{"HEAD", "", "gzip", expfmt.FmtText, true},
	} {
		r := httptest.NewRequest(tt.method, "/metrics", nil)
		r.Header.Set("Accept", tt.accept)
		r.Header.Set("Accept-Encoding", tt.encoding)
		w := httptest.NewRecorder()
		c.ServeHTTP(w, r)
		if got := w.Header().Get("Content-Type"); w.Code != 200 || !strings.HasPrefix(got, string(tt.format)) {
			t.Errorf("%+v: %d %s", tt, w.Code, got)
		}
		if got := w.Header().Get("Content-Encoding"); (got == "gzip") != tt.packed {
			t.Errorf("%+v: Content-Encoding %q", tt, got)
		}
		if tt.method == "HEAD" {
			if w.Body.Len() > 0 || w.Header().Get("Content-Length") == "0" {
				t.Errorf("%+v: a body of %d bytes, %v", tt, w.Body.Len(), w.Header())
			}
			continue
		}
		p := parsePage(t, get(t, c, tt.format, tt.packed), tt.format)
		if p.values[`a{script="s"}`] != 1 || p.values["go_goroutines"] == 0 || p.values["go_memstats_alloc_bytes_total"] == 0 {
			t.Errorf("%+v: %v", tt, p.values)
		}
	}
	if n := strings.Count(strings.Join(lines.lines, "\n"), "some process-wide metrics are left out of the page"); n != 1 {
		t.Errorf("told %d times: %v", n, lines.lines)
	}
}

// TestPageIsFresh: a page is never older than the last Put that returned, in
// no variant.
func TestPageIsFresh(t *testing.T) {
	c, s := New(Options{}), script("s", 0)
	for n := range 10 {
		_ = c.Put(whole(s, set(gaugeMeta, "a", float64(n))))
		for _, f := range accepted {
			for _, packed := range []bool{false, true, false} {
				if got := parsePage(t, get(t, c, f, packed), f).values[`a{script="s"}`]; got != float64(n) {
					t.Fatalf("%s, gzip %v: %v after %d", f, packed, got, n)
				}
			}
		}
	}
}

func TestAcceptsGzip(t *testing.T) {
	for accept, want := range map[string]bool{
		"": false, "gzip": true, "GZIP": true, "deflate": false, "deflate, gzip;q=0.5": true, "gzip;q=0": false, "gzip; q = 0.000": false,
		"*": true, "*;q=0": false, "*, gzip;q=0": false, "br;q=1, x-gzip": true, "gzippy": false, "identity, *;q=0": false,
	} {
		if got := acceptsGzip(http.Header{"Accept-Encoding": {accept}}); got != want {
			t.Errorf("%q: %v", accept, got)
		}
	}
}
