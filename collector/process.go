package collector

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"

	"scriptbridge/collector/selfmetrics"
)

// This file keeps the names of the process-wide families: exactly those, not
// all that begin with go_ or process_, which many scripts use.

// reserveProcess takes the names of the families that the registry gives now,
// and of those that it only describes yet.
func (c *Collector) reserveProcess() {
	if c.registry == nil {
		return
	}
	families, _ := c.registry.Gather() // an error is told at the first scrape
	_, _ = c.admitProcess(families)    // there is no source yet
	registered, ok := c.registry.(prometheus.Collector)
	if !ok {
		return
	}
	descriptions := make(chan *prometheus.Desc)
	go func() {
		defer close(descriptions)
		registered.Describe(descriptions)
	}()
	for d := range descriptions {
		if name := selfmetrics.NameOf(d); name != "" && c.named(name) == nil {
			base, counts := strings.CutSuffix(name, "_total")
			c.reserve(&family{name: base, kind: histogram}) // which has most names, since the type is not described
			if counts {
				c.reserve(&family{name: base, kind: counter})
			}
		}
	}
}

// admitProcess takes the names of process-wide families, and leaves out those
// that a source was there before with, so that no page has a name twice; the
// error names them.
func (c *Collector) admitProcess(families []*dto.MetricFamily) ([]*dto.MetricFamily, error) {
	var taken []error
	c.mu.Lock()
	defer c.mu.Unlock()
	families = slices.DeleteFunc(families, func(mf *dto.MetricFamily) bool {
		f := &family{name: mf.GetName(), kind: kindOfProcess[mf.GetType()]}
		f.name = strings.TrimSuffix(f.name, f.kind.suffix())
		if c.reserve(f) {
			return false
		}
		taken = append(taken, fmt.Errorf("%s: a source has this name", mf.GetName()))
		return true
	})
	return families, errors.Join(taken...)
}

// reserve takes the names of a process-wide family; it reports false when a
// source has one of them.
func (c *Collector) reserve(f *family) bool {
	if o := c.named(f.name); o != nil && o.builtin && o.kind == f.kind {
		return true // from before
	}
	names := claims(f.name, f.kind)
	for _, n := range names {
		if o := c.named(n); o != nil && !o.builtin {
			return false
		}
	}
	if strings.HasPrefix(f.name, builtinPrefix) {
		return true // no source has those in any case
	}
	f.builtin = true
	for _, n := range names {
		c.reserved[n] = f
	}
	return true
}

// kindOfProcess has client_golang's types that are not unknown on the page.
var kindOfProcess = map[dto.MetricType]kindOf{
	dto.MetricType_COUNTER: counter, dto.MetricType_GAUGE: gauge, dto.MetricType_SUMMARY: summary, dto.MetricType_HISTOGRAM: histogram,
}
