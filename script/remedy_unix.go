//go:build unix

package script

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// systemFolders hold what belongs to the system or to its packages.
var systemFolders = []string{
	"/bin", "/boot", "/dev", "/etc", "/lib", "/lib32", "/lib64", "/libx32", "/proc", "/run", "/sbin", "/sys", "/usr",
	"/Applications", "/Library", "/System",
}

// chmodOwn is a command that changes a script's file, safe to follow as it
// stands; empty where the file may be more than that script: where it is no
// regular file, or lies in one of the system's folders or in one in which
// programs are looked for. A link is followed. No remedy names a folder, since
// other things may lie in it.
func chmodOwn(mode, file string) string {
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
	return "chmod " + mode + " " + shellWord(real)
}

// shellWord spells a path so that a shell reads it as one word.
func shellWord(path string) string {
	plain := func(r rune) bool {
		return 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9' || strings.ContainsRune("/._-+,:@%=", r)
	}
	if path != "" && !strings.ContainsFunc(path, func(r rune) bool { return !plain(r) }) {
		return path
	}
	return "'" + strings.ReplaceAll(path, "'", `'\''`) + "'"
}

// either joins remedies, of which the empty ones are none.
func either(remedies ...string) string {
	remedies = slices.DeleteFunc(remedies, func(r string) bool { return r == "" })
	return strings.Join(remedies, ", or ")
}
