package coscale

import (
	"encoding/json"
	"fmt"
	"time"

	api "scriptbridge/coscale"
	"scriptbridge/record"
	"scriptbridge/upload/spool"
)

// asideSeries is how a part of a series is shown that was set aside.
type asideSeries struct {
	Metric     string            `json:"metric"`
	Unit       string            `json:"unit,omitempty"`
	Subject    string            `json:"subject"`
	Name       string            `json:"name,omitempty"`
	Dimensions map[string]string `json:"dimensions,omitempty"`
	Points     []api.Point       `json:"points"` // Unix seconds, value
}

// aside is what is kept of a failure for good, in the slot that began at start.
func (f *failure) aside(u *Uploader, start time.Time) (spool.Aside, error) {
	why := f.err
	if !f.refused {
		why = fmt.Errorf("it could not be settled for %v while all else was: %w", aloneFor, why)
	}
	if f.series != nil {
		return f.series.aside(u, start, why)
	}
	e := f.event.event
	if f.refused { // it is not there, and need not be looked for
		if err := u.mark(e, func(_ *spool.Tx, m *eventMark) error { m.InFlight = ""; return nil }); err != nil {
			return spool.Aside{}, err
		}
	}
	text, err := json.Marshal(e)
	return spool.Aside{Why: why, Shown: text, Items: 1, At: f.event.Key.Time(), Entry: f.event.Data}, err
}

// aside is what is kept of an entry that cannot be read.
func (q *queued) aside() spool.Aside {
	text, _ := json.Marshal(q.Data) // bytes never fail
	return spool.Aside{Why: q.broken, Shown: text, Items: q.Items, At: q.Key.Time()}
}

func (s *series) aside(u *Uploader, start time.Time, why error) (spool.Aside, error) {
	a := asideSeries{Metric: s.name, Unit: s.fact.unit, Subject: s.subject.Kind.String(), Name: s.subject.Name, Points: s.points}
	if s.subject.Kind == record.Host {
		a.Name = u.server
	}
	a.Dimensions = s.data(make(map[string]string)).Dimensions
	entry := values{via: s.via, facts: []fact{*s.fact}}
	for _, r := range s.refs {
		v := r.of.values.values[r.n]
		v.fact = 0
		entry.values = append(entry.values, v)
	}
	text, err := json.Marshal(a)
	return spool.Aside{Why: why, Shown: text, Items: len(s.points), At: start, Entry: entry.encode()}, err
}

// completeAside makes an entry of what a former version set aside, which kept it
// for people alone.
func completeAside(a *spool.Aside) error {
	var e event
	if json.Unmarshal(a.Shown, &e) == nil && e.Key != "" && e.Category != "" {
		text, err := e.encode()
		a.Entry, a.Items, a.At = text, 1, time.Unix(e.Start, 0)
		return err
	}
	var s asideSeries
	if err := json.Unmarshal(a.Shown, &s); err != nil {
		return err
	}
	if s.Metric == "" || len(s.Points) == 0 {
		return errEntry
	}
	f := fact{name: s.Metric, dataType: "DOUBLE", period: 60}
	if s.Points[0].Histogram != nil {
		f.dataType, f.aggregation = "HISTOGRAM", finished
	}
	subject := record.Subject{Kind: record.Server, Name: s.Name}
	switch s.Subject {
	case record.Group.String():
		subject.Kind = record.Group
	case record.Application.String():
		subject = record.Subject{Kind: record.Application}
	}
	v := values{facts: []fact{f}}
	labels := record.LabelsOf(s.Dimensions)
	for _, p := range s.Points {
		if (p.Histogram != nil) != (f.aggregation == finished) {
			return errEntry
		}
		one := value{subject: subject, labels: labels, time: p.Time, value: p.Value}
		if p.Histogram != nil {
			one.observed = observedOf(p.Histogram)
		}
		v.values = append(v.values, one)
	}
	a.Entry, a.Items, a.At = v.encode(), len(v.values), time.Unix(s.Points[0].Time, 0)
	return nil
}
