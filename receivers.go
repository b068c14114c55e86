package main

import (
	"errors"
	"fmt"
	"net"
	"slices"

	"github.com/prometheus/client_golang/prometheus"
	toolkit "github.com/prometheus/exporter-toolkit/web"

	"scriptbridge/config"
	"scriptbridge/internal/fsx"
	"scriptbridge/internal/trust"
	"scriptbridge/receive"
	"scriptbridge/web"
)

// webPort is what the command line says of the port that receivers share with
// the pages.
type webPort struct {
	web.Gate
	addresses     []string // none where systemd gives the sockets
	telemetryPath string
	trusted       *trust.Policy // whose files may be obeyed; nil asks nothing
}

// usable says why --web.config.file cannot be used: exporter-toolkit would wait
// for a pipe for ever, and does not say whose password is no hash.
func (p webPort) usable() error {
	if p.WebConfigFile == "" {
		return nil
	}
	if p.trusted != nil {
		if e := p.trusted.Fault(p.WebConfigFile); e != nil {
			return fmt.Errorf("--web.config.file: %s %s (%s, or start with --config.trusted-path=%s)", p.WebConfigFile, e.Obeyed(), e.Remedy(), e.Component)
		}
	}
	text, err := fsx.ReadFile(p.WebConfigFile)
	if err != nil {
		if _, remedy := config.Unreadable(p.WebConfigFile, err); remedy != "" {
			return fmt.Errorf("--web.config.file: %w (%s)", err, remedy)
		}
		return fmt.Errorf("--web.config.file: %w", err)
	}
	if err := config.CheckWebConfig(p.WebConfigFile, text); err != nil {
		return err
	}
	if err := toolkit.Validate(p.WebConfigFile); err != nil {
		return fmt.Errorf("--web.config.file: %s: %w", p.WebConfigFile, err)
	}
	return nil
}

// validate says which endpoints of the receivers cannot be on the web port. What
// it does not see now, such as users that come later, is seen at each request.
func (p webPort) validate(cfg *config.Config) error {
	var errs []error
	fail := func(receiver, remedy, format string, args ...any) {
		errs = append(errs, &config.Error{
			Position: cfg.At["receive."+receiver], Thing: "receive: " + receiver,
			Problem: fmt.Sprintf(format, args...), Remedy: remedy,
		})
	}
	users, err := p.HasUsers()
	if c := cfg.Receive.CoScale; c != nil && len(c.Listen) == 0 {
		switch {
		case err != nil:
			fail("coscale", "", "--web.config.file: %v", err)
		case users:
			fail("coscale", "give it an address of its own under listen", "is on the web port, which has users in --web.config.file, and its clients have no name and password for it")
		}
	}
	if c := cfg.Receive.Collectd; c != nil && c.HTTPPath != "" {
		switch {
		case web.Taken(c.HTTPPath) || c.HTTPPath == p.telemetryPath:
			fail("collectd", "write another one, such as /collectd-post", "http_path %s is taken by another endpoint", c.HTTPPath)
		case err != nil:
			fail("collectd", "", "--web.config.file: %v", err)
		case !users && !p.mayBeLoopback():
			fail("collectd", "set users in the file of --web.config.file, or --web.listen-address=127.0.0.1:10469", "http_path %s would be open to other machines", c.HTTPPath)
		}
	}
	return errors.Join(errs...)
}

// mayBeLoopback reports whether some listener may be one that other machines
// do not reach.
func (p webPort) mayBeLoopback() bool {
	return len(p.addresses) == 0 || slices.ContainsFunc(p.addresses, func(address string) bool {
		host, _, err := net.SplitHostPort(address)
		return err != nil || config.IsLoopback(host)
	})
}

// receiverMetrics are what the page says of receivers beside their health.
type receiverMetrics struct{ views func() []receive.View }

var (
	receiverUp = prometheus.NewDesc("scriptbridge_receiver_up",
		"Whether all that the receiver listens on is open: 1 for yes, 0 for no.", []string{"receiver"}, nil)
	receiverPackets = prometheus.NewDesc("scriptbridge_receiver_packets_total",
		"Packets, requests or lines that came in, whatever became of them.", []string{"receiver", "listener"}, nil)
	receiverBytes = prometheus.NewDesc("scriptbridge_receiver_bytes_total",
		"Bytes that came in.", []string{"receiver", "listener"}, nil)
	receiverFailed = prometheus.NewDesc("scriptbridge_receiver_listen_errors_total",
		"How often the system kept a listener from taking what comes, such as for want of file descriptors; it was tried again.", []string{"receiver", "listener"}, nil)
	receiverDropped = prometheus.NewDesc("scriptbridge_receiver_dropped_total",
		"What was not let in or was lost to overload, by reason.", []string{"receiver", "reason"}, nil)
)

// Describe gives the five families.
func (receiverMetrics) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{receiverUp, receiverPackets, receiverBytes, receiverFailed, receiverDropped} {
		ch <- d
	}
}

// Collect gives the state of each receiver that is configured.
func (m receiverMetrics) Collect(ch chan<- prometheus.Metric) {
	for _, v := range m.views() {
		up := 0.0
		if v.Up {
			up = 1
		}
		ch <- prometheus.MustNewConstMetric(receiverUp, prometheus.GaugeValue, up, v.Name)
		for _, f := range []struct {
			desc *prometheus.Desc
			by   map[string]uint64
		}{{receiverPackets, v.Counts.Packets}, {receiverBytes, v.Counts.Bytes}, {receiverFailed, v.Counts.Failed}, {receiverDropped, v.Counts.Dropped}} {
			for label, n := range f.by {
				ch <- prometheus.MustNewConstMetric(f.desc, prometheus.CounterValue, float64(n), v.Name, label)
			}
		}
	}
}
