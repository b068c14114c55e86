// Package cmdline reads the command line of a script: its words and the
// script's own file among them (cmdline.go), behind interpreters (leaders.go,
// bash.go) and wrappers such as nice (wrapper.go), and what in it only a shell
// would understand (shell.go).
package cmdline

import (
	"errors"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"runtime"
	"slices"
	"strings"

	"scriptbridge/internal/fsx"
	"scriptbridge/internal/winargs"
)

// Parse splits a command line as agents for plugins do: at blanks;
// single and double quotes group, within a word too; a backslash is an
// ordinary character (most of them come from Windows paths), and no shell
// looks at anything. On Windows it is split as programs of Windows do; see
// winargs.Split.
func Parse(line string) ([]string, error) {
	if runtime.GOOS == "windows" {
		return winargs.Split(line)
	}
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

// Stem is the base name of a path without its last extension.
func Stem(path string) string {
	base := filepath.Base(path)
	if name := strings.TrimSuffix(base, filepath.Ext(base)); name != "" {
		return name
	}
	return base
}

// led is what an interpreter or a wrapper in front of a command is given: the
// index of a script's file and its path, or of the word before code. 0 is
// neither.
type led struct {
	file, code int
	path       string
	cut        int  // where the path begins in its word, behind an option's name
	program    int  // of a wrapper that is given no interpreter: the index of what it runs
	open       bool // behind the file, words may be options still
	joins      bool
}

// follow looks for what the first word of a command is given. ok is false where
// that is no interpreter and no wrapper, or is given nothing, so that it is the
// script itself.
func follow(words []string, folder, workingDirectory string) (given led, ok bool) {
	l, leads := leaderOf(words[0])
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
		next, leads := leaderOf(w)
		switch {
		case l.assigns && assigned(w):
		case own > 0 && !(l.number && !isNumber(w)):
			own--
			if l.root && path.Clean(w) != "/" {
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
			if l.wrapper {
				given.program = i
			}
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

// FindOwnFile finds the script's own file: argv[0], or what an interpreter or a
// wrapper is given. It returns the words with the file in a word of its own,
// its index, and its path, made absolute unless it is a bare argv[0], which is
// looked up in PATH when it is run.
func FindOwnFile(words []string, folder, workingDirectory string) ([]string, int, string) {
	given, _ := follow(words, folder, workingDirectory)
	switch at := given.file; {
	case given.cut > 0:
		option := strings.TrimSuffix(words[at][:given.cut], "=")
		return slices.Concat(words[:at], []string{option, given.path}, words[at+1:]), at + 1, given.path
	case at > 0:
		return words, at, given.path
	case IsPath(words[0]):
		return words, 0, fsx.Absolute(folder, words[0])
	}
	return words, 0, words[0]
}

// OwnFile is the word that names the script's own file. It is empty where there
// is none: an interpreter or a wrapper is given code, or nothing that is a file.
func (s Command) OwnFile() string {
	if s.Program == 0 && len(s.Words) > 1 {
		if _, leads := leaderOf(s.Words[0]); leads {
			return ""
		}
	}
	return s.Words[s.Program]
}

// FreeWords is the index of the first word of a command that may come from
// somebody else: behind the script's own file, or behind the code of a `sh -c`,
// since a word before would choose what is run. Where an interpreter or a
// wrapper is given neither, no word is free.
func FreeWords(words []string, program int) int {
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
	if !IsPath(word) {
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
	path := fsx.Absolute(folder, word)
	info, err := os.Stat(path) // a folder: the value of an option such as -I
	return path, err != nil || !info.IsDir()
}

// IsPath reports whether a word has a separator in it, or on Windows a drive.
func IsPath(word string) bool {
	return strings.ContainsFunc(word, isSeparator) || filepath.VolumeName(word) != ""
}

func isSeparator(r rune) bool { return r == '/' || r == os.PathSeparator }
