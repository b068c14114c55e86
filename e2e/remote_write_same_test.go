package e2e

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"maps"
	"math"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/textparse"
	"github.com/prometheus/prometheus/model/value"
)

// ofProcess are series of the whole process: their values change all the time.
var ofProcess = regexp.MustCompile(`^(go|process|promhttp|scriptbridge)_`)

// byItself says whether a series' value changes though no script runs.
func byItself(metric map[string]string) bool {
	return ofProcess.MatchString(metric["__name__"]) && metric["script"] == "" && metric["receiver"] == ""
}

// ofScrape are the series that a scrape makes itself.
var ofScrape = regexp.MustCompile(`^(up|scrape_\w+)$`)

// instant is what a Prometheus answers of what came to it by one way at a time: series
// with their values, and the label that tells ways apart left out.
func (p *prom) instant(t *testing.T, by string, at time.Time) map[string]string {
	t.Helper()
	var data struct{ Result []sample }
	p.get(t, "query", url.Values{"query": {fmt.Sprintf(`{by=%q}`, by)}, "time": {fmt.Sprintf("%.3f", float64(at.UnixMilli())/1000)}}, &data)
	all := make(map[string]string)
	for _, s := range data.Result {
		if ofScrape.MatchString(s.Metric["__name__"]) {
			continue
		}
		v := s.value()
		if byItself(s.Metric) {
			v = "some"
		}
		delete(s.Metric, "by")
		name, _ := seriesName(sortedLabels(s.Metric))
		all[name] = v
	}
	return all
}

func sortedLabels(metric map[string]string) (all []labels.Label) {
	for _, name := range slices.Sorted(maps.Keys(metric)) {
		all = append(all, labels.Label{Name: name, Value: metric[name]})
	}
	return all
}

// different names what two maps do not have in common.
func different(a, b map[string]string) error {
	var lines []string
	for name, v := range a {
		if w, ok := b[name]; !ok || v != w {
			lines = append(lines, fmt.Sprintf("- %s %s (+ %s)", name, v, w))
		}
	}
	for name, v := range b {
		if _, ok := a[name]; !ok {
			lines = append(lines, fmt.Sprintf("+ %s %s", name, v))
		}
	}
	if len(lines) == 0 {
		return nil
	}
	slices.Sort(lines)
	return fmt.Errorf("%d of %d and %d series differ:\n%s", len(lines), len(a), len(b), strings.Join(lines[:min(len(lines), 60)], "\n"))
}

// lacking tells which beginnings no series has.
func lacking(all map[string]string, wanted []string) error {
	var missing []string
	for _, want := range wanted {
		found := false
		for series, v := range all {
			line := strings.NewReplacer(`instance="here", `, "", `job="bridge", `, "", `, job="bridge"`, "", `, instance="here"`, "").Replace(series) + " " + v
			found = found || strings.HasPrefix(strings.ReplaceAll(line, `", `, `",`), want)
		}
		if !found {
			missing = append(missing, want)
		}
	}
	if len(missing) == 0 {
		return nil
	}
	return fmt.Errorf("of %d series none begins with %s", len(all), strings.Join(missing, " or "))
}

// A bridge that is scraped and written is the same to who asks: name by name, label by
// label, value by value, of every dialect and every receiver; also when series
// have ended. What a page says of a metric, a receiver of remote write 2.0 has, too.
func TestRemoteWriteSame(t *testing.T) {
	two := newWritePeer(t)
	receiving := startReceiving(t, "global: {scrape_interval: 1h}\n")
	e := startEverything(t, fmt.Sprintf("    - {url: %q, external_labels: {job: bridge, instance: here, by: writing}, interval: 1s}\n    - {name: two, url: %q, interval: 1s}\n", receiving.api+"write", two.url()))
	// External labels give way to those that a series has, as collectd's have instance.
	scraped := startPrometheusWith(t, fmt.Sprintf(`
global: {scrape_interval: 1s, scrape_timeout: 1s}
scrape_configs: [{job_name: bridge, honor_labels: true, static_configs: [{targets: [%q], labels: {instance: here, by: scraping}}]}]
`, e.address))
	var gone []string
	compare := func(what string, wanted ...string) (all map[string]string) {
		t.Helper()
		eventually(t, what, func() error {
			at := time.Now()
			all = scraped.instant(t, "scraping", at)
			for series := range all {
				if slices.ContainsFunc(gone, func(begin string) bool { return strings.HasPrefix(series, begin) }) {
					return fmt.Errorf("%s is still there", series)
				}
			}
			return cmp.Or(different(all, receiving.instant(t, "writing", at)), lacking(all, wanted))
		})
		return all
	}
	all := compare("both to be the same", everySeries...)
	compared := 0
	for _, v := range all {
		if v != "some" {
			compared++
		}
	}
	t.Logf("%d series are the same, %d of them with their values", len(all), compared)
	eventually(t, "the page and what a receiver of 2.0 has to be the same", func() error { return different(pageOf(t, e.bridge), two.newest()) })

	// What ends is gone for both.
	write(t, e.dir, "openmetrics.sh", "#!/bin/sh\necho '# TYPE jobs counter'\necho 'jobs_total{queue=\"é\"} 3'\n")
	e.run(t, "openmetrics")
	config, err := os.ReadFile(filepath.Join(e.dir, "scriptbridge.yml"))
	if err != nil {
		t.Fatal(err)
	}
	write(t, e.dir, "scriptbridge.yml", strings.NewReplacer("  - {name: nagios, command: ./nagios.sh, dialect: nagios}\n", "", "statsd: {unixgram: statsd.sock, ttl: 1h", "statsd: {unixgram: statsd.sock, ttl: 1s").Replace(string(config)))
	e.reload(t)
	e.send(t, "unixgram", filepath.Join(e.dir, "statsd.sock"), "queue:4|g")
	eventually(t, "what StatsD's clients sent to be gone", func() error {
		if page := e.page(t); strings.Contains(page, "\nqueue{") || strings.Contains(page, "\nqueue ") {
			return fmt.Errorf("the page:\n%s", page)
		}
		return nil
	})
	gone = []string{"took_seconds_bucket{", "nagios_", "queue{"}
	after := compare("both to be the same when series have ended", `jobs_total{`)
	if n := len(all) - len(after); n < 20 {
		t.Errorf("only %d series have ended", n)
	}
	eventually(t, "the page and what a receiver of 2.0 has to be the same", func() error { return different(pageOf(t, e.bridge), two.newest()) })
}

// newest is what a destination would answer: each series' newest value, unless it has
// ended, with what is known of it.
func (p *writePeer) newest() map[string]string {
	all := make(map[string]string)
	for series, points := range p.all() {
		last := slices.MaxFunc(points, func(a, b writtenPoint) int { return int(a.at - b.at) })
		if !value.IsStaleNaN(last.value) {
			all[series] = known(series, last.value, last.kind, last.help, last.unit)
		}
	}
	return all
}

func known(series string, v float64, kind, help, unit string) string {
	number := fmt.Sprint(v)
	if ofProcess.MatchString(series) && !strings.Contains(series, "script=") && !strings.Contains(series, "receiver=") {
		number = "some"
	}
	if math.Signbit(v) && v == 0 {
		number = "-0"
	}
	return fmt.Sprintf("%s %s %q %q", number, kind, help, unit)
}

// pageOf is what a bridge's page says of each series.
func pageOf(t *testing.T, b *bridge) map[string]string {
	t.Helper()
	text := b.openMetrics(t)
	all := make(map[string]string)
	var name, kind, help, unit string
	about := func(of []byte) {
		if name != string(of) {
			name, kind, help, unit = string(of), "unspecified", "", ""
		}
	}
	p := textparse.NewOpenMetricsParser(text, labels.NewSymbolTable())
	for {
		what, err := p.Next()
		if errors.Is(err, io.EOF) {
			return all
		}
		if err != nil {
			t.Fatalf("%v in\n%s", err, text)
		}
		switch what {
		case textparse.EntryType:
			of, is := p.Type()
			about(of)
			kind = string(is)
		case textparse.EntryHelp:
			of, text := p.Help()
			about(of)
			help = string(text)
		case textparse.EntryUnit:
			of, text := p.Unit()
			about(of)
			unit = string(text)
		case textparse.EntrySeries:
			_, _, v := p.Series()
			var ls labels.Labels
			p.Labels(&ls)
			var list []labels.Label
			ls.Range(func(l labels.Label) { list = append(list, l) })
			series, err := seriesName(list)
			if err != nil {
				t.Fatal(err)
			}
			if kind == "unknown" {
				kind = "unspecified"
			}
			all[series] = known(series, v, kind, help, unit)
		}
	}
}
