package collector

import (
	"bytes"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/common/expfmt"
	"github.com/rogpeppe/go-internal/txtar"

	"scriptbridge/record"
)

func verbatim(name string, rank int) *record.Source {
	s := script(name, rank)
	s.Verbatim = true
	return s
}

// TestVerbatimGolden holds the pages to testdata/verbatim.txtar: every type,
// in an order and a spelling that are not the page's.
func TestVerbatimGolden(t *testing.T) {
	hits := &record.Meta{Name: "hits", Type: record.Counter, Help: "No \"total\"."}
	requests := &record.Meta{Name: "http_Requests_total", Type: record.Counter}
	cpu := &record.Meta{Name: "cpu_seconds", Type: record.Counter, Unit: "seconds"}
	temperature := &record.Meta{Name: "node:temperature_celsius", Type: record.Gauge, Unit: "kelvin"}
	build := &record.Meta{Name: "build", Type: record.Info, Help: "Which."}
	took := &record.Meta{Name: "took_seconds", Type: record.Histogram, Unit: "seconds", Help: "How long."}
	odd := &record.Meta{Name: "odd", Type: record.Histogram, Help: "No bounds."}
	rpc := &record.Meta{Name: "rpc", Type: record.Summary}

	s := verbatim("s", 0)
	s.Labels = []record.Label{{Name: "env", Value: "prod"}}
	s.HonorTimestamps = true
	b := whole(s,
		set(rpc, "rpc_count", 3, "le", "kept"), set(rpc, "rpc", 0.25, "quantile", "0.99", "le", "kept"), set(rpc, "rpc", 0.5, "quantile", ".5", "le", "kept"), set(rpc, "rpc_sum", 1, "le", "kept"),
		set(took, "took_seconds_count", 7, "path", "/b"), set(took, "took_seconds_bucket", 7, "path", "/b", "le", "+Inf"), set(took, "took_seconds_bucket", 2, "path", "/b", "le", "10"),
		set(took, "took_seconds_bucket", 1, "path", "/b", "le", "2.50"), set(took, "took_seconds_sum", 5, "path", "/b"), set(took, "took_seconds_created", 1e9, "path", "/b"),
		set(took, "took_seconds_bucket", 4, "le", "+Inf", "path", "/a"), set(took, "took_seconds_bucket", 0, "le", "-1", "path", "/a"),
		set(odd, "odd_bucket", 0, "le", "", "path", "/a"), set(odd, "odd_count", 1, "path", "/a"), set(odd, "odd_bucket", 0, "le", "x", "path", "/a"), set(odd, "odd_bucket", 0, "le", "2", "path", "/a"),
		set(hits, "hits", 1), set(requests, "http_Requests_total", 5, "Code", "200"),
		set(cpu, "cpu_seconds_created", 1e9, "cpu", "0"), set(cpu, "cpu_seconds_total", 1.5, "cpu", "0"), set(cpu, "cpu_seconds_created", 1e9, "cpu", "1"), set(cpu, "cpu_seconds_total", 2.5, "cpu", "1"),
		set(temperature, "node:temperature_celsius", 20, "script", "theirs", "exported_script", "too", "env", "test", "empty", ""),
		set(build, "build_info", 1, "version", "1.2"),
		set(nil, "untyped_Name", 1))
	b.Samples[len(b.Samples)-1].Time = time.UnixMilli(1520879607789)
	c := New(Options{})
	_ = c.Put(b)
	want(t, reasons(c, s))

	wanted, err := txtar.ParseFile("testdata/verbatim.txtar")
	if err != nil {
		t.Fatal(err)
	}
	for i, f := range []expfmt.Format{expfmt.FmtText, expfmt.FmtOpenMetrics_1_0_0} {
		var got bytes.Buffer
		if err := c.WritePage(&got, f, func(family string) bool { return !strings.HasPrefix(family, "scriptbridge_") }); err != nil {
			t.Fatal(err)
		}
		parsePage(t, bytes.Clone(got.Bytes()), f)
		if *update {
			wanted.Files[i].Data = got.Bytes()
		} else if diff := cmp.Diff(string(wanted.Files[i].Data), got.String()); diff != "" {
			t.Errorf("%s (-want +got):\n%s", wanted.Files[i].Name, diff)
		}
	}
	if *update {
		if err := os.WriteFile("testdata/verbatim.txtar", txtar.Format(wanted), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

func TestVerbatim(t *testing.T) {
	plain, prefixed := verbatim("s", 0), verbatim("s", 0)
	prefixed.Prefix = "app"
	histogramMeta := &record.Meta{Name: "h", Type: record.Histogram}
	meta := func(typ record.Type, name, rename string) *record.Meta {
		return &record.Meta{Name: name, Type: typ, Rare: &record.Rare{Rename: rename}}
	}
	for _, tt := range []struct {
		name    string
		source  *record.Source
		steps   [][]record.Sample
		series  []string
		refused []string
	}{
		{"a series twice: the first stays", plain, [][]record.Sample{
			{set(gaugeMeta, "a", 1, "x", "1", "y", "2"), set(gaugeMeta, "a", 2, "y", "2", "x", "1"), set(gaugeMeta, "a", 3, "x", "1", "y", "2", "z", "")}},
			[]string{`a{script="s",x="1",y="2"} 1`}, []string{"a: duplicate", "a: duplicate"}},
		{"a bound is a number", plain, [][]record.Sample{
			{set(histogramMeta, "h_bucket", 1, "le", "1"), set(histogramMeta, "h_bucket", 2, "le", "1.0"), set(histogramMeta, "h_bucket", 3, "le", "0"), set(histogramMeta, "h_bucket", 4, "le", "-0")}},
			[]string{`h_bucket{script="s",le="0"} 3`, `h_bucket{script="s",le="1"} 1`}, []string{"h_bucket: duplicate", "h_bucket: duplicate"}},
		{"the next run updates it, however it spells it", plain, [][]record.Sample{
			{set(histogramMeta, "h_bucket", 1, "le", "1"), set(histogramMeta, "h_sum", 1)}, {set(histogramMeta, "h_bucket", 2, "le", "1.0")}},
			[]string{`h_bucket{script="s",le="1"} 2`}, nil},
		{"a prefix", prefixed, [][]record.Sample{
			{set(histogramMeta, "h_count", 1), set(counterMeta, "go_Things_total", 2), set(nil, "up", 3)}},
			[]string{`app_go_Things_total{script="s"} 2`, `app_h_count{script="s"} 1`, `app_up{script="s"} 3`}, nil},
		{"names of ours", plain, [][]record.Sample{
			{set(nil, "go_x", 1), set(histogramMeta, "h_count", 1), set(nil, "scriptbridge_x", 1), set(nil, "script_event_info", 1)}},
			[]string{`go_x{script="s"} 1`, `h_count{script="s"} 1`}, []string{"scriptbridge_x: reserved", "script_event_info: reserved"}},
		{"what cannot be a name or a label", plain, [][]record.Sample{
			{set(nil, "a b", 1), set(nil, "", 1), set(nil, "9", 1), set(nil, "é", 1), set(nil, strings.Repeat("a", 201), 1), set(nil, "ok", 1, "My Label", "x", "__name__", "y", "A", "z")}},
			[]string{`ok{script="s",A="z",my_label="x",name_="y"} 1`}, []string{"a b: bad_name", ": bad_name", "9: bad_name", "é: bad_name", strings.Repeat("a", 201) + ": too_long"}},
		{"a histogram claims its parts", plain, [][]record.Sample{
			{set(histogramMeta, "h_sum", 1), set(gaugeMeta, "h_count", 2), set(gaugeMeta, "h_total", 3), set(nil, "h", 4)}},
			[]string{`h_sum{script="s"} 1`, `h_total{script="s"} 3`}, []string{"h_count: duplicate_name", "h: duplicate_name"}},
		{"other names", plain, [][]record.Sample{
			{set(meta(record.Histogram, "h", "H:new"), "h_bucket", 1, "le", "1"), set(meta(record.Counter, "c_total", "new_total"), "c_total", 2),
				set(meta(record.Counter, "d", "new"), "d_total", 3), set(meta(record.Gauge, "g", "bad name"), "g", 4)}},
			[]string{`H:new_bucket{script="s",le="1"} 1`, `new_total{script="s"} 2`}, []string{"d_total: duplicate", "g: bad_name"}},
		{"a sample that is not its family's", plain, [][]record.Sample{
			{set(histogramMeta, "other", 1), set(meta(record.Info, "i", ""), "i", 2), set(meta(record.Info, "", ""), "_info", 3), set(meta(record.Counter, "c", ""), "d_created", 4), set(meta(record.Counter, "", ""), "_total", 5)}},
			[]string{`_info{script="s"} 3`, `_total{script="s"} 5`, `d_created{script="s"} 4`, `i{script="s"} 2`, `other{script="s"} 1`}, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := New(Options{})
			for _, samples := range tt.steps {
				_ = c.Put(whole(tt.source, samples...))
			}
			want(t, shown(c, tt.source), tt.series...)
			want(t, reasons(c, tt.source), tt.refused...)
			checkPages(t, c, map[sourceKey]*record.Source{{tt.source.Kind, tt.source.Name}: tt.source})
		})
	}
}

// TestVerbatimFamilies: sources share a family, whichever way they print it,
// and one that prints it otherwise is refused.
func TestVerbatimFamilies(t *testing.T) {
	c := New(Options{})
	inText, inOM, bare, own := verbatim("a", 0), verbatim("b", 1), verbatim("c", 2), script("d", 3)
	_ = c.Put(whole(inText, set(&record.Meta{Name: "jobs_total", Type: record.Counter}, "jobs_total", 1)))
	_ = c.Put(whole(inOM, set(&record.Meta{Name: "jobs", Type: record.Counter}, "jobs_total", 2)))
	_ = c.Put(whole(bare, set(&record.Meta{Name: "jobs", Type: record.Counter}, "jobs", 3)))
	_ = c.Put(whole(own, set(counterMeta, "Jobs", 4)))
	want(t, onPage(t, c, "jobs"), `jobs_total{script="a"} 1`, `jobs_total{script="b"} 2`, `jobs_total{script="d"} 4`)
	want(t, reasons(c, bare), "jobs: type_conflict")

	// A source that is no longer verbatim ends what it was.
	changed := *inText
	changed.Verbatim = false
	_ = c.Put(partial(&changed, set(gaugeMeta, "Other", 1)))
	want(t, shown(c, &changed), `other{script="a"} 1`)
}
