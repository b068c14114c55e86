package main

import (
	"context"
	"errors"
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
	"scriptbridge/internal/panics"
	"scriptbridge/internal/trust"
	"scriptbridge/receive"
	"scriptbridge/script"
	dialects "scriptbridge/script/dialect/all"
	"scriptbridge/upload"
	"scriptbridge/upload/all"
)

// desired is what a configuration asks for.
type desired struct {
	*script.Loaded
	fingerprint string // of all but the scripts
}

// load reads a configuration and everything it names. Its one side effect is
// script.Load's, if makeFolders asks for it. trusted is as in config.Load.
func load(file string, makeFolders bool, trusted *trust.Policy) (*desired, error) {
	return loadAfter(nil, file, makeFolders, trusted)
}

// loadAfter is load, where before, if it is not nil, was loaded before: see config.LoadAfter.
func loadAfter(before *config.Config, file string, makeFolders bool, trusted *trust.Policy) (*desired, error) {
	return config.Guarded(file, func() (*desired, error) {
		l, err := script.LoadAfter(before, dialects.Dialects, file, makeFolders, trusted)
		if err != nil {
			return nil, err
		}
		return &desired{l, config.Fingerprint(nil,
			l.Config.Global, l.Config.Events, l.Config.Textfile, errorTexts(l.Config.Warnings), errorTexts(l.Problems),
			receive.Fingerprint(&l.Config.Receive), all.Types.Fingerprint(&l.Config.Upload),
		)}, nil
	})
}

// rehearse makes the receivers and uploads that w asks for, and puts them to no
// work. What keeps one from being made costs that one alone, and is told when it
// is to work; a mistake of ours in the making is an error, before anything has
// changed.
func (w *desired) rehearse() error {
	_, err := config.Guarded(w.Config.File, func() (any, error) {
		checkReceivers(w)
		all.Types.Check(w.Config)
		return nil, nil
	})
	return err
}

func (w *desired) equal(other *desired) bool {
	return len(w.Made) == 0 && w.fingerprint == other.fingerprint && script.SameSet(w.Scripts, other.Scripts)
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
	trusted *trust.Policy // as in config.Load
	web     webPort
	logger  log.Logger
	sources *sources
	uploads *upload.Set
	files   *textfiles
	page    *collector.Collector
	stream  *eventStream
	service *service

	successful, at prometheus.Gauge

	mu      sync.Mutex // held for a whole reload, which may take long: no page and no scrape takes it
	current *desired

	state   sync.Mutex // of the last attempt
	good    time.Time  // when a configuration was last put into force
	refused time.Time  // when the last attempt failed that had something new to tell
	bad     error
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
func (r *reloader) begin(ctx context.Context) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if err := r.succeed(ctx, r.current); err != nil {
		return err
	}
	level.Info(r.logger).Log("msg", "the configuration is in force", "scripts", len(r.current.Scripts), "receivers", len(receive.Names(&r.current.Config.Receive)), "uploads", len(all.Types.Names(&r.current.Config.Upload)))
	return nil
}

// reload reads the file again. Unless it was asked for, an unchanged
// configuration is left alone, and a bad one is told once.
func (r *reloader) reload(ctx context.Context, asked bool) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if asked {
		r.service.reloading()
		defer r.service.ready()
	}
	before := r.current.Config
	w, err := fsx.Do(ctx, func() (*desired, error) { return r.read(before) })
	unchanged := err == nil && !asked && w.equal(r.current)
	if err == nil && !unchanged {
		_, err = fsx.Do(ctx, func() (any, error) { return nil, w.rehearse() })
	}
	if ctx.Err() != nil { // it is the end
		return ctx.Err()
	}
	if err == nil && w.Config.Events.Log != r.current.Config.Events.Log {
		err = r.stream.use(w.Config.Events.Log)
	}
	switch {
	case err != nil:
		r.failed(err, asked, "the configuration was not loaded; the old one stays in force")
		return err
	case unchanged:
		if ok, _, _ := r.status(); !ok {
			level.Info(r.logger).Log("msg", "the configuration is well again, and unchanged")
			r.note(time.Time{}, nil)
		}
		return nil
	}
	if err := r.succeed(ctx, w); err != nil {
		r.failed(err, asked, "the configuration was put into force in part alone")
		return err
	}
	level.Info(r.logger).Log("msg", "the configuration was reloaded", "scripts", len(w.Scripts), "receivers", len(receive.Names(&w.Config.Receive)), "uploads", len(all.Types.Names(&w.Config.Upload)))
	return nil
}

// read reads the file and all that it names, which may take long.
func (r *reloader) read(before *config.Config) (*desired, error) {
	w, err := loadAfter(before, r.file, true, r.trusted)
	if err != nil {
		return nil, err
	}
	return config.Guarded(r.file, func() (*desired, error) {
		return w, errors.Join(r.web.obeyed(), r.web.validate(w.Config), r.uploads.Validate(w.Config))
	})
}

// failed tells of an attempt that failed, each line of the error by itself;
// where nobody asked for it, once.
func (r *reloader) failed(err error, asked bool, msg string) {
	_, _, before := r.status()
	var told time.Time
	if asked || before == nil || before.Error() != err.Error() {
		told = time.Now()
		for _, line := range strings.Split(err.Error(), "\n") {
			level.Error(r.logger).Log("msg", msg, "err", line)
		}
		if stack := panics.StackOf(err); stack != "" {
			level.Debug(r.logger).Log("msg", "where the fault is", "stack", stack)
		}
	}
	r.note(told, err)
}

// succeed puts w into force. The caller holds r.mu. It cannot fail but by a
// mistake of ours that no rehearsal found.
func (r *reloader) succeed(ctx context.Context, w *desired) error {
	_, err := config.Guarded(r.file, func() (any, error) {
		r.enforce(ctx, w)
		return nil, nil
	})
	return err
}

func (r *reloader) enforce(ctx context.Context, w *desired) {
	for _, warning := range slices.Concat(w.Config.Warnings, r.web.inClear(w.Config), r.web.unreachable(w.Config)) {
		level.Warn(r.logger).Log("msg", warning)
	}
	for _, folder := range w.Made {
		level.Info(r.logger).Log("msg", "made the folder of scripts that was missing", "folder", folder)
	}
	for _, err := range w.Problems {
		level.Warn(r.logger).Log("msg", "a script is left out", "err", err)
	}
	r.page.SetRetention(w.Config.Events.Retention)
	r.uploads.Reload(ctx, &w.Config.Upload) // before there is anything to send
	r.sources.reload(ctx, w)
	r.files.reload(ctx, w.Config)
	r.current = w
	r.note(time.Now(), nil)
	r.at.SetToCurrentTime()
}

// note keeps how an attempt went; at is zero when it changed nothing.
func (r *reloader) note(at time.Time, err error) {
	r.state.Lock()
	defer r.state.Unlock()
	switch {
	case at.IsZero():
	case err == nil:
		r.good = at
	default:
		r.refused = at
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
	round := script.Round(dialects.Dialects, r.current.Config)
	r.mu.Unlock()
	if round == 0 {
		return every
	}
	every = min(every, round)
	lead := min(time.Second, every/4)
	return every - time.Duration(now.Add(lead).UnixNano()%int64(every))
}

// status tells why the last attempt failed, if it did, and since when that is so; or when
// the configuration in use was put into force.
func (r *reloader) status() (ok bool, at time.Time, err error) {
	r.state.Lock()
	defer r.state.Unlock()
	if r.bad != nil {
		return false, r.refused, r.bad
	}
	return true, r.good, nil
}
