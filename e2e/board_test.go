package e2e

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// board is what the tests look at of a dashboard's JSON.
type board struct {
	ID            *int
	UID           string
	Title         string
	Description   string
	SchemaVersion int
	Links         []struct{ Title, URL string }
	Annotations   struct{ List []annotation }
	Templating    struct{ List []variable }
	Panels        []panel
}

type annotation struct {
	Name                             string
	BuiltIn                          int
	Datasource                       source
	Expr                             string
	UseValueForTime                  bool
	TitleFormat, TextFormat, TagKeys string
}

type variable struct {
	Name, Type, Regex string
	Datasource        source
	Query             json.RawMessage // a text for the data source, an object for queries
	AllValue          string
	IncludeAll        bool
}

type source struct{ Type, UID string }

type panel struct {
	ID                       *int
	Type, Title, Description string
	Datasource               source
	GridPos                  struct{ X, Y, W, H int }
	Repeat                   string
	Targets                  []target
	Transformations          []struct {
		ID      string
		Options struct {
			ExcludeByName map[string]bool
			IndexByName   map[string]int
			RenameByName  map[string]string
		}
	}
	FieldConfig struct {
		Overrides []struct {
			Properties []struct {
				ID    string
				Value json.RawMessage
			}
		}
	}
}

type target struct {
	RefID, Expr, LegendFormat, Format string
	Datasource                        source
	Instant                           bool
}

// choice is what somebody has chosen on a dashboard, by the names of its variables.
// Everything is chosen of those that it does not name.
type choice map[string]string

// boards are the dashboards, and the choices with which the tests ask their
// expressions. Of StatsD and collectd nothing is declared, and their events have no
// length (those of collectd no end), so they leave out what asks for those; a script leaves out what asks for
// the bridges of a receiver.
var boards = map[string][]choice{
	"scriptbridge.json": {{}},
	"explore.json": {
		{"source": "story", "at": "", "prefix": "coscale", "metric": "coscale_pool_size_bytes|coscale_lines_seen_total", "without": "variable at"},
		{"source": "coscale", "prefix": "coscale", "metric": "coscale_command_duration_seconds|coscale_clicks_total"},
		{"source": "statsd", "prefix": "statsd", "metric": "queue|jobs_total", "without": `variable group|"\$metric", query C|Spans`},
		{"source": "collectd", "prefix": "collectd", "metric": "collectd_load|collectd_df_used_total", "without": `variable group|"\$metric", query C|Spans|time range", query B`},
	},
}

func loadBoard(t *testing.T, file string) *board {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(boardFolder, file))
	if err != nil {
		t.Fatal(err)
	}
	b := &board{}
	if err := json.NewDecoder(bytes.NewReader(text)).Decode(b); err != nil {
		t.Fatalf("%s: %v", file, err)
	}
	return b
}

// TestLayout holds what makes a dashboard importable and good to look at.
func TestLayout(t *testing.T) {
	uids := make(map[string]string)
	for file := range boards {
		b := loadBoard(t, file)
		if other := uids[b.UID]; other != "" || b.UID == "" {
			t.Errorf("%s: its uid %q is that of %q", file, b.UID, other)
		}
		uids[b.UID] = file
		if b.ID != nil {
			t.Errorf("%s: an id belongs to one Grafana; it stops an import", file)
		}
		if b.Title == "" || b.Description == "" || b.SchemaVersion < 39 {
			t.Errorf("%s: no title, no description, or the schema version %d is under 39", file, b.SchemaVersion)
		}
		checkPanels(t, file, b)
	}
	for file := range boards {
		text, err := os.ReadFile(filepath.Join(boardFolder, file))
		if err != nil {
			t.Fatal(err)
		}
		links := regexp.MustCompile(`/d/([\w-]+)`).FindAllSubmatch(text, -1)
		if len(links) == 0 {
			t.Errorf("%s: no link to the other dashboard", file)
		}
		for _, link := range links {
			if uids[string(link[1])] == "" {
				t.Errorf("%s: a link leads to %s, which is no dashboard here", file, link[1])
			}
		}
	}
}

func checkPanels(t *testing.T, file string, b *board) {
	t.Helper()
	const columns = 24 // of Grafana's grid
	taken := make(map[[2]int]string)
	for _, p := range b.Panels {
		name := fmt.Sprintf("%s: panel %q", file, p.Title)
		if p.Title == "" || p.Type != "row" && p.Description == "" {
			t.Errorf("%s has no title or no description", name)
		}
		g := p.GridPos
		if g.X < 0 || g.Y < 0 || g.W < 1 || g.H < 1 || g.X+g.W > columns {
			t.Errorf("%s is outside the grid: %+v", name, g)
		}
		for x := g.X; x < g.X+g.W; x++ {
			for y := g.Y; y < g.Y+g.H; y++ {
				if other := taken[[2]int{x, y}]; other != "" {
					t.Fatalf("%s overlaps with %q", name, other)
				}
				taken[[2]int{x, y}] = p.Title
			}
		}
		if p.Type == "row" {
			continue
		}
		chosen := source{"prometheus", "${datasource}"}
		if p.Datasource != chosen || len(p.Targets) == 0 {
			t.Errorf("%s has the data source %v and %d queries", name, p.Datasource, len(p.Targets))
		}
		var refs []string
		for _, q := range p.Targets {
			if q.Datasource != chosen || slices.Contains(refs, q.RefID) {
				t.Errorf("%s: query %s: the data source is %v, or the letter is there twice", name, q.RefID, q.Datasource)
			}
			refs = append(refs, q.RefID)
		}
		if p.Repeat != "" && !slices.ContainsFunc(b.Templating.List, func(v variable) bool { return v.Name == p.Repeat }) {
			t.Errorf("%s is repeated for %q, which is no variable", name, p.Repeat)
		}
	}
}

// query is one expression of a dashboard, with its variables filled in.
type query struct {
	where   string
	source  string // the script or receiver that is explored
	expr    string
	instant bool
	// labels are those that the dashboard expects in the answer.
	labels []string
}

var (
	placeholder = regexp.MustCompile(`\$(?:\{(\w+)(?::\w+)?\}|(\w+))`)
	inLegend    = regexp.MustCompile(`\{\{\s*(\w+)\s*\}\}`)
	labelValues = regexp.MustCompile(`^label_values\((.+), (\w+)\)$`)
	queryResult = regexp.MustCompile(`^query_result\((.+)\)$`)
	groupNumber = regexp.MustCompile(`^\d+$`)
)

// boardQueries are all that the dashboards ask of Prometheus, with every choice.
func boardQueries(t *testing.T) (all []query) {
	t.Helper()
	for file, choices := range boards {
		b := loadBoard(t, file)
		for _, c := range choices {
			for _, q := range b.queries(t, file, c) {
				if c["without"] == "" || !regexp.MustCompile(c["without"]).MatchString(q.where) {
					q.source = c["source"]
					all = append(all, q)
				}
			}
		}
	}
	return all
}

// queries are all that a dashboard asks of Prometheus.
func (b *board) queries(t *testing.T, file string, chosen choice) (all []query) {
	t.Helper()
	values := map[string]string{"__rate_interval": "1m", "__interval": "15s", "__range": "2h"}
	fill := func(where, text string) string {
		return placeholder.ReplaceAllStringFunc(text, func(found string) string {
			m := placeholder.FindStringSubmatch(found)
			name := m[1] + m[2]
			if groupNumber.MatchString(name) {
				return found // of label_replace
			}
			value, ok := values[name]
			if !ok {
				t.Errorf("%s: $%s is no variable of the dashboard", where, name)
			}
			return value
		})
	}
	for _, v := range b.Templating.List {
		where := fmt.Sprintf("%s: variable %s", file, v.Name)
		if v.Type == "query" {
			q := variableQuery(t, where, v)
			q.expr = fill(where, q.expr)
			all = append(all, q)
		}
		// A variable may use those before it, as in Grafana.
		value, ok := chosen[v.Name]
		if !ok {
			if value = ".+"; v.AllValue != "" {
				value = v.AllValue
			}
		}
		values[v.Name] = value
	}
	for _, a := range b.Annotations.List {
		if a.BuiltIn == 1 {
			continue
		}
		where := fmt.Sprintf("%s: annotation %s", file, a.Name)
		wanted := legendLabels(a.TitleFormat + a.TextFormat)
		wanted = append(wanted, regexp.MustCompile(`\w+`).FindAllString(a.TagKeys, -1)...)
		all = append(all, query{where: where, expr: fill(where, a.Expr), labels: wanted})
	}
	for _, p := range b.Panels {
		for _, q := range p.Targets {
			where := fmt.Sprintf("%s: panel %q, query %s", file, p.Title, q.RefID)
			wanted := legendLabels(q.LegendFormat)
			if q.Format == "table" {
				wanted = append(wanted, p.columns()...)
			}
			all = append(all, query{where: where, expr: fill(where, q.Expr), instant: q.Instant, labels: wanted})
		}
	}
	return all
}

// variableQuery is what a variable asks: the selector in label_values(…), with
// the label that is wanted, or the expression in query_result(…).
func variableQuery(t *testing.T, where string, v variable) query {
	t.Helper()
	var q struct{ Query string }
	if err := json.Unmarshal(v.Query, &q); err != nil {
		t.Fatalf("%s: %v", where, err)
	}
	if m := labelValues.FindStringSubmatch(q.Query); m != nil {
		return query{where: where, expr: m[1], instant: true, labels: []string{m[2]}}
	}
	if m := queryResult.FindStringSubmatch(q.Query); m != nil {
		return query{where: where, expr: m[1], instant: true}
	}
	t.Fatalf("%s: neither label_values(…) nor query_result(…): %s", where, q.Query)
	return query{}
}

func legendLabels(format string) (names []string) {
	for _, m := range inLegend.FindAllStringSubmatch(format, -1) {
		names = append(names, m[1])
	}
	return names
}

// columns are the labels that a table hides, orders or renames.
func (p panel) columns() (names []string) {
	made := regexp.MustCompile(`^(Time|Value( #[A-Z])?|__name__)$`)
	add := func(name string) {
		if !made.MatchString(name) && !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	for _, tr := range p.Transformations {
		for name := range tr.Options.ExcludeByName {
			add(name)
		}
		for name := range tr.Options.IndexByName {
			add(name)
		}
		for name := range tr.Options.RenameByName {
			add(name)
		}
	}
	return names
}

// TestTables looks for columns of queries that are not there, and for columns and
// variables that links name and that are not there.
func TestTables(t *testing.T) {
	byUID := make(map[string]*board)
	for file := range boards {
		b := loadBoard(t, file)
		byUID[b.UID] = b
	}
	for file := range boards {
		for _, p := range loadBoard(t, file).Panels {
			columns := p.checkColumns(t, file)
			for _, url := range p.links(t) {
				for _, m := range regexp.MustCompile(`__data\.fields\.(\w+)`).FindAllStringSubmatch(url, -1) {
					if !slices.Contains(columns, m[1]) {
						t.Errorf("%s: panel %q has no column %s, which a link names: %s", file, p.Title, m[1], url)
					}
				}
				to := regexp.MustCompile(`^/d/([\w-]+)`).FindStringSubmatch(url)
				for _, m := range regexp.MustCompile(`var-(\w+)`).FindAllStringSubmatch(url, -1) {
					if !slices.ContainsFunc(byUID[to[1]].Templating.List, func(v variable) bool { return v.Name == m[1] }) {
						t.Errorf("%s: panel %q: %s has no variable %s", file, p.Title, to[1], m[1])
					}
				}
			}
		}
	}
}

// checkColumns gives the columns of a table, by the names that it gives them.
func (p panel) checkColumns(t *testing.T, file string) (columns []string) {
	for _, tr := range p.Transformations {
		for name, shown := range tr.Options.RenameByName {
			columns = append(columns, shown)
			value := regexp.MustCompile(`^Value #([A-Z])$`).FindStringSubmatch(name)
			if value != nil && !slices.ContainsFunc(p.Targets, func(q target) bool { return q.RefID == value[1] }) {
				t.Errorf("%s: panel %q renames %s; there is no such query", file, p.Title, strconv.Quote(name))
			}
		}
	}
	return columns
}

// links are the addresses to which the cells of a table lead.
func (p panel) links(t *testing.T) (urls []string) {
	t.Helper()
	for _, o := range p.FieldConfig.Overrides {
		for _, property := range o.Properties {
			if property.ID != "links" {
				continue
			}
			var links []struct{ URL string }
			if err := json.Unmarshal(property.Value, &links); err != nil {
				t.Fatal(err)
			}
			for _, l := range links {
				urls = append(urls, l.URL)
			}
		}
	}
	return urls
}

// checkLinks follows the links to the pages of a bridge, as the cells of the story's
// tables would have them.
func checkLinks(t *testing.T, address string) {
	t.Helper()
	cells := strings.NewReplacer("${scheme}", "http", "${__data.fields.Instance}", address, "${base}", "", "${__data.fields.Script:percentencode}", "story",
		"${__data.fields.Receiver:percentencode}", "statsd", "${__data.fields.Upload:percentencode}", "coscale")
	followed := make(map[string]bool)
	for file := range boards {
		for _, p := range loadBoard(t, file).Panels {
			for _, url := range p.links(t) {
				if strings.HasPrefix(url, "/d/") || followed[url] {
					continue
				}
				followed[url] = true
				if _, err := get(cells.Replace(url)); err != nil {
					t.Errorf("%s: panel %q: %v", file, p.Title, err)
				}
			}
		}
	}
	if len(followed) < 4 { // the status page, and one of each kind
		t.Errorf("only these links lead to the bridge: %v", followed)
	}
}
