package status

import (
	"time"

	"scriptbridge/receive"
	"scriptbridge/record"
)

// Receiver is a receiver as a table of receivers shows it.
type Receiver struct {
	Name  string    `json:"name"`
	State State     `json:"state"`           // open, opening or down
	Cause string    `json:"cause,omitempty"` // of what is wrong, in our own words
	Last  time.Time `json:"last_batch,omitzero"`
	// Refused is what of the last batch the metrics page could not take.
	Series  int            `json:"series"`
	Refused int            `json:"refused"`
	Reasons map[string]int `json:"refused_reasons,omitempty"`
	// Since the start: Packets, Bytes and Failed by listener, Dropped by reason.
	Packets map[string]uint64 `json:"packets,omitempty"`
	Bytes   map[string]uint64 `json:"bytes,omitempty"`
	Failed  map[string]uint64 `json:"listen_errors,omitempty"`
	Dropped map[string]uint64 `json:"dropped,omitempty"`

	// Private from here on.
	Addresses []string `json:"addresses,omitempty"` // that it listens on
	Error     string   `json:"error,omitempty"`
}

// ReceiverDetails are all that is known of a receiver.
type ReceiverDetails struct {
	Receiver
	SeriesList []Series `json:"series_list"`
	EventList  []Event  `json:"event_list,omitempty"`

	// Private from here on.
	RefusedOf []Refused `json:"refused_list,omitempty"` // of the last batch
	Faults    []Fault   `json:"faults,omitempty"`       // what could not be used of late, newest first
}

// Fault is something that came and could not be used.
type Fault struct {
	At time.Time `json:"time"`
	Refused
}

// Receiver gives what a table shows of a receiver.
func (m Maker) Receiver(v *receive.View) Receiver {
	refusals, all := m.Page.Refusals(record.Receiver, v.Name)
	r := Receiver{
		Name: v.Name, State: OfReceiver(v), Cause: CauseOfReceiver(v), Last: utc(v.Last),
		Series: m.Page.Count(record.Receiver, v.Name), Refused: all, Reasons: reasons(nil, refusals, all),
		Packets: v.Counts.Packets, Bytes: v.Counts.Bytes, Failed: v.Counts.Failed, Dropped: v.Counts.Dropped,
	}
	if m.Private {
		r.Addresses, r.Error = v.Addresses, v.Error
	}
	return r
}

// ReceiverDetails gives all that is known of a receiver.
func (m Maker) ReceiverDetails(v *receive.View) ReceiverDetails {
	d := ReceiverDetails{Receiver: m.Receiver(v), SeriesList: m.series(record.Receiver, v.Name), EventList: m.events(v.Events)}
	if m.Private {
		refusals, _ := m.Page.Refusals(record.Receiver, v.Name)
		d.RefusedOf = refusedSeries(refusals)
		for _, f := range v.Faults {
			d.Faults = append(d.Faults, Fault{utc(f.At), Refused{Text: f.Text, Reason: f.Reason, Error: f.Why, More: f.More}})
		}
	}
	return d
}
