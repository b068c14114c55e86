package main

import (
	"errors"
	"fmt"
	"net"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/prometheus/client_golang/prometheus"
	toolkit "github.com/prometheus/exporter-toolkit/web"
	"go.yaml.in/yaml/v2"

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
	addresses     []string // none where systemd gives the sockets; noAddress where there is no port
	systemd       bool
	telemetryPath string
	trusted       *trust.Policy // whose files may be obeyed; nil asks nothing
}

// none reports whether there is no web port.
func (p webPort) none() bool { return slices.Contains(p.addresses, noAddress) }

// usable says why the flags cannot be used. Of --web.config.file exporter-toolkit would wait
// for a pipe for ever, and does not say whose password is no hash; an address that is empty it
// takes for any free port of all addresses.
func (p webPort) usable() error {
	const flag = "--web.listen-address"
	switch {
	case slices.Contains(p.addresses, ""):
		return fmt.Errorf("%s is empty (write an address such as 127.0.0.1:10469, or %s for no web port)", flag, noAddress)
	case p.none() && len(p.addresses) > 1:
		return fmt.Errorf("%s=%s stands beside other addresses (leave out the one or the others)", flag, noAddress)
	case p.none() && p.systemd:
		return fmt.Errorf("%s=%s stands beside --web.systemd-socket (leave out the one or the other)", flag, noAddress)
	}
	return p.usableFile()
}

func (p webPort) usableFile() error {
	if p.WebConfigFile == "" {
		return nil
	}
	if err := p.obeyed(); err != nil {
		return err
	}
	text, err := fsx.ReadFile(p.WebConfigFile)
	if err != nil {
		return webFileError("", p.WebConfigFile, err)
	}
	if err := config.CheckWebConfig(p.WebConfigFile, text); err != nil {
		return err
	}
	for _, named := range p.named(text) {
		f, err := fsx.Open(named.path)
		if err != nil {
			return webFileError(named.key+": ", named.path, err)
		}
		f.Close()
	}
	err = toolkit.Validate(p.WebConfigFile)
	if wrong, ok := errors.AsType[*yaml.TypeError](err); ok {
		return unreadWebConfig(p.WebConfigFile, wrong)
	}
	if err != nil {
		return fmt.Errorf("--web.config.file: %s: %w", p.WebConfigFile, err)
	}
	return nil
}

// unknownWebKey is what the toolkit says of a key.
var unknownWebKey = regexp.MustCompile(`^line (\d+): field (\S+) not found in type `)

// unreadWebConfig words what the toolkit says of a file whose keys or values are
// not those that it knows, each in a line of its own.
func unreadWebConfig(file string, wrong *yaml.TypeError) error {
	var known []string
	for _, t := range []reflect.Type{reflect.TypeFor[toolkit.Config](), reflect.TypeFor[toolkit.TLSConfig](), reflect.TypeFor[toolkit.HTTPConfig](), reflect.TypeFor[toolkit.RateLimiterConfig]()} {
		for i := range t.NumField() {
			name, _, _ := strings.Cut(t.Field(i).Tag.Get("yaml"), ",")
			known = append(known, name)
		}
	}
	var all []error
	for _, text := range wrong.Errors {
		e := &config.Error{Position: config.Position{File: file}, Problem: text}
		if m := unknownWebKey.FindStringSubmatch(text); m != nil {
			e.Line, _ = strconv.Atoi(m[1])
			e.Problem, e.Remedy = fmt.Sprintf("unknown key %q", m[2]), "leave it out; exporter-toolkit's page on web configuration has all keys"
			if like := config.Nearest(m[2], known); like != "" {
				e.Remedy = fmt.Sprintf("did you mean %q?", like)
			}
		}
		all = append(all, fmt.Errorf("--web.config.file: %w", e))
	}
	return errors.Join(all...)
}

func webFileError(key, path string, err error) error {
	if _, remedy := config.Unreadable(path, err); remedy != "" {
		return fmt.Errorf("--web.config.file: %s%w (%s)", key, err, remedy)
	}
	return fmt.Errorf("--web.config.file: %s%w", key, err)
}

// obeyed says why root must not obey --web.config.file, or a file that it names.
// That one cannot be read is for its reader to say.
func (p webPort) obeyed() error {
	if p.WebConfigFile == "" || p.trusted == nil {
		return nil
	}
	ask := func(key, path string) error {
		e := p.trusted.Fault(path)
		if e == nil {
			return nil
		}
		return fmt.Errorf("--web.config.file: %s%s %s (%s, or start with --config.trusted-path=%s)", key, path, e.Obeyed(), e.Remedy(), e.Component)
	}
	if err := ask("", p.WebConfigFile); err != nil {
		return err
	}
	text, err := fsx.ReadFile(p.WebConfigFile)
	if err != nil {
		return nil
	}
	for _, named := range p.named(text) {
		if err := ask(named.key+": ", named.path); err != nil {
			return err
		}
	}
	return nil
}

// webFile is one that --web.config.file names.
type webFile struct{ key, path string }

// named gives the files that the text of --web.config.file names, as
// exporter-toolkit finds them: it reads the text with this package.
func (p webPort) named(text []byte) (files []webFile) {
	var c struct {
		TLS toolkit.TLSConfig `yaml:"tls_server_config"`
	}
	_ = yaml.Unmarshal(text, &c) // what is wrong with it, the toolkit says
	c.TLS.SetDirectory(filepath.Dir(p.WebConfigFile))
	for _, f := range []webFile{{"cert_file", c.TLS.TLSCertPath}, {"key_file", c.TLS.TLSKeyPath}, {"client_ca_file", c.TLS.ClientCAs}} {
		if f.path != "" {
			files = append(files, f)
		}
	}
	return files
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
	const noPort = "is on the web port, of which there is none with --web.listen-address=none"
	users, err := p.HasUsers()
	if c := cfg.Receive.CoScale; c != nil && len(c.Listen) == 0 {
		switch {
		case p.none():
			fail("coscale", "give it an address of its own under listen", "%s", noPort)
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
		case p.none():
			fail("collectd", "give it udp or unixsock instead, or start with --web.listen-address=127.0.0.1:10469", "http_path %s %s", c.HTTPPath, noPort)
		case err != nil:
			fail("collectd", "", "--web.config.file: %v", err)
		case !users && !p.mayBeLoopback():
			fail("collectd", "set users in the file of --web.config.file, or --web.listen-address=127.0.0.1:10469", "http_path %s would be open to other machines", c.HTTPPath)
		}
	}
	if p.none() && cfg.Textfile == nil && cfg.Upload.None() {
		errs = append(errs, &config.Error{
			Position: config.Position{File: cfg.File}, Problem: "with --web.listen-address=none nothing shows what is measured",
			Remedy: "write textfile: and beneath it directory: and the folder that node_exporter reads, or give the bridge an address",
		})
	}
	return errors.Join(errs...)
}

// unreachable warns of scripts that could be asked for on the web port alone.
func (p webPort) unreachable(cfg *config.Config) (warnings []error) {
	if !p.none() {
		return nil
	}
	warn := func(at config.Position, thing string) {
		warnings = append(warnings, at.Wrap(thing, errors.New("probe: true has no effect with --web.listen-address=none, since /probe is on the web port")))
	}
	for _, s := range cfg.Scripts {
		if s.Probe {
			warn(s.Pos, fmt.Sprintf("script %q", s.Name))
		}
	}
	for _, d := range cfg.Discover {
		if d.Probe {
			warn(d.Pos, "discover")
		}
	}
	return warnings
}

// mayBeLoopback reports whether some listener may be one that other machines
// do not reach.
func (p webPort) mayBeLoopback() bool {
	return len(p.addresses) == 0 || slices.ContainsFunc(p.addresses, func(address string) bool {
		host, _, err := net.SplitHostPort(address)
		return err != nil || config.IsLoopback(host)
	})
}

// reachable gives the addresses, as far as they are known, that other machines
// reach.
func reachable(addresses []string) (all []string) {
	for _, address := range addresses {
		if host, _, err := net.SplitHostPort(address); err == nil && !strings.HasPrefix(address, "vsock:") && !config.IsLoopback(host) {
			all = append(all, address)
		}
	}
	return all
}

// hasTLS reports whether --web.config.file sets up TLS.
func (p webPort) hasTLS() bool {
	if p.WebConfigFile == "" {
		return false
	}
	text, err := fsx.ReadFile(p.WebConfigFile)
	var c toolkit.Config
	_ = yaml.Unmarshal(text, &c) // what is wrong with it, the toolkit says
	return err == nil && (c.TLSConfig.TLSCertPath != "" || c.TLSConfig.TLSCert != "")
}

// inClear warns of receivers to which clients send a secret that others can read on
// its way.
func (p webPort) inClear(cfg *config.Config) (warnings []error) {
	warn := func(receiver, secret, where, remedy string, addresses []string) {
		if len(addresses) > 0 {
			warnings = append(warnings, &config.Error{
				Position: cfg.At["receive."+receiver], Thing: "receive: " + receiver, Remedy: remedy,
				Problem: fmt.Sprintf("%s %s without TLS: its clients send %s in clear text over the network", where, strings.Join(addresses, ", "), secret),
			})
		}
	}
	open := reachable(p.addresses)
	if p.hasTLS() {
		open = nil
	}
	const onWeb = "is on the web port at"
	if c := cfg.Receive.CoScale; c != nil {
		switch {
		case len(c.Listen) == 0:
			warn("coscale", "access tokens", onWeb, "give it listen and tls, or set up TLS in the file of --web.config.file", open)
		case c.TLS == (config.TLS{}):
			warn("coscale", "access tokens", "listens on", "give it tls, or a loopback address", reachable(c.Listen))
		}
	}
	if c := cfg.Receive.Collectd; c != nil && c.HTTPPath != "" {
		warn("collectd", "passwords", onWeb, "set up TLS in the file of --web.config.file", open)
	}
	return warnings
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
