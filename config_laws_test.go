package main

import (
	"go/scanner"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	dialects "scriptbridge/script/dialect/all"
)

// TestConfigKnowsNoDialect: nothing in config is about one dialect, so that a new
// one needs no edit there. A receiver and two uploads have the names of dialects:
// their sections are in two files of their own. Prometheus is also the program,
// of which comments and messages speak; a textfile is also what the bridge writes.
func TestConfigKnowsNoDialect(t *testing.T) {
	var names []string
	for _, d := range dialects.Dialects.Config() {
		switch d.Name {
		case "prometheus":
		case "textfile":
			names = append(names, "dialects?:? '?textfile")
		default:
			names = append(names, d.Name)
		}
	}
	name := regexp.MustCompile(`(?i)` + strings.Join(names, "|") + `|^"prometheus"$`)
	n := 0
	err := filepath.WalkDir("config", func(path string, d fs.DirEntry, err error) error {
		base := filepath.Base(path)
		if err != nil || filepath.Ext(path) != ".go" || strings.HasSuffix(path, "_test.go") || base == "receive.go" || base == "upload.go" {
			return err
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		n++
		files := token.NewFileSet()
		var s scanner.Scanner
		s.Init(files.AddFile(path, -1, len(text)), text, nil, scanner.ScanComments)
		for {
			at, tok, literal := s.Scan()
			if tok == token.EOF {
				return nil
			}
			if name.MatchString(literal) {
				t.Errorf("%s: %s", files.Position(at), literal)
			}
		}
	})
	if err != nil || n < 20 {
		t.Errorf("%d files, %v", n, err)
	}
}
