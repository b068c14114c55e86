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
	"scriptbridge/internal/texts"
	"scriptbridge/record"
	"scriptbridge/script"
	"scriptbridge/status"
)

// tryReport prints what came of runs.
type tryReport struct {
	w        io.Writer
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
		fmt.Fprintln(r.w, "# error:", texts.Printable(err.Error()))
	}
}

// asText prints one round as a page with comments, and tells whether a script
// failed, and whether something was refused.
func (r *tryReport) asText(views []script.View) (failed, refused bool) {
	if r.rounds++; r.rounds > 1 {
		fmt.Fprintln(r.w)
	}
	var lossy []string
	for i := range views {
		if r.script(&views[i]) > 0 {
			lossy = append(lossy, views[i].Script.Name)
		}
		failed = failed || views[i].Last.Err != nil
	}
	r.page.WritePage(r.w, textFormat, func(family string) bool { return !strings.HasPrefix(family, "scriptbridge_") }) //nolint:errcheck // as above
	for _, e := range r.events.take() {
		fmt.Fprint(r.w, "# event: ", e)
	}
	if len(views) > 1 || len(views) == 1 && len(r.problems) > 0 {
		fmt.Fprintln(r.w, "#", r.summary(views, lossy))
	}
	return failed, len(lossy) > 0
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
	fmt.Fprintf(r.w, "%s", text)
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
	fmt.Fprintf(r.w, "# script %s: %s in %.3fs, exit code %d, %d series, %s, %s refused\n", v.Script.Name, last.Result, last.Duration.Seconds(),
		last.ExitCode, r.page.Count(record.Script, v.Script.Name), texts.Count(last.Events, "event"), linesAndSeries(last.Refused, series))
	if last.Err != nil {
		r.say("error", last.Err.Error())
	}
	for _, line := range v.Stderr {
		fmt.Fprintln(r.w, "# stderr:", texts.Printable(line.Text))
	}
	for _, text := range v.Log {
		fmt.Fprintln(r.w, "# log:", texts.Printable(text))
	}
	for _, text := range v.Warnings {
		r.say("warning", text)
	}
	if v.Script.IsKept() { // what it would have written to its agent's log
		for line := range strings.Lines(string(v.Output)) {
			fmt.Fprintln(r.w, "#", texts.Printable(strings.TrimSuffix(line, "\n")))
		}
	}
	r.averages(v)
	for _, le := range last.Lines {
		r.say("refused", fmt.Sprintf("%s%s (%s)", linesOf(v.Files, le), texts.Printable(le.Err.Error()), le.Reason))
	}
	for _, one := range refusals {
		where := ""
		if one.Line > 0 {
			where = v.Files.Place(one.Line) + ", "
		}
		r.say("refused", fmt.Sprintf("%s%s: %s (%s)", where, one.Metric, one.Text, one.Reason))
	}
	if more := series - len(refusals); more > 0 {
		fmt.Fprintf(r.w, "# refused: %d more\n", more)
	}
	return last.Refused + series
}

// say prints a comment of ours about a script.
func (r *tryReport) say(what, text string) {
	if r.flags {
		text = inFlags(text)
	}
	fmt.Fprintf(r.w, "# %s: %s\n", what, texts.Printable(text))
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
		fmt.Fprintf(r.w, "# average: the mean over the last %s is shown of %s (average_window)\n", model.Duration(v.Script.AverageWindow), strings.Join(names, ", "))
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
