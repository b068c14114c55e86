package record

import (
	"fmt"
	"path/filepath"
	"slices"
	"time"
)

// File is one of those that a batch was read from.
type File struct {
	Path    string
	ModTime time.Time
	// Used says that it was read, whatever became of its lines; else it is left
	// out, and an error of the batch says why.
	Used bool
	// Line is the line of the source's output that its text begins at; 0 where
	// there is no text.
	Line int
}

// Files are those of one batch, in the order of their texts in the output. The
// zero value is those of a source that reads none.
type Files []File

// Find gives the name of the file that a line of the output is in, and which one
// it is there; "" and the line itself where it is in none.
func (f Files) Find(line int) (name string, own int) {
	own = line
	for i := range f {
		if begin := f[i].Line; begin > 0 && begin <= line {
			name, own = filepath.Base(f[i].Path), line-begin+1
		}
	}
	return name, own
}

// About gives the name of the file that an error is about as a whole; false where
// it is about no file, or about a line.
func (f Files) About(le *LineError) (name string, whole bool) {
	whole = le.Line == 0 && slices.ContainsFunc(f, func(one File) bool { return !one.Used && filepath.Base(one.Path) == le.Text })
	if !whole {
		return "", false
	}
	return le.Text, true
}

// Place names a line of the output for people.
func (f Files) Place(line int) string {
	name, own := f.Find(line)
	if name == "" {
		return fmt.Sprintf("line %d", own)
	}
	return fmt.Sprintf("%s, line %d", name, own)
}
