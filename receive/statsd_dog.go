package receive

import (
	"bytes"
	"strconv"
	"strings"
	"time"

	"scriptbridge/record"
)

// This file reads what DogStatsD sends beside metrics:
//
//	_e{LEN,LEN}:TITLE|TEXT[|d:TIME][|h:HOST][|k:KEY][|p:PRIORITY][|s:SOURCE][|t:ALERT][|#TAGS]
//	_sc|NAME|STATUS[|d:TIME][|h:HOST][|#TAGS][|m:MESSAGE]

// statsdEvents is the one kind of event that StatsD clients send: their titles
// are free text, and no name of a series.
var statsdEvents = &record.EventMeta{
	Name:        "StatsD event",
	Description: "An event of a DogStatsD client.",
	Attributes:  []string{"alert_type", "priority", "source_type", "aggregation_key", "tags"},
}

// statsdDeclared makes the counter of events be there from 0.
var statsdDeclared = &record.Declared{Events: []*record.EventMeta{statsdEvents}}

// dogEvent reads an event. Its lengths are in bytes and tell where the title
// and the text end, whatever they hold.
func dogEvent(line []byte, source *record.Source, now time.Time) (e record.Event, fault *statsdFault) {
	malformed := &statsdFault{"malformed", "an event is written _e{LENGTH,LENGTH}:TITLE|TEXT", nil}
	head, rest, ok := bytes.Cut(bytes.TrimPrefix(line, []byte("_e{")), []byte("}:"))
	one, two, comma := bytes.Cut(head, []byte{','})
	title, err := strconv.ParseUint(string(one), 10, 16)
	text, err2 := strconv.ParseUint(string(two), 10, 16)
	if !ok || !comma || err != nil || err2 != nil || title == 0 ||
		uint64(len(rest)) < title+1+text || rest[title] != '|' {
		return e, malformed
	}
	e = record.Event{Name: statsdEvents.Name, Meta: statsdEvents, Start: now, Message: string(rest[:title])}
	if text > 0 {
		e.Message += "\n" + string(rest[title+1:title+1+text])
	}
	e.Message = strings.ToValidUTF8(strings.ReplaceAll(e.Message, `\n`, "\n"), "\uFFFD")
	if rest = rest[title+1+text:]; len(rest) > 0 && rest[0] != '|' {
		return e, malformed
	}
	set := func(name string, value []byte) {
		e.Attributes = append(e.Attributes, record.Label{Name: name, Value: strings.ToValidUTF8(string(value), "\uFFFD")})
	}
	for section := range bytes.SplitSeq(bytes.TrimPrefix(rest, []byte{'|'}), []byte{'|'}) {
		if len(section) > 0 && section[0] == '#' {
			set("tags", section[1:])
			continue
		}
		key, value, _ := bytes.Cut(section, []byte{':'})
		switch string(key) {
		case "d":
			at, ok := dogTime(value, now)
			if !ok {
				return e, &statsdFault{"malformed", "the time %q is not one in Unix seconds, up to a day ahead", value}
			}
			e.Start = at
		case "h":
			e.Subject = record.Subject{Kind: record.Server, Name: strings.ToValidUTF8(string(value), "\uFFFD")}
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
	e.Stop = e.Start // it is a moment
	e.ID = e.Identify(source)
	return e, nil
}

// dogTime reads a time within the bounds of any event's (spec/mapping.md,
// Events).
func dogTime(b []byte, now time.Time) (time.Time, bool) {
	seconds, err := strconv.ParseInt(string(b), 10, 64)
	if err != nil || seconds < 1e8 || seconds > now.Add(24*time.Hour).Unix() {
		return time.Time{}, false
	}
	return time.Unix(seconds, 0), true
}

// dogCheck reads a service check as a sample of the gauge that is its status:
// 0 ok, 1 warning, 2 critical, 3 unknown. Its message, which may be anything,
// is no label.
func dogCheck(line []byte) (s statsdSample, fault *statsdFault) {
	name, rest, _ := bytes.Cut(bytes.TrimPrefix(line, []byte("_sc|")), []byte{'|'})
	status, rest, _ := bytes.Cut(rest, []byte{'|'})
	if len(name) == 0 || len(status) != 1 || status[0] < '0' || status[0] > '3' {
		return s, &statsdFault{"malformed", "a service check is written _sc|NAME|STATUS, its status 0, 1, 2 or 3", nil}
	}
	s = statsdSample{statsdHead{kind: statsdCheck, name: name}, status, 1}
	for section := range bytes.SplitSeq(rest, []byte{'|'}) {
		switch {
		case bytes.HasPrefix(section, []byte("m:")):
			return s, nil // the message is the last
		case bytes.HasPrefix(section, []byte("h:")):
			s.origin = section[2:]
		case bytes.HasPrefix(section, []byte("#")):
			s.tags = section[1:]
		}
	}
	return s, nil
}
