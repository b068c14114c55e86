package coscale

import (
	"encoding/json"
	"slices"
	"strings"
	"time"

	"scriptbridge/record"
)

// Bounds of the values that are remembered for who asks for them.
const (
	maxRecent       = 120 // points of a series: two hours of minutes
	maxRecentSeries = 10_000
	recentFor       = 2 * time.Hour
)

// recentKey is whose values are asked for.
type recentKey struct {
	metric  int64
	subject record.Subject
}

// recentPoint is a value of one of its series.
type recentPoint struct {
	recentKey
	series uint64
	time   int64
	value  float64
}

// timed is a value at a time, as data get answers.
type timed struct {
	time  int64
	value float64
}

// MarshalJSON writes [time,value].
func (t timed) MarshalJSON() ([]byte, error) {
	return Point{Time: t.time, Value: t.value}.MarshalJSON()
}

// recentValues remembers the newest values of each series, histograms
// excepted. The zero value is ready.
type recentValues struct {
	of     map[recentKey]map[uint64][]timed
	series int
	swept  time.Time
}

// keep takes points in; those of new series are lost while there are too many.
func (v *recentValues) keep(points []recentPoint, now time.Time) {
	if v.of == nil {
		v.of = make(map[recentKey]map[uint64][]timed)
	}
	if now.Sub(v.swept) > 5*time.Minute {
		v.swept = now
		v.sweep(now)
	}
	for _, p := range points {
		list, ok := v.of[p.recentKey][p.series]
		if !ok {
			if v.series >= maxRecentSeries {
				continue
			}
			v.series++
			if v.of[p.recentKey] == nil {
				v.of[p.recentKey] = make(map[uint64][]timed)
			}
		}
		i, again := slices.BinarySearchFunc(list, p.time, func(t timed, at int64) int { return int(t.time - at) })
		if again {
			list[i].value = p.value // the last one wins
			continue
		}
		list = slices.Insert(list, i, timed{p.time, p.value})
		if len(list) > maxRecent {
			list = slices.Delete(list, 0, len(list)-maxRecent)
		}
		v.of[p.recentKey][p.series] = list
	}
}

// sweep forgets series without a value of late.
func (v *recentValues) sweep(now time.Time) {
	limit := now.Add(-recentFor).Unix()
	for key, all := range v.of {
		for series, list := range all {
			if list[len(list)-1].time < limit {
				delete(all, series)
				v.series--
			}
		}
		if len(all) == 0 {
			delete(v.of, key)
		}
	}
}

// between gives the values of several keys in a range of Unix seconds, those of
// one time made into one.
func (v *recentValues) between(keys []recentKey, start, stop int64, aggregate func([]float64) float64) []timed {
	at := make(map[int64][]float64)
	for _, key := range keys {
		for _, list := range v.of[key] {
			for _, t := range list {
				if t.time >= start && t.time <= stop {
					at[t.time] = append(at[t.time], t.value)
				}
			}
		}
	}
	out := make([]timed, 0, len(at))
	for _, time := range sortedIDs(at) {
		values := at[time]
		slices.Sort(values) // so that a mean is the same each time
		out = append(out, timed{time, aggregate(values)})
	}
	return out
}

// wanted is a request for data (7).
type wanted struct {
	Start, Stop int64
	IDs         []struct {
		MetricID          int64
		Subjects          string   // "s17,s18", "AVG(s1,s2)"
		SubjectIDs        []string // of getBatch
		Aggregator        string
		AggregateSubjects bool
	}
}

// maxWanted bounds the series of one answer.
const maxWanted = 1000

// getData answers with recent values: exactly one element for each metric and
// subject that is asked for, or one for all of its subjects where these are to
// be aggregated. The values of all dimensions are aggregated. With summary, the
// values of an element become one.
func (h *Handler) getData(c *call, summary bool) (any, error) {
	form, err := c.form(maxBody)
	if err != nil {
		return nil, err
	}
	var ask wanted
	if err := json.Unmarshal([]byte(form.get("data")), &ask); err != nil {
		return nil, badRequest("the data cannot be read: %v", err)
	}
	start, stop := fromNow(ask.Start, c.now), fromNow(ask.Stop, c.now)
	h.putting.Lock()
	defer h.putting.Unlock()
	answer := []any{}
	for _, id := range ask.IDs {
		aggregate := aggregator(id.Aggregator)
		for _, subjects := range splitSubjects(id.Subjects, id.SubjectIDs, id.AggregateSubjects) {
			if len(answer) >= maxWanted {
				return nil, badRequest("that is more than %d series; ask for them in parts", maxWanted)
			}
			keys, err := h.recentKeys(id.MetricID, subjects)
			if err != nil {
				return nil, err
			}
			values := h.recent.between(keys, start, stop, aggregate)
			name := "[" + strings.Join(subjects, ",") + "]"
			if summary {
				answer = append(answer, summaryOf(name, values, aggregator(c.query.get("mode"))))
			} else {
				answer = append(answer, struct {
					S      string  `json:"s"`
					Values []timed `json:"values"`
				}{name, values})
			}
		}
	}
	return answer, nil
}

func (h *Handler) recentKeys(metric int64, subjects []string) ([]recentKey, error) {
	h.registry.mu.Lock()
	defer h.registry.mu.Unlock()
	var keys []recentKey
	for _, text := range subjects {
		subject, _ := h.registry.subject(text)
		if _, _, err := ParseSubject(text); err != nil {
			return nil, badRequest("%v", err)
		}
		keys = append(keys, recentKey{metric, subject})
	}
	return keys, nil
}

// summaryOf is an element with one value, or none.
func summaryOf(name string, values []timed, aggregate func([]float64) float64) any {
	calc := []*float64{nil}
	if len(values) > 0 {
		all := make([]float64, len(values))
		for i, t := range values {
			all[i] = t.value
		}
		v := aggregate(all)
		calc[0] = &v
	}
	return struct {
		S    string     `json:"s"`
		Calc []*float64 `json:"calc"`
	}{name, calc}
}

// aggregator is what makes one value of several; the mean for an unknown one.
func aggregator(word string) func([]float64) float64 {
	switch strings.ToUpper(word) {
	case "MIN", "MINIMUM":
		return slices.Min[[]float64]
	case "MAX", "MAXIMUM":
		return slices.Max[[]float64]
	}
	return func(values []float64) float64 {
		mean := 0.0
		for _, v := range values {
			mean += v / float64(len(values)) // a sum might have no end
		}
		return mean
	}
}

// splitSubjects gives the subjects of each element of an answer.
func splitSubjects(text string, ids []string, together bool) [][]string {
	var all [][]string
	for text != "" {
		var part string
		open, comma := strings.IndexByte(text, '('), strings.IndexByte(text, ',')
		if open >= 0 && (comma < 0 || open < comma) { // AVG(s1,s2)
			part, text, _ = strings.Cut(text[open+1:], ")")
			text = strings.TrimPrefix(text, ",")
			all = append(all, splitTrimmed(part))
			continue
		}
		part, text, _ = strings.Cut(text, ",")
		all = append(all, []string{strings.TrimSpace(part)})
	}
	for _, id := range ids {
		all = append(all, []string{strings.TrimSpace(id)})
	}
	if together && len(all) > 1 {
		return [][]string{slices.Concat(all...)}
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
