package main

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"scriptbridge/internal/fsx"
)

// TestStorageContents: what somebody has put into the folder, or can change there, is found
// before anything is used; nothing of what the bridge itself makes is.
func TestStorageContents(t *testing.T) {
	for _, c := range []struct {
		name string
		make func(t *testing.T, folder string) error
		want string // with FOLDER
	}{
		{"nothing", func(*testing.T, string) error { return nil }, ""},
		{"what the bridge itself makes", func(_ *testing.T, f string) error {
			s, err := openStorage(fsx.OS{}, f, nil)
			if err != nil {
				return err
			}
			defer s.close()
			_, err = s.bridgeName()
			return errors.Join(err, memoryOf(s, "a", 100).Save(nil))
		}, ""},
		{"two names within", func(_ *testing.T, f string) error {
			return errors.Join(os.WriteFile(f+`\x`, nil, 0o600), os.Link(f+`\x`, f+`\y`))
		}, ""},
		{"it may be written", func(t *testing.T, f string) error { letEveryone(t, f); return nil },
			"others may write it (Everyone): the folder must be for scriptbridge alone, and one that is missing is made so"},
		{"a file in it may be written", func(t *testing.T, f string) error {
			err := os.WriteFile(f+`\bridge`, nil, 0o600)
			letEveryone(t, f+`\bridge`)
			return err
		}, `FOLDER\bridge: others may write it (Everyone): see what it is, and let scriptbridge alone write it`},
		{"another name elsewhere", func(_ *testing.T, f string) error {
			return errors.Join(os.WriteFile(f+`\lock`, nil, 0o600), os.Link(f+`\lock`, f+".outside"))
		}, `FOLDER\lock has another name outside of the folder (it has 2 hard links): see what it is, and move it away`},
	} {
		t.Run(c.name, func(t *testing.T) {
			folder := filepath.Join(t.TempDir(), "state")
			if err := errors.Join(fsx.OS{}.Mkdir(folder, 0o700), c.make(t, folder)); err != nil {
				t.Fatal(err)
			}
			got := ""
			if s, err := openStorage(fsx.OS{}, folder, nil); err != nil {
				got = strings.TrimPrefix(err.Error(), "storage "+folder+": ")
			} else {
				s.close()
			}
			if want := strings.ReplaceAll(c.want, "FOLDER", folder); got != want {
				t.Errorf("got  %s\nwant %s", got, want)
			}
		})
	}
}

func TestLinked(t *testing.T) {
	for _, c := range []struct{ link, to, want string }{
		{`D:\a\link`, `C:\b`, `C:\b`},
		{`D:\a\link`, `\b`, `D:\b`},
		{`D:\a\link`, `..\b`, `D:\b`},
		{`\\host\share\a\link`, `\b`, `\\host\share\b`},
		{`D:\a\link`, `\\host\share\b`, `\\host\share\b`},
	} {
		if got := linked(c.link, c.to); got != c.want {
			t.Errorf("%s leads by %s to %s, want %s", c.link, c.to, got, c.want)
		}
	}
}
