package script

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"scriptbridge/config"
	"scriptbridge/internal/fsx"
	"scriptbridge/script/process"
)

// missingError says that a path of the configuration leads to nothing.
type missingError struct {
	text, path string
	remedy     string // where nothing is known of the path
}

func (e *missingError) Error() string { return e.text }

func isMissing(err error) bool {
	return errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR)
}

// explainMissing adds to an error of resolveCommand about a program or a file that is missing
// where it may be instead; any other error stays as it is. It may read whole
// folders.
func (s *Script) explainMissing(err error) error {
	if missing := (*missingError)(nil); errors.As(err, &missing) {
		if hint := cmp.Or(config.MissingHint(missing.path), missing.remedy); hint != "" {
			err = fmt.Errorf("%w (%s)", err, hint)
		}
		return err
	}
	if errors.Is(err, fs.ErrPermission) && strings.HasSuffix(err.Error(), syscall.EACCES.Error()) {
		return fmt.Errorf("%w (the user that scriptbridge runs as must be able to read it, and to enter the folders that it is in)", err)
	}
	var notInPath *process.NotInPathError
	if !errors.As(err, &notInPath) && !isMissing(err) {
		return err
	}
	if syntax := s.shellSyntax(); syntax != "" {
		return fmt.Errorf("%w; %s", err, syntax)
	}
	if notInPath == nil {
		return fmt.Errorf("%w (%s)", err, s.missingHint())
	}
	here := filepath.Join(filepath.Dir(s.Pos.File), notInPath.Program)
	if info, errStat := os.Stat(here); s.Pos.File != "" && errStat == nil && info.Mode().IsRegular() {
		return fmt.Errorf("%w: write ./%s for the one in the folder of %s", err, notInPath.Program, filepath.Base(s.Pos.File))
	}
	return fmt.Errorf("%w: write its whole path, or install it%s", err, process.SimilarProgram(notInPath.Program, notInPath.Path))
}

// missingHint says what there is to do about a path of the command that leads
// to nothing.
func (s *Script) missingHint() string {
	folder := filepath.Dir(s.Pos.File)
	if abs, err := filepath.Abs(folder); err == nil {
		folder = abs
	}
	for _, path := range []string{s.Command[0], s.File} {
		if !filepath.IsAbs(path) {
			continue
		}
		if hint := config.MissingHint(path); hint != "" {
			return hint
		}
		if _, err := os.Lstat(path); err != nil && s.Pos.File != "" && strings.HasPrefix(path, folder+string(filepath.Separator)) {
			return "correct the path; a relative one starts from the folder of " + filepath.Base(s.Pos.File)
		}
	}
	return "correct the path"
}

// folderProblem says why a folder of discover cannot be looked into, or made.
func folderProblem(d *config.Discover, err error) error {
	e := &config.Error{Position: d.Pos, Thing: "discover"}
	problem, remedy := config.Unreadable(d.Directory, err)
	switch {
	case errors.Is(err, fs.ErrNotExist) && strings.ContainsAny(d.Directory, "*?["):
		e.Problem, e.Remedy = "there is no folder "+d.Directory, "it is no pattern: name the folder itself, whose scripts all run"
	case errors.Is(err, fsx.ErrNotFolder), isFile(d.Directory):
		e.Problem, e.Remedy = d.Directory+" is not a folder", "name the folder that it is in, or name it by command: under scripts"
	case errors.Is(err, fs.ErrNotExist):
		e.Problem, e.Remedy = "there is no folder "+d.Directory, cmp.Or(config.MissingHint(d.Directory), "correct directory:, or make the folder")
	default:
		e.Problem, e.Remedy = d.Directory+": "+problem, remedy
	}
	return e
}

// isFile says that something is there, and no folder. Windows has the same error for
// that and for a folder whose parent is missing.
func isFile(path string) bool {
	info, err := os.Stat(path)
	return err == nil && !info.IsDir()
}

// checkDirectory says why no script can run in a folder that the configuration
// names; "" is none.
func checkDirectory(dir string) error {
	if dir == "" {
		return nil
	}
	info, err := os.Stat(dir)
	switch {
	case isMissing(err):
		return &missingError{"working_directory: there is no folder " + dir, dir, "correct working_directory:, or make the folder"}
	case err == nil && !info.IsDir():
		return fmt.Errorf("working_directory: %s is not a folder (name the folder that it is in)", dir)
	}
	return nil // whoever the script runs as may see more
}
