package process

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf16"
)

// TestCheckStart: what nothing runs, and arguments that a batch file cannot be given, are
// found before a run.
func TestCheckStart(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"a.bat", "a.sh", "a.py", "a.ps1"} {
		if err := os.WriteFile(filepath.Join(dir, name), nil, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	python := filepath.Join(dir, "python.exe")
	if err := os.WriteFile(python, nil, 0o700); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		args, path, want string
	}{
		{"a.bat|x", "", ""},
		{"a|x", "", ""}, // by PATHEXT
		{"a.bat|%API%", "", "cmd.exe, which runs batch files, would put the value of a variable in the place of %API%: write the value itself"},
		{"a.sh", "", `$DIR\a.sh: Windows has no program that runs it: put a shell in front of it in command, such as "C:\Program Files\Git\bin\bash.exe"`},
		{"a.py", `C:\none`, `$DIR\a.py: not found in PATH: python.exe, python3.exe, py.exe, which runs it: install it for all users, or put the whole path of the program in front of it in command`},
		{"a.py", dir, ""},
		{"a.ps1", "", ""},
	} {
		args := strings.Split(c.args, "|")
		args[0] = filepath.Join(dir, args[0])
		got := ""
		if err := CheckStart(nil, "", &Command{Args: args, Env: []string{"Path=" + c.path, "Api=x"}}); err != nil {
			got = err.Error()
		}
		if want := strings.ReplaceAll(c.want, "$DIR", dir); got != want {
			t.Errorf("%s:\n%s, want\n%s", c.args, got, want)
		}
	}
}

// TestCheckStartFolder: a folder in which Windows starts nothing is told before a run, and
// by what it is too long, whatever its path is made of.
func TestCheckStartFolder(t *testing.T) {
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	folder := func(long int, of string) string {
		return `C:\` + strings.Repeat(of, (long-len(`C:\`))/len(utf16.Encode([]rune(of))))
	}
	for _, c := range []struct{ dir, want string }{
		{folder(258, "d"), ""},
		{folder(258, "d") + `\`, ""},
		{folder(257, "😀"), ""}, // two characters of UTF-16 each
		{folder(259, "d"), "259"},
		{folder(259, "ü"), "259"},
		{folder(259, "😀"), "259"},
	} {
		want := ""
		if c.want != "" {
			want = "working directory " + c.dir + " has " + c.want + " characters, but Windows starts a program in none of more than 258: name another one by working_directory"
		}
		got := ""
		if err := CheckStart(nil, "", &Command{Args: []string{program}, Dir: c.dir}); err != nil {
			got = err.Error()
		}
		if got != want {
			t.Errorf("%s:\n%s, want\n%s", c.dir, got, want)
		}
	}
}
