package collector

import (
	"slices"
	"strings"
	"time"

	"scriptbridge/internal/texts"
	"scriptbridge/record"
)

// The families of events. Their names follow the
// source's prefix.
var (
	eventCount = builtin("_events", counter, "", "Events received, by declared event.")
	eventInfo  = builtin("_event", info, "", "Recent events, and those still open, with their declared attributes.")
	eventStart = builtin("_event_start_timestamp_seconds", gauge, "seconds", "When an event began, in Unix time.")
	eventEnd   = builtin("_event_end_timestamp_seconds", gauge, "seconds", "When an event ended, in Unix time; absent while it is open.")

	eventFamilies = []*builtinFamily{eventCount, eventInfo, eventStart, eventEnd}
)

const (
	maxEvents     = 100  // shown of a source, the newest
	maxEventNames = 1000 // counted of a source
	maxEventText  = 256  // bytes of a message or attribute
	// openFor is how long an event without an end is shown at most.
	openFor = 24 * time.Hour
)

// events are a source's: how many there were, and the latest.
type events struct {
	seen   record.Seen
	counts map[string]int // by name
	shown  []*event       // in the order in which they were received
	due    instant        // none of shown ends before
}

// event is one that is shown.
type event struct {
	record.Event        // our own copy
	id           string // on the page
	content      string // record.Event.Identify of what is shown
	received     instant
	open         bool
	series       []*series // its lines; no other event has one of them
}

// expires is when an event is shown no more.
func (c *Collector) expires(e *event) instant {
	if e.open {
		return e.received.add(openFor)
	}
	return e.received.add(c.retention)
}

// declareEvents makes the counters of declared events, at 0 for new ones.
func (c *Collector) declareEvents(s *source) {
	for _, meta := range s.declared.Events {
		c.countEvent(s, meta.Name, 0)
	}
}

// countEvent adds n to an event's counter; false when there are too many
// different ones.
func (c *Collector) countEvent(s *source, name string, n int) bool {
	name = eventText(name)
	if _, ok := s.events.counts[name]; !ok && len(s.events.counts) >= maxEventNames {
		return false
	}
	if s.events.counts == nil { // most sources have no events
		s.events.counts = make(map[string]int)
	}
	s.events.counts[name] += n
	c.show(s, s.eventPrefix+eventCount.name, eventCount, float64(s.events.counts[name]),
		s.eventLabels(record.Label{Name: "event", Value: name}))
	return true
}

// eventText is a text of an event's as a label value.
func eventText(s string) string {
	return texts.Cut(strings.ToValidUTF8(s, "\uFFFD"), maxEventText)
}

// eventLabels are the labels of an event's series: the source, those given,
// and the operator's, which give way where an event has one of the same name.
func (s *source) eventLabels(labels ...record.Label) []record.Label {
	labels = append([]record.Label{{Name: string(s.def.Kind), Value: s.def.Name}}, labels...)
	for _, l := range s.labels {
		if !slices.ContainsFunc(labels, func(o record.Label) bool { return o.Name == l.Name }) {
			labels = append(labels, l)
		}
	}
	return labels
}

// putEvents takes the batch's events.
func (c *Collector) putEvents(s *source, b *record.Batch, now instant) {
	for i := range b.Events {
		c.putEvent(s, &b.Events[i], b.Time, now)
	}
	if len(b.Events) > 0 {
		s.due = min(s.due, c.expireEvents(s, now))
	}
}

// putEvent counts an event that is new, and shows it. One that came before is
// shown as it is now; where nothing changed, its time on the page goes on as if
// it had not come again.
func (c *Collector) putEvent(s *source, e *record.Event, at time.Time, now instant) {
	again := s.events.seen.Again(e.ID, at)
	if !again && !c.countEvent(s, e.Name, 1) {
		c.refuse(s, &record.Sample{Name: e.Name, Line: e.Line}, tooManyEvents)
		return
	}
	shown := &event{Event: *e, id: eventText(e.ID), content: e.Identify(s.def), received: now, open: e.Stop.IsZero()}
	shown.Attributes = slices.Clone(e.Attributes)
	i := slices.IndexFunc(s.events.shown, func(o *event) bool { return o.id == shown.id })
	switch {
	case again && i < 0:
		return // its time is over
	case i >= 0 && s.events.shown[i].content == shown.content:
		return
	case i >= 0:
		c.endEvent(s, i)
	case len(s.events.shown) >= maxEvents:
		c.endEvent(s, 0)
	}
	c.showEvent(s, shown)
	s.events.shown = append(s.events.shown, shown)
}

// showEventsAgain makes the series of a source's events anew, after all of them
// were dropped: under the names and labels that it has now.
func (c *Collector) showEventsAgain(s *source) {
	for name := range s.events.counts {
		c.countEvent(s, name, 0)
	}
	for _, shown := range s.events.shown {
		shown.series = nil
		c.showEvent(s, shown)
	}
}

// showEvent makes the series of one event.
func (c *Collector) showEvent(s *source, shown *event) {
	e := &shown.Event
	which := s.eventLabels(
		record.Label{Name: "event", Value: eventText(e.Name)},
		record.Label{Name: "event_id", Value: shown.id})
	words := []record.Label{
		{Name: "event", Value: eventText(e.Name)},
		{Name: "event_id", Value: shown.id},
		{Name: "subject", Value: e.Subject.Kind.String()},
	}
	if !s.def.DropTexts {
		words = append(words, record.Label{Name: "message", Value: eventText(e.Message)})
	}
	described := s.eventLabels(words...)
	if e.Subject.Name != "" {
		described = append(described, record.Label{Name: e.Subject.Kind.String(), Value: eventText(e.Subject.Name)})
	}
	described = append(described, attributes(e, described)...)

	set := func(f *builtinFamily, value float64, labels []record.Label) {
		shown.series = append(shown.series, c.show(s, s.eventPrefix+f.name, f, value, labels))
	}
	set(eventInfo, 1, described)
	set(eventStart, unixSeconds(e.Start), which)
	if !shown.open {
		set(eventEnd, unixSeconds(e.Stop), which)
	}
}

// attributes are an event's declared attributes as labels that fit beside
// the bridge's, in the order of the page.
func attributes(e *record.Event, reserved []record.Label) []record.Label {
	if e.Meta == nil {
		return nil
	}
	var raw, taken []string
	var labels []record.Label
	for _, a := range e.Attributes {
		if slices.Contains(e.Meta.Attributes, a.Name) && len(raw) < maxLabels {
			raw = append(raw, a.Name)
			labels = append(labels, record.Label{Value: eventText(a.Value)})
		}
	}
	for _, l := range reserved {
		taken = append(taken, l.Name)
	}
	for i, name := range labelNames(taken, raw, e.Meta.Attributes, labelName) {
		labels[i].Name = name
	}
	slices.SortFunc(labels, func(a, b record.Label) int { return compareLabels(a.Name, b.Name) })
	return labels
}

// endEvent hides the i-th event shown.
func (c *Collector) endEvent(s *source, i int) {
	for _, se := range s.events.shown[i].series {
		c.end(se)
	}
	s.events.shown = slices.Delete(s.events.shown, i, i+1)
}

// expireEvents ends the events whose time is over, and says when the next one
// is due.
func (c *Collector) expireEvents(s *source, now instant) instant {
	s.events.due = never
	for i := 0; i < len(s.events.shown); {
		if at := c.expires(s.events.shown[i]); at > now {
			s.events.due = min(s.events.due, at)
			i++
		} else {
			c.endEvent(s, i)
		}
	}
	return s.events.due
}
