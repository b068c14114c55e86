package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/go-kit/log"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"

	"scriptbridge/collector"
	"scriptbridge/config"
	"scriptbridge/internal/texts"
	"scriptbridge/record"
	"scriptbridge/script"
)

// try runs scripts once, or at an interval until ctx ends, and prints what
// came of it. All that is not the page itself is printed as comments, so that
// the output is a page that promtool reads.
func try(ctx context.Context, f *flags, stdout io.Writer) error {
	w, err := guarded("", func() (*wanted, error) { return tried(ctx, f, stdout) })
	switch {
	case ctx.Err() != nil:
		return nil
	case err != nil:
		return err
	}
	scripts, cfg := w.scripts, w.cfg
	logger := log.NewNopLogger() // all that it would say is in the report
	page := collector.New(collector.Options{Logger: logger, Registry: processRegistry(), Retention: cfg.Events.Retention})
	events := newEventList()
	pause := f.try.interval
	for _, s := range scripts {
		if f.try.interval > 0 && s.IsKept() {
			s.Interval, pause = f.try.interval, 0 // it is paced by its own samples
		}
	}
	pool := script.NewPool(record.Tee{page, events}, logger, cfg.Global.MaxConcurrent)
	defer pool.Close()
	signalsOf(ctx).beforeEnd(pool.Kill)
	for _, err := range w.problems {
		fmt.Fprintln(stdout, "# error:", texts.Printable(err.Error()))
	}
	out := &tryReport{w: stdout, page: page, flags: f.command != nil || f.try.dialect != ""}
	for {
		views := pool.Once(ctx, scripts)
		if ctx.Err() != nil {
			return nil
		}
		failed, refused := out.round(views, events.take())
		if f.try.interval == 0 {
			if failed || refused && f.try.strict || len(w.problems) > 0 {
				return errSaid
			}
			return nil
		}
		select {
		case <-time.After(pause):
			fmt.Fprintln(stdout)
		case <-ctx.Done():
			return nil
		}
	}
}

// tried is what the command line asks to run: the command behind --, or
// configured scripts.
func tried(ctx context.Context, f *flags, stdout io.Writer) (*wanted, error) {
	if f.command != nil || f.try.dialect != "" {
		if len(f.try.names) > 0 {
			return nil, errors.New("try takes names of configured scripts, or a command after --, not both")
		}
		return triedCommand(ctx, f, stdout)
	}
	w, err := load(f.configFile, true)
	if err != nil {
		return nil, err
	}
	for _, name := range f.try.names {
		if !slices.ContainsFunc(w.scripts, func(s *script.Script) bool { return s.Name == name }) {
			return nil, fmt.Errorf("%s has no script %q", f.configFile, name)
		}
	}
	if len(f.try.names) > 0 {
		w.scripts = slices.DeleteFunc(w.scripts, func(s *script.Script) bool { return !slices.Contains(f.try.names, s.Name) })
		w.problems = nil // of others
	}
	w.scripts, err = filled(w.scripts, f)
	return w, err
}

// filled gives the scripts with the parameters of the command line. One that
// runs only when it is probed is left out unless it is named.
func filled(scripts []*script.Script, f *flags) (all []*script.Script, err error) {
	query := make(map[string][]string)
	for name, value := range f.try.params {
		query[name] = []string{value}
	}
	for _, s := range scripts {
		with, err := s.With(query)
		if err != nil && s.ProbeOnly() && len(f.try.names) == 0 {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("script %q: %w (--parameter=NAME=VALUE gives one)", s.Name, err)
		}
		all = append(all, with)
	}
	return all, nil
}

// triedCommand is the command behind --, which no file names. Where the command
// line does not say its dialect, it is guessed, and stdout tells which and why.
func triedCommand(ctx context.Context, f *flags, stdout io.Writer) (*wanted, error) {
	folder, err := os.Getwd()
	if err != nil {
		return nil, err
	}
	cfg, err := config.FromCommand(f.try.dialect, f.command, folder, f.try.options)
	if err != nil {
		return nil, err
	}
	if f.try.dialect == "" {
		dialect, why, err := guess(ctx, cfg.Scripts[0])
		if err != nil {
			return nil, err
		}
		fmt.Fprintf(stdout, "# dialect: %s, since %s\n", dialect, texts.Printable(why))
		if dialect == "scalyr" {
			cfg, err = triedModule(cfg.Scripts[0], folder, f.try.options)
			if err != nil {
				return nil, err
			}
		}
		cfg.Scripts[0].Dialect = dialect
	}
	scripts, problems, err := script.Resolve(cfg)
	return &wanted{cfg: cfg, scripts: scripts, problems: problems}, err
}

// guess says which dialect a command seems to speak.
func guess(ctx context.Context, c *config.Script) (dialect, why string, err error) {
	pool := script.NewPool(record.Tee{}, log.NewNopLogger(), 1)
	defer pool.Close()
	signalsOf(ctx).beforeEnd(pool.Kill)
	dialect, why, err = pool.Guess(ctx, c)
	if ctx.Err() != nil { // what was seen of runs that were cut short tells nothing
		return "", "", ctx.Err()
	}
	return dialect, why, err
}

// triedModule is a command whose file is a module of a dialect that takes no
// commands.
func triedModule(c *config.Script, folder string, options map[string]string) (*config.Config, error) {
	file := c.Command[c.Program]
	o := map[string]string{
		"module":       strconv.Quote(strings.TrimSuffix(filepath.Base(file), filepath.Ext(file))),
		"module_paths": "[" + strconv.Quote(filepath.Dir(file)) + "]",
	}
	maps.Copy(o, options)
	return config.FromCommand("scalyr", nil, folder, o)
}

// tryReport prints what came of runs.
type tryReport struct {
	w     io.Writer
	page  *collector.Collector
	flags bool // the scripts are the command line's, so that remedies are flags
}

// round prints one round and tells whether a script failed, and whether
// something was refused.
func (r *tryReport) round(views []script.View, events []string) (failed, refused bool) {
	for i := range views {
		n := r.script(&views[i])
		failed, refused = failed || views[i].Last.Err != nil, refused || n > 0
	}
	var text strings.Builder
	r.page.WritePage(&text, textFormat, func(family string) bool { return !strings.HasPrefix(family, "scriptbridge_") }) //nolint:errcheck // memory
	fmt.Fprint(r.w, strings.Map(texts.ControlPicture, text.String()))
	for _, e := range events {
		fmt.Fprint(r.w, "# event: ", e)
	}
	return failed, refused
}

// linesOf names the lines that an error is about.
func linesOf(le *record.LineError) string {
	switch {
	case le.Line == 0:
		return ""
	case le.More > 0:
		return fmt.Sprintf("line %d %s and %d more: ", le.Line, quote(le.Text), le.More)
	}
	return fmt.Sprintf("line %d %s: ", le.Line, quote(le.Text))
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
	for _, text := range v.Stderr {
		fmt.Fprintln(r.w, "# stderr:", texts.Printable(text))
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
		r.say("refused", fmt.Sprintf("%s%s (%s)", linesOf(le), texts.Printable(le.Err.Error()), le.Reason))
	}
	for _, one := range refusals {
		where := ""
		if one.Line > 0 {
			where = fmt.Sprintf("line %d, ", one.Line)
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
		{optionsKey, "--option=$1"},
		{dialectKey, "--dialect=$1"},
	} {
		text = r.key.ReplaceAllString(text, r.flag)
	}
	return text
}

var (
	optionsMap = regexp.MustCompile(`\boptions: \{(\w+): ([^}]*)\}`)
	optionsKey = regexp.MustCompile(`\boptions\.(\w+)`)
	dialectKey = regexp.MustCompile(`\bdialect: (\w+)`)
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
