// Package coscale is the CoScale HTTP API as its public clients used it: wire.go
// has the types that both ends exchange, points.go how clients write points,
// client*.go is a client. The other end is in the folder server.
package coscale

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"

	"scriptbridge/internal/jsonstream"
)

// Kind is a kind of object, by its word in the API's paths.
type Kind string

// The kinds of objects.
const (
	Servers      Kind = "servers"
	ServerGroups Kind = "servergroups"
	Metrics      Kind = "metrics"
	MetricGroups Kind = "metricgroups"
	Dimensions   Kind = "dimensions"
	Categories   Kind = "events" // of events
)

// Enabled is the state of an object that nobody switched off.
const Enabled = "ENABLED"

// Object is what all kinds of objects have in common. The server gives ID and
// Version; a Version must be that of the last answer when an object is changed.
type Object struct {
	ID          int64  `json:"id"`
	Version     int64  `json:"version"`
	State       string `json:"state"`
	Name        string `json:"name"`
	Description string `json:"description"`
}

// Server is a machine. Times are Unix seconds.
type Server struct {
	Object
	Type       string      `json:"type"`
	Source     string      `json:"source"`
	StartTime  *int64      `json:"startTime"`
	StopTime   *int64      `json:"stopTime"`
	Attributes []Attribute `json:"attributes,omitempty"`
}

// Attribute is a key and a value of a server or a metric.
type Attribute struct {
	ID      int64  `json:"id"`
	Version int64  `json:"version"`
	Key     string `json:"key"`
	Value   string `json:"value"`
	Source  string `json:"source"`
	Locked  bool   `json:"locked"`
}

// ServerGroup is a group of servers or of such groups; no ParentID: a root.
type ServerGroup struct {
	Object
	Type     string `json:"type"`
	Source   string `json:"source"`
	ParentID int64  `json:"parentId,omitempty"`
}

// Metric is a metric of an application. Period is in seconds; Subject is
// SERVER, GROUP or APPLICATION.
type Metric struct {
	Object
	Unit       string      `json:"unit"`
	Period     int64       `json:"period"`
	Source     string      `json:"source"`
	DataType   string      `json:"dataType"`
	Subject    string      `json:"subject"`
	Attributes []Attribute `json:"attributes,omitempty"`
}

// MetricGroup is a group of metrics or of such groups; no ParentID: a root.
type MetricGroup struct {
	Object
	Type     string `json:"type"`
	Source   string `json:"source"`
	Subject  string `json:"subject"`
	ParentID int64  `json:"parentId,omitempty"`
}

// Dimension is the name of a dimension, which metrics share.
type Dimension struct {
	ID   int64  `json:"id"`
	Name string `json:"name"`
}

// Category is a kind of event. AttributeDescriptions is a text that holds a
// JSON list.
type Category struct {
	Object
	AttributeDescriptions string  `json:"attributeDescriptions"`
	Type                  string  `json:"type"`
	Source                string  `json:"source"`
	Icon                  *string `json:"icon"`
}

// EventData is one event. Times are Unix seconds; no StopTime: it goes on.
// Attribute is a text that should hold a JSON object, and need not. The order
// of the keys is part of the API: cron.sh finds its way by it.
type EventData struct {
	GID           string `json:"gid"`
	ID            int64  `json:"id"`
	ApplicationID int64  `json:"applicationId"`
	Timestamp     int64  `json:"timestamp"`
	StopTime      *int64 `json:"stopTime"`
	UpdateTime    int64  `json:"updateTime"`
	Message       string `json:"message"`
	Subject       string `json:"subject"`
	Attribute     string `json:"attribute"`
	Version       int64  `json:"version"`
	EventID       int64  `json:"eventId"`
}

// ErrorBody is the body of every answer that is not a success, and in Msg that
// of some that are. ID is that of the object that is there already, with the
// type DUPLICATE.
type ErrorBody struct {
	Msg  string `json:"msg"`
	Type string `json:"type,omitempty"`
	ID   int64  `json:"id,omitempty"`
}

// Duplicate is the type of a 409 that says that an object of the name is
// there already.
const Duplicate = "DUPLICATE"

// Data is one entry of the data array: values of one metric, subject and set
// of dimensions.
type Data struct {
	Metric  int64   `json:"m"`
	Subject string  `json:"s,omitempty"`
	Points  []Point `json:"d"`
	// Dimensions are values by the dimensions' names.
	Dimensions map[string]string `json:"dv,omitempty"`
}

// Point is a value at a time, or several values at once. Time is in Unix
// seconds; when it comes from a client, 0 and less are seconds before now.
type Point struct {
	Time      int64
	Value     float64
	Histogram *Histogram // then Value means nothing
}

// Histogram tells of samples by their percentiles: Values[i] is percentile
// i × Width below 100; past that come 95, 99 and 100 (of the StatsD backend),
// or nothing.
type Histogram struct {
	Samples float64
	Width   float64
	Values  []float64
}

// MarshalJSON writes [time,value] or [time,[samples,width,[values]]]. NaN and
// infinity are an error.
func (p Point) MarshalJSON() ([]byte, error) {
	return p.appendJSON(nil)
}

// UnmarshalJSON reads what MarshalJSON writes, and the flat histograms of old
// clients: [time,samples,width,value,value,…].
func (p *Point) UnmarshalJSON(text []byte) error {
	if at, value, ok := plainPoint(text); ok {
		*p = Point{Time: at, Value: value}
		return nil
	}
	var items []json.RawMessage
	if err := json.Unmarshal(text, &items); err != nil {
		return err
	}
	if len(items) < 2 {
		return errors.New("a point has a time and a value")
	}
	*p = Point{}
	var err error
	if p.Time, err = seconds(items[0]); err != nil {
		return err
	}
	switch nested := strings.HasPrefix(strings.TrimSpace(string(items[1])), "["); {
	case nested && len(items) > 2:
		return errors.New("something follows a histogram")
	case nested:
		p.Histogram, err = readHistogram(items[1])
	case len(items) == 2:
		p.Value, err = number(items[1])
	case len(items) == 3:
		err = errors.New("a point has two items, or those of a histogram: samples, width and values")
	default:
		p.Histogram, err = flatHistogram(items[1:])
	}
	return err
}

// Plain takes a point, if it is [time,value] and both are plain numbers; true says that
// it was.
func (p *Point) Plain(in *jsonstream.Plain) bool {
	at, ok := int64(0), in.Is('[')
	if ok {
		at, ok = in.Int()
	}
	if !ok || !in.Is(',') {
		return false
	}
	value, ok := in.Float()
	if !ok || !in.Is(']') || at <= -1<<53 || at >= 1<<53 {
		return false
	}
	*p = Point{Time: at, Value: value}
	return true
}

// plainPoint reads [time,value] where both are plain numbers, as nearly all
// points are: several times as fast as by way of their parts. The text is valid
// JSON, as for every UnmarshalJSON, so that only a number can look like one.
func plainPoint(text []byte) (at int64, value float64, ok bool) {
	first, second, ok := bytes.Cut(text, []byte{','})
	if !ok || first[0] != '[' || second[len(second)-1] != ']' {
		return 0, 0, false
	}
	first, second = bytes.TrimSpace(first[1:]), bytes.TrimSpace(second[:len(second)-1])
	at, err := strconv.ParseInt(string(first), 10, 64)
	if err != nil || at <= -1<<53 || at >= 1<<53 {
		return 0, 0, false
	}
	value, err = strconv.ParseFloat(string(second), 64)
	return at, value, err == nil
}

func readHistogram(text json.RawMessage) (*Histogram, error) {
	var items []json.RawMessage
	if err := json.Unmarshal(text, &items); err != nil {
		return nil, err
	}
	if len(items) != 3 {
		return nil, errors.New("a histogram has three items: samples, width and a list of values")
	}
	var values []json.RawMessage
	if err := json.Unmarshal(items[2], &values); err != nil {
		return nil, err
	}
	return flatHistogram(append(items[:2:2], values...))
}

func flatHistogram(items []json.RawMessage) (*Histogram, error) {
	numbers := make([]float64, len(items))
	for i, item := range items {
		var err error
		if numbers[i], err = number(item); err != nil {
			return nil, err
		}
	}
	return &Histogram{Samples: numbers[0], Width: numbers[1], Values: numbers[2:]}, nil
}

// number reads a number. NaN and infinity, which the Java SDK would write as
// texts, are told from what cannot be read: they cost their point alone.
func number(text json.RawMessage) (float64, error) {
	switch string(text) {
	case `"NaN"`:
		return math.NaN(), nil
	case `"Infinity"`:
		return math.Inf(1), nil
	case `"-Infinity"`:
		return math.Inf(-1), nil
	}
	var v float64
	if err := json.Unmarshal(text, &v); err != nil || string(text) == "null" {
		return 0, fmt.Errorf("%.40q is no number", text)
	}
	return v, nil
}

// seconds reads a time; a fraction is cut off, as whole seconds are all that
// the API knows.
func seconds(text json.RawMessage) (int64, error) {
	v, err := number(text)
	if err != nil {
		return 0, err
	}
	if !(math.Abs(v) < 1<<53) {
		return 0, fmt.Errorf("%.40q is no time in seconds", text)
	}
	return int64(v), nil
}

// SubjectOf names an object as the subject of data and events: a, s17, g3.
func SubjectOf(kind Kind, id int64) string {
	switch kind {
	case Servers:
		return "s" + strconv.FormatInt(id, 10)
	case ServerGroups:
		return "g" + strconv.FormatInt(id, 10)
	default:
		return "a"
	}
}

// ParseSubject reads what SubjectOf writes, in any case; the application has
// kind "" and id 0. An application's id and a bare S, which the CLI lets
// through, are taken too: S alone has the id 0.
func ParseSubject(s string) (kind Kind, id int64, err error) {
	if s == "" {
		return "", 0, errors.New("the subject is empty; it is a, s<id> or g<id>")
	}
	letter, digits := s[0]|0x20, s[1:]
	if digits != "" {
		if id, err = strconv.ParseInt(digits, 10, 64); err != nil || id < 0 {
			return "", 0, fmt.Errorf("%.40q is no subject; it is a, s<id> or g<id>", s)
		}
	}
	switch letter {
	case 'a':
		return "", 0, nil
	case 's':
		return Servers, id, nil
	case 'g':
		return ServerGroups, id, nil
	}
	return "", 0, fmt.Errorf("%.40q is no subject; it is a, s<id> or g<id>", s)
}
