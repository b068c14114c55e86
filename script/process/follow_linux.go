package process

import (
	"context"
	"encoding/binary"
	"errors"
	"math"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"scriptbridge/internal/panics"
)

// A run is followed by one goroutine, in one place: it waits by poll(2) for whatever
// comes next, which is output, the end of the main process, a time, or a ring of the
// alarm. A goroutine for each of these costs more processor time than all else that
// is done for a run: each wakes threads that look for work. See BenchmarkLimitRun.

// outputs are our ends of standard output and error, which nobody else reads, and
// what interrupts who waits for them. None of the runtime's own poller is needed.
type outputs struct {
	fds   [2]int // -1: none
	alarm *alarm
}

func (s *streams) openOutputs() error {
	s.outputs.fds = [2]int{-1, -1}
	for i := range s.outputs.fds {
		var ends [2]int
		if err := unix.Pipe2(ends[:], unix.O_CLOEXEC); err != nil {
			return os.NewSyscallError("pipe2", err)
		}
		s.outputs.fds[i], s.theirs[i+1] = ends[0], os.NewFile(uintptr(ends[1]), "|1")
		if err := unix.SetNonblock(ends[0], true); err != nil { // whoever else may read it
			return os.NewSyscallError("fcntl", err)
		}
	}
	var err error
	if s.outputs.alarm, err = newAlarm(); err != nil {
		return err
	}
	s.messages.wake = s.outputs.alarm.ring
	return nil
}

func (s *streams) closeOutputs() {
	for i, fd := range s.outputs.fds {
		if fd >= 0 {
			unix.Close(fd)
			s.outputs.fds[i] = -1
		}
	}
	if s.outputs.alarm != nil {
		s.outputs.alarm.close()
	}
}

// watchTime is how often a run's cgroup is looked at for limits that the kernel does
// not hold.
const watchTime = 100 * time.Millisecond

// pumpOutputs has nothing to do: follow reads them.
func (s *streams) pumpOutputs(*sync.WaitGroup) (pumped bool) { return false }

// alarm is a descriptor that can be read after it has rung. It may be rung at any time.
type alarm struct {
	mu sync.Mutex
	fd int // -1: closed
}

func newAlarm() (*alarm, error) {
	fd, err := unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
	return &alarm{fd: fd}, os.NewSyscallError("eventfd2", err)
}

func (a *alarm) ring() {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.fd >= 0 {
		_, _ = unix.Write(a.fd, binary.NativeEndian.AppendUint64(nil, 1))
	}
}

func (a *alarm) close() {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.fd >= 0 {
		unix.Close(a.fd)
		a.fd = -1
	}
}

// What a follower waits for, by its place in polled.
const (
	polledStdout = iota
	polledStderr
	polledEnd
	polledAlarm
)

// follower follows one run.
type follower struct {
	c      *Command
	p      *process
	s      *streams
	polled [4]unix.PollFd // those that it no longer waits for have a negative Fd
	takes  [2]func([]byte)
	buf    []byte
	leave  func() bool // has the end of the context interrupt it no more

	end   time.Time   // when the main process had ended; zero: it has not
	ended atomic.Bool // it has, where the system has no descriptor that says so

	// peak is the largest resident size that was seen, lookPeak when to look again, after
	// pause, and lookLimits when to look at what no controller holds; zero: never.
	peak                 int64
	pause                time.Duration
	lookPeak, lookLimits time.Time
	limit                *stop // what that has found
}

// newFollower begins to follow a process that has started. ctx interrupts it.
func newFollower(ctx context.Context, c *Command, p *process, s *streams) *follower {
	f := &follower{c: c, p: p, s: s, takes: s.takes(), buf: make([]byte, 4<<10)} // enough for most scripts; more for those that fill it
	f.leave = context.AfterFunc(ctx, s.outputs.alarm.ring)
	for i, fd := range []int{s.outputs.fds[0], s.outputs.fds[1], p.pidfd, s.outputs.alarm.fd} {
		f.polled[i] = unix.PollFd{Fd: int32(fd), Events: unix.POLLIN}
	}
	if p.pidfd < 0 {
		go func() {
			p.wait()
			f.ended.Store(true)
			s.outputs.alarm.ring()
		}()
	}
	now := time.Now()
	if !p.group.CountsPeak() {
		f.pause = time.Millisecond
		f.lookPeak = now.Add(f.pause)
	}
	if p.group != nil && (c.Limits.CPU > 0 || p.tasks > 0) {
		f.lookLimits = now.Add(watchTime)
	}
	return f
}

// await waits until something has happened, but not past until (zero: for as long as
// that takes), and sees to it.
func (f *follower) await(until time.Time) {
	wake := sooner(until, sooner(f.lookPeak, f.lookLimits))
	if _, err := unix.Poll(f.polled[:], pollTime(wake)); err != nil {
		if !errors.Is(err, unix.EINTR) { // the kernel has no memory, at worst
			time.Sleep(watchTime)
		}
		return
	}
	for i := range f.takes {
		if f.polled[i].Revents != 0 {
			f.read(i)
		}
	}
	if f.polled[polledAlarm].Revents != 0 {
		_, _ = unix.Read(int(f.polled[polledAlarm].Fd), make([]byte, 8))
	}
	if f.end.IsZero() && (f.polled[polledEnd].Revents != 0 || f.ended.Load()) {
		f.end = time.Now()
		f.polled[polledEnd].Fd = -1
		f.lookPeak, f.lookLimits = time.Time{}, time.Time{}
	}
	f.look()
}

// pollTime is how long poll(2) is to wait, in its milliseconds: until a time, but not for
// longer than it can be told, since that would be for ever; -1, which is, where there is none.
func pollTime(wake time.Time) int {
	if wake.IsZero() {
		return -1
	}
	left := max(0, time.Until(wake)+time.Millisecond-1) / time.Millisecond
	return int(min(left, math.MaxInt32))
}

// close is for who follows no more.
func (f *follower) close() { f.leave() }

// sooner gives the earlier of two times, of which a zero one is never.
func sooner(a, b time.Time) time.Time {
	if b.IsZero() || !a.IsZero() && a.Before(b) {
		return a
	}
	return b
}

// read hands on what an output has to say. A fault of ours in a hook ends the run.
func (f *follower) read(i int) {
	n, err := unix.Read(int(f.polled[i].Fd), f.buf)
	if errors.Is(err, unix.EAGAIN) || errors.Is(err, unix.EINTR) {
		return
	}
	if n <= 0 {
		f.polled[i].Fd = -1
		return
	}
	fault := panics.Try(func() error {
		f.takes[i](f.buf[:n])
		return nil
	})
	if fault != nil {
		f.s.messages.fault(fault)
		f.polled[i].Fd = -1
	}
	if n == len(f.buf) && n < maxChunk {
		f.buf = make([]byte, maxChunk)
	}
}

// reading reports whether an output is not at its end.
func (f *follower) reading() bool {
	return f.polled[polledStdout].Fd >= 0 || f.polled[polledStderr].Fd >= 0
}

// look looks at what a running process uses, if it is time to: at its peak less and
// less often. The peak is what is known of a process that was smaller than the bridge
// (see finish).
func (f *follower) look() {
	if f.lookPeak.IsZero() && f.lookLimits.IsZero() {
		return
	}
	now := time.Now()
	if !f.lookPeak.IsZero() && !now.Before(f.lookPeak) {
		f.peak = max(f.peak, peakOf(f.p.pid))
		f.pause = min(2*f.pause, time.Second)
		f.lookPeak = now.Add(f.pause)
	}
	if !f.lookLimits.IsZero() && !now.Before(f.lookLimits) {
		f.limit = f.p.overLimit(&f.c.Limits)
		f.lookLimits = now.Add(watchTime)
	}
}

// awaitEnd waits for the end of the main process, but not for longer than limit (0:
// for as long as that takes) nor than ctx goes on, and reports whether it has come.
func (f *follower) awaitEnd(ctx context.Context, limit time.Duration) bool {
	until := after(limit)
	for f.end.IsZero() && ctx.Err() == nil && !passed(until) {
		f.await(until)
	}
	return !f.end.IsZero()
}

// after gives the time when a limit is over; zero where there is none.
func after(limit time.Duration) time.Time {
	if limit <= 0 {
		return time.Time{}
	}
	return time.Now().Add(limit)
}

func passed(t time.Time) bool { return !t.IsZero() && !time.Now().Before(t) }

// drain reads to the end of the outputs, which a descendant may hold open, but no
// longer than drainTime.
func (f *follower) drain() {
	until := f.end.Add(drainTime)
	for f.reading() && !passed(until) {
		f.await(until)
	}
	select {
	case <-f.s.idle:
	default:
		select {
		case <-f.s.idle:
		case <-time.After(time.Until(until)):
		}
	}
}

// run waits until the main process has ended, or may not go on: it then says why.
func (f *follower) run(ctx context.Context) *stop {
	expires := after(f.c.Timeout)
	for f.end.IsZero() {
		switch {
		case ctx.Err() != nil:
			return cutShort(ctx)
		case passed(expires):
			return expired(f.c)
		case f.s.stdout.over() || f.s.written.over():
			return tooMuch(f.c, f.s)
		case f.limit != nil:
			return f.limit
		}
		select {
		case <-f.s.messages.broken:
			return f.s.messages.stop()
		default:
			f.await(expires)
		}
	}
	return nil
}
