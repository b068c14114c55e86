package e2e

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/textparse"
)

// oddProm is what a script may print and node_exporter would not take, or change.
const oddProm = `# TYPE took_seconds histogram
took_seconds_bucket{le="1"} 3
took_seconds_bucket{le="soon"} 2
# TYPE half histogram
half_bucket{le="+Inf"} 0.5
# TYPE bare histogram
bare 1
bare_bucket{le="+Inf"} 1
# TYPE far summary
far{quantile="0.5"} 1
far{quantile="most"} 2
# TYPE late_total counter
late_total 1 1700000000000
# TYPE late_created gauge
late_created 1 1700000000000
# TYPE whole_seconds histogram
whole_seconds_bucket{le="1.0"} 1
whole_seconds_bucket{le="+Inf"} 2
whole_seconds_sum 3
whole_seconds_count 2
# HELP escaped A \\ and a line \n more.
escaped{of="a \"b\" \\ \n c",__reserved="x"} NaN
untyped -Inf
`

// shownSeries reads a page as Prometheus does: values by series, whose bounds are numbers
// however they are spelled.
func shownSeries(t *testing.T, text string) map[string]string {
	t.Helper()
	p, err := textparse.New([]byte(text), "text/plain", labels.NewSymbolTable(), textparse.ParserOptions{})
	if err != nil {
		t.Fatal(err)
	}
	series := make(map[string]string)
	for {
		entry, err := p.Next()
		if errors.Is(err, io.EOF) {
			return series
		}
		if err != nil {
			t.Fatalf("%v in\n%s", err, text)
		}
		if entry != textparse.EntrySeries {
			continue
		}
		var ls labels.Labels
		p.Labels(&ls)
		_, stamp, value := p.Series()
		if stamp != nil {
			t.Errorf("%s has a time", ls)
		}
		b := labels.NewBuilder(ls)
		for l, v := range ls.Map() {
			if f, err := strconv.ParseFloat(v, 64); l == "le" && err == nil || l == "quantile" && err == nil {
				b.Set(l, fmt.Sprint(f))
			}
			if v == "" { // as node_exporter gives what only others of the family have
				b.Del(l)
			}
		}
		series[b.Labels().String()] = fmt.Sprint(value)
	}
}

// ofNodeExporter reports whether a series is one that node_exporter makes itself.
func ofNodeExporter(series string) bool {
	for _, prefix := range []string{"go_", "process_", "promhttp_", "node_"} {
		if strings.Contains(series, `__name__="`+prefix) {
			return true
		}
	}
	return false
}

// TestBesideNodeExporter has node_exporter show all that every dialect and every receiver has made,
// each series with its value and no other one, until the bridge ends. The page as it is
// scraped would cost it all.
func TestBesideNodeExporter(t *testing.T) {
	need(t, "prometheus-node-exporter")
	repository, err := filepath.Abs("..")
	if err != nil {
		t.Fatal(err)
	}
	odd, sound := write(t, t.TempDir(), "odd.prom", oddProm), t.TempDir()
	for name, text := range soundFiles {
		write(t, sound, name, text)
	}
	s := startStory(t, fmt.Sprintf(`
  - {name: odd, command: cat %[2]s, dialect: prometheus, interval: 1s, honor_timestamps: true}
  - {command: python3 %[1]s/examples/prometheus/processes.py, dialect: prometheus, interval: 2s, timeout: 20s}
  - {command: %[1]s/examples/instrumental/machine.sh, dialect: instrumental, interval: 2s, options: {permissions: off}}
  - {dialect: scalyr, interval: 1s, options: {module: random_coin_monitor, module_paths: [%[1]s/examples/scalyr], config: {gauss_mean: 8.5, gauss_stddev: 0.5}}}
  - {dialect: scalyr, interval: 1s, options: {module: machine_monitor, module_paths: [%[1]s/examples/scalyr]}}
  - {name: folder, dialect: textfile, directory: %[3]s, interval: 1s}
`, repository, odd, sound))
	file, scraped := s.textfile, t.TempDir()
	shown := startCollector(t, filepath.Dir(file))
	var last string
	eventually(t, "node_exporter to show it all", func() error {
		before, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		last = shown()
		after, err := os.ReadFile(file)
		if err != nil || string(before) != string(after) {
			return fmt.Errorf("the file has changed meanwhile (%w)", err)
		}
		for _, script := range []string{"odd", "processes", "machine", "random_coin_monitor", "machine_monitor", "folder", "story", "ok", "requests"} {
			if !strings.Contains(string(after), `scriptbridge_script_success{script="`+script+`"} 1`) {
				return fmt.Errorf("the file has nothing of %s yet:\n%s", script, after)
			}
		}
		theirs, ours := shownSeries(t, last), shownSeries(t, string(after))
		for series, value := range ours {
			if ofNodeExporter(series) {
				t.Errorf("the file has %s, which is node_exporter's own", series)
			}
			if theirs[series] != value {
				return fmt.Errorf("node_exporter shows %s as %q, not %s", series, theirs[series], value)
			}
		}
		for series := range theirs {
			if _, is := ours[series]; !is && !ofNodeExporter(series) {
				return fmt.Errorf("node_exporter shows %s, which is not in the file", series)
			}
		}
		return nil
	})
	for _, want := range []string{
		"\nnode_textfile_scrape_error 0\n", "\nnode_textfile_mtime_seconds{file=\"" + file + "\"}", "\nwhole_seconds_bucket{script=\"odd\",le=\"1\"} 1\n",
		"\n# TYPE whole_seconds histogram\n", "\nscriptbridge_upload_up{upload=\"coscale\"} 1\n", "\nscriptbridge_build_info{",
	} {
		if !strings.Contains(last, want) {
			t.Errorf("node_exporter does not show %s", want)
		}
	}

	page, err := get("http://" + s.here + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	write(t, scraped, "scraped.prom", page)
	refusing := startCollector(t, scraped)()
	if !strings.Contains(refusing, "\nnode_textfile_scrape_error 1\n") || strings.Contains(refusing, "scriptbridge_") {
		t.Errorf("node_exporter takes the page as it is scraped, so that nothing is shown here:\n%s", refusing)
	}
}
