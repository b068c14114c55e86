package main

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// The ten-minute walk leads to functions that are there, in the files that it names.
func TestDocsWalk(t *testing.T) {
	_, walk, _ := strings.Cut(read(t, "docs/architecture.md"), "\n## A ten-minute walk\n")
	walk, _, _ = strings.Cut(walk, "\n## ")
	steps := regexp.MustCompile(`(?m)^\d+\. .*$`).FindAllString(walk, -1)
	if len(steps) < 40 {
		t.Fatalf("the walk has %d steps", len(steps))
	}
	for _, step := range steps {
		file, functions := "", 0
		for _, m := range regexp.MustCompile("`([^`]+)`").FindAllStringSubmatch(step, -1) {
			switch word := m[1]; {
			case strings.HasSuffix(word, ".go"):
				file = word
			case file == "":
				t.Errorf("no file is named before %s in: %s", word, step)
			case regexp.MustCompile(`^[A-Za-z]+$`).MatchString(word) && functionsOf(t, file)[word]:
				functions++
			case regexp.MustCompile(`^[A-Za-z]+$`).MatchString(word) && functions == 0:
				t.Errorf("%s has no function %s: %s", file, word, step)
			}
		}
		if functions == 0 {
			t.Errorf("this step names no function: %s", step)
		}
	}
}

func functionsOf(t *testing.T, file string) map[string]bool {
	t.Helper()
	f, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	names := make(map[string]bool)
	for _, d := range f.Decls {
		if fn, ok := d.(*ast.FuncDecl); ok {
			names[fn.Name.Name] = true
		}
	}
	return names
}

// The tree leaves out no package, and what the pages for contributors name is there.
func TestDocsTree(t *testing.T) {
	_, tree, _ := strings.Cut(read(t, "docs/architecture.md"), "\n## The tree\n")
	tree, _, _ = strings.Cut(tree, "\nWho may import whom")
	for _, folder := range packages(t) {
		named := regexp.MustCompile("`(?:[a-z/]+/)?" + regexp.QuoteMeta(path.Base(folder)) + "/?`")
		if folder != "." && !named.MatchString(tree) {
			t.Errorf("the tree leaves out %s", folder)
		}
	}
	for _, page := range []string{"docs/architecture.md", "CONTRIBUTING.md"} {
		for _, m := range regexp.MustCompile("`([a-z0-9_]+)(/[a-z0-9_/.]+)`").FindAllStringSubmatch(read(t, page), -1) {
			// Other first words are of Go's own packages, or of a folder that a row is about.
			if fileExists(m[1]) && m[1] != "testdata" && !fileExists(m[1]+m[2]) {
				t.Errorf("%s names %s, which is not there", page, m[1]+m[2])
			}
		}
	}
}

// packages are the folders with Go files that are no tests.
func packages(t *testing.T) (folders []string) {
	t.Helper()
	err := filepath.WalkDir(".", func(file string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && file != "." && (strings.HasPrefix(d.Name(), ".") || d.Name() == "testdata"):
			return fs.SkipDir
		case strings.HasSuffix(file, ".go") && !strings.HasSuffix(file, "_test.go") && !slices.Contains(folders, path.Dir(file)):
			folders = append(folders, path.Dir(file))
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return folders
}
