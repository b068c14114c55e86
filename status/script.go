package status

import (
	"time"

	"scriptbridge/record"
	"scriptbridge/script"
)

// Script is a script as a table of scripts shows it.
type Script struct {
	Name     string       `json:"name"`
	Dialect  string       `json:"dialect"`
	State    State        `json:"state"`
	Activity script.State `json:"activity"` // idle, waiting for a free place, running, or disabled
	Since    time.Time    `json:"running_since,omitzero"`
	Next     time.Time    `json:"next_run,omitzero"`
	Interval float64      `json:"interval_seconds,omitempty"` // nothing for one that runs on request only
	Timeout  float64      `json:"timeout_seconds"`
	Overruns int          `json:"overruns"`
	Series   int          `json:"series"`
	// Refused is how many lines and series of the last run could not be used, and
	// Reasons how many of them for which reason.
	Refused int            `json:"refused"`
	Reasons map[string]int `json:"refused_reasons,omitempty"`
	Last    *Run           `json:"last_run,omitempty"`
	// Warning is, of a script that is disabled, why. It is private.
	Warning string `json:"warning,omitempty"`
	History []Run  `json:"history,omitempty"` // the last runs, newest first; not in the overview
}

// Run is one run of a script.
type Run struct {
	Start    time.Time      `json:"start"`
	Duration float64        `json:"duration_seconds"`
	Waited   float64        `json:"waited_seconds"` // for a free place
	Result   record.Result  `json:"result"`
	ExitCode *int           `json:"exit_code,omitempty"` // nothing where it did not exit by itself
	Limit    string         `json:"limit,omitempty"`     // that was reached
	Cause    string         `json:"cause,omitempty"`     // of a failure, in our own words
	Nagios   string         `json:"nagios_state,omitempty"`
	Samples  int            `json:"samples"`
	Events   int            `json:"events"`
	Refused  int            `json:"refused_lines"`
	Reasons  map[string]int `json:"refused_reasons,omitempty"`

	// Private from here on.
	Error  string `json:"error,omitempty"`
	Stderr string `json:"last_stderr_line,omitempty"`
	Text   string `json:"nagios_text,omitempty"`
}

// Details are all that is known of a script.
type Details struct {
	Script
	SeriesList []Series   `json:"series_list"`
	Stale      bool       `json:"stale"` // the series are of an earlier run
	Declared   []Declared `json:"declared,omitempty"`
	EventList  []Event    `json:"event_list,omitempty"`

	// Private from here on.
	File      string    `json:"file,omitempty"`
	Directory string    `json:"directory,omitempty"`
	User      string    `json:"user,omitempty"`
	Command   []string  `json:"command,omitempty"`
	Config    string    `json:"configuration,omitempty"` // its YAML
	Warnings  []string  `json:"warnings,omitempty"`
	Log       []string  `json:"log,omitempty"`
	RefusedOf []Refused `json:"refused_list,omitempty"`
	Output    string    `json:"output,omitempty"`       // of the last run that printed something
	OutputCut bool      `json:"output_cut,omitempty"`   // Output is only its beginning
	OutputOf  time.Time `json:"output_start,omitzero"`  // when that run began
	Stderr    []string  `json:"stderr_lines,omitempty"` // the last lines, of earlier runs too
}

// Declared is a metric that a script has declared.
type Declared struct {
	ID         string   `json:"id,omitempty"`
	Name       string   `json:"name"`
	Rename     string   `json:"shown_as,omitempty"`
	Unit       string   `json:"unit,omitempty"`
	Datatype   string   `json:"datatype,omitempty"`
	Calctype   string   `json:"calctype,omitempty"`
	Dimensions []string `json:"dimensions,omitempty"`
	Help       string   `json:"description,omitempty"`
}

// Script gives what a table shows of a script.
func (m Maker) Script(v *script.View) Script {
	s := Script{
		Name: v.Script.Name, Dialect: v.Script.Dialect, State: OfScript(v), Activity: v.State,
		Timeout: v.Timeout.Seconds(), Overruns: v.Overruns, Series: m.Page.Count(record.Script, v.Script.Name),
	}
	if !v.Script.ProbeOnly() {
		s.Interval = v.Interval.Seconds()
	}
	switch v.State {
	case script.Running:
		s.Since = utc(v.Since)
	case script.Disabled:
		if n := len(v.Warnings); n > 0 && m.Private {
			s.Warning = v.Warnings[n-1]
		}
	default:
		s.Next = utc(v.Next)
	}
	if v.Last != nil {
		s.Last = new(m.Run(v.Last, v.Timeout))
		refusals, all := m.Page.Refusals(record.Script, s.Name)
		s.Refused, s.Reasons = v.Last.Refused+all, reasons(v.Last.Reasons, refusals, all)
	}
	return s
}

// Run gives what there is to say of a run of a script whose timeout is given.
func (m Maker) Run(v *script.Verdict, timeout time.Duration) Run {
	r := Run{
		Start: utc(v.Start), Duration: v.Duration.Seconds(), Waited: v.Waited.Seconds(), Result: v.Result, Limit: v.Limit,
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
	for _, h := range v.History {
		s.History = append(s.History, m.Run(h, v.Timeout))
	}
	return s
}

// Details gives all that is known of a script.
func (m Maker) Details(v *script.View) Details {
	d := Details{Script: m.WithHistory(v), SeriesList: m.series(record.Script, v.Script.Name), EventList: m.events(v.Events)}
	d.Stale = d.State == Failing && v.Last.Samples == 0 && d.Series > 0
	if v.Declared != nil {
		for _, of := range v.Declared.Metrics {
			d.Declared = append(d.Declared, Declared{
				ID: of.ID, Name: of.Name, Rename: of.Rename, Unit: of.Unit, Datatype: of.Datatype, Calctype: of.Calctype, Dimensions: of.Dimensions, Help: of.Help,
			})
		}
	}
	if m.Private {
		m.private(&d, v)
	}
	return d
}

// private fills in what the script itself said and how it is run.
func (m Maker) private(d *Details, v *script.View) {
	s := v.Script
	d.File, d.Directory, d.User, d.Command, d.Config = s.File, s.Dir, s.User, s.Command, s.YAML()
	d.Warnings, d.Log = v.Warnings, v.Log
	for _, line := range v.Stderr {
		d.Stderr = append(d.Stderr, line.Text)
	}
	d.Output, d.OutputCut = string(v.Output), v.OutputCut
	if v.OutputOf != nil {
		d.OutputOf = utc(v.OutputOf.Start)
	}
	if v.Last != nil {
		for _, le := range v.Last.Lines {
			d.RefusedOf = append(d.RefusedOf, Refused{Line: le.Line, Text: le.Text, Reason: le.Reason, Error: le.Error(), More: le.More})
		}
		refusals, _ := m.Page.Refusals(record.Script, s.Name)
		d.RefusedOf = append(d.RefusedOf, refusedSeries(refusals)...)
	}
}
