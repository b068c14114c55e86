// Package trusttest lets tests run as root what lies in the checkout, wherever
// somebody has put that.
package trusttest

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"scriptbridge/internal/trust"
)

// Enter sees that root may run the examples and the testdata of the checkout. Where
// others may change its folder, or one above it, the working directory becomes the
// same one in a copy, until leave is called. root is the checkout's, from the
// working directory.
func Enter(root string) (leave func(), err error) {
	here, err := os.Getwd()
	if err != nil {
		return nil, err
	}
	from := filepath.Join(here, root)
	if !trust.Privileged() || (trust.Policy{}).Fault(filepath.Join(from, "examples")) == nil {
		return func() {}, nil
	}
	to, err := os.MkdirTemp("", "checkout")
	if err != nil {
		return nil, err
	}
	sub, err := filepath.Rel(from, here)
	if err = errors.Join(err, copyTree(from, to)); err == nil {
		err = os.Chdir(filepath.Join(to, sub))
	}
	return func() {
		_ = os.Chdir(here) // and the copy is of no use any more
		_ = os.RemoveAll(to)
	}, err
}

// copyTree copies what is in no hidden folder, such as git's.
func copyTree(from, to string) error {
	tree := os.DirFS(from)
	return fs.WalkDir(tree, ".", func(name string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case entry.IsDir() && name != "." && strings.HasPrefix(entry.Name(), "."):
			return fs.SkipDir
		case entry.IsDir():
			return os.MkdirAll(filepath.Join(to, name), 0o755)
		case !entry.Type().IsRegular():
			return nil
		}
		info, err := entry.Info()
		if err != nil {
			return err
		}
		text, err := fs.ReadFile(tree, name)
		if err != nil {
			return err
		}
		return os.WriteFile(filepath.Join(to, name), text, info.Mode().Perm()&^0o022)
	})
}
