// Package prometheus is the dialect of scripts that print an exposition:
// prometheus.go runs one, package exposition reads what it prints; recognize.go
// tells the dialect.
package prometheus

import (
	"context"
	"errors"
	"fmt"
	"time"

	"scriptbridge/config"
	"scriptbridge/record"
	"scriptbridge/script/dialect"
	"scriptbridge/script/dialect/exposition"
	"scriptbridge/script/dialect/lines"
	"scriptbridge/script/process"
)

// Dialect runs what prints an exposition on standard output: the
// Prometheus text format 0.0.4 or OpenMetrics 1.0. Such scripts were written
// for script_exporter, or to fill files for node_exporter's textfile collector.
type Dialect struct{}

// Name is the dialect's.
func (Dialect) Name() string { return "prometheus" }

// Traits has no prefix: names stand as they are.
func (Dialect) Traits() dialect.Traits {
	return dialect.Traits{
		Interval: time.Minute, Timeout: 5 * time.Second, Verbatim: true,
		Options: options{},
	}
}

// options is `options` as it stands in the file.
type options struct {
	UseFailedOutput bool `yaml:"use_failed_output" default:"false" doc:"use the lines of a run that exited with a code other than 0"`
}

// Prepare reads the options.
func (Dialect) Prepare(given config.Options) (dialect.New, error) {
	var o options
	if err := given.Decode(&o); err != nil {
		return nil, err
	}
	return func(s *dialect.Script, _ dialect.Memory) dialect.Runner {
		return &runner{useFailedOutput: o.UseFailedOutput, honorTimestamps: s.HonorTimestamps, maxSamples: max(exposition.MaxSamples, s.MaxSeries)}
	}, nil
}

type runner struct {
	useFailedOutput bool
	honorTimestamps bool
	maxSamples      int
	// metas are the last run's, by the family's name: what did not change is
	// used again, so that sinks know it for the same.
	metas map[string]*record.Meta
}

// Close does nothing: no process outlives its run.
func (r *runner) Close() {}

// Run runs the command as it is. An output of which no line can be read says
// nothing of the script's series: the run is invalid, and the last ones stay.
func (r *runner) Run(ctx context.Context, run dialect.Exec) *dialect.Result {
	o := run(ctx, dialect.Invocation{})
	t := &dialect.Result{Outcomes: []*process.Outcome{o}, Output: o.Stdout}
	// What a run left that was cut short may end in half a value.
	if ended := o.Result == record.OK || o.Result == record.Error && o.ExitCode > 0 && r.useFailedOutput; !ended {
		t.Err = dropData(o)
		return t
	}
	t.Samples, r.metas, t.Err = exposition.Parse(o.Stdout, r.maxSamples, r.metas)
	t.Complete = true
	if r.honorTimestamps {
		t.Warnings = exposition.DropEarlyTimes(t.Samples)
	}
	if refused := record.LineErrors(t.Err); len(t.Samples) == 0 && len(refused) > 0 {
		t.Complete = false
		t.Failure = record.Invalid
		t.Err = errors.Join(fmt.Errorf("no line of the output can be used; the first that cannot: %s", refused[0].Error()), t.Err)
	}
	return t
}

// dropData refuses the samples of a run that failed.
func dropData(o *process.Outcome) error {
	return lines.Dropped(o, lines.Trimmed(o.Stdout), func(line []byte) bool { return len(line) > 0 && line[0] != '#' })
}
