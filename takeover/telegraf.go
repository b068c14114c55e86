package takeover

import (
	"errors"
	"fmt"
	"path"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/pelletier/go-toml/v2"
	"github.com/pelletier/go-toml/v2/unstable"

	"scriptbridge/config"
	"scriptbridge/takeover/host"
)

// telegrafFile is what of a file of telegraf is looked at. Values are of any type:
// one that is odd costs its table alone.
type telegrafFile struct {
	Agent  map[string]any `toml:"agent"`
	Inputs map[string]any `toml:"inputs"`
}

func findTelegraf(f *finding) {
	known := []string{"/etc/telegraf/telegraf.conf", "/etc/telegraf/telegraf.d/*.conf", "/usr/local/etc/telegraf.conf", "/opt/telegraf/etc/telegraf/telegraf.conf",
		"/Program Files/Telegraf/telegraf.conf", "/Program Files/InfluxData/telegraf/telegraf.conf", "/Program Files/Telegraf/telegraf.d/*.conf", "/Program Files/InfluxData/telegraf/telegraf.d/*.conf"}
	user := ""
	if _, ok := f.Host.Account("telegraf"); ok {
		user = "telegraf" // which its packages make
	}
	for _, s := range f.services("telegraf") {
		if file, ok := host.Flag(s.Words, "--config", "-config"); ok {
			known = append(known, file)
		}
		if folder, ok := host.Flag(s.Words, "--config-directory", "-config-directory"); ok {
			known = append(known, path.Join(folder, "*.conf"))
		}
		user = s.User
	}
	interval := ""
	for _, file := range f.knownFiles(known...) {
		text, ok := f.read(file)
		if !ok {
			continue
		}
		var t telegrafFile
		if err := toml.Unmarshal([]byte(text), &t); err != nil {
			at := config.Position{File: file}
			if e := (*toml.DecodeError)(nil); errors.As(err, &e) {
				at.Line, _ = e.Position()
			}
			f.skip(at, "the file is no TOML: %v", err)
			continue
		}
		if of, ok := t.Agent["interval"].(string); ok {
			interval = of // one agent for all files, of which the main one is first
		}
		lines := tableLines([]byte(text))
		for _, plugin := range sortedKeys(t.Inputs) {
			for i, table := range tables(t.Inputs[plugin]) {
				at := config.Position{File: file}
				if of := lines["inputs."+plugin]; i < len(of) {
					at.Line = of[i]
				}
				f.telegrafInput(at, plugin, table, interval, user)
			}
		}
	}
}

func sortedKeys(m map[string]any) (keys []string) {
	for key := range m {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	return keys
}

// tables gives the tables of an array of such, or the one that stands alone.
func tables(v any) (all []map[string]any) {
	switch v := v.(type) {
	case map[string]any:
		all = append(all, v)
	case []any:
		for _, item := range v {
			if t, ok := item.(map[string]any); ok {
				all = append(all, t)
			}
		}
	}
	return all
}

// tableLines gives the lines in which tables begin, by name.
func tableLines(text []byte) map[string][]int {
	lines := make(map[string][]int)
	var p unstable.Parser
	p.Reset(text)
	for p.NextExpression() {
		e := p.Expression()
		if e.Kind != unstable.ArrayTable && e.Kind != unstable.Table {
			continue
		}
		var name []string
		line := 0
		for key := e.Key(); key.Next(); {
			if line == 0 {
				line = p.Shape(key.Node().Raw).Start.Line
			}
			name = append(name, string(key.Node().Data))
		}
		all := strings.Join(name, ".")
		lines[all] = append(lines[all], line)
	}
	return lines
}

// ofEnvironment is how telegraf's files name variables.
var ofEnvironment = regexp.MustCompile(`\$\{[^}]*\}|\$[A-Za-z_][A-Za-z0-9_]*`)

// telegrafInput takes one input over.
func (f *finding) telegrafInput(at config.Position, plugin string, t map[string]any, interval, user string) {
	format, _ := t["data_format"].(string)
	switch plugin {
	case "exec":
	case "nagios":
		format = "nagios"
	case "execd":
		f.skip(at, "inputs.execd: a program that stays alive and prints whenever it likes; no dialect here is of that kind")
		return
	case "statsd":
		f.skip(at, "inputs.statsd: receive.statsd takes its place; the templates become a mapping file (docs/statsd.md)")
		return
	default:
		return // telegraf's own measuring
	}
	if format == "" {
		format = "json" // telegraf's default
	}
	commands, err := telegrafCommands(t)
	if err != nil {
		f.skip(at, "inputs.%s: %v", plugin, err)
		return
	}
	dialect, ok := map[string]string{"nagios": "nagios", "prometheus": "prometheus", "openmetrics": "prometheus"}[format]
	if !ok {
		for _, words := range commands {
			f.skip(at, "inputs.%s: %s: data_format %s: what the command prints is no kind that a dialect here reads (have it print Prometheus's text format)", plugin, nameOf(words), format)
		}
		return
	}
	if of, ok := t["interval"].(string); ok {
		interval = of
	}
	for _, words := range commands {
		for _, words := range f.globbed(words) {
			f.telegrafScript(at, t, dialect, interval, user, words)
		}
	}
}

// globbed gives a command once for each file that its first word's pattern names.
func (f *finding) globbed(words []string) (all [][]string) {
	if !strings.ContainsAny(words[0], "*?[") || !path.IsAbs(words[0]) {
		return [][]string{words}
	}
	for _, file := range f.Host.Glob(words[0]) {
		all = append(all, append([]string{file}, words[1:]...))
	}
	if len(all) == 0 {
		all = append(all, words)
	}
	return all
}

// telegrafCommands gives the words of all commands of an input.
func telegrafCommands(t map[string]any) (all [][]string, err error) {
	var given []any
	switch of := t["commands"].(type) {
	case nil:
	case []any:
		given = append(given, of...)
	default:
		given = append(given, of)
	}
	if one, ok := t["command"]; ok { // of old versions
		given = append(given, one)
	}
	for _, one := range given {
		var words []string
		switch one := one.(type) {
		case string:
			if words, err = telegrafWords(one); err != nil {
				return nil, err
			}
		case []any:
			for _, word := range one {
				words = append(words, fmt.Sprint(word))
			}
		}
		if len(words) == 0 {
			return nil, fmt.Errorf("a command is neither a text nor a list of texts")
		}
		all = append(all, words)
	}
	if len(all) == 0 {
		return nil, errors.New("it has no commands")
	}
	return all, nil
}

// telegrafWords splits a command, which telegraf gives to no shell: what a shell
// would understand is an ordinary word.
func telegrafWords(line string) ([]string, error) {
	words, _ := host.Words(line)
	if len(words) == 0 {
		return nil, fmt.Errorf("the command %q cannot be split into words", host.OneLine(line))
	}
	return words, nil
}

func (f *finding) telegrafScript(at config.Position, t map[string]any, dialect, interval, user string, words []string) {
	name := nameOf(words)
	if of, ok := t["name_override"].(string); ok && of != "" {
		name = of
	} else if of, ok := t["name_suffix"].(string); ok {
		name += of
	}
	e := f.script(at, name, dialect, words)
	every, err := time.ParseDuration(interval)
	if err != nil {
		every = 10 * time.Second // telegraf's default
	}
	e.setDuration("interval", max(every, time.Second))
	timeout := 5 * time.Second
	if of, ok := t["timeout"].(string); ok {
		if d, err := time.ParseDuration(of); err == nil {
			timeout = d
		}
	}
	e.setDuration("timeout", timeout)
	f.environment(e, assignments(t["environment"]))
	tags, _ := t["tags"].(map[string]any)
	labels := make(map[string]string)
	for key, value := range tags {
		labels[key] = fmt.Sprint(value)
	}
	e.labels(labels)
	if t["ignore_error"] == true && dialect == "prometheus" {
		e.set("options", mapOf("use_failed_output", config.BareValue("true")))
	}
	f.runAs(e, user)
	for _, word := range words {
		if m := ofEnvironment.FindString(word); m != "" {
			e.refuse("telegraf puts the variable %s of its environment here: write its value", m)
		}
	}
	for _, key := range []string{"fieldpass", "fielddrop", "fieldinclude", "fieldexclude", "namepass", "namedrop", "tagpass", "tagdrop", "metricpass"} {
		if _, ok := t[key]; ok {
			e.note("%s is not taken over; metrics: {NAME: {drop: true}} drops one.", key)
		}
	}
}

// assignments reads a list of NAME=VALUE.
func assignments(list any) map[string]string {
	all := make(map[string]string)
	items, _ := list.([]any)
	for _, item := range items {
		if name, value, ok := strings.Cut(fmt.Sprint(item), "="); ok {
			all[name] = value
		}
	}
	return all
}
