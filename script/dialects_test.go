package script

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"scriptbridge/config"
	"scriptbridge/record"
	"scriptbridge/script/dialect"
	"scriptbridge/script/dialect/all"
	"scriptbridge/script/process"
)

// contract is what the suite must know of a dialect to hold it to what all
// dialects promise. Every line of the table in script.go needs one.
type contract struct {
	// declares is what a script prints for a first argument with which it is
	// asked for something else than its data.
	declares map[string]string
	// good is output that makes as many samples as samples says, and mixed
	// the same with lines, or parts of lines, that make none.
	good, mixed string
	samples     int
	// script gives the text of a script that runs body where it is asked for
	// its data.
	script func(body string) string
	// kept says that the scripts of the dialect stay alive: they are modules,
	// options name them, and no run of theirs is whole.
	kept bool
	// folder says that it reads folders: what is printed elsewhere is a file there,
	// and no process is started.
	folder bool
	dir    string // of a Runner, with that file
}

var contracts = map[string]contract{
	"coscale": {
		declares: map[string]string{"-c": `{"metrics": [{"id": 1, "name": "One"}, {"id": 2, "name": "Two", "dimensions": [{"id": 1, "name": "a"}]}]}`},
		good:     "M1 1\nM2 \"1:x\" 2.5\nM2 \"1:y\" 3\n",
		mixed:    "banner\nM1 None\nM1 1\nM9 1\nM2 \"1:x\" 2.5\nM2 \"9:x\" 1\n\xff\x00\nM2 \"1:y\" 3\nM1 1 2\nM",
		samples:  3,
		script: func(body string) string {
			return "#!/bin/sh\n[ \"$1\" = -c ] && { echo '{\"metrics\": [{\"id\": 1, \"name\": \"One\"}, {\"id\": 2, \"name\": \"Two\", \"dimensions\": [{\"id\": 1, \"name\": \"a\"}]}]}'; exit; }\n" + body
		},
	},
	"instrumental": {
		good:    "memory 1024.0\nload 0.7\nqueue 3 1500000000\n",
		mixed:   "\xff\x00\nmemory 1024.0\none\nload 0.7\nload now\na b c d\nqueue 3 1500000000\nqueue 4 now\n\r\nx",
		samples: 3,
		script:  plainScript,
	},
	"nagios": {
		good:    "OK - fine | time=0.5s;1;2 size=10B\n",
		mixed:   "OK - fine | time=0.5s;1;2 bad=x size=10B\n",
		samples: 6,
		script:  plainScript,
	},
	"scalyr": {
		good:    "up 1\nqueue.length 2.5 queue=\"in\"\na=1 b=2\n",
		mixed:   "\n\xff\x00\nup 1\nup\nqueue.length 2.5 queue=\"in\"\nqueue.length null\nqueue.length 3 queue=\n9up 1\na=1 b=2\na=",
		samples: 4,
		script:  moduleScript,
		kept:    true,
	},
	"prometheus": {
		good:    "# HELP queue_length Of each.\n# TYPE queue_length gauge\nqueue_length{queue=\"in\"} 1\nqueue_length{queue=\"out\"} 2.5\nup 1\n",
		mixed:   "\xff\x00\n# HELP queue_length Of each.\n# TYPE queue_length gauge\nqueue_length{queue=\"in\"} 1\nqueue_length{queue=\"in} 1\nqueue_length{queue=\"out\"} 2.5\n9up 1\nup 1\nup now\n{",
		samples: 3,
		script:  plainScript,
	},
	"textfile": {
		good:    "# HELP queue_length Of each.\n# TYPE queue_length gauge\nqueue_length{queue=\"in\"} 1\nqueue_length{queue=\"out\"} 2.5\nup 1\n",
		mixed:   "\xff\x00\n# HELP queue_length Of each.\n# TYPE queue_length gauge\nqueue_length{queue=\"in\"} 1\nqueue_length{queue=\"in} 1\nqueue_length{queue=\"out\"} 2.5\n9up 1\nup 1\nup now\nup 1",
		samples: 3,
		folder:  true,
	},
}

// moduleScript is a monitor whose sample is what body prints, as lines of its
// metric log. It does not wait for the end of the output, which what body left
// behind may hold open.
func moduleScript(body string) string {
	return fmt.Sprintf(`import subprocess
import tempfile

from scalyr_agent import ScalyrMonitor


class Script(ScalyrMonitor):
    def gather_sample(self):
        with tempfile.TemporaryFile() as output:
            subprocess.call(["sh", "-c", %q], stdout=output)
            output.seek(0)
            for line in output:
                self._logger.info(line.decode().rstrip("\n"), emit_to_metric_log=True)
`, body)
}

// plainScript is one that is asked for nothing but its data.
func plainScript(body string) string { return "#!/bin/sh\n" + body }

func TestEveryDialectHasAContract(t *testing.T) {
	var names []string
	for _, d := range all.Dialects {
		names = append(names, d.Name())
	}
	slices.Sort(names)
	if diff := cmp.Diff(names, slices.Sorted(maps.Keys(contracts))); diff != "" {
		t.Errorf("dialects and contracts (-dialects +contracts):\n%s", diff)
	}
}

// forEachDialect runs a test of what all dialects promise.
func forEachDialect(t *testing.T, test func(t *testing.T, d dialect.Dialect, c contract)) {
	for _, d := range all.Dialects {
		t.Run(d.Name(), func(t *testing.T) {
			c, ok := contracts[d.Name()]
			if !ok {
				t.Fatal("it has no entry in contracts")
			}
			test(t, d, c)
		})
	}
}

// runner is a Runner of the dialect for a script that is nowhere.
func (c *contract) runner(t *testing.T, d dialect.Dialect) (*Script, dialect.Runner) {
	t.Helper()
	var options config.Options
	if c.kept {
		options = options.With(map[string]any{"module": "s"})
	}
	newRunner, err := d.Prepare(options)
	if err != nil {
		t.Fatal(err)
	}
	s := &Script{
		Script: dialect.Script{
			Script:           &config.Script{Name: "s", Command: []string{"/nowhere/s"}, Settings: config.Settings{MaxSeries: config.DefaultMaxSeries}},
			FallbackInterval: time.Minute, FallbackTimeout: 5 * time.Second, File: "/nowhere/s",
		},
		dialect: d, aligned: d.Traits().Aligned, table: all.Dialects,
		Source: &record.Source{Kind: record.Script, Name: "s"},
	}
	if c.folder {
		c.dir = t.TempDir()
		s.Command, s.File, s.Directory, s.MaxOutput = nil, "", c.dir, 1<<20
	}
	return s, newRunner(&s.Script, dialect.Forgetful{})
}

// prints is an Exec of a script that declares what the contract says and
// prints out.
func (c *contract) prints(out string) dialect.Exec {
	if c.folder {
		if err := os.WriteFile(filepath.Join(c.dir, "s.prom"), []byte(out), 0o600); err != nil {
			panic(err)
		}
		return func(context.Context, dialect.Invocation) *process.Outcome { panic("it starts a process") }
	}
	return func(_ context.Context, in dialect.Invocation) *process.Outcome {
		o := &process.Outcome{Result: record.OK, Stdout: []byte(out), Start: time.Now(), End: time.Now()}
		if in.Message != nil {
			type line struct {
				Text string `json:"text"`
			}
			var lines []line
			for text := range strings.Lines(out) {
				lines = append(lines, line{strings.TrimSuffix(text, "\n")})
			}
			batch, err := json.Marshal(map[string]any{"t": "batch", "gather": true, "lines": lines})
			if err == nil {
				err = in.Message(batch)
			}
			if err != nil {
				o.Result, o.Err = record.Invalid, err
			}
		}
		if len(in.Args) > 0 {
			if text, ok := c.declares[in.Args[0]]; ok {
				o.Stdout = []byte(text)
			}
		}
		return o
	}
}

// Good lines survive bad ones, with the same values.
func TestGoodLinesSurvive(t *testing.T) {
	forEachDialect(t, func(t *testing.T, d dialect.Dialect, c contract) {
		_, runner := c.runner(t, d)
		defer runner.Close()
		good := runner.Run(t.Context(), c.prints(c.good))
		if len(good.Samples) != c.samples || good.Complete == c.kept || good.Err != nil {
			t.Fatalf("%d samples, heard %t, error %v", len(good.Samples), good.Complete, good.Err)
		}
		mixed := runner.Run(t.Context(), c.prints(c.mixed))
		if diff := cmp.Diff(good.Samples, mixed.Samples, cmpopts.IgnoreFields(record.Sample{}, "Line")); diff != "" {
			t.Errorf("bad lines change good ones (-without +with):\n%s", diff)
		}
		refused := record.LineErrors(mixed.Err)
		if len(refused) == 0 || record.WithoutLines(mixed.Err) != nil || mixed.Complete == c.kept {
			t.Errorf("heard %t, %d lines refused: %v", mixed.Complete, len(refused), mixed.Err)
		}
		for _, le := range refused {
			if le.Line < 1 || le.Reason == "" || le.Text == "" || le.Err == nil {
				t.Errorf("refused %+v", le)
			}
		}
	})
}

// Whatever a script prints, wherever it prints it and however it ends: a run
// ends, with a verdict, and its samples are of lines that there are.
func TestGarbage(t *testing.T) {
	forEachDialect(t, func(t *testing.T, d dialect.Dialect, c contract) {
		garbage := []string{
			"", "\n", "\r\n\r\n", "\x00", "\xff\xfe", "\ufeff", " ", "\"", "{", "}", "[", "null", "{}", "[]", "\\", "|", "#", "# TYPE", "M", "E", "=",
			"NaN", "-", string(bytes.Repeat([]byte("x"), 1<<16)), string(bytes.Repeat([]byte("\n"), 1<<16)), string(bytes.Repeat([]byte("{"), 1<<16)),
		}
		for cut := range len(c.good) {
			garbage = append(garbage, c.good[:cut], c.good[cut:], c.mixed[:cut])
		}
		random := rand.New(rand.NewPCG(1, 2))
		for range 300 {
			text := []byte(c.mixed)
			for range 1 + random.IntN(8) {
				text[random.IntN(len(text))] = byte(random.IntN(256))
			}
			garbage = append(garbage, string(text))
		}
		ends := []struct {
			result record.Result
			code   int
			err    error
		}{{record.OK, 0, nil}, {record.Error, 1, errors.New("exited with code 1")}, {record.Timeout, -1, errors.New("timeout")}, {record.Killed, -1, errors.New("killed")}}
		s, runner := c.runner(t, d)
		defer runner.Close()
		judge := newJudge(s)
		for _, text := range garbage {
			for _, end := range ends {
				prints := c.prints(text)
				run := func(ctx context.Context, in dialect.Invocation) *process.Outcome {
					o := prints(ctx, in)
					o.Result, o.ExitCode, o.Err = end.result, end.code, end.err
					return o
				}
				checkResult(t, judge, runner.Run(t.Context(), run), text)
			}
			// Garbage for all that it is asked, of a script that was not heard yet.
			s, fresh := c.runner(t, d)
			all := contract{folder: c.folder, dir: c.dir}
			checkResult(t, newJudge(s), fresh.Run(t.Context(), all.prints(text)), text)
			fresh.Close()
		}
	})
}

func checkResult(t *testing.T, j *judge, turn *dialect.Result, text string) {
	t.Helper()
	batch, verdict := j.judge(turn, j.script.Source, 0)
	if verdict.Result == "" || (verdict.Result == record.OK) != (verdict.Err == nil) {
		t.Errorf("%s: verdict %s: %v", quoted(text), verdict.Result, verdict.Err)
	}
	lines := 1 + bytes.Count([]byte(text), []byte("\n"))
	for _, sample := range batch.Samples {
		if sample.Line < 0 || sample.Line > lines || sample.Name == "" && sample.Meta == nil {
			t.Errorf("%s: sample %+v of %d lines", quoted(text), sample, lines)
		}
	}
	for _, le := range verdict.Lines {
		if le.Line < 0 || le.Line > lines || le.Reason == "" || le.Err == nil {
			t.Errorf("%s: refused %+v of %d lines", quoted(text), le, lines)
		}
	}
}

func quoted(text string) string { return fmt.Sprintf("%.100q", text) }

// A script that the configuration disables does not run in any dialect, is no failure
// and not late, and is refused to who asks for it.
func TestDisabled(t *testing.T) {
	forEachDialect(t, func(t *testing.T, d dialect.Dialect, c contract) {
		inPool(t, 16, func(t *testing.T, p *Pool, m *memory) {
			s, runner := c.runner(t, d)
			runner.Close()
			no := false
			s.Probe, s.Enabled, s.DisabledAt = true, &no, config.Position{File: "a.yml", Line: 3}
			s.newRunner = func(*dialect.Script, dialect.Memory) dialect.Runner {
				_, r := c.runner(t, d)
				return r
			}
			p.Reload(t.Context(), []*Script{s}, 16)
			time.Sleep(time.Hour)
			synctest.Wait()
			v, _ := p.View("s")
			if len(m.runs("s")) > 0 || v.State != Disabled || v.Last != nil || !v.Next.IsZero() || len(p.Late()) > 0 || p.Stalled(time.Minute) != "" {
				t.Errorf("ran %d times; %+v; late %q", len(m.runs("s")), v, p.Late())
			}
			if diff := cmp.Diff([]string{"does not run: enabled: false (a.yml:3)"}, v.Warnings); diff != "" {
				t.Error(diff)
			}
			if !m.has("s", func(b *record.Batch) bool { return b.Disabled }) {
				t.Error("no sink was told")
			}
			if _, err := p.Probe(t.Context(), "s", "", nil); !errors.Is(err, ErrDisabled) {
				t.Errorf("a probe gives %v", err)
			}
			moved := *s
			entry := *s.Script.Script
			entry.DisabledAt.Line = 9
			moved.Script.Script = &entry
			if moved.Fingerprint() != s.Fingerprint() {
				t.Error("where it stands makes another script of it")
			}
			p.Reload(t.Context(), []*Script{&moved}, 16)
			if v, _ := p.View("s"); v.Warnings[0] != "does not run: enabled: false (a.yml:9)" {
				t.Errorf("moved: %q", v.Warnings)
			}
		})
	})
}

// answers is a Runner whose Exec is not the script's.
type answers struct {
	dialect.Runner
	exec dialect.Exec
}

func (a answers) Run(ctx context.Context, _ dialect.Exec) *dialect.Result {
	return a.Runner.Run(ctx, a.exec)
}

// What is tried again is a run that failed, in every dialect: one that ended with an
// error, a signal or its timeout. A state that a plugin reports by its exit code is
// none, nor is a line that is refused.
func TestRetriesOfDialects(t *testing.T) {
	forEachDialect(t, func(t *testing.T, d dialect.Dialect, c contract) {
		if c.kept || c.folder {
			t.Skip("it starts no process for a run")
		}
		for _, first := range []struct {
			name    string
			printed string
			result  record.Result
			code    int
			again   bool
		}{
			{"good", c.good, record.OK, 0, false},
			{"refused lines", c.mixed, record.OK, 0, false},
			{"exit code 2", c.good, record.Error, 2, d.Name() != "nagios"},
			{"timeout", c.good, record.Timeout, -1, true},
			{"signal", "", record.Killed, -1, true},
		} {
			t.Run(first.name, func(t *testing.T) {
				inPool(t, 1, func(t *testing.T, p *Pool, m *memory) {
					s, runner := c.runner(t, d)
					s.Retries, s.Interval = 3, time.Hour
					tries := 0
					s.newRunner = func(*dialect.Script, dialect.Memory) dialect.Runner {
						return answers{runner, func(ctx context.Context, in dialect.Invocation) *process.Outcome {
							o := c.prints(c.good)(ctx, in)
							if _, asksElse := c.declares[strings.Join(in.Args, " ")]; asksElse {
								return o
							}
							if tries++; tries == 1 {
								o = c.prints(first.printed)(ctx, in)
								o.Result, o.ExitCode = first.result, first.code
								if first.result != record.OK {
									o.Err = errors.New("failed")
								}
							}
							return o
						}}
					}
					p.Reload(t.Context(), []*Script{s}, 1)
					for len(m.runs("s")) == 0 {
						time.Sleep(time.Minute)
						synctest.Wait()
					}
					runs := m.runs("s")
					if again := tries == 2; again != first.again || len(runs) != 1 || runs[0].Run.Result != record.OK {
						t.Errorf("%d tries; %d runs, %+v", tries, len(runs), runs[0].Run)
					}
				})
			})
		}
	})
}
