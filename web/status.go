package web

import (
	"cmp"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"time"

	"scriptbridge/internal/texts"
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

func (s *Server) frame(title, base string, now time.Time) frame {
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
	Refused             string // empty for none
	Note                string

	view            script.View
	series, refused int
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
	has                func(*row) bool
}{
	{"failing", "failing", "bad", func(r *row) bool { return failing(&r.view) }},
	{"refused", "with refused lines", "warn", func(r *row) bool { return r.refused > 0 }},
	{"ok", "ok", "ok", func(r *row) bool { return r.view.Last != nil && r.view.Last.Result == record.OK }},
	{"new", "not yet run", "", func(r *row) bool { return r.view.Last == nil }},
	{"running", "running", "", func(r *row) bool { return r.view.State == script.Running }},
	{"waiting", "waiting", "", func(r *row) bool { return r.view.State == script.Waiting }},
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
	{"refused", "Refused", "num", true, func(a, b *row) int { return cmp.Compare(a.refused, b.refused) }},
	{"", "Last error", "", false, nil},
}

// urgency orders rows by what wants looking at: what fails, then what loses
// lines.
func urgency(r *row) int {
	switch {
	case failing(&r.view):
		return 0
	case r.refused > 0:
		return 1
	}
	return 2
}

// last is the verdict on the last run, or an empty one, for comparing.
func (r *row) last() *script.Verdict {
	if r.view.Last == nil {
		return &script.Verdict{}
	}
	return r.view.Last
}

func (s *Server) serveStatus(w http.ResponseWriter, r *http.Request) {
	now := time.Now()
	private := s.gate.Hidden(r) == ""
	q := queryOf(r.URL.Query())
	p := statusPage{frame: s.frame("scriptbridge", "./", now), Query: q}
	p.Refresh, p.Toggle = q.Refresh, q.toggled().href()
	views := s.Scripts.Views()
	p.Total = count(len(views), "script")
	p.Columns = columns(q)

	total := 0
	all := make([]*row, len(views))
	for i := range views {
		all[i] = s.row(views[i], private, now)
		total += all[i].series
	}
	p.Filters = filters(all, q)
	p.Rows = slices.DeleteFunc(all, func(r *row) bool { return !q.wants(r) })
	q.sort(p.Rows)
	total += s.others(&p, private, now)
	p.Series = number(total)
	ok, at, err := s.ConfigStatus()
	p.Config = configLine{OK: ok, At: ago(at, now)}
	if !ok && err != nil && private {
		p.Config.Text = texts.Visible(err.Error())
	}
	s.render(w, http.StatusOK, s.status, p)
}

func (s *Server) row(v script.View, private bool, now time.Time) *row {
	series := s.Page.Count(record.Script, v.Script.Name)
	r := &row{
		Name: texts.Visible(v.Script.Name), Href: "scripts/" + url.PathEscape(v.Script.Name),
		Dialect: v.Script.Dialect.Name, Badge: badgeOf(v.Last), Activity: activity(&v, now),
		Bars: barsOf(v.History), Series: number(series), view: v, series: series,
	}
	if v.State != script.Running && v.State != script.Disabled {
		r.Next = soon(v.Next, now)
	}
	if v.Last == nil {
		return r
	}
	if v.State == script.Disabled {
		r.Badge = badge{"new", "○", "disabled"}
		if private && len(v.Warnings) > 0 {
			r.Note = texts.Visible(texts.Shorten(v.Warnings[len(v.Warnings)-1], 240))
		}
		return r
	}
	r.Last, r.Took, r.Exit = ago(v.Last.Start, now), took(v.Last.Duration), exitCode(v.Last)
	_, refused := s.Page.Refusals(record.Script, v.Script.Name)
	if r.refused = refused + v.Last.Refused; r.refused > 0 {
		r.Refused = number(r.refused)
	}
	if failing(&v) {
		r.Note = why(v.Last, v.Timeout)
		if private {
			r.Note = texts.Visible(texts.Shorten(errorOf(v.Last), 240))
		}
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
