package main

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"
)

// TestLogFileFollows: a file that follows its path can be renamed while it is open, and a
// second later lines go to the one that is there then; one that does not waits to be told.
func TestLogFileFollows(t *testing.T) {
	for _, follows := range []bool{true, false} {
		dir := t.TempDir()
		path := filepath.Join(dir, "events.log")
		synctest.Test(t, func(t *testing.T) {
			f := &logFile{path: path, follows: follows}
			write := func(line string) {
				t.Helper()
				if _, err := f.Write([]byte(line)); err != nil {
					t.Fatal(err)
				}
			}
			write("a ")
			time.Sleep(lookEvery)
			write("b ")
			if err := os.Rename(path, path+".1"); err != nil {
				t.Fatal(err)
			}
			write("c ") // within the second
			time.Sleep(lookEvery)
			write("d ")
			if err := os.WriteFile(path+".2", []byte("new "), 0o600); err != nil {
				t.Fatal(err)
			}
			if os.Rename(path+".2", path) != nil { // as Windows does with a file that is open
				if err := errors.Join(os.Rename(path, path+".0"), os.Rename(path+".2", path)); err != nil {
					t.Fatal(err)
				}
			}
			time.Sleep(lookEvery)
			write("e ")
			if err := f.Close(); err != nil {
				t.Fatal(err)
			}
		})
		want := map[string]string{path + ".1": "a b c ", path: "new e "}
		if !follows {
			want = map[string]string{path + ".1": "a b c d e ", path: "new "}
		}
		for name, text := range want {
			if got, err := os.ReadFile(name); err != nil || string(got) != text {
				t.Errorf("follows %v: %s has %q, %v, want %q", follows, filepath.Base(name), got, err, text)
			}
		}
	}
}
