package config

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"

	"scriptbridge/config/internal/yamltree"
	"scriptbridge/internal/fsx"
	"scriptbridge/internal/panics"
	"scriptbridge/internal/trust"
)

// Load reads file and the files that it includes. dialects are those that it may
// name. The error is a joined list of every *Error found, by file and line; with one, the Config holds what
// could be read, so that a check can go on with it, and is not to be put to
// work. What is wrong with the world, such as a missing script, is not looked
// for. trusted says whose files may be obeyed, the configuration's own and those
// that it names; nil asks nothing. The file's trusted_paths count for what it
// names.
func Load(dialects Dialects, file string, trusted *trust.Policy) (*Config, error) {
	return LoadAfter(nil, dialects, file, trusted)
}

// LoadAfter is Load, where before was loaded, if it is not nil: a file whose text is the same is
// not parsed once more, which is most of the work and of the memory. All else is
// looked at anew.
func LoadAfter(before *Config, dialects Dialects, file string, trusted *trust.Policy) (*Config, error) {
	l := newLoader(dialects, file, trusted)
	if before != nil {
		l.before = before.parsed
	}
	l.load()
	return l.config, l.Join(l.config.Files)
}

// parsed is a file's text, by its digest, as values.
type parsed struct {
	text [sha256.Size]byte
	root *yamltree.Value
}

// loader reads one configuration.
type loader struct {
	yamltree.Report
	dialects Dialects
	config   *Config
	names    map[string]Position // of the scripts
	patterns []pattern
	trusted  *trust.Policy // nil: nothing is asked
	// variables are those of our environment that hold secrets.
	variables []string
	before    map[string]parsed // what the last configuration was read from, by file
}

// obeyed says why a file must not be obeyed; wayOut ends the sentence that tells
// how to have it obeyed all the same. That it is missing is for its reader to say.
func (l *loader) obeyed(path, wayOut string) *yamltree.Problem {
	if l.trusted == nil {
		return nil
	}
	policy := *l.trusted
	policy.Except = slices.Concat(policy.Except, l.config.Global.TrustedPaths)
	e := policy.Fault(path)
	if e == nil {
		return nil
	}
	return yamltree.Problemf(e.Remedy()+", or "+fmt.Sprintf(wayOut, e.Component), "%s", e.Obeyed())
}

// wayOut is how the configuration has a file obeyed that it names.
const wayOut = "list %s under global.trusted_paths"

// pattern is one item of `include`.
type pattern struct {
	text string
	line int
}

// newLoader holds an empty configuration with its defaults.
func newLoader(dialects Dialects, file string, trusted *trust.Policy) *loader {
	c := &Config{File: file, At: make(map[string]Position), parsed: make(map[string]parsed)}
	fill(reflect.ValueOf(c).Elem())
	return &loader{dialects: dialects, config: c, names: make(map[string]Position), trusted: trusted}
}

func (l *loader) load() {
	file := l.config.File
	// A file cannot say of itself that it may be obeyed.
	if p := l.obeyed(file, "start with --config.trusted-path=%s"); p != nil {
		l.fail(file, 0, p.Remedy, "%s", p.Text)
		l.config.Files = []string{file}
		return
	}
	data, err := fsx.ReadFile(file)
	l.config.Files = []string{file}
	if err != nil {
		problem, remedy := Unreadable(file, err)
		if errors.Is(err, fs.ErrNotExist) {
			remedy = strings.TrimPrefix(MissingHint(file)+" --config.file names another one", " ")
			remedy += "; to begin with, one line will do: scripts: [{command: /path/to/script}]"
		}
		if errors.Is(err, fsx.ErrTooLarge) {
			remedy = "divide it, and name the parts under include"
		}
		l.fail(file, 0, remedy, "%s", problem)
		return
	}
	l.read(file, data, "")
	for _, p := range l.patterns {
		l.include(p)
	}
	if len(l.config.Scripts)+len(l.config.Discover) == 0 && l.config.Receive == (Receive{}) {
		l.Warn(Position{File: file}, "", "", "no script is configured, under scripts or discover, and nothing under receive")
	}
	l.config.Warnings = append(l.config.Warnings, l.Warnings...)
	l.config.Receive.DropTexts = l.config.Global.DropTexts
	l.withhold()
}

// withhold keeps from all scripts the variables that hold secrets.
func (l *loader) withhold() {
	slices.Sort(l.variables)
	withheld := slices.Compact(l.variables)
	for _, s := range l.config.Scripts {
		s.Withheld = withheld
	}
	for _, d := range l.config.Discover {
		d.Withheld = withheld
	}
}

func (l *loader) fail(file string, line int, remedy, format string, args ...any) {
	l.Errs = append(l.Errs, &Error{
		Position: Position{File: file, Line: line},
		Problem:  fmt.Sprintf(format, args...),
		Remedy:   remedy,
	})
}

// read reads one file's text. only, if not empty, is the one key that it may have:
// an included file includes nothing itself, so there are no circles.
func (l *loader) read(file string, data []byte, only string) {
	root := l.parse(file, data)
	folder, err := filepath.Abs(filepath.Dir(file))
	if err != nil { // the working directory is gone
		l.fail(file, 0, "start from a folder that exists", "relative paths lead nowhere: %v", err)
		return
	}
	if root.Kind != yamltree.Map && root.Kind != yamltree.Null {
		l.fail(file, root.Line, "begin it with a key and a colon, such as scripts:", "the file is %s, not a map", root.Kind)
		return
	}
	e := &entry{Report: &l.Report, file: file, folder: folder, dialects: l.dialects, load: l, only: only}
	e.object(yamltree.Field{Value: root}, l.config)
}

// parse gives the values of a file's text. Where there is nothing to say of it, they are
// kept for the next time.
func (l *loader) parse(file string, data []byte) *yamltree.Value {
	p := parsed{text: sha256.Sum256(data)}
	if before, ok := l.before[file]; ok && before.text == p.text {
		p.root = before.root
	} else {
		said := len(l.Errs) + len(l.Warnings)
		p.root = yamltree.Parse(&l.Report, file, data)
		if len(l.Errs)+len(l.Warnings) > said {
			return p.root
		}
	}
	l.config.parsed[file] = p
	return p.root
}

// readKey reads the patterns of include, which are no part of what is wanted.
func (c *Config) readKey(e *entry, _ *yamltree.Value, f yamltree.Field, read func()) {
	if f.Key == "include" {
		e.list(new(key), f, reflect.ValueOf(&e.load.patterns).Elem())
		return
	}
	read()
}

// readItem reads an item of include.
func (p *pattern) readItem(e *entry, item *yamltree.Value) bool {
	text, problem := item.Single()
	if problem != nil || text == "" {
		e.fail(item.Line, "write a path or a pattern such as conf.d/*.yml", "names no file")
		return false
	}
	*p = pattern{text, item.Line}
	return true
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
	if folder := filepath.Dir(path); len(files) == 0 && !strings.ContainsAny(folder, "*?[") {
		if _, err := os.Stat(folder); err != nil {
			l.Warn(Position{File: main, Line: p.line}, "", "correct the path, or make the folder", "include %q matches nothing, since there is no folder %s", p.text, folder)
		}
	}
	for _, file := range files {
		if slices.Contains(l.config.Files, filepath.Clean(file)) || filepath.Clean(file) == filepath.Clean(main) {
			continue
		}
		if problem := l.obeyed(file, wayOut); problem != nil {
			l.fail(main, p.line, problem.Remedy, "include %q: %s %s", p.text, file, problem.Text)
			continue
		}
		data, problem := readRegular(file)
		if problem != nil {
			if _, err := os.Lstat(file); errors.Is(err, fs.ErrNotExist) && MissingHint(file) == "" || strings.HasSuffix(problem.Text, "folder") {
				problem.Remedy = "a pattern such as conf.d/*.yml names all such files in a folder, and may match none"
			}
			l.fail(main, p.line, problem.Remedy, "include %q: %s", p.text, problem.Text)
		}
		l.config.Files = append(l.config.Files, file)
		if problem == nil {
			l.read(file, data, "scripts")
		}
	}
}

// Guarded does something for a configuration. A panic is an error that names
// the file: none of ours may be the end of a bridge at work.
func Guarded[T any](file string, do func() (T, error)) (result T, err error) {
	err = panics.Try(func() (err error) {
		result, err = do()
		return err
	})
	_, fault := errors.AsType[*panics.Error](err)
	if _, located := errors.AsType[*Error](err); fault && !located {
		err = &Error{Position: Position{File: file}, Problem: err.Error(), Cause: err}
	}
	return result, err
}
