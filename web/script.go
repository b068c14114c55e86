package web

import (
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"scriptbridge/internal/texts"
	"scriptbridge/record"
	"scriptbridge/script"
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
	Bars          bars
	Facts         []fact
	Why           string // in our own words
	Hidden        string

	seriesList
	Refused  []tally
	Stale    bool // the series are of an earlier run
	Declared []*record.Meta
	Events   []event
	Runs     []run

	// Private from here on.
	Private  bool
	Error    string
	Command  []string
	Warnings []string
	Output   output
	Stderr   string
	Config   string
}

// seriesList is what a page shows of a source's series.
type seriesList struct {
	Series  []note
	More    int // series that are not shown
	SeriesN string
	Open    bool // without a click
}

func listOf(series []Series, open bool) seriesList {
	l := seriesList{More: max(0, len(series)-seriesShown), SeriesN: number(len(series)), Open: open}
	for _, one := range series[:min(len(series), seriesShown)] {
		l.Series = append(l.Series, note{Text: texts.Visible(one.Text), Value: plainNumber(one.Value), Made: made(one)})
	}
	return l
}

// made says how a series' value came of what was printed, where that is another.
func made(s Series) string {
	switch {
	case s.Mean > 0:
		return "mean over " + span(s.Mean)
	case s.Sum:
		return "added up"
	}
	return ""
}

// fact is one line of the list at the top.
type fact struct {
	Name, Text string
	Time       moment
	Code       bool
}

// tally is how many lines or samples were refused for a reason.
type tally struct {
	Reason, Count string
}

// event is something that happened; Message and Attributes are private.
type event struct {
	Name, Subject, Message string
	Start, Stop            moment
	Attributes             []record.Label
}

// run is one of the last runs.
type run struct {
	Start                    moment
	Took, Exit, Waited       string
	Badge                    badge
	Samples, Events, Refused string
	Error                    string // private: the script's own text; else ours
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
		Name:  texts.Visible(name), Dialect: v.Script.Dialect.Name, Badge: badgeOf(v.Last),
		Activity: activity(&v, now), Bars: barsOf(v.History), Hidden: s.gate.Hidden(r),
	}
	p.Private = p.Hidden == ""
	if p.Refresh = refreshOf(r.URL.Query()); p.Refresh > 0 {
		p.Toggle = "?"
	} else {
		p.Toggle = query{Sort: defaultSort}.toggled().href()
	}

	series := s.Page.Series(record.Script, name)
	refusals, refused := s.Page.Refusals(record.Script, name)
	p.public(&v, series, refused, now)
	if v.Last != nil {
		p.Refused = talliesOf(v.Last.Reasons, refusals, refused)
	}
	if p.Private {
		p.private(&v, series, refusals)
	}
	s.render(w, http.StatusOK, s.script, p)
}

// public fills in what everyone may see: nothing but what /metrics says too.
// refused is how many samples of the last run the metrics page could not take.
func (p *scriptPage) public(v *script.View, series []Series, refused int, now time.Time) {
	p.facts(v, len(series), now)
	if failing(v) {
		p.Why = why(v.Last, v.Timeout)
	}
	p.Stale = failing(v) && v.Last.Samples == 0 && len(series) > 0
	p.seriesList = listOf(series, p.Hidden != "") // where there is little else to see
	if v.Declared != nil {
		for _, m := range v.Declared.Metrics {
			p.Declared = append(p.Declared, visibleMeta(m))
		}
	}
	for i := range v.Events {
		p.Events = append(p.Events, eventOf(&v.Events[i], p.Private, now))
	}
	for _, h := range v.History {
		n := h.Refused
		if h == v.Last {
			n += refused
		}
		p.Runs = append(p.Runs, runOf(h, n, v.Timeout, p.Private, now))
	}
}

func (p *scriptPage) facts(v *script.View, series int, now time.Time) {
	add := func(name, text string) { p.Facts = append(p.Facts, fact{Name: name, Text: text}) }
	add("Dialect", v.Script.Dialect.Name)
	if v.Script.ProbeOnly() {
		add("Interval", "none: it runs only when it is probed")
	} else {
		add("Interval", span(v.Interval))
	}
	add("Timeout", span(v.Timeout))
	if l := v.Last; l != nil {
		p.Facts = append(p.Facts, fact{Name: "Last run", Time: ago(l.Start, now)})
		add("Took", took(l.Duration))
		if code := exitCode(l); code != "" {
			add("Exit code", code)
		}
	}
	if v.State != script.Running && v.State != script.Disabled {
		p.Facts = append(p.Facts, fact{Name: "Next run", Time: soon(v.Next, now)})
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
func (p *scriptPage) private(v *script.View, series []Series, refusals []Refusal) {
	sc := v.Script
	code := func(name, text string) {
		if text != "" {
			p.Facts = append(p.Facts, fact{Name: name, Text: texts.Visible(text), Code: true})
		}
	}
	code("File", sc.File)
	code("Runs in", sc.Dir)
	code("Runs as", sc.User)
	for _, arg := range sc.Command {
		p.Command = append(p.Command, texts.Visible(arg))
	}
	if failing(v) {
		p.Error = texts.Visible(errorOf(v.Last))
	}
	for _, text := range v.Warnings[:min(len(v.Warnings), warningsShown)] {
		p.Warnings = append(p.Warnings, texts.Visible(text))
	}
	if more := len(v.Warnings) - warningsShown; more > 0 {
		p.Warnings = append(p.Warnings, "and "+number(more)+" more")
	}
	p.Output = outputOf(v, series, refusals)
	p.Stderr = texts.Visible(strings.Join(v.Stderr, "\n"))
	p.Config = texts.Visible(sc.YAML())
}

// talliesOf counts by reason what the dialect could not read, and what the
// metrics page could not take: all of it, of which refusals are the first.
func talliesOf(reasons map[string]int, refusals []Refusal, all int) []tally {
	counts := make(map[string]int)
	maps.Copy(counts, reasons)
	for _, r := range refusals {
		counts[r.Reason]++
	}
	if rest := all - len(refusals); rest > 0 {
		counts["others"] += rest
	}
	var list []tally
	for _, reason := range slices.Sorted(maps.Keys(counts)) {
		list = append(list, tally{Reason: texts.Visible(reason), Count: number(counts[reason])})
	}
	return list
}

func visibleMeta(m *record.Meta) *record.Meta {
	c := *m
	for _, field := range []*string{&c.ID, &c.Name, &c.Rename, &c.Help, &c.Unit, &c.Datatype, &c.Calctype, &c.Groups, &c.Tags} {
		*field = texts.Visible(*field)
	}
	c.Dimensions = make([]string, len(m.Dimensions))
	for i, d := range m.Dimensions {
		c.Dimensions[i] = texts.Visible(d)
	}
	return &c
}

func eventOf(e *record.Event, private bool, now time.Time) event {
	v := event{Name: texts.Visible(e.Name), Subject: e.Subject.Kind.String(), Start: ago(e.Start, now), Stop: ago(e.Stop, now)}
	if e.Subject.Name != "" {
		v.Subject += " " + texts.Visible(e.Subject.Name)
	}
	if private {
		v.Message = texts.Visible(e.Message)
		for _, a := range e.Attributes {
			v.Attributes = append(v.Attributes, record.Label{Name: texts.Visible(a.Name), Value: texts.Visible(a.Value)})
		}
	}
	return v
}

func runOf(h *script.Verdict, refused int, timeout time.Duration, private bool, now time.Time) run {
	r := run{
		Start: ago(h.Start, now), Took: took(h.Duration), Exit: exitCode(h), Badge: badgeOf(h),
		Samples: number(h.Samples), Events: number(h.Events), Refused: number(refused),
	}
	if h.Waited >= time.Second {
		r.Waited = took(h.Waited)
	}
	if h.Result != record.OK {
		r.Error = why(h, timeout)
		if private {
			r.Error = texts.Visible(texts.Shorten(errorOf(h), 500))
		}
	}
	return r
}
