package script

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"testing"
	"testing/fstest"
	"testing/synctest"
	"time"

	"github.com/go-kit/log"
	"github.com/google/go-cmp/cmp"

	"scriptbridge/config"
	"scriptbridge/record"
	"scriptbridge/script/dialect"
	"scriptbridge/script/dialect/all"
	"scriptbridge/script/process"
)

// lodger is a Keeper whose lives are functions.
type lodger struct {
	player
	live func(ctx context.Context, n int, life dialect.Session) *dialect.Result // n counts from 1
}

func (k *lodger) Keep(ctx context.Context, _ dialect.Exec, life dialect.Session) *dialect.Result {
	k.mu.Lock()
	k.starts = append(k.starts, time.Now())
	n := len(k.starts)
	k.mu.Unlock()
	return k.live(ctx, n, life)
}

func (k *lodger) Inspect(ctx context.Context, _ dialect.Exec) error {
	if k.live == nil {
		return errors.New("no life")
	}
	return nil
}

// sampling is a life that samples every second, for as long as d.
func sampling(d time.Duration) func(context.Context, int, dialect.Session) *dialect.Result {
	return func(ctx context.Context, _ int, life dialect.Session) *dialect.Result {
		ctx, cancel := context.WithTimeout(ctx, d)
		defer cancel()
		for ctx.Err() == nil {
			life.Put(&dialect.Result{Outcomes: []*process.Outcome{dialect.Instant(time.Now(), time.Millisecond)}, MaxAge: time.Minute, Interval: time.Second})
			select {
			case <-time.After(time.Second):
			case <-ctx.Done():
			}
		}
		return &dialect.Result{Outcomes: []*process.Outcome{{Result: record.Error, ExitCode: 3, Err: errors.New("exited with code 3"), End: time.Now()}}}
	}
}

func newKept(name string, k *lodger) *Script {
	s := newTestScript(name, 0, &k.player)
	s.newRunner = func(*dialect.Script, dialect.Memory) dialect.Runner { return k }
	return s
}

// A kept script that ends is started again: after a second, then after twice as
// long each time, five minutes at most; one that lived long begins anew. Every
// batch and every end is a run.
func TestKeepBackoff(t *testing.T) {
	inPool(t, 1, func(t *testing.T, p *Pool, m *memory) {
		k := &lodger{}
		k.live = func(ctx context.Context, n int, life dialect.Session) *dialect.Result {
			if n == 14 {
				return sampling(11*time.Minute)(ctx, n, life)
			}
			return sampling(1500*time.Millisecond)(ctx, n, life)
		}
		p.Reload(t.Context(), []*Script{newKept("s", k)}, 1)
		time.Sleep(2 * time.Hour)
		synctest.Wait()
		var gaps []time.Duration
		for i := 1; i < 17; i++ {
			lived := 1500 * time.Millisecond
			if i == 14 {
				lived = 11 * time.Minute
			}
			gaps = append(gaps, k.starts[i].Sub(k.starts[i-1])-lived)
		}
		s := time.Second
		want := []time.Duration{s, 2 * s, 4 * s, 8 * s, 16 * s, 32 * s, 64 * s, 128 * s, 256 * s, 300 * s, 300 * s, 300 * s, 300 * s, s, 2 * s, 4 * s}
		if diff := cmp.Diff(want, gaps); diff != "" {
			t.Errorf("pauses (-want +got):\n%s", diff)
		}
		runs := m.runs("s")
		results := []record.Result{runs[0].Run.Result, runs[1].Run.Result, runs[2].Run.Result, runs[3].Run.Result}
		if diff := cmp.Diff([]record.Result{record.OK, record.OK, record.Error, record.OK}, results); diff != "" {
			t.Errorf("results (-want +got):\n%s", diff)
		}
		if b := runs[0]; b.MaxAge != time.Minute || b.Complete || b.Run.Interval != time.Second || b.Run.Duration != time.Millisecond {
			t.Errorf("a batch: %+v, %+v", b, b.Run)
		}
		if b := runs[2]; b.Run.ExitCode != 3 || b.Err == nil {
			t.Errorf("an end: %+v, %+v", b, b.Run)
		}
	})
}

// Those who are kept alive hold no place once they have spoken, or after ten
// seconds: all get their start, and scripts that are run get their runs.
func TestKeepPlaces(t *testing.T) {
	inPool(t, 1, func(t *testing.T, p *Pool, m *memory) {
		var scripts []*Script
		var kept []*lodger
		for i := range 3 {
			k := &lodger{live: sampling(time.Hour)}
			if i == 0 { // it does not speak
				k.live = func(ctx context.Context, _ int, _ dialect.Session) *dialect.Result {
					<-ctx.Done()
					return &dialect.Result{}
				}
			}
			kept = append(kept, k)
			scripts = append(scripts, newKept(fmt.Sprint("k", i), k))
		}
		run := &player{play: lasting(time.Second)}
		scripts = append(scripts, newTestScript("run", 30*time.Second, run))
		p.Reload(t.Context(), scripts, 1)
		time.Sleep(10*time.Second + 5*time.Second)
		synctest.Wait()
		for i, k := range kept {
			if k.count() != 1 {
				t.Errorf("kept script %d was started %d times", i, k.count())
			}
		}
		if run.count() != 1 || p.Running() != 0 || p.Waiting() != 0 {
			t.Errorf("the script ran %d times; %d hold a place, %d wait", run.count(), p.Running(), p.Waiting())
		}
		if v, _ := p.View("k1"); v.State != Running {
			t.Errorf("a script that is alive is %s", v.State)
		}
	})
}

// A reload leaves an unchanged one alone, also one whose file is the same, and
// starts one anew whose file has changed.
func TestKeepReload(t *testing.T) {
	inPool(t, 1, func(t *testing.T, p *Pool, m *memory) {
		k := &lodger{live: sampling(time.Hour)}
		first := newKept("s", k)
		first.version = fileVersion{1, 2}
		p.Reload(t.Context(), []*Script{first}, 1)
		time.Sleep(time.Minute)
		same := newKept("s", k)
		same.version = fileVersion{1, 2}
		p.Reload(t.Context(), []*Script{same}, 1)
		time.Sleep(time.Minute)
		if k.count() != 1 {
			t.Errorf("started %d times though nothing has changed", k.count())
		}
		changed := newKept("s", k)
		changed.version = fileVersion{1, 3}
		p.Reload(t.Context(), []*Script{changed}, 1)
		time.Sleep(time.Minute)
		if k.count() != 2 {
			t.Errorf("started %d times, want again for a changed file", k.count())
		}
		p.Reload(t.Context(), nil, 1)
		if !m.has("s", func(b *record.Batch) bool { return b.Gone }) {
			t.Error("it is not gone")
		}
		for _, b := range m.runs("s") {
			if b.Run.Result != record.OK {
				t.Fatalf("an end that we wanted is told as %+v", b.Run)
			}
		}
	})
}

// What a script is given and cannot be read just now changes nothing; what is
// known of it stays known.
func TestKeepUnknown(t *testing.T) {
	inPool(t, 1, func(t *testing.T, p *Pool, _ *memory) {
		k := &lodger{live: sampling(time.Hour)}
		var before []*Script
		for i, c := range []struct {
			inputs string
			starts int
			same   bool
		}{{"one", 1, false}, {"", 1, true}, {"one", 1, true}, {"", 1, true}, {"two", 2, false}} {
			s := newKept("s", k)
			s.inputs = c.inputs
			if SameSet([]*Script{s}, before) != c.same {
				t.Errorf("%d: that a reload changes nothing is %t", i, !c.same)
			}
			p.Reload(t.Context(), []*Script{s}, 1)
			before = []*Script{s}
			time.Sleep(time.Minute)
			if k.count() != c.starts {
				t.Errorf("%d: started %d times", i, k.count())
			}
		}
	})
}

// Once waits for the next run of a script that goes on living in between.
func TestKeepOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := &memory{}
		p := NewPool(m, log.NewNopLogger(), 1)
		scripts := []*Script{newKept("s", &lodger{live: sampling(time.Hour)})}
		var ends []time.Duration
		begin := time.Now()
		for range 3 {
			views := p.Once(t.Context(), scripts)
			if views[0].Last == nil || views[0].Last.Result != record.OK {
				t.Fatalf("%+v", views[0])
			}
			ends = append(ends, time.Since(begin))
		}
		if diff := cmp.Diff([]time.Duration{0, time.Second, 2 * time.Second}, ends); diff != "" {
			t.Errorf("rounds ended (-want +got):\n%s", diff)
		}
		p.Close()
	})
}

func TestInspect(t *testing.T) {
	inPool(t, 1, func(t *testing.T, p *Pool, m *memory) {
		errs := p.Inspect(t.Context(), []*Script{
			newKept("bad", &lodger{}), newTestScript("run", time.Minute, &player{}), newKept("good", &lodger{live: sampling(time.Hour)}),
		})
		if len(errs) != 3 || errs[0] == nil || errs[0].Error() != "no life" || errs[1] != nil || errs[2] != nil {
			t.Errorf("got %v", errs)
		}
	})
}

// withFiles is a dialect that needs files.
type withFiles struct {
	fakeDialect
	files fs.FS
}

func (d withFiles) Files() fs.FS { return d.files }

func TestUnpacked(t *testing.T) {
	temp := t.TempDir()
	t.Setenv("TMPDIR", temp)
	t.Setenv("TMP", temp) // Windows'
	modes := runtime.GOOS != "windows"
	d := withFiles{files: fstest.MapFS{"host.py": {Data: []byte("host")}, "pkg/sub/__init__.py": {Data: []byte("init")}}}
	var u unpacked
	path, err := u.path(d, "host.py", nil)
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Dir(path)
	mode := func() os.FileMode {
		info, err := os.Stat(dir)
		if err != nil {
			t.Fatal(err)
		}
		return info.Mode().Perm()
	}
	if modes && mode() != 0o700 {
		t.Errorf("the folder has mode %v", mode())
	}
	if data, err := os.ReadFile(filepath.Join(dir, "pkg/sub/__init__.py")); string(data) != "init" {
		t.Errorf("got %q, %v", data, err)
	}
	if again, err := u.path(d, "host.py", &process.Account{UID: uint32(os.Geteuid()) + 1}); again != path || err != nil || modes && mode() != 0o755 {
		t.Errorf("again it is %s, %v, mode %v", again, err, mode())
	}
	// Somebody cleans up.
	if err := os.RemoveAll(filepath.Join(dir, "pkg")); err != nil {
		t.Fatal(err)
	}
	again, err := u.path(d, "pkg/sub/__init__.py", nil)
	if data, _ := os.ReadFile(again); err != nil || string(data) != "init" {
		t.Errorf("a file that was lost is not back: %q, %v", data, err)
	}
	u.remove(log.NewNopLogger())
	if left, _ := filepath.Glob(filepath.Join(os.TempDir(), "*")); len(left) != 0 {
		t.Errorf("left behind: %v", left)
	}
}

// The configuration says what a kept script must not have.
func TestModularScripts(t *testing.T) {
	set := config.Settings{Dialect: "scalyr", Probe: true}
	set.Options, _ = config.OptionsFrom(map[string]string{"module": "m"})
	c, err := config.NewModule("", set)
	if err != nil {
		t.Fatal(err)
	}
	_, _, err = Resolve(all.Dialects, &config.Config{Scripts: []*config.Script{c}})
	if err == nil || err.Error() != `script "m": probe is not for the dialect scalyr, whose scripts run all the time` {
		t.Errorf("probe: %v", err)
	}
	if c, err = config.NewScript("", []string{"/bin/true"}, "/", set); err != nil {
		t.Fatal(err)
	}
	c.Probe = false
	_, _, err = Resolve(all.Dialects, &config.Config{Scripts: []*config.Script{c}})
	if err == nil || err.Error() != `script "true": a command is not for the dialect scalyr: options name the module` {
		t.Errorf("command: %v", err)
	}
}
