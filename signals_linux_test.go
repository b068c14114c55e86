package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"scriptbridge/internal/fsx"
	"scriptbridge/internal/testkit"
)

// programRun is the program, run as people run it, with a mark on all that it
// starts.
type programRun struct {
	t    testing.TB
	cmd  *exec.Cmd
	dir  string
	out  testkit.Buffer
	done chan struct{} // closed when it has ended
}

func startProcess(t testing.TB, dir string, args ...string) *programRun {
	t.Helper()
	return startProgramIn(t, dir, "scriptbridge", args...)
}

// startProgramIn is startProcess where another program starts it.
func startProgramIn(t testing.TB, dir, program string, args ...string) *programRun {
	t.Helper()
	p := &programRun{t: t, cmd: exec.Command(program, args...), dir: dir, done: make(chan struct{})}
	p.cmd.Dir = dir
	p.cmd.Env = append(os.Environ(), "SCENARIO="+dir)
	p.cmd.Stdout, p.cmd.Stderr = &p.out, &p.out
	p.start()
	return p
}

func (p *programRun) start() {
	// A signal that we ignore, because who runs the tests does, as nohup and a
	// shell's background do, would be ignored by what is started as well.
	heard := make(chan os.Signal, 1)
	signal.Notify(heard, syscall.SIGHUP, syscall.SIGINT)
	err := p.cmd.Start()
	signal.Stop(heard)
	if err != nil {
		p.t.Fatal(err)
	}
	go func() {
		_ = p.cmd.Wait() // its state tells
		close(p.done)
	}()
	p.t.Cleanup(func() {
		_ = p.cmd.Process.Kill()
		<-p.done
		for _, line := range leftovers(p.dir, 0) { // so that a test that fails leaves nothing either
			var pid int
			if _, err := fmt.Sscan(line, &pid); err == nil {
				_ = unix.Kill(pid, unix.SIGKILL)
			}
		}
	})
}

func (p *programRun) signal(s syscall.Signal) { _ = p.cmd.Process.Signal(s) } // it may have ended

func (p *programRun) logs(text string) {
	p.t.Helper()
	p.await("the log to say "+text, func() bool { return strings.Contains(p.out.String(), text) })
}

// await polls, and gives up when the process has ended.
func (p *programRun) await(what string, ask func() bool) {
	p.t.Helper()
	testkit.Poll(p.t, what, func() bool {
		if ask() {
			return true
		}
		select {
		case <-p.done:
			p.t.Fatalf("it ended (%v) instead of %s:\n%s", p.cmd.ProcessState, what, p.out.String())
		default:
		}
		return false
	}, func() string { return "it has said:\n" + p.out.String() })
}

func (p *programRun) awaitFile(name string) {
	p.t.Helper()
	p.await("the file "+name, func() bool { return fileExists(filepath.Join(p.dir, name)) })
}

// ends waits for the end, which must be an exit with that code that leaves nothing
// behind.
func (p *programRun) ends(code int) {
	p.t.Helper()
	select {
	case <-p.done:
	case <-time.After(patience):
		p.t.Fatalf("it does not end:\n%s", p.out.String())
	}
	if got := p.cmd.ProcessState; got.ExitCode() != code {
		p.t.Errorf("it ended with %v, not with code %d:\n%s", got, code, p.out.String())
	}
	eventually(p.t, func() error {
		if left := leftovers(p.dir, 0); len(left) > 0 {
			return fmt.Errorf("left behind:\n%s", strings.Join(left, "\n"))
		}
		return nil
	})
}

// stubborn is a script that TERM does not end, with a child of another session
// whose environment is empty. It says in a file that both run.
const stubborn = "#!/bin/sh\ntrap '' TERM INT\nsetsid env -i /bin/sh -c 'trap \"\" TERM; : $0; while :; do sleep 0.1; done' \"$PWD\" &\n: >running\nwhile :; do sleep 0.1; done\n"

// stubbornFolder has such a script, and a configuration that runs it.
func stubbornFolder(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range map[string]string{
		"scriptbridge.yml": "scripts: [{command: ./stubborn.sh, dialect: nagios, timeout: 10m}]\n",
		"stubborn.sh":      stubborn,
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// storm sends a signal again and again, until the function that it gives is
// called.
func (p *programRun) storm(s syscall.Signal) (end func()) {
	stop, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		for {
			p.signal(s)
			select {
			case <-stop:
				return
			case <-p.done:
				return
			case <-time.After(3 * time.Millisecond):
			}
		}
	}()
	return func() {
		close(stop)
		<-done
	}
}

var serveArgs = []string{"--web.listen-address=127.0.0.1:0", "--storage.path=storage"}

// heldLock is a lock on the storage folder: a start waits for it, before it listens.
type heldLock struct {
	lock   *os.File
	opened int // an inotify descriptor: who may not look into the bridge sees so how far it has come
}

func held(t *testing.T, dir string) *heldLock {
	t.Helper()
	if err := os.MkdirAll(filepath.Join(dir, "storage"), 0o700); err != nil {
		t.Fatal(err)
	}
	name := filepath.Join(dir, "storage", "lock")
	lock, err := os.OpenFile(name, os.O_CREATE|os.O_RDWR, 0o600)
	if err == nil {
		err = fsx.Lock(lock)
	}
	if err != nil {
		t.Fatal(err)
	}
	opened, err := unix.InotifyInit1(unix.IN_CLOEXEC | unix.IN_NONBLOCK)
	if err == nil {
		_, err = unix.InotifyAddWatch(opened, name, unix.IN_OPEN)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(opened) })
	return &heldLock{lock, opened}
}

func (l *heldLock) release() { l.lock.Close() }

// awaitLock waits until a start has come as far as the lock.
func (p *programRun) awaitLock(l *heldLock) {
	p.t.Helper()
	p.await("the start to open the lock", func() bool {
		n, err := unix.Read(l.opened, make([]byte, unix.SizeofInotifyEvent+unix.NAME_MAX+1))
		return err == nil && n > 0
	})
}

// SIGHUP may come at any moment: before the port is open, while a reload is under
// way, a hundred times, after SIGTERM, and up to the very end. It reloads or does
// nothing, and never ends the program with a script left behind.
func TestHangupAtAnyMoment(t *testing.T) {
	dir := stubbornFolder(t)
	lock := held(t, dir)
	p := startProcess(t, dir, serveArgs...)
	p.awaitLock(lock)
	if strings.Contains(p.out.String(), "Listening on") {
		t.Fatal("the port is open already")
	}
	end := p.storm(syscall.SIGHUP)
	lock.release()
	p.logs("the configuration is in force")
	p.logs("the configuration was reloaded")
	p.awaitFile("running")
	p.signal(syscall.SIGTERM)
	p.logs("stopping")
	p.ends(0)
	end()
	if !strings.Contains(p.out.String(), "nothing is left running") {
		t.Errorf("it did not end well:\n%s", p.out.String())
	}
}

// SIGTERM and SIGINT may come before the port is open.
func TestTerminateAtStart(t *testing.T) {
	for _, s := range []syscall.Signal{syscall.SIGTERM, syscall.SIGINT} {
		t.Run(s.String(), func(t *testing.T) {
			dir := stubbornFolder(t)
			lock := held(t, dir)
			p := startProcess(t, dir, serveArgs...)
			p.awaitLock(lock)
			p.signal(s)
			lock.release()
			p.ends(0)
			if fileExists(filepath.Join(dir, "running")) {
				t.Error("a script ran")
			}
		})
	}
}

// A second SIGTERM or SIGINT does not wait for scripts to end by themselves, but
// leaves none behind either.
func TestSecondSignal(t *testing.T) {
	for _, c := range []struct {
		first, second syscall.Signal
		code          int
	}{
		{syscall.SIGTERM, syscall.SIGTERM, 143},
		{syscall.SIGINT, syscall.SIGINT, 130},
		{syscall.SIGTERM, syscall.SIGINT, 130},
	} {
		t.Run(fmt.Sprint(c.first, " and ", c.second), func(t *testing.T) {
			p := startProcess(t, stubbornFolder(t), serveArgs...)
			p.awaitFile("running")
			p.signal(c.first)
			p.logs("stopping")
			p.signal(c.second)
			p.ends(c.code)
		})
	}
	t.Run("try", func(t *testing.T) {
		p := startProcess(t, stubbornFolder(t), "try")
		p.awaitFile("running")
		p.signal(syscall.SIGTERM)
		testkit.Await(t, "a second signal to be the last one", func() bool {
			p.signal(syscall.SIGTERM)
			select {
			case <-p.done:
				return true
			default:
				return false
			}
		})
		p.ends(143)
	})
	t.Run("try, while it guesses", func(t *testing.T) {
		dir := stubbornFolder(t)
		p := startProcess(t, dir, "try", "--", "./stubborn.sh")
		p.awaitFile("running")
		end := p.storm(syscall.SIGTERM)
		p.ends(143)
		end()
	})
}

// Where there is nothing to reload, the end of the terminal, and of who reads the
// output, is the end of the program: it ends what it runs, and then itself.
func TestTerminalGoes(t *testing.T) {
	t.Run("try", func(t *testing.T) {
		p := startProcess(t, stubbornFolder(t), "try")
		p.awaitFile("running")
		p.signal(syscall.SIGHUP)
		p.ends(129)
	})
	t.Run("try, while it guesses", func(t *testing.T) {
		p := startProcess(t, stubbornFolder(t), "try", "--", "./stubborn.sh")
		p.awaitFile("running")
		p.signal(syscall.SIGHUP)
		p.ends(129)
		if text := p.out.String(); text != "" {
			t.Errorf("it printed:\n%s", text)
		}
	})
	monitor := func(t *testing.T, body string) string {
		t.Helper()
		if _, err := exec.LookPath("python3"); err != nil {
			t.Skip("python3 is missing")
		}
		dir := t.TempDir()
		for name, text := range map[string]string{
			"scriptbridge.yml": "scripts: [{dialect: scalyr, interval: 1s, options: {module: mon}}]\n",
			"mon.py": "import os, signal, time\nfrom scalyr_agent.scalyr_monitor import ScalyrMonitor\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\n" +
				"open('running', 'w').close()\n" + body,
		} {
			if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		return dir
	}
	t.Run("check", func(t *testing.T) {
		p := startProcess(t, monitor(t, "while True: time.sleep(0.1)\n"), "check")
		p.awaitFile("running")
		p.signal(syscall.SIGHUP)
		p.ends(129)
	})
	t.Run("reader", func(t *testing.T) {
		dir := monitor(t, "class Mon(ScalyrMonitor):\n    def gather_sample(self):\n        self._logger.emit_value('a', 1)\n")
		p := &programRun{t: t, cmd: exec.Command("scriptbridge", "try", "--interval=1s"), dir: dir, done: make(chan struct{})}
		p.cmd.Dir = dir
		p.cmd.Env = append(os.Environ(), "SCENARIO="+dir)
		read, write, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		p.cmd.Stdout, p.cmd.Stderr = write, &p.out
		p.start()
		write.Close()
		var first bytes.Buffer
		buf := make([]byte, 4096)
		for !strings.Contains(first.String(), "scalyr_a") {
			n, err := read.Read(buf)
			first.Write(buf[:n])
			if err != nil {
				t.Fatalf("%v after %s%s", err, &first, p.out.String())
			}
		}
		read.Close()
		p.ends(141)
	})
}

// leased has whoever opens a file wait, as for a disk that does not answer; what it
// gives tells whether somebody does.
func leased(t *testing.T, file string) (opened func() bool) {
	t.Helper()
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	if _, err := unix.FcntlInt(f.Fd(), unix.F_SETLEASE, unix.F_WRLCK); err != nil {
		t.Fatal(err)
	}
	return func() bool {
		kind, err := unix.FcntlInt(f.Fd(), unix.F_GETLEASE, 0)
		return err == nil && kind != unix.F_WRLCK
	}
}

// A signal cuts a command short: to a shell that is no success, whichever signal
// and command it is, and whatever the command waits for.
func TestSignalIsNoSuccess(t *testing.T) {
	for _, c := range []struct {
		name  string
		args  []string
		ready string // a file that tells that it waits
	}{
		{"try", []string{"try"}, "running"},
		{"try at an interval", []string{"try", "--interval=1h"}, "running"},
		{"try, while it guesses", []string{"try", "--", "./stubborn.sh"}, "running"},
		{"try, which reads a file", []string{"try", "--config.file=slow"}, ""},
		{"check, which reads a file", []string{"check", "slow"}, ""},
		{"push, which reads its input", []string{"push", "--api.app-id=a", "--api.token-file=token"}, ""},
	} {
		for _, s := range []syscall.Signal{syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP} {
			t.Run(c.name+" "+s.String(), func(t *testing.T) {
				dir := stubbornFolder(t)
				write(t, filepath.Join(dir, "token"), "open-sesame-open-sesame\n", 0o600)
				write(t, filepath.Join(dir, "slow"), "", 0o600)
				opened := leased(t, filepath.Join(dir, "slow"))
				p := &programRun{t: t, cmd: exec.Command("scriptbridge", c.args...), dir: dir, done: make(chan struct{})}
				p.cmd.Dir = dir
				p.cmd.Env = append(os.Environ(), "SCENARIO="+dir)
				p.cmd.Stdout, p.cmd.Stderr = &p.out, &p.out
				input, hold, err := os.Pipe()
				if err != nil {
					t.Fatal(err)
				}
				defer hold.Close()
				p.cmd.Stdin = input
				p.start()
				switch {
				case c.ready != "":
					p.awaitFile(c.ready)
				case strings.Contains(c.name, "file"):
					p.await("it to open the file", opened)
				default:
					if _, err := hold.WriteString("#"); err != nil {
						t.Fatal(err)
					}
					p.await("it to read", func() bool {
						n, err := unix.IoctlGetInt(int(input.Fd()), unix.TIOCINQ)
						return err == nil && n == 0
					})
				}
				input.Close()
				p.signal(s)
				p.ends(128 + int(s))
				if text := p.out.String(); text != "" {
					t.Errorf("it printed:\n%s", text)
				}
			})
		}
	}
}

// What is fatal ends the program at once, whatever it waits for: scripts are ended,
// and then the reason is told.
func TestFatal(t *testing.T) {
	var did []string
	s := &signals{second: make(chan os.Signal), broken: make(chan error, 1)}
	s.beforeEnd(func() { did = append(did, "scripts ended") })
	s.fatal(errors.New("the disk is beyond help"))
	s.fatal(errors.New("so it is")) // which keeps nobody
	var stderr bytes.Buffer
	if code := s.wait(make(chan int), &stderr); code != 1 || stderr.String() != "scriptbridge: the disk is beyond help\n" || len(did) != 1 {
		t.Errorf("code %d, %q, %q", code, &stderr, did)
	}
}

// A command that wrap runs gets every signal, and wrap does not go before it.
func TestWrapSecondSignal(t *testing.T) {
	dir := t.TempDir()
	text := "#!/bin/sh\nn=0\ntrap 'n=$((n+1)); : >term$n' TERM\n: >running\nwhile [ $n -lt 2 ]; do sleep 0.05; done\nexit 7\n"
	if err := os.WriteFile(filepath.Join(dir, "job.sh"), []byte(text), 0o700); err != nil {
		t.Fatal(err)
	}
	p := startProcess(t, dir, "wrap", "--category=c", "--message=m", "--api.url=http://127.0.0.1:1", "--api.app-id=a", "--api.token-file=none", "--api.timeout=1s", "--", "./job.sh")
	p.awaitFile("running")
	p.signal(syscall.SIGTERM)
	p.awaitFile("term1")
	p.signal(syscall.SIGTERM)
	p.ends(7)
	if !fileExists(filepath.Join(dir, "term2")) {
		t.Error("the command did not get the second signal")
	}
}
