package script

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"scriptbridge/config"
)

// notInPathError says that no folder of PATH has a program.
type notInPathError struct{ program, path string }

func (e *notInPathError) Error() string {
	return fmt.Sprintf("%s: not found in PATH (%s)", e.program, e.path)
}

// lost adds to an error about a program or a file that is missing where it may
// be instead; any other error stays as it is.
func (s *Script) lost(err error) error {
	var notInPath *notInPathError
	if missing := errors.As(err, &notInPath); !missing && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if syntax := s.shellSyntax(); syntax != "" {
		return fmt.Errorf("%w; %s", err, syntax)
	}
	if notInPath == nil {
		for _, path := range []string{s.Command[0], s.File} {
			if hint := missingHint(path); hint != "" {
				return fmt.Errorf("%w (%s)", err, hint)
			}
		}
		return err
	}
	here := filepath.Join(filepath.Dir(s.Pos.File), notInPath.program)
	if info, errStat := os.Stat(here); s.Pos.File != "" && errStat == nil && info.Mode().IsRegular() {
		return fmt.Errorf("%w: write ./%s for the one in the folder of %s", err, notInPath.program, filepath.Base(s.Pos.File))
	}
	return fmt.Errorf("%w: write its whole path, or install it%s", err, likeProgram(notInPath.program, notInPath.path))
}

// missingHint says which folder of a path is missing, or which file in the last
// one has a similar name; "" where path is there or nothing can be said.
func missingHint(path string) string {
	if !filepath.IsAbs(path) {
		return ""
	}
	if _, err := os.Lstat(path); !errors.Is(err, fs.ErrNotExist) {
		return ""
	}
	dir := filepath.Dir(path)
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		for missing := dir; ; missing = dir {
			if dir = filepath.Dir(missing); dir == missing {
				return ""
			}
			if _, err := os.Stat(dir); !errors.Is(err, fs.ErrNotExist) {
				return "there is no folder " + missing
			}
		}
	}
	names := make([]string, len(entries))
	for i, e := range entries {
		names[i] = e.Name()
	}
	if like := config.Nearest(filepath.Base(path), names); like != "" {
		return "did you mean " + filepath.Join(dir, like) + "?"
	}
	return ""
}

// likeProgram names a program that may be meant by one that is missing: of the
// same name elsewhere, the next version of it, or one of a similar name.
func likeProgram(name, path string) string {
	base := filepath.Base(name)
	candidates := []string{base, strings.TrimRight(base, "0123456789."), strings.TrimRight(base, "0123456789.") + "3"}
	if like := config.Nearest(base, []string{"bash", "dash", "node", "perl", "php", "python", "python3", "ruby", "sh"}); like != "" {
		candidates = append(candidates, like, like+"3")
	}
	for _, candidate := range candidates {
		if candidate == "" {
			continue
		}
		if file, err := resolveProgram(candidate, path); err == nil && filepath.IsAbs(file) && file != name {
			return fmt.Sprintf(" (%s is there)", file)
		}
	}
	return ""
}
