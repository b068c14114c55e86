package fsx

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"scriptbridge/internal/testkit"
)

// TestShared: a file that is open can be replaced, renamed and removed by others, on
// Windows too, however it was opened; and whoever has it open still has the same one.
func TestShared(t *testing.T) {
	ways := map[string]func(path string) (*os.File, error){
		"Open":  Open,
		"read":  func(path string) (*os.File, error) { return OS{}.OpenFile(path, os.O_RDONLY, 0) },
		"write": func(path string) (*os.File, error) { return OS{}.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600) },
		"append": func(path string) (*os.File, error) {
			return OS{}.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o640)
		},
		"in folder": inFolder,
	}
	for name, open := range ways {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			path, next, aside := filepath.Join(dir, "f"), filepath.Join(dir, "next"), filepath.Join(dir, "aside")
			must(t, os.WriteFile(path, []byte("old"), 0o600), os.WriteFile(next, []byte("new"), 0o600))
			f, err := open(path)
			must(t, err)
			defer f.Close()
			must(t, OS{}.Rename(path, aside), OS{}.Rename(next, path))
			g, err := open(path)
			must(t, err)
			defer g.Close()
			must(t, OS{}.Remove(aside))
			if text, err := os.ReadFile(path); err != nil || string(text) != "new" {
				t.Errorf("there is %q, %v", text, err)
			}
			if name != "append" {
				text := make([]byte, 8)
				n, _ := f.Read(text)
				if string(text[:n]) != "old" {
					t.Errorf("what is open has %q", text[:n])
				}
			}
			if names, err := Links(f); err != nil || names != 0 && !testkit.Wine() { // which does not tell
				t.Errorf("the removed file has %d names, %v", names, err)
			}
			if names, err := Links(g); err != nil || names != 1 {
				t.Errorf("the other has %d names, %v", names, err)
			}
		})
	}
}

func inFolder(path string) (*os.File, error) {
	folder, err := OS{}.Within(filepath.Dir(path))
	if err != nil {
		return nil, err
	}
	defer folder.Close()
	return folder.OpenFile(path, os.O_RDWR, 0)
}

// TestReplaceBusy: who has a file open and shares it with nobody, as what looks for
// viruses may for a moment on Windows, holds up its replacement and no more.
func TestReplaceBusy(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "f")
	must(t, os.WriteFile(path, []byte("old"), 0o600))
	for _, disk := range []func() (FS, func() error){
		func() (FS, func() error) { return OS{}, func() error { return nil } },
		func() (FS, func() error) {
			f, err := OS{}.Within(dir)
			must(t, err)
			return f, f.Close
		},
	} {
		fs, closed := disk()
		busy, err := os.Open(path) // on Windows it lets nobody remove or replace it
		must(t, err)
		time.AfterFunc(50*time.Millisecond, func() { _ = busy.Close() })
		must(t, WriteFile(fs, path, []byte("new")), closed())
		if text, err := os.ReadFile(path); err != nil || string(text) != "new" {
			t.Errorf("there is %q, %v", text, err)
		}
	}
}

// TestOpenFlags: the flags mean what they mean to os.OpenFile.
func TestOpenFlags(t *testing.T) {
	for _, flag := range []int{
		os.O_RDONLY, os.O_WRONLY, os.O_RDWR, os.O_WRONLY | os.O_CREATE, os.O_RDWR | os.O_CREATE, os.O_WRONLY | os.O_CREATE | os.O_EXCL,
		os.O_WRONLY | os.O_TRUNC, os.O_RDWR | os.O_CREATE | os.O_TRUNC, os.O_WRONLY | os.O_APPEND, os.O_WRONLY | os.O_APPEND | os.O_CREATE,
		os.O_RDWR | os.O_APPEND, os.O_WRONLY | os.O_CREATE | os.O_APPEND | os.O_TRUNC,
	} {
		for _, there := range []string{"nothing", "file", "folder"} {
			result := func(open func(string, int, os.FileMode) (*os.File, error)) [4]string {
				path := filepath.Join(t.TempDir(), "f")
				switch there {
				case "file":
					must(t, os.WriteFile(path, []byte("old"), 0o600))
				case "folder":
					must(t, os.Mkdir(path, 0o700))
				}
				f, err := open(path, flag, 0o600)
				if err != nil {
					return [4]string{errText(err, path)}
				}
				_, errWrite := f.WriteString("n")
				read := make([]byte, 8)
				n, errRead := f.Read(read)
				must(t, f.Close())
				text, _ := os.ReadFile(path)
				return [4]string{string(text), errText(errWrite, path), errText(errRead, path), string(read[:n])}
			}
			want, got := result(os.OpenFile), result(OS{}.OpenFile)
			if got != want {
				t.Errorf("%#x, %s: %q, want %q", flag, there, got, want)
			}
		}
	}
}

func errText(err error, path string) string {
	if err == nil {
		return ""
	}
	return strings.ReplaceAll(err.Error(), path, "PATH")
}
