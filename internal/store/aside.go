package store

import (
	"errors"
	"fmt"
	"io/fs"

	"scriptbridge/internal/fsx"
)

// mostAside bounds the damaged files that are kept: each may be as large as the
// file ever was.
const mostAside = 10

// AsideName is the name that a damaged file gets: PATH.damaged, or PATH.damaged.1
// to .9 where that is taken. None is ever overwritten.
func AsideName(disk fsx.FS, path string) (string, error) {
	first := path + ".damaged"
	for i := range mostAside {
		name := first
		if i > 0 {
			name = fmt.Sprintf("%s.%d", first, i)
		}
		if _, err := disk.Lstat(name); err != nil {
			if errors.Is(err, fs.ErrNotExist) {
				err = nil
			}
			return name, err
		}
	}
	return "", fmt.Errorf("%s and %d others are there already: look at them, and remove them", first, mostAside-1)
}
