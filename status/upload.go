package status

import (
	"time"

	"scriptbridge/upload"
)

// Upload is an upload: what waits in its queue, and since the start what it has
// sent and what it could not.
type Upload struct {
	Name    string            `json:"name"`
	State   State             `json:"state"`           // ok, opening or failing
	Cause   string            `json:"cause,omitempty"` // of what is wrong, in our own words
	Queued  uint64            `json:"queued"`
	Bytes   int64             `json:"queued_bytes"`
	Oldest  time.Time         `json:"oldest,omitzero"` // of what is queued
	Sent    uint64            `json:"sent"`
	Refused uint64            `json:"refused"` // by the other end, for good
	Retried uint64            `json:"retried"` // attempts that failed and were made again
	Dropped map[string]uint64 `json:"dropped,omitempty"`
	Skipped map[string]uint64 `json:"skipped,omitempty"` // never queued, by reason

	Error string `json:"error,omitempty"` // private
}

// Upload gives what there is to say of an upload.
func (m Maker) Upload(v *upload.State) Upload {
	u := Upload{Name: v.Name, State: OfUpload(v), Cause: CauseOfUpload(v)}
	if s := v.Stats; s != nil { // its spool is open
		u.Queued, u.Bytes, u.Oldest = s.Items, s.Bytes, utc(s.Oldest)
		u.Sent, u.Refused, u.Retried, u.Dropped, u.Skipped = s.Sent, s.Refused, s.Retried, s.DroppedBy, s.Skipped
	}
	if m.Private {
		u.Error = v.Error
	}
	return u
}
