// Package repeat keeps a log from saying the same again and again, about a
// thing that goes on failing, or that fails and recovers all the time.
package repeat

import (
	stdlog "log"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/go-kit/log"
	"github.com/go-kit/log/level"

	"scriptbridge/internal/joined"
	"scriptbridge/internal/panics"
)

const (
	// Quiet is how long what was told is not told again.
	Quiet = 10 * time.Minute
	// Most is how many different things are told of one thing within Quiet.
	Most = 10
)

// State is what is wrong with one thing, as far as the log knows. The zero value
// is ready: nothing is wrong. It is safe for concurrent use.
type State struct {
	mu      sync.Mutex
	*memory // nil as long as nothing was ever wrong, as with most things
}

// memory is what a State knows.
type memory struct {
	wrong map[string]*trouble
	told  []time.Time // the last Most
	left  int         // what was not told since, for there was too much
	open  bool        // something was told, and not yet that it is over
}

// trouble is one thing that is wrong, or that was told within Quiet.
type trouble struct {
	present bool
	said    bool // since it is present
	told    time.Time
	left    int // how often it was there since then without being told
}

// News is something to tell.
type News struct {
	Index int // among the texts
	// Suppressed is how often it came back untold since it was told last, and
	// how many others there were too many of to be told.
	Suppressed int
}

// Update takes all that is wrong now, and gives what of it is to be told: what
// was not wrong before. What comes back is told when it was not within Quiet,
// and told then, if it is still there. over says that nothing is wrong any more,
// and that this is to be told.
func (s *State) Update(now time.Time, texts ...string) (news []News, over bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.update(now, texts)
}

// update is Update. The caller holds mu.
func (s *State) update(now time.Time, texts []string) (news []News, over bool) {
	if s.memory == nil {
		if len(texts) == 0 {
			return nil, false
		}
		s.memory = &memory{wrong: make(map[string]*trouble)}
	}
	for text, t := range s.wrong {
		if slices.Contains(texts, text) {
			continue
		}
		t.present, t.said = false, false
		if t.told.IsZero() || now.Sub(t.told) >= Quiet {
			delete(s.wrong, text)
		}
	}
	many := len(s.told) == Most && now.Sub(s.told[0]) < Quiet
	for i, text := range texts {
		t := s.wrong[text]
		if t == nil {
			t = new(trouble)
			s.wrong[text] = t
		}
		came := !t.present
		t.present = true
		again := !t.told.IsZero() && now.Sub(t.told) < Quiet
		switch {
		case t.said:
		case !again && !many:
			news = append(news, News{i, t.left + s.left})
			t.said, t.told, t.left, s.left = true, now, 0, 0
			s.told = append(s.told[max(0, len(s.told)-Most+1):], now)
			many = len(s.told) == Most && now.Sub(s.told[0]) < Quiet
			s.open = true
		case came && again:
			t.left++
		case came:
			s.left++
		}
	}
	over = s.open && len(texts) == 0
	s.open = s.open && !over
	return news, over
}

// Log tells, at level error, what is news of the errors that are joined in err,
// each under the message failed, with the place of a fault of ours; and, at level info, when there is none any
// more.
func (s *State) Log(logger log.Logger, err error, failed, well string) {
	errs := joined.Split(err)
	texts := make([]string, len(errs))
	for i, e := range errs {
		texts[i] = e.Error()
	}
	s.mu.Lock()
	defer s.mu.Unlock() // until it is said, so that what is over is said last
	news, over := s.update(time.Now(), texts)
	for _, n := range news {
		level.Error(logger).Log(append(n.With("msg", failed, "err", errs[n.Index]), panics.Place(errs[n.Index])...)...)
	}
	if over {
		level.Info(logger).Log("msg", well)
	}
}

// With gives the keys and values of a line, and how often it was left out.
func (n News) With(keyvals ...any) []any {
	if n.Suppressed > 0 {
		keyvals = append(keyvals, "suppressed", n.Suppressed)
	}
	return keyvals
}

// NewStdLog makes a logger for a library that logs what others do to it, one
// line each, such as every handshake that fails: what it says is told at level
// warn, as far as State lets it. A panic of ours, which net/http tells there too,
// is always told, at level error.
func NewStdLog(logger log.Logger) *stdlog.Logger {
	return stdlog.New(&stdLog{logger: logger}, "", 0)
}

type stdLog struct {
	logger log.Logger
	state  State
}

func (l *stdLog) Write(p []byte) (int, error) {
	text := strings.TrimRight(string(p), "\n")
	if strings.HasPrefix(text, "http: panic") || strings.HasPrefix(text, "http2: panic") {
		level.Error(l.logger).Log("msg", text)
		return len(p), nil
	}
	news, _ := l.state.Update(time.Now(), text)
	for _, n := range news {
		level.Warn(l.logger).Log(n.With("msg", text)...)
	}
	return len(p), nil
}
