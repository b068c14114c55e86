package web

import (
	"cmp"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"scriptbridge/record"
	"scriptbridge/script"
)

// frame is what every page has around it.
type frame struct {
	Title   string
	Base    string // from the page to the root: pages work behind any prefix
	Style   string
	Metrics string
	Version string
	Up      string
	Refresh int    // seconds; 0 for never
	Toggle  string // the link that switches refreshing on or off
}

func (s *server) frame(title, base string, now time.Time) frame {
	return frame{
		Title: title, Base: base, Style: base + s.stylePath, Metrics: base + s.TelemetryPath[1:],
		Version: s.Version, Up: roughly(now.Sub(s.started)),
	}
}

// statusPage is the data of page/status.html.
type statusPage struct {
	frame
	Query   query
	Total   string
	Series  string
	Filters []filter
	Columns []column
	Rows    []*row
	Config  configLine

	Receivers []*receiverRow
	Uploads   []*uploadRow
	Others    []other
}

// filter is a link that shows the scripts of one state only.
type filter struct {
	Label, Count, Href string
	Class              string
	On                 bool
}

// column is a table's heading, and its link where one can sort by it.
type column struct {
	Title, Class, Href, Sorted string // Sorted as aria-sort has it; empty when it is not
}

// configLine tells of the last reload; Text, which may quote the file, is for
// private pages.
type configLine struct {
	OK   bool
	At   moment
	Text string
}

// row is one script of the table.
type row struct {
	Name, Href, Dialect string
	Badge               badge
	Activity            string
	Bars                bars
	Last, Next          moment
	Took, Exit, Series  string
	Note, NoteClass     string

	view   script.View
	series int
}

// badge is a result for people: never by colour alone.
type badge struct{ Class, Sign, Word string }

func badgeOf(v *script.Verdict) badge {
	switch {
	case v == nil:
		return badge{"new", "○", "not yet run"}
	case v.Result == record.OK:
		return badge{"ok", "✓", "ok"}
	}
	return badge{"bad", "✕", string(v.Result)}
}

func failing(v *script.View) bool { return v.Last != nil && v.Last.Result != record.OK }

// states are what the table can be narrowed to, in the order of their links.
var states = []struct {
	name, label, class string
	has                func(*script.View) bool
}{
	{"failing", "failing", "bad", failing},
	{"ok", "ok", "ok", func(v *script.View) bool { return v.Last != nil && v.Last.Result == record.OK }},
	{"new", "not yet run", "", func(v *script.View) bool { return v.Last == nil }},
	{"running", "running", "", func(v *script.View) bool { return v.State == script.Running }},
	{"waiting", "waiting", "", func(v *script.View) bool { return v.State == script.Waiting }},
}

// orders are the table's columns and how each sorts; equal rows stay in the
// order of the configuration. Where the first click sorts downwards, most is
// what one looks for.
var orders = []struct {
	key, title, class string
	down              bool
	compare           func(a, b *row) int
}{
	{"name", "Script", "", false, func(a, b *row) int { return cmp.Compare(a.Name, b.Name) }},
	{"dialect", "Dialect", "", false, func(a, b *row) int { return cmp.Compare(a.Dialect, b.Dialect) }},
	{"state", "State", "", false, func(a, b *row) int { return cmp.Compare(urgency(a), urgency(b)) }},
	{"", "Last runs", "lesser", false, nil},
	{"last", "Last run", "", true, func(a, b *row) int { return a.view.Since.Compare(b.view.Since) }},
	{"next", "Next", "", false, func(a, b *row) int { return a.view.Next.Compare(b.view.Next) }},
	{"duration", "Took", "num", true, func(a, b *row) int { return cmp.Compare(a.last().Duration, b.last().Duration) }},
	{"exit", "Exit", "num", true, func(a, b *row) int { return cmp.Compare(a.last().ExitCode, b.last().ExitCode) }},
	{"series", "Series", "num", true, func(a, b *row) int { return cmp.Compare(a.series, b.series) }},
	{"", "Last error", "", false, nil},
}

func urgency(r *row) int {
	if failing(&r.view) {
		return 0
	}
	return 1
}

// last is the verdict on the last run, or an empty one, for comparing.
func (r *row) last() *script.Verdict {
	if r.view.Last == nil {
		return &script.Verdict{}
	}
	return r.view.Last
}

func (s *server) serveStatus(w http.ResponseWriter, r *http.Request) {
	now := time.Now()
	private := s.gate.Hidden(r) == ""
	q := queryOf(r.URL.Query())
	p := statusPage{frame: s.frame("scriptbridge", "./", now), Query: q}
	p.Refresh, p.Toggle = q.Refresh, q.toggled().href()
	views := s.Scripts.Views()
	p.Total = count(len(views), "script")
	p.Filters = filters(views, q)
	p.Columns = columns(q)

	total := 0
	for i := range views {
		n := s.Page.Count(record.Script, views[i].Script.Name)
		total += n
		if q.wants(&views[i]) {
			p.Rows = append(p.Rows, s.row(views[i], n, private, now))
		}
	}
	q.sort(p.Rows)
	total += s.others(&p, private, now)
	p.Series = number(total)
	ok, at, err := s.ConfigStatus()
	p.Config = configLine{OK: ok, At: ago(at, now)}
	if !ok && err != nil && private {
		p.Config.Text = visible(err.Error())
	}
	s.render(w, s.status, p)
}

func (s *server) row(v script.View, series int, private bool, now time.Time) *row {
	r := &row{
		Name: visible(v.Script.Name), Href: "scripts/" + url.PathEscape(v.Script.Name),
		Dialect: v.Script.Dialect.Name, Badge: badgeOf(v.Last), Activity: activity(&v, now),
		Bars: barsOf(v.History), Series: number(series), view: v, series: series,
	}
	if v.State != script.Running {
		r.Next = soon(v.Next, now)
	}
	if v.Last == nil {
		return r
	}
	r.Last, r.Took, r.Exit = ago(v.Last.Start, now), took(v.Last.Duration), exitCode(v.Last)
	if failing(&v) {
		r.Note, r.NoteClass = why(v.Last, v.Timeout), "bad"
		if private {
			r.Note = visible(shorten(errorOf(v.Last), 240))
		}
		return r
	}
	_, refused := s.Page.Refusals(record.Script, v.Script.Name)
	if refused += v.Last.Refused; refused > 0 {
		r.Note, r.NoteClass = number(refused)+" refused", "warn"
	}
	return r
}

// activity says what a script is doing; empty when it only waits for its next
// slot.
func activity(v *script.View, now time.Time) string {
	switch v.State {
	case script.Running:
		return "running " + roughly(now.Sub(v.Since))
	case script.Waiting:
		return "waiting"
	}
	return ""
}

func exitCode(v *script.Verdict) string {
	if v.ExitCode < 0 {
		return "" // it did not exit by itself
	}
	return strconv.Itoa(v.ExitCode)
}

// why says in words why a run failed, without a word of the script's.
func why(v *script.Verdict, timeout time.Duration) string {
	switch {
	case v.Result == record.Timeout:
		return "ran longer than its timeout of " + span(timeout)
	case v.Result == record.Killed:
		return "ended by a signal, or for too much output"
	case v.Result == record.Invalid:
		return "what it printed could not be read"
	case v.ExitCode > 0:
		return "exit code " + strconv.Itoa(v.ExitCode)
	case v.ExitCode < 0:
		return "could not be run"
	}
	return "failed"
}

// errorOf is the verdict's own text, for private pages.
func errorOf(v *script.Verdict) string {
	if v.Err == nil {
		return string(v.Result)
	}
	return v.Err.Error()
}

func filters(views []script.View, q query) []filter {
	all := q
	all.State = ""
	list := []filter{{Label: "all", Count: number(len(views)), Href: all.href(), On: q.State == ""}}
	for _, st := range states {
		n := 0
		for i := range views {
			if st.has(&views[i]) {
				n++
			}
		}
		one := q
		one.State = st.name
		f := filter{Label: st.label, Count: number(n), Href: one.href(), On: q.State == st.name}
		if n > 0 {
			f.Class = st.class
		}
		list = append(list, f)
	}
	return list
}

func columns(q query) []column {
	list := make([]column, len(orders))
	for i, o := range orders {
		list[i] = column{Title: o.title, Class: o.class}
		if o.compare == nil {
			continue
		}
		to := q
		to.Sort, to.Down = o.key, o.down
		if q.Sort == o.key {
			to.Down = !q.Down
			list[i].Sorted = "ascending"
			if q.Down {
				list[i].Sorted = "descending"
			}
		}
		list[i].Href = to.href()
	}
	return list
}

// query is what one asks of the status page: ?sort=-duration&state=failing&q=web&refresh=10.
type query struct {
	Sort    string // a column's key; by state when it is left out: what fails comes first
	Down    bool
	State   string // one of states; empty for all
	Text    string // part of a script's name or dialect
	Refresh int    // seconds; 0 for never
}

const (
	defaultSort    = "state"
	defaultRefresh = 10
)

// queryOf reads a query. What it does not know it leaves out: an old bookmark
// still shows a page.
func queryOf(form url.Values) query {
	q := query{Sort: defaultSort, Text: strings.TrimSpace(form.Get("q")), Refresh: refreshOf(form)}
	key, down := strings.CutPrefix(form.Get("sort"), "-")
	for _, o := range orders {
		if o.compare != nil && o.key == key {
			q.Sort, q.Down = key, down
		}
	}
	for _, st := range states {
		if st.name == form.Get("state") {
			q.State = st.name
		}
	}
	return q
}

func refreshOf(form url.Values) int {
	n, err := strconv.Atoi(form.Get("refresh"))
	if err != nil || n <= 0 {
		return 0
	}
	return min(n, 24*3600)
}

// SortParam is the value of ?sort=; empty for the default.
func (q query) SortParam() string {
	switch {
	case q.Down:
		return "-" + q.Sort
	case q.Sort == defaultSort:
		return ""
	}
	return q.Sort
}

func (q query) href() string {
	form := url.Values{}
	set := func(name, value string) {
		if value != "" {
			form.Set(name, value)
		}
	}
	set("sort", q.SortParam())
	set("state", q.State)
	set("q", q.Text)
	if q.Refresh > 0 {
		set("refresh", strconv.Itoa(q.Refresh))
	}
	if len(form) == 0 {
		return "./"
	}
	return "?" + form.Encode()
}

// toggled is the query with refreshing switched on or off.
func (q query) toggled() query {
	if q.Refresh > 0 {
		q.Refresh = 0
	} else {
		q.Refresh = defaultRefresh
	}
	return q
}

func (q query) wants(v *script.View) bool {
	for _, st := range states {
		if st.name == q.State && !st.has(v) {
			return false
		}
	}
	text := strings.ToLower(q.Text)
	return strings.Contains(strings.ToLower(v.Script.Name), text) || strings.Contains(v.Script.Dialect.Name, text)
}

func (q query) sort(rows []*row) {
	for _, o := range orders {
		if o.key != q.Sort || o.compare == nil {
			continue
		}
		slices.SortStableFunc(rows, func(a, b *row) int {
			if q.Down {
				a, b = b, a
			}
			return o.compare(a, b)
		})
	}
}
