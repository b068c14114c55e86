// Package cases is for tests whose cases are txtar files with what goes in and
// what is wanted. The flag -update writes what is wanted anew.
package cases

import (
	"flag"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"
)

var update = flag.Bool("update", false, "write the want parts of testdata anew")

// Case is one file.
type Case struct {
	Name string
	*txtar.Archive
}

// All are the cases of a folder, of which there is one at least.
func All(t testing.TB, folder string) (all []Case) {
	t.Helper()
	paths, err := filepath.Glob(folder + "/*.txtar")
	if err != nil || len(paths) == 0 {
		t.Fatalf("no cases: %v", err)
	}
	for _, path := range paths {
		a, err := txtar.ParseFile(path)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, Case{strings.TrimSuffix(filepath.Base(path), ".txtar"), a})
	}
	return all
}

// Run holds every case of a folder against what is made of it: each of its parts
// that are named in wants, of which it has one at least, is compared with what got
// gives for the archive and that name.
func Run(t *testing.T, folder string, got func(t *testing.T, a *txtar.Archive, want string) string, wants ...string) {
	for _, c := range All(t, folder) {
		t.Run(c.Name, func(t *testing.T) {
			found := false
			for i := range c.Files {
				f := &c.Files[i]
				if !slices.Contains(wants, f.Name) {
					continue
				}
				found = true
				text := got(t, c.Archive, f.Name)
				if *update {
					f.Data = []byte(text)
				}
				if diff := cmp.Diff(string(f.Data), text); diff != "" {
					t.Errorf("%s (-want +got):\n%s", f.Name, diff)
				}
			}
			if !found {
				t.Error("nothing is wanted of it")
			}
			if *update {
				if err := os.WriteFile(filepath.Join(folder, c.Name+".txtar"), txtar.Format(c.Archive), 0o600); err != nil {
					t.Fatal(err)
				}
			}
		})
	}
}

// escaped are the bytes that a txtar file cannot show.
var escaped = regexp.MustCompile(`\\(r|t|ufeff|x[089a-f][0-9a-f])`)

// Part gives what stands under a name; nil when it is not there. In a part
// named NAME.escaped, \r, \t, \x0b, \xe9, \xff (below 10, above 7f) and \ufeff stand for those
// bytes, and \ at the end of the part for no line end.
func Part(a *txtar.Archive, name string) []byte {
	for _, f := range a.Files {
		switch f.Name {
		case name:
			return f.Data
		case name + ".escaped":
			text := strings.TrimSuffix(string(f.Data), "\\\n")
			return []byte(escaped.ReplaceAllStringFunc(text, func(e string) string {
				b, _ := strconv.Unquote(`"` + e + `"`) // which the pattern allows
				return b
			}))
		}
	}
	return nil
}
