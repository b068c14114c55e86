package config

import (
	"cmp"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/common/model"

	"scriptbridge/config/cmdline"
	"scriptbridge/config/internal/yamltree"
	"scriptbridge/internal/crontab"
)

// readItem reads one entry of `scripts`. It gives false where an error leaves
// nothing to speak of; e has the error.
func (s *Script) readItem(e *entry, v *yamltree.Value) bool {
	if v.Kind != yamltree.Map {
		e.fail(v.Line, orText("command", v, "/path/to/script"), "is %s, not a map", v.Kind)
		return false
	}
	e.object(yamltree.Field{Line: v.Line, Value: v}, s)
	name := v.Get("name")
	dialect := e.dialects.find(s.Dialect)
	if !s.readSubject(e, v, dialect) || name != nil && name.Value.Text != s.Name {
		return false
	}
	if name == nil && v.Get("command") == nil {
		e.thing = fmt.Sprintf("%s %q", e.thing, s.Name)
	}
	global := e.load.config.Global
	interval, timeout := s.every(), s.Timeout
	// What the entry leaves out, a script may declare.
	if !dialect.Declares && (interval > 0 || timeout > 0) {
		interval, timeout = cmp.Or(interval, global.Interval), cmp.Or(timeout, global.Timeout)
	}
	e.compareTimes(v, interval, timeout)
	e.checkParameters(v, s)
	s.Pos = Position{File: e.file, Line: v.Line}
	if first, taken := e.load.names[s.Name]; taken {
		at := v.Line
		if name != nil {
			at = name.Line
		}
		e.fail(at, "give one of the two another name:", "the name is taken by the script at %s", first)
		return false
	}
	e.load.names[s.Name] = s.Pos
	return true
}

// readSubject sees to it that the entry says what its dialect runs or reads, and
// nothing else of that kind.
func (s *Script) readSubject(e *entry, v *yamltree.Value, dialect Dialect) bool {
	line, directory := v.Get("command"), v.Get("directory")
	if directory != nil && !dialect.Folders {
		remedy := "an entry of discover takes it"
		if names := e.dialects.folders(); len(names) > 0 {
			remedy += ", and dialect: " + strings.Join(names, " or ")
		}
		e.fail(directory.Line, remedy+"; a script has working_directory", "directory is not for the dialect %s", s.Dialect)
	}
	switch {
	case dialect.Modules && line != nil:
		e.fail(line.Line, "name the module under options", "command is not for the dialect %s", s.Dialect)
		return false
	case dialect.Modules:
		return s.readModule(e, v)
	case dialect.Folders && line != nil:
		e.fail(line.Line, "write directory: and the folder's path", "command is not for the dialect %s", s.Dialect)
		return false
	case dialect.Folders:
		return s.readFolder(e, v)
	case line == nil && directory == nil:
		e.fail(v.Line, "write command: and the script's path", "has no command")
	}
	return s.Command != nil
}

// readFolder names a folder by its last part, and refuses what is about processes.
func (s *Script) readFolder(e *entry, v *yamltree.Value) bool {
	for _, k := range keysOf(reflect.TypeFor[Script]()) {
		if f := v.Get(k.name); f != nil && k.tag.Get("process") != "" {
			e.fail(f.Line, "leave it out", "%s is not for the dialect %s, which starts no process", k.name, s.Dialect)
		}
	}
	directory := v.Get("directory")
	if directory == nil {
		e.fail(v.Line, "write directory: and the folder's path", "has no directory")
	}
	if s.Directory == "" { // or it has been told what is wrong with it
		return false
	}
	if p := s.nameFolder(); p != nil {
		e.fail(directory.Line, p.Remedy, "%s", p.Text)
		return false
	}
	return true
}

// nameFolder gives a folder without a name the last part of its path.
func (s *Script) nameFolder() *yamltree.Problem {
	if s.Name == "" {
		s.Name = filepath.Base(s.Directory)
	}
	return s.checkName()
}

// readKey reads the command itself, and has messages call the script by its name
// as soon as that is known.
func (s *Script) readKey(e *entry, in *yamltree.Value, f yamltree.Field, read func()) {
	named := false
	switch f.Key {
	case "command":
		named = s.readCommand(e, f) && in.Get("name") == nil
	case "name":
		read()
		named = s.Name != ""
	default:
		read()
	}
	if named {
		e.thing = fmt.Sprintf("%s %q", e.thing, s.Name)
	}
}

// orText says how an item that is no map is written as one: with the key that
// its text is the value of, or some other text where it has none.
func orText(key string, v *yamltree.Value, otherwise string) string {
	if v.Kind == yamltree.Scalar {
		otherwise = v.Text
	}
	return "write " + key + ": " + yamltree.Quote(otherwise)
}

// every is the interval, or the shortest time between two runs of cron; 0 where
// neither is given.
func (s *Settings) every() time.Duration {
	if schedule, err := crontab.Parse(s.Cron); err == nil {
		return schedule.Shortest(time.Now())
	}
	return s.Interval
}

// compareTimes warns of a timeout that is longer than the interval; what is 0 is
// not said.
func (e *entry) compareTimes(v *yamltree.Value, interval, timeout time.Duration) {
	if interval == 0 || timeout <= interval {
		return
	}
	line, what := v.Line, "interval"
	for _, key := range []string{"interval", "cron", "timeout"} {
		if f := v.Get(key); f != nil {
			line = f.Line
		}
	}
	if v.Get("cron") != nil {
		what = "what is between two runs of cron,"
	}
	e.Warn(Position{File: e.file, Line: line}, e.thing, "shorten the one, or lengthen the other", "timeout %s is longer than %s %s, so that a slow run takes the place of the next ones",
		model.Duration(timeout), what, model.Duration(interval))
}

// confined are the keys of a Confinement that not every system can hold scripts to, with
// what Windows has for them.
var confined = map[string]bool{
	"cpu": true, "memory": true, "processes": true, "nice": true, "files": false, "umask": false, "no_new_privileges": false,
}

// checkConfinement refuses in a map of Settings, or of Global, what a system has no
// means for.
func (e *entry) checkConfinement(v *yamltree.Value, system string) {
	if group := v.Get("group"); group != nil && system == "windows" {
		e.fail(group.Line, "leave it out", "group is not supported on Windows")
	}
	if user := v.Get("user"); user != nil && system == "windows" {
		e.fail(user.Line, "leave it out", "user is not supported on Windows, where scripts run as whoever runs scriptbridge")
	}
	if system == "linux" {
		return
	}
	fields := v.Fields
	if limits := v.Get("limits"); limits != nil {
		fields = slices.Concat(fields, limits.Value.Fields)
	}
	for _, f := range fields {
		onWindows, known := confined[f.Key]
		switch {
		case !known || onWindows && system == "windows":
		case onWindows:
			e.fail(f.Line, "leave it out", "%s is supported on Linux and Windows only", f.Key)
		default:
			e.fail(f.Line, "leave it out", "%s is supported on Linux only", f.Key)
		}
	}
}

// readModule names a module.
func (s *Script) readModule(e *entry, v *yamltree.Value) bool {
	p := s.nameModule()
	if p == nil {
		return true
	}
	line := v.Line
	if f := v.Get("options"); f != nil {
		line = f.Line
	}
	e.fail(line, p.Remedy, "%s", p.Text)
	return false
}

// nameModule gives a module without a name the last word of
// options.module and options.id.
func (s *Script) nameModule() *yamltree.Problem {
	module, id := s.Options.text("module"), s.Options.text("id")
	if module == "" {
		return yamltree.Problemf("write options: {module: random_coin_monitor}", "options has no module")
	}
	if s.Name == "" {
		s.Name = module[strings.LastIndexByte(module, '.')+1:]
		if id != "" {
			s.Name += "-" + id
		}
	}
	return s.checkName()
}

// checkName takes a name that was made of something else.
func (s *Script) checkName() *yamltree.Problem {
	if p := checkName(s.Name); p != nil {
		return &yamltree.Problem{Text: "name " + p.Text, Remedy: p.Remedy}
	}
	return nil
}

// readCommand reads a line or a list of arguments.
func (s *Script) readCommand(e *entry, f yamltree.Field) bool {
	var words []string
	if f.Value.Kind == yamltree.List {
		for _, item := range f.Value.Items {
			word, p := item.Single()
			if p != nil {
				e.failKey(f, &yamltree.Problem{Text: "has a word that " + p.Text, Remedy: p.Remedy})
				return false
			}
			words = append(words, word)
		}
		s.line = cmdline.NewList(words, e.folder, s.Name != "")
	} else {
		text, p := f.Value.Single()
		if p != nil {
			e.failKey(f, p)
			return false
		}
		var err error
		if words, err = cmdline.Parse(text); err != nil {
			remedy := "close it, or put the other kind of quotes around it if it is meant as text"
			if !strings.Contains(err.Error(), "quote") {
				remedy = "write the script's path"
			}
			e.fail(f.Line, remedy, "%v", err)
			return false
		}
		s.line = cmdline.NewLine(text, e.folder, s.Name != "")
	}
	if p := s.setCommand(words, e.folder); p != nil {
		e.fail(f.Line, p.Remedy, "%s", p.Text)
		return false
	}
	return true
}

// readItem reads one entry of `discover`, as that of a Script does.
func (d *Discover) readItem(e *entry, v *yamltree.Value) bool {
	if v.Kind != yamltree.Map {
		e.fail(v.Line, orText("directory", v, "/path/to/scripts"), "is %s, not a map", v.Kind)
		return false
	}
	d.Pos = Position{File: e.file, Line: v.Line}
	e.object(yamltree.Field{Line: v.Line, Value: v}, d)
	e.compareTimes(v, d.every(), d.Timeout)
	dialect := e.dialects.find(d.Dialect)
	switch directory, agent := v.Get("directory"), v.Get("agent_config"); {
	case dialect.Folders:
		e.fail(v.Line, "move the entry to scripts:", "discover is not for the dialect %s, which reads a folder as one", d.Dialect)
		return false
	case dialect.Modules && directory != nil:
		e.fail(directory.Line, "write agent_config: and the path of agent.json", "directory is not for the dialect %s", d.Dialect)
		return false
	case dialect.Modules && agent == nil:
		e.fail(v.Line, "write agent_config: and the path of agent.json", "has no agent_config")
		return false
	case !dialect.Modules && agent != nil:
		e.fail(agent.Line, "write dialect: "+strings.Join(e.dialects.modules(), " or "), "agent_config is not for the dialect %s", d.Dialect)
		return false
	case directory != nil || agent != nil:
		return true
	}
	home, err := os.UserHomeDir()
	if dialect.Home == "" || err != nil {
		e.fail(v.Line, "give a directory:", "has no directory")
		return false
	}
	d.Directory = filepath.Join(home, dialect.Home)
	return true
}

// Defaults that others need.
const (
	DefaultMaxSeries = 10_000
	DefaultTTL       = 5 * time.Minute
)
