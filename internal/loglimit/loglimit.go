// Package loglimit limits the rate at which each script and each receiver may add lines
// to a log: a burst of many, and then few. What is left out is counted, and reported
// once in a while.
package loglimit

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/go-kit/log"
	"github.com/go-kit/log/level"
	"golang.org/x/time/rate"

	"scriptbridge/internal/repeat"
)

// Limits are the share of one source. A line counts for one, and for one more with
// each KiB of it.
type Limits struct {
	// Burst is how many lines there may be at once, and one more comes with each Every.
	Burst int
	Every time.Duration
	// Kept is how many of Burst are for lines that are not a source's own words:
	// whoever chatters all the time does not keep the log from saying what is wrong.
	Kept int
}

// Log and Events are the limits of the bridge's own log and of the event log.
var (
	Log    = Limits{Burst: 50, Every: 10 * time.Second, Kept: 10}
	Events = Limits{Burst: 200, Every: time.Second / 10}
)

// ErrSuppressed is why a line is not in a log.
var ErrSuppressed = errors.New("left out: its source had its share of the log")

// firstNotice is how long after the first line that is left out this is told: how
// many they are is known better then.
const firstNotice = time.Second

// maxSources bounds the sources that are remembered without a reason.
const maxSources = 1000

// Logger is a log.Logger that passes on what is within its source's share. The source of
// a line is the value of its key script or receiver; a line without one is passed on.
type Logger struct {
	limits Limits
	next   log.Logger
	own    log.Logger
	notice string // for own; %s is what kind of a source it is
	all    bool

	mu         sync.Mutex
	sources    map[[2]string]*usage // by key and value
	suppressed atomic.Uint64
}

// usage is what the log has of one source.
type usage struct {
	tokens *rate.Limiter
	left   int // lines left out, and not told of yet
	told   time.Time
}

// NewLog makes the bridge's own log, which writes to next. What it left out is told to
// own, which leaves out nothing. The source's own words, which have the key stream, and all warnings take of the
// share. Errors, and what is told at level info, do not: they are of the bridge, which
// does not repeat itself.
func NewLog(next, own log.Logger) *Logger {
	return &Logger{
		limits: Log, next: next, sources: make(map[[2]string]*usage),
		own: own, notice: "more lines than the log takes of one %s; its page shows the last ones",
	}
}

// NewEvents makes an event log, all of whose lines take of the share. What it left out
// is told to own, the bridge's own log.
func NewEvents(next, own log.Logger) *Logger {
	return &Logger{
		limits: Events, next: next, sources: make(map[[2]string]*usage), all: true,
		own: own, notice: "more events than the event log takes of one %s",
	}
}

// Suppressed is how many lines were left out.
func (l *Logger) Suppressed() uint64 { return l.suppressed.Load() }

// Log passes a line on, or gives ErrSuppressed.
func (l *Logger) Log(keyvals ...any) error {
	line := read(keyvals)
	if line.source[0] != "" && (l.all || line.own || line.warns) && !l.allow(line, time.Now()) {
		return ErrSuppressed
	}
	return l.next.Log(keyvals...)
}

// line is what counts of one.
type line struct {
	source     [2]string
	own, warns bool
	size       int // about
}

func read(keyvals []any) (out line) {
	for i := 0; i+1 < len(keyvals); i += 2 {
		key, value := keyvals[i], keyvals[i+1]
		switch {
		case (key == "script" || key == "receiver") && out.source[0] == "":
			out.source = [2]string{fmt.Sprint(key), fmt.Sprint(value)}
		case key == "stream":
			out.own = true
		case key == level.Key():
			out.warns = value == level.WarnValue()
		}
		switch v := value.(type) {
		case string:
			out.size += len(v)
		case error:
			out.size += len(v.Error())
		}
	}
	return out
}

// allow reports whether a line is within its source's share, and counts it.
func (l *Logger) allow(one line, now time.Time) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	a := l.sources[one.source]
	if a == nil {
		l.forget(now)
		a = &usage{tokens: rate.NewLimiter(rate.Every(l.limits.Every), l.limits.Burst)}
		l.sources[one.source] = a
	}
	kept := 0
	if one.own {
		kept = l.limits.Kept
	}
	cost := min(1+one.size>>10, l.limits.Burst-kept)
	if a.tokens.TokensAt(now) >= float64(cost+kept) && a.tokens.AllowN(now, cost) {
		return true
	}
	l.suppressed.Add(1)
	if a.left++; a.left == 1 {
		time.AfterFunc(max(firstNotice, a.told.Add(repeat.Quiet).Sub(now)), func() { l.report(one.source, a) })
	}
	return false
}

// report logs how many were left out of a source's lines.
func (l *Logger) report(source [2]string, a *usage) {
	l.mu.Lock()
	n := a.left
	a.left, a.told = 0, time.Now()
	l.mu.Unlock()
	level.Warn(l.own).Log(source[0], source[1], "msg", fmt.Sprintf(l.notice, source[0]), "suppressed", n)
}

// forget makes room for one more source where there are many: those are forgotten
// of which nothing is to be known. The caller holds l.mu.
func (l *Logger) forget(now time.Time) {
	if len(l.sources) < maxSources {
		return
	}
	for source, a := range l.sources {
		if a.left == 0 && a.tokens.TokensAt(now) >= float64(l.limits.Burst) {
			delete(l.sources, source)
		}
	}
}
