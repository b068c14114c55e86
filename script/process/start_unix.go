//go:build unix

package process

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
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
	if errors.Is(err, syscall.ENOEXEC) && isText(path) {
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

func (l *Launcher) startAs(c *Command, path string, args []string, f files) (*process, error) {
	cmd := newCmd(c, path, args, f)
	// A session of its own is a process group too, one that no process of
	// another run can join, and it has no terminal to ask for passwords.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Credential: c.credential()}
	if c.Limits != (limits.Settings{}) {
		return l.startUnder(c, cmd)
	}
	return given(l.reaper.start, cmd, c.Keep)
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

// startUnder starts cmd by way of the helper that sets its limits. As root the
// helper takes the account only when it has set what only root may.
func (l *Launcher) startUnder(c *Command, cmd *exec.Cmd) (*process, error) {
	ours, theirs, err := limits.Open()
	if err != nil {
		return nil, &limits.Error{Err: err}
	}
	defer ours.Close()
	defer theirs.Close()
	program := &limits.Program{Path: cmd.Path, Dir: cmd.Dir, Settings: c.Limits, Args: limits.Bytes(cmd.Args)}
	program.Env = limits.Bytes(slices.DeleteFunc(cmd.Environ(), func(v string) bool { return nameOf(v) == runMark }))
	if id := cmd.SysProcAttr.Credential; id != nil && os.Geteuid() == 0 {
		program.ID = &limits.ID{UID: id.Uid, GID: id.Gid, Groups: id.Groups, SetGroups: !id.NoSetGroups}
		cmd.SysProcAttr.Credential = nil
	}
	cmd.Path, cmd.Args, cmd.Dir, cmd.Env = limits.Self, []string{limits.Name}, "", []string{}
	third := (*os.File)(nil)
	if len(cmd.ExtraFiles) > 0 {
		third = cmd.ExtraFiles[0]
	}
	cmd.ExtraFiles = []*os.File{third, theirs}
	p, err := given(l.reaper.start, cmd, c.Keep)
	if cmd.SysProcAttr.Credential != nil && errors.Is(err, syscall.EPERM) { // of switching users
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
	err = p.hold(&program.Settings, c.Account.isRoot())
	if err == nil {
		p.helper, err = limits.Become(ours, program, helperTime, p.enter)
	}
	if err != nil {
		p.kill()
		p.wait()
		p.finish(true)
		return nil, err
	}
	return p, nil
}

func notDir(err error) error {
	if err == nil {
		return syscall.ENOTDIR
	}
	return Bare(err)
}

// Bare gives the kernel's own word alone, without the operation and the path.
func Bare(err error) error {
	if errno := syscall.Errno(0); errors.As(err, &errno) {
		return errno
	}
	return err
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

// firstBytes gives the beginning of a file, or nothing.
func firstBytes(path string) []byte {
	if info, err := os.Stat(path); err != nil || !info.Mode().IsRegular() {
		return nil
	}
	// As fsx.Open does, but of any size: a pipe that has taken its place would be
	// waited for.
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil
	}
	defer f.Close()
	if info, err := f.Stat(); err != nil || !info.Mode().IsRegular() {
		return nil
	}
	buf := make([]byte, 256)
	n, _ := f.Read(buf)
	return buf[:n]
}

// isText tells a script for the shell from a program for another machine, as
// shells do: no NUL in its first line.
func isText(path string) bool {
	line, _, _ := bytes.Cut(firstBytes(path), []byte{'\n'})
	return !bytes.Contains(line, []byte{0})
}

// terminate asks the process group to end. A stopped process can only follow
// when it is continued.
func (p *process) terminate() {
	syscall.Kill(-p.cmd.Process.Pid, syscall.SIGTERM)
	syscall.Kill(-p.cmd.Process.Pid, syscall.SIGCONT)
}

// killProcesses ends the process group. The kernel sees to it that no fork of a
// member escapes.
func (p *process) killProcesses() { syscall.Kill(-p.cmd.Process.Pid, syscall.SIGKILL) }

// maxRSS gives the largest resident size in bytes; 0 when it is unknown. Go
// starts a child in its own memory (vfork), and Linux then accounts this
// process's peak to the child, as that of a helper: below these, nothing can be known.
func maxRSS(state *os.ProcessState, helper int64) int64 {
	usage, ok := state.SysUsage().(*syscall.Rusage)
	if !ok {
		return 0
	}
	if runtime.GOOS != "linux" {
		if runtime.GOOS == "darwin" || runtime.GOOS == "ios" {
			return int64(usage.Maxrss) // bytes there
		}
		return int64(usage.Maxrss) << 10
	}
	var own syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &own) != nil || int64(usage.Maxrss) <= max(int64(own.Maxrss), helper>>10) {
		return 0
	}
	return int64(usage.Maxrss) << 10
}
