// Package takeover writes a configuration out of those of other tools that run
// scripts: takeover.go has the table of tools, finding.go what is found of each,
// verify.go comments out what would not work, write.go writes the file; keys.go has
// variables, labels and secrets. Each tool
// is a file of its own, a function that reads the tool's files on a host.Host and
// tells a finding what there is.
//
// Nothing is run, and what cannot be taken over is told, with its file, its line
// and the reason.
package takeover

import (
	"cmp"
	"fmt"
	"slices"

	"scriptbridge/config"
	"scriptbridge/takeover/host"
)

// Tool is another tool: how it is called, and how to find out what it runs.
type Tool struct {
	Name  string // as on the command line
	Title string
	find  func(f *finding)
}

// Tools is the table. A new tool is one file and one line here.
var Tools = []Tool{
	{"coscale", "CoScale's agent", findCoScale},
	{"instrumental", "Instrumental's agents", findInstrumental},
	{"scalyr", "Scalyr's agent", findScalyr},
	{"script_exporter", "script_exporter", findScriptExporter},
	{"nrpe", "NRPE", findNRPE},
	{"nagios", "Nagios", findNagios},
	{"icinga2", "Icinga 2", findIcinga2},
	{"telegraf", "telegraf", findTelegraf},
	{"cron", "cron", findCron},
	{"systemd", "timers of systemd", findTimers},
	{"node_exporter", "node_exporter's textfile collector", findNodeExporter},
	{"collectd", "collectd", findCollectd},
	{"statsd_exporter", "statsd_exporter", findStatsDExporter},
	{"plugins", "folders of Nagios plugins", findPlugins}, // last: those that nobody above runs
}

// Options is what is looked at, and how.
type Options struct {
	Host *host.Host
	// From are further files of tools, by the tool's name.
	From map[string][]string
	// Only are the names of the tools to look for; empty for all.
	Only []string
	// AsRoot says that the bridge will run as root: it can run scripts as others,
	// and obeys nothing that others may change.
	AsRoot bool
	// Trusted are paths that root takes as they are.
	Trusted []string
	// Hide says that the text will be seen by others: secrets are left out.
	Hide bool
	// Examine gives what is wrong with a configuration, each error with the file and
	// the line that it begins with, as "FILE:LINE: ".
	Examine func(text string) (file string, errs []error)
}

// Result is a configuration.
type Result struct {
	Text  string
	Tools []Summary // of which there is something
}

// Summary says what came of a tool's files.
type Summary struct {
	Title   string
	Files   []string
	Taken   int      // entries
	Skipped []string // what was not taken over, and why; each with its place
	// Offered are entries that are commented out since nothing ran them.
	Offered int
}

// Run looks at a machine and makes a configuration. It is nil where nothing of any
// tool is found.
func Run(o Options) (*Result, error) {
	var all []*finding
	known, some := new(seen), false
	for _, tool := range Tools {
		if len(o.Only) > 0 && !slices.Contains(o.Only, tool.Name) {
			continue
		}
		f := &finding{tool: tool, Options: o, known: known}
		denied := len(o.Host.Denied())
		tool.find(f)
		some = some || len(f.files)+len(f.entries)+len(f.skipped) > 0
		for _, folder := range o.Host.Denied()[denied:] {
			f.skip(config.Position{File: folder}, "cannot be looked into: permission denied (root could)")
		}
		if len(f.files)+len(f.entries)+len(f.skipped) > 0 {
			all = append(all, f)
		}
	}
	if !some {
		return nil, nil
	}
	refuseUnusable(all, o)
	if err := verify(all, o); err != nil {
		return nil, err
	}
	r := &Result{Text: write(all)}
	for _, f := range all {
		r.Tools = append(r.Tools, f.summary())
	}
	return r, nil
}

func (f *finding) summary() Summary {
	s := Summary{Title: f.tool.Title, Files: f.files}
	for _, e := range f.entries {
		switch {
		case e.offer:
			s.Offered++
		case e.refused == "":
			s.Taken++
		default:
			s.Skipped = append(s.Skipped, fmt.Sprintf("%s: %s: %s", e.at, cmp.Or(e.what, e.name), e.refused))
		}
	}
	for _, l := range f.skipped {
		s.Skipped = append(s.Skipped, fmt.Sprintf("%s: %s", l.at, l.text))
	}
	return s
}
