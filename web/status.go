package web

import (
	"cmp"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"scriptbridge/internal/texts"
	"scriptbridge/record"
	"scriptbridge/script"
	"scriptbridge/status"
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
	Script  string // that refreshes in place of the browser
	Carry   string // the query by which other pages are refreshed as well
	Toggle  string // the link that switches refreshing on or off
}

func (s *Server) frame(title, base string, now time.Time) frame {
	return frame{
		Title: title, Base: base, Style: base + s.stylePath, Script: base + s.refreshPath, Metrics: base + s.TelemetryPath[1:],
		Version: s.Version, Up: roughly(now.Sub(s.started)),
	}
}

// refreshing reads ?refresh= for a page that knows no other query.
func (f *frame) refreshing(form url.Values) {
	if f.Refresh = refreshOf(form); f.Refresh > 0 {
		f.Toggle, f.Carry = "?", carried(f.Refresh)
	} else {
		f.Toggle = query{Sort: defaultSort}.toggled().href()
	}
}

// carried is a query that refreshes another page in the same way; empty for none.
func carried(refresh int) string {
	if refresh == 0 {
		return ""
	}
	return "?refresh=" + strconv.Itoa(refresh)
}

// statusPage is the data of page/status.html.
type statusPage struct {
	frame
	Query    query
	Total    string
	Series   string
	Filters  []filterLink
	Finds    string // what is searched
	Scripts  table
	Config   configLine
	Textfile *textfileLine
	// Contained is by what the processes of a run are kept together.
	Contained string

	Receivers, Uploads table
	Others             []other
}

// configLine tells of the last reload; Text, which may quote the file, is for
// private pages.
type configLine struct {
	OK   bool
	At   shownTime
	Text string
}

// scriptRow is one script of the table.
type scriptRow struct {
	*script.View
	name            string
	state           status.State
	series, refused int
	tallies         []tally // of what was refused
	carry           string  // see frame.Carry
	private         bool
	now             time.Time
}

// badge is a result for people: never by colour alone.
type badge struct{ Class, Sign, Word string }

// scriptBadge is how a script is.
func scriptBadge(v *script.View) badge {
	switch s := status.OfScript(v); s {
	case status.Disabled, status.OnRequest, status.NotYetRun:
		return badge{"new", "○", s.Words()}
	}
	return badgeOf(v.Last)
}

// badgeOf is what became of a run: what the script says of what it looked at, where
// the run gave such a state.
func badgeOf(v *script.Verdict) badge {
	b := badge{"warn", "?", strings.ToUpper(string(status.OfRun(v)))}
	switch status.OfRun(v) {
	case status.Failing:
		b = badge{"bad", "✕", string(v.Result)}
	case status.OK:
		b = badge{"ok", "✓", "ok"}
		if v.Answer != nil {
			b.Word = "OK"
		}
	case status.Critical:
		b.Class, b.Sign = "bad", "!"
	case status.Warning:
		b.Sign = "▲"
	}
	return b
}

// troubled reports whether a run went well and its script says that something else
// does not.
func troubled(v *script.Verdict) bool {
	s := status.OfRun(v)
	return s != status.Failing && s != status.OK
}

// answerOf is the text with which a script says its state; empty for others. It is
// private.
func answerOf(v *script.Verdict) string {
	if v.Answer == nil {
		return ""
	}
	return v.Answer.Text
}

func failing(v *script.View) bool { return v.Last != nil && v.Last.Result != record.OK }

// scriptFilters are what the table of scripts can be narrowed to, in the order
// of their links.
var scriptFilters = []filter[*scriptRow]{
	{name: "failing", label: "failing", class: "bad", has: hasState(status.Failing)},
	{name: "critical", label: "CRITICAL", class: "bad", has: hasState(status.Critical), rare: true},
	{name: "warning", label: "WARNING", class: "warn", has: hasState(status.Warning), rare: true},
	{name: "unknown", label: "UNKNOWN", class: "warn", has: hasState(status.Unknown), rare: true},
	{name: "refused", label: "with refused lines", class: "warn", has: func(r *scriptRow) bool { return r.refused > 0 }},
	{name: "ok", label: "ok", class: "ok", has: hasState(status.OK)},
	{name: "new", label: "not yet run", has: hasState(status.NotYetRun)},
	{name: "on_request", label: "on request", has: func(r *scriptRow) bool { return r.Script.ProbeOnly() && r.state != status.Disabled }, rare: true},
	{name: "disabled", label: "disabled", has: hasState(status.Disabled), rare: true},
	{name: "running", label: "running", has: func(r *scriptRow) bool { return r.State == script.Running }},
	{name: "waiting", label: "waiting", has: func(r *scriptRow) bool { return r.State == script.Waiting }},
}

// hasState reports of a row whether its script is in a state.
func hasState(s status.State) func(*scriptRow) bool {
	return func(r *scriptRow) bool { return r.state == s }
}

// scriptColumns are the columns of the table of scripts; equal rows stay in the
// order of the configuration.
var scriptColumns = []column[*scriptRow]{
	{
		title: "Script", cells: "name",
		cell: func(r *scriptRow) cell {
			return headingCell(r.name, "scripts/"+url.PathEscape(r.Script.Name)+r.carry)
		},
		key: "name", compare: func(a, b *scriptRow) int { return cmp.Compare(a.name, b.name) },
	}, {
		title: "Dialect", cells: "dialect",
		cell: func(r *scriptRow) cell { return textCell(r.Script.Dialect) },
		key:  "dialect", compare: func(a, b *scriptRow) int { return cmp.Compare(a.Script.Dialect, b.Script.Dialect) },
	}, {
		title: "State", cells: "state",
		cell: func(r *scriptRow) cell { return badgeCell(scriptBadge(r.View)).small(activity(r.View, r.now)) },
		key:  "state", compare: func(a, b *scriptRow) int { return cmp.Compare(a.urgency(), b.urgency()) },
	}, {
		title: "Last runs", class: "lesser", cells: "spark lesser",
		cell: func(r *scriptRow) cell { return cell{html: barsOf(r.History)} },
	}, {
		title: "Last run", cells: "last",
		cell: func(r *scriptRow) cell {
			return r.ofRun(func(v *script.Verdict) cell { return timeCell(ago(v.Start, r.now)) })
		},
		key: "last", down: true, compare: func(a, b *scriptRow) int { return a.Since.Compare(b.Since) },
	}, {
		title: "Next", cells: "next",
		cell: func(r *scriptRow) cell { return timeCell(next(r.View, r.now)) },
		key:  "next", compare: func(a, b *scriptRow) int { return a.Next.Compare(b.Next) },
	}, {
		title: "Took", class: "num", cells: "num took",
		cell: func(r *scriptRow) cell {
			return r.ofRun(func(v *script.Verdict) cell { return textCell(took(v.Duration)) })
		},
		key: "duration", down: true, compare: func(a, b *scriptRow) int { return cmp.Compare(a.last().Duration, b.last().Duration) },
	}, {
		title: "Exit", class: "num exit", cells: "num exit",
		cell: func(r *scriptRow) cell {
			return r.ofRun(func(v *script.Verdict) cell { return textCell(exitCode(v)) })
		},
		key: "exit", down: true, compare: func(a, b *scriptRow) int { return cmp.Compare(a.last().ExitCode, b.last().ExitCode) },
	}, {
		title: "Series", class: "num", cells: "num series",
		cell: func(r *scriptRow) cell { return textCell(number(r.series)) },
		key:  "series", down: true, compare: func(a, b *scriptRow) int { return cmp.Compare(a.series, b.series) },
	}, {
		title: "Refused", class: "num", cells: "num refused",
		cell: func(r *scriptRow) cell { return refusedCell(r.refused) },
		key:  "refused", down: true, compare: func(a, b *scriptRow) int { return cmp.Compare(a.refused, b.refused) },
	}, {
		title: "Message", cells: "note",
		cell: func(r *scriptRow) cell { return r.note() },
	},
}

// refusedCell is how many were refused; nothing for none.
func refusedCell(n int) cell {
	if n == 0 {
		return cell{}
	}
	return cell{html: escape(number(n)), tone: warnTone}
}

// urgency orders rows by what wants looking at: what fails, then what says that
// something else does, then what loses lines.
func (r *scriptRow) urgency() int { return status.Urgency(r.state, r.refused) }

// last is the verdict on the last run, or an empty one, for comparing.
func (r *scriptRow) last() *script.Verdict {
	if r.Last == nil {
		return &script.Verdict{}
	}
	return r.Last
}

// ran says that there is a last run to show.
func (r *scriptRow) ran() bool { return r.Last != nil && r.State != script.Disabled }

// ofRun is a cell about the last run; empty where there is none to show.
func (r *scriptRow) ofRun(show func(*script.Verdict) cell) cell {
	if !r.ran() {
		return cell{}
	}
	return show(r.Last)
}

// note is why a script fails, is disabled or loses lines, or what it says itself.
func (r *scriptRow) note() cell {
	switch {
	case r.state == status.Failing && r.private:
		return failureCell(r.Last).in(badTone)
	case r.state == status.Failing:
		return noteCell(status.Cause(r.Last, r.Timeout)).in(badTone)
	case r.state == status.Disabled:
		if !r.private || len(r.Warnings) == 0 {
			return cell{}
		}
		return noteCell(excerpt(r.Warnings[len(r.Warnings)-1]))
	case r.Last == nil:
		return cell{}
	case r.private && answerOf(r.Last) != "":
		return noteCell(excerpt(answerOf(r.Last))).in(tones[r.state.Severity()])
	case r.refused > 0:
		return noteCell("refused: " + strings.Join(tallyTexts(r.tallies), ", ")).in(warnTone)
	}
	return cell{}
}

// failureCell is why a run failed, with the last line that it wrote to standard error,
// which comes first where the script ended by itself: it then says why.
func failureCell(v *script.Verdict) cell {
	why := status.ErrorOf(v)
	if v.Stderr == "" || strings.Contains(why, v.Stderr) {
		return noteCell(excerpt(why))
	}
	said := `<code>` + escape(excerpt(v.Stderr)) + `</code>`
	if v.Result == record.Error && v.ExitCode > 0 {
		return cell{html: `<span>` + said + ` ` + escape(excerpt(why)) + `</span>`}
	}
	return cell{html: `<span>` + escape(excerpt(why)) + ` ` + said + `</span>`}
}

// tones are those of what a script says of its state.
var tones = [...]tone{status.Fine: plainTone, status.Minor: warnTone, status.Major: badTone}

// matches reports whether the text is part of the script's name or dialect, or of what
// the reader may see of its last run.
func (r *scriptRow) matches(text string) bool {
	if strings.Contains(strings.ToLower(r.Script.Name), text) || strings.Contains(r.Script.Dialect, text) {
		return true
	}
	return r.private && r.Last != nil && slices.ContainsFunc([]string{status.ErrorOf(r.Last), r.Last.Stderr, answerOf(r.Last)}, func(said string) bool {
		return strings.Contains(strings.ToLower(said), text)
	})
}

func (s *Server) serveStatus(w http.ResponseWriter, r *http.Request) {
	now := time.Now()
	private := s.gate.Hidden(r) == ""
	q := queryOf(r.URL.Query(), scriptColumns, scriptFilters)
	p := statusPage{frame: s.frame("scriptbridge", "./", now), Query: q}
	p.Refresh, p.Toggle, p.Carry = q.Refresh, q.toggled().href(), carried(q.Refresh)

	rows, series := s.scriptRows(private, now)
	series += s.receiverTable(&p, private, now)
	s.uploadTable(&p, private, now)
	p.Title = tabTitle(rows, p.Others)
	if p.Finds = "Name or dialect"; private {
		p.Finds = "Name, dialect or message"
	}
	p.Total = count(len(rows), "script")
	p.Filters = filterLinks(scriptFilters, rows, q)
	rows = slices.DeleteFunc(keep(scriptFilters, rows, q.State), func(r *scriptRow) bool { return !r.matches(strings.ToLower(q.Text)) })
	sortRows(scriptColumns, rows, q)
	for _, r := range rows {
		r.carry = p.Carry
	}
	p.Scripts = tableOf(table{Class: "scripts", Headings: sortableHeadings(scriptColumns, q)}, scriptColumns, rows)
	p.Series = number(series)
	p.Contained = strings.ReplaceAll(strings.TrimSuffix(string(s.Scripts.Containment()), "s"), "_", " ") + "s"

	p.Textfile = lineOf(status.Maker{Private: private}.Textfile(s.Textfile()), now)
	ok, at, err := s.ConfigStatus()
	p.Config = configLine{OK: ok, At: ago(at, now)}
	if !ok && err != nil && private {
		p.Config.Text = texts.Visible(err.Error())
	}
	s.render(w, http.StatusOK, s.status, p)
}

// scriptRows gives a row for each script, and the number of all their series.
func (s *Server) scriptRows(private bool, now time.Time) (rows []*scriptRow, series int) {
	views := s.Scripts.Views()
	rows = make([]*scriptRow, len(views))
	for i := range views {
		v := &views[i]
		r := &scriptRow{View: v, name: texts.Visible(v.Script.Name), state: status.OfScript(v), private: private, now: now}
		r.series = s.Page.Count(record.Script, v.Script.Name)
		if r.ran() {
			refusals, refused := s.Page.Refusals(record.Script, v.Script.Name)
			if r.refused = refused + v.Last.Refused; r.refused > 0 {
				r.tallies = talliesOf(v.Last.Reasons, refusals, refused)
			}
		}
		rows[i] = r
		series += r.series
	}
	return rows, series
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

// next is when a script runs next, where that is known.
func next(v *script.View, now time.Time) shownTime {
	if v.State == script.Running || v.State == script.Disabled {
		return shownTime{}
	}
	return soon(v.Next, now)
}

func exitCode(v *script.Verdict) string {
	if v.ExitCode < 0 {
		return "" // it did not exit by itself
	}
	return strconv.Itoa(v.ExitCode)
}

// excerpt is a text for a cell of a private page.
func excerpt(text string) string { return texts.Visible(texts.Shorten(text, 240)) }
