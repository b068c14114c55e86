package takeover

import (
	"errors"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"scriptbridge/config"
	"scriptbridge/takeover/host"
)

// findScriptExporter takes over the scripts of ricoberger's script_exporter, in the
// forms of its versions 2 and 3, and of adhocteam's.
func findScriptExporter(f *finding) {
	known := []string{
		"/etc/script_exporter/*.y*ml", "/etc/script-exporter/*.y*ml", "/etc/script_exporter.y*ml", "/etc/script-exporter.y*ml",
		"/etc/prometheus/script_exporter.y*ml", "/etc/prometheus/script-exporter.y*ml", "/opt/script_exporter/*.y*ml", "/usr/local/etc/script_exporter.y*ml",
	}
	dirs := make(map[string]string)
	user := ""
	for _, s := range f.services("script_exporter", "script-exporter", "prometheus-script-exporter") {
		f.files = append(f.files, s.File)
		user = s.User
		file, ok := host.Flag(s.Words, "-config.file", "--config.file", "--config.files")
		if !ok {
			continue
		}
		if !path.IsAbs(file) {
			file = path.Join(s.Dir, file)
		}
		known = append([]string{file}, known...)
		for _, one := range f.Host.Glob(file) {
			dirs[one] = s.Dir
		}
	}
	for _, file := range f.knownFiles(known...) {
		text, ok := f.read(file)
		if !ok {
			continue
		}
		root, err := config.ParseYAML(file, []byte(text))
		if err != nil {
			at, problem := config.Position{File: file}, err.Error()
			if e := (*config.Error)(nil); errors.As(err, &e) {
				at.Line, problem = e.Line, e.Problem
			}
			f.skip(at, "the file is no YAML: %s", problem)
			continue
		}
		for _, key := range []string{"tls", "basicAuth", "bearerAuth"} {
			if of := root.Get(key); of != nil && single(of.Value, "enabled") == "true" {
				f.skip(config.Position{File: file, Line: of.Line}, "%s: who may ask is set by --web.config.file", key)
			}
		}
		if of := root.Get("scripts"); of != nil {
			for _, item := range of.Value.Items {
				f.exporterScript(config.Position{File: file, Line: item.Line}, item, dirs[file], user)
			}
		}
	}
}

// single gives the text of a key's value, by a path of keys; "" where it is none.
func single(v *config.Value, keys ...string) string {
	for _, key := range keys {
		field := v.Get(key)
		if field == nil {
			return ""
		}
		v = field.Value
	}
	text, problem := v.Single()
	if problem != nil {
		return ""
	}
	return text
}

// list gives the texts of a key's value, which is one or several.
func list(v *config.Value, key string) (all []string) {
	field := v.Get(key)
	if field == nil {
		return nil
	}
	if text, problem := field.Value.Single(); problem == nil {
		return []string{text}
	}
	for _, item := range field.Value.Items {
		if text, problem := item.Single(); problem == nil {
			all = append(all, text)
		}
	}
	return all
}

// braced is what a script that may be probed takes for a parameter.
var braced = regexp.MustCompile(`\{[a-zA-Z_][a-zA-Z0-9_]*\}`)

// exporterScript takes over one script, which ran in a folder.
func (f *finding) exporterScript(at config.Position, v *config.Value, dir, user string) {
	name, words := single(v, "name"), append(list(v, "command"), list(v, "args")...)
	code := single(v, "script")
	shell := code != "" && single(v, "timeout") != "" // adhocteam's, which has a number there
	if code != "" && !shell {
		words = strings.Fields(code) // as version 2 split it: at blanks alone
	}
	if len(words) > 0 && strings.Contains(words[0], "/") && !path.IsAbs(words[0]) && dir != "" {
		words[0] = path.Join(dir, words[0])
	}
	switch {
	case shell:
		words = []string{"sh", "-c", "exec >/dev/null; " + code}
	case len(words) == 0:
		f.skip(at, "%s: it has no command", name)
		return
	}
	asRoot := single(v, "sudo") == "true"
	if asRoot && !f.AsRoot {
		words = append([]string{"sudo"}, words...)
	}
	if single(v, "output", "ignore") == "true" {
		words = append([]string{"sh", "-c", `exec "$@" >/dev/null`, "sh"}, words...)
	}
	dialect := "prometheus"
	if single(v, "output", "format") == "nagios" {
		dialect = "nagios"
	}
	e := f.script(at, name, dialect, words)
	f.exporterTimes(e, v)
	f.environment(e, textsOf(v, "env"))
	keepsFailed := single(v, "output", "ignore_on_error") != "true" && single(v, "ignoreOutputOnFail") != "true"
	if dialect == "prometheus" && keepsFailed && !shell {
		e.set("options", mapOf("use_failed_output", config.BareValue("true")))
	}
	if slices.ContainsFunc(words, braced.MatchString) {
		e.note("A request cannot run it (probe: true), since {…} in a command would then be a parameter.")
	} else {
		e.set("probe", config.BareValue("true"))
	}
	if !asRoot {
		f.runAs(e, user)
	}
	f.exporterNotes(e, v)
}

// exporterTimes takes over how often and how long a script runs.
func (f *finding) exporterTimes(e *entry, v *config.Value) {
	interval := seconds(single(v, "cache", "duration"))
	for _, text := range []string{single(v, "cacheDuration"), single(v, "discovery", "scrape_interval")} {
		if d, err := time.ParseDuration(text); err == nil && d > 0 {
			interval = d
		}
	}
	if interval > 0 {
		interval = max(interval, time.Second)
	}
	e.setDuration("interval", interval)
	timeout := seconds(single(v, "timeout", "max_timeout"))
	if text := single(v, "timeout"); text != "" {
		timeout = seconds(text)
	}
	if d, err := time.ParseDuration(single(v, "discovery", "scrape_timeout")); err == nil && timeout == 0 {
		timeout = d
	}
	e.setDuration("timeout", timeout)
}

// exporterNotes tells what of a script is different here.
func (f *finding) exporterNotes(e *entry, v *config.Value) {
	if single(v, "allow_env_overwrite") == "true" || single(v, "allowEnvOverwrite") == "true" {
		e.note("A request does not set variables here.")
	}
	discovery := v.Get("discovery")
	if discovery == nil || discovery.Value.Get("params") == nil {
		return
	}
	params := discovery.Value.Get("params").Value
	var names []string
	for _, field := range params.Fields {
		names = append(names, field.Key+"="+strconv.Quote(single(params, field.Key)))
	}
	e.note("discovery.params were %s: what a request may say is declared under parameters, and placed in the command by {NAME} (docs/probe.md).", strings.Join(names, ", "))
}

// textsOf gives the map of texts that a key has.
func textsOf(v *config.Value, key string) map[string]string {
	all := make(map[string]string)
	of := v.Get(key)
	if of == nil {
		return all
	}
	for _, field := range of.Value.Fields {
		if text, problem := field.Value.Single(); problem == nil {
			all[field.Key] = text
		}
	}
	return all
}
