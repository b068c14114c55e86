package main

import (
	"context"
	"iter"
	"slices"
	"strings"

	"github.com/go-kit/log"
	"github.com/prometheus/client_golang/prometheus"

	"scriptbridge/collector"
	"scriptbridge/config"
	"scriptbridge/internal/fsx"
	"scriptbridge/internal/supervise"
	"scriptbridge/internal/trust"
	"scriptbridge/status"
	"scriptbridge/textfile"
)

// textfiles keeps the file for node_exporter, where one is configured.
type textfiles struct {
	page    *collector.Collector
	trusted *trust.Policy // as in config.Load
	logger  log.Logger

	counts  textfile.Counts
	writers *supervise.Supervisor[*textfile.Writer] // one or none
}

func newTextfiles(page *collector.Collector, trusted *trust.Policy, logger log.Logger) *textfiles {
	return &textfiles{page: page, trusted: trusted, logger: logger, writers: supervise.New[*textfile.Writer](supervise.Options{})}
}

// reload puts the configured writer to work. The one before removes its file first.
func (t *textfiles) reload(ctx context.Context, cfg *config.Config) {
	var specs []supervise.Spec[*textfile.Writer]
	if cfg.Textfile != nil {
		o := textfile.Options{
			Folder: cfg.Textfile.Directory, Trusted: trustedWith(t.trusted, cfg), Page: t.pieces, Counts: &t.counts, Logger: t.logger,
		}
		specs = append(specs, supervise.Spec[*textfile.Writer]{
			Key: "textfile", Fingerprint: config.Fingerprint(nil, o.Folder, o.Trusted),
			New: func(context.Context) *textfile.Writer { return textfile.New(o) },
		})
	}
	if _, err := t.writers.Apply(ctx, specs, nil); err != nil && ctx.Err() == nil { // a fault of ours, which the reload tells
		panic(err)
	}
}

// trustedWith adds what the configuration trusts to what the command line does.
func trustedWith(trusted *trust.Policy, cfg *config.Config) *trust.Policy {
	if trusted == nil {
		return nil
	}
	with := *trusted
	with.Except = slices.Concat(trusted.Except, cfg.Global.TrustedPaths)
	return &with
}

// close removes the file. A disk that does not answer is not waited for.
func (t *textfiles) close() {
	// Of the two that may be waited for, the second finds that the first does not answer.
	ctx, cancel := context.WithTimeout(context.Background(), 2*fsx.Patience)
	defer cancel()
	t.writers.Close(ctx, nil)
}

const textfilePrefix = "scriptbridge_textfile_"

// pieces are the page for node_exporter. It has go_, process_ and promhttp_ itself; and when
// the file was written it tells by the file's time, which must not make it another one.
func (t *textfiles) pieces() iter.Seq[[]byte] {
	return t.page.Textfile(func(family string) bool {
		return strings.HasPrefix(family, "scriptbridge_") && family != textfilePrefix+"last_write_timestamp_seconds"
	})
}

// down says that a file is wanted, and could not be written.
func (t *textfiles) down() bool { return len(t.writers.All()) > 0 && t.counts.Err() != nil }

// view is the file as pages and documents show it; nil where none is wanted.
func (t *textfiles) view() *status.TextfileView {
	for _, w := range t.writers.All() {
		return &status.TextfileView{File: w.Path(), Last: t.counts.Last(), Err: t.counts.Err()}
	}
	return nil
}

var (
	textfileErrors = prometheus.NewDesc(textfilePrefix+"write_errors_total",
		"How often the file for node_exporter's textfile collector could not be written or removed.", nil, nil)
	textfileLast = prometheus.NewDesc(textfilePrefix+"last_write_timestamp_seconds",
		"When the file for node_exporter's textfile collector was last written, or its time made new since nothing had changed; 0 for never.", nil, nil)
)

// Describe gives the two families.
func (*textfiles) Describe(ch chan<- *prometheus.Desc) {
	ch <- textfileErrors
	ch <- textfileLast
}

// Collect gives them, where there is such a file.
func (t *textfiles) Collect(ch chan<- prometheus.Metric) {
	if len(t.writers.All()) == 0 {
		return
	}
	last := 0.0
	if at := t.counts.Last(); !at.IsZero() {
		last = float64(at.UnixMilli()) / 1000
	}
	ch <- prometheus.MustNewConstMetric(textfileErrors, prometheus.CounterValue, float64(t.counts.Failed()))
	ch <- prometheus.MustNewConstMetric(textfileLast, prometheus.GaugeValue, last)
}

// checkTextfile says why the file could not be written, as far as that is known
// without writing.
func checkTextfile(cfg *config.Config, trusted *trust.Policy) error {
	if cfg.Textfile == nil {
		return nil
	}
	if err := textfile.Check(cfg.Textfile.Directory, trustedWith(trusted, cfg)); err != nil {
		return cfg.At["textfile"].Wrap("textfile", err)
	}
	return nil
}
