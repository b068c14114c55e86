package coscale

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"scriptbridge/internal/texts"
	"scriptbridge/record"
	"scriptbridge/script/dialect/lines"
)

const (
	maxAttributes = 256 // of one event
	// So many places are tried where the attributes of a line might begin.
	maxStarts = 16
	// A start or stop above 0 but below this (March 1973) is a number of
	// seconds without its minus sign.
	minTime = 100_000_000
	ahead   = 24 * 60 * 60 // seconds that a clock may be ahead
)

var (
	errEventForm = errors.New(`an event is E<id> <start> <stop> "<message>" "<attributes>" and S or A, all on one line`)
	errEventJSON = errors.New(`the attributes are not a JSON object (write them like "{"Exit code":137}", their quotes as they are, or "{}")`)
)

// event reads `<id> <start> <stop> "<message>" "<json>" [S|A]`, what follows
// the E. The quotes within the JSON are not escaped, so the line is read from
// both ends.
func (d *dataParser) event(text []byte) {
	id, rest, ok := cutID(text)
	if !ok || len(rest) > 0 && !lines.IsBlank(rest[0]) {
		d.refuse("no_id", errNoNumber)
		return
	}
	meta := d.config.events[id]
	if meta == nil {
		d.refuse("undeclared", fmt.Errorf("event %d is not declared by -c, which has %s", id,
			lines.ListIDs(d.config.declared.Events, func(e *record.EventMeta) string { return e.ID })))
		return
	}
	first, rest := lines.CutWord(lines.TrimBlanks(rest))
	second, rest := lines.CutWord(rest)
	body := rest[:bytes.LastIndexByte(rest, '"')+1]
	suffix := lines.TrimBlanks(rest[len(body):])
	if looksGlued(rest, false) {
		d.refuse("glued", errGlued)
		return
	}
	if len(body) == 0 || body[0] != '"' {
		d.refuse("bad_event", errEventForm)
		return
	}
	message, attributes, err := cutAttributes(body)
	if err != nil {
		d.refuse("bad_event", err)
		return
	}
	if word, others := lines.CutWord(suffix); len(others) > 0 {
		d.refuse("extra_words", fmt.Errorf("event %d: %q is followed by %q", id, lines.Clip(word), lines.Clip(others)))
		return
	}
	e := record.Event{
		Name: meta.Name, Message: string(message), Attributes: attributes, Meta: meta, Line: d.number,
	}
	if e.Start, err = d.parseTime(first); err == nil {
		e.Stop, err = d.parseTime(second)
	}
	if err != nil {
		d.refuse("bad_time", err)
		return
	}
	switch string(suffix) {
	case "", "S":
	case "A":
		e.Subject.Kind = record.Application
	default:
		d.warnings = addWarning(d.warnings, "event %d ends in %q, which is neither S nor A: S is used", id, lines.Clip(suffix))
	}
	if len(d.events) == maxEvents {
		d.refuse("too_many", fmt.Errorf("the run gave %d events before this one", maxEvents))
		return
	}
	d.events = append(d.events, e)
}

// parseTime reads a start or stop: at or below 0 it is
// seconds before the end of the run, above it is Unix seconds.
func (d *dataParser) parseTime(word []byte) (time.Time, error) {
	v, ok := lines.ParseDecimal(word)
	if !ok {
		return time.Time{}, fmt.Errorf("the time %q is not a number (write 0 for now, -300 for 300 s ago, or Unix seconds)", lines.Clip(word))
	}
	at := v
	if v <= 0 {
		at += float64(d.end)
	}
	switch {
	case at < minTime:
		return time.Time{}, fmt.Errorf("the time %s is too long ago (Unix seconds, or seconds ago with a minus sign)", lines.Clip(word))
	case at > float64(d.end+ahead):
		return time.Time{}, fmt.Errorf("the time %s is more than a day ahead (write seconds, not milliseconds)", lines.Clip(word))
	}
	return time.Unix(int64(at), 0).UTC(), nil
}

// cutAttributes divides `"<message>" "<json>"`. The JSON is the text from the
// last `"{` that makes a valid object of it up to the end; "" is no attributes.
func cutAttributes(body []byte) (message []byte, attributes []record.Label, err error) {
	if before, empty := bytes.CutSuffix(body, []byte(`""`)); empty {
		if message, ok := unquote(before); ok {
			return message, nil, nil
		}
		return nil, nil, errEventForm
	}
	text, ok := bytes.CutSuffix(body, []byte(`}"`))
	if !ok {
		return nil, nil, errEventJSON
	}
	text = body[:len(text)+1]
	from := len(text)
	for range maxStarts {
		if from = bytes.LastIndex(text[:from], []byte(`"{`)); from < 0 {
			break
		}
		object := text[from+1:]
		if !json.Valid(object) {
			continue
		}
		message, ok := unquote(text[:from])
		if !ok {
			return nil, nil, errEventForm
		}
		attributes, err := decodeAttributes(object)
		return message, attributes, err
	}
	return nil, nil, errEventJSON
}

// unquote takes the message out of its quotes; other quotes in it are its own.
func unquote(text []byte) ([]byte, bool) {
	text = lines.TrimBlanks(text)
	if len(text) < 2 || text[0] != '"' || text[len(text)-1] != '"' {
		return nil, false
	}
	return text[1 : len(text)-1], true
}

// decodeAttributes gives the members of a valid JSON object in its order:
// strings as their text, everything else as compact JSON. Of two members of one
// name the last counts, as JSON readers have it.
func decodeAttributes(object []byte) ([]record.Label, error) {
	var compact bytes.Buffer
	if err := json.Compact(&compact, object); err != nil {
		return nil, err
	}
	members, err := texts.Members(compact.Bytes())
	if err != nil {
		return nil, err
	}
	var all []record.Label
	for _, m := range members {
		all = setLabel(all, record.Label{Name: m.Name, Value: m.Text()})
		if len(all) > maxAttributes {
			return nil, fmt.Errorf("the event has more than %d attributes", maxAttributes)
		}
	}
	return all, nil
}

func setLabel(all []record.Label, l record.Label) []record.Label {
	if i := slices.IndexFunc(all, func(o record.Label) bool { return o.Name == l.Name }); i >= 0 {
		all[i] = l
		return all
	}
	return append(all, l)
}
