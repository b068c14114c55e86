package dialecttest

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

// Pairs holds every testdata/*.txtar against what the parser makes of
// it: each of its parts that are named in wants, of which it has one at least,
// is compared with what got gives for the archive and that name.
func Pairs(t *testing.T, got func(t *testing.T, a *txtar.Archive, want string) string, wants ...string) {
	for _, path := range Cases(t) {
		t.Run(strings.TrimSuffix(filepath.Base(path), ".txtar"), func(t *testing.T) {
			a, err := txtar.ParseFile(path)
			if err != nil {
				t.Fatal(err)
			}
			found := false
			for i := range a.Files {
				f := &a.Files[i]
				if !slices.Contains(wants, f.Name) {
					continue
				}
				found = true
				text := got(t, a, f.Name)
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
				if err := os.WriteFile(path, txtar.Format(a), 0o644); err != nil {
					t.Fatal(err)
				}
			}
		})
	}
}

// Cases are the paths of a package's txtar files.
func Cases(t testing.TB) []string {
	t.Helper()
	paths, err := filepath.Glob("testdata/*.txtar")
	if err != nil || len(paths) == 0 {
		t.Fatalf("no cases: %v", err)
	}
	return paths
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
