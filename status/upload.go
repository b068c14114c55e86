package status

import (
	"time"

	"scriptbridge/upload"
)

// Upload is an upload: what waits in its queue, and since the start what it has
// sent and what it could not.
type Upload struct {
	Name    string            `json:"name"`
	State   State             `json:"state" enum:"ok opening failing"`
	Cause   string            `json:"cause,omitempty" doc:"of what is wrong, in the bridge's own words"`
	Queued  uint64            `json:"queued" doc:"values and events that wait"`
	Bytes   int64             `json:"queued_bytes"`
	Oldest  time.Time         `json:"oldest,omitzero" doc:"of what waits"`
	Sent    uint64            `json:"sent" doc:"since the start"`
	Refused uint64            `json:"refused" doc:"by the other end, for good"`
	Retried uint64            `json:"retried" doc:"attempts that failed and were made again"`
	Dropped map[string]uint64 `json:"dropped,omitempty" doc:"what was taken and then lost, by reason"`
	Skipped map[string]uint64 `json:"skipped,omitempty" doc:"what was left out by intent, by reason"`
	Error   string            `json:"error,omitempty" doc:"private"`
}

// Upload gives what there is to say of an upload.
func (m Maker) Upload(v *upload.State) Upload {
	u := Upload{Name: v.Name, State: OfUpload(v), Cause: CauseOfUpload(v)}
	if s := v.Stats; s != nil { // its spool is open
		u.Queued, u.Bytes, u.Oldest = s.Items, s.Bytes, Time(s.Oldest)
		u.Sent, u.Refused, u.Retried, u.Dropped, u.Skipped = s.Sent, s.Refused, s.Retried, s.DroppedBy, s.Skipped
	}
	if m.Private {
		u.Error = v.Error
	}
	return u
}
