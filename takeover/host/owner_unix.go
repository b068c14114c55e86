//go:build unix

package host

import (
	"io/fs"
	"syscall"
)

// ownerOf gives the user to whom a file belongs.
func ownerOf(info fs.FileInfo) (uint32, bool) {
	stat, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return 0, false
	}
	return stat.Uid, true
}
