package main

import (
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"scriptbridge/internal/fsx"
)

// bridgeName is what this bridge is called in what it uploads. It is that of
// the folder, so that what is under way at a restart is still known for its
// own; and of the host, so that a machine made as the copy of another is not
// taken for that one.
func (s *storage) bridgeName() (string, error) {
	path := filepath.Join(s.folder, "bridge")
	secret, err := readBridge(s.disk, path)
	if err != nil {
		return "", err
	}
	host, err := os.Hostname()
	if err != nil {
		return "", err
	}
	hash := sha256.Sum256([]byte(secret + " " + host))
	return fmt.Sprintf("%x", hash[:10]), nil
}

// readBridge reads the folder's part of the name; what is no such file is
// written anew.
func readBridge(disk fsx.FS, path string) (string, error) {
	f, err := disk.OpenFile(path, os.O_RDONLY, 0)
	switch {
	case err == nil:
		defer func() { _ = f.Close() }() // it is only read
		text, err := io.ReadAll(io.LimitReader(f, 100))
		if err != nil {
			return "", err
		}
		if secret := strings.TrimSuffix(string(text), "\n"); len(secret) == len(rand.Text()) {
			return secret, nil
		}
	case !errors.Is(err, os.ErrNotExist):
		return "", err
	}
	secret := rand.Text()
	return secret, fsx.WriteFile(disk, path, []byte(secret+"\n"))
}
