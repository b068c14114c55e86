package collectd

import (
	"fmt"
	"strings"
	"time"

	"scriptbridge/record"
)

// collectdNotice is a notification of collectd's.
type collectdNotice struct {
	collectdID
	time     time.Time // zero: not said
	ends     time.Time // zero: not said
	severity string
	message  string
	// alert is what write_http calls the notification in place of its type.
	alert string
}

// collectdSeverities are those that a notification may have, by their numbers
// on the wire.
var collectdSeverities = map[uint64]string{1: "failure", 2: "warning", 4: "okay"}

// collectdSeverityOf reads a severity by name, in any case; false for none. OK is
// the okay of collectd's other programs.
func collectdSeverityOf(name string) (string, bool) {
	if name = strings.ToLower(name); name == "ok" {
		name = "okay"
	}
	for _, s := range collectdSeverities {
		if s == name {
			return s, true
		}
	}
	return "", false
}

const (
	collectdMessageMost = 4096 // bytes of a message
	// collectdNoticesMost is how many things are remembered of which there
	// was a notification, and collectdNoticeAge for how long.
	collectdNoticesMost = 4096
	collectdNoticeAge   = 24 * time.Hour
)

// collectdEvent is the one kind of event that collectd has.
var collectdEvent = &record.EventMeta{
	Name:        "notification",
	Description: "A notification of collectd; open until one of another severity or message follows, or an okay.",
	Attributes:  []string{"host", "plugin", "plugin_instance", "type", "type_instance", "severity", "alert"},
}

// collectdDeclared goes with every batch, so that the counter of notifications
// is there from 0.
var collectdDeclared = &record.Declared{Events: []*record.EventMeta{collectdEvent}}

// check tells what keeps a notification from being one.
func (n *collectdNotice) check() error {
	for _, part := range []string{n.host, n.plugin, n.pluginInstance, n.typ, n.typeInstance} {
		if len(part) > collectdLongest {
			return fmt.Errorf("a notification of the host %.100q names something of %d bytes, more than %d", n.host, len(part), collectdLongest)
		}
	}
	switch {
	case n.message == "":
		return fmt.Errorf("a notification of the host %q has no message", n.host)
	case len(n.alert) > 2*collectdLongest:
		return fmt.Errorf("a notification of the host %q has a name of %d bytes, more than %d", n.host, len(n.alert), 2*collectdLongest)
	}
	return nil
}

// subject is what a notification speaks of. Those of one subject follow each
// other.
func (n *collectdNotice) subject() collectdSubject { return collectdSubject{n.collectdID, n.alert} }

type collectdSubject struct {
	collectdID
	alert string
}

// collectdNotices remembers the last notification of every subject. The zero
// value is ready; it is not safe for concurrent use.
type collectdNotices struct {
	last map[collectdSubject]*collectdLast
}

// collectdLast is the event that the last notification of a subject became.
type collectdLast struct {
	event    record.Event
	severity string
	came     time.Time
}

// events makes the events of a notification. A failure or warning is an open
// event until something else is said of its subject, or its own end: then it
// comes again, with its end. An okay is an event that has ended. What says
// nothing new is none.
func (c *collectdNotices) events(source *record.Source, n *collectdNotice, now time.Time) []record.Event {
	at, stop := n.span(now)
	if len(n.message) > collectdMessageMost {
		// A copy: what is remembered must not hold on to all that came.
		n.message = strings.Clone(strings.ToValidUTF8(n.message[:collectdMessageMost], ""))
	}
	var events []record.Event
	if last := c.last[n.subject()]; last != nil {
		open := last.event.Stop.IsZero()
		over := !stop.IsZero() && n.severity != "okay"
		same := last.severity == n.severity && last.event.Message == n.message
		if same && (open && !over || last.event.Start.Equal(at) && last.event.Stop.Equal(stop)) {
			last.came = now
			return nil
		}
		if open {
			ended := last.event
			ended.Stop = at
			if over {
				ended.Stop = stop
			}
			if ended.Stop.Before(ended.Start) {
				ended.Stop = ended.Start
			}
			events = append(events, ended)
			if over { // this is the end, and no other event
				last.event, last.came = ended, now
				return events
			}
		}
	}
	e := record.Event{
		Name: collectdEvent.Name, Message: n.message, Start: at, Stop: stop, Meta: collectdEvent,
		Attributes: n.attributes(),
	}
	e.ID = e.Identify(source)
	if c.last == nil {
		c.last = make(map[collectdSubject]*collectdLast)
	}
	c.last[n.subject()] = &collectdLast{e, n.severity, now}
	if len(c.last) > collectdNoticesMost {
		c.forgetOldest()
	}
	return append(events, e)
}

// span is from when to when a notification holds; no stop where it goes on, as
// one that says that it will end some day does still. An okay is a moment.
func (n *collectdNotice) span(now time.Time) (at, stop time.Time) {
	at = n.time
	okay := n.severity == "okay"
	if okay && !n.ends.IsZero() {
		at = n.ends
	}
	if at.Unix() <= 0 || at.After(now.Add(24*time.Hour)) {
		at = now
	}
	switch {
	case okay:
		stop = at
	case !n.ends.IsZero() && !n.ends.After(now):
		stop = n.ends
		if stop.Before(at) {
			stop = at
		}
	}
	return at, stop
}

// attributes are what a notification names, without what is empty.
func (n *collectdNotice) attributes() []record.Label {
	var all []record.Label
	for i, value := range []string{n.host, n.plugin, n.pluginInstance, n.typ, n.typeInstance, n.severity, n.alert} {
		if value != "" {
			all = append(all, record.Label{Name: collectdEvent.Attributes[i], Value: value})
		}
	}
	return all
}

// clean forgets what came a day ago. An event that is open then stays so: the
// page shows none for longer.
func (c *collectdNotices) clean(now time.Time) {
	for subject, last := range c.last {
		if now.Sub(last.came) > collectdNoticeAge {
			delete(c.last, subject)
		}
	}
}

func (c *collectdNotices) forgetOldest() {
	var oldest collectdSubject
	var came time.Time
	for subject, last := range c.last {
		if came.IsZero() || last.came.Before(came) {
			oldest, came = subject, last.came
		}
	}
	delete(c.last, oldest)
}
