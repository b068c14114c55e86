package script

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"runtime"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-kit/log"

	"scriptbridge/record"
	"scriptbridge/script/dialect"
)

// verdicts are runs that differ in each field from one that went well.
func verdicts(t *testing.T) (all []*Verdict) {
	t.Helper()
	values := map[string]any{
		"Result": record.Limit, "Err": errors.New("it failed"), "Reasons": map[string]int{"syntax": 2},
		"Answer": &dialect.Answer{State: "WARNING", Text: "it is late"}, "Lines": []*record.LineError{{Line: 1}},
		"Start": time.Unix(1_800_000_000, 123), "Duration": 3 * time.Millisecond, "Waited": time.Second,
	}
	for f := range reflect.TypeFor[Verdict]().Fields() {
		v := &Verdict{Start: time.Unix(1_700_000_000, 5), Result: record.OK}
		switch field, value := reflect.ValueOf(v).Elem().FieldByIndex(f.Index), values[f.Name]; {
		case value != nil:
			field.Set(reflect.ValueOf(value))
		case field.CanInt():
			field.SetInt(7)
		default:
			field.SetString("a text")
		}
		all = append(all, v)
	}
	return all
}

func (h History) slice() (all []*Verdict) {
	for _, v := range h.All() {
		all = append(all, &v)
	}
	return all
}

// TestHistory: a run of the history tells all that it told when it was the last, but the
// lines.
func TestHistory(t *testing.T) {
	all := verdicts(t)
	for i, v := range all {
		next := all[(i+1)%len(all)]
		for name, pair := range map[string][]*Verdict{"one": {v}, "twice": {v, v}, "another before": {v, next}, "another behind": {next, v}} {
			var wanted []*Verdict
			for _, v := range pair {
				one := *v
				one.Lines = nil
				wanted = append(wanted, &one)
			}
			if got := HistoryOf(pair...).slice(); !reflect.DeepEqual(got, wanted) {
				t.Errorf("%s of %+v: got %+v", name, *v, *got[0])
			}
		}
	}
}

// TestHistoryKept: there are as many as are kept, the newest first, and what somebody has
// been given stays as it was.
func TestHistoryKept(t *testing.T) {
	var h History
	for i := range 3 * historyMax {
		before, seen := h, h.slice()
		h = h.with(&Verdict{Start: time.Unix(int64(i), 0), Result: record.OK, Samples: i})
		if !reflect.DeepEqual(before.slice(), seen) {
			t.Fatal("a history that somebody has was changed")
		}
		for j, v := range h.All() {
			if v.Samples != i-j {
				t.Fatalf("run %d of %d: %d", j, i, v.Samples)
			}
		}
		if h.Len() != min(i+1, historyMax) || h.Newest(5).Len() != min(i+1, 5) {
			t.Fatalf("%d runs after %d", h.Len(), i+1)
		}
	}
}

// TestHistorySmall: runs that are over are few bytes each, also of a script that fails each
// time in the same words.
func TestHistorySmall(t *testing.T) {
	const most = 800 // bytes of a script, 20 runs of which are kept
	for name, v := range map[string]Verdict{
		"well":   {Result: record.OK, Samples: 3},
		"failed": {Result: record.Error, ExitCode: 1, Err: errors.New("exit code 1"), Stderr: "cannot connect", Lines: make([]*record.LineError, linesKept)},
		"nagios": {Result: record.OK, Answer: &dialect.Answer{State: "OK", Text: "all is well"}},
	} {
		t.Run(name, func(t *testing.T) {
			const scripts = 1000
			all := make([]History, scripts)
			var before, after runtime.MemStats
			runtime.GC()
			runtime.ReadMemStats(&before)
			for i := range all {
				for j := range 25 {
					run := v // each run has errors and texts of its own
					run.Start = time.Unix(int64(j), 0)
					if v.Err != nil {
						run.Err, run.Stderr = fmt.Errorf("%w", v.Err), fmt.Sprint(v.Stderr)
					}
					all[i] = all[i].with(&run)
				}
			}
			runtime.GC()
			runtime.ReadMemStats(&after)
			if each := int64(after.HeapAlloc-before.HeapAlloc) / scripts; each > most {
				t.Errorf("%d bytes a script, %d are allowed", each, most)
			}
			runtime.KeepAlive(all)
		})
	}
}

// discard is a sink that keeps nothing.
type discard struct{}

func (discard) Put(*record.Batch) error { return nil }

// TestWaitingSmall: what a script keeps between its runs, but for its configuration, is little.
func TestWaitingSmall(t *testing.T) {
	const scripts, most = 500, 3100 // bytes of each
	synctest.Test(t, func(t *testing.T) {
		p := NewPool(discard{}, log.NewNopLogger(), 16)
		play := func(context.Context, int) *dialect.Result {
			time.Sleep(time.Millisecond)
			return &dialect.Result{Samples: []record.Sample{{Name: "length"}, {Name: "done"}, {Name: "age"}}}
		}
		var all []*Script
		for i := range scripts {
			all = append(all, newTestScript(fmt.Sprint("s", i), time.Minute, &player{play: play, starts: make([]time.Time, 0, 100)}))
			all[i].Fingerprint()
		}
		inUse := func() int64 {
			synctest.Wait()
			runtime.GC()
			runtime.GC() // what pools kept
			var m runtime.MemStats
			runtime.ReadMemStats(&m)
			return int64(m.HeapAlloc)
		}
		before := inUse()
		p.Reload(t.Context(), all, 16)
		time.Sleep(25*time.Minute + 30*time.Second)
		if each := (inUse() - before) / scripts; each > most {
			t.Errorf("%d bytes a script, %d are allowed", each, most)
		} else {
			t.Logf("%d bytes a script", each)
		}
		p.Close()
	})
}
