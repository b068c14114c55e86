package config

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"scriptbridge/config/internal/yamltree"
)

// longestName bounds a script's name, in bytes.
const longestName = 128

// ParseCommand splits a command line as CoScale's agent does: at blanks;
// single and double quotes group, within a word too; a backslash is an
// ordinary character (most of them come from Windows paths), and no shell
// looks at anything.
func ParseCommand(line string) ([]string, error) {
	var (
		words  []string
		word   strings.Builder
		inWord bool
		quote  rune
	)
	for _, r := range line {
		switch {
		case quote != 0 && r == quote:
			quote = 0
		case quote != 0:
			word.WriteRune(r)
		case r == '\'' || r == '"':
			quote, inWord = r, true
		case strings.ContainsRune(" \t\r\n", r):
			if inWord {
				words = append(words, word.String())
				word.Reset()
				inWord = false
			}
		default:
			word.WriteRune(r)
			inWord = true
		}
	}
	if quote != 0 {
		return nil, fmt.Errorf("command has a quote %c that is not closed", quote)
	}
	if inWord {
		words = append(words, word.String())
	}
	if len(words) == 0 {
		return nil, errors.New("command is empty")
	}
	return words, nil
}

// NewScript makes a Script as an entry of the file would, with the same
// defaults, but without `global`. An empty name is made from the command:
// the base name of the script's own file without its last extension. Relative
// paths start from folder, which is absolute; nothing need exist. The error is
// an *Error without a position.
func NewScript(name string, command []string, folder string, s Settings) (*Script, error) {
	var script *Script
	var ft *yamltree.Problem
	if isModular(s.Dialect) && len(command) == 0 {
		script, ft = newModule(name, s)
	} else {
		script, ft = newScript(name, command, folder, s)
	}
	if ft != nil {
		return nil, &Error{Problem: ft.Text, Remedy: ft.Remedy}
	}
	script.fill(Global{})
	return script, nil
}

// FromCommand makes a configuration of one script that no file names, for the
// command line. Relative paths start from folder.
func FromCommand(dialect string, command []string, folder string, options map[string]string) (*Config, error) {
	o, err := OptionsFrom(options)
	if err != nil {
		return nil, err
	}
	s, err := NewScript("", command, folder, Settings{Dialect: dialect, Options: o})
	if err != nil {
		return nil, err
	}
	cfg := newLoader("").config
	cfg.Scripts = []*Script{s}
	return cfg, nil
}

func newScript(name string, command []string, folder string, s Settings) (*Script, *yamltree.Problem) {
	if len(command) == 0 || command[0] == "" {
		return nil, yamltree.Problemf("write the script's path", "command is empty")
	}
	if slices.ContainsFunc(command, func(w string) bool { return strings.Contains(w, "\x00") }) {
		return nil, yamltree.Problemf("leave it out: no program can be given one", "command has a NUL in it")
	}
	words, program, file := ownFile(slices.Clone(command), folder, s.WorkingDirectory)
	if isPath(words[0]) {
		words[0] = absolute(folder, words[0])
	}
	words[program] = file
	if name == "" {
		name = stem(file)
	}
	if ft := checkName(name); ft != nil {
		return nil, &yamltree.Problem{Text: "name " + ft.Text, Remedy: ft.Remedy}
	}
	return &Script{Settings: s, Name: name, Command: words, Program: program}, nil
}

// stem is the base name of a path without its last extension.
func stem(path string) string {
	base := filepath.Base(path)
	if name := strings.TrimSuffix(base, filepath.Ext(base)); name != "" {
		return name
	}
	return base
}

// checkName takes what can be shown: names are a label's value, words on the
// status page and in the log.
func checkName(name string) *yamltree.Problem {
	switch {
	case name == "":
		return yamltree.Problemf("give it a value", "is empty")
	case strings.TrimSpace(name) != name:
		return yamltree.Problemf("give another name:", "%q begins or ends with a blank", name)
	case len(name) > longestName:
		return yamltree.Problemf("give a shorter name:", "has %d bytes, more than %d", len(name), longestName)
	case !utf8.ValidString(name) || strings.ContainsFunc(name, func(r rune) bool { return !unicode.IsPrint(r) }):
		return yamltree.Problemf("give another name:", "%q has characters that cannot be printed", name)
	}
	return nil
}

// led is what an interpreter or a wrapper in front of a command is given: the
// index of a script's file and its path, or of the word before code. 0 is
// neither.
type led struct {
	file, code int
	path       string
	cut        int  // where the path begins in its word, behind an option's name
	open       bool // behind the file, words may be options still
	joins      bool
}

// follow looks for what the first word of a command is given. ok is false where
// that is no interpreter and no wrapper, or is given nothing, so that it is the
// script itself.
func follow(words []string, folder, workingDirectory string) (given led, ok bool) {
	l, leads := leaders[programName(words[0])]
	if !leads || len(words) == 1 {
		return given, false
	}
	own, ended := l.own, false
	for i := 1; i < len(words); i++ {
		w := words[i]
		switch {
		case ended || !l.isOption(w):
		case w == "--" || w == "-" && l.later:
			ended = true
			continue
		case w == "-" && l.wrapper: // the login of su
			continue
		default:
			o := l.option(w)
			if o.file {
				return l.fileAt(words, i, o.at, folder, workingDirectory), true
			}
			if o.code {
				given.code, given.joins = i, l.joins
				if !l.later {
					return given, true
				}
			}
			if o.direct {
				own = 0
			}
			i += o.values
			continue
		}
		next, leads := leaders[programName(w)]
		switch {
		case l.assigns && assigned(w):
		case own > 0 && !(l.number && !isNumber(w)):
			own--
			if l.root && filepath.Clean(w) != "/" {
				return given, true // what follows lies in another tree
			}
		case given.code > 0 || l.program:
			given.code = i - 1
			return given, true
		case l.wrapper && !l.shell && leads && i+1 < len(words):
			l, own, ended = next, next.own, false
		case l.class && !strings.HasSuffix(w, ".java") && !slices.ContainsFunc(words[:i], isSource):
			return given, true
		default:
			if path, found := scriptPath(w, folder, workingDirectory); found {
				given.file, given.path = i, path
			}
			return given, true
		}
	}
	return given, true
}

// fileAt is the file that the option words[i] names: from at on, or in the next
// word where at is 0.
func (l leader) fileAt(words []string, i, at int, folder, workingDirectory string) (given led) {
	if at == 0 {
		i++
	}
	if i == len(words) {
		return given
	}
	if path, found := scriptPath(words[i][at:], folder, workingDirectory); found {
		given = led{file: i, path: path, cut: at, open: !l.words}
	}
	return given
}

// isSource reports whether an option of java's says that a file follows.
func isSource(word string) bool { return strings.HasPrefix(word, "--source") }

func isNumber(word string) bool { return word != "" && strings.Trim(word, "0123456789") == "" }

// ownFile finds the script's own file: argv[0], or what an interpreter or a
// wrapper is given. It returns the words with the file in a word of its own,
// its index, and its path, made absolute unless it is a bare argv[0], which is
// looked up in PATH when it is run.
func ownFile(words []string, folder, workingDirectory string) ([]string, int, string) {
	given, _ := follow(words, folder, workingDirectory)
	switch at := given.file; {
	case given.cut > 0:
		option := strings.TrimSuffix(words[at][:given.cut], "=")
		return slices.Concat(words[:at], []string{option, given.path}, words[at+1:]), at + 1, given.path
	case at > 0:
		return words, at, given.path
	case isPath(words[0]):
		return words, 0, absolute(folder, words[0])
	}
	return words, 0, words[0]
}

// OwnFile is the word of the command that names the script's own file. It is
// empty where there is none: an interpreter or a wrapper is given code, or
// nothing that is a file.
func (s *Script) OwnFile() string {
	if s.Program == 0 && len(s.Command) > 1 {
		if _, leads := leaders[programName(s.Command[0])]; leads {
			return ""
		}
	}
	return s.Command[s.Program]
}

// freeWords is the index of the first word of a command that may come from
// somebody else: behind the script's own file, or behind the code of a `sh -c`,
// since a word before would choose what is run. Where an interpreter or a
// wrapper is given neither, no word is free.
func freeWords(words []string, program int) int {
	given, leads := follow(words, "", "")
	switch {
	case program > 0 && given.open: // as in awk -f FILE
		if i := slices.Index(words[program:], "--"); i > 0 {
			return program + i + 1
		}
		return len(words)
	case program > 0 || !leads:
		return program + 1
	case given.code > 0 && !given.joins:
		return given.code + 2
	default:
		return len(words)
	}
}

// programName is path's base name without .exe and version digits, as in
// python3.11.
func programName(path string) string {
	if i := strings.LastIndexFunc(path, isSeparator); i >= 0 {
		path = path[i+1:]
	}
	path = strings.TrimSuffix(strings.ToLower(path), ".exe")
	return strings.TrimRight(path, "0123456789.")
}

// scriptPath makes word absolute if it is a file's name: of a file that there
// is, or one with a separator. A bare word may lie in the working directory,
// where the interpreter would look for it.
func scriptPath(word, folder, workingDirectory string) (string, bool) {
	if !isPath(word) {
		for _, dir := range []string{workingDirectory, folder} {
			path := filepath.Join(dir, word)
			if info, err := os.Stat(path); dir != "" && err == nil && info.Mode().IsRegular() {
				return path, true
			}
		}
		return "", false
	}
	if strings.Contains(word, "://") || assigned(word) { // `env PATH=/usr/bin …`
		return "", false
	}
	path := absolute(folder, word)
	info, err := os.Stat(path) // a folder: the value of an option such as -I
	return path, err != nil || !info.IsDir()
}

func isPath(word string) bool { return strings.ContainsFunc(word, isSeparator) }

func isSeparator(r rune) bool { return r == '/' || r == os.PathSeparator }
