package status

import "time"

// Textfile is the file for node_exporter's textfile collector.
type Textfile struct {
	State State     `json:"state" enum:"ok opening failing" doc:"opening: it was not yet written"`
	Last  time.Time `json:"last_write,omitzero" doc:"when it was last written, or its time made new since nothing had changed"`
	File  string    `json:"file,omitempty" doc:"private"`
	Error string    `json:"error,omitempty" doc:"private"`
}

// TextfileView is that file as its writer sees it.
type TextfileView struct {
	File string
	Last time.Time // zero: never
	Err  error     // of the last attempt
}

// Textfile gives what there is to say of the file; nil where there is none.
func (m Maker) Textfile(v *TextfileView) *Textfile {
	if v == nil {
		return nil
	}
	t := &Textfile{State: OK, Last: Time(v.Last)}
	switch {
	case v.Err != nil:
		t.State = Failing
	case v.Last.IsZero():
		t.State = Opening
	}
	if m.Private {
		t.File = v.File
		if v.Err != nil {
			t.Error = v.Err.Error()
		}
	}
	return t
}
