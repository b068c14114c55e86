//go:build unix

package main

import (
	"fmt"
	"os"
)

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
