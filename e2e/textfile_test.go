package e2e

import (
	"fmt"
	"maps"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"

	"scriptbridge/internal/testkit"
)

// startCollector starts a node_exporter that has its textfile collector and nothing
// else, and gives what it shows.
func startCollector(t *testing.T, folder string) (page func() string) {
	t.Helper()
	_, url := startNodeExporter(t, folder)
	return func() string {
		text, err := get(url)
		if err != nil {
			t.Fatal(err)
		}
		return text
	}
}

func startNodeExporter(t testing.TB, folder string) (p *process, url string) {
	t.Helper()
	address := testkit.FreeAddress()
	p = start(t, t.TempDir(), need(t, "prometheus-node-exporter"), "--web.listen-address="+address, "--web.disable-exporter-metrics",
		"--collector.disable-defaults", "--collector.textfile", "--collector.textfile.directory="+folder)
	url = "http://" + address + "/metrics"
	eventually(t, "node_exporter to listen", func() error {
		_, err := get(url)
		return err
	})
	return p, url
}

// seriesOf are the series of a page, each with its type, and without the labels that
// are only the bridge's. Those of the programs themselves are left out, and empty
// labels, which node_exporter adds and which mean nothing.
func seriesOf(t *testing.T, page string) map[string]float64 {
	t.Helper()
	parser := expfmt.NewTextParser(model.LegacyValidation)
	families, err := parser.TextToMetricFamilies(strings.NewReader(page))
	if err != nil {
		t.Fatalf("%v in\n%s", err, page)
	}
	own := regexp.MustCompile(`^(node|go|process|promhttp|scriptbridge)_`)
	series := make(map[string]float64)
	for name, family := range families {
		if own.MatchString(name) {
			continue
		}
		for _, m := range family.Metric {
			labels := make(map[string]string)
			for _, l := range m.Label {
				if l.GetName() != "script" && l.GetValue() != "" {
					labels[l.GetName()] = l.GetValue()
				}
			}
			put := func(end string, value float64) {
				key := fmt.Sprint(family.GetType(), " ", name, end, labels)
				if _, twice := series[key]; twice {
					t.Errorf("twice: %s", key)
				}
				series[key] = value
			}
			switch family.GetType() {
			case dto.MetricType_HISTOGRAM:
				put("_sum", m.Histogram.GetSampleSum())
				put("_count", float64(m.Histogram.GetSampleCount()))
				for _, b := range m.Histogram.Bucket {
					put(fmt.Sprint("_bucket ", b.GetUpperBound()), float64(b.GetCumulativeCount()))
				}
			case dto.MetricType_SUMMARY:
				put("_sum", m.Summary.GetSampleSum())
				put("_count", float64(m.Summary.GetSampleCount()))
				for _, q := range m.Summary.Quantile {
					put(fmt.Sprint(" quantile ", q.GetQuantile()), q.GetValue())
				}
			default:
				put("", m.GetGauge().GetValue()+m.GetCounter().GetValue()+m.GetUntyped().GetValue())
			}
		}
	}
	return series
}

// soundFiles are those of which node_exporter loses nothing.
var soundFiles = map[string]string{
	"backup.prom": "# HELP backup_size_bytes Of the last one.\n# TYPE backup_size_bytes gauge\nbackup_size_bytes{job=\"db\"} 1.5e+09\nbackup_size_bytes{job=\"w\\\"e\\\\b\\n\"} 0\n" +
		"# TYPE backup_runs_total counter\nbackup_runs_total 17\nNoType:of_it 3\n",
	"took.prom": "# HELP took_seconds How long.\n# TYPE took_seconds histogram\ntook_seconds_bucket{le=\"0.5\"} 1\ntook_seconds_bucket{le=\"+Inf\"} 4\ntook_seconds_sum 9.25\ntook_seconds_count 4\n" +
		"# TYPE size summary\nsize{quantile=\"0.5\"} 2\nsize_sum 5\nsize_count 2\n",
	"more.prom":  "# HELP backup_size_bytes Of the last one.\n# TYPE backup_size_bytes gauge\nbackup_size_bytes{job=\"mail\"} 7\n\n# a comment\nspaced   {  a = \"b\" ,}   4\n",
	"empty.prom": "", "other.txt": "not_read 1\n", "not.prom.tmp": "not_read 1\n",
}

// TestTextfile holds the bridge's page against node_exporter's of the same folder:
// first all is well, and the pages have the same series; then there are files of
// which node_exporter loses all, and the bridge a line.
func TestTextfile(t *testing.T) {
	dir := t.TempDir()
	folder := dir + "/metrics"
	if err := os.Mkdir(folder, 0o755); err != nil {
		t.Fatal(err)
	}
	for name, text := range soundFiles {
		write(t, folder, name, text)
	}
	theirs := startCollector(t, folder)
	b := startBridge(t, dir, write(t, dir, "scriptbridge.yml", "scripts:\n  - {name: batch, dialect: textfile, directory: metrics, interval: 1s}\n"))
	want := seriesOf(t, theirs())
	if len(want) != 13 {
		t.Errorf("node_exporter shows %d series: %v", len(want), want)
	}
	same := func() error {
		if diff := cmp.Diff(want, seriesOf(t, b.page(t))); diff != "" {
			return fmt.Errorf("-node_exporter +scriptbridge:\n%s", diff)
		}
		return nil
	}
	eventually(t, "the series of node_exporter", same)
	sameTimes(t, theirs(), b.page(t))

	write(t, folder, "line.prom", "good 1\nbad one\nbetter 2\n")
	write(t, folder, "times.prom", "timed 1 1700000000000\n")
	write(t, folder, "blanks.prom", "blank 1  \n")
	write(t, folder, "half.prom", "whole 1\ncut 12")
	write(t, folder, "bom.prom", "\ufeffmarked 1\n")
	write(t, folder, "twice.prom", "backup_runs_total 18\nnew{a=\"b\"} 1\n")
	write(t, folder, "types.prom", "# TYPE NoType:of_it counter\nNoType:of_it{a=\"b\"} 4\n")
	lost := theirs()
	if got := seriesOf(t, lost); !strings.Contains(lost, "\nnode_textfile_scrape_error 1\n") || len(got) > len(want)+1 {
		t.Errorf("node_exporter shows\n%s", lost)
	}
	maps.Copy(want, map[string]float64{
		"UNTYPED goodmap[]": 1, "UNTYPED bettermap[]": 2, "UNTYPED timedmap[]": 1, "UNTYPED wholemap[]": 1, "UNTYPED markedmap[]": 1, "UNTYPED newmap[a:b]": 1, "UNTYPED blankmap[]": 1,
	})
	delete(want, "UNTYPED NoType:of_itmap[]") // it gets the type that another file says
	maps.Copy(want, map[string]float64{"COUNTER NoType:of_itmap[]": 3, "COUNTER NoType:of_itmap[a:b]": 4})
	eventually(t, "all but the bad lines", same)
	for _, reason := range []string{"not_a_number", "unfinished", "duplicate"} {
		if !regexp.MustCompile(`(?m)^scriptbridge_script_refused_total\{script="batch",reason="` + reason + `"\} [1-9]`).MatchString(b.page(t)) {
			t.Errorf("nothing was refused as %s", reason)
		}
	}
}

// sameTimes holds the times of the files against each other.
func sameTimes(t *testing.T, theirs, ours string) {
	t.Helper()
	times := func(page, name string) map[string]string {
		found := make(map[string]string)
		for _, m := range regexp.MustCompile(`(?m)^`+name+`\{.*file="([^"]*)"\} (\S+)$`).FindAllStringSubmatch(page, -1) {
			var seconds float64
			if _, err := fmt.Sscan(m[2], &seconds); err != nil {
				t.Error(err)
			}
			found[m[1]] = fmt.Sprint(int64(seconds)) // node_exporter has no parts of one
		}
		return found
	}
	want := times(theirs, "node_textfile_mtime_seconds")
	if diff := cmp.Diff(want, times(ours, "scriptbridge_textfile_mtime_seconds")); diff != "" || len(want) != 4 {
		t.Errorf("times of %d files (-node_exporter +scriptbridge):\n%s", len(want), diff)
	}
}
