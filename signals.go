package main

import (
	"context"
	"io"
	"os"
	"os/signal"
	"sync"
	"syscall"

	"scriptbridge/internal/errno"
	"scriptbridge/internal/winservice"
	"scriptbridge/script/process"
)

// signals are what the system tells the program. They are caught from the very
// beginning to the very end: a signal that nobody waits for would end the
// program at once, and scripts have sessions of their own, so that they would
// stay behind.
type signals struct {
	hangup chan os.Signal // SIGHUP, but under nohup
	ends   chan os.Signal // SIGINT, SIGTERM, and what end adds
	second chan os.Signal // the second one of ends
	broken chan error     // why the program must end at once
	ready  func()         // told, as often as it is so, that the program does its work; nil: nobody asks

	mu     sync.Mutex
	first  os.Signal // the first one of ends
	cuts   bool      // what it ends is cut short, and no success
	mute   bool      // ends are another's business
	urgent []func()  // what must be done before the program ends at once
}

type signalsKey struct{}

// catchSignals catches the program's signals. The context ends with the first
// one that asks for the end.
func catchSignals(ctx context.Context) (context.Context, *signals) {
	s := &signals{hangup: make(chan os.Signal, 1), ends: make(chan os.Signal, 8), second: make(chan os.Signal, 1), broken: make(chan error, 1)}
	if !signal.Ignored(syscall.SIGHUP) {
		signal.Notify(s.hangup, syscall.SIGHUP)
	}
	signal.Notify(s.ends, os.Interrupt, syscall.SIGTERM)
	// A reader that leaves ends nothing by itself: see end. To ignore the signal
	// would be inherited by every script; to catch it is not.
	signal.Notify(make(chan os.Signal, 1), syscall.SIGPIPE)
	ctx, cancel := context.WithCancel(context.WithValue(ctx, signalsKey{}, s))
	go func() {
		for got := range s.ends {
			switch {
			case s.muted():
			case ctx.Err() == nil:
				s.began(got)
				cancel()
			case got != syscall.SIGPIPE: // of which there is one for each line that is still written
				select {
				case s.second <- got:
				default:
				}
			}
		}
	}()
	return ctx, s
}

// began notes what has asked for the end.
func (s *signals) began(got os.Signal) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.first = got
}

// signalsOf gives the signals that ctx knows of; in a test, none.
func signalsOf(ctx context.Context) *signals {
	if s, ok := ctx.Value(signalsKey{}).(*signals); ok {
		return s
	}
	return &signals{hangup: make(chan os.Signal)}
}

// reload gives SIGHUP's, whose meaning is now to reload.
func (s *signals) reload() <-chan os.Signal {
	if s.ends != nil {
		signal.Notify(s.hangup, syscall.SIGHUP) // under nohup too
	}
	return s.hangup
}

// end has the end of the terminal, and of who reads what is written to the
// writer that it gives, end the program as SIGTERM does. (The signal SIGPIPE does
// not say which pipe it is about: it may be a script's.) What has not done its work
// by then has failed: see codeOf.
func (s *signals) end(w io.Writer) io.Writer {
	if s.ends == nil {
		return w
	}
	s.mu.Lock()
	s.cuts = true
	s.mu.Unlock()
	go func() { s.ends <- <-s.hangup }()
	return readOutput{w, s}
}

// readOutput is what the program writes to somebody whose leaving is its end.
type readOutput struct {
	io.Writer
	s *signals
}

func (o readOutput) Write(p []byte) (int, error) {
	n, err := o.Writer.Write(p)
	if errno.Is(err, syscall.EPIPE) {
		select {
		case o.s.ends <- syscall.SIGPIPE:
		default: // it has been said
		}
	}
	return n, err
}

// leave leaves the signals to a command that is run: script.Wrap hands them on.
func (s *signals) leave() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.mute = true
}

func (s *signals) muted() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.mute
}

// beforeEnd has f called before a second signal ends the program.
func (s *signals) beforeEnd(f func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.urgent = append(s.urgent, f)
}

// fatal ends the program at once, with the reason: nothing else ends what goes
// wrong.
func (s *signals) fatal(why error) {
	if s.broken == nil { // nobody listens
		panic(why)
	}
	select {
	case s.broken <- why:
	default: // it ends already
	}
}

// hurry does what must be done before the program ends at once.
func (s *signals) hurry() {
	s.mu.Lock()
	urgent := s.urgent
	s.mu.Unlock()
	var all sync.WaitGroup
	for _, f := range urgent {
		all.Go(f)
	}
	all.Wait()
}

// execute runs the whole program as its main function does, and gives its exit
// code.
func execute(args []string) int {
	process.DenyDebugging()
	if code, was := process.AsFirst(); was {
		return code
	}
	ctx, s := catchSignals(context.Background())
	stampVersion()
	if code, was := winservice.Run(s.asService(ctx, args)); was {
		return code
	}
	return s.carryOut(ctx, args, os.Stdout, os.Stderr)
}

// carryOut runs the program to its end, or to that of its patience.
func (s *signals) carryOut(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	code := make(chan int, 1)
	go func() { code <- s.codeOf(exitCode(run(ctx, args, stdout, stderr), stderr)) }()
	return s.wait(code, stderr)
}

// asService is the program as a service of Windows, to which the service control manager is
// what signals are elsewhere.
func (s *signals) asService(ctx context.Context, args []string) winservice.Program {
	send := func(to chan os.Signal, what os.Signal) {
		select {
		case to <- what:
		default: // it has been said
		}
	}
	return winservice.Program{
		Run: func(ready func(), log, events io.Writer) int {
			s.ready = ready
			return s.carryOut(ctx, args, events, log)
		},
		Stop:   func() { send(s.ends, syscall.SIGTERM) },
		Hurry:  func() { send(s.second, syscall.SIGTERM) },
		Reload: func() { send(s.hangup, syscall.SIGHUP) },
	}
}

// codeOf gives the exit code of a program that would end with code: where a signal
// cut it short, that is as a shell has it.
func (s *signals) codeOf(code int) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	if code == 0 || s.first == nil || !s.cuts {
		return code
	}
	return codeBySignal(s.first)
}

func codeBySignal(s os.Signal) int {
	number, _ := s.(syscall.Signal)
	return 128 + int(number)
}

// wait gives the program's exit code when it has come to its end, or must. After a
// second signal that asks for the end, and after what is fatal, that is within
// seconds, whatever the program waits for: nothing that scripts started is left,
// and that is all.
func (s *signals) wait(code <-chan int, stderr io.Writer) int {
	select {
	case c := <-code:
		return c
	case got := <-s.second:
		s.hurry()
		return codeBySignal(got)
	case why := <-s.broken:
		s.hurry()
		return exitCode(why, stderr)
	}
}
