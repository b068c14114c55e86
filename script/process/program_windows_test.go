package process

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/windows"

	"scriptbridge/internal/trust"
)

// TestCheckTrustByList has what decides what an administrator runs: the program, its folder,
// and what runs it.
func TestCheckTrustByList(t *testing.T) {
	if !trust.Privileged() {
		t.Skip("only what has rights over others asks")
	}
	if err := (trust.Policy{}).File(t.TempDir()); err != nil {
		t.Skipf("the folder for tests is none that only its owner may change: %v", err)
	}
	const remedy = "move it to a folder that only an administrator may write, or list DIR under global.trusted_paths"
	for _, c := range []struct {
		name, open string // which everybody may change
		ask        func(g *Guard, dir string) error
		want       string // with DIR, and without the owner
	}{
		{"a program", "", func(g *Guard, dir string) error { return g.CheckTrust(dir + `\x.exe`) }, ""},
		{"one that others may write", "x.exe", func(g *Guard, dir string) error { return g.CheckTrust(dir + `\x.exe`) },
			`DIR\x.exe is writable by Everyone and would run as an administrator: icacls "DIR\x.exe" /inheritance:d, and then icacls "DIR\x.exe" /remove:g *S-1-1-0`},
		{"a batch file", "x.bat", func(g *Guard, dir string) error { return g.CheckProgram(dir+`\x.bat`, true) },
			`DIR\x.bat is writable by Everyone and would run as an administrator: icacls "DIR\x.bat" /inheritance:d, and then icacls "DIR\x.bat" /remove:g *S-1-1-0`},
		{"its folder", ".", func(g *Guard, dir string) error { return g.CheckTrust(dir + `\x.exe`) },
			`DIR\x.exe would run as an administrator but Everyone may replace it, since DIR is writable by Everyone: ` + remedy},
		{"a program in PATH", "bin", func(g *Guard, dir string) error { return g.CheckTrust(dir + `\x.py`) },
			`DIR\x.py is run by DIR\bin\python.exe: DIR\bin\python.exe would run as an administrator but Everyone may replace it, since DIR\bin is writable by Everyone: ` +
				strings.ReplaceAll(remedy, "DIR", `DIR\bin`)},
		{"a folder of modules", ".", func(g *Guard, dir string) error { return g.CheckFolder(dir) },
			`DIR is a folder where Everyone may put programs, and they would run as an administrator, since DIR is writable by Everyone: keep them in a folder that only an administrator may write, or list DIR under global.trusted_paths`},
		{"a file that is obeyed", "x.bat", func(g *Guard, dir string) error { return g.CheckObeyed(dir + `\x.bat`) },
			`DIR\x.bat is obeyed by an administrator, but Everyone may change it, since DIR\x.bat is writable by Everyone: ` +
				`let nobody but an administrator write it (icacls "DIR\x.bat" /inheritance:d, and then icacls "DIR\x.bat" /remove:g *S-1-1-0), or list DIR\x.bat under global.trusted_paths`},
	} {
		dir := t.TempDir()
		err := os.Mkdir(dir+`\bin`, 0o700)
		for _, name := range []string{`x.exe`, `x.bat`, `x.py`, `bin\python.exe`} {
			err = errors.Join(err, os.WriteFile(filepath.Join(dir, name), nil, 0o600))
		}
		if err != nil {
			t.Fatal(err)
		}
		if c.open != "" {
			letEveryone(t, filepath.Join(dir, c.open))
		}
		g := &Guard{Path: dir + `\bin`}
		got := ""
		if err := c.ask(g, dir); err != nil {
			got = withoutOwner(strings.ReplaceAll(err.Error(), dir, "DIR"))
		}
		if got != c.want {
			t.Errorf("%s:\ngot  %s\nwant %s", c.name, got, c.want)
		}
	}
}

// TestLookup: where others may put programs into the working folder, none is looked for there.
func TestLookup(t *testing.T) {
	if !trust.Privileged() {
		t.Skip("only what has rights over others asks")
	}
	dir := t.TempDir()
	if err := (trust.Policy{}).File(dir); err != nil {
		t.Skipf("the folder for tests is none that only its owner may change: %v", err)
	}
	env := []string{"A=1"}
	if got := (&Guard{Dir: dir}).Lookup(env); !slices.Equal(got, env) {
		t.Errorf("in a folder of ours: %q", got)
	}
	letEveryone(t, dir)
	if got, want := (&Guard{Dir: dir}).Lookup(env), []string{"A=1", "NoDefaultCurrentDirectoryInExePath=1"}; !slices.Equal(got, want) {
		t.Errorf("in one of others: %q, want %q", got, want)
	}
	if got := (&Guard{Dir: dir, Policy: trust.Policy{Except: []string{dir}}}).Lookup(env); !slices.Equal(got, env) {
		t.Errorf("in one that is trusted: %q", got)
	}
	if got := (&Guard{RunAs: &Account{UID: 1}, Dir: dir}).Lookup(env); !slices.Equal(got, env) {
		t.Errorf("without rights over others: %q", got)
	}
}

// withoutOwner takes out who the owner is.
func withoutOwner(text string) string {
	for {
		before, after, found := strings.Cut(text, " (owner ")
		_, after, closed := strings.Cut(after, ")")
		if !found || !closed {
			return text
		}
		text = before + after
	}
}

func letEveryone(t *testing.T, path string) {
	t.Helper()
	sd, err := windows.SecurityDescriptorFromString("D:P(A;;FA;;;SY)(A;;FA;;;BA)(A;;FA;;;WD)")
	if err != nil {
		t.Fatal(err)
	}
	dacl, _, err := sd.DACL()
	if err == nil {
		err = windows.SetNamedSecurityInfo(path, windows.SE_FILE_OBJECT, windows.DACL_SECURITY_INFORMATION|windows.PROTECTED_DACL_SECURITY_INFORMATION, nil, nil, dacl, nil)
	}
	if err != nil {
		t.Fatal(err)
	}
}
