//go:build unix

package script_test

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"testing"
	"time"

	"scriptbridge/config"
	"scriptbridge/record"
	"scriptbridge/script"
	"scriptbridge/script/dialect"
	"scriptbridge/script/dialect/all"
	"scriptbridge/script/dialect/lines"
	"scriptbridge/script/process"
	"scriptbridge/script/process/processtest"
)

// toy is a dialect of lines `NAME: VALUE`. This one value is all that it takes.
type toy struct{}

func (toy) Name() string { return "toy" }

func (toy) Traits() dialect.Traits {
	return dialect.Traits{Prefix: "toy", Interval: time.Minute, Timeout: 5 * time.Second}
}

func (toy) Prepare(given config.Options) (dialect.New, error) {
	if err := given.Decode(new(struct{})); err != nil {
		return nil, err
	}
	return func(*dialect.Script, dialect.Memory) dialect.Runner { return toyRunner{} }, nil
}

var toyLine = regexp.MustCompile(`^(\w+): (\S+)$`)

func (toy) Recognition() dialect.Recognition {
	return dialect.Recognition{Output: func(o *process.Outcome) (clue dialect.Clue) {
		if first, _, _ := bytes.Cut(o.Stdout, []byte("\n")); toyLine.Match(first) {
			clue = dialect.Clue{Strength: dialect.Strong, Why: "its lines have a colon"}
		}
		return clue
	}}
}

type toyRunner struct{}

func (toyRunner) Close() {}

func (toyRunner) Run(ctx context.Context, exec dialect.Exec) *dialect.Result {
	o := exec(ctx, dialect.Invocation{})
	r := &dialect.Result{Outcomes: []*process.Outcome{o}, Output: o.Stdout, Complete: true}
	var refused lines.Refusals
	number := 0
	for line := range lines.Trimmed(o.Stdout) {
		number++
		m := toyLine.FindSubmatch(line)
		if m == nil {
			refused.Add(number, line, "no_toy", fmt.Errorf("%q is no toy", line))
			continue
		}
		value, err := strconv.ParseFloat(string(m[2]), 64)
		if err != nil {
			refused.Add(number, line, "not_a_number", fmt.Errorf("%q is no number", m[2]))
			continue
		}
		r.Samples = append(r.Samples, record.Sample{Name: string(m[1]), Value: value, Line: number})
	}
	r.Err = refused.Err()
	return r
}

type batches struct{ all []*record.Batch }

func (b *batches) Put(batch *record.Batch) error {
	b.all = append(b.all, batch)
	return nil
}

// A new dialect is one folder and one line: a table with one more dialect is
// resolved, run, judged and recognised without anything else being told of it.
func TestToyDialect(t *testing.T) {
	table := append(slices.Clone(all.Dialects), toy{})
	path := processtest.WriteScript(t, "toy.sh", "#!/bin/sh\necho 'queue: 5'\necho 'load: high'\necho 'size: 2.5'\n", 0o700)
	file := filepath.Join(filepath.Dir(path), "scriptbridge.yml")
	if err := os.WriteFile(file, []byte("scripts: [{name: a, dialect: toy, command: ./toy.sh}]\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	loaded, err := script.Load(table, file, false, nil)
	if err != nil || len(loaded.Problems) > 0 {
		t.Fatal(err, loaded.Problems)
	}
	sink := &batches{}
	pool := script.NewPool(sink, processtest.Logger(t), 1)
	defer pool.Close()
	v := pool.Once(t.Context(), loaded.Scripts)[0].Last
	if v == nil || v.Result != record.OK || v.Samples != 2 || v.Reasons["not_a_number"] != 1 || v.Refused != 1 {
		t.Errorf("the run is judged %+v", v)
	}
	if n := len(sink.all); n != 1 || len(sink.all[0].Samples) != 2 || sink.all[0].Source.Prefix != "toy" || sink.all[0].Run.Interval != time.Minute {
		t.Errorf("the sink has %d batches: %+v", n, sink.all)
	}
	name, why, err := pool.Guess(t.Context(), table, loaded.Scripts[0].Script.Script)
	if name != "toy" || why != "its lines have a colon" || err != nil {
		t.Errorf("it is recognised as %q, since %q, %v", name, why, err)
	}

	// Without its line there is no such dialect.
	want := file + `:1: script "a": dialect "toy" is not known (known: coscale, instrumental, nagios, prometheus, scalyr, textfile)`
	if _, err := script.Load(all.Dialects, file, false, nil); err == nil || err.Error() != want {
		t.Errorf("without it: %v\nwant %s", err, want)
	}
	if name, _, err := pool.Guess(t.Context(), all.Dialects, loaded.Scripts[0].Script.Script); name == "toy" || err != nil {
		t.Errorf("without it the script is taken for %s, %v", name, err)
	}
}
