package server

import (
	"encoding/json"
	"slices"
	"strings"
	"time"

	"scriptbridge/coscale"
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
	*target
	time  int64
	value float64
}

// recentSeries are the newest values of one series, in the order of their times.
type recentSeries struct {
	list []timed
	gone bool // it was forgotten
}

// timed is a value at a time, as data get answers.
type timed struct {
	time  int64
	value float64
}

// MarshalJSON writes [time,value].
func (t timed) MarshalJSON() ([]byte, error) {
	return coscale.Point{Time: t.time, Value: t.value}.MarshalJSON()
}

// recentValues remembers the newest values of each series, histograms
// excepted. The zero value is ready.
type recentValues struct {
	of     map[recentKey]map[uint64]*recentSeries
	series int
	swept  time.Time
}

// keep takes points in; those of new series are lost while there are too many.
func (v *recentValues) keep(points []recentPoint, now time.Time) {
	if v.of == nil {
		v.of = make(map[recentKey]map[uint64]*recentSeries)
	}
	if now.Sub(v.swept) > 5*time.Minute {
		v.swept = now
		v.sweep(now)
	}
	for _, p := range points {
		if p.recent == nil || p.recent.gone {
			p.recent = v.seriesOf(p.target)
		}
		if p.recent != nil {
			p.recent.keep(timed{p.time, p.value})
		}
	}
}

// seriesOf finds or makes what is remembered of a series; nil while there are too many.
func (v *recentValues) seriesOf(t *target) *recentSeries {
	s := v.of[t.recentKey][t.series]
	if s != nil || v.series >= maxRecentSeries {
		return s
	}
	v.series++
	if v.of[t.recentKey] == nil {
		v.of[t.recentKey] = make(map[uint64]*recentSeries)
	}
	s = new(recentSeries)
	v.of[t.recentKey][t.series] = s
	return s
}

func (s *recentSeries) keep(t timed) {
	i := len(s.list)
	if i > 0 && s.list[i-1].time >= t.time {
		var again bool
		i, again = slices.BinarySearchFunc(s.list, t.time, func(t timed, at int64) int { return int(t.time - at) })
		if again {
			s.list[i].value = t.value // the last one wins
			return
		}
	}
	s.list = slices.Insert(s.list, i, t)
	if len(s.list) > maxRecent {
		s.list = slices.Delete(s.list, 0, len(s.list)-maxRecent)
	}
}

// sweep forgets series without a value of late.
func (v *recentValues) sweep(now time.Time) {
	limit := now.Add(-recentFor).Unix()
	for key, all := range v.of {
		for series, s := range all {
			if s.list[len(s.list)-1].time < limit {
				s.gone = true
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
// one time made into one: first those of a key by inner, if there is one, and
// then all by outer. view says what is made of each series' values.
func (v *recentValues) between(keys []recentKey, start, stop int64, view func([]timed) []timed, inner, outer reduction) []timed {
	at := make(map[int64][]float64)
	for _, key := range keys {
		mine := make(map[int64][]float64)
		for _, s := range v.of[key] {
			for _, t := range view(s.list) {
				if t.time >= start && t.time <= stop {
					mine[t.time] = append(mine[t.time], t.value)
				}
			}
		}
		for time, values := range mine {
			if inner != nil {
				values = []float64{inner(values)}
			}
			at[time] = append(at[time], values...)
		}
	}
	out := make([]timed, 0, len(at))
	for _, time := range sortedIDs(at) {
		out = append(out, timed{time, outer(at[time])})
	}
	return out
}

// query is a request for data.
type query struct {
	Start, Stop int64
	IDs         []querySeries
}

type querySeries struct {
	MetricID          int64
	Subjects          string   // "s17,s18", "AVG(s1,s2)"
	SubjectIDs        []string // of getBatch
	Aggregator        string
	ViewType          string
	DimensionsSpecs   json.RawMessage // [[7,"AVG(*)"]]
	AggregateSubjects bool
}

// maxWanted bounds the series of one answer, and the subjects whose values they are
// made of.
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
	var ask query
	if err := json.Unmarshal([]byte(form.get("data")), &ask); err != nil {
		return nil, badRequest("the data cannot be read: %v", err)
	}
	var mode reduction
	if summary {
		if mode, err = summaryMode(c.query); err != nil {
			return nil, err
		}
	}
	start, stop := fromNow(ask.Start, c.now), fromNow(ask.Stop, c.now)
	h.putting.Lock()
	defer h.putting.Unlock()
	answer, asked := []any{}, 0
	for i := range ask.IDs {
		id := &ask.IDs[i]
		view, err := id.view(h.registry.find(coscale.Metrics, id.MetricID))
		if err != nil {
			return nil, err
		}
		inner, outer, err := id.reductions()
		if err != nil {
			return nil, err
		}
		for _, subjects := range splitSubjects(id.Subjects, id.SubjectIDs, id.AggregateSubjects) {
			if asked += len(subjects.names); asked > maxWanted {
				return nil, badRequest("that is more than %d series; ask for them in parts", maxWanted)
			}
			keys, err := h.recentKeys(id.MetricID, subjects.names)
			if err != nil {
				return nil, err
			}
			across := outer
			if subjects.function != "" {
				if across, err = aggregator(subjects.function); err != nil {
					return nil, err
				}
			}
			values := h.recent.between(keys, start, stop, view, inner, across)
			name := "[" + strings.Join(subjects.names, ",") + "]"
			if summary {
				answer = append(answer, summaryOf(name, values, mode))
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
		if _, _, err := coscale.ParseSubject(text); err != nil {
			return nil, badRequest("%v", err)
		}
		keys = append(keys, recentKey{metric, subject})
	}
	return keys, nil
}
