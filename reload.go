package main

import (
	"context"
	"errors"
	"reflect"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/go-kit/log"
	"github.com/go-kit/log/level"
	"github.com/prometheus/client_golang/prometheus"

	"scriptbridge/collector"
	"scriptbridge/config"
	"scriptbridge/internal/fsx"
	"scriptbridge/receive"
	"scriptbridge/script"
)

// wanted is what a configuration asks for.
type wanted struct {
	cfg      *config.Config
	scripts  []*script.Script
	problems []error         // of the world: they cost one script each
	made     []string        // folders that were missing
	inputs   []config.Inputs // of receivers and uploads
}

// load reads a configuration and everything it names. Its one side effect is
// asked for by makeFolders: folders of discover that the dialect itself makes.
func load(file string, makeFolders bool) (*wanted, error) {
	cfg, err := config.Load(file)
	w := &wanted{cfg: cfg}
	if makeFolders && err == nil {
		w.made, w.problems = script.MakeFolders(cfg)
	}
	// Each room finds errors of its own, and all are worth telling at once.
	scripts, problems, errDialects := script.Resolve(cfg)
	if err := errors.Join(err, errDialects); err != nil {
		return nil, err
	}
	w.scripts, w.problems = scripts, append(w.problems, problems...)
	w.inputs = append(receive.InputsOf(&cfg.Receive), uploadInputs(&cfg.Upload)...)
	return w, nil
}

func (w *wanted) equal(other *wanted) bool {
	return len(w.made) == 0 && reflect.DeepEqual(w.cfg.Global, other.cfg.Global) &&
		w.cfg.Events == other.cfg.Events &&
		slices.EqualFunc(w.inputs, other.inputs, config.Inputs.Equal) &&
		errorTexts(w.problems) == errorTexts(other.problems) && slices.Equal(w.cfg.Warnings, other.cfg.Warnings) &&
		script.SameSet(w.scripts, other.scripts)
}

func errorTexts(errs []error) string {
	if len(errs) == 0 {
		return ""
	}
	return errors.Join(errs...).Error()
}

// reloader puts a configuration into force, by difference. A file that cannot
// be used changes nothing and is told in the log, to who asked, and on the page.
type reloader struct {
	file    string
	web     webPort
	logger  log.Logger
	sources *sources
	uploads *uploads
	page    *collector.Collector
	stream  *eventStream

	successful, at prometheus.Gauge

	mu      sync.Mutex // held for a whole reload, which may take long: no page and no scrape takes it
	current *wanted

	state sync.Mutex // of the last attempt
	good  time.Time
	bad   error
}

// register makes the gauges that tell how the last attempt went.
func (r *reloader) register(to prometheus.Registerer) {
	r.successful = prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "scriptbridge_config_last_reload_successful",
		Help: "Whether the last attempt to load the configuration succeeded.",
	})
	r.at = prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "scriptbridge_config_last_reload_success_timestamp_seconds",
		Help: "When a configuration was last put into force.",
	})
	to.MustRegister(r.successful, r.at)
}

// begin puts the configuration of the start into force.
func (r *reloader) begin(ctx context.Context) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.succeed(ctx, r.current)
	level.Info(r.logger).Log("msg", "the configuration is in force", "scripts", len(r.current.scripts), "receivers", len(receive.Names(&r.current.cfg.Receive)))
}

// reload reads the file again. Unless it was asked for, an unchanged
// configuration is left alone, and a bad one is told once.
func (r *reloader) reload(ctx context.Context, asked bool) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	w, err := fsx.Do(ctx, r.read)
	if ctx.Err() != nil { // it is the end
		return ctx.Err()
	}
	if err == nil && w.cfg.Events.Log != r.current.cfg.Events.Log {
		err = r.stream.use(w.cfg.Events.Log)
	}
	if err != nil {
		_, _, before := r.status()
		if asked || before == nil || before.Error() != err.Error() {
			for _, line := range strings.Split(err.Error(), "\n") {
				level.Error(r.logger).Log("msg", "the configuration was not loaded; the old one stays in force", "err", line)
			}
		}
		r.note(time.Time{}, err)
		return err
	}
	if !asked && w.equal(r.current) {
		if ok, _, _ := r.status(); !ok {
			level.Info(r.logger).Log("msg", "the configuration is well again, and unchanged")
			r.note(time.Time{}, nil)
		}
		return nil
	}
	r.succeed(ctx, w)
	level.Info(r.logger).Log("msg", "the configuration was reloaded", "scripts", len(w.scripts), "receivers", len(receive.Names(&w.cfg.Receive)))
	return nil
}

// read reads the file and all that it names, which may take long.
func (r *reloader) read() (*wanted, error) {
	w, err := load(r.file, true)
	if err != nil {
		return nil, err
	}
	return w, errors.Join(r.web.admits(w.cfg), r.uploads.admits(w.cfg))
}

// succeed puts w into force. The caller holds r.mu.
func (r *reloader) succeed(ctx context.Context, w *wanted) {
	for _, text := range w.cfg.Warnings {
		level.Warn(r.logger).Log("msg", text)
	}
	for _, folder := range w.made {
		level.Info(r.logger).Log("msg", "made the folder of scripts that was missing", "folder", folder)
	}
	for _, err := range w.problems {
		level.Warn(r.logger).Log("msg", "a script is left out", "err", err)
	}
	r.page.SetRetention(w.cfg.Events.Retention)
	r.uploads.reload(ctx, &w.cfg.Upload) // before there is anything to send
	r.sources.reload(ctx, w)
	r.current = w
	r.note(time.Now(), nil)
	r.at.SetToCurrentTime()
}

// note keeps how an attempt went; at is zero when nothing was put into force.
func (r *reloader) note(at time.Time, err error) {
	r.state.Lock()
	defer r.state.Unlock()
	if !at.IsZero() {
		r.good = at
	}
	r.bad = err
	r.successful.Set(0)
	if err == nil {
		r.successful.Set(1)
	}
}

// untilLook is how long to wait before looking for changes: as long as
// --config.auto-reload-interval says, but no longer than a round of folders
// whose scripts run at multiples of an interval. Looks come shortly before
// such a multiple, so that a script dropped in runs within a round.
func (r *reloader) untilLook(now time.Time, every time.Duration) time.Duration {
	r.mu.Lock()
	round := script.Round(r.current.cfg)
	r.mu.Unlock()
	if round == 0 {
		return every
	}
	every = min(every, round)
	lead := min(time.Second, every/4)
	return every - time.Duration(now.Add(lead).UnixNano()%int64(every))
}

// status tells the status page when a configuration was last put into force,
// and why the last attempt failed, if it did.
func (r *reloader) status() (ok bool, at time.Time, err error) {
	r.state.Lock()
	defer r.state.Unlock()
	return r.bad == nil, r.good, r.bad
}
