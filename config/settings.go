package config

import (
	"cmp"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/common/model"

	"scriptbridge/config/cmdline"
	"scriptbridge/config/internal/yamltree"
)

// Defaults of spec/configuration.md.
const (
	DefaultDialect       = "coscale"
	DefaultMaxConcurrent = 16
	DefaultAverageWindow = 5 * time.Minute
	DefaultMaxSeries     = 10_000
	DefaultMaxOutput     = 16 << 20 // bytes
	DefaultRetention     = 10 * time.Minute

	// largestOutput keeps a slip of a unit from being the end of the memory.
	largestOutput = 1 << 30
	// longestLabel is where mapping.md refuses a label's value.
	longestLabel = 1 << 10
)

var (
	prefixForm = regexp.MustCompile(`^([a-z_][a-z0-9_]*)?$`)
	labelForm  = regexp.MustCompile(`^[a-zA-Z_][a-zA-Z0-9_]*$`)
)

// settings are the keys that a script and a discover entry have in common, but
// for working_directory: a script's must be known before its command is read.
func settings(s *Settings) []key {
	return []key{
		{"dialect", text(&s.Dialect)},
		{"interval", duration(&s.Interval, time.Second)},
		{"timeout", duration(&s.Timeout, time.Millisecond)},
		{"prefix", optional(&s.Prefix, checkPrefix)},
		{"labels", texts(&s.Labels, checkLabel)},
		{"env", texts(&s.Env, checkEnv)},
		{"env_file", path(&s.EnvFile)},
		{"user", text(&s.User)},
		{"max_age", duration(&s.MaxAge, time.Second)},
		{"max_series", count(&s.MaxSeries)},
		{"max_output", output(&s.MaxOutput)},
		{"average_window", duration(&s.AverageWindow, time.Second)},
		{"honor_timestamps", boolean(&s.HonorTimestamps)},
		{"probe", boolean(&s.Probe)},
		{"descendants", descendants(&s.KeepDescendants)},
		{"metrics", overrides(&s.Metrics)},
		{"options", options(&s.Options)},
	}
}

// fill puts the defaults where s is silent, g's before the program's own.
func (s *Settings) fill(g Global) {
	if s.Dialect == "" {
		s.Dialect = DefaultDialect
	}
	if s.MaxSeries == 0 {
		s.MaxSeries = DefaultMaxSeries
	}
	if s.MaxOutput == 0 {
		s.MaxOutput = DefaultMaxOutput
	}
	if s.AverageWindow == 0 {
		s.AverageWindow = g.AverageWindow
	}
	if s.AverageWindow == 0 {
		s.AverageWindow = DefaultAverageWindow
	}
	if len(g.Labels) > 0 {
		labels := maps.Clone(g.Labels)
		maps.Copy(labels, s.Labels)
		s.Labels = labels
	}
}

// script reads one entry of `scripts`. It gives nil where an error leaves
// nothing to speak of; e has the error.
func (e *entry) script(v *yamltree.Value, g Global) *Script {
	if v.Kind != yamltree.Map {
		e.fail(v.Line, orText("command", v, "/path/to/script"), "is %s, not a map", v.Kind)
		return nil
	}
	unnamed := v.Get("name") == nil
	var (
		name   string
		script *Script
		params map[string]Parameter
		set    Settings
	)
	keys := append([]key{
		{"name", func(e *entry, f yamltree.Field) {
			s, ft := f.Value.Single()
			if ft == nil {
				ft = checkName(s)
			}
			if ft != nil {
				e.fault(f, ft)
				return
			}
			name = s
			e.thing = fmt.Sprintf("%s %q", e.thing, name)
		}},
		// Before the command, whose bare words may lie there.
		{"working_directory", path(&set.WorkingDirectory)},
		{"command", func(e *entry, f yamltree.Field) {
			if script = e.command(f, name, set); script != nil && unnamed {
				e.thing = fmt.Sprintf("%s %q", e.thing, script.Name)
			}
		}},
		{"parameters", parameters(&params)},
		{"directory", refused("is not a script's", "an entry of discover takes it; a script has working_directory")},
	}, settings(&set)...)
	e.object(v, keys)
	switch modular := isModular(set.Dialect); {
	case v.Get("command") == nil && !modular:
		e.fail(v.Line, "write command: and the script's path", "has no command")
	case modular && v.Get("command") != nil:
		e.fail(v.Get("command").Line, "name the module under options", "command is not for the dialect %s", set.Dialect)
		return nil
	case modular:
		if script = e.module(v, name, set); script != nil && unnamed {
			e.thing = fmt.Sprintf("%s %q", e.thing, script.Name)
		}
	}
	if script == nil || name == "" && !unnamed {
		return nil
	}
	interval, timeout := set.Interval, set.Timeout
	// A script of the first dialect may declare what the entry leaves out.
	if dialect := cmp.Or(set.Dialect, DefaultDialect); dialect != DefaultDialect && (interval > 0 || timeout > 0) {
		interval, timeout = cmp.Or(interval, g.Interval), cmp.Or(timeout, g.Timeout)
	}
	e.compareTimes(v, interval, timeout)
	set.fill(g)
	script.Settings = set
	script.Parameters = params
	e.checkParameters(v, script)
	script.Pos = Position{File: e.file, Line: v.Line}
	return script
}

// orText says how an item that is no map is written as one: with the key that
// its text is the value of, or some other text where it has none.
func orText(key string, v *yamltree.Value, otherwise string) string {
	if v.Kind == yamltree.Scalar {
		otherwise = v.Text
	}
	return "write " + key + ": " + yamltree.Quote(otherwise)
}

// compareTimes warns of a timeout that is longer than the interval; what is 0 is
// not said.
func (e *entry) compareTimes(v *yamltree.Value, interval, timeout time.Duration) {
	if interval == 0 || timeout <= interval {
		return
	}
	line := v.Line
	for _, key := range []string{"interval", "timeout"} {
		if f := v.Get(key); f != nil {
			line = f.Line
		}
	}
	e.Warn("%s: %s: timeout %s is longer than interval %s, so that a slow run takes the place of the next ones (shorten the one, or lengthen the other)",
		Position{File: e.file, Line: line}, e.thing, model.Duration(timeout), model.Duration(interval))
}

// modular are the dialects whose scripts are modules, named under options
// instead of by a command.
var modular = []string{"scalyr"}

func isModular(dialect string) bool { return slices.Contains(modular, dialect) }

// module is a script of a modular dialect.
func (e *entry) module(v *yamltree.Value, name string, set Settings) *Script {
	script, ft := newModule(name, set)
	if ft != nil {
		line := v.Line
		if f := v.Get("options"); f != nil {
			line = f.Line
		}
		e.fail(line, ft.Remedy, "%s", ft.Text)
		return nil
	}
	return script
}

// newModule makes the Script of a modular dialect. An empty name is made from
// the last word of options.module and options.id.
func newModule(name string, s Settings) (*Script, *yamltree.Problem) {
	module, id := s.Options.text("module"), s.Options.text("id")
	if module == "" {
		return nil, yamltree.Problemf("write options: {module: random_coin_monitor}", "options has no module")
	}
	if name == "" {
		name = module[strings.LastIndexByte(module, '.')+1:]
		if id != "" {
			name += "-" + id
		}
	}
	if ft := checkName(name); ft != nil {
		return nil, &yamltree.Problem{Text: "name " + ft.Text, Remedy: ft.Remedy}
	}
	return &Script{Settings: s, Name: name}, nil
}

// command reads a line or a list of arguments.
func (e *entry) command(f yamltree.Field, name string, set Settings) *Script {
	var words []string
	var line *cmdline.Line
	if f.Value.Kind == yamltree.List {
		for _, item := range f.Value.Items {
			word, ft := item.Single()
			if ft != nil {
				e.fault(f, &yamltree.Problem{Text: "has a word that " + ft.Text, Remedy: ft.Remedy})
				return nil
			}
			words = append(words, word)
		}
		line = cmdline.NewList(words, e.folder, name != "")
	} else {
		text, ft := f.Value.Single()
		if ft != nil {
			e.fault(f, ft)
			return nil
		}
		var err error
		if words, err = cmdline.Parse(text); err != nil {
			remedy := "close it, or put the other kind of quotes around it if it is meant as text"
			if !strings.Contains(err.Error(), "quote") {
				remedy = "write the script's path"
			}
			e.fail(f.Line, remedy, "%v", err)
			return nil
		}
		line = cmdline.NewLine(text, e.folder, name != "")
	}
	script, ft := newScript(name, words, e.folder, set)
	if ft != nil {
		e.fail(f.Line, ft.Remedy, "%s", ft.Text)
		return nil
	}
	script.line = line
	return script
}

// homeFolders are the folders, in the user's home, that a dialect's own runner
// looked into: the default of discover's directory.
var homeFolders = map[string]string{"instrumental": ".instrumental_scripts"}

// discover reads one entry of `discover`, nil as in script.
func (e *entry) discover(v *yamltree.Value, g Global) *Discover {
	if v.Kind != yamltree.Map {
		e.fail(v.Line, orText("directory", v, "/path/to/scripts"), "is %s, not a map", v.Kind)
		return nil
	}
	d := &Discover{Pos: Position{File: e.file, Line: v.Line}}
	own := refused("is not for an entry of discover", "each script that it finds has its own")
	e.object(v, append([]key{
		{"directory", path(&d.Directory)},
		{"name", own},
		{"command", own},
		{"parameters", refused("is not for an entry of discover", "a parameter needs a place in a command: name the script under scripts")},
		{"agent_config", path(&d.AgentConfig)},
		{"working_directory", path(&d.WorkingDirectory)},
	}, settings(&d.Settings)...))
	e.compareTimes(v, d.Interval, d.Timeout)
	d.fill(g)
	switch directory, agent := v.Get("directory"), v.Get("agent_config"); {
	case isModular(d.Dialect) && directory != nil:
		e.fail(directory.Line, "write agent_config: and the path of agent.json", "directory is not for the dialect %s", d.Dialect)
		return nil
	case isModular(d.Dialect) && agent == nil:
		e.fail(v.Line, "write agent_config: and the path of agent.json", "has no agent_config")
		return nil
	case !isModular(d.Dialect) && agent != nil:
		e.fail(agent.Line, "write dialect: scalyr", "agent_config is not for the dialect %s", d.Dialect)
		return nil
	case directory != nil || agent != nil:
		return d
	}
	folder, ok := homeFolders[d.Dialect]
	home, err := os.UserHomeDir()
	if !ok || err != nil {
		e.fail(v.Line, "give a directory:", "has no directory")
		return nil
	}
	d.Directory = filepath.Join(home, folder)
	return d
}

func checkPrefix(s string) *yamltree.Problem {
	if !prefixForm.MatchString(s) {
		return yamltree.Problemf("it takes a-z, 0-9 and _, no digit first", "%q cannot begin a metric's name", s)
	}
	return nil
}

func checkLabel(name, text string) *yamltree.Problem {
	switch {
	case !labelForm.MatchString(name):
		return yamltree.Problemf("it takes letters, digits and _, no digit first", "cannot be a label's name")
	case strings.HasPrefix(name, "__"):
		return yamltree.Problemf("begin it otherwise", "is a name that Prometheus keeps to itself")
	case name == "script":
		return yamltree.Problemf("set name: instead", "is the label that holds the script's name")
	case name == "le" || name == "quantile":
		return yamltree.Problemf("give it another name", "is the label that Prometheus has on the parts of histograms and summaries")
	case len(text) > longestLabel:
		return yamltree.Problemf(fmt.Sprintf("at most %d bytes", longestLabel), "has too long a text")
	}
	return nil
}

func checkEnv(name, text string) *yamltree.Problem {
	switch {
	case name == "" || strings.ContainsAny(name, "=\x00"):
		return yamltree.Problemf("give it another name, without =", "cannot be the name of a variable")
	case strings.Contains(text, "\x00"):
		return yamltree.Problemf("leave it out", "has a text with a NUL in it")
	}
	return nil
}

func output(into *int64) take {
	return func(e *entry, f yamltree.Field) {
		n, ft := f.Value.Bytes()
		switch {
		case ft != nil:
		case n < 1:
			ft = yamltree.Problemf("write 1 or more", "%s is too small", f.Value.Text)
		case n > largestOutput:
			ft = yamltree.Problemf("write 1GiB or less", "%s is too much", f.Value.Text)
		}
		if ft != nil {
			e.fault(f, ft)
			return
		}
		*into = n
	}
}

func descendants(keep *bool) take {
	return func(e *entry, f yamltree.Field) {
		var s string
		word(&s, "kill", "keep")(e, f)
		*keep = s == "keep"
	}
}

// overrides reads what the operator says of metrics, by id or name.
func overrides(into *map[string]Override) take {
	return func(e *entry, f yamltree.Field) {
		if f.Value.Kind != yamltree.Map && f.Value.Kind != yamltree.Null {
			e.fault(f, yamltree.Problemf("write the id or name of a metric, and beneath it what is to be changed", "is %s, not a map", f.Value.Kind))
			return
		}
		for _, m := range f.Value.Fields {
			var o Override
			e := e.inner(fmt.Sprintf("metrics: %q", m.Key))
			before := len(e.Errs)
			e.object(m.Value, []key{
				{"type", word(&o.Type, "gauge", "counter", "untyped")},
				{"name", text(&o.Name)},
				{"help", text(&o.Help)},
				{"unit", optional(&o.Unit, nil)},
				{"drop", boolean(&o.Drop)},
			})
			if len(e.Errs) == before && o == (Override{}) {
				e.fail(m.Line, "give a type, name, help or unit, or drop: true", "changes nothing")
			}
			if *into == nil {
				*into = make(map[string]Override)
			}
			(*into)[m.Key] = o
		}
	}
}

func options(into *Options) take {
	return func(e *entry, f yamltree.Field) {
		switch {
		case f.Value.Kind == yamltree.Null:
		case f.Value.Kind != yamltree.Map:
			e.fault(f, yamltree.Problemf("write names and values beneath it, each as name: value", "is %s, not a map", f.Value.Kind))
		case len(f.Value.Fields) > 0:
			*into = Options{root: f.Value, file: e.file, thing: e.thing}
		}
	}
}
