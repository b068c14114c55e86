package server

import (
	"encoding/json"
	"slices"
	"strings"
)

// This file has what makes one value of several for who reads data back.
// A word that is not known is refused: the mean in its
// place would be a wrong answer that looks right.

// reduction makes one value of several, of which there is one at least.
type reduction func([]float64) float64

// meanOf is the same whatever the order.
func meanOf(values []float64) float64 {
	values = slices.Sorted(slices.Values(values))
	m := 0.0
	for _, v := range values {
		m += v / float64(len(values)) // a sum might have no end
	}
	return m
}

// reductionOf knows the words of aggregators and modes; nil for another.
func reductionOf(word string) reduction {
	switch strings.ToUpper(word) {
	case "", "AVG", "AVERAGE":
		return meanOf
	case "MIN", "MINIMUM":
		return slices.Min[[]float64]
	case "MAX", "MAXIMUM":
		return slices.Max[[]float64]
	}
	return nil
}

// aggregator makes one value of those of one time.
func aggregator(word string) (reduction, error) {
	if reduce := reductionOf(word); reduce != nil {
		return reduce, nil
	}
	return nil, badRequest("the aggregator %.40q is not known; it is AVG, MIN or MAX", word)
}

// reductions are for the values of one time: inner for those of one subject,
// where a dimension names a function, and outer for all.
func (w *querySeries) reductions() (inner, outer reduction, err error) {
	word := w.Aggregator
	if word == "" && w.viewReduces() {
		word = w.ViewType
	}
	if outer, err = aggregator(word); err != nil {
		return nil, nil, err
	}
	var specs [][]any
	if len(w.DimensionsSpecs) > 0 && json.Unmarshal(w.DimensionsSpecs, &specs) != nil {
		return nil, nil, badRequest(`the dimensionsSpecs %.100s are no list like [[7,"AVG(*)"]]`, w.DimensionsSpecs)
	}
	for _, spec := range specs {
		for _, part := range spec {
			text, _ := part.(string)
			function, _, called := strings.Cut(text, "(")
			if !called {
				continue
			}
			if inner, err = aggregator(strings.TrimSpace(function)); err != nil {
				return nil, nil, err
			}
		}
	}
	return inner, outer, nil
}

// viewReduces says whether the view type names what to do with several values.
func (w *querySeries) viewReduces() bool {
	return slices.Contains([]string{"AVG", "MIN", "MAX"}, strings.ToUpper(w.ViewType))
}

// view is what the view type makes of the values of one series. One point is
// its own mean and extreme. RATE, per second, and COUNT, what was added since the
// point before, are made of what counts; a gauge stays as it is.
func (w *querySeries) view(metric *object) (func([]timed) []timed, error) {
	word := strings.ToUpper(w.ViewType)
	asItIs := func(list []timed) []timed { return list }
	switch {
	case word == "" || word == "DEFAULT" || w.viewReduces():
		return asItIs, nil
	case word != "RATE" && word != "COUNT":
		return nil, badRequest("the viewtype %.40q is not known; it is DEFAULT, AVG, MIN, MAX, RATE or COUNT", w.ViewType)
	case metric == nil:
		return asItIs, nil
	case metric.DataType == "COUNTER":
		return func(list []timed) []timed { return growth(list, word == "RATE") }, nil
	case metric.DataType == "COUNT" && word == "RATE" && metric.Period > 0:
		return func(list []timed) []timed {
			rates := slices.Clone(list)
			for i := range rates {
				rates[i].value /= float64(metric.Period)
			}
			return rates
		}, nil
	}
	return asItIs, nil
}

// growth is by how much a counter grew since the point before, or how fast. One
// that fell began anew.
func growth(list []timed, perSecond bool) []timed {
	var grown []timed
	for i := 1; i < len(list); i++ {
		t := timed{list[i].time, list[i].value}
		if before := list[i-1].value; before <= t.value {
			t.value -= before
		}
		if perSecond {
			t.value /= float64(list[i].time - list[i-1].time)
		}
		grown = append(grown, t)
	}
	return grown
}

// summaryMode makes one value of those of an element, which are in the order of
// their times.
func summaryMode(query fields) (reduction, error) {
	if function := query.get("function"); function != "" && !strings.EqualFold(function, "summary") {
		return nil, badRequest("the function %.40q is not known; it is summary", function)
	}
	mode := query.get("mode")
	if strings.EqualFold(mode, "last") {
		return func(values []float64) float64 { return values[len(values)-1] }, nil
	}
	if reduce := reductionOf(mode); reduce != nil {
		return reduce, nil
	}
	return nil, badRequest("the mode %.40q is not known; it is average, last, min or max", mode)
}

// summaryOf is an element with one value, or none.
func summaryOf(name string, values []timed, reduce reduction) any {
	calc := []*float64{nil}
	if len(values) > 0 {
		all := make([]float64, len(values))
		for i, t := range values {
			all[i] = t.value
		}
		v := reduce(all)
		calc[0] = &v
	}
	return struct {
		S    string     `json:"s"`
		Calc []*float64 `json:"calc"`
	}{name, calc}
}

// subjectList is the subjects of one element of an answer, and the function of
// their values where the request names one.
type subjectList struct {
	function string
	names    []string
}

// splitSubjects gives the subjects of each element of an answer.
func splitSubjects(text string, ids []string, together bool) []subjectList {
	var all []subjectList
	for text != "" {
		var part string
		open, comma := strings.IndexByte(text, '('), strings.IndexByte(text, ',')
		if open >= 0 && (comma < 0 || open < comma) { // AVG(s1,s2)
			function := strings.TrimSpace(text[:open])
			part, text, _ = strings.Cut(text[open+1:], ")")
			text = strings.TrimPrefix(strings.TrimSpace(text), ",")
			all = append(all, subjectList{function, splitTrimmed(part)})
			continue
		}
		part, text, _ = strings.Cut(text, ",")
		all = append(all, subjectList{"", []string{strings.TrimSpace(part)}})
	}
	for _, id := range ids {
		all = append(all, subjectList{"", []string{strings.TrimSpace(id)}})
	}
	if together && len(all) > 1 {
		var one subjectList
		for _, l := range all {
			one.names = append(one.names, l.names...)
		}
		return []subjectList{one}
	}
	return all
}

func splitTrimmed(list string) []string {
	parts := strings.Split(list, ",")
	for i := range parts {
		parts[i] = strings.TrimSpace(parts[i])
	}
	return parts
}
