package winargs

import "strings"

// isSeparator reports whether a character separates folders.
func isSeparator(c byte) bool { return c == '\\' || c == '/' }

// drive is the length of a path's drive, as in C:; 0 for none.
func drive(path string) int {
	if len(path) >= 2 && path[1] == ':' && (path[0]|0x20 >= 'a' && path[0]|0x20 <= 'z') {
		return 2
	}
	return 0
}

// HasFolder reports whether a name says where it lies: it has a drive or a separator.
func HasFolder(name string) bool { return drive(name) > 0 || strings.ContainsAny(name, `\/`) }

// IsAbs reports whether a path means one file whatever the current folder and
// drive are.
func IsAbs(path string) bool {
	if n := drive(path); n > 0 {
		return len(path) > n && isSeparator(path[n])
	}
	return len(path) > 2 && isSeparator(path[0]) && isSeparator(path[1])
}

// DriveRelative is the drive of a path such as C:file, which begins in whatever the
// current folder of that drive is; empty for another path.
func DriveRelative(path string) string {
	n := drive(path)
	if len(path) > n && isSeparator(path[n]) {
		return ""
	}
	return path[:n]
}

// Volume is the drive or the server and share that a path begins with.
func Volume(path string) string {
	if n := drive(path); n > 0 {
		return path[:n]
	}
	if !IsAbs(path) {
		return ""
	}
	parts := 0
	for i := 2; i < len(path); i++ {
		if isSeparator(path[i]) {
			if parts++; parts == 2 {
				return path[:i]
			}
		}
	}
	return path
}

// Base is the last element of a path.
func Base(path string) string {
	path = strings.TrimRight(path, `\/`)
	return path[strings.LastIndexAny(path, `\/:`)+1:]
}

// Ext is the last extension of a path in small letters. Blanks and dots at the end
// are none of it: Windows takes no notice of them.
func Ext(path string) string {
	base := strings.TrimRight(Base(path), ". ")
	if i := strings.LastIndexByte(base, '.'); i >= 0 {
		return strings.ToLower(base[i:])
	}
	return ""
}

// devices are names that mean a device in each folder, with any extension.
var devices = []string{"CON", "PRN", "AUX", "NUL", "CONIN$", "CONOUT$"}

// IsReserved reports whether a name of a file means a device, or is not the name
// that the file gets: where it ends with a dot or a blank, or names a stream.
func IsReserved(name string) bool {
	if name != strings.TrimRight(name, ". ") || strings.ContainsAny(name, `:<>"|?*`) || control(name) || strings.ContainsRune(name, '\t') {
		return true
	}
	stem, _, _ := strings.Cut(name, ".")
	stem = strings.ToUpper(strings.TrimRight(stem, " "))
	for _, d := range devices {
		if stem == d {
			return true
		}
	}
	for _, kind := range []string{"COM", "LPT"} {
		if number, ok := strings.CutPrefix(stem, kind); ok && len([]rune(number)) == 1 && strings.Contains("0123456789¹²³", number) {
			return true
		}
	}
	return false
}
