package e2e

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql/parser"
)

// boardFolder has the Grafana dashboards and the alert rules.
const boardFolder = "../dashboards"

// TestExpressions parses every expression, finds all that it names on the
// bridge's page, and then asks a real Prometheus, where there is one.
func TestExpressions(t *testing.T) {
	all := append(boardQueries(t), runbookQueries(t)...)
	rules := ruleQueries(t)
	s := startStory(t, "")
	t.Run("page", func(t *testing.T) { checkPage(t, readPage(t, s.here), append(rules, all...)) })
	t.Run("links", func(t *testing.T) { checkLinks(t, s.here) })
	t.Run("prometheus", func(t *testing.T) {
		api := startRuled(t, s)
		checkAnswers(t, api, all)
		eventually(t, "the span of the event that ended", func() error { return spanIsRight(api, all) })
		for source, want := range metricChoices {
			eventually(t, "the choice of a metric of "+source, func() error {
				return choiceIsRight(t, api, ofOneJob(find(all, "explore.json: variable metric", source)), want)
			})
		}
		for _, q := range all {
			if q.where == "explore.json: variable prefix" {
				want := boards["explore.json"][slices.IndexFunc(boards["explore.json"], func(c choice) bool { return c["source"] == q.source })]["prefix"]
				eventually(t, "the prefix of "+q.source, func() error { return choiceIsRight(t, api, q, map[string]string{want: want}) })
			}
		}
		eventually(t, "the choice of a source", func() error { return sourcesAreRight(t, api, find(all, "explore.json: variable source", "story")) })
		checkRuleHealth(t, api)
	})
}

// checkPage looks whether the queries can find something on the page: each selector
// some series, each label a series that has it, with one choice at least.
func checkPage(t *testing.T, p page, all []query) {
	t.Helper()
	asked, missed := make(map[string]int), make(map[[2]string][]string)
	for _, q := range all {
		asked[q.where]++
		for at, problem := range p.check(t, q) {
			missed[[2]string{q.where, at}] = append(missed[[2]string{q.where, at}], problem)
		}
	}
	for at, problems := range missed {
		if where := at[0]; len(problems) == asked[where] {
			t.Errorf("%s: %s", where, problems[0])
		}
	}
}

// check gives what a query cannot find on the page, by the place in the expression.
func (p page) check(t *testing.T, q query) (problems map[string]string) {
	t.Helper()
	expr, err := parser.NewParser(parser.Options{}).ParseExpr(q.expr)
	if err != nil {
		t.Errorf("%s: %v\n%s", q.where, err, q.expr)
		return nil
	}
	problems = make(map[string]string)
	nodes := 0
	need := func(node parser.Node, names ...string) {
		there := p.labelsOf(node)
		for _, name := range names {
			if !there[name] {
				problems[fmt.Sprint(nodes, name)] = fmt.Sprintf("no series on the page has the label %s in %s", name, node)
			}
		}
	}
	need(expr, q.labels...)
	parser.Inspect(expr, func(node parser.Node, _ []parser.Node) error {
		nodes++
		switch n := node.(type) {
		case *parser.VectorSelector:
			if len(p.selected(n.LabelMatchers)) == 0 {
				problems[fmt.Sprint(nodes)] = fmt.Sprintf("no series on the page is selected by %s", n)
				break
			}
			for _, m := range n.LabelMatchers {
				if m.Matches("") { // whatever has no such label is meant
					continue
				}
				need(n, m.Name)
			}
		case *parser.AggregateExpr:
			need(n.Expr, n.Grouping...)
		case *parser.BinaryExpr:
			if n.VectorMatching == nil {
				break
			}
			need(n.LHS, n.VectorMatching.MatchingLabels...)
			need(n.RHS, n.VectorMatching.MatchingLabels...)
			need(n.RHS, n.VectorMatching.Include...) // all of ours are group_left
		}
		return nil
	})
	return problems
}

// labelsOf are the labels of the series that the selectors under a node name,
// of the script that they name (whatever else they ask of them), and those that
// are made on the way.
func (p page) labelsOf(node parser.Node) map[string]bool {
	there := make(map[string]bool)
	parser.Inspect(node, func(node parser.Node, _ []parser.Node) error {
		switch n := node.(type) {
		case *parser.VectorSelector:
			named := slices.DeleteFunc(slices.Clone(n.LabelMatchers), func(m *labels.Matcher) bool {
				return m.Name != model.MetricNameLabel && m.Name != "script"
			})
			for _, l := range p.selected(named) {
				l.Range(func(l labels.Label) { there[l.Name] = true })
			}
		case *parser.Call:
			if n.Func.Name == "label_replace" || n.Func.Name == "label_join" {
				there[n.Args[1].(*parser.StringLiteral).Val] = true
			}
		}
		return nil
	})
	return there
}

// series is one element of an answer of Prometheus.
type series struct {
	Metric map[string]string
	Value  [2]any
	Values [][2]any
}

func (s series) valuesAt(i int) (at, value float64) {
	at, _ = s.Values[i][0].(float64)
	value, _ = strconv.ParseFloat(s.Values[i][1].(string), 64)
	return at, value
}

// step is the resolution of the range queries: coarse enough for two hours.
const step = 30 * time.Second

// ask puts a query to Prometheus as Grafana does.
func ask(api string, q query) ([]series, error) {
	now := time.Now()
	params := url.Values{"query": {q.expr}}
	path := "query"
	if !q.instant {
		path = "query_range"
		params.Set("start", fmt.Sprint(now.Add(-2*time.Hour).Unix()))
		params.Set("end", fmt.Sprint(now.Unix()))
		params.Set("step", fmt.Sprint(step.Seconds()))
	}
	resp, err := http.Get(api + path + "?" + params.Encode())
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	var answer struct {
		Status, Error string
		Data          struct{ Result []series }
	}
	if err := json.NewDecoder(resp.Body).Decode(&answer); err != nil {
		return nil, err
	}
	if answer.Status != "success" {
		return nil, fmt.Errorf("the answer is %s: %s", answer.Status, answer.Error)
	}
	return answer.Data.Result, nil
}

// checkAnswers waits until Prometheus has something to say to each query. Each label
// that is wanted must be on a series of an answer, with one choice at least.
func checkAnswers(t *testing.T, api string, all []query) {
	t.Helper()
	got := make(map[string]bool)
	for _, q := range all {
		eventually(t, q.where+", "+q.source+": "+q.expr, func() error {
			result, err := ask(api, q)
			if err == nil && len(result) == 0 {
				err = errors.New("there is no answer")
			}
			for _, s := range result {
				for name := range s.Metric {
					got[q.where+name] = true
				}
			}
			return err
		})
	}
	for _, q := range all {
		for _, name := range q.labels {
			if !got[q.where+name] {
				t.Errorf("%s: no series of any answer has the label %s", q.where, name)
			}
		}
	}
}

func find(all []query, where, source string) query {
	return all[slices.IndexFunc(all, func(q query) bool { return q.where == where && q.source == source })]
}

// spanIsRight reports whether the annotation of the event that ended lies
// between its begin and its end, which the point in time of the other
// annotation and the length in the script give.
func spanIsRight(api string, all []query) error {
	release := func(where string) (series, error) {
		result, err := ask(api, find(all, where, "story"))
		if err != nil {
			return series{}, err
		}
		i := slices.IndexFunc(result, func(s series) bool { return s.Metric["message"] == "release 42" })
		if i < 0 {
			return series{}, fmt.Errorf("%s does not have release 42: %v", where, result)
		}
		return result[i], nil
	}
	point, err := release("explore.json: annotation Events")
	if err != nil {
		return err
	}
	span, err := release("explore.json: annotation Spans")
	if err != nil {
		return err
	}
	_, begin := point.valuesAt(0)
	begin /= 1000 // milliseconds, as Grafana takes them
	end := begin + 1800
	first, _ := span.valuesAt(0)
	last, _ := span.valuesAt(len(span.Values) - 1)
	if first < begin || first > begin+step.Seconds() || last > end || last < end-step.Seconds() {
		return fmt.Errorf("the event lasted from %.0f to %.0f, the span is from %.0f to %.0f", begin, end, first, last)
	}
	return nil
}

// metricChoices are what the variable metric offers of a script or receiver: the names
// that were declared, or else those of the series; each with its series' name.
var metricChoices = map[string]map[string]string{
	"story":    {"Pool size, bytes": "coscale_pool_size_bytes", "Lines seen": "coscale_lines_seen_total", "Never printed, #": "coscale_never_printed"},
	"coscale":  {"Users": "coscale_users", "Clicks": "coscale_clicks_total", "Command exit code": "coscale_command_exit_code", "Command duration, s": "coscale_command_duration_seconds"},
	"statsd":   {"queue": "queue", "jobs_total": "jobs_total", "web_hits": "web_hits", "web_load": "web_load", "web_load_sum": "web_load_sum", "web_load_count": "web_load_count"},
	"collectd": {"collectd_load": "collectd_load", "collectd_df_used_total": "collectd_df_used_total"},
}

// offered is what a variable of explore.json offers, by the text that is shown.
// Grafana applies its regular expression to the text of each series as query_result
// gives it: name, labels in order, then value and time.
func offered(t *testing.T, api string, q query) (map[string]string, error) {
	t.Helper()
	list := loadBoard(t, "explore.json").Templating.List
	v := list[slices.IndexFunc(list, func(v variable) bool { return "explore.json: variable "+v.Name == q.where })]
	// Slashes around it, and <name> for Go's P<name>.
	re := regexp.MustCompile(regexp.MustCompile(`\(\?<(\w+)>`).ReplaceAllString(v.Regex[1:len(v.Regex)-1], `(?P<$1>`))
	result, err := ask(api, q)
	if err != nil {
		return nil, err
	}
	got := make(map[string]string)
	for _, s := range result {
		var pairs []string
		for _, name := range slices.Sorted(maps.Keys(s.Metric)) {
			if name != model.MetricNameLabel {
				pairs = append(pairs, fmt.Sprintf("%s=%q", name, s.Metric[name]))
			}
		}
		text := s.Metric[model.MetricNameLabel] + "{" + strings.Join(pairs, ",") + "} 1 1700000000000"
		m := re.FindStringSubmatch(text)
		if m == nil {
			continue // Grafana leaves it out
		}
		shown, value := m[1], m[1]
		if i := re.SubexpIndex("text"); i > 0 {
			shown, value = m[i], m[re.SubexpIndex("value")]
		}
		got[shown] = value
	}
	return got, nil
}

// ofOneJob asks only for the bridge with everything in it.
func ofOneJob(q query) query {
	q.expr = strings.ReplaceAll(q.expr, `job=~".+"`, `job=~"j"`)
	return q
}

// choiceIsRight reports whether a variable offers what is wanted.
func choiceIsRight(t *testing.T, api string, q query, want map[string]string) error {
	t.Helper()
	got, err := offered(t, api, q)
	if err == nil && !maps.Equal(got, want) {
		err = fmt.Errorf("the choice is %v, want %v", got, want)
	}
	return err
}

// sourcesAreRight reports whether every script that runs by itself can be explored,
// and every receiver.
func sourcesAreRight(t *testing.T, api string, q query) error {
	t.Helper()
	got, err := offered(t, api, q)
	for _, name := range []string{"story", "failing", "ok", "requests", "statsd", "collectd", "coscale"} {
		if err == nil && got[name] != name {
			err = fmt.Errorf("%s is missing among %v", name, got)
		}
	}
	return err
}

// checkRuleHealth waits until Prometheus has evaluated every rule without an
// error, among them those that fire for the scripts of the test.
func checkRuleHealth(t *testing.T, api string) {
	t.Helper()
	eventually(t, "every rule to be evaluated", func() error {
		text, err := get(api + "rules")
		if err != nil {
			return err
		}
		var answer struct {
			Data struct {
				Groups []struct {
					Rules []struct{ Name, Health, LastError, State string }
				}
			}
		}
		if err := json.Unmarshal([]byte(text), &answer); err != nil {
			return err
		}
		state := make(map[string]string)
		for _, g := range answer.Data.Groups {
			for _, r := range g.Rules {
				if r.Health != "ok" {
					return fmt.Errorf("%s is %s: %s", r.Name, r.Health, r.LastError)
				}
				state[r.Name] = r.State
			}
		}
		for name, want := range map[string]string{"ScriptFailing": "pending", "ScriptRefused": "firing", "ScriptOverrunning": "pending", "BridgeDown": "inactive"} {
			if state[name] != want {
				return fmt.Errorf("%s is %s, want %s", name, state[name], want)
			}
		}
		return nil
	})
}
