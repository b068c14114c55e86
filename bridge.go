package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/go-kit/log"
	"github.com/go-kit/log/level"
	rungroup "github.com/oklog/run"
	"github.com/prometheus/common/version"

	"scriptbridge/collector"
	"scriptbridge/internal/access"
	"scriptbridge/internal/connlimit"
	"scriptbridge/internal/footprint"
	"scriptbridge/internal/fsx"
	"scriptbridge/internal/relative"
	"scriptbridge/receive"
	"scriptbridge/record"
	"scriptbridge/script"
	"scriptbridge/script/process"
	"scriptbridge/status"
	"scriptbridge/upload"
	"scriptbridge/upload/all"
	"scriptbridge/web"
	"scriptbridge/web/api"
)

// serve runs the bridge until ctx ends.
func serve(ctx context.Context, f *flags, stdout, stderr io.Writer) error {
	footprint.Start(f.serve.profiling)
	streams, err := newLogStreams(f, stdout, stderr)
	if err != nil {
		return err
	}
	defer streams.close() // when everybody else has said what there was to say
	b, err := newBridge(ctx, f, streams)
	switch {
	case err == nil:
	case ctx.Err() != nil && errors.Is(err, ctx.Err()):
		level.Info(streams.logger).Log("msg", "stopping", "reason", "signal")
		return nil
	default:
		return streams.last(err)
	}
	defer b.close()
	return streams.last(b.run(ctx))
}

// bridge is all that serve wires together.
type bridge struct {
	flags    *flags
	logger   log.Logger
	port     webPort
	location web.Location
	guard    *access.Guard
	page     *collector.Collector
	pool     *script.Pool
	sources  *sources
	uploads  *upload.Set
	files    *textfiles
	reloader *reloader
	service  *service
	storage  *storage // nil without --storage.path

	hangup   <-chan os.Signal
	reopen   func()          // the files that are logged to
	over     context.Context // of all that the bridge does
	end      context.CancelFunc
	quit     chan struct{} // closed when somebody has asked for the end over HTTP
	quitOnce sync.Once
}

// newBridge reads the configuration and puts nothing to work yet. close must be
// called if there is no error.
func newBridge(ctx context.Context, f *flags, streams *logStreams) (*bridge, error) {
	logger := streams.logger
	set, err := fsx.Do(ctx, func() (*desired, error) { return load(f.configFile, true, f.trusted(false)) })
	if err == nil {
		_, err = fsx.Do(ctx, func() (any, error) { return nil, set.rehearse() })
	}
	if err != nil {
		return nil, err
	}
	port := webPort{web.Gate{WebConfigFile: *f.serve.web.WebConfigFile, Logger: logger}, addressesOf(f.serve.web), *f.serve.web.WebSystemdSocket, f.serve.telemetryPath, f.trusted(false)}
	if err := errors.Join(port.usable(), port.validate(set.Config)); err != nil {
		return nil, err
	}
	location, err := web.NewLocation(f.serve.externalURL, f.serve.routePrefix)
	if err != nil {
		return nil, err
	}
	guard, err := access.NewGuard(f.serve.allowedHosts, location.External, logger)
	if err != nil {
		return nil, fmt.Errorf("--web.allowed-host: %w", err)
	}
	level.Info(logger).Log("msg", "starting scriptbridge", "version", version.Info(), "build", version.BuildContext(), "config", f.configFile)

	registry := processRegistry()
	page := collector.New(collector.Options{Logger: logger, Registry: registry, Retention: set.Config.Events.Retention})
	streams.register(registry)
	if err := streams.events.use(set.Config.Events.Log); err != nil {
		return nil, err
	}
	uploads := upload.NewSet(all.Types, logger, signalsOf(ctx).fatal)
	uploads.UsePage(page)
	out := record.Tee{page, record.NewEventLog(streams.limitedEvents), uploads}
	b := &bridge{
		flags: f, logger: logger, port: port, location: location, guard: guard, page: page,
		pool:    script.NewPool(out, logger, set.Config.Global.MaxConcurrent),
		uploads: uploads,
		files:   newTextfiles(page, f.trusted(false), logger),
		quit:    make(chan struct{}),
		hangup:  signalsOf(ctx).reload(),
		reopen:  streams.reopen,
	}
	signalsOf(ctx).beforeEnd(b.pool.Kill)
	b.over, b.end = context.WithCancel(ctx)
	receivers := receive.SetOptions{First: &set.Config.Receive, Sink: out, Logger: logger, Hidden: port.Hidden, Guard: guard, Prefix: location.Prefix, Fatal: signalsOf(ctx).fatal}
	if err := b.store(&receivers); err != nil {
		return nil, err
	}
	if err := b.uploads.Validate(set.Config); err != nil {
		b.close()
		return nil, err
	}
	b.sources = &sources{b.pool, receive.NewSet(receivers)}
	b.sources.register(registry)
	registry.MustRegister(b.uploads, b.files)
	b.service = newService(ctx, logger)
	b.service.status = b.status
	b.reloader = &reloader{file: f.configFile, trusted: f.trusted(false), web: port, logger: logger, sources: b.sources, uploads: b.uploads, files: b.files, page: page, stream: streams.events, service: b.service, current: set}
	b.reloader.register(registry)
	return b, nil
}

// store takes the folder of --storage.path for those who keep something there.
func (b *bridge) store(receivers *receive.SetOptions) (err error) {
	if b.flags.serve.storage == "" {
		return nil
	}
	if b.storage, err = openStorage(fsx.OS{}, b.flags.serve.storage, b.flags.trusted(false)); err != nil {
		return err
	}
	name, err := b.storage.bridgeName()
	if err != nil {
		b.storage.close()
		return err
	}
	b.pool.UseMemory(b.storage.memory)
	b.uploads.UseStorage(name, b.storage.disk, b.storage.upload)
	receivers.Storage, receivers.Disk, receivers.Own = b.storage.receiver, b.storage.disk, name
	return nil
}

// close ends what must outlive the sources, when they have ended.
func (b *bridge) close() {
	b.files.close()
	b.uploads.Close()
	if b.storage != nil {
		b.storage.close()
	}
}

// run puts the configuration to work, until ctx ends or somebody asks for the
// end over HTTP. Sources end first, then the sinks, so that what a script said is
// on the page and in the log before either goes.
func (b *bridge) run(ctx context.Context) error {
	handler, err := b.handler()
	if err != nil {
		return err
	}
	b.service.works = func() error { return b.works(handler) }
	limiter := connlimit.New(connlimit.Most())
	server, listening := newServer(handler, b.port.Authenticated, limiter, b.logger)
	g := &rungroup.Group{}
	// When the group ends, it stops its members in this order.
	if b.port.none() {
		level.Info(b.logger).Log("msg", "no web port is opened, since --web.listen-address=none")
		opened := make(chan struct{})
		close(opened)
		listening = opened
	}
	b.addSources(g, listening)
	if !b.port.none() {
		addServer(g, server, limiter, b.flags.serve.web, b.logger)
	}
	ended := make(chan struct{})
	g.Add(func() error {
		select {
		case <-ctx.Done():
			level.Info(b.logger).Log("msg", "stopping", "reason", "signal")
		case <-b.quit:
			level.Info(b.logger).Log("msg", "stopping", "reason", "/-/quit")
		case <-ended:
		}
		return nil
	}, func(error) { close(ended) })
	b.pool.Contain()
	if err := g.Run(); err != nil {
		return err
	}
	logStopped(b.logger, b.pool.Left())
	return nil
}

// logStopped tells what goes on when the bridge has ended.
func logStopped(logger log.Logger, left []process.Leftover) {
	const most = 20 // named in one line
	var names []string
	kept := 0
	for i, p := range left {
		if p.Kept {
			kept++
		}
		if i < most {
			names = append(names, fmt.Sprintf("%d (%s)", p.PID, p.Command))
		}
	}
	if len(left) > most {
		names = append(names, fmt.Sprintf("and %d more", len(left)-most))
	}
	switch named := strings.Join(names, ", "); {
	case len(left) == 0:
		level.Info(logger).Log("msg", "stopped; nothing is left running")
	case kept == len(left):
		level.Info(logger).Log("msg", "stopped; what scripts with descendants: keep have started goes on", "processes", named)
	default:
		level.Warn(logger).Log("msg", "stopped; processes that scripts started, or may have, are left running", "processes", named)
	}
}

// handler is what the web port answers.
func (b *bridge) handler() (http.Handler, error) {
	sources := status.Sources{
		Scripts:      b.pool,
		Receivers:    b.sources.receivers.Views,
		Uploads:      b.uploads.States,
		Textfile:     b.files.view,
		Page:         b.page,
		Late:         lateness(b.reloader, b.sources),
		ConfigStatus: b.reloader.status,
		Version:      version.Version,
	}
	pages, err := web.New(web.Options{
		Sources:       sources,
		Logger:        b.logger,
		Metrics:       b.page,
		TelemetryPath: b.flags.serve.telemetryPath,
		Lifecycle:     b.flags.serve.lifecycle,
		Reload:        func() error { b.reopen(); return b.reloader.reload(b.over, true) },
		Profiling:     b.flags.serve.profiling,
		Quit:          func() { b.quitOnce.Do(func() { close(b.quit) }) },
		RunNow:        b.pool.RunNow,
		Guard:         b.guard,
		WebConfigFile: b.port.WebConfigFile,
	})
	if err != nil {
		return nil, err
	}
	answers, err := api.New(api.Options{Sources: sources, Logger: b.logger, Hidden: b.port.Hidden})
	if err != nil {
		return nil, err
	}
	rest := relative.CleanPaths(withProbes(b.pool, b.guard, b.location, pages))
	return b.location.Handler(answers.Before(b.sources.receivers.Handler(rest)), pages), nil
}

// addSources starts the scripts and receivers as soon as the listeners are
// open: a port that is taken must not cost a run. Then it waits for SIGHUP and
// looks for changes.
func (b *bridge) addSources(g *rungroup.Group, listening <-chan struct{}) {
	g.Add(func() error {
		select {
		case <-listening:
		case <-b.over.Done():
		}
		if b.over.Err() != nil {
			return nil // before anything has run
		}
		footprint.Work()
		if err := b.reloader.begin(b.over); err != nil {
			return err
		}
		b.service.ready()
		go b.service.watch(b.over)
		go b.settle(b.over)
		b.keepUp()
		return nil
	}, func(error) {
		b.service.stop()
		b.end()
		b.sources.close()
	})
}

// settle gives back the memory that the start and the first runs needed, when they are over.
func (b *bridge) settle(ctx context.Context) {
	look := time.NewTicker(time.Second)
	defer look.Stop()
	for began := time.Now(); len(b.sources.late()) > 0 && time.Since(began) < readyAfter; {
		select {
		case <-look.C:
		case <-ctx.Done():
			return
		}
	}
	footprint.Release()
}

// keepUp reloads the configuration when it is told to and when it has changed,
// until the end.
func (b *bridge) keepUp() {
	var look <-chan time.Time
	for b.over.Err() == nil {
		if every := b.flags.serve.autoReload; every > 0 {
			look = time.After(b.reloader.untilLook(time.Now(), every))
		}
		select {
		case <-b.hangup:
			b.reopen()
			b.reloader.reload(b.over, true) //nolint:errcheck // it has been logged and is on the page
		case <-look:
			b.reloader.reload(b.over, false) //nolint:errcheck // likewise
			footprint.ReleaseProgram()       // a look needs much of it that nothing else does
		case <-b.over.Done():
		}
	}
}
