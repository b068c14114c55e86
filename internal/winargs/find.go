package winargs

import "strings"

// defaultExtensions are those of programs where PATHEXT names none.
const defaultExtensions = ".COM;.EXE;.BAT;.CMD"

// Find looks for a program: at its place where the name has a folder, else in the
// folders of path, of which those that are no whole path are left out, since such a
// one begins in whatever the current folder is. pathext are the extensions that a
// name may lack. isFile reports whether there is such a file. The answer is empty where
// none is found.
func Find(name, path, pathext string, isFile func(file string) bool) string {
	if name == "" || IsReserved(Base(name)) {
		return ""
	}
	if HasFolder(name) {
		if !IsAbs(name) {
			return ""
		}
		return withExtension(name, pathext, isFile)
	}
	for _, folder := range Folders(path) {
		if file := withExtension(strings.TrimRight(folder, `\/`)+`\`+name, pathext, isFile); file != "" {
			return file
		}
	}
	return ""
}

// Folders are those of the variable PATH in which programs are looked for.
func Folders(path string) (folders []string) {
	for folder := range strings.SplitSeq(path, ";") {
		if folder = strings.Trim(strings.TrimSpace(folder), `"`); IsAbs(folder) {
			folders = append(folders, folder)
		}
	}
	return folders
}

// withExtension is the file of that name, or with one of the extensions behind it.
func withExtension(name, pathext string, isFile func(string) bool) string {
	if Ext(name) != "" && isFile(name) {
		return name
	}
	if strings.Trim(pathext, "; ") == "" {
		pathext = defaultExtensions
	}
	for ext := range strings.SplitSeq(strings.ToLower(pathext), ";") {
		if ext = strings.TrimSpace(ext); len(ext) > 1 && ext[0] == '.' && isFile(name+ext) {
			return name + ext
		}
	}
	return ""
}
