package textfile

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"scriptbridge/internal/fsx"
	"scriptbridge/internal/trust"
)

const (
	// maxFiles is how many files of a folder are read: those that are first by name.
	maxFiles = 1000
	// attempts is how often a file is read that changes meanwhile.
	attempts = 3
)

// file is what was found of one.
type file struct {
	name, path string
	modTime    time.Time
	size       int64
	text       []byte
	refused    *refusal // why it is left out; nil where text is all of it
}

// refusal is why a file is left out: a word to count by, and a sentence.
type refusal struct {
	reason string
	err    error
}

// folder is one that is read once. Others may write in it, and so decide what
// there is at a name.
type folder struct {
	path     string
	maxBytes int64        // of all files together
	policy   trust.Policy // who may have made links
}

// names gives the names of the files to read, sorted, and at most one more than
// maxFiles. Not read, as by node_exporter, is what does not end in .prom; nor are
// hidden files, which are temporary ones.
func names(ctx context.Context, path string) (found []string, err error) {
	dir, err := os.OpenFile(path, fsx.ReadOnly(), 0)
	if err != nil {
		return nil, err
	}
	defer dir.Close()
	for err == nil {
		var some []string
		some, err = dir.Readdirnames(1024)
		for _, name := range some {
			if strings.HasSuffix(name, ".prom") && name[0] != '.' {
				found = append(found, name)
			}
		}
		if len(found) > 4*maxFiles || err != nil {
			slices.Sort(found)
			found = found[:min(len(found), maxFiles+1)]
		}
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
	}
	if !errors.Is(err, io.EOF) {
		return nil, err
	}
	return found, nil
}

// gone is the reason of what is not there any more, which is not told.
const gone = "gone"

// read reads all files. The smallest are read first, so that one that is too large
// for what all may have together costs itself alone.
func (f *folder) read(ctx context.Context) ([]file, error) {
	all, err := names(ctx, f.path)
	if err != nil {
		return nil, err
	}
	in, err := fsx.OS{}.Within(f.path)
	if err != nil {
		return nil, err
	}
	defer in.Close()
	var files []file
	for i, name := range all {
		one := file{name: name, path: filepath.Join(f.path, name)}
		info, err := in.Lstat(one.path)
		switch {
		case errors.Is(err, fs.ErrNotExist): // it has gone since
			continue
		case i == maxFiles:
			one.refused = &refusal{"too_many_files", fmt.Errorf("the folder has more than %d files; this one and those behind it are left out", maxFiles)}
		case err != nil:
			one.refused = &refusal{"unreadable", reasonOf(err)}
		}
		if err == nil {
			one.modTime, one.size = info.ModTime(), info.Size()
		}
		files = append(files, one)
	}
	bySize := make([]*file, len(files))
	for i := range files {
		bySize[i] = &files[i]
	}
	slices.SortStableFunc(bySize, func(a, b *file) int { return cmp.Compare(a.size, b.size) })
	left := f.maxBytes
	for _, one := range bySize {
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		if one.refused == nil {
			f.readFile(in, one, left)
			left -= int64(len(one.text))
		}
	}
	return slices.DeleteFunc(files, func(one file) bool { return one.refused != nil && one.refused.reason == gone }), nil
}

// readFile reads one file, of most bytes. One that is written to meanwhile is read
// again.
func (f *folder) readFile(in fsx.Folder, one *file, most int64) {
	for range attempts {
		var settled bool
		settled, one.refused = f.attempt(in, one, most)
		if settled || one.refused != nil {
			return
		}
		one.text = nil
	}
	one.refused = &refusal{"changing", errors.New("it is written to while it is read (write under another name, and rename the file when it is whole)")}
}

// attempt reads one file as it is now; settled says that it did not change
// meanwhile.
func (f *folder) attempt(in fsx.Folder, one *file, most int64) (settled bool, r *refusal) {
	opened, r := f.open(in, one)
	if r != nil || opened == nil {
		return false, r
	}
	defer opened.Close()
	before, err := opened.Stat()
	if err != nil {
		return false, &refusal{"unreadable", reasonOf(err)}
	}
	one.modTime, one.size = before.ModTime(), before.Size()
	if r := f.otherNames(opened); r != nil {
		return false, r
	}
	tooLarge := &refusal{"too_large", fmt.Errorf("its %d bytes are more than what max_output leaves, which is for all files of the folder together", one.size)}
	if one.size > most {
		return false, tooLarge
	}
	text, err := io.ReadAll(io.LimitReader(opened, most+1))
	if err != nil {
		return false, &refusal{"unreadable", reasonOf(err)}
	}
	after, err := opened.Stat()
	switch {
	case err != nil:
		return false, &refusal{"unreadable", reasonOf(err)}
	case int64(len(text)) > most:
		return false, tooLarge
	}
	one.text = text
	return before.Size() == after.Size() && before.ModTime().Equal(after.ModTime()), nil
}

// open opens what is at a name, if that is a regular file; nil where another one has
// just taken its place.
func (f *folder) open(in fsx.Folder, one *file) (*os.File, *refusal) {
	opened, err := in.OpenFile(one.path, fsx.ReadOnly(), 0)
	switch {
	case err == nil:
		return opened, nil
	case errors.Is(err, fsx.ErrLink):
		return f.follow(one.path)
	case errors.Is(err, fsx.ErrExchanged):
		return nil, nil
	case errors.Is(err, fs.ErrNotExist):
		return nil, &refusal{gone, reasonOf(err)}
	case errors.Is(err, syscall.EAGAIN):
		// To wait for it would let whoever has it keep all other files from being read.
		return nil, &refusal{"unreadable", errors.New("another program has a lease of it; it is tried again at the next turn")}
	case errors.Is(err, fsx.ErrFolder), errors.Is(err, fsx.ErrIrregular):
		return nil, &refusal{"not_a_file", reasonOf(err)}
	}
	return nil, &refusal{"unreadable", reasonOf(err)}
}

// follow opens what a link leads to, where nobody but who is trusted can make it
// lead elsewhere, and where everybody may read it: what the bridge may read is not
// what those may read who can write in the folder.
func (f *folder) follow(path string) (*os.File, *refusal) {
	if e := f.policy.Fault(path); e != nil {
		return nil, &refusal{"link", fmt.Errorf("is a symbolic link, which is not followed since %s may change where it leads: %s (let the file itself be there)", e.Who, e.State())}
	}
	opened, err := fsx.Open(path)
	switch {
	case err == nil && !readableByAll(opened):
		_ = opened.Close() // nothing was written
		return nil, &refusal{"link", errors.New("is a symbolic link to a file that not everybody may read (let the file itself be there)")}
	case err == nil:
		return opened, nil
	case errors.Is(err, fs.ErrNotExist):
		return nil, &refusal{"link", errors.New("is a symbolic link that leads to no file")}
	case errors.Is(err, fsx.ErrFolder), errors.Is(err, fsx.ErrIrregular):
		return nil, &refusal{"not_a_file", reasonOf(err)}
	}
	return nil, &refusal{"unreadable", reasonOf(err)}
}

func readableByAll(opened *os.File) bool {
	info, err := opened.Stat()
	if err != nil {
		return false
	}
	_, all := trust.Exposed(opened.Name(), info)
	return all
}

// otherNames refuses a file that has other names too, where others may write in
// the folder: one of them may have given it this name.
func (f *folder) otherNames(opened *os.File) *refusal {
	names, err := fsx.Links(opened)
	switch {
	case err != nil:
		return &refusal{"unreadable", reasonOf(err)}
	case names < 2:
		return nil
	}
	if e := f.policy.Fault(f.path); e != nil {
		return &refusal{"link", fmt.Errorf("has other names too (hard links), and %s may have given it this one: %s (let a copy of it be there)", e.Who, e.State())}
	}
	return nil
}
