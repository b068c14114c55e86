package receiver

import (
	"time"

	"github.com/go-kit/log"
	"github.com/go-kit/log/level"
)

const (
	// logAgainAfter is how long it is before something like what was logged is
	// logged again: others decide how often it happens.
	logAgainAfter = 10 * time.Minute
	// maxLogged bounds what a LimitedLogger remembers.
	maxLogged = 100
)

// LimitedLogger logs warnings, each kind of them once in a while. It is not safe
// for concurrent use.
type LimitedLogger struct {
	logger log.Logger
	last   map[string]time.Time // by kind
}

// NewLimitedLogger makes one that has logged nothing yet.
func NewLimitedLogger(logger log.Logger) *LimitedLogger {
	return &LimitedLogger{logger, make(map[string]time.Time)}
}

// Warn logs, unless it has logged something of that kind within the last ten
// minutes.
func (l *LimitedLogger) Warn(kind string, keyvals ...any) {
	now := time.Now()
	if last, ok := l.last[kind]; ok && now.Sub(last) < logAgainAfter {
		return
	}
	if len(l.last) >= maxLogged {
		clear(l.last)
	}
	l.last[kind] = now
	_ = level.Warn(l.logger).Log(keyvals...)
}
