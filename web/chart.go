package web

import (
	"html/template"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"scriptbridge/internal/texts"
	"scriptbridge/script"
)

const (
	chartWidth, chartHeight = 120, 30
	chartStep               = 6 // from value to value
	chartEdge               = 3 // above and below, so that the line is whole
)

// chart is a small chart of what the last runs said.
type chart struct {
	Label, Last string
	SVG         template.HTML
}

// chartOf draws values, the newest on the right; NaN is a gap. show writes a value. What
// is drawn is also said, for those who do not see it.
func chartOf(label, last string, values []float64, show func(float64) string) chart {
	low, high := math.Inf(1), math.Inf(-1)
	for _, v := range values {
		if drawn(v) {
			low, high = min(low, v), max(high, v)
		}
	}
	if low > high {
		return chart{Label: label, Last: last}
	}
	var d strings.Builder
	pen := "M"
	for i, v := range values {
		if !drawn(v) {
			pen = "M"
			continue
		}
		share := 0.5                          // of a value that never changes
		if span := high/2 - low/2; span > 0 { // halves: the whole may be no number
			share = (v/2 - low/2) / span
		}
		x := chartWidth - chartEdge - (len(values)-1-i)*chartStep
		y := chartHeight - chartEdge - int(share*(chartHeight-2*chartEdge))
		d.WriteString(pen + strconv.Itoa(x) + " " + strconv.Itoa(y))
		if pen = "L"; i+1 == len(values) || !drawn(values[i+1]) { // also of one alone something is seen
			d.WriteString("h1")
		}
	}
	said := "the last " + count(len(values), "value") + ": from " + show(low) + " to " + show(high)
	return chart{Label: label, Last: last, SVG: template.HTML(`<svg class="chart" viewBox="0 0 ` + strconv.Itoa(chartWidth) + ` ` + strconv.Itoa(chartHeight) + // #nosec G203 -- numbers
		`" role="img" aria-label="` + said + `"><title>` + said + `</title><path d="` + d.String() + `"/></svg>`)}
}

// drawn reports whether a value has a place in a chart.
func drawn(v float64) bool { return !math.IsNaN(v) && !math.IsInf(v, 0) }

// durationChart is how long the last runs took.
func durationChart(last *script.Verdict, history script.History) chart {
	var values []float64
	for _, v := range history.All() {
		values = append(values, v.Duration.Seconds())
	}
	slices.Reverse(values)
	return chartOf("Duration", took(last.Duration), values, func(v float64) string { return took(time.Duration(v * float64(time.Second))) })
}

// trendCharts are the values of the last runs. They are as the script spelled them, and so
// private.
func trendCharts(trends []script.Trend) (list []chart) {
	for _, t := range trends {
		values := make([]float64, len(t.Values))
		for i, v := range t.Values {
			values[i] = float64(v)
		}
		last := plainNumber(t.Last)
		if n := len(t.Values); math.IsNaN(values[n-1]) {
			last = "not in the last run"
		}
		list = append(list, chartOf(texts.Visible(t.Label), last, values, rounded))
	}
	return list
}

// rounded is a value to four digits.
func rounded(v float64) string {
	f, err := strconv.ParseFloat(strconv.FormatFloat(v, 'g', 4, 64), 64)
	if err != nil {
		return plainNumber(v)
	}
	return plainNumber(f)
}
