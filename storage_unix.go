//go:build unix

package main

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// lockFile takes an exclusive lock that ends with the process; errLocked when
// another one has it.
func lockFile(f *os.File) error {
	err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
	if errors.Is(err, unix.EWOULDBLOCK) {
		return errLocked
	}
	return err
}

// checkPrivate says that others may write a folder.
func checkPrivate(folder string) error {
	info, err := os.Stat(folder)
	if err != nil {
		return err
	}
	if mode := info.Mode(); mode&0o022 != 0 {
		return fmt.Errorf("others may write it (mode %v): the folder must be for scriptbridge alone, and one that is missing is made so", mode)
	}
	return nil
}
