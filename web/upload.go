package web

import (
	"time"

	"scriptbridge/internal/texts"
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
		{title: "Upload", cells: "name", cell: func(v upload.State) cell { return headingCell(texts.Visible(v.Name), "") }},
		{title: "State", cells: "state", cell: func(v upload.State) cell {
			if v.Error == "" {
				return badgeCell(badge{"ok", "✓", "ok"})
			}
			return badgeCell(badge{"bad", "✕", "failing"})
		}},
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
		{title: "Last error", cells: "note bad", cell: func(v upload.State) cell {
			switch {
			case private && v.Opening:
				return noteCell("its spool is being checked; what is to be sent waits for that")
			case private && v.Error != "":
				return noteCell(excerpt(v.Error))
			case v.Error != "":
				return noteCell("sending fails and is retried; the log says why")
			}
			return cell{}
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
