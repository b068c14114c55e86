package loglimit

import (
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-kit/log"
	"github.com/go-kit/log/level"

	"scriptbridge/internal/testkit"
)

func inBubble(t *testing.T, test func(t *testing.T, out *testkit.Buffer, l *Logger)) {
	synctest.Test(t, func(t *testing.T) {
		var out testkit.Buffer
		own := log.NewLogfmtLogger(&out)
		l := NewLog(own, own)
		test(t, &out, l)
		time.Sleep(time.Hour) // every notice is told
	})
}

// Whatever a source does, its log grows by less than 1 KB a second after the burst, and
// every line that is left out is told of.
func TestFlood(t *testing.T) {
	warn := func(l log.Logger, text string, keyvals ...any) {
		level.Warn(log.With(l, "script", "s")).Log(append(keyvals, "msg", text)...)
	}
	long := strings.Repeat("x", 100_000)
	for name, flood := range map[string]func(l log.Logger, n int){
		"refused lines": func(l log.Logger, n int) {
			warn(l, "a line was refused", "line", n, "reason", "undeclared", "text", fmt.Sprintf("M%d %d", n, n))
		},
		"standard error":   func(l log.Logger, n int) { warn(l, strings.Repeat("x", n%2048), "stream", "stderr") },
		"very long lines":  func(l log.Logger, n int) { warn(l, long) },
		"very long errors": func(l log.Logger, n int) { warn(l, "m", "err", errors.New(long[:10_000])) },
		"everything": func(l log.Logger, n int) {
			switch n % 4 {
			case 0:
				level.Error(log.With(l, "script", "s")).Log("stream", "log", "msg", n)
			case 1:
				level.Info(log.With(l, "script", "s")).Log("stream", "stdout", "msg", n)
			default:
				warn(l, strconv.Itoa(n))
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, out *testkit.Buffer, l *Logger) {
				n, said := 0, 0
				for range 20 * 60 {
					for range 50 {
						flood(l, n)
						n++
					}
					time.Sleep(time.Second)
				}
				text := out.String()
				if allowed := 150_000 + 20*60*1000; len(text) > allowed {
					t.Errorf("%d bytes in 20 minutes", len(text))
				}
				l.Log("msg", "others are heard")
				l.Log("receiver", "s", "level", level.WarnValue(), "msg", "another source is heard")
				time.Sleep(time.Hour)
				synctest.Wait()
				text = out.String()
				for _, want := range []string{"msg=\"others are heard\"\n", "msg=\"another source is heard\"\n"} {
					if !strings.Contains(text, want) {
						t.Errorf("the log has no %s", want)
					}
				}
				notice := regexp.MustCompile(`^level=warn script=s msg="more lines than the log takes of one script; its page shows the last ones" suppressed=(\d+)\n$`)
				for line := range strings.Lines(text) {
					if m := notice.FindStringSubmatch(line); m != nil {
						left, err := strconv.Atoi(m[1])
						if err != nil {
							t.Fatal(err)
						}
						said += left
					} else {
						said++
					}
				}
				if said != n+2 {
					t.Errorf("the log tells of %d lines of %d", said, n+2)
				}
				if c := strings.Count(text, "suppressed="); c > 4 {
					t.Errorf("it is told %d times in 20 minutes", c)
				}
			})
		})
	}
}

// A script that chatters all the time leaves room for what is wrong with it.
func TestWordsLeaveRoom(t *testing.T) {
	inBubble(t, func(t *testing.T, out *testkit.Buffer, l *Logger) {
		for range 1000 {
			level.Info(log.With(l, "script", "s")).Log("stream", "stderr", "msg", "chatter")
		}
		if n := strings.Count(out.String(), "chatter"); n != 40 {
			t.Errorf("%d lines of chatter", n)
		}
		for range 1000 {
			level.Warn(log.With(l, "script", "s")).Log("msg", "a line was refused")
		}
		if n := strings.Count(out.String(), "refused"); n != 10 {
			t.Errorf("%d warnings", n)
		}
		level.Error(log.With(l, "script", "s")).Log("msg", "the run failed")
		level.Info(log.With(l, "script", "s")).Log("msg", "the script is well again")
		if out := out.String(); !strings.HasSuffix(out, "level=error script=s msg=\"the run failed\"\nlevel=info script=s msg=\"the script is well again\"\n") {
			t.Error("what the bridge says of it is left out")
		}
		if n := l.Suppressed(); n != 960+990 {
			t.Errorf("%d are counted", n)
		}
	})
}

// Of events there are two hundred at once, and ten a second; whoever is not heard is told
// so, and may say it again. The notice is in the other log.
func TestEvents(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var events, own testkit.Buffer
		l := NewEvents(log.NewLogfmtLogger(&events), log.NewLogfmtLogger(&own))
		refused := 0
		for n := range 20_000 {
			if err := l.Log("ts", "now", "receiver", "statsd", "event", n); errors.Is(err, ErrSuppressed) {
				refused++
			} else if err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Second / 1000)
		}
		if n := strings.Count(events.String(), "\n"); n < 390 || n > 401 || n+refused != 20_000 {
			t.Errorf("%d lines in 20 seconds, %d refused", n, refused)
		}
		time.Sleep(time.Hour)
		synctest.Wait()
		if want := regexp.MustCompile(`^(level=warn receiver=statsd msg="more events than the event log takes of one receiver" suppressed=\d+\n){2}$`); !want.MatchString(own.String()) {
			t.Errorf("told:\n%s", own.String())
		}
	})
}

// Sources that come and go, such as files in a folder that is watched, need no
// memory for ever.
func TestSourcesAreForgotten(t *testing.T) {
	inBubble(t, func(t *testing.T, _ *testkit.Buffer, l *Logger) {
		for n := range 100 * maxSources {
			level.Warn(log.With(l, "script", n)).Log("msg", "m")
			time.Sleep(time.Second)
		}
		if n := len(l.sources); n > maxSources {
			t.Errorf("%d are remembered", n)
		}
	})
}
