//go:build unix

package script

import (
	"fmt"
	"os"
	"os/user"
	"strconv"
	"syscall"
)

// checkOwner says why a script that is path, or is in the folder path, must not
// be run as runAs (nil: as ourselves) under the option permissions.
func checkOwner(path string, allowed permissions, runAs *account) error {
	info, err := os.Stat(path)
	if err != nil {
		return fmt.Errorf("%s: %w", path, bare(err))
	}
	stat, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return fmt.Errorf("%s: its owner cannot be seen here (options: {permissions: off})", path)
	}
	uid := uint32(os.Geteuid())
	if runAs != nil {
		uid = runAs.uid
	}
	mode := uint32(stat.Mode) & 0o7777
	foreign := stat.Uid != uid && (allowed == ownerOnly || stat.Uid != 0)
	switch {
	case foreign:
		return fmt.Errorf("%s belongs to %s, not to %s, who would run it: chown %[3]s %[1]s (and chmod 0700), or options: {permissions: off}",
			path, userName(stat.Uid), userName(uid))
	case allowed == ownerOnly && mode != 0o700:
		return fmt.Errorf("%s has mode %04o, not 0700: chmod 0700 %[1]s, or options: {permissions: %[3]s}", path, mode, notWritableByOthers)
	case allowed == notWritableByOthers && mode&0o022 != 0:
		return fmt.Errorf("%s has mode %04o, others may write it: chmod go-w %[1]s (or chmod 0700), or options: {permissions: %[3]s}", path, mode, permissionsOff)
	}
	return nil
}

func userName(uid uint32) string {
	id := strconv.FormatUint(uint64(uid), 10)
	if u, err := user.LookupId(id); err == nil {
		return u.Username
	}
	return id
}
