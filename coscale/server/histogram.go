package server

import (
	"fmt"
	"math"
	"slices"
	"strconv"

	"scriptbridge/coscale"
	"scriptbridge/record"
)

// histogram makes the samples of a summary: a quantile for each value, and the
// count, which is that of the time since the last point and so adds up.
func (in *intake) histogram(smp record.Sample, hist *coscale.Histogram, p addedPoint) error {
	quantiles, err := quantilesOf(hist)
	if err != nil {
		return err
	}
	labels := smp.Labels
	for i, q := range quantiles {
		smp.Value = hist.Values[i]
		smp.Labels = append(slices.Clip(labels), record.Label{Name: "quantile", Value: strconv.FormatFloat(q, 'g', -1, 64)})
		in.push(&smp)
	}
	smp.Name, smp.Labels, smp.Value = smp.Meta.Name+"_count", labels, hist.Samples
	in.add(smp, p)
	return nil
}

// maxQuantiles bounds the series of one histogram.
const maxQuantiles = 128

// quantilesOf gives those that the values stand for, as far as that is known: i
// times width while that is below 100 percent, then 100, or the 95, 99 and 100
// of the StatsD backend.
func quantilesOf(hist *coscale.Histogram) ([]float64, error) {
	switch {
	case !(hist.Width > 0):
		return nil, fmt.Errorf("the histogram has the width %v", hist.Width)
	case !(hist.Samples >= 0) || math.IsInf(hist.Samples, 0):
		return nil, fmt.Errorf("the histogram has %v samples", hist.Samples)
	case len(hist.Values) > maxQuantiles:
		return nil, fmt.Errorf("the histogram has %d values, more than %d", len(hist.Values), maxQuantiles)
	}
	var all []float64
	for i, v := range hist.Values {
		if math.IsNaN(v) || math.IsInf(v, 0) {
			return nil, fmt.Errorf("the histogram has the value %v", v)
		}
		if p := float64(i) * hist.Width; p < 100 {
			all = append(all, p/100)
		}
	}
	switch len(hist.Values) - len(all) {
	case 1:
		all = append(all, 1)
	case 3:
		all = append(all, 0.95, 0.99, 1)
	}
	return all, nil
}
