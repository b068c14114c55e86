package config

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestScriptFiles(t *testing.T) {
	if runtime.GOOS == "windows" {
		scriptFilesByExtension(t)
		return
	}
	dir := t.TempDir()
	for name, mode := range map[string]os.FileMode{
		"b.sh": 0o755, "a": 0o700, "c.py": 0o644, ".hidden": 0o755, "a~": 0o755, "a.bak": 0o755, "a.swp": 0o755,
		"a.rpmsave": 0o755, "a.rpmnew": 0o755, "a.dpkg-old": 0o755, "x.rpm.sh": 0o755, "group": 0o610,
	} {
		if err := os.WriteFile(filepath.Join(dir, name), nil, mode); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Mkdir(filepath.Join(dir, "folder"), 0o755); err != nil {
		t.Fatal(err)
	}
	for link, to := range map[string]string{"link": "b.sh", "dangling": "gone", "away": "folder", "plain": "c.py"} {
		if err := os.Symlink(to, filepath.Join(dir, link)); err != nil {
			t.Fatal(err)
		}
	}
	got, err := ScriptFiles(dir)
	if err != nil {
		t.Fatal(err)
	}
	var want []string
	for _, name := range []string{"a", "b.sh", "group", "link", "x.rpm.sh"} {
		want = append(want, filepath.Join(dir, name))
	}
	if !slices.Equal(got, want) {
		t.Errorf("got  %q\nwant %q", got, want)
	}
	gone := filepath.Join(dir, "gone")
	if _, err := ScriptFiles(gone); err == nil || !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a missing folder: %v", err)
	}
}

// scriptFilesByExtension: Windows has no bit for what is a program.
func scriptFilesByExtension(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"a.EXE", "b.bat", "c.Cmd", "d.ps1", "e.py", "f.vbs", "g.sh", "h", "i.txt", "j.ps1.bak", ".k.bat", "l.psm1", "m.dll"} {
		if err := os.WriteFile(filepath.Join(dir, name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Mkdir(filepath.Join(dir, "folder.exe"), 0o700); err != nil {
		t.Fatal(err)
	}
	got, err := ScriptFiles(dir)
	if err != nil {
		t.Fatal(err)
	}
	for i, file := range got {
		got[i] = filepath.Base(file)
	}
	if want := []string{"a.EXE", "b.bat", "c.Cmd", "d.ps1", "e.py", "f.vbs"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestReadEnvFile(t *testing.T) {
	t.Chdir(t.TempDir())
	const text = `# comment
; another

LANG=C
  SPACED = a b	
EMPTY=
SINGLE='a "b" \n $x'
DOUBLE="a 'b' \" \\ \$ \` + "`" + ` \n"
HASH=a # b
BACK=C:\x
TWICE=1
TWICE=2
CASE=1
Case=2
URL=http://x/?a=b`
	if err := os.WriteFile("x.env", []byte(text), 0o640); err != nil {
		t.Fatal(err)
	}
	env, err := ReadEnvFile("x.env")
	if err != nil {
		t.Fatal(err)
	}
	got := make(map[string]string)
	for name, value := range env {
		got[name] = value.Reveal()
	}
	want := map[string]string{
		"LANG": "C", "SPACED": "a b", "EMPTY": "", "SINGLE": `a "b" \n $x`, "DOUBLE": "a 'b' \" \\ $ ` \\n",
		"HASH": "a # b", "BACK": `C:\x`, "TWICE": "2", "URL": "http://x/?a=b",
	}
	if want["Case"] = "2"; runtime.GOOS != "windows" {
		want["CASE"] = "1"
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

func TestReadEnvFileErrors(t *testing.T) {
	t.Chdir(t.TempDir())
	const text = "export A=hunter2\nhunter2\n0A=hunter2\nB='hunter2\nC=\"hunter2\nD=\"hunter2\" x\nE='hunter'2'\nF=hunter2\\\nG=hunter2\x00\nH='\n"
	if err := os.WriteFile("x.env", []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	const want = `x.env:1: the line begins with export, which only a shell understands (write KEY=VALUE)
x.env:2: the line has no = (write KEY=VALUE)
x.env:3: "0A" cannot be the name of a variable (write KEY=VALUE)
x.env:4: the value of B does not end with its quote (write KEY=VALUE)
x.env:5: the value of C does not end with its quote (write KEY=VALUE)
x.env:6: the value of D goes on after its quote (write KEY=VALUE)
x.env:7: the value of E goes on after its quote (write KEY=VALUE)
x.env:8: the value of F goes on in the next line, which is not read (write KEY=VALUE)
x.env:9: the value of G has a NUL in it (write KEY=VALUE)
x.env:10: the value of H does not end with its quote (write KEY=VALUE)`
	_, err := ReadEnvFile("x.env")
	if err == nil {
		t.Fatal("no error")
	}
	if diff := cmp.Diff(want, err.Error()); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}

	if runtime.GOOS != "windows" {
		if err := os.Chmod("x.env", 0o604); err != nil {
			t.Fatal(err)
		}
		const want = "x.env: is readable by others (keep what is secret in a file of its own, with mode 0600)"
		if _, err := ReadEnvFile("x.env"); err == nil || err.Error() != want {
			t.Errorf("got  %v\nwant %s", err, want)
		}
	}
	for file, want := range map[string]string{
		"gone.env": "gone.env: there is no such file (correct the path, or make the file)",
		".":        ".: is a folder (name a file in it)",
	} {
		if _, err := ReadEnvFile(file); err == nil || err.Error() != want {
			t.Errorf("got  %v\nwant %s", err, want)
		}
	}
}
