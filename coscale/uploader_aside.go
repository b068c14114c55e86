package coscale

import (
	"encoding/json"
	"fmt"
	"time"

	"scriptbridge/record"
	"scriptbridge/spool"
)

// asideSeries is how a part of a series is shown that was set aside.
type asideSeries struct {
	Metric     string            `json:"metric"`
	Unit       string            `json:"unit,omitempty"`
	Subject    string            `json:"subject"`
	Name       string            `json:"name,omitempty"`
	Dimensions map[string]string `json:"dimensions,omitempty"`
	Points     []Point           `json:"points"` // Unix seconds, value
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
		if err := u.mark(e, func(_ *spool.Tx, m *eventMark) error { m.Flying = ""; return nil }); err != nil {
			return spool.Aside{}, err
		}
	}
	text, err := json.Marshal(e)
	return spool.Aside{Why: why, Shown: text, Items: 1, At: f.event.Key.Time(), Entry: f.event.Data}, err
}

func (s *series) aside(u *Uploader, start time.Time, why error) (spool.Aside, error) {
	a := asideSeries{Metric: s.name, Unit: s.fact.unit, Subject: s.subject.Kind.String(), Name: s.subject.Name, Points: s.points}
	if s.subject.Kind == record.Host {
		a.Name = u.server
	}
	a.Dimensions = dimensionsOf(s.labels)
	entry := values{via: s.via, facts: []fact{*s.fact}}
	for _, r := range s.refs {
		v := r.of.values.values[r.n]
		v.fact = 0
		entry.values = append(entry.values, v)
	}
	text, err := json.Marshal(a)
	return spool.Aside{Why: why, Shown: text, Items: len(s.points), At: start, Entry: entry.encode()}, err
}
