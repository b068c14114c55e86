// Package status says how scripts, receivers and uploads are, in one form for
// the JSON API, the pages, `scriptbridge status`, and try and check with
// --output=json (docs/api.md): sources.go has what they are made of, states.go the
// words, script.go, receiver.go and upload.go the types, each with the function that
// makes it.
//
// What is private (what a script printed, its errors, its arguments, addresses)
// is filled in only where a Maker is told that the reader may see it. Times are
// in UTC, and durations in seconds. Texts of scripts are as they came: whoever
// shows them to people makes them visible.
package status

import (
	"encoding/json"
	"math"
	"strconv"
	"time"

	"scriptbridge/collector"
	"scriptbridge/record"
)

// Page is what the metrics page has of each source: *collector.Collector.
type Page interface {
	// Count is the number of series that a source has now. It is asked for
	// every source whenever the status page is shown.
	Count(kind record.Kind, name string) int
	// Series lists a source's series in the order of the page.
	Series(kind record.Kind, name string) []collector.SeriesView
	// Refusals lists what the page could not take of a source's last batch,
	// and says how many there were in all, since the list may be cut.
	Refusals(kind record.Kind, name string) (kept []collector.Refusal, all int)
}

// Maker makes what one reader may see.
type Maker struct {
	Page    Page
	Private bool // what is private, too
}

// Number is a value: in JSON a number, but for NaN, +Inf and -Inf, which are
// strings.
type Number float64

// MarshalJSON writes a value.
func (n Number) MarshalJSON() ([]byte, error) {
	if f := float64(n); math.IsNaN(f) || math.IsInf(f, 0) {
		return json.Marshal(strconv.FormatFloat(f, 'g', -1, 64))
	}
	return json.Marshal(float64(n))
}

// numberOf is a value that is kept in half the room, without the digits that it
// does not have.
func numberOf(v float32) Number {
	n, _ := strconv.ParseFloat(strconv.FormatFloat(float64(v), 'g', -1, 32), 64) // just written
	return Number(n)
}

// UnmarshalJSON reads what MarshalJSON wrote.
func (n *Number) UnmarshalJSON(text []byte) error {
	var word string
	if json.Unmarshal(text, &word) != nil {
		return json.Unmarshal(text, (*float64)(n))
	}
	f, err := strconv.ParseFloat(word, 64)
	*n = Number(f)
	return err
}

// Series is one series of a source on the metrics page.
type Series struct {
	Series string  `json:"series" doc:"name{labels}, as on the metrics page"`
	Value  Number  `json:"value" doc:"sums and means included; NaN, +Inf and -Inf are strings"`
	Line   int     `json:"line,omitempty" doc:"of the output that it was read from"`
	Mean   float64 `json:"mean_over_seconds,omitempty" doc:"over how long the value is a mean of what was printed"`
	Sum    bool    `json:"sum,omitempty" doc:"the value is all that was printed, added up"`
}

func (m Maker) series(kind record.Kind, name string) []Series {
	views := m.Page.Series(kind, name)
	list := make([]Series, len(views))
	for i, one := range views {
		list[i] = Series{Series: one.Text, Value: Number(one.Value), Line: one.Line, Mean: one.Mean.Seconds(), Sum: one.Sum}
	}
	return list
}

// Refused is a line, a series or an item that could not be used. It is private.
type Refused struct {
	File   string `json:"file,omitempty" doc:"in a folder that is read"`
	Line   int    `json:"line,omitempty" doc:"of the output, or of the file where there is one"`
	Text   string `json:"text,omitempty" doc:"the line as it came"`
	Metric string `json:"metric,omitempty" doc:"of a series that the metrics page could not take"`
	Reason string `json:"reason" doc:"as in the label reason"`
	Error  string `json:"error" doc:"why, and what to do"`
	More   int    `json:"more,omitempty" doc:"how many further ones it stands for"`
}

func refusedSeries(refusals []collector.Refusal, files record.Files) (list []Refused) {
	for _, r := range refusals {
		file, line := files.Find(r.Line)
		list = append(list, Refused{File: file, Line: line, Metric: r.Metric, Reason: r.Reason, Error: r.Text})
	}
	return list
}

// Reasons counts by reason what a dialect could not read, and what the metrics
// page could not take: all of it, of which refusals are the first.
func Reasons(read map[string]int, refusals []collector.Refusal, all int) map[string]int {
	counts := make(map[string]int, len(read))
	for reason, n := range read {
		counts[reason] = n
	}
	for _, r := range refusals {
		counts[r.Reason]++
	}
	if rest := all - len(refusals); rest > 0 {
		counts["others"] += rest
	}
	return counts
}

// Event is something that happened. Its message and attributes are private.
type Event struct {
	Name       string            `json:"name"`
	Subject    string            `json:"subject" enum:"server group application" doc:"server, group or application"`
	Of         string            `json:"subject_name,omitempty" doc:"empty for this host"`
	Start      time.Time         `json:"start"`
	Stop       time.Time         `json:"stop,omitzero" doc:"missing while it goes on"`
	Line       int               `json:"line,omitempty" doc:"of the output"`
	Message    string            `json:"message,omitempty" doc:"private"`
	Attributes map[string]string `json:"attributes,omitempty" doc:"private"`
}

func (m Maker) events(events []record.Event) (list []Event) {
	for _, e := range events {
		one := Event{Name: e.Name, Subject: e.Subject.Kind.String(), Of: e.Subject.Name, Start: Time(e.Start), Stop: Time(e.Stop), Line: e.Line}
		if m.Private {
			one.Message = e.Message
			for _, a := range e.Attributes {
				if one.Attributes == nil {
					one.Attributes = make(map[string]string)
				}
				one.Attributes[a.Name] = a.Value
			}
		}
		list = append(list, one)
	}
	return list
}

// Time is a time as the documents have it: to the millisecond.
func Time(t time.Time) time.Time {
	if t.IsZero() {
		return time.Time{}
	}
	return t.UTC().Truncate(time.Millisecond)
}

// seconds is a measured time as the documents have it: to the microsecond.
func seconds(d time.Duration) float64 { return d.Round(time.Microsecond).Seconds() }
