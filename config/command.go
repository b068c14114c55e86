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
	script, ft := newScript(name, command, folder, s)
	if ft != nil {
		return nil, &Error{Problem: ft.problem, Remedy: ft.remedy}
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

func newScript(name string, command []string, folder string, s Settings) (*Script, *fault) {
	if len(command) == 0 || command[0] == "" {
		return nil, faultf("", "command is empty")
	}
	if slices.ContainsFunc(command, func(w string) bool { return strings.Contains(w, "\x00") }) {
		return nil, faultf("", "command has a NUL in it")
	}
	words := slices.Clone(command)
	program, file := ownFile(words, folder, s.WorkingDirectory)
	if isPath(words[0]) {
		words[0] = absolute(folder, words[0])
	}
	words[program] = file
	if name == "" {
		base := filepath.Base(file)
		if name = strings.TrimSuffix(base, filepath.Ext(base)); name == "" {
			name = base
		}
	}
	if ft := checkName(name); ft != nil {
		return nil, &fault{"name " + ft.problem, ft.remedy}
	}
	return &Script{Settings: s, Name: name, Command: words, Program: program}, nil
}

// checkName takes what can be shown: names are a label's value, words on the
// status page and in the log.
func checkName(name string) *fault {
	switch {
	case name == "":
		return faultf("", "is empty")
	case strings.TrimSpace(name) != name:
		return faultf("give another name:", "%q begins or ends with a blank", name)
	case len(name) > longestName:
		return faultf("give a shorter name:", "has %d bytes, more than %d", len(name), longestName)
	case !utf8.ValidString(name) || strings.ContainsFunc(name, func(r rune) bool { return !unicode.IsPrint(r) }):
		return faultf("give another name:", "%q has characters that cannot be printed", name)
	}
	return nil
}

// leader is a program that another one follows in a command line.
type leader struct {
	// wrapper: what follows is a whole command, after words of its own such
	// as `10` or `LANG=C`. Otherwise a script's file follows.
	wrapper bool
	// code holds the letters of the short options after which the code itself
	// stands in the command line: perl -e, python3 -m, pwsh -Command and
	// -EncodedCommand.
	code string
	// joins: all that follows such an option is code.
	joins bool
}

var leaders = map[string]leader{
	"busybox": {wrapper: true}, "chrt": {wrapper: true}, "doas": {wrapper: true}, "env": {wrapper: true},
	"ionice": {wrapper: true}, "nice": {wrapper: true}, "nohup": {wrapper: true}, "runuser": {wrapper: true},
	"setsid": {wrapper: true}, "stdbuf": {wrapper: true}, "sudo": {wrapper: true}, "taskset": {wrapper: true},
	"time": {wrapper: true}, "timeout": {wrapper: true},

	"ash": {code: "c"}, "bash": {code: "c"}, "dash": {code: "c"}, "fish": {code: "c"}, "ksh": {code: "c"},
	"sh": {code: "c"}, "zsh": {code: "c"}, "expect": {code: "c"}, "tclsh": {},
	"python": {code: "cm"}, "pypy": {code: "cm"}, "perl": {code: "eE"}, "ruby": {code: "e"}, "lua": {code: "e"},
	"php": {code: "r"}, "node": {code: "ep"}, "nodejs": {code: "ep"}, "java": {}, "mono": {},
	"powershell": {code: "cd", joins: true}, "pwsh": {code: "cd", joins: true}, "cscript": {}, "wscript": {},
}

// ownFile finds the script's own file: argv[0], or what an interpreter or a
// wrapper is given. It returns its index and its path, made absolute unless it
// is a bare argv[0], which is looked up in PATH when it is run.
func ownFile(words []string, folder, workingDirectory string) (int, string) {
	l, leads := leaders[programName(words[0])]
	for i := 1; leads && i < len(words); i++ {
		w := words[i]
		if strings.HasPrefix(w, "-") {
			if announcesCode(w, l.code) {
				break
			}
			continue
		}
		if next, ok := leaders[programName(w)]; ok && l.wrapper {
			l = next
			continue
		}
		if path, ok := scriptPath(w, folder, workingDirectory); ok {
			return i, path
		}
	}
	if isPath(words[0]) {
		return 0, absolute(folder, words[0])
	}
	return 0, words[0]
}

// freeWords is the index of the first word of a command that may come from
// somebody else: behind the script's own file, or behind the code of a `sh -c`,
// since a word before would choose what is run. Where an interpreter or a
// wrapper is given neither, no word is free.
func freeWords(words []string, program int) int {
	l, leads := leaders[programName(words[0])]
	if program > 0 || !leads {
		return program + 1
	}
	for i, w := range words[1:] {
		if strings.HasPrefix(w, "-") && announcesCode(w, l.code) && !l.joins {
			return 1 + i + 2
		}
		if next, ok := leaders[programName(w)]; ok && l.wrapper {
			l = next
		}
	}
	return len(words)
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

// announcesCode reports whether option, such as -c or -lc, ends with one of
// letters.
func announcesCode(option, letters string) bool {
	last := len(option) - 1
	return !strings.HasPrefix(option, "--") && strings.IndexByte(letters, option[last]) >= 0 &&
		!strings.ContainsFunc(option[1:], func(r rune) bool { return !unicode.IsLetter(r) })
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
	before, _, assigned := strings.Cut(word, "=") // `env PATH=/usr/bin …`
	if strings.Contains(word, "://") || assigned && labelForm.MatchString(before) {
		return "", false
	}
	path := absolute(folder, word)
	info, err := os.Stat(path) // a folder: the value of an option such as -I
	return path, err != nil || !info.IsDir()
}

func isPath(word string) bool { return strings.ContainsFunc(word, isSeparator) }

func isSeparator(r rune) bool { return r == '/' || r == os.PathSeparator }
