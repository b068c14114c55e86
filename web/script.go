package web

import (
	"bytes"
	"net/http"
	"slices"
	"strings"
	"time"

	"scriptbridge/record"
	"scriptbridge/script"
)

// What a script's page shows at most; the metrics page has the rest.
const (
	seriesShown = 1000
	perLine     = 50 // of what one line of output became
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
	Series  []Series
	More    int // series that are not shown
	SeriesN string
	Open    bool // without a click
}

func listOf(series []Series, open bool) seriesList {
	l := seriesList{More: max(0, len(series)-seriesShown), SeriesN: number(len(series)), Open: open}
	for _, one := range series[:min(len(series), seriesShown)] {
		l.Series = append(l.Series, Series{Text: visible(one.Text), Value: visible(one.Value)})
	}
	return l
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

func (s *server) serveScript(w http.ResponseWriter, r *http.Request) {
	v, ok := s.Scripts.View(r.PathValue("name"))
	if !ok {
		plain(w, http.StatusNotFound, "there is no script of this name")
		return
	}
	now := time.Now()
	name := v.Script.Name
	p := &scriptPage{
		frame: s.frame(visible(name)+" – scriptbridge", "../", now),
		Name:  visible(name), Dialect: v.Script.Dialect.Name, Badge: badgeOf(v.Last),
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
	p.public(&v, series, now)
	if v.Last != nil {
		p.Refused = tallies(v.Last, refusals, refused)
	}
	if p.Private {
		p.private(&v, series, refusals)
	}
	s.render(w, s.script, p)
}

// public fills in what everyone may see: nothing but what /metrics says too.
func (p *scriptPage) public(v *script.View, series []Series, now time.Time) {
	p.facts(v, len(series), now)
	if failing(v) {
		p.Why = why(v.Last, v.Timeout)
	}
	p.Stale = failing(v) && v.Last.Samples == 0
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
		p.Runs = append(p.Runs, runOf(h, v.Timeout, p.Private, now))
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
	if v.State != script.Running {
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
			p.Facts = append(p.Facts, fact{Name: name, Text: visible(text), Code: true})
		}
	}
	code("File", sc.File)
	code("Runs in", sc.Dir)
	code("Runs as", sc.User)
	for _, arg := range sc.Command {
		p.Command = append(p.Command, visible(arg))
	}
	if failing(v) {
		p.Error = visible(errorOf(v.Last))
	}
	for _, text := range v.Warnings {
		p.Warnings = append(p.Warnings, visible(text))
	}
	p.Output = outputOf(v, series, refusals)
	p.Stderr = visible(strings.Join(v.Stderr, "\n"))
	p.Config = visible(sc.YAML())
}

// tallies counts by reason what the dialect could not read and what the
// metrics page could not take.
func tallies(last *script.Verdict, refusals []Refusal, refused int) []tally {
	return talliesOf(last.Lines, refusals, last.Refused-len(last.Lines)+refused-len(refusals))
}

// talliesOf counts by reason; rest are those whose reasons were not kept.
func talliesOf(lines []*record.LineError, refusals []Refusal, rest int) []tally {
	counts := make(map[string]int)
	for _, le := range lines {
		counts[le.Reason]++
	}
	for _, r := range refusals {
		counts[r.Reason]++
	}
	if rest > 0 {
		counts["further ones"] += rest
	}
	var list []tally
	for reason, n := range counts {
		list = append(list, tally{Reason: visible(reason), Count: number(n)})
	}
	slices.SortFunc(list, func(a, b tally) int { return strings.Compare(a.Reason, b.Reason) })
	return list
}

func visibleMeta(m *record.Meta) *record.Meta {
	c := *m
	for _, field := range []*string{&c.ID, &c.Name, &c.Rename, &c.Help, &c.Unit, &c.Datatype, &c.Calctype, &c.Groups, &c.Tags} {
		*field = visible(*field)
	}
	c.Dimensions = make([]string, len(m.Dimensions))
	for i, d := range m.Dimensions {
		c.Dimensions[i] = visible(d)
	}
	return &c
}

func eventOf(e *record.Event, private bool, now time.Time) event {
	v := event{Name: visible(e.Name), Subject: e.Subject.Kind.String(), Start: ago(e.Start, now), Stop: ago(e.Stop, now)}
	if e.Subject.Name != "" {
		v.Subject += " " + visible(e.Subject.Name)
	}
	if private {
		v.Message = visible(e.Message)
		for _, a := range e.Attributes {
			v.Attributes = append(v.Attributes, record.Label{Name: visible(a.Name), Value: visible(a.Value)})
		}
	}
	return v
}

func runOf(h *script.Verdict, timeout time.Duration, private bool, now time.Time) run {
	r := run{
		Start: ago(h.Start, now), Took: took(h.Duration), Exit: exitCode(h), Badge: badgeOf(h),
		Samples: number(h.Samples), Events: number(h.Events), Refused: number(h.Refused),
	}
	if h.Waited >= time.Second {
		r.Waited = took(h.Waited)
	}
	if h.Result != record.OK {
		r.Error = why(h, timeout)
		if private {
			r.Error = visible(shorten(errorOf(h), 500))
		}
	}
	return r
}

// output is what a script printed, line by line, each with what became of it.
type output struct {
	Lines   []line
	Of      moment // when the run began, where it is not the last one
	Cut     bool
	Dropped bool   // nothing of it was used, for the run failed
	Rest    []note // refused, and on no line shown
}

// line is one line of output. A note says what it became or why it was
// refused; none, that it was ignored.
type line struct {
	Number int
	Text   string
	Blank  bool
	Notes  []note
	More   int // notes that are not shown
}

// note is one thing that became of a line.
type note struct {
	Kind   string // series, event, refused
	Text   string
	Value  string // of a series; the reason of a refusal
	Line   int    // in output.Rest, 0 for none
	Source string // in output.Rest: the line itself
}

// outputOf joins the lines of the output with what became of them.
func outputOf(v *script.View, series []Series, refusals []Refusal) output {
	of := v.OutputOf
	if of == nil {
		return output{}
	}
	o := output{Cut: v.OutputCut, Dropped: of.Result != record.OK && of.Samples == 0 && of.Events == 0}
	if of != v.Last {
		o.Of = ago(of.Start, time.Now())
	}
	o.split(v.Output)
	if of.Samples > 0 { // else the series are of an earlier run, and so are their lines
		for _, s := range series {
			o.put(s.Line, note{Kind: "series", Text: visible(s.Text), Value: visible(s.Value)})
		}
	}
	for _, e := range v.Events[:min(len(v.Events), of.Events)] { // newest first
		o.put(e.Line, note{Kind: "event", Text: visible(e.Name)})
	}
	for _, le := range v.Lines {
		o.put(le.Line, note{Kind: "refused", Text: visible(le.Error()), Value: visible(le.Reason), Source: visible(shorten(le.Text, 200))})
	}
	for _, r := range refusals {
		o.put(r.Line, note{Kind: "refused", Text: visible(r.Metric + ": " + r.Text), Value: visible(r.Reason)})
	}
	return o
}

func (o *output) split(text []byte) {
	if len(text) == 0 {
		return
	}
	rest, more := bytes.TrimSuffix(text, []byte("\n")), true
	for more {
		var one []byte
		one, rest, more = bytes.Cut(rest, []byte("\n"))
		o.Lines = append(o.Lines, line{
			Number: len(o.Lines) + 1, Text: visible(string(one)), Blank: len(bytes.TrimSpace(one)) == 0,
		})
	}
}

func (o *output) put(number int, n note) {
	if number < 1 || number > len(o.Lines) {
		if n.Kind == "refused" {
			n.Line = max(number, 0)
			o.Rest = append(o.Rest, n)
		}
		return // its own list has it
	}
	l := &o.Lines[number-1]
	if len(l.Notes) == perLine {
		l.More++
		return
	}
	l.Notes = append(l.Notes, n)
}
