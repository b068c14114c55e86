//go:build unix

package process

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"

	"scriptbridge/config"
)

// shebang is what the beginning of a file says of who runs it.
type shebang struct {
	there       bool   // a #! line begins it
	interpreter string // as the line names it
	argument    string // all that follows, which is one argument
	cr          bool   // the line ends in CR LF
	bom         bool   // a byte order mark stands in front, so that the system does not see the line
	utf16       bool
}

// shebangOf looks at the beginning of a file. What cannot be read says nothing.
func shebangOf(path string) shebang { return shebangIn(firstBytes(path)) }

// shebangIn is shebangOf for the beginning itself.
func shebangIn(text []byte) (s shebang) {
	s.utf16 = bytes.HasPrefix(text, []byte("\xff\xfe")) || bytes.HasPrefix(text, []byte("\xfe\xff"))
	text, s.bom = bytes.CutPrefix(text, []byte("\ufeff"))
	line, _, _ := bytes.Cut(text, []byte("\n"))
	if line, s.there = bytes.CutPrefix(line, []byte("#!")); !s.there {
		return s
	}
	line, s.cr = bytes.CutSuffix(line, []byte("\r"))
	name, argument := string(bytes.Trim(line, " \t")), ""
	if i := strings.IndexAny(name, " \t"); i >= 0 {
		name, argument = name[:i], strings.Trim(name[i:], " \t")
	}
	s.interpreter, s.argument = name, argument
	return s
}

// splits reports whether env is told to split the argument into words.
func (s *shebang) splits() (words string, ok bool) {
	for _, option := range []string{"-S", "-vS", "--split-string="} {
		if rest, ok := strings.CutPrefix(s.argument, option); ok {
			return rest, true
		}
	}
	return "", false
}

// program is what runs the file in the end: the interpreter, or what env is
// told to look for; "" where that cannot be told.
func (s *shebang) program() string {
	if filepath.Base(s.interpreter) != "env" {
		return s.interpreter
	}
	words := []string{"env", s.argument}
	if rest, splits := s.splits(); splits {
		if strings.ContainsAny(rest, `'"\$`) {
			return ""
		}
		words = append(words[:1], strings.Fields(rest)...)
	}
	if i := (&config.Script{Command: words}).Executed(); i > 0 {
		return words[i]
	}
	return ""
}

// A file that its own interpreter's #! line leads to is followed this far, as
// the system does.
const interpreterDepth = 4

// checkInterpreter says why the system cannot start file, which is there and
// executable: what its #! line names is missing or cannot be run. path is where
// env looks, dir where the script runs. What cannot be known is no fault.
func checkInterpreter(file, path, dir string) error { return checkShebang(file, path, dir, 0) }

func checkShebang(file, path, dir string, depth int) error {
	s := shebangOf(file)
	switch {
	case s.utf16:
		return fmt.Errorf("%s is UTF-16, which the system does not run: save it as UTF-8", file)
	case !s.there || s.interpreter == "":
		return nil
	case s.bom && !IsShell(s.program()):
		return fmt.Errorf("%s begins with a byte order mark, so that the system does not see its #! line and gives it to /bin/sh%s", file, mended(file, depth, withoutBOM))
	case s.bom:
		return nil // the right program runs it all the same
	case s.cr && s.breaks():
		return fmt.Errorf("%s has CRLF (Windows) line ends, so that its #! line names %q%s", file, lastWord(s.interpreter, s.argument)+"\r", mended(file, depth, withoutCR))
	}
	if err := s.check(file, path, dir); err != nil || depth == interpreterDepth {
		return err
	}
	next := s.interpreter
	if filepath.Base(next) == "env" {
		program := s.program()
		if program == "" {
			return nil
		}
		var err error
		if next, err = ResolveProgram(program, path); err != nil {
			return nil // check has looked for it
		}
	}
	if !filepath.IsAbs(next) {
		next = filepath.Join(dir, next)
	}
	return checkShebang(next, path, dir, depth+1)
}

// breaks reports whether a CR at the end of the line is taken for a part of
// its last word. Perl, and an env that splits, take it for a blank.
func (s *shebang) breaks() bool {
	_, splits := s.splits()
	return !splits && (s.argument == "" || filepath.Base(s.interpreter) != "perl")
}

// check looks for what the #! line of file names.
func (s *shebang) check(file, path, dir string) error {
	fault := func(format string, args ...any) error {
		return fmt.Errorf("%s: %s", file, fmt.Sprintf(format, args...))
	}
	where := s.interpreter
	if !filepath.IsAbs(where) {
		where = filepath.Join(dir, where)
	}
	info, err := os.Stat(where)
	switch {
	case errors.Is(err, fs.ErrNotExist) && !filepath.IsAbs(s.interpreter):
		return fault("its #! line names %q, which is no whole path: write #!/usr/bin/env %s", s.interpreter, strings.TrimSpace(filepath.Base(s.interpreter)+" "+s.argument))
	case errors.Is(err, fs.ErrNotExist):
		return fault("its interpreter %s, named in its #! line, is missing: correct that line%s", s.interpreter, SimilarProgram(s.interpreter, path))
	case err != nil:
		return nil // others may see more of it
	case info.IsDir():
		return fault("its interpreter %s, named in its #! line, is a folder: correct that line", s.interpreter)
	case info.Mode()&0o111 == 0:
		return fault("its interpreter %s, named in its #! line, is not executable: correct that line", s.interpreter)
	}
	if filepath.Base(s.interpreter) != "env" {
		return nil
	}
	if _, splits := s.splits(); !splits && strings.ContainsAny(s.argument, " \t") && runtime.GOOS == "linux" {
		return fault("its #! line has env look for %q as one word: write #!%s -S %s", s.argument, s.interpreter, s.argument)
	}
	program := s.program()
	if program == "" {
		return nil
	}
	if _, err := findProgram(program, path, dir); err != nil {
		return fault("its #! line has env look for %s, which %s: correct that line%s", program, err, SimilarProgram(program, path))
	}
	return nil
}

// findProgram finds what is run by name, as execvp does; the error continues a
// sentence and has no remedy, since the file is nobody's script.
func findProgram(name, path, dir string) (string, error) {
	file, err := ResolveProgram(name, path)
	var missing *NotInPathError
	switch {
	case errors.As(err, &missing):
		return "", fmt.Errorf("is not found in PATH (%s)", missing.Path)
	case err != nil:
		return "", errors.New("is not executable")
	case !filepath.IsAbs(file):
		file = filepath.Join(dir, file)
	}
	switch info, err := os.Stat(file); {
	case errors.Is(err, fs.ErrNotExist):
		return "", errors.New("is missing")
	case err == nil && info.IsDir():
		return "", errors.New("is a folder")
	case err == nil && info.Mode()&0o111 == 0:
		return "", errors.New("is not executable")
	}
	return file, nil
}

func lastWord(texts ...string) string {
	fields := strings.Fields(strings.Join(texts, " "))
	return fields[len(fields)-1]
}

// Commands that mend a file, by its path. In what is logged a backslash is
// doubled, so that one without comes first where there is one.
const (
	withoutCR  = `dos2unix %s, or sed -i 's/\r$//' %[1]s`
	withoutBOM = `sed -i '1s/^\xef\xbb\xbf//' %s`
)

// mended ends a sentence with how a script's own file is mended; an interpreter
// that it leads to is somebody else's.
func mended(file string, depth int, how string) string {
	path := ownPath(file)
	if depth > 0 || path == "" {
		return ""
	}
	return ": " + fmt.Sprintf(how, path)
}

// CheckStart says why the command of s, which is sound as far as its first word
// goes, cannot be started all the same: what a wrapper such as nice is to start,
// or what the #! line of the program names. file is the script's own; empty where
// it is not known or no program. A run finds that out by itself, often in less
// clear words.
func CheckStart(s *config.Script, file string, c *Command) error {
	path, at := LastEnv(c.Env, "PATH"), s.Executed()
	if at < 0 {
		return nil
	}
	word := s.Command[at]
	if at == s.Program && file != "" {
		if err := checkExecutable(file); err != nil {
			return err
		}
		return checkInterpreter(file, path, c.Dir)
	}
	found, err := findProgram(word, path, c.Dir)
	if err != nil {
		return fmt.Errorf("%s is to start %s, which %w%s", s.Command[0], word, err, SimilarProgram(word, path))
	}
	return checkInterpreter(found, path, c.Dir)
}

// Warnings say what of the script's file may make it fail although it can be
// started; file is as in CheckStart.
func Warnings(s *config.Script, file string) (texts []string) {
	text := Head(file)
	if !IsShell(Interpreter(s, file)) || text == nil {
		return nil
	}
	head := shebangOf(file)
	// What the #! line makes of it is a fault, if the line counts at all.
	started := s.Executed() == s.Program && head.there
	if head.bom && !(started && !IsShell(head.program())) {
		texts = append(texts, fmt.Sprintf("%s begins with a byte order mark, which a shell takes for a part of the first word%s", file, mended(file, 0, withoutBOM)))
	}
	if bytes.Contains(text, []byte("\r\n")) && !(started && head.cr && head.breaks()) {
		texts = append(texts, fmt.Sprintf("%s has CRLF (Windows) line ends, which a shell takes for a part of the last word%s", file, mended(file, 0, withoutCR)))
	}
	return texts
}

// Interpreter is the program that reads the script's own file: the one that the
// command names, or the file itself, or the shell, which runs what names none;
// "" where that cannot be told. file is as in CheckStart.
func Interpreter(s *config.Script, file string) string {
	at := s.Executed()
	switch head := shebangOf(file); {
	case at < 0 || file == "":
		return ""
	case at != s.Program:
		return s.Command[at]
	case head.there && !head.bom:
		return head.program()
	case Head(file) != nil:
		return "sh"
	default:
		return file
	}
}
