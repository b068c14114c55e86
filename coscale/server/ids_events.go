package server

import (
	"encoding/json"
	"math"
	"reflect"
	"slices"
	"time"

	"scriptbridge/coscale"
)

// Bounds of the event data that are kept: clients ask for what they have sent
// lately, to close or to find it again. Sinks have had all of it.
const (
	maxEventsOf    = 1000  // of one category
	maxEventData   = 20000 // of all
	maxEventBytes  = 64 << 20
	maxEventAge    = 30 * 24 * time.Hour // after the last change
	maxEventFields = 64 << 10            // bytes of a message, or of attributes
)

// eventTable holds event data in memory. The zero value is ready.
type eventTable struct {
	byID  map[int64]*coscale.EventData
	byGID map[string]int64
	of    map[int64][]int64 // of a category, in the order of their making
	ids   []int64           // of all, likewise
	bytes int
}

func sizeOf(e *coscale.EventData) int {
	return len(e.Message) + len(e.Attribute) + len(e.Subject) + 200
}

func (s *eventTable) put(e *coscale.EventData) {
	if s.byID == nil {
		s.byID, s.byGID, s.of = make(map[int64]*coscale.EventData), make(map[string]int64), make(map[int64][]int64)
	}
	if old := s.byID[e.ID]; old != nil {
		s.bytes -= sizeOf(old)
	} else {
		s.byGID[e.GID] = e.ID
		s.of[e.EventID] = append(s.of[e.EventID], e.ID)
		s.ids = append(s.ids, e.ID)
	}
	s.byID[e.ID] = e
	s.bytes += sizeOf(e)
}

func (s *eventTable) discard(id int64) {
	e := s.byID[id]
	if e == nil {
		return
	}
	delete(s.byID, id)
	delete(s.byGID, e.GID)
	s.bytes -= sizeOf(e)
	s.ids = drop(s.ids, id)
	if s.of[e.EventID] = drop(s.of[e.EventID], id); len(s.of[e.EventID]) == 0 {
		delete(s.of, e.EventID)
	}
}

// drop takes an id from an ascending list.
func drop(ids []int64, id int64) []int64 {
	if i, ok := slices.BinarySearch(ids, id); ok {
		return slices.Delete(ids, i, i+1)
	}
	return ids
}

// excess are the event data that must go for what is new, or larger than it was.
func (s *eventTable) excess(e *coscale.EventData, now time.Time) []int64 {
	var out []int64
	bytes, left := s.bytes+sizeOf(e), len(s.ids)
	was := s.byID[e.ID]
	if was != nil {
		bytes -= sizeOf(was)
		left--
	}
	for _, id := range s.ids {
		if id == e.ID {
			continue
		}
		old := s.byID[id]
		over := left >= maxEventData || bytes > maxEventBytes || time.Unix(old.UpdateTime, 0).Add(maxEventAge).Before(now)
		if !over {
			break
		}
		out = append(out, id)
		bytes -= sizeOf(old)
		left--
	}
	if of := s.of[e.EventID]; was == nil && len(of) >= maxEventsOf && !slices.Contains(out, of[0]) {
		out = append(out, of[0])
	}
	return out
}

func dropEvents(ids []int64) []change {
	var changes []change
	for _, id := range ids {
		changes = append(changes, change{eventBucket, numberKey(id), nil})
	}
	return changes
}

// event gives the data of an event; nil when the category has none of this id.
func (r *registry) event(category, id int64) *coscale.EventData {
	r.mu.Lock()
	defer r.mu.Unlock()
	if e := r.events.byID[id]; e != nil && e.EventID == category {
		return e
	}
	return nil
}

// eventsOf gives a category's event data whose begin is in a range of Unix
// seconds, in the order of their making.
func (r *registry) eventsOf(category, from, to int64) []*coscale.EventData {
	r.mu.Lock()
	defer r.mu.Unlock()
	list := []*coscale.EventData{}
	for _, id := range r.events.of[category] {
		if e := r.events.byID[id]; e.Timestamp >= from && e.Timestamp <= to {
			list = append(list, e)
		}
	}
	return list
}

// keepEvent stores an event's data after deliver has taken them; when that
// fails, nothing has happened. A new one has no ID yet.
func (r *registry) keepEvent(e *coscale.EventData, now time.Time, identify func() string, deliver func() error) error {
	r.changing.Lock()
	defer r.changing.Unlock()
	if r.tables[coscale.Categories].byID[e.EventID] == nil {
		return noObject(coscale.Categories, e.EventID)
	}
	var changes []change
	next := r.next[eventIDs]
	if e.ID == 0 {
		id, taken := r.nextID(eventIDs)
		e.ID, e.GID, next = id, identify(), id+1
		changes = append(changes, taken)
	} else if old := r.events.byID[e.ID]; old == nil {
		return noEvent(e.ID)
	} else if old.Version != e.Version-1 {
		return outdated(e.Version-1, old.Version)
	}
	out := r.events.excess(e, now)
	changes = append(changes, dropEvents(out)...)
	value, err := json.Marshal(e)
	if err != nil {
		return err
	}
	if err := deliver(); err != nil {
		return err
	}
	return r.commit(append(changes, change{eventBucket, numberKey(e.ID), value}), func() {
		r.next[eventIDs] = next
		for _, id := range out {
			r.events.discard(id)
		}
		r.events.put(e)
	})
}

// inFlight is how long before the end of a process, in seconds, a request may have
// been kept whose answer never left.
const inFlight = 10

// lastEvents are the events that were kept last, in the order of their making.
func (s *eventTable) lastEvents() (ids []int64) {
	last := int64(math.MinInt64)
	for _, e := range s.byID {
		last = max(last, e.UpdateTime)
	}
	for _, id := range s.ids {
		if s.byID[id].UpdateTime >= last-inFlight {
			ids = append(ids, id)
		}
	}
	return ids
}

// sentAgain gives the event that a client sends once more because the process
// ended before it could be answered; nil when it is another one. Each is given
// once: who sends the same twice means two.
func (r *registry) sentAgain(e *coscale.EventData) *coscale.EventData {
	r.mu.Lock()
	defer r.mu.Unlock()
	for i, id := range r.unanswered {
		if was := r.events.byID[id]; was != nil && sameEvent(was, e) {
			r.unanswered = slices.Delete(r.unanswered, i, i+1)
			return was
		}
	}
	return nil
}

func sameEvent(a, b *coscale.EventData) bool {
	return a.EventID == b.EventID && a.Timestamp == b.Timestamp && reflect.DeepEqual(a.StopTime, b.StopTime) &&
		a.Subject == b.Subject && a.Message == b.Message && a.Attribute == b.Attribute
}

// removeEvent takes an event's data away.
func (r *registry) removeEvent(category, id int64) error {
	r.changing.Lock()
	defer r.changing.Unlock()
	if e := r.events.byID[id]; e == nil || e.EventID != category {
		return noEvent(id)
	}
	return r.commit(dropEvents([]int64{id}), func() { r.events.discard(id) })
}

func noEvent(id int64) error { return notFound("There is no event data %d.", id) }
