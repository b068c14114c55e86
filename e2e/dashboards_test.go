package e2e

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
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
	var all []query
	for file := range boards {
		all = append(all, loadBoard(t, file).queries(t, file)...)
	}
	all = append(all, runbookQueries(t)...)
	rules := ruleQueries(t)
	s := startStory(t, "")
	t.Run("page", func(t *testing.T) {
		p := readPage(t, s.here)
		for _, q := range append(rules, all...) {
			p.check(t, q)
		}
	})
	t.Run("prometheus", func(t *testing.T) {
		api := startRuled(t, s)
		for _, q := range all {
			eventually(t, q.where+": "+q.expr, func() error { return answers(api, q) })
		}
		eventually(t, "the span of the event that ended", func() error { return spanIsRight(api, all) })
		eventually(t, "the choice of a metric", func() error { return choiceIsRight(t, api, all) })
		checkRuleHealth(t, api)
	})
}

// check looks whether a query can find something on the page: each selector
// some series, each label a series that has it.
func (p page) check(t *testing.T, q query) {
	t.Helper()
	expr, err := parser.NewParser(parser.Options{}).ParseExpr(q.expr)
	if err != nil {
		t.Errorf("%s: %v\n%s", q.where, err, q.expr)
		return
	}
	need := func(node parser.Node, names ...string) {
		there := p.labelsOf(node)
		for _, name := range names {
			if !there[name] {
				t.Errorf("%s: no series on the page has the label %s in %s", q.where, name, node)
			}
		}
	}
	need(expr, q.labels...)
	parser.Inspect(expr, func(node parser.Node, _ []parser.Node) error {
		switch n := node.(type) {
		case *parser.VectorSelector:
			if len(p.selected(n.LabelMatchers)) == 0 {
				t.Errorf("%s: no series on the page is selected by %s", q.where, n)
				break
			}
			for _, m := range n.LabelMatchers {
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

// answers reports whether Prometheus has something to say, with every label
// that is wanted on at least one series.
func answers(api string, q query) error {
	result, err := ask(api, q)
	if err != nil {
		return err
	}
	if len(result) == 0 {
		return fmt.Errorf("there is no answer")
	}
	for _, name := range q.labels {
		if !slices.ContainsFunc(result, func(s series) bool { return s.Metric[name] != "" }) {
			return fmt.Errorf("none of %d series has the label %s, the first is %v", len(result), name, result[0].Metric)
		}
	}
	return nil
}

func find(all []query, where string) query {
	return all[slices.IndexFunc(all, func(q query) bool { return q.where == where })]
}

// spanIsRight reports whether the annotation of the event that ended lies
// between its begin and its end, which the point in time of the other
// annotation and the length in the script give.
func spanIsRight(api string, all []query) error {
	release := func(where string) (series, error) {
		result, err := ask(api, find(all, where))
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

// choiceIsRight reports whether the variable metric offers the names that the
// script declared. Grafana applies the regular expression to the text of each
// series as query_result gives it: labels in order, then value and time.
func choiceIsRight(t *testing.T, api string, all []query) error {
	t.Helper()
	list := loadBoard(t, "explore.json").Templating.List
	v := list[slices.IndexFunc(list, func(v variable) bool { return v.Name == "metric" })]
	// Slashes around it, and <name> for Go's P<name>.
	re := regexp.MustCompile(regexp.MustCompile(`\(\?<(\w+)>`).ReplaceAllString(v.Regex[1:len(v.Regex)-1], `(?P<$1>`))
	result, err := ask(api, find(all, "explore.json: variable metric"))
	if err != nil {
		return err
	}
	got := make(map[string]string)
	for _, s := range result {
		text := labels.FromMap(s.Metric).String()
		text = regexp.MustCompile(`", `).ReplaceAllString(text, `",`) + " 1 1700000000000"
		m := re.FindStringSubmatch(text)
		if m == nil {
			return fmt.Errorf("the regular expression does not match %s", text)
		}
		got[m[re.SubexpIndex("text")]] = m[re.SubexpIndex("value")]
	}
	want := map[string]string{
		"Pool size, bytes": "coscale_pool_size_bytes",
		"Lines seen":       "coscale_lines_seen_total",
		"Never printed, #": "coscale_never_printed",
	}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		return fmt.Errorf("the choice is %v, want %v", got, want)
	}
	return nil
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
