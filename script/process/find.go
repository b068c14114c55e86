package process

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"scriptbridge/config"
	"scriptbridge/internal/fsx"
	"scriptbridge/internal/trust"
)

// NotInPathError says that no folder of PATH has a program.
type NotInPathError struct{ Program, Path string }

func (e *NotInPathError) Error() string {
	return fmt.Sprintf("%s: not found in PATH (%s)", e.Program, e.Path)
}

// SimilarProgram names a program that may be meant by one that is missing: of the
// same name elsewhere, the next version of it, or one of a similar name.
func SimilarProgram(name, path string) string {
	base := filepath.Base(name)
	candidates := []string{base, strings.TrimRight(base, "0123456789."), strings.TrimRight(base, "0123456789.") + "3"}
	if like := config.Nearest(base, []string{"bash", "dash", "node", "perl", "php", "python", "python3", "ruby", "sh"}); like != "" {
		candidates = append(candidates, like, like+"3")
	}
	for _, candidate := range candidates {
		if candidate == "" {
			continue
		}
		if file, err := ResolveProgram(candidate, path); err == nil && filepath.IsAbs(file) && file != name {
			return fmt.Sprintf(" (%s is there)", file)
		}
	}
	return ""
}

// maxHead is how many bytes of a file are looked at.
const maxHead = 256 << 10

// Head is the beginning of a file; nil when it is not readable as text.
func Head(path string) []byte {
	f, err := fsx.Open(path)
	if err != nil {
		return nil
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxHead))
	if err != nil || bytes.IndexByte(text, 0) >= 0 {
		return nil
	}
	return text
}

// shells are the programs that read a file as sh does.
var shells = []string{"sh", "ash", "bash", "dash", "ksh", "zsh"}

// IsShell reports whether a program, by name or path, is a shell.
func IsShell(program string) bool { return slices.Contains(shells, filepath.Base(program)) }

// Guard says what may be run, as whom, and whose files root obeys.
type Guard struct {
	RunAs     *Account // nil: as ourselves
	Policy    trust.Policy
	Path, Dir string // where env looks for programs, and where they run
}

// CheckFolder says why programs should not be looked for in dir: root would run
// what others put there. A folder that is not there has nothing in it.
func (g *Guard) CheckFolder(dir string) error {
	e := g.fault(dir)
	if e == nil {
		return nil
	}
	return fmt.Errorf("%s is a folder where %s may put programs, and they would run as "+trust.Root+", since %s: keep them in a folder that only "+trust.Root+" may write%s, or list %s under global.trusted_paths",
		dir, e.Who, e.State(), orUser, e.Component)
}

// CheckObeyed says why the programs should not be told by a file, or by the files
// of a folder, what to do: root would do what others write there.
func (g *Guard) CheckObeyed(file string) error {
	e := g.fault(file)
	if e == nil {
		return nil
	}
	return fmt.Errorf("%s %s: %s%s, or list %s under global.trusted_paths", file, e.Obeyed(), e.Remedy(), strings.Replace(orUser, "it", "the script", 1), e.Component)
}

// fault says who else may change what root is to run or to obey.
func (g *Guard) fault(path string) *trust.Error {
	if !g.RunAs.isRoot() {
		return nil
	}
	return g.Policy.Fault(path)
}

// isRoot reports whether it is root, or has the rights of one: our own account, where
// there is none.
func (a *Account) isRoot() bool {
	if a != nil {
		return a.UID == 0
	}
	return trust.Privileged()
}

// file says why root should not run one file. That it cannot be looked at is for
// the start to say.
func (g *Guard) file(file string) error {
	e := g.fault(file)
	switch {
	case e == nil:
		return nil
	case !e.Own():
		return fmt.Errorf("%s would run as "+trust.Root+" but %s may replace it, since %s: move it to a folder that only "+trust.Root+" may write%s, or list %s under global.trusted_paths",
			file, e.Who, e.State(), orUser, e.Component)
	case e.Foreign:
		return fmt.Errorf("%s and would run as "+trust.Root+": %s", e.State(), lend(e))
	}
	return fmt.Errorf("%s and would run as "+trust.Root+": %s", e.State(), protect(e, file))
}

// notDir is what is wrong with a working directory that could not be looked at, or is
// none.
func notDir(err error) error {
	if err == nil {
		return syscall.ENOTDIR
	}
	return Bare(err)
}

// Bare gives the system's own word alone, without the operation and the path.
func Bare(err error) error {
	if errno := syscall.Errno(0); errors.As(err, &errno) {
		return errno
	}
	return err
}
