package web

import (
	"errors"
	"html/template"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"scriptbridge/collector"
	"scriptbridge/internal/relative"
	"scriptbridge/internal/texts"
	"scriptbridge/record"
	"scriptbridge/script"
	"scriptbridge/status"
)

// What a script's page shows at most; the metrics page has the rest.
const (
	seriesShown   = 1000
	warningsShown = 50
)

// scriptPage is the data of page/script.html. What the operator has not opened
// to this reader stays empty, and Hidden says why.
type scriptPage struct {
	frame
	Name, Dialect string
	Badge         badge
	Activity      string
	Bars          template.HTML
	Facts         factList
	Why           string // in our own words
	Hidden        string

	seriesList
	Refused  tallies
	Stale    bool // the series are of an earlier run
	Declared table
	Events   table
	Runs     table
	Charts   []chart
	Ran      int // that the charts are of
	Probes   table
	Asked    bool       // it runs only when it is probed
	RunNow   string     // where that is asked for; empty where it is not allowed
	Probe    *probeForm // nil where it may not be probed

	// Private from here on.
	Error    string
	Said     string // the text of the script's own state
	Command  []string
	Warnings []string
	Output   output
	Stderr   []stderrRun
	Config   string
}

// seriesList is what a page shows of a source's series.
type seriesList struct {
	Series  []note
	More    int // series that are not shown
	SeriesN string
	Open    bool // without a click
}

func listOf(series []collector.SeriesView, open bool) seriesList {
	l := seriesList{More: max(0, len(series)-seriesShown), SeriesN: number(len(series)), Open: open}
	for _, one := range series[:min(len(series), seriesShown)] {
		l.Series = append(l.Series, note{Text: texts.Visible(one.Text), Value: plainNumber(one.Value), Made: made(one)})
	}
	return l
}

// made says how a series' value came of what was printed, where that is another.
func made(s collector.SeriesView) string {
	switch {
	case s.Mean > 0:
		return "mean over " + texts.Span(s.Mean)
	case s.Sum:
		return "added up"
	}
	return ""
}

// tally is how many lines or samples were refused for a reason.
type tally struct {
	Reason, Count string
	Href          string // what is known of the reason; empty for nothing
}

func (s *Server) serveScript(w http.ResponseWriter, r *http.Request) {
	v, ok := s.Scripts.View(r.PathValue("name"))
	if !ok {
		s.NotFound(w, r, "there is no script of this name")
		return
	}
	now := time.Now()
	name := v.Script.Name
	p := &scriptPage{
		frame: s.frame(texts.Visible(name)+" – scriptbridge", "../", now),
		Name:  texts.Visible(name), Dialect: v.Script.Dialect, Badge: scriptBadge(&v),
		Activity: activity(&v, now), Bars: barsOf(v.History), Hidden: s.gate.Hidden(r),
	}
	p.refreshing(r.URL.Query())
	if s.Lifecycle && !v.Script.ProbeOnly() && v.State != script.Disabled {
		p.RunNow = "./" + url.PathEscape(name) + "/run" // a name with a colon would begin with a scheme
	}

	series := s.Page.Series(record.Script, name)
	refusals, refused := s.Page.Refusals(record.Script, name)
	p.public(&v, series, refused, now)
	if v.Last != nil {
		p.Refused = s.explained(v.Script.Dialect, tallies{"Refused", talliesOf(v.Last.Reasons, refusals, refused)})
	}
	if p.Hidden == "" {
		p.private(&v, series, refusals, now)
	}
	s.render(w, http.StatusOK, s.script, p)
}

// serveRun runs a script now. A browser is then led to the script's page, which shows what
// comes of it.
func (s *Server) serveRun(w http.ResponseWriter, r *http.Request) {
	name := r.PathValue("name")
	err := s.RunNow(name)
	code := http.StatusConflict
	if errors.Is(err, script.ErrNoScript) {
		code = http.StatusNotFound
	}
	switch {
	case err == nil:
		w.Header().Set("Location", "../"+url.PathEscape(name)) // whatever prefix a proxy puts before it
		plain(w, http.StatusSeeOther, "the script is run now")
	case takesPage(r):
		s.sorry(w, code, relative.Root(r), "Not run", err.Error())
	default:
		plain(w, code, err.Error())
	}
}

// public fills in what everyone may see: nothing but what /metrics says too.
// refused is how many samples of the last run the metrics page could not take.
func (p *scriptPage) public(v *script.View, series []collector.SeriesView, refused int, now time.Time) {
	p.facts(v, len(series), now)
	if failing(v) {
		p.Why = status.Cause(v.Last, v.Timeout)
	}
	p.Stale = failing(v) && v.Last.Samples == 0 && len(series) > 0
	p.seriesList = listOf(series, p.Hidden != "") // where there is little else to see
	private := p.Hidden == ""
	p.Runs = runTable(v, refused, private, now)
	if p.Ran = v.History.Len(); p.Ran > 1 {
		p.Charts = append(p.Charts, durationChart(v.Last, v.History))
		if private {
			p.Charts = append(p.Charts, trendCharts(v.Trends)...)
		}
	}
	p.Probes = probeTable(v, private, now)
	p.Asked = v.Script.ProbeOnly()
	p.Probe = formOf(v.Script, private)
	p.Events = eventTable(v.Events, private, now)
	if v.Declared != nil {
		p.Declared = declaredTable(v.Declared.Metrics)
	}
}

func (p *scriptPage) facts(v *script.View, series int, now time.Time) {
	add := p.Facts.add
	add("Dialect", v.Script.Dialect)
	if v.Script.ProbeOnly() {
		add("Interval", "none: it runs only when it is probed")
	} else if cron := v.Script.Cron; cron != "" {
		add("Schedule", texts.Visible(cron))
	} else {
		add("Interval", texts.Span(v.Interval))
	}
	add("Timeout", texts.Span(v.Timeout))
	if l := v.Last; l != nil {
		p.Facts.time("Last run", ago(l.Start, now))
		add("Took", took(l.Duration))
		if code := exitCode(l); code != "" {
			add("Exit code", code)
		}
	}
	if due := next(v, now); due.Text != "" {
		p.Facts.time("Next run", due)
	}
	add("Series", number(series))
	if l := v.Last; l != nil {
		add("Samples, events", number(l.Samples)+", "+number(l.Events))
		if l.Waited >= time.Second {
			add("Waited for a place", took(l.Waited))
		}
	}
	add("Overruns", number(v.Overruns))
}

// private fills in what the script itself said and how it is run.
func (p *scriptPage) private(v *script.View, series []collector.SeriesView, refusals []collector.Refusal, now time.Time) {
	sc := v.Script
	p.Facts.code("File", sc.File)
	if sc.Directory != "" {
		p.Facts.code("Reads", sc.Directory)
	} else {
		p.Facts.code("Runs in", sc.Dir)
	}
	p.Facts.code("Runs as", sc.User)
	p.Command = visibleAll(sc.Command)
	if failing(v) {
		p.Error = status.ErrorOf(v.Last)
		if said := v.Last.Stderr; !strings.Contains(p.Error, said) {
			p.Error += "\n" + said
		}
		p.Error = texts.Visible(p.Error)
	} else if v.Last != nil {
		p.Said = texts.Visible(answerOf(v.Last))
	}
	for _, text := range v.Warnings[:min(len(v.Warnings), warningsShown)] {
		p.Warnings = append(p.Warnings, texts.Visible(text))
	}
	if more := len(v.Warnings) - warningsShown; more > 0 {
		p.Warnings = append(p.Warnings, "and "+number(more)+" more")
	}
	p.Output = outputOf(v, series, refusals)
	p.Stderr = stderrRuns(v.Stderr, now)
	p.Config = texts.Visible(sc.YAML())
}

// talliesOf counts by reason what the dialect could not read, and what the
// metrics page could not take: all of it, of which refusals are the first.
func talliesOf(reasons map[string]int, refusals []collector.Refusal, all int) []tally {
	counts := status.Reasons(reasons, refusals, all)
	var list []tally
	for _, reason := range slices.Sorted(maps.Keys(counts)) {
		list = append(list, tally{Reason: texts.Visible(reason), Count: number(counts[reason])})
	}
	return list
}

// tallyTexts are the tallies in a line.
func tallyTexts(list []tally) (all []string) {
	for _, t := range list {
		all = append(all, t.Count+" × "+t.Reason)
	}
	return all
}

// declaredTable is what the script has declared.
func declaredTable(metrics []*record.Meta) table {
	t := table{ID: "declared", Title: "Declared metrics", Count: strconv.Itoa(len(metrics)), Fold: "Show the declared metrics"}
	return tableOf(t, []column[*record.Meta]{
		{title: "Id", cell: func(m *record.Meta) cell { return textCell(texts.Visible(m.ID)) }},
		{title: "Name", cell: func(m *record.Meta) cell {
			c := textCell(texts.Visible(m.Name))
			if rename := m.More().Rename; rename != "" {
				return c.small("shown as " + texts.Visible(rename))
			}
			return c
		}},
		{title: "Unit", cell: func(m *record.Meta) cell { return textCell(texts.Visible(m.Unit)) }},
		{title: "Type", cell: func(m *record.Meta) cell { return textCell(texts.Visible(m.Datatype + " " + m.Calctype)) }},
		{title: "Dimensions", cell: func(m *record.Meta) cell { return textCell(texts.Visible(strings.Join(m.Dimensions, ", "))) }},
		{title: "Description", cells: "message", cell: func(m *record.Meta) cell { return textCell(texts.Visible(m.Help)) }},
	}, metrics)
}

// eventTable is what happened; messages and attributes are private.
func eventTable(events []record.Event, private bool, now time.Time) table {
	columns := []column[record.Event]{
		{title: "Began", cell: func(e record.Event) cell { return timeCell(ago(e.Start, now)) }},
		{title: "Ended", cell: func(e record.Event) cell {
			if e.Stop.IsZero() {
				return textCell("open")
			}
			return timeCell(ago(e.Stop, now))
		}},
		{title: "Event", cell: func(e record.Event) cell { return textCell(texts.Visible(e.Name)) }},
		{title: "Subject", cell: func(e record.Event) cell {
			if e.Subject.Name == "" {
				return textCell(e.Subject.Kind.String())
			}
			return textCell(e.Subject.Kind.String() + " " + texts.Visible(e.Subject.Name))
		}},
	}
	if private {
		columns = append(columns, column[record.Event]{title: "Message", cells: "message", cell: func(e record.Event) cell {
			c := textCell(texts.Visible(e.Message))
			for _, a := range e.Attributes {
				c = c.tag(texts.Visible(a.Name) + "=" + texts.Visible(a.Value))
			}
			return c
		}})
	}
	return tableOf(table{ID: "events", Title: "Events"}, columns, events)
}

// triesOf says which try of a run it was; empty for the first.
func triesOf(v *script.Verdict) string {
	if v.Retries == 0 {
		return ""
	}
	return "try " + strconv.Itoa(v.Retries+1)
}

// runTable is the last runs; of the last one, refused samples are refused by
// the metrics page. Why a run failed is private in the script's own words.
func runTable(v *script.View, refused int, private bool, now time.Time) table {
	var runs []*script.Verdict
	for _, h := range v.History.All() {
		runs = append(runs, &h)
	}
	return tableOf(table{ID: "runs", Title: "Last runs"}, []column[*script.Verdict]{
		{title: "Began", cell: func(h *script.Verdict) cell { return timeCell(ago(h.Start, now)) }},
		{title: "Result", cell: func(h *script.Verdict) cell { return badgeCell(badgeOf(h)).small(triesOf(h)) }},
		{title: "Took", class: "num", cells: "num", cell: func(h *script.Verdict) cell {
			c := textCell(took(h.Duration))
			if h.Waited >= time.Second {
				return c.small("+ " + took(h.Waited) + " waiting")
			}
			return c
		}},
		{title: "Exit", class: "num", cells: "num", cell: func(h *script.Verdict) cell { return textCell(exitCode(h)) }},
		{title: "Samples", class: "num wider", cells: "num wider", cell: func(h *script.Verdict) cell { return textCell(number(h.Samples)) }},
		{title: "Events", class: "num wider", cells: "num wider", cell: func(h *script.Verdict) cell { return textCell(number(h.Events)) }},
		{title: "Refused", class: "num wider", cells: "num wider", cell: func(h *script.Verdict) cell {
			if h == runs[0] {
				return textCell(number(h.Refused + refused))
			}
			return textCell(number(h.Refused))
		}},
		{title: "Message", cells: "note", cell: func(h *script.Verdict) cell {
			switch {
			case h.Result == record.OK && !private:
				return cell{}
			case h.Result == record.OK:
				return textCell(texts.Visible(answerOf(h)))
			case private:
				return textCell(texts.Visible(texts.Shorten(status.ErrorOf(h), 500))).in(badTone)
			}
			return textCell(status.Cause(h, v.Timeout)).in(badTone)
		}},
	}, runs)
}
