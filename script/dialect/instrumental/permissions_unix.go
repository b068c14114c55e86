//go:build unix

package instrumental

import (
	"cmp"
	"fmt"
	"os"
	"path/filepath"
	"syscall"

	"scriptbridge/internal/trust"
	"scriptbridge/script/process"
)

// checkOwner says why a script must not be run as runAs (nil: as ourselves)
// under the option permissions, and what to do: its folder, or its file, belongs
// to somebody else or has another mode. Nothing is asked to change the folder,
// in which others' files may lie, nor whom something belongs to.
func checkOwner(file string, allowed permissions, runAs *process.Account) (remedy string, fault error) {
	uid := uint32(os.Geteuid())
	if runAs != nil {
		uid = runAs.UID
	}
	const aside = "move the script to a folder of its own with mode 0700"
	if remedy, fault = checkMode(filepath.Dir(file), allowed, uid, aside); fault != nil {
		return remedy, fmt.Errorf("its folder %w", fault)
	}
	mode := "0700"
	if allowed == notWritableByOthers {
		mode = "go-w"
	}
	return checkMode(file, allowed, uid, cmp.Or(process.ChmodOwn(mode, file), aside))
}

// checkMode says why path must be neither a script nor its folder under the
// option permissions; other is what to do about a mode.
func checkMode(path string, allowed permissions, uid uint32, other string) (remedy string, fault error) {
	info, err := os.Stat(path)
	if err != nil {
		return "see that it is there", fmt.Errorf("%s: %w", path, process.Bare(err))
	}
	stat, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return "options: {permissions: off}", fmt.Errorf("%s: its owner cannot be seen here", path)
	}
	mode := uint32(stat.Mode) & 0o7777
	foreign := stat.Uid != uid && (allowed == ownerOnly || stat.Uid != 0)
	switch owner := trust.UserName(stat.Uid); {
	case foreign:
		remedy = fmt.Sprintf("let %s have a copy of the script in a folder of its own with mode 0700", trust.UserName(uid))
		if stat.Uid != 0 && os.Geteuid() == 0 {
			remedy += ", or run it as its owner (user: " + owner + ")"
		}
		return remedy, fmt.Errorf("%s belongs to %s, not to %s, who would run it", path, owner, trust.UserName(uid))
	case allowed == ownerOnly && mode != 0o700:
		return other, fmt.Errorf("%s has mode %04o, not 0700", path, mode)
	case allowed == notWritableByOthers && mode&0o022 != 0:
		return other, fmt.Errorf("%s has mode %04o, others may write it", path, mode)
	}
	return "", nil
}
