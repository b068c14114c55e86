package main

import (
	"strconv"

	"scriptbridge/collector"
	"scriptbridge/record"
	"scriptbridge/web"
)

// pageView shows the status page what the collector made of each script.
type pageView struct{ *collector.Collector }

func (p pageView) Count(name string) int { return p.Collector.Count(record.Script, name) }

func (p pageView) Series(name string) []web.Series {
	all := p.Collector.Series(record.Script, name)
	series := make([]web.Series, len(all))
	for i, s := range all {
		series[i] = web.Series{Text: s.Text, Value: strconv.FormatFloat(s.Value, 'g', -1, 64), Line: s.Line}
	}
	return series
}

func (p pageView) Refusals(name string) (kept []web.Refusal, all int) {
	first, all := p.Collector.Refusals(record.Script, name)
	for _, r := range first {
		kept = append(kept, web.Refusal(r))
	}
	return kept, all
}
