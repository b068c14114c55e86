package script

import (
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/go-kit/log"
	"github.com/go-kit/log/level"

	"scriptbridge/config"
	"scriptbridge/internal/panics"
	"scriptbridge/internal/texts"
	"scriptbridge/record"
	"scriptbridge/script/dialect"
)

// stderrTail is how many lines are kept for the status page.
const stderrTail = 50

// stderrKept is how many bytes of its last line each run keeps.
const stderrKept = 500

// stderrLog writes a script's standard error to the bridge's log, line by
// line, as the configuration says, and keeps the last lines.
type stderrLog struct {
	logger func() log.Logger
	words  string // config.ScriptLog.Stderr

	mu    sync.Mutex
	run   int
	last  []StderrLine
	given bool // somebody has last, which is therefore not changed any more
	// held are the last lines since the last judgement, to be logged if the next one is
	// that the run failed.
	held []string
}

func newStderrLog(logger func() log.Logger, of config.ScriptLog) *stderrLog {
	return &stderrLog{logger: logger, words: of.Stderr}
}

// begin says that what follows is of another run.
func (l *stderrLog) begin() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.run++
	l.held = nil
}

// line takes a line of standard error.
func (l *stderrLog) line(b []byte) {
	at, text := level.InfoValue(), plainLine(string(b))
	l.mu.Lock()
	defer l.mu.Unlock()
	l.keep(text)
	switch l.words {
	case "none":
		return
	case "failed":
		l.held = append(l.held, text)
		l.held = slices.Delete(l.held, 0, max(0, len(l.held)-stderrTail))
		return
	case "debug":
		at = level.DebugValue()
	case "warn":
		at = level.WarnValue()
	}
	l.write(at, text, "stream", "stderr")
}

// judged logs the lines that were held back of a run, if that has failed.
func (l *stderrLog) judged(failed bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if failed {
		for _, text := range l.held {
			l.write(level.InfoValue(), text, "stream", "stderr")
		}
	}
	l.held = nil
}

// printed takes a line of standard output of a script that gives its values
// otherwise.
func (l *stderrLog) printed(b []byte) { l.say(level.InfoValue(), string(b), "stream", "stdout") }

// say writes a text of the script's to the log, behind the keyvals, and keeps it.
func (l *stderrLog) say(at level.Value, text string, keyvals ...any) {
	text = plainLine(text)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.keep(text)
	l.write(at, text, keyvals...)
}

func plainLine(text string) string {
	return texts.Shorten(strings.ToValidUTF8(strings.TrimRight(text, "\r\n"), "\uFFFD"), dialect.LogLine)
}

// keep keeps a line for the status page. The caller holds l.mu.
func (l *stderrLog) keep(text string) {
	l.add(StderrLine{At: time.Now(), Run: l.run, Text: text})
}

// add keeps a line, and the last ones before it. The caller holds l.mu.
func (l *stderrLog) add(line StderrLine) {
	stay := l.last[max(0, len(l.last)+1-stderrTail):]
	if l.given {
		l.last, l.given = append(make([]StderrLine, 0, len(stay)+1), stay...), false
	} else {
		l.last = slices.Delete(l.last, 0, len(l.last)-len(stay))
	}
	l.last = append(l.last, line)
}

func (l *stderrLog) write(at level.Value, text string, keyvals ...any) {
	log.WithPrefix(l.logger(), level.Key(), at).Log(append(keyvals, "msg", text)...)
}

// take keeps the lines of a run that had a log of its own.
func (l *stderrLog) take(lines []StderrLine) {
	if len(lines) == 0 {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.run++
	for _, line := range lines {
		line.Run = l.run
		l.add(line)
	}
}

// forget makes the tail empty.
func (l *stderrLog) forget() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.last, l.given = nil, false
}

// tail gives the last lines, which nobody may change.
func (l *stderrLog) tail() []StderrLine {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.given = true
	return l.last
}

// logVerdict says what changed: a script that goes on failing in the same way is
// not said again each minute, nor is each time that one fails and recovers.
func (u *worker) logVerdict(v *Verdict, t *dialect.Result) {
	u.stderr.judged(v.Result != record.OK)
	var wrong []string
	if v.Result != record.OK {
		wrong = append(wrong, v.text())
	}
	news, over := u.judge.verdicts.Update(time.Now(), wrong...)
	for _, n := range news {
		fail := level.Error(u.logger())
		if u.forProbe { // of which there are as many as others ask for
			if !u.judge.once.firstTime("probe", strings.Join(u.script.Command, " ")+": "+v.text()) {
				continue
			}
			fail = level.Warn(u.logger())
		}
		fail.Log(append(n.With("msg", "the run failed", "result", v.Result, "err", v.Err), panics.Place(v.Err)...)...)
	}
	if over {
		level.Info(u.logger()).Log("msg", "the script is well again")
	}
	u.logRefused(v.Lines, t.Files)
	for _, line := range t.Log {
		level.Info(u.logger()).Log("stream", "stdout", "msg", line)
	}
	for _, w := range t.Warnings {
		if u.judge.once.firstTime("warning", w) {
			level.Warn(u.logger()).Log("msg", w)
		}
	}
}

// logRefused names each line that was refused, and each file that was left out, once.
func (u *worker) logRefused(lines []*record.LineError, files record.Files) {
	for _, le := range lines {
		if file, whole := files.About(le); whole {
			if u.judge.once.firstTime(le.Reason, file) {
				level.Warn(u.logger()).Log("msg", "a file was left out", "file", file, "reason", le.Reason, "err", le.Err)
			}
			continue
		}
		file, line := files.Find(le.Line)
		if u.judge.once.firstTime(le.Reason, file+lineKey(le.Text)) {
			level.Warn(withFile(u.logger(), file)).Log("msg", "a line was refused", "line", line, "reason", le.Reason, "err", le.Err, "text", texts.Shorten(le.Text, 200))
		}
	}
}

// withFile is a logger that names a file, if there is one.
func withFile(logger log.Logger, file string) log.Logger {
	if file == "" {
		return logger
	}
	return log.With(logger, "file", file)
}
