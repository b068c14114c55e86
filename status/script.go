package status

import (
	"cmp"
	"time"

	"scriptbridge/record"
	"scriptbridge/script"
)

// Script is a script as a table of scripts shows it.
type Script struct {
	Name     string         `json:"name"`
	Dialect  string         `json:"dialect"`
	State    State          `json:"state" enum:"failing critical warning unknown ok not_yet_run on_request disabled" doc:"how it is, as far as its last run tells"`
	Activity script.State   `json:"activity" enum:"idle waiting running disabled" doc:"what it does at present; waiting is for a free place"`
	Since    time.Time      `json:"running_since,omitzero"`
	Next     time.Time      `json:"next_run,omitzero" doc:"when it is due"`
	Interval float64        `json:"interval_seconds,omitempty" doc:"missing where it runs on request only"`
	Cron     string         `json:"cron,omitempty" doc:"its schedule; the interval is then that from its last turn to the next one"`
	Timeout  float64        `json:"timeout_seconds"`
	Overruns int            `json:"overruns" doc:"runs that were due while it still ran"`
	Series   int            `json:"series" doc:"how many it has on the metrics page"`
	Refused  int            `json:"refused" doc:"lines and series of the last run that could not be used"`
	Reasons  map[string]int `json:"refused_reasons,omitempty" doc:"how many of them for which reason"`
	Last     *Run           `json:"last_run,omitempty" doc:"missing before the first run has ended"`
	Warning  string         `json:"warning,omitempty" doc:"of one that is disabled: why; private"`
	History  []Run          `json:"history,omitempty" doc:"the last 20 runs, newest first; not in the overview"`
}

// Run is one run of a script.
type Run struct {
	Start    time.Time      `json:"start"`
	Duration float64        `json:"duration_seconds"`
	Waited   float64        `json:"waited_seconds" doc:"for a free place, before it began"`
	Retries  int            `json:"retries,omitempty" doc:"tries before this one, which is the last of the run"`
	Result   record.Result  `json:"result" enum:"ok error timeout killed limit invalid"`
	ExitCode *int           `json:"exit_code,omitempty" doc:"missing where it did not exit by itself"`
	Limit    string         `json:"limit,omitempty" doc:"that was reached"`
	Cause    string         `json:"cause,omitempty" doc:"of a failure, in the bridge's own words"`
	Nagios   string         `json:"nagios_state,omitempty" doc:"of a Nagios plugin: OK, WARNING, CRITICAL or UNKNOWN"`
	Samples  int            `json:"samples" doc:"values that it gave"`
	Events   int            `json:"events" doc:"events that it gave"`
	Refused  int            `json:"refused_lines" doc:"lines that could not be read"`
	Reasons  map[string]int `json:"refused_reasons,omitempty" doc:"how many of them for which reason"`
	Error    string         `json:"error,omitempty" doc:"of a failure, in the script's and the system's words; private"`
	Stderr   string         `json:"last_stderr_line,omitempty" doc:"the last line of its standard error; private"`
	Text     string         `json:"nagios_text,omitempty" doc:"the first line that a Nagios plugin printed, without performance data; private"`
}

// Details are all that is known of a script.
type Details struct {
	Script
	SeriesList []Series   `json:"series_list" doc:"its series"`
	Stale      bool       `json:"stale" doc:"the series are of an earlier run, since the last one failed"`
	Declared   []Declared `json:"declared,omitempty" doc:"the metrics that it has declared"`
	EventList  []Event    `json:"event_list,omitempty" doc:"its last events, newest first"`
	Probes     []Probe    `json:"probes,omitempty" doc:"the latest probes, newest first"`
	Trends     []Trend    `json:"trends,omitempty" doc:"what the last runs said of the first series; private"`
	File       string     `json:"file,omitempty" doc:"private"`
	Directory  string     `json:"directory,omitempty" doc:"that it runs in, or whose files it reads; private"`
	User       string     `json:"user,omitempty" doc:"that it runs as; private"`
	Command    []string   `json:"command,omitempty" doc:"private"`
	Config     string     `json:"configuration,omitempty" doc:"as YAML, without secrets; private"`
	Warnings   []string   `json:"warnings,omitempty" doc:"private"`
	Log        []string   `json:"log,omitempty" doc:"what the last run gave for the log; private"`
	RefusedOf  []Refused  `json:"refused_list,omitempty" doc:"of the last run, 1,000 lines and 100 series at most; private"`
	Files      []File     `json:"files,omitempty" doc:"of a folder that is read, in the order of their texts in output; private"`
	Output     string     `json:"output,omitempty" doc:"of the last run that printed something, 64 KiB at most; private"`
	OutputCut  bool       `json:"output_cut,omitempty" doc:"there was more output"`
	OutputOf   time.Time  `json:"output_start,omitzero" doc:"when the run of that output began"`
	Stderr     []string   `json:"stderr_lines,omitempty" doc:"the last 50 lines of standard error, of earlier runs too; private"`
}

// Probe is a request that had a script run, or was told of its last run.
type Probe struct {
	At         time.Time `json:"time"`
	Run        *Run      `json:"run,omitempty" doc:"that was the answer; missing where there was none"`
	From       string    `json:"from,omitempty" doc:"who asked; private"`
	Parameters string    `json:"parameters,omitempty" doc:"that the request gave, as NAME=VALUE; private"`
	Error      string    `json:"error,omitempty" doc:"why there was no answer; private"`
}

// Trend is what the last runs said of one series.
type Trend struct {
	Label  string   `json:"label" doc:"name and labels as the script spelled them"`
	Values []Number `json:"values" doc:"of the last runs, newest last; NaN where a run said none"`
}

// File is a file of a folder that is read.
type File struct {
	Path     string    `json:"path"`
	Modified time.Time `json:"modified" doc:"when it was last written"`
	Used     bool      `json:"used" doc:"it was read; else it was left out as a whole"`
	Line     int       `json:"line,omitempty" doc:"the line of output that its text begins at"`
}

// Declared is a metric that a script has declared.
type Declared struct {
	ID         string   `json:"id,omitempty"`
	Name       string   `json:"name"`
	Rename     string   `json:"shown_as,omitempty" doc:"the name that the configuration gives it"`
	Unit       string   `json:"unit,omitempty"`
	Datatype   string   `json:"datatype,omitempty"`
	Calctype   string   `json:"calctype,omitempty"`
	Dimensions []string `json:"dimensions,omitempty"`
	Help       string   `json:"description,omitempty"`
}

// Script gives what a table shows of a script.
func (m Maker) Script(v *script.View) Script {
	s := Script{
		Name: v.Script.Name, Dialect: v.Script.Dialect, State: OfScript(v), Activity: v.State, Cron: v.Script.Cron,
		Timeout: v.Timeout.Seconds(), Overruns: v.Overruns, Series: m.Page.Count(record.Script, v.Script.Name),
	}
	if !v.Script.ProbeOnly() {
		s.Interval = v.Interval.Seconds()
	}
	switch v.State {
	case script.Running:
		s.Since = Time(v.Since)
	case script.Disabled:
		if n := len(v.Warnings); n > 0 && m.Private {
			s.Warning = v.Warnings[n-1]
		}
	default:
		s.Next = Time(v.Next)
	}
	if v.Last != nil {
		s.Last = new(m.Run(v.Last, v.Timeout))
		refusals, all := m.Page.Refusals(record.Script, s.Name)
		s.Refused, s.Reasons = v.Last.Refused+all, Reasons(v.Last.Reasons, refusals, all)
	}
	return s
}

// Run gives what there is to say of a run of a script whose timeout is given.
func (m Maker) Run(v *script.Verdict, timeout time.Duration) Run {
	r := Run{
		Start: Time(v.Start), Duration: seconds(v.Duration), Waited: seconds(v.Waited), Retries: v.Retries, Result: v.Result, Limit: v.Limit,
		Cause: Cause(v, timeout), Samples: v.Samples, Events: v.Events, Refused: v.Refused, Reasons: v.Reasons,
	}
	if v.ExitCode >= 0 {
		r.ExitCode = &v.ExitCode
	}
	if v.Answer != nil {
		r.Nagios = v.Answer.State
	}
	if m.Private {
		r.Error, r.Stderr = ErrorOf(v), v.Stderr
		if v.Answer != nil {
			r.Text = v.Answer.Text
		}
	}
	return r
}

// WithHistory is Script with the last runs.
func (m Maker) WithHistory(v *script.View) Script {
	s := m.Script(v)
	for _, h := range v.History.All() {
		s.History = append(s.History, m.Run(&h, v.Timeout))
	}
	return s
}

// Details gives all that is known of a script.
func (m Maker) Details(v *script.View) Details {
	d := Details{Script: m.WithHistory(v), SeriesList: m.series(record.Script, v.Script.Name), EventList: m.events(v.Events)}
	d.Stale = d.State == Failing && v.Last.Samples == 0 && d.Series > 0
	for _, p := range v.Probes {
		d.Probes = append(d.Probes, m.probe(&p, v.Timeout))
	}
	if v.Declared != nil {
		for _, of := range v.Declared.Metrics {
			d.Declared = append(d.Declared, Declared{
				ID: of.ID, Name: of.Name, Rename: of.More().Rename, Unit: of.Unit, Datatype: of.Datatype, Calctype: of.Calctype, Dimensions: of.Dimensions, Help: of.Help,
			})
		}
	}
	if m.Private {
		m.private(&d, v)
	}
	return d
}

func (m Maker) probe(p *script.Probe, timeout time.Duration) Probe {
	one := Probe{At: Time(p.At)}
	if p.Run != nil {
		one.Run = new(m.Run(p.Run, timeout))
	}
	if m.Private {
		one.From, one.Parameters = p.From, p.Parameters
		if p.Err != nil {
			one.Error = p.Err.Error()
		}
	}
	return one
}

// private fills in what the script itself said and how it is run.
func (m Maker) private(d *Details, v *script.View) {
	s := v.Script
	d.File, d.Directory, d.User, d.Command, d.Config = s.File, cmp.Or(s.Directory, s.Dir), s.User, s.Command, s.YAML()
	d.Warnings, d.Log = v.Warnings, v.Log
	for _, line := range v.Stderr {
		d.Stderr = append(d.Stderr, line.Text)
	}
	for _, f := range v.Files {
		d.Files = append(d.Files, File{Path: f.Path, Modified: Time(f.ModTime), Used: f.Used, Line: f.Line})
	}
	d.Output, d.OutputCut = string(v.Output), v.OutputCut
	for _, t := range v.Trends {
		values := make([]Number, len(t.Values))
		for i, value := range t.Values {
			values[i] = numberOf(value)
		}
		d.Trends = append(d.Trends, Trend{Label: t.Label, Values: values})
	}
	if v.OutputOf != nil {
		d.OutputOf = Time(v.OutputOf.Start)
	}
	if v.Last != nil {
		for _, le := range v.Last.Lines {
			file, line := v.Files.Find(le.Line)
			if whole, is := v.Files.About(le); is {
				file = whole
			}
			d.RefusedOf = append(d.RefusedOf, Refused{File: file, Line: line, Text: le.Text, Reason: le.Reason, Error: le.Error(), More: le.More})
		}
		refusals, _ := m.Page.Refusals(record.Script, s.Name)
		d.RefusedOf = append(d.RefusedOf, refusedSeries(refusals, v.Files)...)
	}
}
