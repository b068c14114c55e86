package status

import (
	"time"

	"scriptbridge/receive"
	"scriptbridge/record"
)

// Receiver is a receiver as a table of receivers shows it.
type Receiver struct {
	Name      string            `json:"name"`
	State     State             `json:"state" enum:"open opening down"`
	Cause     string            `json:"cause,omitempty" doc:"of what is wrong, in the bridge's own words"`
	Last      time.Time         `json:"last_batch,omitzero"`
	Series    int               `json:"series" doc:"how many it has on the metrics page"`
	Refused   int               `json:"refused" doc:"series of the last batch that the metrics page could not take"`
	Reasons   map[string]int    `json:"refused_reasons,omitempty" doc:"how many of them for which reason"`
	Packets   map[string]uint64 `json:"packets,omitempty" doc:"packets, requests or lines that came in, by listener"`
	Bytes     map[string]uint64 `json:"bytes,omitempty" doc:"that came in, by listener"`
	Failed    map[string]uint64 `json:"listen_errors,omitempty" doc:"by listener"`
	Dropped   map[string]uint64 `json:"dropped,omitempty" doc:"what was not let in or was lost to overload, by reason"`
	Addresses []string          `json:"addresses,omitempty" doc:"that it listens on; private"`
	Error     string            `json:"error,omitempty" doc:"private"`
}

// ReceiverDetails are all that is known of a receiver.
type ReceiverDetails struct {
	Receiver
	SeriesList []Series  `json:"series_list" doc:"its series"`
	EventList  []Event   `json:"event_list,omitempty" doc:"its last events, newest first"`
	RefusedOf  []Refused `json:"refused_list,omitempty" doc:"series of the last batch; private"`
	Faults     []Fault   `json:"faults,omitempty" doc:"what could not be used of late, newest first; private"`
}

// Fault is something that came and could not be used.
type Fault struct {
	At time.Time `json:"time" doc:"when it came"`
	Refused
}

// Receiver gives what a table shows of a receiver.
func (m Maker) Receiver(v *receive.View) Receiver {
	refusals, all := m.Page.Refusals(record.Receiver, v.Name)
	r := Receiver{
		Name: v.Name, State: OfReceiver(v), Cause: CauseOfReceiver(v), Last: Time(v.Last),
		Series: m.Page.Count(record.Receiver, v.Name), Refused: all, Reasons: Reasons(nil, refusals, all),
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
		d.RefusedOf = refusedSeries(refusals, nil)
		for _, f := range v.Faults {
			d.Faults = append(d.Faults, Fault{Time(f.At), Refused{Text: f.Text, Reason: f.Reason, Error: f.Why, More: f.More}})
		}
	}
	return d
}
