package main

import (
	"fmt"
	"io"
)

// check reads every file and what it names, and prints all that is wrong with
// the file and with the world.
func check(f *flags, stdout, stderr io.Writer) error {
	files := f.check.files
	if len(files) == 0 {
		files = []string{f.configFile}
	}
	failed := false
	for _, file := range files {
		w, err := load(file, false)
		if err != nil {
			fmt.Fprintln(stderr, err)
			failed = true
			continue
		}
		problems := w.problems
		for _, s := range w.scripts {
			if err := s.Check(); err != nil {
				problems = append(problems, fmt.Errorf("%s: script %q: %w", s.Pos, s.Name, err))
			}
		}
		for _, text := range w.cfg.Warnings {
			fmt.Fprintln(stderr, "warning:", text)
		}
		for _, err := range problems {
			fmt.Fprintln(stderr, err)
		}
		if len(problems) > 0 {
			failed = true
			continue
		}
		fmt.Fprintf(stdout, "%s: %s, no errors\n", file, count(len(w.scripts), "script"))
	}
	if failed {
		return errSaid
	}
	return nil
}

func count(n int, thing string) string {
	if n == 1 {
		return "1 " + thing
	}
	return fmt.Sprintf("%d %ss", n, thing)
}
