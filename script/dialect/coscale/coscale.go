// Package coscale is the dialect of scripts for the CoScale agent's generic
// script plugin: coscale.go runs one, config.go reads what -c prints (loose.go
// its JSON), data.go and event.go what -d prints (words.go its words).
// advice.go explains failures that are known from such scripts; recognize.go
// tells the dialect.
package coscale

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"time"

	"scriptbridge/config"
	"scriptbridge/record"
	"scriptbridge/script/dialect"
	"scriptbridge/script/process"
)

// Dialect runs what was written for the CoScale agent's generic script
// plugin: `-c` prints the declaration as JSON, `-d` the data, a line a value.
type Dialect struct{}

// Name is the dialect's.
func (Dialect) Name() string { return "coscale" }

// Traits are those of the vendor's agent.
func (Dialect) Traits() dialect.Traits {
	return dialect.Traits{
		Prefix: "coscale", Interval: defaultInterval, Timeout: 5 * time.Second, Arguments: true, Declares: true,
		Options: options{},
	}
}

const (
	defaultInterval = time.Minute
	// A declaration is read again after this long: a script may declare one
	// metric a unit, and units come and go (the agent asked at restart only).
	configAge = time.Hour
	// The first retry of a failing -c; each next one waits twice as long.
	firstRetry = 5 * time.Second
)

// options is `options` as it stands in the file.
type options struct {
	ConfigTimeout   time.Duration `yaml:"config_timeout" default:"1s" doc:"timeout of a run with '-c'; slow interpreters need more"` // as the vendor's agent killed one
	UseFailedOutput bool          `yaml:"use_failed_output" default:"false" doc:"use the lines of a run with '-d' that exited with a code other than 0"`
}

// Prepare reads the options.
func (Dialect) Prepare(given config.Options) (dialect.New, error) {
	var o options
	if err := given.Decode(&o); err != nil {
		return nil, err
	}
	if o.ConfigTimeout <= 0 {
		return nil, errors.New("options.config_timeout must be above 0 (write it like 5s)")
	}
	return func(s *dialect.Script, _ dialect.Memory) dialect.Runner {
		return &runner{script: s, configTimeout: o.ConfigTimeout, useFailedOutput: o.UseFailedOutput}
	}, nil
}

// runner keeps a script's declaration between runs.
type runner struct {
	script          *dialect.Script
	configTimeout   time.Duration
	useFailedOutput bool

	config *configuration // the last good one; nil: none yet
	read   time.Time      // when that was
	file   os.FileInfo    // the script's file as it was at the last -c; nil: not seen
	// trouble says why the last -c failed although config is there.
	trouble []string
	backoff time.Duration // 0: the last -c was good
	retry   time.Time     // no further -c before, unless the file changes
}

// Close does nothing: no process outlives its run.
func (r *runner) Close() {}

// Run asks for the declaration when that is due, then for the data.
func (r *runner) Run(ctx context.Context, run dialect.Exec) *dialect.Result {
	t := new(dialect.Result)
	if r.due() {
		r.configure(ctx, run, t)
	}
	if r.config == nil || ctx.Err() != nil {
		return t
	}
	t.Interval, t.Timeout = r.config.period, r.config.maxRuntime
	r.collect(ctx, run, t)
	return t
}

// due reports whether -c is to be asked in this run.
func (r *runner) due() bool {
	now := time.Now()
	switch {
	case r.config == nil || r.changedFile() != nil:
		return true
	case r.backoff > 0:
		return !now.Before(r.retry)
	default:
		return now.Sub(r.read) >= configAge
	}
}

// changedFile gives the script's file as it is now when that differs from what
// it was at the last -c; nil when it does not. A file that cannot be looked at
// has not changed: its run will say what is wrong with it.
func (r *runner) changedFile() os.FileInfo {
	if r.script.File == "" {
		return nil
	}
	now, err := os.Stat(r.script.File)
	if err != nil {
		return nil
	}
	was := r.file
	if was != nil && os.SameFile(was, now) && was.Size() == now.Size() && was.ModTime().Equal(now.ModTime()) {
		return nil
	}
	return now
}

// configure runs -c. When it fails, the last good declaration stays, and the
// failure is a warning; when there is none, it is the run's error.
func (r *runner) configure(ctx context.Context, run dialect.Exec, t *dialect.Result) {
	changed := r.changedFile() // before the run: a change during it is then seen
	o := run(ctx, dialect.Invocation{Args: []string{"-c"}, Timeout: r.configTimeout})
	t.Outcomes = append(t.Outcomes, o)
	if ctx.Err() != nil {
		return // cut short by us: it says nothing of the script
	}
	if changed != nil {
		r.file, r.backoff = changed, 0
	}
	c, err := r.understand(o)
	if c != nil {
		r.config, r.read = c, time.Now()
		r.backoff, r.trouble = 0, nil
		t.Declared, t.Err = c.declared, err
		return
	}
	r.postpone()
	if r.config != nil {
		// Not o.Err by %w: the run may still be a good one.
		r.trouble = []string{fmt.Sprintf("the last good declaration stays in use: %v", errors.Join(o.Err, err))}
		return
	}
	t.Err, t.Output, t.RetryAfter = err, o.Stdout, r.backoff
	if o.Result == record.OK {
		t.Failure = record.Invalid
	}
}

// understand reads what -c printed. Without a configuration the error is why;
// with one it holds the declared things that were refused.
func (r *runner) understand(o *process.Outcome) (*configuration, error) {
	switch o.Result {
	case record.OK:
		c, err := parseConfig(o.Stdout)
		if c == nil {
			return nil, advise(r.script, err)
		}
		c.maxSamples = max(c.maxSamples, r.script.MaxSeries)
		if r.script.Timeout == 0 {
			c.warnings = slices.Concat(c.runTimeWarnings, c.warnings)
		}
		if r.script.Interval == 0 {
			c.warnings = slices.Concat(c.periodWarnings, c.warnings)
		}
		return c, err
	case record.Timeout:
		return nil, fmt.Errorf("-c must print the configuration within %s (a slow script gets longer by options: {config_timeout: %s})",
			r.configTimeout, max(5*time.Second, 2*r.configTimeout))
	case record.Error:
		// With these two a shell, env or nice says that there was nothing to run.
		if o.ExitCode > 0 && o.ExitCode != process.NotExecutable && o.ExitCode != process.NotFound {
			return nil, errors.New("-c must print the configuration and exit with 0")
		}
	}
	return nil, nil // the outcome's own error says it all
}

// postpone doubles the wait for the next -c: up to the interval while nothing
// can be measured, up to the usual age while the old declaration serves.
func (r *runner) postpone() {
	most := configAge
	if r.config == nil {
		most = cmp.Or(r.script.Interval, r.script.FallbackInterval, defaultInterval)
	}
	r.backoff = min(max(2*r.backoff, firstRetry), most)
	r.retry = time.Now().Add(r.backoff)
}

// collect runs -d.
func (r *runner) collect(ctx context.Context, run dialect.Exec, t *dialect.Result) {
	o := run(ctx, dialect.Invocation{
		Args:    []string{"-d"},
		Timeout: cmp.Or(r.script.Timeout, r.config.maxRuntime, r.script.FallbackTimeout),
	})
	t.Outcomes = append(t.Outcomes, o)
	t.Output = o.Stdout
	// What a run left that was cut short may end in half a value; only one
	// that ended by itself can be trusted against its own exit code.
	ended := o.Result == record.OK || o.Result == record.Error && o.ExitCode > 0 && r.useFailedOutput
	if !ended {
		t.Err = errors.Join(t.Err, dropData(o))
		t.Warnings = slices.Concat(r.config.warnings, r.trouble)
		return
	}
	samples, events, warnings, err := parseData(r.config, o.Stdout, o.End)
	t.Complete, t.Samples, t.Events = true, samples, events
	t.Err = errors.Join(t.Err, err)
	t.Warnings = slices.Concat(r.config.warnings, r.trouble, warnings)
}
