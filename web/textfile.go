package web

import (
	"time"

	"scriptbridge/internal/texts"
	"scriptbridge/status"
)

// textfileLine is the file for node_exporter on the status page.
type textfileLine struct {
	Failing bool
	Last    shownTime // empty: never
	File    string    // empty where it is not shown
	Text    string
}

func lineOf(t *status.Textfile, now time.Time) *textfileLine {
	if t == nil {
		return nil
	}
	return &textfileLine{
		Failing: t.State == status.Failing, Last: ago(t.Last, now), File: texts.Visible(t.File), Text: texts.Visible(t.Error),
	}
}
