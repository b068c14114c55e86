package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/coreos/go-systemd/v22/activation"
	"github.com/go-kit/log"
	"github.com/go-kit/log/level"
	"github.com/mdlayher/vsock"
	rungroup "github.com/oklog/run"
	"github.com/prometheus/client_golang/prometheus"
	versioncollector "github.com/prometheus/client_golang/prometheus/collectors/version"
	toolkit "github.com/prometheus/exporter-toolkit/web"
	slgk "github.com/tjhop/slog-gokit"

	"scriptbridge/collector/selfmetrics"
	"scriptbridge/config"
	"scriptbridge/internal/access"
	"scriptbridge/internal/connlimit"
	"scriptbridge/internal/repeat"
	"scriptbridge/internal/socket"
	"scriptbridge/receive"
	"scriptbridge/receive/receiver"
	"scriptbridge/script"
	"scriptbridge/script/process"
)

// readyAfter is how long one script's first turn may keep /-/ready from
// answering 200.
const readyAfter = time.Minute

// writeTimeout is for a whole answer: a client that does not read must not hold
// a page for ever.
const writeTimeout = 2 * time.Minute

// processRegistry has the metrics of the process itself, whose names no source
// may have.
func processRegistry() *selfmetrics.Registry {
	registry := selfmetrics.NewRegistry()
	registry.MustRegister(versioncollector.NewCollector("scriptbridge"))
	return registry
}

// noAddress is the value of --web.listen-address for a bridge without a web port.
const noAddress = "none"

// addressesOf gives the addresses of the web port, none where systemd gives
// its sockets.
func addressesOf(flags *toolkit.FlagConfig) []string {
	if *flags.WebSystemdSocket && !slices.Contains(*flags.WebListenAddresses, noAddress) {
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

// newServer makes the web side's server, where known says who has logged in, and limiter
// bounds the connections. The channel is closed when the first listener is open.
func newServer(handler http.Handler, known func(*http.Request) bool, limiter *connlimit.Limiter, logger log.Logger) (*http.Server, <-chan struct{}) {
	listening := make(chan struct{})
	var once sync.Once
	server := &http.Server{
		Handler:           access.NoSniff(handler),
		ReadHeaderTimeout: 10 * time.Second,
		ReadTimeout:       time.Minute,
		WriteTimeout:      writeTimeout,
		IdleTimeout:       5 * time.Minute,
		MaxHeaderBytes:    64 << 10,
		ErrorLog:          repeat.NewStdLog(logger),
		BaseContext: func(l net.Listener) context.Context {
			once.Do(func() { close(listening) })
			return access.WithLogin(access.BaseContext(l), known)
		},
		ConnContext: access.ConnContext,
	}
	limiter.Serve(server)
	return server, listening
}

// addServer adds the web side to the group.
func addServer(g *rungroup.Group, server *http.Server, limiter *connlimit.Limiter, flags *toolkit.FlagConfig, logger log.Logger) {
	g.Add(func() error {
		bridged := slog.New(slgk.NewGoKitHandler(withoutKeys(logger, "caller", "time"), slog.LevelInfo))
		listeners, err := listen(flags)
		if err != nil {
			return webError(err)
		}
		defer closeAll(listeners)
		if err := toolkit.ServeMultiple(bounded(outlasting(listeners, logger), limiter), server, flags, bridged); !errors.Is(err, http.ErrServerClosed) {
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

// listen opens the web port, or takes what systemd gives.
func listen(flags *toolkit.FlagConfig) (listeners []net.Listener, err error) {
	if *flags.WebSystemdSocket {
		return handedOver()
	}
	for _, address := range *flags.WebListenAddresses {
		l, err := listenOn(address)
		if err != nil {
			closeAll(listeners)
			return nil, err
		}
		listeners = append(listeners, l)
	}
	return listeners, nil
}

// handedOver takes the sockets that systemd gives.
func handedOver() (listeners []net.Listener, err error) {
	files := activation.Files(true)
	if len(files) == 0 {
		return nil, errors.New("no socket activation file descriptors found")
	}
	for _, f := range files {
		l, err := net.FileListener(f)
		if err != nil {
			closeAll(listeners)
			return nil, fmt.Errorf("LISTEN_FDS names the descriptor %d, which is no socket that listens (%w); let a systemd socket unit with ListenStream= start the program, or leave out --web.systemd-socket", f.Fd(), err)
		}
		_ = f.Close() // the listener has one of its own
		listeners = append(listeners, l)
	}
	return listeners, nil
}

// listenOn opens an address: of TCP, or of a virtual machine's host, as
// exporter-toolkit spells it.
func listenOn(address string) (net.Listener, error) {
	on, virtual := strings.CutPrefix(address, "vsock://")
	if !virtual {
		return socket.Listen(context.Background(), "tcp", address)
	}
	_, port, err := net.SplitHostPort(on)
	if err != nil {
		return nil, err
	}
	n, err := strconv.ParseUint(port, 10, 32)
	if err != nil {
		return nil, err
	}
	return vsock.Listen(uint32(n), nil)
}

func closeAll(listeners []net.Listener) {
	for _, l := range listeners {
		l.Close()
	}
}

// outlasting has listeners outlast errors that pass, of which net/http knows but
// a few: the program must not end when the system is short of memory.
func outlasting(listeners []net.Listener, logger log.Logger) []net.Listener {
	patient := make([]net.Listener, len(listeners))
	for i, l := range listeners {
		patient[i] = receiver.NewListener(l, "web", receiver.Env{Counts: new(receiver.Counts), Logger: logger})
	}
	return patient
}

// bounded has a limiter bound what listeners accept.
func bounded(listeners []net.Listener, limiter *connlimit.Limiter) []net.Listener {
	for i, l := range listeners {
		listeners[i] = limiter.Listener(l)
	}
	return listeners
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
			Name: "scriptbridge_scripts",
			Help: "Scripts of the configuration, with those that run only when somebody asks.",
		}, func() float64 { return float64(pool.Size()) }),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "scriptbridge_scripts_running",
			Help: "Scripts that run at this moment.",
		}, func() float64 { return float64(pool.Running()) }),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "scriptbridge_scripts_waiting",
			Help: "Scripts that are due and wait for a free place among global.max_concurrent.",
		}, func() float64 { return float64(pool.Waiting()) }),
		containmentMetric{pool},
		prometheus.NewCounterFunc(prometheus.CounterOpts{
			Name: "scriptbridge_sink_errors_total",
			Help: "Batches that a sink could not take, such as an upload whose disk is full.",
		}, func() float64 { return float64(pool.SinkErrors() + s.receivers.SinkErrors()) }),
		receiverMetrics{s.receivers.Views},
	)
}

// containmentMetric says what keeps the processes of a run together.
type containmentMetric struct{ pool *script.Pool }

var runsContained = prometheus.NewDesc("scriptbridge_runs_contained",
	"What keeps the processes of a run together, so that all of them end with it: 1 for what does, 0 for what else could on this system.", []string{"by"}, nil)

// Describe gives the one family.
func (containmentMetric) Describe(ch chan<- *prometheus.Desc) { ch <- runsContained }

// Collect gives one series for each that there may be.
func (m containmentMetric) Collect(ch chan<- prometheus.Metric) {
	now := m.pool.Containment()
	for _, c := range process.Containments() {
		value := 0.0
		if c == now {
			value = 1
		}
		ch <- prometheus.MustNewConstMetric(runsContained, prometheus.GaugeValue, value, string(c))
	}
}
