package status

import (
	"bytes"
	"encoding/json"
	"time"

	"scriptbridge/internal/texts"
	"scriptbridge/receive"
	"scriptbridge/script"
	"scriptbridge/upload"
)

// Reader is what a document says of who reads it.
type Reader struct {
	Private bool   `json:"private" doc:"what is private is in the document"`
	Hidden  string `json:"hidden,omitempty" doc:"why it is not"`
}

// Overview is how all is: what the first page shows.
type Overview struct {
	Reader
	Version     string        `json:"version"`
	Started     time.Time     `json:"started"`
	Ready       bool          `json:"ready" doc:"every source has begun"`
	NotReady    []string      `json:"not_ready,omitempty" doc:"what it waits for"`
	Config      Configuration `json:"configuration"`
	Containment string        `json:"containment" doc:"what keeps the processes of a run together"`
	States      map[State]int `json:"script_states" doc:"how many scripts are in which state"`
	Series      int           `json:"series" doc:"of all scripts and receivers"`
	Scripts     []Script      `json:"scripts"`
	Receivers   []Receiver    `json:"receivers"`
	Uploads     []Upload      `json:"uploads"`
	Textfile    *Textfile     `json:"textfile,omitempty" doc:"the file that is written for node_exporter, where there is one"`
}

// Configuration tells of the last attempt to read the configuration.
type Configuration struct {
	OK    bool      `json:"ok" doc:"false: the last attempt to read it failed, and the one before stays in use"`
	At    time.Time `json:"time" doc:"when the one in use was read; where the last attempt failed, when that was"`
	Error string    `json:"error,omitempty" doc:"private"`
}

// The documents of lists, and of one thing.
type (
	// Scripts has all scripts, with their last runs.
	Scripts struct {
		Reader
		Scripts []Script `json:"scripts"`
	}
	// Receivers has all receivers.
	Receivers struct {
		Reader
		Receivers []Receiver `json:"receivers"`
	}
	// Uploads has all uploads.
	Uploads struct {
		Reader
		Uploads []Upload `json:"uploads"`
	}
	// OneScript is all that is known of a script.
	OneScript struct {
		Reader
		Details
	}
	// OneReceiver is all that is known of a receiver.
	OneReceiver struct {
		Reader
		ReceiverDetails
	}
	// OneUpload is all that is known of an upload.
	OneUpload struct {
		Reader
		Upload
	}
)

// Failure is the document of what was asked in vain. Its first member is always
// "error", so that it is like an error of Prometheus's API.
type Failure struct {
	Status string `json:"status" enum:"error"`
	Error  string `json:"error"`
}

// Views are the tables of an overview.
type Views struct {
	Scripts   []script.View
	Receivers []receive.View
	Uploads   []upload.State
	Textfile  *TextfileView // nil: no file is written
}

// Fill fills in the tables of an overview, and what is counted in them.
func (m Maker) Fill(o *Overview, of Views) {
	o.Scripts = each(of.Scripts, m.Script)
	o.Receivers, o.Uploads, o.Textfile = m.Receivers(of.Receivers), m.Uploads(of.Uploads), m.Textfile(of.Textfile)
	o.count()
}

// Receivers is Receiver for each.
func (m Maker) Receivers(views []receive.View) []Receiver { return each(views, m.Receiver) }

// Uploads is Upload for each.
func (m Maker) Uploads(views []upload.State) []Upload { return each(views, m.Upload) }

// WithHistories is WithHistory for each script.
func (m Maker) WithHistories(views []script.View) []Script { return each(views, m.WithHistory) }

// each makes a list that is never nil, so that it is one in JSON too.
func each[V, D any](views []V, one func(*V) D) []D {
	list := make([]D, len(views))
	for i := range views {
		list[i] = one(&views[i])
	}
	return list
}

// JSON is a document as text. What a terminal would obey is escaped in it.
func JSON(document any, indent string) ([]byte, error) {
	var text bytes.Buffer
	e := json.NewEncoder(texts.LogLines(&text))
	e.SetEscapeHTML(false)
	e.SetIndent("", indent)
	err := e.Encode(document)
	return text.Bytes(), err
}
