//go:build unix

package process

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// mallory is a user whose files root must not obey.
const mallory = 61001

// TestCheckTrust has what decides what root runs besides the program itself: who
// interprets it, and where that is found.
func TestCheckTrust(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root can give files to others")
	}
	for _, test := range []struct {
		name  string
		files map[string]string // by path, the text
		open  string            // the path that is mallory's
		want  string            // with DIR for the folder; "" for none
	}{
		{"its own", map[string]string{"x": "#!/bin/sh\n"}, "", ""},
		{"another's", map[string]string{"x": "#!/bin/sh\n"}, "x", "DIR/x belongs to 61001 (mode -rwxr-xr-x) and would run as root: let root have a copy of it in a folder of its own, or run it as its owner (user: 61001)"},
		{"its interpreter is another's", map[string]string{"x": "#!DIR/i\n", "i": "\x7fELF\x00"}, "i",
			"DIR/x is run by DIR/i: DIR/i belongs to 61001 (mode -rwxr-xr-x) and would run as root: let root have a copy of it in a folder of its own, or run it as its owner (user: 61001)"},
		{"the interpreter of its interpreter", map[string]string{"x": "#!DIR/i -a b\n", "i": "#!DIR/j\n", "j": "\x7fELF\x00"}, "j",
			"DIR/x is run by DIR/j: DIR/j belongs to 61001 (mode -rwxr-xr-x) and would run as root: let root have a copy of it in a folder of its own, or run it as its owner (user: 61001)"},
		{"what env finds", map[string]string{"x": "#!/usr/bin/env tool\n", "bin/tool": "\x7fELF\x00"}, "bin/tool",
			"DIR/x is run by DIR/bin/tool: DIR/bin/tool belongs to 61001 (mode -rwxr-xr-x) and would run as root: let root have a copy of it in a folder of its own, or run it as its owner (user: 61001)"},
		{"what env finds, in another's folder", map[string]string{"x": "#!/usr/bin/env -S tool -a\n", "bin/tool": "\x7fELF\x00"}, "bin",
			"DIR/x is run by DIR/bin/tool: DIR/bin/tool would run as root but 61001 may replace it, since DIR/bin belongs to 61001 (mode drwxr-xr-x): move it to a folder that only root may write, give it a user, or list DIR/bin under global.trusted_paths"},
		{"without a #! line", map[string]string{"x": "echo\n"}, "", ""},
		{"a program", map[string]string{"x": "\x7fELF\x00"}, "", ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			dir, err := filepath.EvalSymlinks(t.TempDir())
			if err != nil {
				t.Fatal(err)
			}
			for path, text := range test.files {
				file := filepath.Join(dir, path)
				if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(file, []byte(strings.ReplaceAll(text, "DIR", dir)), 0o755); err != nil {
					t.Fatal(err)
				}
				if err := syscall.Chmod(file, 0o755); err != nil {
					t.Fatal(err)
				}
			}
			if test.open != "" {
				if err := os.Chown(filepath.Join(dir, test.open), mallory, mallory); err != nil {
					t.Fatal(err)
				}
			}
			g := &Guard{Path: filepath.Join(dir, "bin") + ":/usr/bin:/bin", Dir: dir}
			got := g.CheckTrust(filepath.Join(dir, "x"))
			if want := strings.ReplaceAll(test.want, "DIR", dir); fmt.Sprint(got) != orNil(want) {
				t.Errorf("got  %v\nwant %s", got, orNil(want))
			}
			// Not root, it obeys whom it likes.
			g.RunAs = &Account{UID: mallory, GID: mallory}
			if err := g.CheckTrust(filepath.Join(dir, "x")); err != nil {
				t.Errorf("as another: %v", err)
			}
		})
	}
}
