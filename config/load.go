package config

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"scriptbridge/config/internal/yamltree"
	"scriptbridge/internal/fsx"
)

// Load reads file and the files that it includes. The error is a joined list
// of every *Error found, by file and line; with one, the Config holds what
// could be read, so that a check can go on with it, and is not to be put to
// work. What is wrong with the world, such as a missing script, is not looked
// for.
func Load(file string) (*Config, error) {
	l := load(file)
	return l.config, l.Join(l.config.Files)
}

// loader reads one configuration.
type loader struct {
	yamltree.Report
	config   *Config
	names    map[string]Position // of the scripts
	patterns []pattern
}

// pattern is one item of `include`.
type pattern struct {
	text string
	line int
}

// newLoader holds an empty configuration with its defaults.
func newLoader(file string) *loader {
	return &loader{
		config: &Config{
			File: file,
			Global: Global{
				MaxConcurrent: DefaultMaxConcurrent,
				AverageWindow: DefaultAverageWindow,
			},
			At:     make(map[string]Position),
			Events: Events{Retention: DefaultRetention, Log: EventLog{Path: "-", Format: "logfmt"}},
		},
		names: make(map[string]Position),
	}
}

func load(file string) *loader {
	l := newLoader(file)
	data, err := fsx.ReadFile(file)
	l.config.Files = []string{file}
	if err != nil {
		problem, remedy := Unreadable(file, err)
		if errors.Is(err, fs.ErrNotExist) {
			remedy = strings.TrimPrefix(remedy+" --config.file names another one", " ")
			remedy += "; to begin with, one line will do: scripts: [{command: /path/to/script}]"
		}
		l.fail(file, 0, remedy, "%s", problem)
		return l
	}
	l.read(file, data, l.main())
	for _, p := range l.patterns {
		l.include(p)
	}
	l.config.Warnings = append(l.config.Warnings, l.Warnings...)
	if len(l.config.Scripts)+len(l.config.Discover) == 0 && l.config.Receive == (Receive{}) {
		l.config.Warnings = append(l.config.Warnings, fmt.Sprintf("%s: no script is configured, under scripts or discover, and nothing under receive", file))
	}
	return l
}

func (l *loader) fail(file string, line int, remedy, format string, args ...any) {
	l.Errs = append(l.Errs, &Error{
		Position: Position{File: file, Line: line},
		Problem:  fmt.Sprintf(format, args...),
		Remedy:   remedy,
	})
}

// read reads one file's text by means of keys.
func (l *loader) read(file string, data []byte, keys []key) {
	root := yamltree.Parse(&l.Report, file, data)
	folder, err := filepath.Abs(filepath.Dir(file))
	if err != nil { // the working directory is gone
		l.fail(file, 0, "start from a folder that exists", "relative paths lead nowhere: %v", err)
		return
	}
	if root.Kind != yamltree.Map && root.Kind != yamltree.Null {
		l.fail(file, root.Line, "begin it with a key and a colon, such as scripts:", "the file is %s, not a map", root.Kind)
		return
	}
	e := &entry{Report: &l.Report, file: file, folder: folder, places: true}
	e.object(root, keys)
}

// later is a key that other versions read.
func later(e *entry, f yamltree.Field) { refused("is not in this version", "")(e, f) }

// main are the keys of the main file. `global` comes first: scripts take from
// it.
func (l *loader) main() []key {
	c := l.config
	return []key{
		{"global", func(e *entry, f yamltree.Field) {
			section([]key{
				{"interval", duration(&c.Global.Interval, time.Second)},
				{"timeout", duration(&c.Global.Timeout, time.Millisecond)},
				{"max_concurrent", count(&c.Global.MaxConcurrent)},
				{"average_window", duration(&c.Global.AverageWindow, time.Second)},
				{"labels", texts(&c.Global.Labels, checkLabel)},
			})(e, f)
			e.inner("global").compareTimes(f.Value, c.Global.Interval, c.Global.Timeout)
		}},
		{"include", each(l.pattern)},
		{"scripts", each(l.script)},
		{"discover", each(l.discover)},
		{"events", section([]key{
			{"retention", duration(&c.Events.Retention, time.Second)},
			{"log", section([]key{
				{"path", eventPath(&c.Events.Log.Path)},
				{"format", word(&c.Events.Log.Format, "logfmt", "json")},
			})},
		})},
		{"receive", section(receive(c))},
		{"upload", section(upload(c))},
		{"textfile", later},
	}
}

// included are the keys of an included file. It includes nothing itself, so
// there are no circles.
func (l *loader) included() []key {
	keys := l.main()
	for i := range keys {
		keys[i].take = refused("is allowed only in the main file", "an included file has scripts:")
		if keys[i].name == "scripts" {
			keys[i].take = each(l.script)
		}
	}
	return keys
}

func eventPath(into *string) take {
	return func(e *entry, f yamltree.Field) {
		if f.Value.Text == "-" {
			*into = "-"
			return
		}
		path(into)(e, f)
	}
}

func (l *loader) script(e *entry, item *yamltree.Value) {
	s := e.script(item, l.config.Global)
	if s == nil {
		return
	}
	if first, taken := l.names[s.Name]; taken {
		at := s.Pos.Line
		if f := item.Get("name"); f != nil {
			at = f.Line
		}
		e.fail(at, "give one of the two another name:", "the name is taken by the script at %s", first)
		return
	}
	l.names[s.Name] = s.Pos
	l.config.Scripts = append(l.config.Scripts, s)
}

func (l *loader) discover(e *entry, item *yamltree.Value) {
	if d := e.discover(item, l.config.Global); d != nil {
		l.config.Discover = append(l.config.Discover, d)
	}
}

func (l *loader) pattern(e *entry, item *yamltree.Value) {
	text, ft := item.Single()
	if ft != nil || text == "" {
		e.fail(item.Line, "write a path or a pattern such as conf.d/*.yml", "names no file")
		return
	}
	l.patterns = append(l.patterns, pattern{text, item.Line})
}

// include reads the files that p names and that were not read before. A glob
// may match nothing, a plain path may not.
func (l *loader) include(p pattern) {
	main := l.config.File
	path := p.text
	if !filepath.IsAbs(path) {
		path = filepath.Join(filepath.Dir(main), path)
	}
	files := []string{path}
	if strings.ContainsAny(p.text, "*?[") {
		var err error
		if files, err = filepath.Glob(path); err != nil {
			l.fail(main, p.line, `a [ begins a class of characters, such as [ab], and \[ is the character itself`, "include %q: %v", p.text, err)
			return
		}
	}
	for _, file := range files {
		if slices.Contains(l.config.Files, filepath.Clean(file)) || filepath.Clean(file) == filepath.Clean(main) {
			continue
		}
		data, ft := readRegular(file)
		if ft != nil {
			if ft.Remedy == "" || strings.HasSuffix(ft.Text, "folder") {
				ft.Remedy = "a pattern such as conf.d/*.yml names all such files in a folder, and may match none"
			}
			l.fail(main, p.line, ft.Remedy, "include %q: %s", p.text, ft.Text)
		}
		l.config.Files = append(l.config.Files, file)
		if ft == nil {
			l.read(file, data, l.included())
		}
	}
}
