package script

import (
	"slices"
	"strings"
	"sync"

	"github.com/go-kit/log"
	"github.com/go-kit/log/level"
	"golang.org/x/time/rate"
)

// What one script's standard error may add to the log: a burst, then a line
// every few seconds. What is over is counted and told.
const (
	stderrBurst     = 50
	stderrPerSecond = 1
	stderrLine      = 2 << 10 // bytes of a line in the log
	stderrTail      = 50      // lines kept for the status page
)

// stderrLog writes a script's standard error to the bridge's log, line by
// line, and keeps the last lines.
type stderrLog struct {
	logger log.Logger

	mu         sync.Mutex
	limit      *rate.Limiter
	suppressed int
	last       []string
}

func newStderrLog(logger log.Logger) *stderrLog {
	return &stderrLog{logger: logger, limit: rate.NewLimiter(stderrPerSecond, stderrBurst)}
}

func (l *stderrLog) line(b []byte) { l.say(level.InfoValue(), string(b), "stream", "stderr") }

// printed takes a line of standard output of a script that gives its values
// otherwise.
func (l *stderrLog) printed(b []byte) { l.say(level.InfoValue(), string(b), "stream", "stdout") }

// say writes a text of the script's to the log, behind the keyvals, as far as
// the limit allows, and keeps it.
func (l *stderrLog) say(at level.Value, text string, keyvals ...any) {
	text = cutText(strings.ToValidUTF8(strings.TrimRight(text, "\r\n"), "\uFFFD"), stderrLine)
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.last) == stderrTail {
		l.last = slices.Delete(l.last, 0, 1)
	}
	l.last = append(l.last, text)
	if !l.limit.Allow() {
		l.suppressed++
		return
	}
	log.WithPrefix(l.logger, level.Key(), at).Log(append(keyvals, "msg", text)...)
}

// flush tells, at the end of a turn, what the limit kept out of the log.
func (l *stderrLog) flush() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.suppressed == 0 {
		return
	}
	level.Warn(l.logger).Log("stream", "stderr", "msg", "more lines than the log takes", "suppressed", l.suppressed)
	l.suppressed = 0
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
