package script

import (
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/go-kit/log"
	"github.com/go-kit/log/level"
	"golang.org/x/time/rate"

	"scriptbridge/internal/repeat"
	"scriptbridge/internal/texts"
	"scriptbridge/script/dialect"
)

// What one script may add to the log of what it printed, and of what is wrong
// with that: a burst, then a line every ten seconds. What is over is counted and
// told.
const (
	stderrBurst = 50
	linesBurst  = 100 // lines refused, warnings, and a dialect's own for the log
	shareEvery  = 10 * time.Second
	stderrTail  = 50 // lines kept for the status page
)

// share is a script's share of the log.
type share struct {
	mu         sync.Mutex
	limit      *rate.Limiter
	suppressed int
	told       time.Time // when suppressed was told last
}

func newShare(burst int) *share { return &share{limit: rate.NewLimiter(rate.Every(shareEvery), burst)} }

// take reports whether one more line may be logged.
func (s *share) take() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.limit.Allow() {
		return true
	}
	s.suppressed++
	return false
}

// flush tells, at the end of a run, how many lines were kept out of the log,
// unless that was told a moment ago.
func (s *share) flush(logger log.Logger, keyvals ...any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	if s.suppressed == 0 || !s.told.IsZero() && now.Sub(s.told) < repeat.Quiet {
		return
	}
	level.Warn(logger).Log(append(keyvals, "suppressed", s.suppressed)...)
	s.suppressed, s.told = 0, now
}

// stderrLog writes a script's standard error to the bridge's log, line by
// line, and keeps the last lines.
type stderrLog struct {
	logger log.Logger
	share  *share

	mu   sync.Mutex
	last []string
}

func newStderrLog(logger log.Logger) *stderrLog {
	return &stderrLog{logger: logger, share: newShare(stderrBurst)}
}

func (l *stderrLog) line(b []byte) { l.say(level.InfoValue(), string(b), "stream", "stderr") }

// printed takes a line of standard output of a script that gives its values
// otherwise.
func (l *stderrLog) printed(b []byte) { l.say(level.InfoValue(), string(b), "stream", "stdout") }

// say writes a text of the script's to the log, behind the keyvals, as far as
// its share allows, and keeps it.
func (l *stderrLog) say(at level.Value, text string, keyvals ...any) {
	text = texts.Shorten(strings.ToValidUTF8(strings.TrimRight(text, "\r\n"), "\uFFFD"), dialect.LogLine)
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.last) == stderrTail {
		l.last = slices.Delete(l.last, 0, 1)
	}
	l.last = append(l.last, text)
	if l.share.take() {
		log.WithPrefix(l.logger, level.Key(), at).Log(append(keyvals, "msg", text)...)
	}
}

// flush tells what was kept out of the log.
func (l *stderrLog) flush() {
	l.share.flush(l.logger, "stream", "stderr", "msg", "more lines than the log takes")
}

// forget makes the tail empty.
func (l *stderrLog) forget() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.last = nil
}

func (l *stderrLog) tail() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.last)
}
