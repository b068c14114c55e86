package testkit

import (
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
)

// drive is one in front of a path.
var drive = regexp.MustCompile(`\b[A-Za-z]:([\\/])`)

// Slashed writes the paths in a text as Unix has them, without a drive, so that what is
// wanted can be written once for all systems. Elsewhere than on Windows it is the text
// itself.
func Slashed(text string) string {
	if runtime.GOOS != "windows" {
		return text
	}
	return strings.ReplaceAll(filepath.ToSlash(drive.ReplaceAllString(text, "$1")), "//", "/")
}
