package web

import (
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"scriptbridge/internal/texts"
	"scriptbridge/status"
	"scriptbridge/upload"
	"scriptbridge/upload/spool"
)

// uploadTable fills in the table of uploads.
func (s *Server) uploadTable(p *statusPage, private bool, now time.Time) {
	views := s.Uploads()
	down := 0
	for _, v := range views {
		if v.Error != "" {
			down++
		}
	}
	p.add("uploads", len(views), "upload", down)
	p.Uploads = tableOf(table{ID: "uploads", Title: "Uploads", Class: "scripts others"}, []column[upload.State]{
		{title: "Upload", cells: "name", cell: func(v upload.State) cell {
			return headingCell(texts.Visible(v.Name), "uploads/"+url.PathEscape(v.Name)+p.Carry)
		}},
		{title: "State", cells: "state", cell: func(v upload.State) cell { return badgeCell(uploadBadge(&v)) }},
		{title: "Queue", class: "num", cells: "num queue", cell: func(v upload.State) cell {
			stats := statsOf(v)
			if stats.Items == 0 {
				return textCell(number(0))
			}
			return textCell(number(int(stats.Items)) + " (" + size(stats.Bytes) + ")")
		}},
		{title: "Oldest", cells: "oldest", cell: func(v upload.State) cell { return timeCell(ago(statsOf(v).Oldest, now)) }},
		{title: "Sent", class: "num", cells: "num sent", cell: func(v upload.State) cell { return textCell(large(statsOf(v).Sent)) }},
		{title: "Refused", class: "num", cells: "num refused", cell: func(v upload.State) cell { return textCell(large(statsOf(v).Refused)) }},
		{title: "Last error", cells: "note", cell: func(v upload.State) cell {
			if private && v.Error != "" {
				return noteCell(tailOf(v.Error)).in(badTone)
			}
			return noteCell(status.CauseOfUpload(&v)).in(tones[status.OfUpload(&v).Severity()])
		}},
	}, views)
}

// statsOf is what an upload's spool says; nothing while it is not open.
func statsOf(v upload.State) *spool.Stats {
	if v.Stats == nil {
		return new(spool.Stats)
	}
	return v.Stats
}

// tailOf is the end of an error, which says what it is, where all of it is too long for
// a table: what is cut is at what it happened, such as an address.
func tailOf(text string) string {
	const most = 160
	runes := []rune(text)
	if len(runes) > most {
		text = string(runes[len(runes)-most:])
		if _, rest, ok := strings.Cut(text, " "); ok {
			text = rest
		}
		text = "… " + text
	}
	return texts.Visible(text)
}

func uploadBadge(v *upload.State) badge {
	switch s := status.OfUpload(v); s {
	case status.Failing:
		return badge{"bad", "✕", s.Words()}
	case status.Opening:
		return badge{"new", "○", s.Words()}
	}
	return badge{"ok", "✓", "ok"}
}

// uploadPage is the data of page/upload.html.
type uploadPage struct {
	frame
	Name             string
	Badge            badge
	Facts            factList
	Why              string
	Dropped, Skipped tallies
	Refused          bool // something was
	Hidden           string

	// Private from here on.
	Error    string
	Refusals table
}

// Sentence is why something fails, as one.
func (p *uploadPage) Sentence() string { return sentence(p.Why) }

// tallies are counts under a heading.
type tallies struct {
	Title string
	List  []tally
}

// talliesIn are those counts that are not 0, by reason.
func talliesIn(title string, counts map[string]uint64) tallies {
	t := tallies{Title: title}
	for _, reason := range slices.Sorted(maps.Keys(counts)) {
		if n := counts[reason]; n > 0 {
			t.List = append(t.List, tally{Reason: texts.Visible(reason), Count: large(n)})
		}
	}
	return t
}

func (s *Server) serveUpload(w http.ResponseWriter, r *http.Request) {
	v := s.Upload(r.PathValue("name"))
	if v == nil {
		s.NotFound(w, r, "there is no upload of this name")
		return
	}
	now := time.Now()
	stats := statsOf(*v)
	p := &uploadPage{
		frame: s.frame(texts.Visible(v.Name)+" – scriptbridge", "../", now),
		Name:  texts.Visible(v.Name), Badge: uploadBadge(v), Hidden: s.gate.Hidden(r),
		Dropped: talliesIn("Dropped", stats.DroppedBy), Skipped: talliesIn("Left out", stats.Skipped), Refused: stats.Refused > 0,
	}
	p.refreshing(r.URL.Query())
	p.Why = status.CauseOfUpload(v)
	p.facts(v, stats, now)
	if p.Hidden == "" {
		p.Why = strings.TrimSuffix(p.Why, "; the log says why")
		p.Error = texts.Visible(v.Error)
		p.Refusals = refusalTable(stats.Refusals, now)
	}
	s.render(w, http.StatusOK, s.upload, p)
}

func (p *uploadPage) facts(v *upload.State, stats *spool.Stats, now time.Time) {
	if v.Stats == nil {
		return // nothing is known before its spool is open
	}
	p.Facts.add("Queue", number(int(stats.Items)))
	p.Facts.add("On disk", size(stats.Bytes))
	if !stats.Oldest.IsZero() {
		p.Facts.time("Oldest", ago(stats.Oldest, now))
	}
	if !stats.FailingSince.IsZero() {
		p.Facts.time("Failing since", ago(stats.FailingSince, now))
	}
	if stats.LastSent.IsZero() {
		p.Facts.add("Last sent", "nothing yet")
	} else {
		p.Facts.time("Last sent", ago(stats.LastSent, now))
	}
	p.Facts.add("Sent", large(stats.Sent))
	p.Facts.add("Refused", large(stats.Refused))
	p.Facts.add("Attempts repeated", large(stats.Retried))
}

// refusalTable is what the other end refused of late.
func refusalTable(refusals []spool.Refusal, now time.Time) table {
	return tableOf(table{ID: "refusals", Title: "Refused for good"}, []column[spool.Refusal]{
		{title: "Last time", cell: func(r spool.Refusal) cell { return timeCell(ago(r.At, now)) }},
		{title: "Values and events", class: "num", cells: "num", cell: func(r spool.Refusal) cell { return textCell(large(r.Items)) }},
		{title: "Reason", cells: "message", cell: func(r spool.Refusal) cell { return textCell(texts.Visible(texts.Shorten(r.Error, 500))) }},
		{title: "The last of them", cells: "message", cell: func(r spool.Refusal) cell { return codesCell(texts.Visible(r.Shown)) }},
	}, refusals)
}
