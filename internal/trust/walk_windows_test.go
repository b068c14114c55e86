package trust

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/windows"

	"scriptbridge/internal/testkit"
)

// private has only the system, administrators and the test's own account.
func private(more string) string {
	return "D:P(A;;FA;;;SY)(A;;FA;;;BA)(A;;FA;;;" + ownSID() + ")" + more
}

// list gives a file a list. Wine makes a mode of it, and shows that as a list.
func list(t *testing.T, path, text string) {
	t.Helper()
	sd, err := windows.SecurityDescriptorFromString(text)
	if err != nil {
		t.Fatal(err)
	}
	dacl, _, err := sd.DACL()
	if err != nil {
		t.Fatal(err)
	}
	err = windows.SetNamedSecurityInfo(path, windows.SE_FILE_OBJECT, windows.DACL_SECURITY_INFORMATION|windows.PROTECTED_DACL_SECURITY_INFORMATION, nil, nil, dacl, nil)
	if err != nil {
		t.Fatal(err)
	}
}

// tree is a folder for tests that nobody else may change, with a file d\x in it.
func tree(t *testing.T) (dir, file string) {
	t.Helper()
	root := t.TempDir()
	list(t, root, private(""))
	if err := (Policy{Own: true}).File(root); err != nil {
		t.Skipf("the folder for tests is none that only its owner may change: %v", err)
	}
	dir = filepath.Join(root, "d")
	file = filepath.Join(dir, "x")
	if err := errors.Join(os.Mkdir(dir, 0o700), os.WriteFile(file, nil, 0o600)); err != nil {
		t.Fatal(err)
	}
	list(t, dir, private(""))
	list(t, file, private(""))
	return dir, file
}

func TestFile(t *testing.T) {
	const everyone = "(A;;FA;;;WD)"
	for _, c := range []struct {
		name string
		make func(t *testing.T, dir, file string) (path string)
		want string // with DIR
	}{
		{"well", func(_ *testing.T, _, file string) string { return file }, ""},
		{"readable by all", func(t *testing.T, _, file string) string { list(t, file, private("(A;;FR;;;WD)")); return file }, ""},
		{"writable by all", func(t *testing.T, _, file string) string { list(t, file, private(everyone)); return file }, `DIR\x is writable by Everyone`},
		{"in a folder that all may change", func(t *testing.T, dir, file string) string { list(t, dir, private(everyone)); return file }, `DIR\x: DIR is writable by Everyone`},
		{"a folder to put things in", func(_ *testing.T, dir, _ string) string { return dir }, ""},
		{"a folder that all may put things in", func(t *testing.T, dir, _ string) string { list(t, dir, private(everyone)); return dir }, `DIR is writable by Everyone`},
		{"by another spelling", func(t *testing.T, dir, file string) string {
			list(t, dir, private(everyone))
			return strings.ToUpper(dir) + `/./y/../x`
		}, `DIR\./y/../x: DIR is writable by Everyone`},
		{"missing", func(_ *testing.T, dir, _ string) string { return filepath.Join(dir, "y") }, "open DIR\\y: no such file or directory"},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir, file := tree(t)
			path := c.make(t, dir, file)
			err := (Policy{Own: true}).File(path)
			got := ""
			if err != nil {
				got, _, _ = strings.Cut(strings.NewReplacer(strings.ToUpper(dir), "DIR", dir, "DIR").Replace(err.Error()), " (owner ")
			}
			if testkit.UnixText(got) != testkit.UnixText(c.want) && !strings.EqualFold(got, c.want) {
				t.Errorf("got  %s\nwant %s", got, c.want)
			}
			if e, ok := errors.AsType[*Error](err); ok {
				if err := (Policy{Own: true, Except: []string{strings.ToUpper(e.Component)}}).File(path); err != nil {
					t.Errorf("excepted: %v", err)
				}
			}
		})
	}
}

// The system's own files may be obeyed, and the disk's root does not make others'.
func TestFileOfSystem(t *testing.T) {
	for _, path := range []string{`C:\Windows\System32\cmd.exe`, `C:\`} {
		sd, _, err := lookAt(path, 0)
		if err != nil {
			t.Fatal(err)
		}
		t.Logf("%s: %+v", path, *sd)
		if err := (Policy{Own: true}).File(path); err != nil && path != `C:\` {
			t.Error(err)
		}
	}
	t.Logf("privileged: %v; we are %s, %s", Privileged(), ownSID(), accountName(ownSID()))
}

// TestJunction: what a junction leads to is looked at, and who may lead it elsewhere.
func TestJunction(t *testing.T) {
	testkit.NeedSymlinks(t)
	dir, file := tree(t)
	link := filepath.Join(filepath.Dir(dir), "l")
	if err := os.Symlink(dir, link); err != nil {
		t.Fatal(err)
	}
	if err := (Policy{Own: true}).File(filepath.Join(link, "x")); err != nil {
		t.Error(err)
	}
	list(t, file, private("(A;;FA;;;WD)"))
	if err := (Policy{Own: true}).File(filepath.Join(link, "x")); err == nil || !strings.Contains(err.Error(), "x is writable by Everyone") {
		t.Error(err)
	}
}
