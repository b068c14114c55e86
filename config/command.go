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
	var script *Script
	var ft *fault
	if isModular(s.Dialect) && len(command) == 0 {
		script, ft = newModule(name, s)
	} else {
		script, ft = newScript(name, command, folder, s)
	}
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
		return nil, faultf("write the script's path", "command is empty")
	}
	if slices.ContainsFunc(command, func(w string) bool { return strings.Contains(w, "\x00") }) {
		return nil, faultf("leave it out: no program can be given one", "command has a NUL in it")
	}
	words := slices.Clone(command)
	program, file := ownFile(words, folder, s.WorkingDirectory)
	if isPath(words[0]) {
		words[0] = absolute(folder, words[0])
	}
	words[program] = file
	if name == "" {
		name = stem(file)
	}
	if ft := checkName(name); ft != nil {
		return nil, &fault{"name " + ft.problem, ft.remedy}
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
func checkName(name string) *fault {
	switch {
	case name == "":
		return faultf("give it a value", "is empty")
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
	// stands in the command line, in the same word or the next: perl -e,
	// python3 -m; or is read from standard input: sh -s.
	code string
	// takes holds the letters of those that have a value, in the same word or
	// the next, and holds those that have one in the same word only.
	takes, holds string
	// words: an option is a whole word behind one dash, as in java -jar, and
	// may have a value in the next.
	words bool
	// joins: all that follows the option is code.
	joins bool
	// transparent: a wrapper starts the command as whoever called it would have,
	// behind own words of its own; see Executed.
	transparent bool
	own         int
}

var (
	shell      = leader{code: "cs", takes: "oO"}
	python     = leader{code: "cm", takes: "WXQ"}
	powershell = leader{words: true, joins: true}
	node       = leader{code: "ep", takes: "r"}
)

var leaders = map[string]leader{
	"busybox": {wrapper: true}, "chrt": {wrapper: true, takes: "TPD"}, "doas": {wrapper: true, takes: "Cu"},
	"env": {wrapper: true, transparent: true, code: "S", takes: "uC", joins: true}, "ionice": {wrapper: true, transparent: true, takes: "cn"},
	"nice": {wrapper: true, transparent: true, takes: "n"}, "nohup": {wrapper: true, transparent: true},
	"runuser": {wrapper: true, code: "c", takes: "ugGsw"}, "setsid": {wrapper: true, transparent: true},
	"stdbuf": {wrapper: true, transparent: true, takes: "ioe"}, "su": {wrapper: true, code: "c", takes: "gGsw"},
	"sudo": {wrapper: true, takes: "aCcDghpRrTtUu"}, "taskset": {wrapper: true, transparent: true, own: 1},
	"time": {wrapper: true, transparent: true, takes: "fo"}, "timeout": {wrapper: true, transparent: true, takes: "ks", own: 1},

	"ash": shell, "bash": shell, "dash": shell, "ksh": shell, "sh": shell, "zsh": shell,
	"fish": {code: "c", takes: "Cdo"}, "expect": {code: "c"}, "tclsh": {},
	"python": python, "pypy": python, "perl": {code: "eE", takes: "I", holds: "CDFimMVx"},
	"ruby": {code: "e", takes: "CEIr", holds: "FKTWix"}, "lua": {code: "e", takes: "l"},
	"php": {code: "rRBE", takes: "cdtz"}, "node": node, "nodejs": node, "java": {words: true}, "mono": {words: true},
	"powershell": powershell, "pwsh": powershell, "cscript": {words: true}, "wscript": {words: true},
}

// longCode are the long options behind which code stands.
var longCode = []string{"code", "command", "eval", "print", "run", "split-string"}

// option reads a word that begins with a dash: whether it announces code, or
// has it, and whether the next word is its value. A lone dash is a program on
// standard input, or the login of su.
func (l leader) option(word string) (code, valued bool) {
	if long, ok := strings.CutPrefix(word, "--"); ok {
		name, _, _ := strings.Cut(long, "=")
		return slices.Contains(longCode, name), false
	}
	if word == "-" {
		return !l.wrapper, false
	}
	if l.words {
		// PowerShell takes the beginning of an option's name for all of it.
		name := strings.ToLower(word[1:])
		return l.joins && (strings.HasPrefix("commandwithargs", name) || strings.HasPrefix("encodedcommand", name) || name == "cwa" || name == "ec"), false
	}
	for i := 1; i < len(word); i++ {
		switch c := word[i]; {
		case strings.IndexByte(l.code, c) >= 0:
			return true, false
		case strings.IndexByte(l.holds, c) >= 0:
			return false, false
		case strings.IndexByte(l.takes, c) >= 0:
			return false, i == len(word)-1
		}
	}
	return false, false
}

// led is what an interpreter or a wrapper in front of a command is given: the
// index of a script's file and its path, or of the option that announces code.
// 0 is neither.
type led struct {
	file, code int
	path       string
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
	perhapsValue := false // of the option before
	for i := 1; i < len(words); i++ {
		w := words[i]
		if strings.HasPrefix(w, "-") {
			code, valued := l.option(w)
			if code {
				given.code, given.joins = i, l.joins
				break
			}
			if valued {
				i++
			}
			perhapsValue = l.words || strings.HasPrefix(w, "--") && w != "--" && !strings.Contains(w, "=")
			continue
		}
		if next, ok := leaders[programName(w)]; ok && l.wrapper {
			l = next
			continue
		}
		path, found := scriptPath(w, folder, workingDirectory)
		if found {
			given.file, given.path = i, path
			break
		}
		if !perhapsValue && !isPath(w) && !(l.wrapper && ownWord(w)) {
			break // a program or a script that is not there: what follows are its arguments
		}
		perhapsValue = false
	}
	return given, true
}

// ownWord reports whether a word is a wrapper's own, such as the 10 of timeout
// or the LANG=C of env.
func ownWord(word string) bool {
	return word == "" || strings.IndexByte("+.0123456789", word[0]) >= 0 || strings.Contains(word, "=")
}

// ownFile finds the script's own file: argv[0], or what an interpreter or a
// wrapper is given. It returns its index and its path, made absolute unless it
// is a bare argv[0], which is looked up in PATH when it is run.
func ownFile(words []string, folder, workingDirectory string) (int, string) {
	if given, _ := follow(words, folder, workingDirectory); given.file > 0 {
		return given.file, given.path
	}
	if isPath(words[0]) {
		return 0, absolute(folder, words[0])
	}
	return 0, words[0]
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
