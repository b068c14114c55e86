package main

import (
	"scriptbridge/collector"
	"scriptbridge/record"
	"scriptbridge/web"
)

// pageView shows the status page what the collector made of each source.
type pageView struct{ *collector.Collector }

func (p pageView) Series(kind record.Kind, name string) []web.Series {
	all := p.Collector.Series(kind, name)
	series := make([]web.Series, len(all))
	for i, s := range all {
		series[i] = web.Series(s)
	}
	return series
}

func (p pageView) Refusals(kind record.Kind, name string) (kept []web.Refusal, all int) {
	first, all := p.Collector.Refusals(kind, name)
	for _, r := range first {
		kept = append(kept, web.Refusal(r))
	}
	return kept, all
}
