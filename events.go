package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/go-kit/log"
	"github.com/go-kit/log/level"
	"github.com/prometheus/client_golang/prometheus"

	"scriptbridge/cli"
	"scriptbridge/config"
	"scriptbridge/internal/fsx"
	"scriptbridge/internal/loglimit"
	"scriptbridge/internal/lossy"
	"scriptbridge/internal/winservice"
)

// lastLines is how long the end of the program waits for who reads its logs.
const lastLines = time.Second

// logStreams are the two streams of lines that serve writes. Nothing waits for
// who reads them.
type logStreams struct {
	stderr     *lossy.Writer
	file       *reopenedFile // that stderr writes to; nil for none
	logger     log.Logger    // limited by limitedLog
	limitedLog *loglimit.Logger
	events     *eventStream
	// limitedEvents passes on to events what a script or receiver may add.
	limitedEvents *loglimit.Logger
}

// What --log.file names besides files.
const (
	toStderr   = "stderr"
	toEventLog = "eventlog"
)

// newLogStreams takes over stdout and stderr until close.
func newLogStreams(f *flags, stdout, stderr io.Writer) (*logStreams, error) {
	s := &logStreams{}
	var closer io.Closer
	switch f.logFile {
	case toStderr, "":
	case toEventLog:
		log, err := winservice.OpenLog()
		if err != nil {
			return nil, fmt.Errorf("--log.file=%s: %w", toEventLog, err)
		}
		stderr, closer = log, log
	default:
		s.file = &reopenedFile{logFile: logFile{path: f.logFile}}
		if err := s.file.open(); err != nil && !errors.Is(err, errNoReader) {
			return nil, fmt.Errorf("--log.file: %w%s", err, logRemedy(f.logFile, "the flag"))
		}
		stderr, closer = s.file, s.file
	}
	s.stderr = lossy.New(stderr, lossy.Options{Closer: closer, OnFull: func(full bool, dropped int) {
		if !full {
			level.Warn(s.logger).Log("msg", "lines of this log were dropped, since nobody read it", "dropped", dropped)
		}
	}})
	lines := newFormatLogger(s.stderr, f.logFormat)
	unbounded := newLoggerTo(lines, f.logLevel)
	s.limitedLog = loglimit.NewLog(lines, unbounded)
	s.logger = newLoggerTo(s.limitedLog, f.logLevel)
	s.events = newEventStream(stdout, s.logger)
	s.limitedEvents = loglimit.NewEvents(s.events, unbounded)
	return s, nil
}

// last logs why the bridge ends to a log that is not where the error will be printed.
func (s *logStreams) last(err error) error {
	if err != nil && s.file != nil && !errors.Is(err, cli.ErrAlreadyPrinted) {
		level.Error(s.logger).Log("msg", "the bridge cannot go on", "err", err)
	}
	return err
}

// reopen opens the files that are logged to anew, so that rotated ones are let go.
func (s *logStreams) reopen() {
	s.events.reopen()
	if s.file != nil {
		s.file.again.Store(true)
	}
}

// close waits a moment for the last lines.
func (s *logStreams) close() {
	s.events.close()
	s.stderr.Close(lastLines)
}

// register shows what nobody has read, and what was too much.
func (s *logStreams) register(r prometheus.Registerer) {
	count := func(name, help, stream string, count func() uint64) {
		r.MustRegister(prometheus.NewCounterFunc(prometheus.CounterOpts{
			Name: name, Help: help, ConstLabels: prometheus.Labels{"stream": stream},
		}, func() float64 { return float64(count()) }))
	}
	const (
		dropped     = "scriptbridge_log_dropped_total"
		droppedHelp = "Lines of the bridge's own log and of the event log that were dropped, since their destination was full, slow or gone."
		left        = "scriptbridge_log_suppressed_total"
		leftHelp    = "Lines of the bridge's own log and of the event log that were left out, since their script or receiver had had its share."
	)
	count(dropped, droppedHelp, "log", s.stderr.Dropped)
	count(dropped, droppedHelp, "events", s.events.drops.Count)
	count(left, leftHelp, "log", s.limitedLog.Suppressed)
	count(left, leftHelp, "events", s.limitedEvents.Suppressed)
}

// eventStream is where the event log writes: standard output or a file, in one
// of two forms, both of which a reload may change. It is a log.Logger that
// never blocks.
type eventStream struct {
	log    log.Logger // the bridge's own, for what goes wrong here
	drops  lossy.Drops
	stdout *lossy.Writer

	mu   sync.Mutex
	at   config.EventLog
	to   *lossy.Writer // stdout, or a file's own
	line log.Logger    // makes lines for to
}

func newEventStream(stdout io.Writer, logger log.Logger) *eventStream {
	s := &eventStream{log: logger}
	s.stdout = s.writer(stdout, nil, "standard output")
	return s
}

// writer makes the writer of one destination.
func (s *eventStream) writer(to io.Writer, closer io.Closer, name string) *lossy.Writer {
	return lossy.New(to, lossy.Options{
		Drops:  &s.drops,
		Closer: closer,
		OnError: func(err error) {
			if err != nil {
				level.Error(s.log).Log("msg", "the event log cannot be written; its lines wait, and are dropped when there are too many", "destination", name, "err", err)
			} else {
				level.Info(s.log).Log("msg", "the event log is written again", "destination", name)
			}
		},
		OnFull: func(full bool, dropped int) {
			if full {
				level.Error(s.log).Log("msg", "the event log drops lines, since what is written waits for its reader or its disk", "destination", name)
			} else {
				level.Warn(s.log).Log("msg", "the event log takes lines again", "destination", name, "dropped", dropped)
			}
		},
	})
}

// Log writes one event. Its error says that the event was dropped.
func (s *eventStream) Log(keyvals ...any) error {
	s.mu.Lock()
	line := s.line
	s.mu.Unlock()
	return line.Log(keyvals...)
}

// use changes the destination. On an error the old one stays.
func (s *eventStream) use(at config.EventLog) error {
	if at.Path == "-" {
		s.swap(s.stdout, at)
		return nil
	}
	file := newLogFile(at.Path)
	if err := file.open(); err != nil && !errors.Is(err, errNoReader) {
		return fmt.Errorf("events.log.path: %w%s", err, logRemedy(at.Path, "path:"))
	}
	s.swap(s.writer(file, file, at.Path), at)
	return nil
}

// logRemedy says, as the end of a message, what to do about a file that
// cannot be opened, and where it is named.
func logRemedy(path, named string) string {
	info, err := os.Stat(filepath.Dir(path))
	switch {
	case err == nil && info.IsDir():
		return ""
	case err == nil:
		return fmt.Sprintf(" (%s is no folder: correct %s)", filepath.Dir(path), named)
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Sprintf(" (there is no folder %s: correct %s, or make the folder)", filepath.Dir(path), named)
	}
	return ""
}

// checkEventLog says why the event log could not be written where it is to be, as
// far as that is known without opening it.
func checkEventLog(cfg *config.Config) []error {
	path := cfg.Events.Log.Path
	if path == "-" {
		return nil
	}
	at := config.Position{File: cfg.File}
	if remedy := logRemedy(path, "path:"); remedy != "" {
		return []error{at.Wrap("events: log", fmt.Errorf("%s cannot be made%s", path, remedy))}
	}
	if info, err := os.Stat(path); err == nil && info.IsDir() {
		return []error{at.Wrap("events: log", fmt.Errorf("%s is a folder (name a file in it)", path))}
	}
	return nil
}

// reopen opens the file anew, so that a rotated one is let go. Where that
// fails, lines wait until it can be opened.
func (s *eventStream) reopen() {
	s.mu.Lock()
	at := s.at
	s.mu.Unlock()
	if at.Path != "-" {
		file := newLogFile(at.Path)
		s.swap(s.writer(file, file, at.Path), at)
	}
}

// swap puts a writer to work. The one before ends when its last lines are
// written, for which nobody waits.
func (s *eventStream) swap(to *lossy.Writer, at config.EventLog) {
	s.mu.Lock()
	before := s.to
	s.to, s.at, s.line = to, at, newFormatLogger(to, at.Format)
	s.mu.Unlock()
	if before != nil && before != s.stdout {
		go before.Close(lastLines)
	}
}

// close waits a moment for the last events.
func (s *eventStream) close() {
	s.mu.Lock()
	to := s.to
	s.mu.Unlock()
	if to != nil && to != s.stdout {
		to.Close(lastLines)
	}
	s.stdout.Close(lastLines)
}

// logFile is a file that lines are appended to, opened when there is one to
// write. It is a lossy.Writer's own: not for concurrent use.
type logFile struct {
	path string
	file *os.File
	// follows says that it is opened anew when another file, or none, is at its path, as
	// after a rotation: where there is no SIGHUP to tell so.
	follows bool
	looked  time.Time // when that was asked last
}

// lookEvery is how often a file is looked for at its path at most.
const lookEvery = time.Second

func newLogFile(path string) *logFile {
	return &logFile{path: path, follows: runtime.GOOS == "windows"}
}

// errNoReader is why a named pipe cannot be opened yet.
var errNoReader = errors.New("nobody reads this named pipe")

// open opens the file, and never waits for a pipe's reader.
func (f *logFile) open() error {
	file, err := fsx.OS{}.OpenFile(f.path, os.O_CREATE|os.O_APPEND|os.O_WRONLY|syscall.O_NONBLOCK, 0o640)
	if errors.Is(err, syscall.ENXIO) {
		return fmt.Errorf("open %s: %w", f.path, errNoReader)
	}
	f.file = file
	return err
}

func (f *logFile) Write(p []byte) (int, error) {
	if f.moved() {
		_ = f.file.Close() // what it has was written
		f.file = nil
	}
	if f.file == nil {
		if err := f.open(); err != nil {
			return 0, err
		}
	}
	return f.file.Write(p)
}

// moved says that the file is not at its path any more.
func (f *logFile) moved() bool {
	now := time.Now()
	if f.file == nil || !f.follows || now.Sub(f.looked) < lookEvery {
		return false
	}
	f.looked = now
	at, err := os.Stat(f.path)
	if err != nil {
		return errors.Is(err, fs.ErrNotExist)
	}
	is, err := f.file.Stat()
	return err == nil && is.Mode().IsRegular() && !os.SameFile(at, is)
}

// Close is called by the Writer when nothing more comes.
func (f *logFile) Close() error {
	if f.file == nil {
		return nil
	}
	return f.file.Close()
}

// reopenedFile is a logFile that is opened anew before its next line when again says so.
type reopenedFile struct {
	logFile
	again atomic.Bool
}

func (f *reopenedFile) Write(p []byte) (int, error) {
	if f.again.Swap(false) {
		_ = f.Close() // each line was written when it came
		f.file = nil
	}
	return f.logFile.Write(p)
}
