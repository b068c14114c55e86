//go:build unix

package process

import (
	"os"
	"path/filepath"
	"slices"
	"strings"

	"scriptbridge/config/cmdline"
)

// systemFolders hold what belongs to the system or to its packages.
var systemFolders = []string{
	"/bin", "/boot", "/dev", "/etc", "/lib", "/lib32", "/lib64", "/libx32", "/proc", "/run", "/sbin", "/sys", "/usr",
	"/Applications", "/Library", "/System",
}

// ownPath spells, for a shell, the path of a script's file that a remedy may
// change, safe to follow as it stands; empty where the file may be more than
// that script: where it is no regular file, or lies in one of the system's
// folders or in one in which programs are looked for. A link is followed. No
// remedy names a folder, since other things may lie in it.
func ownPath(file string) string {
	real, err := filepath.EvalSymlinks(file)
	if err != nil {
		return ""
	}
	if info, err := os.Lstat(real); err != nil || !info.Mode().IsRegular() {
		return ""
	}
	for _, folder := range systemFolders {
		if strings.HasPrefix(real, folder+"/") {
			return ""
		}
	}
	if slices.Contains(filepath.SplitList(os.Getenv("PATH")), filepath.Dir(real)) {
		return ""
	}
	return cmdline.Quote(real)
}

// ChmodOwn is a command that changes the mode of a script's file; empty where
// none may.
func ChmodOwn(mode, file string) string {
	path := ownPath(file)
	if path == "" {
		return ""
	}
	return "chmod " + mode + " " + path
}

// either joins remedies, of which the empty ones are none.
func either(remedies ...string) string {
	remedies = slices.DeleteFunc(remedies, func(r string) bool { return r == "" })
	return strings.Join(remedies, ", or ")
}
