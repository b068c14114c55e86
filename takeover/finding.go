package takeover

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"path"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/prometheus/common/model"

	"scriptbridge/config"
	"scriptbridge/config/cmdline"
	"scriptbridge/internal/texts"
	"scriptbridge/takeover/host"
)

// finding is what is found of one tool.
type finding struct {
	Options
	tool    Tool
	known   *seen
	files   []string
	entries []*entry
	dropped int // further entries, beyond what a configuration has
	skipped []skipped
	// shared are files that have a part in what all entries say.
	shared  []string
	depth   int             // of the file that is read, among those that include one another
	entered map[string]bool // files and folders, by where they are
}

// skipped is something that was not taken over.
type skipped struct {
	at   config.Position
	text string
}

// The sections of the configuration that an entry can be in.
const (
	scripts  = "scripts"
	discover = "discover"
	statsd   = "statsd"
	collectd = "collectd"
)

// entry is one entry of the configuration.
type entry struct {
	section string
	at      config.Position
	what    string // what it is in the old tool; empty for its name here
	name    string
	value   *config.Value
	notes   []string
	words   []string // of a script's command
	user    string   // whom it runs as; empty for the bridge's own
	refused string   // why it is commented out; empty where it is not
	offer   bool     // it was never run as it stands: it is only an offer
	sources []string // further files that it comes from
	finds   []string // names of the scripts that an entry of discover finds
}

// seen is what all tools together have found.
type seen struct {
	plugins map[string]bool // files that some entry runs
}

// note adds a sentence for the reader.
func (e *entry) note(format string, args ...any) *entry {
	e.notes = append(e.notes, fmt.Sprintf(format, args...))
	return e
}

// refuse has the entry commented out. The first reason counts.
func (e *entry) refuse(format string, args ...any) *entry {
	if e.refused == "" {
		e.refused = fmt.Sprintf(format, args...)
	}
	return e
}

// set adds a key.
func (e *entry) set(key string, v *config.Value) *entry {
	if v != nil {
		e.value.Add(key, v)
	}
	return e
}

func (e *entry) setText(key, text string) *entry {
	if text != "" {
		e.set(key, config.TextValue(text))
	}
	return e
}

// setDuration adds a duration, unless it is 0.
func (e *entry) setDuration(key string, d time.Duration) *entry {
	if d > 0 {
		e.set(key, config.BareValue(model.Duration(d.Round(time.Millisecond)).String()))
	}
	return e
}

// mapOf is a map of one key.
func mapOf(key string, v *config.Value) *config.Value {
	m := config.MapValue()
	m.Add(key, v)
	return m
}

// read gives the text of a file of the tool; ok is false where it is not there or
// cannot be read, of which the second is told.
func (f *finding) read(file string) (text string, ok bool) {
	text, err := f.Host.Read(file)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return "", false
	case err != nil:
		f.skip(config.Position{File: file}, "%s", err)
		return "", false
	}
	if !f.enter(file) {
		return "", false
	}
	f.files = append(f.files, file)
	return text, true
}

// enter reports whether the tool's files have not led to a file or folder before, by
// this or another name.
func (f *finding) enter(name string) bool {
	at, err := f.Host.Place(name)
	if err != nil || f.entered[at] {
		return false
	}
	if f.entered == nil {
		f.entered = make(map[string]bool)
	}
	f.entered[at] = true
	return true
}

// maxIncludes bounds how deep files may include one another.
const maxIncludes = 10

// include has a file of the tool read that has a part in all entries, unless it is
// included too deep.
func (f *finding) include(file string, read func(file, text string)) (tooDeep bool) {
	text, ok := f.read(file)
	if !ok {
		return false
	}
	f.shared = append(f.shared, file)
	f.depth++
	defer func() { f.depth-- }()
	if f.depth > maxIncludes {
		return true
	}
	read(file, text)
	return false
}

// folder has all .cfg files read that are in a folder and in those below it.
func (f *finding) folder(folder string, read func(file string)) {
	if !f.enter(folder) {
		return
	}
	for _, name := range f.Host.List(folder) {
		file := path.Join(folder, name)
		switch is, _ := f.Host.IsFile(file); {
		case is && path.Ext(name) == ".cfg":
			read(file)
		case !is && name[0] != '.':
			f.folder(file, read)
		}
	}
}

// services finds what starts the tool. Their files have a part in all of its
// entries.
func (f *finding) services(names ...string) []host.Service {
	all := f.Host.Services(names...)
	for _, s := range all {
		f.shared = append(f.shared, s.Files...)
	}
	return all
}

// knownFiles are those at known places that exist, and those that the command
// line names.
func (f *finding) knownFiles(known ...string) (files []string) {
	files = slices.Clone(f.From[f.tool.Name])
	for _, pattern := range known {
		for _, file := range f.Host.Glob(pattern) {
			if is, _ := f.Host.IsFile(file); is && !slices.Contains(files, file) {
				files = append(files, file)
			}
		}
	}
	return files
}

// skip tells what is not taken over.
func (f *finding) skip(at config.Position, format string, args ...any) {
	switch {
	case len(f.skipped) == maxSkipped:
		format, args = "and more, which are not told", nil
	case len(f.skipped) > maxSkipped:
		return
	}
	f.skipped = append(f.skipped, skipped{at, host.OneLine(fmt.Sprintf(format, args...))})
}

func (f *finding) add(section string, at config.Position) *entry {
	e := &entry{section: section, at: at, value: config.MapValue()}
	if len(f.entries) > maxEntries {
		f.dropped++ // and what becomes of it is nobody's
	} else {
		f.entries = append(f.entries, e)
	}
	return e
}

// script adds a script that runs words, in a dialect. Its name is that in the old
// tool, or another one where that is taken or cannot be a name here.
func (f *finding) script(at config.Position, name, dialect string, words []string) *entry {
	e := f.add(scripts, at)
	e.what = name
	if len(words) == 0 {
		return e.refuse("it has no command")
	}
	hidden := false
	if f.Hide {
		words, hidden = hideSecrets(words)
	}
	e.words = words
	e.name = cleanName(name)
	e.setText("name", e.name)
	e.set("command", command(words))
	if dialect != "coscale" {
		e.setText("dialect", dialect)
	}
	if hidden {
		e.refuse("its command seems to have a secret, which is not printed (--output=FILE writes it into a file for its owner alone)")
	}
	f.known.add(e)
	return e
}

// shellScript is script for a line that a shell read; sh where none is named.
func (f *finding) shellScript(at config.Position, name, dialect, line string, shell ...string) *entry {
	words, plain := host.Words(line)
	if plain || strings.TrimSpace(line) == "" {
		return f.script(at, name, dialect, words)
	}
	return f.script(at, name, dialect, []string{cmp.Or(append(shell, "sh")...), "-c", line})
}

// runAs has an entry run as the account that it ran as in the old tool.
func (f *finding) runAs(e *entry, account string) *entry {
	root := account == "root" || account == "0"
	switch {
	case account == "" || root && f.AsRoot:
		return e
	case root:
		return e.note("It ran as root.")
	case !f.AsRoot:
		return e.note("It ran as %s. user: %s needs a bridge that runs as root.", account, account)
	}
	if _, known := f.Host.Account(account); !known {
		return e.refuse("it ran as %s, and there is no such account", account)
	}
	e.user = account
	return e.setText("user", account)
}

// cleanName makes a name that the configuration takes.
func cleanName(wanted string) string {
	name := strings.TrimSpace(strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) || r == unicode.ReplacementChar {
			return '_'
		}
		return r
	}, wanted))
	return cmp.Or(texts.Cut(name, 100), "script")
}

// nameAll gives each script a name of its own: those that run first, in their order.
func nameAll(all []*finding) {
	taken := make(map[string]bool)
	for _, f := range all {
		for _, e := range f.entries {
			for _, name := range e.finds {
				taken[name] = true // a folder would lose its script, and be refused
			}
		}
	}
	for _, off := range []bool{false, true} {
		for _, f := range all {
			for _, e := range f.entries {
				field := e.value.Get("name")
				if field == nil || e.offer || off != (e.refused != "") {
					continue
				}
				name := e.name
				for n := 2; taken[e.name]; n++ {
					e.name = fmt.Sprintf("%s-%d", name, n)
				}
				taken[e.name] = true
				field.Value.Text = e.name
				for i := range e.notes {
					e.notes[i] = strings.ReplaceAll(e.notes[i], nameMark, url.QueryEscape(e.name))
				}
			}
		}
	}
}

// nameMark stands in a note for the name that the script has in the end.
const nameMark = "{name}"

// pathForm is a path in a word, which may be code of a shell.
var pathForm = regexp.MustCompile("/[^\\s'\"|;&<>()`]+")

// add notes what an entry runs.
func (s *seen) add(e *entry) {
	if s.plugins == nil {
		s.plugins = make(map[string]bool)
	}
	for _, word := range e.words {
		for _, file := range pathForm.FindAllString(word, -1) {
			s.plugins[file] = true
		}
	}
}

// command writes words as one line where that is read as the same words.
func command(words []string) *config.Value {
	line := strings.Join(words, " ")
	if again, err := cmdline.Parse(line); err == nil && slices.Equal(again, words) {
		return config.TextValue(line)
	}
	return config.ListValue(words)
}

func stems(files []string) (names []string) {
	for _, file := range files {
		names = append(names, cmdline.Stem(file))
	}
	return names
}

// nameOf names a script by its command.
func nameOf(words []string) string {
	if len(words) == 0 {
		return ""
	}
	if s, err := config.NewScript("", words, "/", config.Settings{}); err == nil {
		return s.Name
	}
	return cmdline.Stem(words[0])
}
