package e2e

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// ofCollector finds Prometheus's configuration in that of an OpenTelemetry collector.
var ofCollector = regexp.MustCompile(`(?ms)^receivers:\n  prometheus:\n    config:\n((?:      .*?\n)+)`)

// TestDocsForPrometheus lets promtool check what the docs show of Prometheus's
// own configuration and rules.
func TestDocsForPrometheus(t *testing.T) {
	promtool := need(t, "promtool")
	dashboards, err := filepath.Abs("../dashboards")
	if err != nil {
		t.Fatal(err)
	}
	pages, err := filepath.Glob("../docs/*.md")
	if err != nil {
		t.Fatal(err)
	}
	yaml := regexp.MustCompile("(?ms)^```yaml\n(.*?)^```$")
	n := 0
	for _, page := range append(pages, "../README.md", "../dashboards/README.md") {
		text, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range yaml.FindAllStringSubmatch(string(text), -1) {
			what := ""
			switch {
			case regexp.MustCompile(`(?m)^(scrape_configs|rule_files|storage):`).MatchString(m[1]):
				what = "config"
			case ofCollector.MatchString(m[1]): // the part that Prometheus's code reads
				what, m[1] = "config", regexp.MustCompile(`(?m)^      `).ReplaceAllString(ofCollector.FindStringSubmatch(m[1])[1], "")
			case regexp.MustCompile(`(?m)^groups:`).MatchString(m[1]):
				what = "rules"
			default:
				continue
			}
			n++
			block := strings.ReplaceAll(m[1], "/usr/share/doc/scriptbridge/dashboards", dashboards) // as a package has it
			file := write(t, t.TempDir(), "block.yml", block)
			if out, err := exec.Command(promtool, "check", what, file).CombinedOutput(); err != nil {
				t.Errorf("%s: promtool check %s: %v\n%s%s", page, what, err, out, block)
			}
		}
	}
	if n < 5 {
		t.Errorf("only %d configurations were found", n)
	}
}
