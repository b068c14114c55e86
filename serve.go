package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"slices"
	"sync"
	"syscall"
	"time"

	"github.com/go-kit/log"
	"github.com/go-kit/log/level"
	rungroup "github.com/oklog/run"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	versioncollector "github.com/prometheus/client_golang/prometheus/collectors/version"
	"github.com/prometheus/common/version"
	toolkit "github.com/prometheus/exporter-toolkit/web"
	slgk "github.com/tjhop/slog-gokit"

	"scriptbridge/collector"
	"scriptbridge/internal/fsx"
	"scriptbridge/internal/repeat"
	"scriptbridge/receive"
	"scriptbridge/record"
	"scriptbridge/script"
	"scriptbridge/web"
)

// readyAfter is how long one script's first turn may keep /-/ready from
// answering 200.
const readyAfter = time.Minute

// writeTimeout is for a whole answer: a client that does not read must not hold
// a page for ever.
const writeTimeout = 2 * time.Minute

// processRegistry has the metrics of the process itself, whose names no source
// may have.
func processRegistry() *prometheus.Registry {
	registry := prometheus.NewRegistry()
	registry.MustRegister(
		collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
		versioncollector.NewCollector("scriptbridge"),
	)
	return registry
}

// serve runs the bridge until ctx ends. Sources end first, then the sinks, so
// that what a script said is on the page and in the log before either goes.
func serve(ctx context.Context, f *flags, stdout, stderr io.Writer) error {
	streams := newLogStreams(f, stdout, stderr)
	defer streams.close() // when everybody else has said what there was to say
	logger, stream := streams.logger, streams.events
	set, err := fsx.Do(ctx, func() (*wanted, error) { return load(f.configFile, true) })
	if err != nil {
		return err
	}
	port := webPort{web.Gate{WebConfigFile: *f.serve.web.WebConfigFile, Logger: logger}, addressesOf(f.serve.web), f.serve.telemetryPath}
	if err := errors.Join(port.readable(), port.admits(set.cfg)); err != nil {
		return err
	}
	level.Info(logger).Log("msg", "starting scriptbridge", "version", version.Info(), "build", version.BuildContext(), "config", f.configFile)

	registry := processRegistry()
	page := collector.New(collector.Options{Logger: logger, Registry: registry, Retention: set.cfg.Events.Retention})
	streams.register(registry)
	if err := stream.use(set.cfg.Events.Log); err != nil {
		return err
	}
	out := &sinks{always: record.Tee{page, record.NewEventLog(stream)}}
	pool := script.NewPool(out, logger, set.cfg.Global.MaxConcurrent)
	ways := &uploads{sinks: out, logger: logger, leaving: make(map[string]*upload)}
	receivers := receive.SetOptions{First: &set.cfg.Receive, Sink: out, Logger: logger, Hidden: port.Hidden}
	if f.serve.storage != "" {
		kept, err := openStorage(f.serve.storage)
		if err != nil {
			return err
		}
		defer kept.close()
		pool.UseMemory(kept.memory)
		receivers.Storage = kept.receiver
		ways.storage = kept.upload
		if ways.bridge, err = kept.bridgeName(); err != nil {
			return err
		}
		receivers.Own = ways.bridge
	}
	if err := ways.admits(set.cfg); err != nil {
		return err
	}
	sources := &sources{pool, receive.NewSet(receivers)}
	sources.register(registry)
	registry.MustRegister(ways)
	defer ways.close() // after the sources
	reloader := &reloader{file: f.configFile, web: port, logger: logger, sources: sources, uploads: ways, page: page, stream: stream, current: set}
	reloader.register(registry)

	quit := make(chan struct{})
	var quitOnce sync.Once
	handler, err := web.New(web.Options{
		Logger:        logger,
		Scripts:       pool,
		Receivers:     receiverViews(sources.receivers),
		Uploads:       ways.views,
		Page:          pageView{page},
		Metrics:       page,
		TelemetryPath: f.serve.telemetryPath,
		Ready:         readiness(reloader, sources),
		Lifecycle:     f.serve.lifecycle,
		Reload:        func() error { return reloader.reload(ctx, true) },
		Quit:          func() { quitOnce.Do(func() { close(quit) }) },
		ConfigStatus:  reloader.status,
		WebConfigFile: port.WebConfigFile,
		Version:       version.Version,
	})
	if err != nil {
		return err
	}
	server, listening := newServer(sources.receivers.Handler(withProbes(pool, handler)), logger)
	g := &rungroup.Group{}
	// When the group ends, it stops its members in this order.
	addSources(g, sources, reloader, listening, f.serve.autoReload)
	addServer(g, server, f.serve.web, logger)
	ended := make(chan struct{})
	g.Add(func() error {
		select {
		case <-ctx.Done():
			level.Info(logger).Log("msg", "stopping", "reason", "signal")
		case <-quit:
			level.Info(logger).Log("msg", "stopping", "reason", "/-/quit")
		case <-ended:
		}
		return nil
	}, func(error) { close(ended) })
	if err := g.Run(); err != nil {
		return err
	}
	level.Info(logger).Log("msg", "stopped; nothing is left running")
	return nil
}

// addressesOf gives the addresses of the web port, none where systemd gives
// its sockets.
func addressesOf(flags *toolkit.FlagConfig) []string {
	if *flags.WebSystemdSocket {
		return nil
	}
	return *flags.WebListenAddresses
}

// readiness is /-/ready: the configuration is in force, which it is only after
// the listeners are open, and every source has begun, or has had its time.
func readiness(r *reloader, s *sources) func() bool {
	started := time.Now()
	return func() bool {
		_, inForce, _ := r.status()
		return !inForce.IsZero() && (s.ready() || time.Since(started) > readyAfter)
	}
}

// newServer makes the web side's server. The channel is closed when the first
// listener is open.
func newServer(handler http.Handler, logger log.Logger) (*http.Server, <-chan struct{}) {
	listening := make(chan struct{})
	var once sync.Once
	return &http.Server{
		Handler:           handler,
		ReadHeaderTimeout: 10 * time.Second,
		ReadTimeout:       time.Minute,
		WriteTimeout:      writeTimeout,
		IdleTimeout:       5 * time.Minute,
		MaxHeaderBytes:    64 << 10,
		ErrorLog:          repeat.NewStdLog(logger),
		BaseContext: func(l net.Listener) context.Context {
			once.Do(func() { close(listening) })
			return web.BaseContext(l)
		},
	}, listening
}

// addServer adds the web side to the group.
func addServer(g *rungroup.Group, server *http.Server, flags *toolkit.FlagConfig, logger log.Logger) {
	g.Add(func() error {
		bridged := slog.New(slgk.NewGoKitHandler(withoutKeys(logger, "caller", "time"), slog.LevelInfo))
		if err := toolkit.ListenAndServe(server, flags, bridged); !errors.Is(err, http.ErrServerClosed) {
			return fmt.Errorf("web: %w", err)
		}
		return nil
	}, func(error) {
		ctx, cancel := context.WithTimeout(context.Background(), 3*time.Second)
		defer cancel()
		if err := server.Shutdown(ctx); err != nil {
			server.Close()
		}
	})
}

// withoutKeys leaves some keys out, so that the lines of a library are like
// ours.
func withoutKeys(logger log.Logger, keys ...string) log.Logger {
	return log.LoggerFunc(func(keyvals ...any) error {
		var kept []any
		for i := 0; i+1 < len(keyvals); i += 2 {
			if k, ok := keyvals[i].(string); !ok || !slices.Contains(keys, k) {
				kept = append(kept, keyvals[i], keyvals[i+1])
			}
		}
		return logger.Log(kept...)
	})
}

// addSources starts the scripts and receivers as soon as the listeners are
// open: a port that is taken must not cost a run. Then it waits for SIGHUP and
// looks for changes.
func addSources(g *rungroup.Group, s *sources, r *reloader, listening <-chan struct{}, every time.Duration) {
	ctx, cancel := context.WithCancel(context.Background())
	g.Add(func() error {
		select {
		case <-listening:
		case <-ctx.Done():
			return nil
		}
		hup := make(chan os.Signal, 1)
		signal.Notify(hup, syscall.SIGHUP)
		defer signal.Stop(hup)
		r.begin(ctx)
		var look <-chan time.Time
		for {
			if every > 0 {
				look = time.After(r.untilLook(time.Now(), every))
			}
			select {
			case <-hup:
				r.stream.reopen()
				r.reload(ctx, true) //nolint:errcheck // it has been logged and is on the page
			case <-look:
				r.reload(ctx, false) //nolint:errcheck // likewise
			case <-ctx.Done():
				return nil
			}
		}
	}, func(error) {
		cancel()
		s.close()
	})
}

// sources are the two ways in.
type sources struct {
	pool      *script.Pool
	receivers *receive.Set
}

// reload puts the wanted ones to work, by difference.
func (s *sources) reload(ctx context.Context, w *wanted) {
	s.pool.Reload(ctx, w.scripts, w.cfg.Global.MaxConcurrent)
	s.receivers.Reload(ctx, &w.cfg.Receive)
}

func (s *sources) ready() bool { return s.pool.Ready() && s.receivers.Ready() }

// close ends the scripts first: what they push at their end is still taken.
func (s *sources) close() {
	s.pool.Close()
	s.receivers.Close()
}

// register shows how the sources are on the metrics page.
func (s *sources) register(r prometheus.Registerer) {
	pool := s.pool
	r.MustRegister(
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "scriptbridge_scripts_running",
			Help: "Scripts that run at this moment.",
		}, func() float64 { return float64(pool.Running()) }),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "scriptbridge_scripts_waiting",
			Help: "Scripts that are due and wait for a free place among global.max_concurrent.",
		}, func() float64 { return float64(pool.Waiting()) }),
		prometheus.NewCounterFunc(prometheus.CounterOpts{
			Name: "scriptbridge_sink_errors_total",
			Help: "Batches that a sink could not take, such as an upload whose disk is full.",
		}, func() float64 { return float64(pool.SinkErrors() + s.receivers.SinkErrors()) }),
		receiverMetrics{s.receivers.Views},
	)
}
