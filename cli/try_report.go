package cli

import (
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/go-kit/log"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"

	"scriptbridge/collector"
	"scriptbridge/internal/joined"
	"scriptbridge/internal/terminal"
	"scriptbridge/internal/texts"
	"scriptbridge/record"
	"scriptbridge/script"
	"scriptbridge/status"
)

// tryReport prints what came of runs.
type tryReport struct {
	*terminal.Printer
	page     *collector.Collector
	events   *eventList
	flags    bool // the scripts are the command line's, so that remedies are flags
	guessed  *status.Guess
	problems []error // of other scripts
	rounds   int
}

// begin prints what is wrong with other scripts.
func (r *tryReport) begin() {
	for _, err := range r.problems {
		r.line(terminal.Bad, "error", err.Error())
	}
}

// asText prints one round as a page with comments, and tells whether a script
// failed, and whether something was refused. On a terminal the series come first, so
// that what failed does not scroll away.
func (r *tryReport) asText(views []script.View) (failed, refused bool) {
	if r.rounds++; r.rounds > 1 {
		fmt.Fprintln(r)
	}
	_, seriesFirst := r.Columns()
	if seriesFirst {
		r.series()
	}
	failed, lossy := r.scripts(views)
	if !seriesFirst {
		r.series()
	}
	if len(views) > 1 || len(views) == 1 && len(r.problems) > 0 {
		r.Styled(styleOf(worst(views, lossy)), "# %s\n", r.summary(views, lossy))
	}
	return failed, len(lossy) > 0
}

// drawn draws one round over the one before, and tells the same: a table, what there
// is to say of each script, and the series, as far as there is room.
func (r *tryReport) drawn(w io.Writer, screen func() (lines int, ok bool), views []script.View) (failed, refused bool) {
	var b, details strings.Builder
	in := *r
	in.Printer = r.To(&details)
	failed, lossy := in.scripts(views)
	in.series()
	in.Printer = r.To(&b)
	in.Styled(styleOf(worst(views, lossy)), "%s\n", r.summary(views, lossy))
	var o status.Overview
	status.Maker{Page: r.page, Private: true}.Fill(&o, status.Views{Scripts: views})
	headings, rows, styles := triedRows(&o)
	table(in.Printer, headings, rows, styles)
	in.begin()
	fmt.Fprintln(in)
	lines, _ := screen()
	io.WriteString(w, terminal.Frame(b.String()+details.String(), lines)) //nolint:errcheck // who does not read it has left
	return failed, len(lossy) > 0
}

// scripts prints what came of each script, and tells whether one failed, and of which
// something was refused.
func (r *tryReport) scripts(views []script.View) (failed bool, lossy []string) {
	for i := range views {
		if r.script(&views[i]) > 0 {
			lossy = append(lossy, views[i].Script.Name)
		}
		failed = failed || views[i].Last.Err != nil
	}
	return failed, lossy
}

// series prints the page, and what events there were.
func (r *tryReport) series() {
	r.page.WritePage(r, textFormat, func(family string) bool { return !strings.HasPrefix(family, "scriptbridge_") }) //nolint:errcheck // as above
	for _, e := range r.events.take() {
		fmt.Fprint(r, "# event: ", e)
	}
}

// worst is how bad the worst is that came of scripts.
func worst(views []script.View, lossy []string) (most status.Severity) {
	if len(lossy) > 0 {
		most = status.Minor
	}
	for i := range views {
		most = max(most, status.OfRun(views[i].Last).Severity())
	}
	return most
}

// summary says what came of scripts, and of which something was refused.
func (r *tryReport) summary(views []script.View, lossy []string) string {
	const most = 20
	of := make(map[status.State][]string)
	for i := range views {
		state := status.OfRun(views[i].Last)
		of[state] = append(of[state], views[i].Script.Name)
	}
	text := texts.Count(len(views), "script") + ", none failed"
	if failed := of[status.Failing]; len(failed) > 0 {
		text = fmt.Sprintf("%d of %s failed: %s", len(failed), texts.Count(len(views), "script"), someOf(failed, most))
	}
	for _, state := range status.States() {
		if names := of[state]; state != status.Failing && state.Severity() != status.Fine && len(names) > 0 {
			text += fmt.Sprintf("; %s: %s", state.Words(), someOf(names, most))
		}
	}
	if len(lossy) > 0 {
		text += "; lines or series refused: " + someOf(lossy, most)
	}
	if n := len(joined.Split(errors.Join(r.problems...))); n > 0 {
		text += fmt.Sprintf("; %s in the configuration", texts.Count(n, "error"))
	}
	return text
}

// asJSON prints one round as a document, and tells the same.
func (r *tryReport) asJSON(views []script.View) (failed, refused bool) {
	m := status.Maker{Page: r.page, Private: true}
	tried := status.Tried{Guess: r.guessed, Errors: Problems(r.problems...), Scripts: make([]status.Details, len(views))}
	for i := range views {
		d := m.Details(&views[i])
		failed, refused = failed || views[i].Last.Err != nil, refused || d.Refused > 0
		if r.flags {
			remediesInFlags(&d)
		}
		tried.Scripts[i] = d
	}
	text, err := status.JSON(tried, "  ")
	if err != nil { // of our own making
		panic(err)
	}
	fmt.Fprintf(r, "%s", text)
	return failed, refused
}

// remediesInFlags spells what messages say of the configuration as flags of try.
func remediesInFlags(d *status.Details) {
	d.Last.Error = inFlags(d.Last.Error)
	for i := range d.History {
		d.History[i].Error = inFlags(d.History[i].Error)
	}
	warnings := d.Warnings
	d.Warnings = nil // they are the script's
	for _, text := range warnings {
		d.Warnings = append(d.Warnings, inFlags(text))
	}
	for i := range d.RefusedOf {
		d.RefusedOf[i].Error = inFlags(d.RefusedOf[i].Error)
	}
}

// linesOf names the lines that an error is about.
func linesOf(files record.Files, le *record.LineError) string {
	switch {
	case le.Line == 0:
		return ""
	case le.More > 0:
		return fmt.Sprintf("%s %s and %d more: ", files.Place(le.Line), quote(le.Text), le.More)
	}
	return fmt.Sprintf("%s %s: ", files.Place(le.Line), quote(le.Text))
}

// script prints what came of one script, and tells how much was refused: lines
// by its dialect, series by the page.
func (r *tryReport) script(v *script.View) (refused int) {
	last := v.Last
	refusals, series := r.page.Refusals(record.Script, v.Script.Name)
	fmt.Fprintf(r, "# script %s: ", v.Script.Name)
	r.Styled(styleOf(status.OfRun(last).Severity()), "%s", last.Result)
	fmt.Fprintf(r, " in %.3fs, exit code %d, %d series, %s, ", last.Duration.Seconds(), last.ExitCode, r.page.Count(record.Script, v.Script.Name), texts.Count(last.Events, "event"))
	style := terminal.Plain
	if last.Refused+series > 0 {
		style = terminal.Warning
	}
	r.Styled(style, "%s refused\n", linesAndSeries(last.Refused, series))
	if last.Err != nil {
		r.say(terminal.Bad, "error", last.Err.Error())
	}
	for _, line := range v.Stderr {
		fmt.Fprintln(r, "# stderr:", texts.Printable(line.Text))
	}
	for _, text := range v.Log {
		fmt.Fprintln(r, "# log:", texts.Printable(text))
	}
	for _, text := range v.Warnings {
		r.say(terminal.Warning, "warning", text)
	}
	if v.Script.IsKept() { // what it would have written to its agent's log
		for line := range strings.Lines(string(v.Output)) {
			fmt.Fprintln(r, "#", texts.Printable(strings.TrimSuffix(line, "\n")))
		}
	}
	r.averages(v)
	for _, le := range last.Lines {
		r.refusedLine(v.Files, le)
	}
	for _, one := range refusals {
		where := ""
		if one.Line > 0 {
			where = v.Files.Place(one.Line) + ", "
		}
		r.say(terminal.Warning, "refused", fmt.Sprintf("%s%s: %s (%s)", where, one.Metric, one.Text, one.Reason))
	}
	if more := series - len(refusals); more > 0 {
		fmt.Fprintf(r, "# refused: %d more\n", more)
	}
	return last.Refused + series
}

// refusedLine prints why a line was refused. On a terminal the line is below it, with
// carets under what is meant.
func (r *tryReport) refusedLine(files record.Files, le *record.LineError) {
	why := fmt.Sprintf("%s (%s)", texts.Printable(le.Err.Error()), le.Reason)
	columns, ok := r.Columns()
	if !ok || le.Line == 0 {
		r.say(terminal.Warning, "refused", linesOf(files, le)+why)
		return
	}
	where := files.Place(le.Line)
	if le.More > 0 {
		where += fmt.Sprintf(" and %d more", le.More)
	}
	r.say(terminal.Warning, "refused", where+": "+why)
	const indent = "#     "
	shown, carets := terminal.Pointed(le.Text, le.Err.Error(), columns-len(indent))
	fmt.Fprintln(r, indent+shown)
	if carets != "" {
		fmt.Fprint(r, indent)
		r.Styled(terminal.Good, "%s\n", carets)
	}
}

// say prints a comment of ours about a script.
func (r *tryReport) say(style terminal.Style, what, text string) {
	if r.flags {
		text = inFlags(text)
	}
	r.line(style, what, text)
}

func (r *tryReport) line(style terminal.Style, what, text string) {
	r.Styled(style, "# %s:", what)
	fmt.Fprintln(r, "", texts.Printable(text))
}

// averages says of which metrics a mean is shown, in place of what was printed.
func (r *tryReport) averages(v *script.View) {
	var names []string
	if v.Declared != nil {
		for _, m := range v.Declared.Metrics {
			if m.Calctype == record.CalctypeAverage {
				names = append(names, quote(m.Name))
			}
		}
	}
	if len(names) > 0 {
		fmt.Fprintf(r, "# average: the mean over the last %s is shown of %s (average_window)\n", model.Duration(v.Script.AverageWindow), strings.Join(names, ", "))
	}
}

// linesAndSeries counts what was refused.
func linesAndSeries(lines, series int) string {
	switch {
	case series == 0:
		return texts.Count(lines, "line")
	case lines == 0:
		return fmt.Sprintf("%d series", series)
	default:
		return fmt.Sprintf("%s and %d series", texts.Count(lines, "line"), series)
	}
}

// inFlags spells what messages say of the configuration as flags of try.
func inFlags(text string) string {
	for _, r := range []struct {
		key  *regexp.Regexp
		flag string
	}{
		{optionsMap, "--option=$1=$2"},
		{optionsValue, "--option=$1=$2"},
		{optionsKey, "--option=$1"},
		{dialectKey, "--dialect=$1"},
	} {
		text = r.key.ReplaceAllString(text, r.flag)
	}
	return text
}

// reworded is an error whose text is in the words of the command line.
type reworded struct {
	text string
	err  error
}

func (r reworded) Error() string { return r.text }
func (r reworded) Unwrap() error { return r.err }

var (
	optionsMap   = regexp.MustCompile(`\boptions: \{(\w+): ([^}]*)\}`)
	optionsValue = regexp.MustCompile(`\boptions\.(\w+) "([^"]*)"`)
	optionsKey   = regexp.MustCompile(`\boptions\.(\w+)`)
	dialectKey   = regexp.MustCompile(`\bdialect: (\w+)`)
)

var textFormat = expfmt.NewFormat(expfmt.TypeTextPlain)

// quote shows a line as it came, cut, with control characters escaped.
func quote(s string) string {
	const most = 200
	if len(s) > most {
		return strconv.Quote(s[:most]) + "…"
	}
	return strconv.Quote(s)
}

// eventList keeps events as lines of the event log, which is its Sink. Its text
// is read when no script runs.
type eventList struct {
	text strings.Builder
	*record.EventLog
}

func newEventList() *eventList {
	l := new(eventList)
	l.EventLog = record.NewEventLog(log.NewLogfmtLogger(&l.text))
	return l
}

func (l *eventList) take() []string {
	lines := slices.Collect(strings.Lines(l.text.String()))
	l.text.Reset()
	return lines
}
