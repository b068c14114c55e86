//go:build unix

package process

import (
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"scriptbridge/config/cmdline"
	"scriptbridge/internal/trust"
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

// CheckProgram says why file should not be run: it is missing or a folder, it
// is started itself (direct) but not executable, or root would run it, or its
// interpreter, though others may write or replace it. With an interpreter in
// front of it, it need not be executable.
func (g *Guard) CheckProgram(file string, direct bool) error {
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
		return g.CheckTrust(file)
	}
	if g.RunAs == nil && syscall.Access(file, 4) == syscall.EACCES { // R_OK
		return fmt.Errorf("%s: %w", file, syscall.EACCES)
	}
	return g.file(file)
}

// CheckTrust says why root would not run a program that is started: somebody else
// could change it, or what interprets it.
func (g *Guard) CheckTrust(program string) error {
	if !g.RunAs.isRoot() {
		return nil
	}
	if err := g.file(program); err != nil {
		return err
	}
	return g.interpreters(program)
}

// Lookup gives the environment of a script as it is: nothing is looked for in the working folder
// here.
func (g *Guard) Lookup(env []string) []string { return env }

// Barred says what keeps an account from a file that it is to run, the file itself or
// a folder on the way, as far as their modes tell; "" for nothing.
func (a *Account) Barred(file string) string {
	whole, err := filepath.EvalSymlinks(file)
	if err != nil || !filepath.IsAbs(whole) || a.UID == 0 {
		return ""
	}
	barred, need := "", fs.FileMode(0o1)
	if shebangOf(whole).there { // its interpreter opens it
		need = 0o5
	}
	for at := whole; ; at, need = filepath.Dir(at), 0o1 {
		info, err := os.Stat(at)
		if err != nil {
			return ""
		}
		if info.Mode()&0o111 == 0 { // it is only read
			need = 0o4
		}
		if a.bits(info)&need != need {
			barred = fmt.Sprintf("%s (mode %s)", at, info.Mode())
		}
		if at == filepath.Dir(at) {
			return barred
		}
	}
}

// bits are the last three of a mode, as they are for the account.
func (a *Account) bits(info fs.FileInfo) fs.FileMode {
	stat, ok := info.Sys().(*syscall.Stat_t)
	switch {
	case !ok:
		return 0o7
	case stat.Uid == a.UID:
		return info.Mode() >> 6 & 0o7
	case stat.Gid == a.GID || slices.Contains(a.Groups, stat.Gid):
		return info.Mode() >> 3 & 0o7
	}
	return info.Mode() & 0o7
}

// interpreters looks at what the system starts for file, by its #! line or for
// want of one.
func (g *Guard) interpreters(file string) error {
	at := file
	for range interpreterDepth {
		text := firstBytes(at)
		head := shebangIn(text)
		next := []string{head.interpreter}
		switch {
		case !head.there || head.bom:
			if !isText(text) {
				return nil
			}
			next[0] = "/bin/sh"
		case filepath.Base(head.interpreter) == "env" && head.program() != "":
			if found, err := ResolveProgram(head.program(), g.Path); err == nil {
				next = append(next, found)
			}
		}
		for _, program := range next {
			if !filepath.IsAbs(program) {
				program = filepath.Join(g.Dir, program)
			}
			if err := g.file(program); err != nil {
				return fmt.Errorf("%s is run by %s: %w", file, program, err)
			}
			at = program
		}
	}
	return nil
}

// orUser goes on in a remedy where a script can have another account.
const orUser = ", give it a user"

// lend is the remedy for a program that is somebody else's. To give it to root would have
// root run what its owner wrote.
func lend(e *trust.Error) string {
	return fmt.Sprintf("let root have a copy of it in a folder of its own, or run it as its owner (user: %s)", e.Owner)
}

// protect is the remedy for a program that others may write.
func protect(_ *trust.Error, file string) string {
	return either(ChmodOwn("go-w", file), "give it a user")
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

// LookupAccount finds a user by name, or else by number.
func LookupAccount(name string) (*Account, error) {
	u, err := user.Lookup(name)
	if id, number := strconv.ParseUint(name, 10, 32); err != nil && number == nil && id <= math.MaxInt { // more the library cannot look up
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
	a := &Account{Name: u.Username, Home: u.HomeDir, Shell: shellOf(u.Username)}
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

// LookupGroup finds a group by name, or else by number.
func LookupGroup(name string) (uint32, error) {
	g, err := user.LookupGroup(name)
	if id, number := strconv.ParseUint(name, 10, 32); err != nil && number == nil && id <= math.MaxInt {
		g, err = user.LookupGroupId(name)
	}
	var unknownName user.UnknownGroupError
	var unknownID user.UnknownGroupIdError
	if errors.As(err, &unknownName) || errors.As(err, &unknownID) {
		return 0, fmt.Errorf("group %q is unknown on this machine: correct group:, or make the group", name)
	}
	if err != nil {
		return 0, fmt.Errorf("group %q: %w", name, err)
	}
	gid, err := strconv.ParseUint(g.Gid, 10, 32)
	if err != nil {
		return 0, fmt.Errorf("group %q: gid: %w", name, err)
	}
	return uint32(gid), nil
}

// shellOf gives the login shell of a user; that of most where it is not known, as
// for users that are in no file.
func shellOf(name string) string {
	passwd, _ := os.ReadFile("/etc/passwd")
	for line := range strings.Lines(string(passwd)) {
		fields := strings.Split(strings.TrimSuffix(line, "\n"), ":")
		if len(fields) == 7 && fields[0] == name && fields[6] != "" {
			return fields[6]
		}
	}
	return "/bin/sh"
}

// systemFolders hold what belongs to the system or to its packages.
var systemFolders = []string{
	"/bin", "/boot", "/dev", "/etc", "/lib", "/lib32", "/lib64", "/libx32", "/proc", "/run", "/sbin", "/sys", "/usr",
	"/Applications", "/Library", "/System",
}

// ownPath spells, for a shell, the path of a script's file that a remedy may
// change, safe to follow as it stands; empty where the file may be more than
// that script: where it is no regular file, or lies in one of the system's
// folders or in one in which programs are looked for. A link is followed. No
// remedy names a folder, since other things may lie in it.
func ownPath(file string) string {
	real, err := filepath.EvalSymlinks(file)
	if err != nil {
		return ""
	}
	if info, err := os.Lstat(real); err != nil || !info.Mode().IsRegular() {
		return ""
	}
	for _, folder := range systemFolders {
		if strings.HasPrefix(real, folder+"/") {
			return ""
		}
	}
	if slices.Contains(filepath.SplitList(os.Getenv("PATH")), filepath.Dir(real)) {
		return ""
	}
	return cmdline.Quote(real)
}

// ChmodOwn is a command that changes the mode of a script's file; empty where
// none may.
func ChmodOwn(mode, file string) string {
	path := ownPath(file)
	if path == "" {
		return ""
	}
	return "chmod " + mode + " " + path
}

// either joins remedies, of which the empty ones are none.
func either(remedies ...string) string {
	remedies = slices.DeleteFunc(remedies, func(r string) bool { return r == "" })
	return strings.Join(remedies, ", or ")
}
