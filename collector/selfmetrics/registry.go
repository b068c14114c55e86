// Package selfmetrics gathers the metrics of the bridge's own process, such as
// process_cpu_seconds_total, at the cost that a scrape may have. What they are
// is said by client_golang's collectors.
package selfmetrics

import (
	"cmp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	dto "github.com/prometheus/client_model/go"

	"scriptbridge/internal/panics"
)

// Registry is a prometheus.Registry whose Gather is cheaper: the collectors run
// one after the other, without goroutines and hashes of all series, which cost
// more than they do.
type Registry struct {
	*prometheus.Registry

	last atomic.Int64 // how many series there were

	mu    sync.Mutex
	known map[*prometheus.Desc]described
}

// minRoom and rescueAfter are for collectors that give more than the last time.
const (
	minRoom     = 128
	rescueAfter = 100 * time.Millisecond
)

// described are a family's words, as a dto.MetricFamily points to them.
type described struct{ name, help, unit *string }

// NewRegistry makes one with the metrics of the process: go_ and process_.
func NewRegistry() *Registry {
	r := &Registry{Registry: prometheus.NewRegistry(), known: make(map[*prometheus.Desc]described)}
	r.MustRegister(collectors.NewGoCollector(), newProcessCollector())
	return r
}

// Gather gives what prometheus.Registry's does, and leaves to that whatever is
// odd: it can tell what is wrong.
func (r *Registry) Gather() ([]*dto.MetricFamily, error) {
	if families := r.gather(); families != nil {
		return families, nil
	}
	return r.Registry.Gather()
}

// gather gives the families by name, their series by labels; nil where a
// collector panics, or gives what would not be a page.
func (r *Registry) gather() []*dto.MetricFamily {
	metrics, err := r.collect()
	if err != nil {
		return nil
	}
	byName := make(map[string]*dto.MetricFamily, len(metrics))
	for _, m := range metrics {
		if !r.add(byName, m) {
			return nil
		}
	}
	families := make([]*dto.MetricFamily, 0, len(byName))
	for _, f := range byName {
		slices.SortFunc(f.Metric, compareLabels)
		for i := 1; i < len(f.Metric); i++ {
			if compareLabels(f.Metric[i-1], f.Metric[i]) == 0 {
				return nil
			}
		}
		families = append(families, f)
	}
	slices.SortFunc(families, func(a, b *dto.MetricFamily) int { return cmp.Compare(*a.Name, *b.Name) })
	return families
}

// collect has the collectors fill a channel that has room for twice what they gave
// last: another goroutine would cost more than they do. Should that not be
// enough, one comes after a moment and makes room.
func (r *Registry) collect() (metrics []prometheus.Metric, err error) {
	ch := make(chan prometheus.Metric, max(minRoom, 2*int(r.last.Load())))
	taken := make(chan []prometheus.Metric, 1)
	rescue := time.AfterFunc(rescueAfter, func() {
		var some []prometheus.Metric
		for m := range ch {
			some = append(some, m)
		}
		taken <- some
	})
	err = panics.Try(func() error { r.Collect(ch); return nil })
	close(ch)
	if !rescue.Stop() {
		metrics = <-taken
	}
	for m := range ch {
		metrics = append(metrics, m)
	}
	r.last.Store(int64(len(metrics)))
	return metrics, err
}

// add puts a series into its family. It reports false for one that cannot be had,
// or that is not what the family is.
func (r *Registry) add(byName map[string]*dto.MetricFamily, m prometheus.Metric) bool {
	series := new(dto.Metric)
	if m.Write(series) != nil {
		return false
	}
	kind, words := typeOf(series), r.describe(m.Desc())
	if words.name == nil || kind == nil {
		return false
	}
	f := byName[*words.name]
	if f == nil {
		f = &dto.MetricFamily{Name: words.name, Help: words.help, Unit: words.unit, Type: kind}
		byName[*words.name] = f
	}
	f.Metric = append(f.Metric, series)
	return f.GetType() == *kind && f.GetHelp() == *words.help
}

// describe reads a description once; collectors keep theirs.
func (r *Registry) describe(d *prometheus.Desc) described {
	r.mu.Lock()
	defer r.mu.Unlock()
	words, ok := r.known[d]
	if !ok {
		name, rest := unquoteAfter(d.String(), "fqName: ")
		help, rest := unquoteAfter(rest, "help: ")
		unit, _ := unquoteAfter(rest, "unit: ")
		if name != "" {
			words.name, words.help = &name, &help
		}
		if unit != "" {
			words.unit = &unit
		}
		r.known[d] = words
	}
	return words
}

// NameOf is the name in a description, which shows it in no other way than for
// people; empty where it does not.
func NameOf(d *prometheus.Desc) string {
	name, _ := unquoteAfter(d.String(), "fqName: ")
	return name
}

func unquoteAfter(text, key string) (value, rest string) {
	_, text, _ = strings.Cut(text, key)
	quoted, err := strconv.QuotedPrefix(text)
	if err != nil {
		return "", ""
	}
	value, _ = strconv.Unquote(quoted)
	return value, text[len(quoted):]
}

var (
	counterType, gaugeType, untypedType = dto.MetricType_COUNTER, dto.MetricType_GAUGE, dto.MetricType_UNTYPED
	summaryType, histogramType          = dto.MetricType_SUMMARY, dto.MetricType_HISTOGRAM
)

// typeOf is what a series is; nil if it is nothing.
func typeOf(m *dto.Metric) *dto.MetricType {
	switch {
	case m.Gauge != nil:
		return &gaugeType
	case m.Counter != nil:
		return &counterType
	case m.Summary != nil:
		return &summaryType
	case m.Untyped != nil:
		return &untypedType
	case m.Histogram != nil:
		return &histogramType
	}
	return nil
}

// compareLabels orders the series of a family, as client_golang does.
func compareLabels(a, b *dto.Metric) int {
	if d := cmp.Compare(len(a.Label), len(b.Label)); d != 0 {
		return d
	}
	for i, l := range a.Label {
		if d := cmp.Compare(l.GetValue(), b.Label[i].GetValue()); d != 0 {
			return d
		}
	}
	return 0
}
