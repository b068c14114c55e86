package status

import (
	"time"

	"scriptbridge/receive"
	"scriptbridge/script"
	"scriptbridge/upload"
)

// Pool has the scripts as seen from here: *script.Pool.
type Pool interface {
	// Views gives every script, in the order of the configuration.
	Views() []script.View
	// View gives one; false when there is none of that name.
	View(name string) (script.View, bool)
	// Containment says what keeps the processes of a run together.
	Containment() script.Containment
}

// Sources are what pages and documents are made of. Every field is needed but for
// those that say otherwise. All functions are called from many goroutines.
type Sources struct {
	Scripts Pool
	Page    Page
	// Receivers and Uploads give what is configured, in order; nil: nothing
	// is.
	Receivers func() []receive.View
	Uploads   func() []upload.State
	// Textfile gives the file for node_exporter; nil, or a nil of it: there is none.
	Textfile func() *TextfileView
	// Late names what /-/ready waits for, such as "script disks"; empty when the
	// first turns are over.
	Late func() []string
	// ConfigStatus tells of the last attempt to read the configuration: when
	// it was, and what was wrong with the file where it was refused.
	ConfigStatus func() (ok bool, at time.Time, err error)
	Version      string
}

// Complete gives s with functions for those that may be nil.
func (s Sources) Complete() Sources {
	if s.Receivers == nil {
		s.Receivers = func() []receive.View { return nil }
	}
	if s.Uploads == nil {
		s.Uploads = func() []upload.State { return nil }
	}
	if s.Textfile == nil {
		s.Textfile = func() *TextfileView { return nil }
	}
	return s
}

// Views gives all that there is.
func (s *Sources) Views() Views {
	return Views{Scripts: s.Scripts.Views(), Receivers: s.Receivers(), Uploads: s.Uploads(), Textfile: s.Textfile()}
}

// Receiver gives one; nil when there is none of that name.
func (s *Sources) Receiver(name string) *receive.View {
	views := s.Receivers()
	for i := range views {
		if views[i].Name == name {
			return &views[i]
		}
	}
	return nil
}

// Upload is Receiver for an upload.
func (s *Sources) Upload(name string) *upload.State {
	views := s.Uploads()
	for i := range views {
		if views[i].Name == name {
			return &views[i]
		}
	}
	return nil
}
