package web

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"scriptbridge/collector"
	"scriptbridge/internal/texts"
	"scriptbridge/record"
	"scriptbridge/script"
	"scriptbridge/status"
)

// probeForm is what one fills in on the page of a script to probe it.
type probeForm struct {
	Script     string // as it is called, not as it is shown
	Debug      bool   // the answer may be one for people
	Parameters []probeField
}

// probeField is a parameter; the default, if there is one, is filled in.
type probeField struct{ Name, Value, Pattern string }

// formOf is the form of a script that may be probed; nil for others. Defaults and
// patterns are part of the configuration, and so private.
func formOf(s *script.Script, private bool) *probeForm {
	if !s.Probe || s.Disabled() {
		return nil
	}
	f := &probeForm{Script: s.Name, Debug: private}
	for _, name := range slices.Sorted(maps.Keys(s.Parameters)) {
		field := probeField{Name: name}
		if p := s.Parameters[name]; private {
			field.Pattern = texts.Visible(p.Pattern)
			if p.Default != nil {
				field.Value = *p.Default
			}
		}
		f.Parameters = append(f.Parameters, field)
	}
	return f
}

// probeTable is the latest probes. Who asked for what is private.
func probeTable(v *script.View, private bool, now time.Time) table {
	columns := []column[script.Probe]{
		{title: "Asked", cell: func(p script.Probe) cell { return timeCell(ago(p.At, now)) }},
		{title: "Result", cell: func(p script.Probe) cell {
			if p.Run == nil {
				return badgeCell(badge{"new", "○", "no answer"})
			}
			return badgeCell(badgeOf(p.Run))
		}},
		{title: "Took", class: "num", cells: "num", cell: func(p script.Probe) cell {
			if p.Run == nil {
				return cell{}
			}
			return textCell(took(p.Run.Duration))
		}},
	}
	if private {
		columns = append(columns,
			column[script.Probe]{title: "By", cell: func(p script.Probe) cell { return textCell(texts.Visible(p.From)) }},
			column[script.Probe]{title: "Parameters", cells: "message", cell: func(p script.Probe) cell {
				if p.Parameters == "" {
					return cell{}
				}
				return codesCell(texts.Visible(p.Parameters))
			}},
		)
	}
	columns = append(columns, column[script.Probe]{title: "Message", cells: "note", cell: func(p script.Probe) cell {
		switch {
		case p.Run == nil && private && p.Err != nil:
			return noteCell(excerpt(p.Err.Error())).in(warnTone)
		case p.Run == nil || p.Run.Result == record.OK && !private:
			return cell{}
		case p.Run.Result == record.OK:
			return noteCell(excerpt(answerOf(p.Run)))
		case private:
			return failureCell(p.Run).in(badTone)
		}
		return noteCell(status.Cause(p.Run, v.Timeout)).in(badTone)
	}})
	return tableOf(table{ID: "probes", Title: "Latest probes"}, columns, v.Probes)
}

// DebugText tells a person what came of the last run of a view: how it ended, what the
// script logged and printed, and what became of each line. It is private.
func DebugText(v *script.View, series []collector.SeriesView, refusals []collector.Refusal) string {
	var b strings.Builder
	section := func(title string) { fmt.Fprintf(&b, "\n%s:\n", title) }
	last := v.Last
	fmt.Fprintf(&b, "script %s: %s in %s, exit code %d\n", texts.Visible(v.Script.Name), badgeOf(last).Word, took(last.Duration), last.ExitCode)
	fmt.Fprintf(&b, "command: %s\n", texts.Visible(strings.Join(v.Script.Command, " ")))
	if last.Waited >= time.Second {
		fmt.Fprintf(&b, "waited for a free place: %s\n", took(last.Waited))
	}
	if why := status.ErrorOf(last); why != "" {
		fmt.Fprintf(&b, "error: %s\n", texts.Visible(why))
	}
	for _, text := range v.Warnings {
		fmt.Fprintf(&b, "warning: %s\n", texts.Visible(text))
	}
	section("Standard error and log")
	if runs := stderrRuns(v.Stderr, last.Start); len(runs) > 0 && last.Stderr != "" {
		for _, l := range runs[0].Lines {
			fmt.Fprintf(&b, "%s  %s\n", l.Clock, l.Text)
		}
	}
	for _, text := range v.Log {
		fmt.Fprintf(&b, "          %s\n", texts.Visible(text))
	}
	section("Output, line by line")
	o := outputOf(v, series, refusals)
	for _, text := range o.Said {
		fmt.Fprintln(&b, "✕", text)
	}
	for _, l := range slices.Concat(o.Open, o.Closed) {
		if l.File != "" {
			fmt.Fprintf(&b, "%s:\n", l.File)
		}
		fmt.Fprintf(&b, "%5d  %s\n", l.Number, l.Text)
		for _, n := range l.Notes {
			fmt.Fprintf(&b, "       %s\n", n.plain())
		}
		if len(l.Notes) == 0 && !l.Blank && !l.Unused {
			fmt.Fprintln(&b, "       ignored")
		}
		if l.More > 0 {
			fmt.Fprintf(&b, "       and %d more\n", l.More)
		}
	}
	for _, n := range o.Rest {
		fmt.Fprintf(&b, "%5s  %s\n       %s\n", cmp.Or(n.Place, strconv.Itoa(n.Line)), n.Source, n.plain())
	}
	if left := o.Left + o.RestLeft; left > 0 {
		fmt.Fprintf(&b, "and %d more lines\n", left)
	}
	return b.String()
}

// plain is what became of a line, without markup.
func (n note) plain() string {
	switch n.Kind {
	case "series":
		return "→ " + n.Text + " " + n.Value
	case "event":
		return "◆ event " + n.Text
	}
	return "✕ refused (" + n.Value + "): " + n.Text
}
