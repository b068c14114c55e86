package e2e

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"
	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/rulefmt"
	"github.com/prometheus/prometheus/promql/parser"
)

// runbook is the page that every alert leads to.
const runbook = "docs/alerts.md"

// loadRules are the alert rules, in order.
func loadRules(t *testing.T) (rules []rulefmt.Rule) {
	t.Helper()
	groups, errs := rulefmt.ParseFile(filepath.Join(boardFolder, "rules.yml"), false, model.LegacyValidation, parser.NewParser(parser.Options{}), slog.New(slog.NewTextHandler(io.Discard, nil)))
	if err := errors.Join(errs...); err != nil || groups == nil {
		t.Fatal(err)
	}
	for _, g := range groups.Groups {
		rules = append(rules, g.Rules...)
	}
	return rules
}

// ruleQueries are the expressions of the rules, with the labels that their
// texts name.
func ruleQueries(t *testing.T) (all []query) {
	t.Helper()
	inText := regexp.MustCompile(`\$labels\.(\w+)`)
	for _, r := range loadRules(t) {
		q := query{where: "rules.yml: " + r.Alert, expr: r.Expr}
		for _, text := range r.Annotations {
			for _, m := range inText.FindAllStringSubmatch(text, -1) {
				q.labels = append(q.labels, m[1])
			}
		}
		all = append(all, q)
	}
	return all
}

// runbookBase is where the packages put the docs, as a URL: all that an alert can
// lead to on any machine.
func runbookBase(t *testing.T) string {
	t.Helper()
	folder := regexp.MustCompile(`src: \.build/package/doc/\n\s+dst: (/\S+/)\n`).FindStringSubmatch(readFile(t, "../packaging/nfpm.yaml"))
	if folder == nil {
		t.Fatal("packaging/nfpm.yaml does not say where the docs go")
	}
	return "file://" + folder[1]
}

func readFile(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// TestAlerts holds that every alert says what it must, and leads to a section of its
// own on a page that is in the packages.
func TestAlerts(t *testing.T) {
	base := runbookBase(t)
	sections := make(map[string]string)
	var headings, alerts []string
	for _, section := range strings.Split(readFile(t, path.Join("..", runbook)), "\n## ")[1:] {
		heading, text, _ := strings.Cut(section, "\n")
		headings = append(headings, heading)
		sections[strings.ToLower(heading)] = text
	}
	for _, r := range loadRules(t) {
		alerts = append(alerts, r.Alert)
		if severity := r.Labels["severity"]; severity != "warning" && severity != "critical" || len(r.Labels) != 1 {
			t.Errorf("%s has the labels %v", r.Alert, r.Labels)
		}
		for _, name := range []string{"summary", "description"} {
			if r.Annotations[name] == "" {
				t.Errorf("%s has no %s", r.Alert, name)
			}
		}
		if !strings.Contains(r.Annotations["summary"], "$labels.instance") && r.Alert != "BridgeAbsent" {
			t.Errorf("the summary of %s does not say where: %s", r.Alert, r.Annotations["summary"])
		}
		if want := base + runbook + "#" + strings.ToLower(r.Alert); r.Annotations["runbook_url"] != want {
			t.Errorf("the runbook_url of %s is %q, want %s", r.Alert, r.Annotations["runbook_url"], want)
		}
		part := sections[strings.ToLower(r.Alert)]
		for _, begin := range []string{"\n**Meaning.** ", "\n**Look at** ", "\n**Do"} {
			if strings.Count(part, begin) != 1 {
				t.Errorf("%s: the section %s has no paragraph %q, or several", runbook, r.Alert, strings.TrimSpace(begin))
			}
		}
	}
	if !slices.Equal(headings, alerts) {
		t.Errorf("%s has the sections\n%v, the alerts are\n%v", runbook, headings, alerts)
	}
}

// TestRules lets promtool run the rules' own tests.
func TestRules(t *testing.T) {
	if out, err := testRules(need(t, "promtool"), filepath.Join(boardFolder, "rules_test.yml")); err != nil {
		t.Errorf("promtool test rules: %v\n%s", err, out)
	}
}

func testRules(promtool, file string) ([]byte, error) {
	return exec.Command(promtool, "test", "rules", file).CombinedOutput()
}

// TestRulesAreTested holds that the rules' own tests fail for each alert that never
// fires, and for each that fires for series with which it should not.
func TestRulesAreTested(t *testing.T) {
	promtool := need(t, "promtool")
	p := parser.NewParser(parser.Options{})
	for _, r := range loadRules(t) {
		expr, err := p.ParseExpr(r.Expr)
		if err != nil {
			t.Fatal(err)
		}
		first := parser.ExtractSelectors(expr)[0]
		series := first[slices.IndexFunc(first, func(m *labels.Matcher) bool { return m.Name == model.MetricNameLabel })].Value
		for _, change := range []struct{ what, expr, names string }{
			{"never fires", "vector(0) > 1", r.Alert},
			{"fires while its series are well", fmt.Sprintf("(%s) or (group (%s) unless on () (%s))", r.Expr, series, r.Expr), series},
		} {
			if out, err := testRules(promtool, changedRules(t, r.Alert, change.expr, change.names)); err == nil {
				t.Errorf("%s %s, and no test fails:\n%s", r.Alert, change.what, out)
			}
		}
	}
}

// changedRules gives the tests of the rules that name something, with another
// expression for one alert.
func changedRules(t *testing.T, alert, expr, names string) (file string) {
	t.Helper()
	var rules, tests map[string]any
	for name, into := range map[string]*map[string]any{"rules.yml": &rules, "rules_test.yml": &tests} {
		if err := yaml.Unmarshal([]byte(readFile(t, filepath.Join(boardFolder, name))), into); err != nil {
			t.Fatal(err)
		}
	}
	for _, g := range rules["groups"].([]any) {
		for _, r := range g.(map[string]any)["rules"].([]any) {
			if rule := r.(map[string]any); rule["alert"] == alert {
				rule["expr"] = expr
				delete(rule, "for")
			}
		}
	}
	tests["tests"] = slices.DeleteFunc(tests["tests"].([]any), func(test any) bool { return !strings.Contains(fmt.Sprint(test), names) })
	dir := t.TempDir()
	for name, content := range map[string]any{"rules.yml": rules, "rules_test.yml": tests} {
		text, err := yaml.Marshal(content)
		if err != nil {
			t.Fatal(err)
		}
		write(t, dir, name, string(text))
	}
	return filepath.Join(dir, "rules_test.yml")
}

// TestFleetDrops holds that what docs/fleet.md drops is in no rule.
func TestFleetDrops(t *testing.T) {
	m := regexp.MustCompile(`regex: (scriptbridge_script_\(\S+\))`).FindStringSubmatch(readFile(t, "../docs/fleet.md"))
	if m == nil {
		t.Fatal("docs/fleet.md drops nothing")
	}
	dropped := regexp.MustCompile(`\b` + m[1] + `\b`)
	for _, r := range loadRules(t) {
		if name := dropped.FindString(r.Expr); name != "" {
			t.Errorf("%s needs %s, which docs/fleet.md drops", r.Alert, name)
		}
	}
}

// runbookQueries are those that the runbook has its reader ask.
func runbookQueries(t *testing.T) (all []query) {
	t.Helper()
	for _, m := range regexp.MustCompile("(?ms)^```promql\n(.*?)^```$").FindAllStringSubmatch(readFile(t, path.Join("..", runbook)), -1) {
		all = append(all, query{where: runbook, expr: m[1], instant: true})
	}
	if len(all) < 5 {
		t.Errorf("only %d queries were found in %s", len(all), runbook)
	}
	return all
}
