package python

import (
	"io/fs"
	"os"
	"path"
	"slices"
	"testing"
)

// TestFiles finds the file that the patterns of Files do not name.
func TestFiles(t *testing.T) {
	list := func(files fs.FS) (names []string) {
		err := fs.WalkDir(files, "package", func(name string, entry fs.DirEntry, err error) error {
			if entry != nil && entry.Name() == "__pycache__" {
				return fs.SkipDir
			}
			if err == nil && !entry.IsDir() {
				names = append(names, name)
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		return names
	}
	got, want := list(Files), list(os.DirFS("."))
	if !slices.Equal(got, want) {
		t.Errorf("embedded are %q,\nin the folder are %q", got, want)
	}
	for _, name := range []string{"scriptbridge_host.py", "scalyr_agent/__init__.py", "fallback/six.py"} {
		if !slices.Contains(got, path.Join("package", name)) {
			t.Errorf("%s is not embedded", name)
		}
	}
}
