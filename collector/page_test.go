package collector

import (
	"bytes"
	"compress/gzip"
	"errors"
	"io"
	"math"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"

	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/textparse"
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

// isPart says whether a name is one of a histogram's or summary's, which only
// client_golang's families are.
func isPart(name, family string, typ model.MetricType) bool {
	if typ != model.MetricTypeSummary && typ != model.MetricTypeHistogram {
		return false
	}
	suffix, ok := strings.CutPrefix(name, family)
	return ok && (suffix == "" || suffix == "_sum" || suffix == "_count" || suffix == "_bucket")
}

// pages gives both pages, without the registry's families, parsed.
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
