package web

import (
	"time"

	"scriptbridge/internal/texts"
)

// uploadTable fills in the table of uploads.
func (s *Server) uploadTable(p *statusPage, private bool, now time.Time) {
	views := s.Uploads()
	down := 0
	for _, v := range views {
		if !v.OK {
			down++
		}
	}
	p.add("uploads", len(views), "upload", down)
	p.Uploads = tableOf(table{ID: "uploads", Title: "Uploads", Class: "scripts others"}, []column[UploadView]{
		{title: "Upload", cells: "name", cell: func(v UploadView) cell { return cell{Row: true, Text: texts.Visible(v.Name)} }},
		{title: "State", cells: "state", cell: func(v UploadView) cell {
			if v.OK {
				return cell{Badge: badge{"ok", "✓", "ok"}}
			}
			return cell{Badge: badge{"bad", "✕", "failing"}}
		}},
		{title: "Queue", class: "num", cells: "num queue", cell: func(v UploadView) cell {
			if v.Queue == 0 {
				return cell{Text: number(0)}
			}
			return cell{Text: number(v.Queue) + " (" + size(v.QueueBytes) + ")"}
		}},
		{title: "Oldest", cells: "oldest", cell: func(v UploadView) cell { return cell{Time: ago(v.Oldest, now)} }},
		{title: "Sent", class: "num", cells: "num sent", cell: func(v UploadView) cell { return cell{Text: large(v.Sent)} }},
		{title: "Refused", class: "num", cells: "num refused", cell: func(v UploadView) cell { return cell{Text: large(v.Refused)} }},
		{title: "Last error", cells: "note bad", cell: func(v UploadView) cell {
			switch {
			case private && v.Error != "":
				return cell{Note: excerpt(v.Error)}
			case !v.OK:
				return cell{Note: "sending fails and is retried; the log says why"}
			}
			return cell{}
		}},
	}, views)
}
