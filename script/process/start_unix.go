//go:build unix

package process

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"sync"
	"syscall"
	"time"

	"scriptbridge/internal/limits"
)

// start starts c. A program that the kernel does not know how to run, such as
// a script without a #! line, is given to /bin/sh, as the vendors' agents did
// and os/exec does not. The error is a sentence.
func (l *Launcher) start(c *Command, f files) (*process, error) {
	path, err := ResolveProgram(c.Args[0], LastEnv(c.Env, "PATH"))
	if err != nil {
		return nil, fmt.Errorf("cannot be started: %w", err)
	}
	// Looked at beforehand, for clear words, and because a start holds up all
	// other starts: one that waits for a dead file server should wait here.
	if c.Dir != "" {
		if info, err := os.Stat(c.Dir); err != nil || !info.IsDir() {
			return nil, fmt.Errorf("cannot be started: working directory %s: %w", c.Dir, notDir(err))
		}
		if !filepath.IsAbs(path) {
			path = filepath.Join(c.Dir, path)
		}
	}
	if _, err := os.Stat(path); err != nil {
		return nil, fmt.Errorf("cannot be started: %s: %w", path, Bare(err))
	}
	p, err := l.startAs(c, path, c.Args, f)
	// Busy is a program that is being written, by a deployment for example.
	for tries := 0; errors.Is(err, syscall.ETXTBSY) && tries < 50; tries++ {
		time.Sleep(10 * time.Millisecond)
		p, err = l.startAs(c, path, c.Args, f)
	}
	if errors.Is(err, syscall.ENOEXEC) && isText(firstBytes(path)) {
		p, err = l.startAs(c, "/bin/sh", append([]string{"/bin/sh", path}, c.Args[1:]...), f)
	}
	if limit := (*limits.Error)(nil); errors.As(err, &limit) {
		return nil, limit
	}
	if err != nil {
		return nil, explain(err, c, path)
	}
	return p, nil
}

// program is what is started: a file, what it is called with, and what it is given.
type program struct {
	path string
	args []string
	attr os.ProcAttr
}

// mark puts a run's mark into the environment, where it stands once.
func (p *program) mark(value string) {
	p.attr.Env = append(withoutMark(p.attr.Env), runMark+"="+value)
}

func withoutMark(env []string) []string {
	return slices.DeleteFunc(slices.Clone(env), func(v string) bool { return nameOf(v) == runMark })
}

func (l *Launcher) startAs(c *Command, path string, args []string, f files) (*process, error) {
	given := f[:]
	if f[3] == nil {
		given = f[:3]
	}
	// A session of its own is a process group too, one that no process of
	// another run can join, and it has no terminal to ask for passwords.
	p := &program{path, args, os.ProcAttr{Dir: c.Dir, Env: c.Env, Files: given, Sys: &syscall.SysProcAttr{Setsid: true, Credential: c.credential()}}}
	if c.Limits != (limits.Settings{}) {
		return l.startUnder(c, p)
	}
	return l.reaper.startWithOurs(p, c.Keep)
}

// maskLock is held while this process's own umask is not its own, as limitLock is.
var maskLock sync.Mutex

// startWithOurs starts a process with nothing of ours but what it is to have. The umask
// belongs to the whole process: for a moment our own files might be made with that
// of scripts, so those that others must not read say so themselves.
func (r *reaper) startWithOurs(p *program, keep bool) (*process, error) {
	runtime.LockOSThread() // which the child takes its capabilities from
	defer runtime.UnlockOSThread()
	dropInheritable()
	maskLock.Lock()
	defer maskLock.Unlock()
	defer syscall.Umask(syscall.Umask(0o022))
	return r.start(p, keep)
}

// keepDescriptors has no process inherit what this one was given beside its
// standard input, output and error. What we open ourselves is never inherited.
func keepDescriptors() {
	entries, _ := os.ReadDir("/dev/fd")
	for _, e := range entries {
		if fd, err := strconv.Atoi(e.Name()); err == nil && fd > 2 {
			syscall.CloseOnExec(fd)
		}
	}
}

// credential is whom the kernel is to run c as; nil: as ourselves. Who is that user
// already need not switch, and unless root cannot.
func (c *Command) credential() *syscall.Credential {
	own := &syscall.Credential{Uid: uint32(os.Geteuid()), Gid: uint32(os.Getegid()), NoSetGroups: true}
	as := *own
	if a := c.Account; a != nil && (os.Geteuid() == 0 || own.Uid != a.UID) {
		as = syscall.Credential{Uid: a.UID, Gid: a.GID, Groups: a.Groups}
	}
	if c.Group != nil {
		as.Gid = *c.Group
	}
	if as.NoSetGroups && as.Gid == own.Gid {
		return nil
	}
	return &as
}

// helperTime is how long our own program may take to become another one.
const helperTime = 30 * time.Second

// startUnder starts a program by way of the helper that sets its limits. As root the
// helper takes the account only when it has set what only root may.
func (l *Launcher) startUnder(c *Command, become *program) (*process, error) {
	ours, theirs, err := limits.Open()
	if err != nil {
		return nil, &limits.Error{Err: err}
	}
	defer ours.Close()
	defer theirs.Close()
	told := &limits.Program{Path: become.path, Dir: c.Dir, Settings: c.Limits, Args: limits.Bytes(become.args), Env: limits.Bytes(withoutMark(c.Env))}
	sys := become.attr.Sys
	switchesUser := sys.Credential != nil
	if id := sys.Credential; id != nil && os.Geteuid() == 0 {
		told.ID = &limits.ID{UID: id.Uid, GID: id.Gid, Groups: id.Groups, SetGroups: !id.NoSetGroups}
		sys.Credential, switchesUser = nil, false
	}
	given := append(slices.Clone(become.attr.Files), nil)[:4] // the fourth may be none
	helper := &program{limits.Self, []string{limits.Name}, os.ProcAttr{Files: append(given, theirs), Sys: sys}}
	p, err := l.reaper.startWithOurs(helper, c.Keep)
	if switchesUser && errors.Is(err, syscall.EPERM) {
		return nil, err
	}
	if err != nil {
		err = fmt.Errorf("the bridge's own program cannot be started: %w", Bare(err))
		if c.Account != nil && errors.Is(err, syscall.EACCES) {
			err = fmt.Errorf("%w (user %s may not execute it)", err, c.Account.Name)
		}
		return nil, &limits.Error{Err: err}
	}
	theirs.Close()
	err = p.hold(&told.Settings, c.Account.isRoot())
	if err == nil {
		p.helper, err = limits.Become(ours, told, helperTime, p.enter)
	}
	if err != nil {
		p.kill()
		p.wait()
		p.finish(true)
		return nil, err
	}
	return p, nil
}

// explain puts into words why path could not be started.
func explain(err error, c *Command, path string) error {
	err = Bare(err)
	if c.Account != nil && os.Geteuid() != 0 && errors.Is(err, syscall.EPERM) {
		return fmt.Errorf("cannot be started as user %s: %w (only root may switch users: "+
			"run scriptbridge as root, or leave out user)", c.Account.Name, err)
	}
	if c.Group != nil && os.Geteuid() != 0 && errors.Is(err, syscall.EPERM) {
		return fmt.Errorf("cannot be started with another group: %w (only root may switch groups: "+
			"run scriptbridge as root, or leave out group)", err)
	}
	known := checkExecutable(path)
	if known == nil {
		known = checkInterpreter(path, LastEnv(c.Env, "PATH"), c.Dir)
	}
	hint := ""
	switch {
	case known != nil:
		return fmt.Errorf("cannot be started: %w", known)
	case errors.Is(err, syscall.ENOENT):
		hint = " (the program loader that it needs may be missing)"
	case errors.Is(err, syscall.EACCES):
		hint = " (it, its #! interpreter or the working directory cannot be reached by the user it runs as, or the file system is mounted noexec)"
	case errors.Is(err, syscall.ENOEXEC):
		hint = " (it is not a program for this machine)"
	}
	return fmt.Errorf("cannot be started: %s: %w%s", path, err, hint)
}

// firstBytes gives the beginning of a file, or nothing. It is asked for each run, so
// that it does without os.File.
func firstBytes(path string) []byte {
	regular := func(stat *syscall.Stat_t) bool { return uint32(stat.Mode)&syscall.S_IFMT == syscall.S_IFREG }
	var stat syscall.Stat_t
	if uninterrupted(func() error { return syscall.Stat(path, &stat) }) != nil || !regular(&stat) {
		return nil
	}
	// As fsx.Open does, but of any size: a pipe that has taken its place would be
	// waited for.
	var fd, n int
	err := uninterrupted(func() (err error) {
		fd, err = syscall.Open(path, syscall.O_RDONLY|syscall.O_NONBLOCK|syscall.O_CLOEXEC, 0)
		return err
	})
	if err != nil {
		return nil
	}
	defer syscall.Close(fd)
	if uninterrupted(func() error { return syscall.Fstat(fd, &stat) }) != nil || !regular(&stat) {
		return nil
	}
	buf := make([]byte, 256)
	err = uninterrupted(func() (err error) {
		n, err = syscall.Read(fd, buf)
		return err
	})
	if err != nil {
		return nil
	}
	return buf[:n]
}

// uninterrupted calls the kernel until no signal has come in between, as os does.
func uninterrupted(call func() error) error {
	for {
		if err := call(); !errors.Is(err, syscall.EINTR) {
			return err
		}
	}
}

// isText tells a script for the shell from a program for another machine by its
// beginning, as shells do: no NUL in its first line.
func isText(text []byte) bool {
	line, _, _ := bytes.Cut(text, []byte{'\n'})
	return !bytes.Contains(line, []byte{0})
}

// terminate asks the process group to end. A stopped process can only follow
// when it is continued.
func (p *process) terminate() {
	syscall.Kill(-p.pid, syscall.SIGTERM)
	syscall.Kill(-p.pid, syscall.SIGCONT)
}

// killProcesses ends the process group. The kernel sees to it that no fork of a
// member escapes.
func (p *process) killProcesses() { syscall.Kill(-p.pid, syscall.SIGKILL) }
