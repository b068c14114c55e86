package script

import (
	"bytes"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"

	"scriptbridge/config"
	"scriptbridge/internal/fsx"
)

// notInPathError says that no folder of PATH has a program.
type notInPathError struct{ program, path string }

func (e *notInPathError) Error() string {
	return fmt.Sprintf("%s: not found in PATH (%s)", e.program, e.path)
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

// maxHead is how many bytes of a file are looked at.
const maxHead = 256 << 10

// headOf is the beginning of a file; nil when it is not readable as text.
func headOf(path string) []byte {
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

func isShell(program string) bool { return slices.Contains(shells, filepath.Base(program)) }
