package cmdline

import (
	"regexp"
	"slices"
	"strings"
)

// Executed is the index of the word of a command that names the program which
// is run in the end: the first one, or one behind nice, env and other wrappers
// that do no more than start it; -1 where that cannot be told.
func Executed(words []string) int {
	at := 0
	for {
		l := leaders[programName(words[at])]
		if !l.wrapper {
			return at
		}
		behind := l.command(words[at+1:])
		if behind < 0 {
			return -1
		}
		at += 1 + behind
	}
}

// command is the index of the wrapper's command in the words behind it; -1
// where that cannot be told, or where the wrapper changes what its name means.
func (l leader) command(words []string) int {
	own := l.own
	for i := 0; l.transparent && i < len(words); i++ {
		switch w := words[i]; {
		case w == "--":
			if i += 1 + own; i < len(words) {
				return i
			}
		case w == "-" || strings.HasPrefix(w, "PATH="):
			return -1
		case strings.HasPrefix(w, "--"):
			if !slices.Contains(bareOptions, w) {
				return -1
			}
		case strings.HasPrefix(w, "-"):
			o := l.option(w)
			if o.code || strings.ContainsAny(w, "iCpP") {
				return -1 // a line that is split, another environment or folder, a process that runs already
			}
			i += o.values
		case assigned(w):
		case own > 0:
			own--
		default:
			return i
		}
	}
	return -1
}

// bareOptions are long options of wrappers that take no value.
var bareOptions = []string{"--foreground", "--preserve-status", "--verbose", "--ignore", "--fork", "--wait", "--ctty", "--append", "--portability"}

var variableForm = regexp.MustCompile(`^[a-zA-Z_][a-zA-Z0-9_]*$`)

// assigned reports whether a word of env's is one like LANG=C.
func assigned(word string) bool {
	name, _, ok := strings.Cut(word, "=")
	return ok && variableForm.MatchString(name)
}
