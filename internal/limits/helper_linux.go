package limits

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"runtime/debug"
	"strconv"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// Self leads to the file that this process runs, also when another one has
	// taken its place or when folders above it may not be entered.
	Self = "/proc/self/exe"
	// Name is all of the helper's argument list: what a script is called with is
	// never on it.
	Name = "scriptbridge: starts a script under limits"
	// descriptor is the helper's end of the socket. It is behind those that the
	// program may have.
	descriptor = 4
)

// answer is what the helper says: first what it has cost so far, or what went
// wrong; then, if it is still there, what else went wrong.
type answer struct {
	Usage Usage
	What  string // of Error; exec for the program itself
	Errno syscall.Errno
}

const (
	whatExec = "exec" // the caller knows what to do about it
	maxOrder = 32 << 20
)

// Called reports whether this process is to be the helper.
func Called(args []string) bool { return len(args) == 1 && args[0] == Name }

// Main is the helper. It returns only when it could not become what it was told;
// the error is what the bridge was not told, and nil when it was.
func Main() error {
	runtime.LockOSThread() // what becomes the program is one thread
	debug.SetGCPercent(-1) // its memory may be bounded before it ends
	syscall.CloseOnExec(descriptor)
	conn := os.NewFile(descriptor, "the bridge")
	if err := fromParent(); err != nil {
		return fmt.Errorf("only scriptbridge itself starts %q: %w", Name, err)
	}
	var p Program
	order := json.NewDecoder(io.LimitReader(conn, maxOrder))
	if err := order.Decode(&p); err != nil {
		return fmt.Errorf("what to start under limits: %w", err)
	}
	what, err := p.become(func() error {
		if err := json.NewEncoder(conn).Encode(answer{Usage: ownUsage()}); err != nil {
			return err
		}
		return order.Decode(new(struct{})) // the bridge has seen to the rest
	})
	a := answer{What: what}
	if !errors.As(err, &a.Errno) {
		a.Errno = syscall.EINVAL
	}
	return json.NewEncoder(conn).Encode(a)
}

// fromParent makes sure that it is the bridge that speaks: nobody is the helper
// because he was given its name.
func fromParent() error {
	peer, err := unix.GetsockoptUcred(descriptor, unix.SOL_SOCKET, unix.SO_PEERCRED)
	if err != nil {
		return err
	}
	if int(peer.Pid) != os.Getppid() {
		return errors.New("descriptor 4 is not a socket of the parent process")
	}
	return nil
}

// become sets what there is to set, the limits last, and starts the program in
// this process. ready says that the time for that has come. It tells what failed.
func (p *Program) become(ready func() error) (what string, err error) {
	if p.Umask != nil {
		unix.Umask(int(*p.Umask))
	}
	if p.Nice != 0 {
		if err := unix.Setpriority(unix.PRIO_PROCESS, 0, p.Nice); err != nil {
			return fmt.Sprintf("nice %d", p.Nice), err
		}
		niceSession(p.Nice)
	}
	if p.ID != nil {
		if err := p.ID.assume(); err != nil {
			return "user or group", err
		}
	}
	if p.Dir != "" {
		if err := syscall.Chdir(p.Dir); err != nil {
			return whatExec, err
		}
	}
	if p.NoNewPrivileges {
		if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
			return "no_new_privileges", err
		}
	}
	args, env := texts(p.Args), append(texts(p.Env), os.Environ()...)
	if err := ready(); err != nil {
		return "", err
	}
	if what, err := p.setLimits(); err != nil {
		return what, err
	}
	return whatExec, syscall.Exec(p.Path, args, env) //nolint:gosec // to start what it is told is all that this process is there for
}

// niceSession gives our session the niceness as well, where the kernel shares the
// processors between sessions first (sched_autogroup) and that of a process counts
// only within its own. Who is not root may ask for that ten times a second only.
func niceSession(nice int) {
	for range 20 {
		err := os.WriteFile("/proc/self/autogroup", strconv.AppendInt(nil, int64(nice), 10), 0)
		if !errors.Is(err, syscall.EAGAIN) {
			return // what cannot be set has no file, or is not ours
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// assume makes this process the account's.
func (id *ID) assume() error {
	if id.SetGroups {
		groups := make([]int, len(id.Groups))
		for i, g := range id.Groups {
			groups[i] = int(g)
		}
		if err := syscall.Setgroups(groups); err != nil {
			return err
		}
	}
	if err := syscall.Setgid(int(id.GID)); err != nil {
		return err
	}
	return syscall.Setuid(int(id.UID))
}

// setLimits sets the resource limits. None is ever raised above what we may have
// ourselves: they are the most that is allowed.
func (p *Program) setLimits() (what string, err error) {
	seconds := uint64((p.CPU + time.Second - 1) / time.Second)
	for _, l := range []struct {
		what       string
		resource   int
		soft, hard uint64
	}{
		{"cpu", unix.RLIMIT_CPU, seconds, seconds + 1},
		{"memory", unix.RLIMIT_DATA, uint64(p.Memory), uint64(p.Memory)},
		{"processes", unix.RLIMIT_NPROC, uint64(p.Processes), uint64(p.Processes)},
		{"files", unix.RLIMIT_NOFILE, uint64(p.Files), uint64(p.Files)},
	} {
		if l.soft == 0 {
			continue
		}
		var own syscall.Rlimit
		err := syscall.Getrlimit(l.resource, &own)
		if err == nil {
			own.Max = min(own.Max, l.hard)
			own.Cur = min(own.Max, l.soft)
			// With this one syscall.Exec also knows that the limit is not Go's own.
			err = syscall.Setrlimit(l.resource, &own)
		}
		if err != nil {
			return l.what, err
		}
	}
	return "", nil
}

// ownUsage is what this process has used, with memory for the little that it has yet
// to do.
func ownUsage() (u Usage) {
	const yet = 2 << 20
	var usage syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &usage) == nil {
		u = Usage{time.Duration(usage.Utime.Nano()), time.Duration(usage.Stime.Nano()), int64(usage.Maxrss)<<10 + yet}
	}
	return u
}

func texts(list [][]byte) []string {
	all := make([]string, len(list))
	for i, b := range list {
		all[i] = string(b)
	}
	return all
}

// OutOfTime reports whether a run that ended so, after all of its processes had used
// so much, has reached its limit. The kernel ends a process a little before that,
// since what the helper used counts for it; shells tell of a signal to what they
// waited for by 128 and its number.
func (s *Settings) OutOfTime(signal, exitCode int, used time.Duration) bool {
	const spent = int(syscall.SIGXCPU)
	return s.CPU > 0 && (used >= s.CPU || signal == spent || exitCode == 128+spent)
}

// Open makes the socket that a helper is spoken to by.
func Open() (ours, theirs *os.File, err error) {
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, nil, err
	}
	if err := unix.SetNonblock(fds[0], true); err != nil { // for its deadline
		unix.Close(fds[0])
		unix.Close(fds[1])
		return nil, nil, err
	}
	return os.NewFile(uintptr(fds[0]), "helper"), os.NewFile(uintptr(fds[1]), "bridge"), nil
}

// Become has a helper become the program, and returns when it has. When the helper
// is ready for that it calls ready, which sees to what is to hold for the program and
// not for the helper. A program that cannot be run is the error of the kernel alone,
// what cannot be set an *Error. Then somebody must end the helper and wait for it.
func Become(ours *os.File, p *Program, patience time.Duration, ready func() error) (Usage, error) {
	if err := ours.SetDeadline(time.Now().Add(patience)); err != nil {
		return Usage{}, &Error{Err: err}
	}
	to := json.NewEncoder(ours)
	if err := to.Encode(p); err != nil {
		return Usage{}, &Error{Err: fmt.Errorf("the helper that sets them could not be told: %w", err)}
	}
	from := json.NewDecoder(ours)
	var first, last answer
	if err := from.Decode(&first); err != nil {
		return Usage{}, &Error{Err: fmt.Errorf("the helper that sets them did not answer: %w", err)}
	}
	if first.What != "" {
		return Usage{}, first.err()
	}
	if err := ready(); err != nil {
		return Usage{}, err
	}
	if err := to.Encode(struct{}{}); err != nil {
		return Usage{}, &Error{Err: fmt.Errorf("the helper that sets them ended: %w", err)}
	}
	switch err := from.Decode(&last); {
	case errors.Is(err, io.EOF):
		return first.Usage, nil
	case err != nil:
		return Usage{}, &Error{Err: fmt.Errorf("the program was not started: %w", err)}
	}
	return Usage{}, last.err()
}

func (a *answer) err() error {
	if a.What == whatExec {
		return a.Errno
	}
	return &Error{What: a.What, Err: a.Errno}
}
