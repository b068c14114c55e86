package coscale

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	api "scriptbridge/coscale"
	"scriptbridge/internal/texts"
	"scriptbridge/record"
	"scriptbridge/upload/spool"
)

// eventMark is what is known of an event: a source may repeat it run after run,
// and a later word with the same ID changes it.
type eventMark struct {
	Hash string `json:"hash"` // of the newest content that was queued
	Time int64  `json:"time"` // when it was last mentioned, Unix seconds
	// InFlight is the hash of the content that was sent for the first time and
	// whose answer is not known; it is on disk before that is sent.
	InFlight string `json:"flying,omitempty"`
	Sent     string `json:"sent,omitempty"` // hash of the content that the server has
	// Category and Data are its ids, once it was sent.
	Category int64 `json:"category,omitempty"`
	Data     int64 `json:"data,omitempty"`
}

// What is known of events, and of the previous values of series, is kept for so
// long after they were last mentioned; of events, the newest so many.
const (
	keptFor    = 15 * 24 * time.Hour // twice the longest period of a script
	keptEvents = 20_000
	// mentionAgain is how exactly the last mention is known: a repeated event
	// shall not cost a write each time.
	mentionAgain = 6 * time.Hour
)

const (
	eventPrefix = "event/"
	claimPrefix = "claim/"
)

// event makes the entry of an event.
func (u *Uploader) event(p *put, b *record.Batch, e *record.Event) *event {
	one := &event{
		Key:     stateKey("event", p.source, e.ID),
		Message: valid(e.Message),
		Subject: subject(e.Subject),
		Start:   p.time.Unix(),
		Via:     p.via,
	}
	if !e.Start.IsZero() {
		one.Start = e.Start.Unix()
	}
	if !e.Stop.IsZero() {
		one.Stop = e.Stop.Unix()
	}
	for _, a := range e.Attributes {
		one.Attributes = append(one.Attributes, record.Label{Name: valid(a.Name), Value: valid(a.Value)})
	}
	if m := e.Meta; m != nil {
		one.Description = valid(m.Description)
		for _, name := range m.Attributes {
			one.Declared = append(one.Declared, valid(name))
		}
	}
	one.Category = valid(e.Name)
	switch {
	case b.Source.WholeNames:
	case b.Source.Kind == record.Script && e.Meta != nil:
		one.Category += u.suffix
	default:
		one.Category = valid(b.Source.Name + " " + e.Name)
	}
	hash := sha256.Sum256(fmt.Appendf(nil, "%q %q %d %d %d %q %q",
		one.Category, one.Message, one.Start, one.Stop, one.Subject.Kind, one.Subject.Name, one.Attributes))
	one.Hash = hex.EncodeToString(hash[:12])
	return one
}

// newEvents leaves only what is not known, so that a source that repeats itself
// costs no write.
func (u *Uploader) newEvents(p *put) error {
	if len(p.events) == 0 {
		return nil
	}
	var fresh []*event
	err := u.spool.View(func(tx *spool.Tx) error {
		fresh = nil
		for _, e := range p.events {
			m := readMark(tx, e.Key)
			if m.Hash != e.Hash || p.time.Sub(time.Unix(m.Time, 0)) > mentionAgain {
				fresh = append(fresh, e)
			}
		}
		return nil
	})
	p.events = fresh
	return err
}

// storeEvent queues an event, unless the queue has or had it.
func storeEvent(tx *spool.Tx, e *event, now time.Time) error {
	m := readMark(tx, e.Key)
	again := m.Hash == e.Hash
	m.Hash, m.Time = e.Hash, now.Unix()
	if err := m.write(tx, e.Key); err != nil || again {
		return err
	}
	text, err := e.encode()
	if err != nil {
		return err
	}
	return tx.Append(now, 1, text)
}

func readMark(tx *spool.Tx, key string) eventMark {
	var m eventMark
	if json.Unmarshal(tx.Get(key), &m) != nil {
		return eventMark{}
	}
	return m
}

func (m *eventMark) write(tx *spool.Tx, key string) error {
	text, err := json.Marshal(m)
	if err != nil {
		return err
	}
	return tx.Set(key, text)
}

// mark changes what is known of an event, on disk.
func (u *Uploader) mark(e *event, change func(tx *spool.Tx, m *eventMark) error) error {
	return u.spool.Update(func(tx *spool.Tx) error {
		m := readMark(tx, e.Key)
		if m.Hash == "" { // it was forgotten while it waited
			m.Hash, m.Time = e.Hash, time.Now().Unix()
		}
		if err := change(tx, &m); err != nil {
			return err
		}
		return m.write(tx, e.Key)
	})
}

// sendEvent sends an event, or what has changed of it, so that the server has
// it once. told: the server was asked and has it; an event of which a later
// word waits is not told.
func (u *Uploader) sendEvent(ctx context.Context, e *event) (told bool, err error) {
	var m eventMark
	err = u.spool.View(func(tx *spool.Tx) error { m = readMark(tx, e.Key); return nil })
	if err != nil {
		return false, err
	}
	wasInFlight := m.InFlight == e.Hash
	if m.Sent == e.Hash || !wasInFlight && m.Hash != "" && m.Hash != e.Hash { // a later word of it waits
		return false, nil
	}
	category, err := u.category(ctx, e)
	if err != nil {
		return false, err
	}
	data, err := u.eventData(ctx, e)
	if err != nil {
		return false, err
	}
	if m.Data != 0 && m.Category == category {
		err := u.changeEvent(ctx, m, data)
		if err == nil {
			return true, u.sent(e, category, m.Data)
		}
		if !isNotFound(err) {
			return false, err
		}
		// It is not there any more, and so it is a new one.
	}
	if wasInFlight {
		id, found, err := u.findEvent(ctx, e, category, data)
		if err != nil {
			return false, err
		}
		if found {
			return true, u.sent(e, category, id)
		}
	} else if err := u.mark(e, func(_ *spool.Tx, m *eventMark) error { m.InFlight = e.Hash; return nil }); err != nil {
		return false, err
	}
	made, err := u.client.InsertEvent(ctx, category, data)
	if err != nil {
		return false, err
	}
	return true, u.sent(e, category, made.ID)
}

// sent notes that the server has an event, and whose that one is.
func (u *Uploader) sent(e *event, category, id int64) error {
	return u.mark(e, func(tx *spool.Tx, m *eventMark) error {
		m.InFlight, m.Sent, m.Category, m.Data = "", e.Hash, category, id
		return tx.Set(claimKey(category, id), []byte(e.Key))
	})
}

func claimKey(category, id int64) string {
	return claimPrefix + strconv.FormatInt(category, 10) + "/" + strconv.FormatInt(id, 10)
}

// eventData is an event as the API has it.
func (u *Uploader) eventData(ctx context.Context, e *event) (api.EventData, error) {
	subject, err := u.subject(ctx, e.Subject)
	d := api.EventData{Timestamp: e.Start, Message: e.Message, Attribute: attributeText(e.Attributes)}
	if e.Stop != 0 {
		d.StopTime = &e.Stop
	}
	d.Subject = api.SubjectOf(subjectKind(e.Subject), subject)
	return d, err
}

// attributeText is a JSON object of the attributes, in their order. A text that
// is a whole number is written as one: the declared types are not known here,
// and that is what most of them were.
func attributeText(all []record.Label) string {
	b := []byte{'{'}
	for i, a := range all {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(appendText(b, a.Name), ':')
		if n, err := strconv.ParseInt(a.Value, 10, 64); err == nil && strconv.FormatInt(n, 10) == a.Value {
			b = append(b, a.Value...)
		} else {
			b = appendText(b, a.Value)
		}
	}
	return string(append(b, '}'))
}

func appendText(b []byte, s string) []byte {
	text, _ := texts.JSON(s) // a string never fails
	return append(b, text...)
}

// changeEvent makes the server's event what data says, unless it is already.
func (u *Uploader) changeEvent(ctx context.Context, m eventMark, data api.EventData) error {
	is, err := u.client.Event(ctx, m.Category, m.Data)
	if err != nil || sameEvent(is, data) {
		return err
	}
	data.ID, data.Version = is.ID, is.Version
	_, err = u.client.UpdateEvent(ctx, m.Category, data)
	return err
}

// findEvent looks for an event that was sent and whose answer was lost. One
// that is known to be another's is not it.
func (u *Uploader) findEvent(ctx context.Context, e *event, category int64, data api.EventData) (id int64, found bool, err error) {
	all, err := u.client.Events(ctx, category, data.Timestamp-1, data.Timestamp+1)
	if err != nil {
		return 0, false, err
	}
	err = u.spool.View(func(tx *spool.Tx) error {
		id, found = 0, false
		for _, is := range all {
			owner := string(tx.Get(claimKey(category, is.ID)))
			if sameEvent(is, data) && (owner == "" || owner == e.Key) {
				id, found = is.ID, true
				return nil
			}
		}
		return nil
	})
	return id, found, err
}

func sameEvent(a, b api.EventData) bool {
	stop := func(e api.EventData) int64 {
		if e.StopTime == nil {
			return 0
		}
		return *e.StopTime
	}
	return a.Timestamp == b.Timestamp && stop(a) == stop(b) && a.Message == b.Message &&
		strings.EqualFold(a.Subject, b.Subject) && sameJSON(a.Attribute, b.Attribute)
}

// sameJSON compares what texts say; those that say nothing, by their letters.
func sameJSON(a, b string) bool {
	var x, y any
	if json.Unmarshal([]byte(a), &x) != nil || json.Unmarshal([]byte(b), &y) != nil {
		return a == b
	}
	return reflect.DeepEqual(x, y)
}

// tidy forgets what was not mentioned for long, and the oldest events where
// there are too many.
func (u *Uploader) tidy(now time.Time) error {
	limit := now.Add(-keptFor).Unix()
	var old []string
	type known struct {
		key string
		eventMark
	}
	var events []known
	err := u.spool.View(func(tx *spool.Tx) error {
		old, events = nil, nil
		for key, b := range tx.Each("previous/") {
			if _, ok := readPrevious(b); !ok || previousTime(b) < limit {
				old = append(old, key)
			}
		}
		for key := range tx.Each(eventPrefix) {
			events = append(events, known{key, readMark(tx, key)})
		}
		return nil
	})
	if err != nil {
		return err
	}
	slices.SortFunc(events, func(a, b known) int { return int(a.Time - b.Time) })
	for i, e := range events {
		if e.Time < limit || i < len(events)-keptEvents {
			old = append(old, e.key, claimKey(e.Category, e.Data))
		}
	}
	if len(old) == 0 {
		return nil
	}
	return u.spool.Update(func(tx *spool.Tx) error { return tx.Delete(old...) })
}
