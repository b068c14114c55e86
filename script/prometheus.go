package script

import (
	"context"
	"errors"
	"fmt"
	"time"

	"scriptbridge/config"
	"scriptbridge/record"
	"scriptbridge/script/process"
)

// prometheusDialect runs what prints an exposition on standard output: the
// Prometheus text format 0.0.4 or OpenMetrics 1.0. Such scripts were written
// for script_exporter, or to fill files for node_exporter's textfile collector.
var prometheusDialect = Dialect{
	Name:     "prometheus",
	Interval: time.Minute,
	Timeout:  5 * time.Second,
	Verbatim: true,
	Prepare:  preparePrometheus,
}

// promMaxSamples bounds what one run may give, where the operator's max_series
// is not more.
const promMaxSamples = 100_000

// prometheusOptions is `options` as it stands in the file.
type prometheusOptions struct {
	UseFailedOutput bool `yaml:"use_failed_output"`
}

func preparePrometheus(given config.Options) (New, error) {
	var o prometheusOptions
	if err := given.Decode(&o); err != nil {
		return nil, err
	}
	return func(s *Script, _ Memory) Runner {
		return &prometheusRunner{useFailedOutput: o.UseFailedOutput, honorTimestamps: s.HonorTimestamps, maxSamples: max(promMaxSamples, s.MaxSeries)}
	}, nil
}

type prometheusRunner struct {
	useFailedOutput bool
	honorTimestamps bool
	maxSamples      int
	// metas are the last run's, by the family's name: what did not change is
	// used again, so that sinks know it for the same.
	metas map[string]*record.Meta
}

// Close does nothing: no process outlives its turn.
func (r *prometheusRunner) Close() {}

// Run runs the command as it is. An output of which no line can be read says
// nothing of the script's series: the run is invalid, and the last ones stay.
func (r *prometheusRunner) Run(ctx context.Context, run Exec) *Result {
	o := run(ctx, Invocation{})
	t := &Result{Outcomes: []*process.Outcome{o}, Output: o.Stdout}
	// What a run left that was cut short may end in half a value.
	if ended := o.Result == record.OK || o.Result == record.Error && o.ExitCode > 0 && r.useFailedOutput; !ended {
		t.Err = dropPrometheus(o)
		return t
	}
	t.Samples, r.metas, t.Err = parsePrometheus(o.Stdout, r.maxSamples, r.metas)
	t.Complete = true
	if r.honorTimestamps {
		t.Warnings = dropEarlyTimes(t.Samples)
	}
	if refused := record.LineErrors(t.Err); len(t.Samples) == 0 && len(refused) > 0 {
		t.Complete = false
		t.Failure = record.Invalid
		t.Err = errors.Join(fmt.Errorf("no line of the output can be used; the first that cannot: %s", refused[0].Error()), t.Err)
	}
	return t
}

// promEarliest is the begin of 2001, which no sample of a script that runs now
// is of: such times are seconds where milliseconds are asked for, and Prometheus
// would drop their samples as too old.
var promEarliest = time.Date(2001, 1, 1, 0, 0, 0, 0, time.UTC)

// dropEarlyTimes takes away the times before that, and warns of the first.
func dropEarlyTimes(samples []record.Sample) (warnings []string) {
	for i := range samples {
		if s := &samples[i]; !s.Time.IsZero() && s.Time.Before(promEarliest) {
			s.Time = time.Time{}
			if warnings == nil {
				warnings = []string{fmt.Sprintf("the time of %s is before 2001, and such times are not used: the text format has milliseconds, and OpenMetrics, which ends in a line # EOF, seconds", s.Name)}
			}
		}
	}
	return warnings
}
