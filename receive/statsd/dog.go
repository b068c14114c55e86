package statsd

import (
	"bytes"
	"slices"
	"strings"
	"time"

	"scriptbridge/record"
)

// This file reads what DogStatsD sends beside metrics:
//
//	_e{LEN,LEN}:TITLE|TEXT[|d:TIME][|h:HOST][|k:KEY][|p:PRIORITY][|s:SOURCE][|t:ALERT][|#TAGS][|c:CONTAINER]
//	_sc|NAME|STATUS[|d:TIME][|h:HOST][|#TAGS][|c:CONTAINER][|m:MESSAGE]

// eventMeta is the one kind of event that StatsD clients send: their titles
// are free text, and no name of a series.
var eventMeta = &record.EventMeta{
	Name:        "StatsD event",
	Description: "An event of a DogStatsD client.",
	Attributes:  []string{"alert_type", "priority", "source_type", "aggregation_key", "tags", "container_id"},
}

// declared makes the counter of events be there from 0.
var declared = &record.Declared{Events: []*record.EventMeta{eventMeta}}

// dogEvent reads an event. Its lengths tell where the title and the text end,
// whatever these hold.
func dogEvent(line []byte, source *record.Source, now time.Time) (e record.Event, fault *lineFault) {
	malformed := func(text string, what []byte) *lineFault { return &lineFault{"malformed", text, what} }
	lengths, rest, ok := bytes.Cut(bytes.TrimPrefix(line, []byte("_e{")), []byte("}:"))
	one, two, comma := bytes.Cut(lengths, []byte{','})
	title, isTitle := dogLength(one)
	text, isText := dogLength(two)
	if !ok || !comma || !isTitle || !isText {
		return e, malformed("an event is written _e{LENGTH,LENGTH}:TITLE|TEXT", nil)
	}
	if title == 0 {
		return e, malformed("the event has no title, whose length is 0", nil)
	}
	title, text, ok = dogCut(rest, title, text)
	if !ok {
		return e, malformed("the lengths %q do not fit its title and text, neither in bytes nor in characters; "+
			`write _e{BYTES,BYTES}:TITLE|TEXT, and \n for a line end`, lengths)
	}
	e = record.Event{Name: eventMeta.Name, Meta: eventMeta, Start: now, Message: string(rest[:title])}
	if text > title+1 {
		e.Message += "\n" + string(rest[title+1:text])
	}
	e.Message = strings.ToValidUTF8(strings.ReplaceAll(e.Message, `\n`, "\n"), "\uFFFD")
	if fault := dogFields(&e, rest[text:], now); fault != nil {
		return e, fault
	}
	e.Stop = e.Start // it has no duration
	e.ID = e.Identify(source)
	return e, nil
}

// dogFields takes in what stands behind an event's text. Tags of several
// sections are joined; of any other field the last one counts.
func dogFields(e *record.Event, b []byte, now time.Time) *lineFault {
	var tags head
	set := func(name string, value []byte) {
		if len(value) == 0 {
			return
		}
		l := record.Label{Name: name, Value: strings.ToValidUTF8(string(value), "\uFFFD")}
		if i := slices.IndexFunc(e.Attributes, func(o record.Label) bool { return o.Name == name }); i >= 0 {
			e.Attributes[i] = l
		} else {
			e.Attributes = append(e.Attributes, l)
		}
	}
	for section := range bytes.SplitSeq(bytes.TrimPrefix(b, []byte{'|'}), []byte{'|'}) {
		if len(section) > 0 && section[0] == '#' {
			tags.addTags(section[1:])
			continue
		}
		key, value, _ := bytes.Cut(section, []byte{':'})
		switch string(key) {
		case "c":
			set("container_id", containerOf(value))
		case "d":
			at, ok := unixSeconds(value)
			switch {
			case string(value) == "0": // none
			case !ok || time.Unix(at, 0).After(now.Add(24*time.Hour)):
				return &lineFault{"malformed", "the time %q is not one in Unix seconds, up to a day ahead", value}
			default:
				e.Start = time.Unix(at, 0)
			}
		case "h":
			if len(value) > 0 {
				e.Subject = record.Subject{Kind: record.Server, Name: strings.ToValidUTF8(string(value), "\uFFFD")}
			}
		case "k":
			set("aggregation_key", value)
		case "p":
			set("priority", value)
		case "s":
			set("source_type", value)
		case "t":
			set("alert_type", value)
		}
	}
	set("tags", tags.tags)
	return nil
}

// dogCheck reads a service check as a sample of the gauge that is its status:
// 0 ok, 1 warning, 2 critical, 3 unknown. Its message, which may be anything,
// is no label. It should be the last, but ends at a stroke wherever it stands, as
// for the vendor's agent, so that no field behind it is lost.
func dogCheck(line []byte) (s sample, fault *lineFault) {
	name, rest, _ := bytes.Cut(bytes.TrimPrefix(line, []byte("_sc|")), []byte{'|'})
	status, rest, _ := bytes.Cut(rest, []byte{'|'})
	if len(name) == 0 || len(status) != 1 || status[0] < '0' || status[0] > '3' {
		return s, &lineFault{"malformed", "a service check is written _sc|NAME|STATUS, its status 0, 1, 2 or 3", nil}
	}
	s = sample{head: head{kind: typeCheck, name: name}, values: status, rate: 1}
	for section := range bytes.SplitSeq(rest, []byte{'|'}) {
		switch {
		case bytes.HasPrefix(section, []byte("c:")):
			if id := containerOf(section[2:]); len(id) > 0 {
				s.origin = id
			}
		case bytes.HasPrefix(section, []byte("h:")):
			s.host = section[2:]
		case bytes.HasPrefix(section, []byte("d:")):
			s.time, _ = unixSeconds(section[2:])
		case bytes.HasPrefix(section, []byte("#")):
			s.addTags(section[1:])
		}
	}
	return s, nil
}
