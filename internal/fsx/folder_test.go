package fsx

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"testing"

	"scriptbridge/internal/testkit"
)

// TestFolder has each use of each path that leads elsewhere, or to what is no file,
// and none of them does anything; and those of what is well, which do.
func TestFolder(t *testing.T) {
	uses := map[string]func(f Folder, path string) error{
		"open": func(f Folder, path string) error { return used(f.OpenFile(path, os.O_RDWR, 0)) },
		"make": func(f Folder, path string) error { return used(f.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)) },
		"cut": func(f Folder, path string) error {
			return used(f.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600))
		},
	}
	tests := []struct{ path, want string }{ // want: of each use, or of some
		{"file", ""},
		{"new", "open: no such file or directory; make: ; cut: "},
		{"sub/new", "open: no such file or directory; make: ; cut: "},
		{"missing/new", "no such file or directory"},
		{"folder", "is a folder"},
		{"link out", "LINK"},
		{"link in", "LINK"},
		{"link nowhere", "LINK"},
		{"link to folder", "LINK"},
		{"link to folder/file", "LINK"},
		{"link to sub/file", "LINK"},
		{"sub/link out", "LINK"},
		{"sub/link up/file", "LINK"},
		{"file/file", "not a directory"},
		{"../outside/file", "leads out of its folder"},
		{"..", "leads out of its folder"},
		{"../in2", "leads out of its folder"},
		{"sub/../file", ""}, // by name
	}
	links := testkit.Symlinks(t)
	for _, test := range tests {
		if !links && strings.Contains(test.path, "link") {
			continue
		}
		for name, use := range uses {
			above := t.TempDir()
			in, out := filepath.Join(above, "in"), filepath.Join(above, "outside")
			must(t, os.Mkdir(in, 0o700), os.Mkdir(out, 0o700), os.Mkdir(in+"/sub", 0o700), os.Mkdir(in+"/folder", 0o700))
			for _, file := range []string{in + "/file", in + "/sub/file", out + "/file"} {
				must(t, os.WriteFile(file, []byte("text"), 0o600))
			}
			if links {
				must(t, os.Symlink("../outside/file", in+"/link out"), os.Symlink("file", in+"/link in"), os.Symlink("none", in+"/link nowhere"),
					os.Symlink("../outside", in+"/link to folder"), os.Symlink("sub", in+"/link to sub"),
					os.Symlink(out+"/file", in+"/sub/link out"), os.Symlink("..", in+"/sub/link up"))
			}
			f, err := OS{}.Within(in)
			must(t, err)
			before := all(t, above)
			path := in + "/" + test.path
			want := strings.ReplaceAll(test.want, "LINK", ErrLink.Error())
			for one := range strings.SplitSeq(want, "; ") {
				if of, text, some := strings.Cut(one, ": "); some && of == name {
					want = text
				}
			}
			if want != "" {
				want = "open " + path + ": " + want
			}
			got := ""
			if err := use(f, path); err != nil {
				got = testkit.UnixText(err.Error())
			}
			if want = testkit.UnixText(want); got != want {
				t.Errorf("%s %s: %q, want %q", name, test.path, got, want)
			}
			if now := all(t, above); want != "" && now != before {
				t.Errorf("%s %s: there is now\n%s\nand was\n%s", name, test.path, now, before)
			}
			must(t, f.Close())
		}
	}
}

// used closes a file to which something was done.
func used(f *os.File, err error) error {
	if err != nil {
		return err
	}
	return f.Close()
}

func must(t *testing.T, errs ...error) {
	t.Helper()
	if err := errors.Join(errs...); err != nil {
		t.Fatal(err)
	}
}

// all gives what is in a folder.
func all(t *testing.T, folder string) string {
	t.Helper()
	var b strings.Builder
	must(t, filepath.WalkDir(folder, func(path string, entry fs.DirEntry, err error) error {
		b.WriteString(path + " " + entry.Type().String())
		if entry.Type().IsRegular() {
			text, err := os.ReadFile(path)
			must(t, err)
			b.WriteString(" " + string(text))
		}
		b.WriteByte('\n')
		return err
	}))
	return b.String()
}

// TestFolderNames: what is done to names is done to links themselves, and not
// through one.
func TestFolderNames(t *testing.T) {
	testkit.NeedSymlinks(t)
	above := t.TempDir()
	in, out := filepath.Join(above, "in"), filepath.Join(above, "outside")
	must(t, os.Mkdir(in, 0o700), os.Mkdir(in+"/sub", 0o700), os.Mkdir(out, 0o700), os.WriteFile(out+"/file", nil, 0o600), os.WriteFile(in+"/file", nil, 0o600),
		os.Symlink("../outside", in+"/out"), os.Symlink("../outside/file", in+"/link"), os.Symlink("sub", in+"/inner"))
	f, err := OS{}.Within(in)
	must(t, err)
	defer f.Close()
	link := ": " + ErrLink.Error()
	for _, c := range []struct {
		what string
		err  error
		want string
	}{
		{"lstat", second(f.Lstat(in + "/out/file")), "lstat " + in + "/out/file" + link},
		{"mkdir", f.Mkdir(in+"/out/x", 0o700), "mkdir " + in + "/out/x" + link},
		{"mkdir over a link", f.Mkdir(in+"/out", 0o700), "mkdir " + in + "/out: file exists"},
		{"rename", f.Rename(in+"/out/file", in+"/out/x"), "rename " + in + "/out/file" + link},
		{"link through one", f.Link(in+"/out/file", in+"/out/x"), "link " + in + "/out/file" + link},
		{"link elsewhere", f.Link(in+"/file", in+"/sub/file"), "link " + in + "/file " + in + "/sub/file: invalid cross-device link"},
		{"link over a link", f.Link(in+"/file", in+"/link"), "link " + in + "/file: file exists"},
		{"rename elsewhere", f.Rename(in+"/file", in+"/sub/file"), "rename " + in + "/file " + in + "/sub/file: invalid cross-device link"},
		{"remove", f.Remove(in + "/out/file"), "remove " + in + "/out/file" + link},
		{"sync", f.SyncDir(in + "/out"), "sync " + in + "/out" + link},
		{"sync a file", f.SyncDir(in + "/file"), "sync " + in + "/file: not a directory"},
		{"within", second(f.Within(in + "/inner")), "open " + in + "/inner" + link},
		{"rename over a link", f.Rename(in+"/file", in+"/link"), ""},
		{"remove a link", f.Remove(in + "/out"), ""},
		{"sync all", f.SyncDir(in), ""},
		{"sync one", f.SyncDir(in + "/sub"), ""},
	} {
		got := ""
		if c.err != nil {
			got = testkit.UnixText(c.err.Error())
		}
		if want := testkit.UnixText(c.want); got != want {
			t.Errorf("%s: %q, want %q", c.what, got, want)
		}
	}
	if info, err := os.Lstat(in + "/link"); err != nil || !info.Mode().IsRegular() {
		t.Errorf("it is no file now: %v, %v", info, err)
	}
	if _, err := os.Stat(out + "/file"); err != nil {
		t.Error(err)
	}
}

func second[T any](_ T, err error) error { return err }

// TestFolderMoved: a folder is the same one wherever it is, whatever is at its
// path by then. Windows moves no folder that is open.
func TestFolderMoved(t *testing.T) {
	in := filepath.Join(t.TempDir(), "in")
	must(t, os.Mkdir(in, 0o700))
	f, err := OS{}.Within(in)
	must(t, err)
	defer f.Close()
	if runtime.GOOS == "windows" {
		if err := os.Rename(in, in+".moved"); err == nil {
			t.Error("a folder that is open was moved")
		}
		return
	}
	must(t, os.Rename(in, in+".moved"), os.Mkdir(in, 0o700), WriteFile(f, in+"/file", []byte("text")))
	if text, err := os.ReadFile(in + ".moved/file"); err != nil || string(text) != "text" {
		t.Errorf("%q, %v", text, err)
	}
	if left, err := os.ReadDir(in); err != nil || len(left) > 0 {
		t.Errorf("another folder has %v, %v", left, err)
	}
}

// A file that two make at once is made by one, and opened by both.
func TestOpenTogether(t *testing.T) {
	path := t.TempDir()
	folder, err := OS{}.Within(path)
	if err != nil {
		t.Fatal(err)
	}
	defer folder.Close()
	for i := range 300 {
		var opening sync.WaitGroup
		for range 4 {
			opening.Go(func() {
				f, err := folder.OpenFile(filepath.Join(path, strconv.Itoa(i)), os.O_RDWR|os.O_CREATE, 0o600)
				if err != nil {
					t.Error(err)
					return
				}
				if err := f.Close(); err != nil {
					t.Error(err)
				}
			})
		}
		opening.Wait()
	}
}
