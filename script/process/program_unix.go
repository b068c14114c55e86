//go:build unix

package process

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

// ResolveProgram finds args0, the first word of a command, in path, a list of
// folders as in PATH. A word with a slash is taken as it is. Relative folders
// are passed over: what they mean depends on the working directory.
func ResolveProgram(args0, path string) (string, error) {
	if strings.Contains(args0, "/") {
		return args0, nil
	}
	if path == "" {
		path = "/usr/local/bin:/usr/bin:/bin"
	}
	var unusable error
	for _, dir := range filepath.SplitList(path) {
		if !filepath.IsAbs(dir) {
			continue
		}
		file := filepath.Join(dir, args0)
		info, err := os.Stat(file)
		if err != nil || info.IsDir() {
			continue
		}
		if err := checkExecutable(file); err != nil {
			unusable = err
			continue
		}
		return file, nil
	}
	if unusable != nil {
		return "", unusable
	}
	return "", &NotInPathError{args0, path}
}

// CheckProgram says why file should not be run as runAs (nil: as ourselves):
// it is missing or a folder, it is started itself (direct) but not executable,
// or it would run as root though others may write it or replace it. With an
// interpreter in front of it, it need not be executable.
func CheckProgram(file string, runAs *Account, direct bool) error {
	info, err := os.Stat(file)
	if err != nil {
		return fmt.Errorf("%s: %w", file, Bare(err))
	}
	if info.IsDir() {
		return fmt.Errorf("%s is a folder: name a program in it", file)
	}
	if direct {
		if err := checkExecutable(file); err != nil {
			return err
		}
	}
	if runAs == nil && os.Geteuid() != 0 || runAs != nil && runAs.UID != 0 {
		return nil
	}
	mode := info.Mode()
	if mode&0o002 != 0 {
		return fmt.Errorf("%s is writable by everyone (mode %v) and would run as root: %s",
			file, mode, either(ChmodOwn("o-w", file), "give it a user"))
	}
	if gid := groupOf(info); mode&0o020 != 0 && gid != 0 {
		return fmt.Errorf("%s is writable by group %s (mode %v) and would run as root: %s",
			file, groupName(gid), mode, either(ChmodOwn("g-w", file), "give it a user"))
	}
	// A link and what it leads to can be replaced in either folder.
	folders := []string{filepath.Dir(file)}
	if real, err := filepath.EvalSymlinks(file); err == nil && real != file {
		folders = append(folders, filepath.Dir(real))
	}
	for _, dir := range folders {
		info, err := os.Stat(dir)
		if err != nil {
			return fmt.Errorf("%s: %w", dir, Bare(err))
		}
		if mode := info.Mode(); mode&0o002 != 0 && mode&fs.ModeSticky == 0 {
			return fmt.Errorf("%s would run as root but everyone may replace it, since its folder %s is writable by everyone (mode %v): move it to a folder that only root may write, or give it a user",
				file, dir, mode)
		}
	}
	return nil
}

// CheckFolder says why programs should not be looked for in dir when they run
// as runAs (nil: as ourselves): root would run what others put there. A folder
// that is not there has nothing in it.
func CheckFolder(dir string, runAs *Account) error {
	info, err := os.Stat(dir)
	if err != nil || runAs == nil && os.Geteuid() != 0 || runAs != nil && runAs.UID != 0 {
		return nil
	}
	who := ""
	switch gid := groupOf(info); {
	case info.Mode()&0o002 != 0:
		who = "everyone"
	case info.Mode()&0o020 != 0 && gid != 0:
		who = "group " + groupName(gid)
	default:
		return nil
	}
	return fmt.Errorf("%s is a folder where %s may put programs (mode %v), and they would run as root: keep them in a folder that only root may write, or give it a user",
		dir, who, info.Mode())
}

// checkExecutable says that nobody may execute file. Whether a certain user
// may is left to the kernel, which also knows access lists.
func checkExecutable(file string) error {
	info, err := os.Stat(file)
	if err != nil {
		return fmt.Errorf("%s: %w", file, Bare(err))
	}
	if info.Mode()&0o111 == 0 {
		return fmt.Errorf("%s is not executable (mode %v): %s",
			file, info.Mode(), either(ChmodOwn("+x", file), "put its interpreter in front of it in command"))
	}
	return nil
}

// groupOf gives the group that a file belongs to.
func groupOf(info fs.FileInfo) uint32 {
	stat, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return 0
	}
	return stat.Gid
}

func groupName(gid uint32) string {
	id := strconv.FormatUint(uint64(gid), 10)
	if g, err := user.LookupGroupId(id); err == nil {
		return g.Name
	}
	return id
}

// LookupAccount finds a user by name, or else by number.
func LookupAccount(name string) (*Account, error) {
	u, err := user.Lookup(name)
	if _, number := strconv.ParseUint(name, 10, 32); err != nil && number == nil {
		u, err = user.LookupId(name)
	}
	var unknownName user.UnknownUserError
	var unknownID user.UnknownUserIdError
	if errors.As(err, &unknownName) || errors.As(err, &unknownID) {
		return nil, fmt.Errorf("user %q is unknown on this machine: correct user:, or make the account", name)
	}
	if err != nil {
		return nil, fmt.Errorf("user %q: %w", name, err)
	}
	a := &Account{Name: u.Username, Home: u.HomeDir}
	gids, err := u.GroupIds()
	if err != nil {
		return nil, fmt.Errorf("groups of user %q: %w", name, err)
	}
	for _, gid := range gids {
		if n, err := strconv.ParseUint(gid, 10, 32); err == nil {
			a.Groups = append(a.Groups, uint32(n))
		}
	}
	uid, err := strconv.ParseUint(u.Uid, 10, 32)
	if err != nil {
		return nil, fmt.Errorf("user %q: uid: %w", name, err)
	}
	gid, err := strconv.ParseUint(u.Gid, 10, 32)
	if err != nil {
		return nil, fmt.Errorf("user %q: gid: %w", name, err)
	}
	a.UID, a.GID = uint32(uid), uint32(gid)
	return a, nil
}
