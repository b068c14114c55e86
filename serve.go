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

// serve runs the bridge until ctx ends. Sources end first, then the sinks, so
// that what a script said is on the page and in the log before either goes.
func serve(ctx context.Context, f *flags, logger log.Logger, stdout io.Writer) error {
	set, err := load(f.configFile, true)
	if err != nil {
		return err
	}
	level.Info(logger).Log("msg", "starting scriptbridge", "version", version.Info(), "build", version.BuildContext(), "config", f.configFile)

	registry := prometheus.NewRegistry()
	registry.MustRegister(
		collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
		versioncollector.NewCollector("scriptbridge"),
	)
	page := collector.New(collector.Options{Logger: logger, Registry: registry, Retention: set.cfg.Events.Retention})
	stream := newEventStream(stdout)
	if err := stream.use(set.cfg.Events.Log); err != nil {
		return err
	}
	defer stream.close()
	pool := script.NewPool(record.Tee{page, record.NewEventLog(stream)}, logger, set.cfg.Global.MaxConcurrent)
	if f.serve.storage != "" {
		kept, err := openStorage(f.serve.storage)
		if err != nil {
			return err
		}
		defer kept.close()
		pool.UseMemory(kept.memory)
	}
	registerPool(registry, pool)
	reloader := newReloader(f.configFile, set, registry, logger, pool, page, stream)

	quit := make(chan struct{})
	listening := make(chan struct{})
	var once, quitOnce sync.Once
	started := time.Now()
	handler, err := web.New(web.Options{
		Logger:        logger,
		Scripts:       pool,
		Page:          pageView{page},
		Metrics:       page,
		TelemetryPath: f.serve.telemetryPath,
		Ready: func() bool {
			_, inForce, _ := reloader.status() // which it is only after the listeners are open
			return !inForce.IsZero() && (pool.Ready() || time.Since(started) > readyAfter)
		},
		Lifecycle:     f.serve.lifecycle,
		Reload:        func() error { return reloader.reload(ctx, true) },
		Quit:          func() { quitOnce.Do(func() { close(quit) }) },
		ConfigStatus:  reloader.status,
		WebConfigFile: *f.serve.web.WebConfigFile,
		Version:       version.Version,
	})
	if err != nil {
		return err
	}
	server := &http.Server{
		Handler:           withProbes(pool, handler),
		ReadHeaderTimeout: 10 * time.Second,
		ReadTimeout:       time.Minute,
		WriteTimeout:      writeTimeout,
		IdleTimeout:       5 * time.Minute,
		MaxHeaderBytes:    64 << 10,
		BaseContext: func(l net.Listener) context.Context {
			once.Do(func() { close(listening) })
			return web.BaseContext(l)
		},
	}
	g := &rungroup.Group{}
	// When the group ends, it stops its members in this order.
	addPool(g, pool, reloader, listening, f.serve.autoReload)
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

// addPool starts the scripts as soon as the listeners are open: a port that is
// taken must not cost a run. Then it waits for SIGHUP and looks for changes.
func addPool(g *rungroup.Group, pool *script.Pool, r *reloader, listening <-chan struct{}, every time.Duration) {
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
		pool.Close()
	})
}

func registerPool(r prometheus.Registerer, pool *script.Pool) {
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
			Help: "Batches that a sink could not take, such as events that could not be written.",
		}, func() float64 { return float64(pool.SinkErrors()) }),
	)
}
