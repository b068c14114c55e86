package collectd

import (
	"fmt"
	"strings"
	"time"

	"scriptbridge/record"
)

// notification is a notification of collectd's.
type notification struct {
	identifier
	time     time.Time // zero: not said
	ends     time.Time // zero: not said
	severity string
	message  string
	secured  bool // as in valueList
	// alert is what write_http calls the notification in place of its type.
	alert string
}

// severities are those that a notification may have, by their numbers
// on the wire.
var severities = map[uint64]string{1: "failure", 2: "warning", 4: "okay"}

// parseSeverity reads a severity by name, in any case; false for none. OK is
// the okay of collectd's other programs.
func parseSeverity(name string) (string, bool) {
	if name = strings.ToLower(name); name == "ok" {
		name = "okay"
	}
	for _, s := range severities {
		if s == name {
			return s, true
		}
	}
	return "", false
}

const (
	maxMessage = 4096 // bytes of a message
	// maxSubjects is how many things are remembered of which there
	// was a notification, and subjectAge for how long.
	maxSubjects = 4096
	subjectAge  = 24 * time.Hour
)

// notificationEvent is the one kind of event that collectd has.
var notificationEvent = &record.EventMeta{
	Name:        "notification",
	Description: "A notification of collectd; open until one of another severity or message follows, or an okay.",
	Attributes:  []string{"host", "plugin", "plugin_instance", "type", "type_instance", "severity", "alert"},
}

// declared goes with every batch, so that the counter of notifications
// is there from 0.
var declared = &record.Declared{Events: []*record.EventMeta{notificationEvent}}

// check tells what keeps a notification from being one.
func (n *notification) check() error {
	for _, part := range []string{n.host, n.plugin, n.pluginInstance, n.typ, n.typeInstance} {
		if len(part) > maxName {
			return fmt.Errorf("a notification of the host %.100q names something of %d bytes, more than %d", n.host, len(part), maxName)
		}
	}
	switch {
	case n.message == "":
		return fmt.Errorf("a notification of the host %q has no message", n.host)
	case len(n.alert) > 2*maxName:
		return fmt.Errorf("a notification of the host %q has a name of %d bytes, more than %d", n.host, len(n.alert), 2*maxName)
	}
	return nil
}

// subject is what a notification speaks of. Those of one subject follow each
// other.
func (n *notification) subject() subjectKey { return subjectKey{n.identifier, n.alert} }

type subjectKey struct {
	identifier
	alert string
}

// notifications remembers the last notification of every subject. The zero
// value is ready; it is not safe for concurrent use.
type notifications struct {
	last map[subjectKey]*lastEvent
}

// lastEvent is the event that the last notification of a subject became.
type lastEvent struct {
	event    record.Event
	severity string
	came     time.Time
	newest   time.Time // of the secured notifications of the subject
}

// events makes the events of a notification. A failure or warning is an open
// event until something else is said of its subject, or its own end: then it
// comes again, with its end. An okay is an event that has ended. What says
// nothing new is none.
func (c *notifications) events(source *record.Source, n *notification, now time.Time) []record.Event {
	at, stop := n.span(now)
	if len(n.message) > maxMessage {
		// A copy: what is remembered must not hold on to all that came.
		n.message = strings.Clone(strings.ToValidUTF8(n.message[:maxMessage], ""))
	}
	var events []record.Event
	newest := time.Time{}
	if n.secured {
		newest = n.time
	}
	if last := c.last[n.subject()]; last != nil {
		if newest.Before(last.newest) {
			newest = last.newest
		}
		last.newest = newest
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
		Name: notificationEvent.Name, Message: n.message, Start: at, Stop: stop, Meta: notificationEvent,
		Attributes: n.attributes(),
	}
	e.ID = e.Identify(source)
	if c.last == nil {
		c.last = make(map[subjectKey]*lastEvent)
	}
	c.last[n.subject()] = &lastEvent{e, n.severity, now, newest}
	if len(c.last) > maxSubjects {
		c.forgetOldest()
	}
	return append(events, e)
}

// replayed reports whether a secured notification is no later than one that came
// before.
func (c *notifications) replayed(n *notification) bool {
	last := c.last[n.subject()]
	return n.secured && last != nil && !last.newest.IsZero() && !n.time.After(last.newest)
}

// span is from when to when a notification holds; no stop where it goes on, as
// one that says that it will end some day does still. An okay has no duration.
func (n *notification) span(now time.Time) (at, stop time.Time) {
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
func (n *notification) attributes() []record.Label {
	var all []record.Label
	for i, value := range []string{n.host, n.plugin, n.pluginInstance, n.typ, n.typeInstance, n.severity, n.alert} {
		if value != "" {
			all = append(all, record.Label{Name: notificationEvent.Attributes[i], Value: value})
		}
	}
	return all
}

// clean forgets what came a day ago. An event that is open then stays so: the
// page shows none for longer.
func (c *notifications) clean(now time.Time) {
	for subject, last := range c.last {
		if now.Sub(last.came) > subjectAge {
			delete(c.last, subject)
		}
	}
}

func (c *notifications) forgetOldest() {
	var oldest subjectKey
	var came time.Time
	for subject, last := range c.last {
		if came.IsZero() || last.came.Before(came) {
			oldest, came = subject, last.came
		}
	}
	delete(c.last, oldest)
}
