package receive

import (
	"net/http"

	"scriptbridge/receive/coscaleapi"
	"scriptbridge/receive/receiver"
)

// Handler answers what the endpoints of the receivers at work are asked, and
// leaves the rest to next. While a receiver is down, and while the bridge starts
// or ends, what would be for a receiver gets a 503, so that clients come back: a
// 404 is the last word for many. What nobody answers under /api/ gets an error
// as CoScale's clients read it.
func (s *Set) Handler(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		for _, one := range s.present() {
			e, leave, ok := one.enter(r.URL.Path, w)
			if !ok {
				continue
			}
			defer leave()
			if e.Private {
				if why := s.hidden(r); why != "" {
					http.Error(w, "this is for who may see private pages: "+why, http.StatusForbidden)
					return
				}
			}
			switch why := s.Guard.Refused(r); {
			case why == "":
				e.Handler.ServeHTTP(w, r)
				return
			case coscaleapi.Owns(r.URL.Path):
				coscaleapi.Forbidden(w, why)
			default:
				http.Error(w, why, http.StatusForbidden)
			}
			one.env.Counts.Dropped(receiver.Forbidden, 1)
			return
		}
		switch {
		case s.comesBack(r.URL.Path):
			coscaleapi.NotOpen(w, r)
		case coscaleapi.Owns(r.URL.Path):
			coscaleapi.NoReceiver(w, r)
		default:
			next.ServeHTTP(w, r)
		}
	})
}

func (s *Set) hidden(r *http.Request) string {
	if s.Hidden == nil {
		return "nobody is let in"
	}
	return s.Hidden(r)
}
