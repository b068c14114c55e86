package statsd

import (
	"cmp"
	"maps"
	"math"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/prometheus/statsd_exporter/pkg/mapper"

	"scriptbridge/config"
	"scriptbridge/record"
)

// mapping says what becomes of a StatsD metric: its names and labels, as
// statsd_exporter makes them, whose files it reads with that program's own
// mapper. (Its mappercache has no part here: what a line's head leads to is
// kept by merge, tags included.) It is not changed once it is made.
type mapping struct {
	mapper *mapper.MetricMapper
	ttl    time.Duration // where the file says none
}

// loadMapping reads a mapping file; none for an empty path.
func loadMapping(path string, ttl time.Duration) (*mapping, error) {
	var text []byte
	if path != "" {
		var err error
		if text, err = config.ReadNamed("mapping_config", path); err != nil {
			return nil, err
		}
	}
	return parseMapping(path, text, ttl)
}

// parseMapping reads the text of a mapping file. Whether statsd_exporter's
// mapper takes it decides; what is wrong with it, and what that program finds out
// only when a metric comes, is told in our words.
func parseMapping(path string, text []byte, ttl time.Duration) (*mapping, error) {
	if err := config.CheckBounds(path, text); err != nil {
		return nil, err
	}
	m := &mapping{mapper: new(mapper.MetricMapper), ttl: ttl}
	refused := m.mapper.InitFromYAMLString(string(text))
	err := config.CheckStatsDMapping(path, text, refused == nil)
	if refused != nil && err == nil {
		err = &config.Error{
			Position: config.Position{File: path},
			Problem:  "statsd_exporter's mapper cannot read it: " + refused.Error(),
		}
	}
	if err != nil {
		return nil, err
	}
	return m, nil
}

// target is where samples of one head go.
type target struct {
	series *series // merge.unwanted: the mapping drops them; nil: there is no room for one more
	scale  float64 // values are multiplied by this
}

// route is what a mapping makes of a head.
type route struct {
	drop   bool
	metric string         // its StatsD name, without tags
	name   string         // the one on the page
	labels []record.Label // sorted by name
	scale  float64
	ttl    time.Duration
	mapped []string // the names of the labels that the mapping made, sorted
	meta   record.Meta
}

// defaultHelp is shown where a mapping has no help.
const defaultHelp = "Received by StatsD."

// route finds out what becomes of the samples of a head.
func (m *mapping) route(h *head) (r route, fault *lineFault) {
	if !utf8.Valid(h.name) || !utf8.Valid(h.tags) || !utf8.Valid(h.origin) || !utf8.Valid(h.host) {
		return r, &lineFault{"malformed", "it is not UTF-8", nil}
	}
	labels := make(map[string]string)
	r.metric = string(h.name)
	if h.kind != typeCheck {
		r.metric = cutTags(r.metric, labels)
	}
	if len(h.tags) > 0 && len(labels) > 0 {
		return r, &lineFault{"mixed_tags", "it has tags in its name and DogStatsD's too; use one dialect in a line", nil}
	}
	addTags(labels, string(h.tags), ':')
	if len(h.origin) > 0 {
		labels["container_id"] = string(h.origin)
	}
	if len(h.host) > 0 {
		labels["host"] = string(h.host)
	}
	if r.metric == "" {
		return r, &lineFault{"malformed", "there are only tags before its colon", nil}
	}
	r.name, r.scale, r.ttl, r.meta.Help = r.metric, 1, m.ttl, defaultHelp
	if m.mapper.Defaults.Ttl > 0 {
		r.ttl = m.mapper.Defaults.Ttl
	}
	p, made, _ := m.mapper.GetMapping(r.metric, h.kind.mapped())
	if p != nil {
		switch {
		case p.Action == mapper.ActionTypeDrop:
			r.drop = true
			return r, nil
		case p.Name == "":
			return r, &lineFault{"malformed", "its mapping makes an empty name of it", nil}
		}
		r.apply(p, made, labels)
	}
	r.name = mapper.EscapeMetricName(r.name)
	maps.DeleteFunc(labels, func(_, value string) bool { return value == "" }) // to Prometheus it is not there
	r.labels = record.LabelsOf(labels)
	help := r.meta.Help
	r.meta = m.meta(h.kind, p)
	r.meta.ID, r.meta.Name, r.meta.Help = r.metric, r.name, help
	r.meta.Native = &record.Native{Program: "StatsD", Name: daemonName(r.metric), Mapped: r.mapped}
	if h.kind == typeTimer && r.scale == 1 { // else the mapping alone knows
		r.meta.Unit, r.meta.Native.Unit = "seconds", record.Milliseconds
	}
	return r, nil
}

// apply takes over what a mapping says; made are the labels that it made of the
// metric's name, which join those of the client.
func (r *route) apply(p *mapper.MetricMapping, made, labels map[string]string) {
	r.name = p.Name
	for name, value := range made {
		if _, ok := labels[name]; !ok || !p.HonorLabels {
			labels[name] = value
			r.mapped = append(r.mapped, name)
		}
	}
	slices.Sort(r.mapped)
	if p.Scale.Set {
		r.scale = p.Scale.Val
	}
	if p.Ttl > 0 {
		r.ttl = p.Ttl
	}
	if p.HelpText != "" {
		r.meta.Help = p.HelpText
	}
}

// daemonName is a metric's name as the StatsD daemon handed it to its backends:
// blanks and slashes replaced, and all other than letters, digits, _ - and . left
// out. A name of which nothing would be left stays as it is.
func daemonName(metric string) string {
	blank := false
	name := strings.Map(func(r rune) rune {
		again := blank
		blank = unicode.IsSpace(r)
		switch {
		case blank && !again:
			return '_'
		case r == '/':
			return '-'
		case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9', r == '_', r == '-', r == '.':
			return r
		}
		return -1
	}, metric)
	return cmp.Or(name, metric)
}

// mapped is the kind in the words of a mapping's match_metric_type.
func (k sampleType) mapped() mapper.MetricType {
	switch k {
	case typeCounter:
		return mapper.MetricTypeCounter
	case typeTimer, typeHistogram:
		return mapper.MetricTypeObserver
	default:
		return mapper.MetricTypeGauge
	}
}

// meta is how a kind is shown, by its mapping (nil: none) or the defaults.
func (m *mapping) meta(k sampleType, p *mapper.MetricMapping) record.Meta {
	switch k.mapped() {
	case mapper.MetricTypeCounter:
		return record.Meta{Type: record.Counter}
	case mapper.MetricTypeGauge:
		return record.Meta{Type: record.Gauge}
	}
	d := &m.mapper.Defaults
	observer, buckets, quantiles := d.ObserverType, d.HistogramOptions.Buckets, d.SummaryOptions.Quantiles
	if p != nil {
		if p.ObserverType != mapper.ObserverTypeDefault {
			observer = p.ObserverType
		}
		if p.HistogramOptions != nil && len(p.HistogramOptions.Buckets) > 0 {
			buckets = p.HistogramOptions.Buckets
		}
		if p.SummaryOptions != nil && len(p.SummaryOptions.Quantiles) > 0 {
			quantiles = p.SummaryOptions.Quantiles
		}
	}
	if observer == mapper.ObserverTypeHistogram {
		if n := len(buckets); n > 0 && math.IsInf(buckets[n-1], 1) {
			buckets = buckets[:n-1] // every histogram has it
		}
		return record.Meta{Type: record.Histogram, Rare: &record.Rare{Buckets: buckets}}
	}
	var shown []float64
	for _, q := range quantiles {
		shown = append(shown, q.Quantile)
	}
	slices.Sort(shown)
	return record.Meta{Type: record.Summary, Rare: &record.Rare{Quantiles: slices.Compact(shown)}}
}

// identity tells series apart: what they are, their name and their labels.
func (r *route) identity(k sampleType) []byte {
	switch k {
	case typeHistogram:
		k = typeTimer // they meet in one distribution
	case typeSet, typeCheck:
		k = typeGauge // as which they are shown
	}
	id := append([]byte{byte(k)}, r.name...)
	for _, l := range r.labels {
		id = append(append(id, 0xff), l.Name...) // in no UTF-8
		id = append(append(id, 0xff), l.Value...)
	}
	return id
}
