package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/go-kit/log"
	"github.com/go-kit/log/level"
	rungroup "github.com/oklog/run"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	versioncollector "github.com/prometheus/client_golang/prometheus/collectors/version"
	toolkit "github.com/prometheus/exporter-toolkit/web"
	slgk "github.com/tjhop/slog-gokit"

	"scriptbridge/config"
	"scriptbridge/internal/repeat"
	"scriptbridge/receive"
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

// addressesOf gives the addresses of the web port, none where systemd gives
// its sockets.
func addressesOf(flags *toolkit.FlagConfig) []string {
	if *flags.WebSystemdSocket {
		return nil
	}
	return *flags.WebListenAddresses
}

// lateness is what /-/ready waits for: that the configuration is in force, which it
// is only after the listeners are open, and that every source has begun, or has
// had its time.
func lateness(r *reloader, s *sources) func() []string {
	started := time.Now()
	return func() []string {
		switch _, inForce, _ := r.status(); {
		case inForce.IsZero():
			return []string{"the configuration"}
		case time.Since(started) > readyAfter:
			return nil
		}
		return s.late()
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
			return webError(err)
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

// webError says what there is to do about a web port that cannot be opened.
func webError(err error) error {
	if remedy := config.ListenRemedy(err, "--web.listen-address"); remedy != "" {
		return fmt.Errorf("web: %w (%s)", err, remedy)
	}
	return fmt.Errorf("web: %w", err)
}

// withoutKeys leaves some keys out and puts the level in front, so that the
// lines of a library are like ours.
func withoutKeys(logger log.Logger, keys ...string) log.Logger {
	return log.LoggerFunc(func(keyvals ...any) error {
		to := logger
		var kept []any
		for i := 0; i+1 < len(keyvals); i += 2 {
			switch k, ok := keyvals[i].(string); {
			case keyvals[i] == level.Key():
				to = log.WithPrefix(logger, level.Key(), keyvals[i+1])
			case !ok || !slices.Contains(keys, k):
				kept = append(kept, keyvals[i], keyvals[i+1])
			}
		}
		return to.Log(kept...)
	})
}

// sources are the two ways in.
type sources struct {
	pool      *script.Pool
	receivers *receive.Set
}

// reload puts the wanted ones to work, by difference.
func (s *sources) reload(ctx context.Context, w *desired) {
	s.pool.Reload(ctx, w.Scripts, w.Config.Global.MaxConcurrent)
	s.receivers.Reload(ctx, &w.Config.Receive)
}

// late names the sources that have not begun.
func (s *sources) late() (names []string) {
	for _, name := range s.pool.Late() {
		names = append(names, "script "+name)
	}
	for _, name := range s.receivers.Late() {
		names = append(names, "receiver "+name)
	}
	return names
}

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
