package config

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"

	"scriptbridge/config/internal/yamltree"
	"scriptbridge/internal/fsx"
	"scriptbridge/internal/trust"
	"scriptbridge/internal/winargs"
)

// ScriptFiles gives what a discover directory has: the paths of its regular
// executable files, links followed, sorted by name. It leaves out dot files
// and what editors and package managers leave behind (~ .bak .swp .rpm*
// .dpkg-*), and looks into no folder. On Windows an extension, such as .exe, .bat, .ps1
// or .py, stands for the executable bit.
func ScriptFiles(dir string) ([]string, error) {
	entries, err := os.ReadDir(dir) // sorted
	if err != nil {
		return nil, err
	}
	var files []string
	for _, e := range entries {
		path := filepath.Join(dir, e.Name())
		if leftover(e.Name()) {
			continue
		}
		info, err := os.Stat(path)
		if err != nil { // a dangling link, or gone since
			continue
		}
		if info.Mode().IsRegular() && executable(info) {
			files = append(files, path)
		}
	}
	return files, nil
}

func leftover(name string) bool {
	ext := filepath.Ext(name)
	return strings.HasPrefix(name, ".") || strings.HasSuffix(name, "~") ||
		ext == ".bak" || ext == ".swp" ||
		strings.HasPrefix(ext, ".rpm") || strings.HasPrefix(ext, ".dpkg-")
}

func executable(info fs.FileInfo) bool {
	if runtime.GOOS == "windows" {
		return winargs.IsProgram(info.Name())
	}
	return info.Mode()&0o111 != 0
}

// ReadEnvFile reads an env_file: lines KEY=VALUE, as systemd's EnvironmentFile
// takes them in the simple form. Empty lines and those that begin with # or ;
// are skipped, blanks around key and value too. A value may stand in quotes;
// in double ones a backslash escapes \ " $ and `, elsewhere it is an ordinary
// character. The last line of a key wins. A file that others may read is
// refused. Errors never show a value; all lines are judged, until a hundred are
// wrong.
func ReadEnvFile(file string) (map[string]Secret, error) {
	data, err := readPrivate(file)
	if err != nil {
		return nil, err
	}
	var r yamltree.Report
	env := make(map[string]Secret)
	written := make(map[string]string) // how each name was
	line := 0
	for l := range bytes.Lines(data) {
		line++
		text := strings.TrimSpace(string(l))
		if text == "" || text[0] == '#' || text[0] == ';' {
			continue
		}
		name, value, err := envLine(text)
		if err != nil && len(r.Errs) == mostWrong {
			r.Errs = append(r.Errs, &Error{Position: Position{File: file, Line: line}, Problem: "other lines are wrong too, and are not looked at"})
			break
		}
		if err != nil {
			r.Errs = append(r.Errs, &Error{
				Position: Position{File: file, Line: line},
				Problem:  err.Error(),
				Remedy:   "write KEY=VALUE",
			})
			continue
		}
		one := oneVariable(name)
		delete(env, written[one])
		env[name], written[one] = value, name
	}
	if err := r.Join(nil); err != nil {
		return nil, err
	}
	return env, nil
}

// mostWrong is how many lines of one file are told that are wrong.
const mostWrong = 100

// readPrivate reads a regular file that others may not read, or the variable that stands
// for one.
func readPrivate(file string) ([]byte, error) {
	if _, ok := variableOf(file); ok {
		return ReadSecretFile(file)
	}
	if info, err := os.Stat(file); err == nil && info.Mode().IsRegular() {
		if remedy, exposed := trust.Exposed(file, info); exposed {
			return nil, &Error{Position: Position{File: file}, Problem: "is readable by others", Remedy: remedy}
		}
	}
	data, p := readRegular(file)
	if p != nil {
		return nil, &Error{Position: Position{File: file}, Problem: p.Text, Remedy: p.Remedy}
	}
	return data, nil
}

// readRegular reads a file that has an end.
func readRegular(file string) ([]byte, *yamltree.Problem) {
	data, err := fsx.ReadFile(file)
	if err != nil {
		problem, remedy := Unreadable(file, err)
		return nil, &yamltree.Problem{Text: problem, Remedy: remedy}
	}
	return data, nil
}

// ReadNamed reads a file that a key names. Its error begins with the key, and has
// what there is to do about it.
func ReadNamed(key, file string) ([]byte, error) {
	data, p := readRegular(file)
	if p != nil {
		return nil, fmt.Errorf("%s: %w", key, &Error{Position: Position{File: file}, Problem: p.Text, Remedy: p.Remedy})
	}
	return data, nil
}

// Unreadable words why the file path, which the message names, cannot be read,
// and what there is to do about it; remedy may be empty.
func Unreadable(path string, err error) (problem, remedy string) {
	if pe, ok := errors.AsType[*fs.PathError](err); ok {
		err = pe.Err
	}
	switch {
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, syscall.ENOTDIR):
		return "there is no such file", cmp.Or(MissingHint(path), "correct the path, or make the file")
	case errors.Is(err, fs.ErrPermission):
		return "permission denied", "the user that scriptbridge runs as must be able to read it"
	case errors.Is(err, fsx.ErrFolder):
		return err.Error(), "name a file in it"
	case errors.Is(err, fsx.ErrIrregular):
		return err.Error(), "it is read again and again, which a pipe cannot be: name a file"
	}
	return err.Error(), ""
}

// MissingHint says which folder of a path is missing, or which file in the last
// one has a similar name; "" where path is there or nothing can be said.
func MissingHint(path string) string {
	if _, err := os.Lstat(path); err == nil {
		return ""
	}
	dir := filepath.Dir(path)
	for missing := ""; ; dir = filepath.Dir(dir) {
		switch info, err := os.Stat(dir); {
		case errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR):
			if missing = dir; dir != filepath.Dir(dir) {
				continue
			}
			return ""
		case err != nil:
			return ""
		case !info.IsDir():
			return dir + " is not a folder"
		case missing != "":
			return missing + " is missing already"
		}
		break
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return ""
	}
	names := make([]string, len(entries))
	for i, e := range entries {
		names[i] = e.Name()
	}
	if like := Nearest(filepath.Base(path), names); like != "" {
		return "did you mean " + filepath.Join(dir, like) + "?"
	}
	return ""
}

// envLine reads one line that is neither empty nor a comment.
func envLine(text string) (string, Secret, error) {
	name, value, ok := strings.Cut(text, "=")
	name, value = strings.TrimSpace(name), strings.TrimSpace(value)
	switch {
	case !ok:
		return "", "", errors.New("the line has no =")
	case strings.HasPrefix(name, "export "):
		return "", "", errors.New("the line begins with export, which only a shell understands")
	case !labelForm.MatchString(name): // variables have the same form
		return "", "", fmt.Errorf("%q cannot be the name of a variable", name)
	case strings.Contains(value, "\x00"):
		return "", "", fmt.Errorf("the value of %s has a NUL in it", name)
	case value == "" || value[0] != '"' && value[0] != '\'':
		if strings.HasSuffix(value, `\`) {
			return "", "", fmt.Errorf("the value of %s goes on in the next line, which is not read", name)
		}
		return name, Secret(value), nil
	}
	value, rest, ok := unquote(value)
	switch {
	case !ok:
		return "", "", fmt.Errorf("the value of %s does not end with its quote", name)
	case rest != "":
		return "", "", fmt.Errorf("the value of %s goes on after its quote", name)
	}
	return name, Secret(value), nil
}

// unquote gives what is between the quote that s begins with and the next one
// like it, and what follows; ok is false where there is no next one.
func unquote(s string) (text, rest string, ok bool) {
	var b strings.Builder
	quote := s[0]
	for i := 1; i < len(s); i++ {
		switch c := s[i]; {
		case c == quote:
			return b.String(), s[i+1:], true
		case c == '\\' && quote == '"' && i+1 < len(s) && strings.IndexByte("\\\"$`", s[i+1]) >= 0:
			i++
			b.WriteByte(s[i])
		default:
			b.WriteByte(c)
		}
	}
	return "", "", false
}
