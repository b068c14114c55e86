package server

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"math"
	"net/http"
	"strconv"
	"time"

	"scriptbridge/coscale"
	"scriptbridge/internal/texts"
	"scriptbridge/record"
)

// routeEvents finds what a path below a category's data means.
func (h *Handler) routeEvents(c *call, category int64, path []string) (any, error) {
	if len(path) == 0 {
		switch c.Method {
		case http.MethodGet:
			return h.listEvents(c, category)
		case http.MethodPost:
			return h.insertEvent(c, category)
		}
		return nil, c.only(http.MethodGet, http.MethodPost)
	}
	get := len(path) == 2 && path[0] == "get"
	if get {
		path = path[1:]
	}
	if len(path) != 1 {
		return nil, noPath(c)
	}
	id, err := pathID(path[0])
	if err != nil {
		return nil, err
	}
	switch {
	case c.Method == http.MethodGet:
		if e := h.registry.event(category, id); e != nil {
			return e, nil
		}
		return nil, noEvent(id)
	case get:
		return nil, c.only(http.MethodGet)
	case c.Method == http.MethodPut:
		return h.updateEvent(c, category, id)
	case c.Method == http.MethodDelete:
		return removed("event data"), h.registry.removeEvent(category, id)
	}
	return nil, c.only(http.MethodGet, http.MethodPut, http.MethodDelete)
}

// listEvents answers with those that begin between start and stop. Both -1 is
// how the CLI says that it was given none.
func (h *Handler) listEvents(c *call, category int64) (any, error) {
	start, err := c.query.number("start", -1)
	if err != nil {
		return nil, err
	}
	stop, err := c.query.number("stop", -1)
	if err != nil {
		return nil, err
	}
	from, to := int64(math.MinInt64), int64(math.MaxInt64)
	if start != -1 || stop != -1 {
		if _, given := c.query.lookup("start"); given {
			from = fromNow(start, c.now)
		}
		if _, given := c.query.lookup("stop"); given {
			to = fromNow(stop, c.now)
		}
	}
	return h.registry.eventsOf(category, from, to), nil
}

// fromNow makes a time absolute: 0 and less are seconds before now.
func fromNow(t int64, now time.Time) int64 {
	if t > 0 {
		return t
	}
	return now.Unix() + t
}

// checkTime makes a time absolute and refuses one that can only be a mistake.
func checkTime(t int64, now time.Time) (int64, error) {
	switch at := fromNow(t, now); {
	case at < 1e8:
		return 0, fmt.Errorf("the time %d is before 1973; it is in Unix seconds, or at most 0: seconds before now", t)
	case at > now.Add(24*time.Hour).Unix():
		return 0, fmt.Errorf("the time %d is more than a day ahead", t)
	default:
		return at, nil
	}
}

func (h *Handler) insertEvent(c *call, category int64) (any, error) {
	form, err := c.form(maxBody)
	if err != nil {
		return nil, err
	}
	e := &coscale.EventData{ApplicationID: applicationID, Subject: "a", Attribute: "{}", EventID: category, Timestamp: c.now.Unix()}
	if err := assignEvent(e, form, c.now); err != nil {
		return nil, err
	}
	if was := h.registry.sentAgain(e); was != nil {
		return was, nil // the sinks have it
	}
	return h.keepEvent(c, e)
}

func (h *Handler) updateEvent(c *call, category, id int64) (any, error) {
	form, err := c.form(maxBody)
	if err != nil {
		return nil, err
	}
	old := h.registry.event(category, id)
	if old == nil {
		return nil, noEvent(id)
	}
	version, err := form.number("version", old.Version)
	switch {
	case err != nil:
		return nil, err
	case version != old.Version:
		return nil, outdated(version, old.Version)
	}
	e := *old
	if err := assignEvent(&e, form, c.now); err != nil {
		return nil, err
	}
	return h.keepEvent(c, &e)
}

// assignEvent takes over what a client gave, as one version more.
func assignEvent(e *coscale.EventData, form fields, now time.Time) error {
	for name, into := range map[string]*string{"message": &e.Message, "subject": &e.Subject, "attribute": &e.Attribute} {
		value, ok := form.lookup(name)
		if !ok || value == "" && name != "message" {
			continue
		}
		if len(value) > maxEventFields {
			return badRequest("%s has %d bytes, more than %d", name, len(value), maxEventFields)
		}
		*into = value
	}
	if _, _, err := coscale.ParseSubject(e.Subject); err != nil {
		return badRequest("%v", err)
	}
	read := func(name string, into *int64) (given bool, err error) {
		if form.get(name) == "" {
			return false, nil
		}
		n, err := form.number(name, 0)
		if err != nil {
			return true, err
		}
		if *into, err = checkTime(n, now); err != nil {
			return true, badRequest("%s: %v", name, err)
		}
		return true, nil
	}
	if _, err := read("timestamp", &e.Timestamp); err != nil {
		return err
	}
	var stop int64
	switch given, err := read("stopTime", &stop); {
	case err != nil:
		return err
	case given:
		e.StopTime = &stop
	}
	e.UpdateTime = now.Unix()
	e.Version++
	return nil
}

// keepEvent puts an event, and stores it when the sink has it.
func (h *Handler) keepEvent(c *call, e *coscale.EventData) (any, error) {
	h.putting.Lock()
	defer h.putting.Unlock()
	b := h.newBatch(c.now, c.via)
	err := h.registry.keepEvent(e, c.now,
		func() string { return h.gid(e) },
		func() error {
			b.Events = []record.Event{h.recordEvent(e)}
			return h.put(b)
		})
	if err != nil {
		return nil, err
	}
	return e, nil
}

// gid is an event's id for all times: sinks know it by this. It is made of
// what the event says and, where there are several that say the same, of how
// many came before. So an event that is sent once more because we were stopped
// before we could store it is the same to sinks; see also sentAgain.
func (h *Handler) gid(e *coscale.EventData) string {
	category := h.registry.find(coscale.Categories, e.EventID)
	stop := int64(0)
	if e.StopTime != nil {
		stop = *e.StopTime
	}
	for n := 0; ; n++ {
		sum := sha256.Sum256(fmt.Appendf(nil, "%q %d %d %q %q %q %d", category.Name, e.Timestamp, stop, e.Subject, e.Message, e.Attribute, n))
		gid := "EV-" + hex.EncodeToString(sum[:8])
		if _, taken := h.registry.events.byGID[gid]; !taken {
			return gid
		}
	}
}

// recordEvent is an event as sinks know it.
func (h *Handler) recordEvent(e *coscale.EventData) record.Event {
	h.registry.mu.Lock()
	defer h.registry.mu.Unlock()
	meta := h.registry.eventMeta(e.EventID)
	subject, _ := h.registry.subject(e.Subject)
	out := record.Event{
		ID:         e.GID,
		Name:       meta.Name,
		Message:    e.Message,
		Start:      time.Unix(e.Timestamp, 0),
		Subject:    subject,
		Attributes: readAttributes(e.Attribute),
		Meta:       meta,
	}
	if e.StopTime != nil {
		out.Stop = time.Unix(*e.StopTime, 0)
	}
	return out
}

// subject is what sinks are told of a subject: its name, or its number where it
// is unknown. The caller holds mu.
func (r *registry) subject(text string) (s record.Subject, known bool) {
	kind, id, err := coscale.ParseSubject(text)
	switch {
	case err != nil:
		return record.Subject{}, false
	case kind == "":
		return record.Subject{Kind: record.Application}, true
	case kind == coscale.ServerGroups:
		s.Kind = record.Group
	default:
		s.Kind = record.Server
	}
	if o := r.tables[kind].byID[id]; o != nil {
		s.Name = o.Name
		return s, true
	}
	s.Name = strconv.FormatInt(id, 10)
	return s, false
}

// readAttributes reads a text that should hold a JSON object, in its order.
// cron.sh pastes a message into it as it is, so that it may be none: then it is
// kept whole.
func readAttributes(text string) []record.Label {
	members, err := texts.Members([]byte(text))
	if err != nil {
		return []record.Label{{Name: "attribute", Value: text}}
	}
	var list []record.Label
	for _, m := range members {
		list = append(list, record.Label{Name: m.Name, Value: m.Text()})
	}
	return list
}
