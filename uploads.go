package main

import (
	"scriptbridge/upload"
	"scriptbridge/web"
)

// uploadViews shows uploads on the status page.
func uploadViews(uploads *upload.Set) func() []web.UploadView {
	return func() (views []web.UploadView) {
		for _, s := range uploads.States() {
			v := web.UploadView{Name: s.Name, OK: s.Error == "", Error: s.Error}
			if s.Opening {
				v.Error = "its spool is being checked; what is to be sent waits for that"
			}
			if stats := s.Stats; stats != nil {
				v.Queue, v.QueueBytes, v.Oldest, v.Sent, v.Refused = int(stats.Items), stats.Bytes, stats.Oldest, stats.Sent, stats.Refused
			}
			views = append(views, v)
		}
		return views
	}
}
