package process

import (
	"bytes"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"

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
