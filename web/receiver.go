package web

import (
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"time"

	"scriptbridge/internal/texts"
	"scriptbridge/record"
)

// other is what the top of the status page says beside the scripts.
type other struct{ Anchor, Count, Down string }

// receiverRow is one receiver of the table.
type receiverRow struct {
	Name, Href      string
	Badge           badge
	Addresses       []string // private
	Last            moment
	Series, Dropped string
	Refused         string // of the last batch; empty for none
	Note            string // private, or in our own words
}

// uploadRow is one upload of the table.
type uploadRow struct {
	Name          string
	Badge         badge
	Queue         string
	Oldest        moment
	Sent, Refused string
	Note          string // private, or in our own words
}

// others fills in the tables of receivers and uploads, and gives the number of
// the receivers' series.
func (s *Server) others(p *statusPage, private bool, now time.Time) (series int) {
	down := 0
	for _, v := range s.Receivers() {
		if !v.Up && v.Error != "" {
			down++
		}
		n := s.Page.Count(record.Receiver, v.Name)
		series += n
		p.Receivers = append(p.Receivers, s.receiverRow(&v, n, private, now))
	}
	p.add("receivers", len(p.Receivers), "receiver", down)
	down = 0
	for _, v := range s.Uploads() {
		if !v.OK {
			down++
		}
		p.Uploads = append(p.Uploads, uploadRowOf(&v, private, now))
	}
	p.add("uploads", len(p.Uploads), "upload", down)
	return series
}

// add tells of n things, unless there are none.
func (p *statusPage) add(anchor string, n int, noun string, down int) {
	if n == 0 {
		return
	}
	o := other{Anchor: anchor, Count: count(n, noun)}
	if down > 0 {
		o.Down = number(down)
	}
	p.Others = append(p.Others, o)
}

func receiverBadge(v *ReceiverView) badge {
	switch {
	case v.Up:
		return badge{"ok", "✓", "open"}
	case v.Error == "":
		return badge{"new", "○", "opening"}
	}
	return badge{"bad", "✕", "down"}
}

func (s *Server) receiverRow(v *ReceiverView, series int, private bool, now time.Time) *receiverRow {
	r := &receiverRow{
		Name: texts.Visible(v.Name), Href: "receivers/" + url.PathEscape(v.Name), Badge: receiverBadge(v),
		Last: ago(v.Last, now), Series: number(series), Dropped: large(total(v.Dropped)),
	}
	if private {
		for _, a := range v.Addresses {
			r.Addresses = append(r.Addresses, texts.Visible(a))
		}
	}
	if _, refused := s.Page.Refusals(record.Receiver, v.Name); refused > 0 {
		r.Refused = number(refused)
	}
	if v.Error != "" {
		r.Note = receiverWhy(v)
		if private {
			r.Note = texts.Visible(texts.Shorten(v.Error, 240))
		}
	}
	return r
}

// receiverWhy says in our own words what is wrong with a receiver.
func receiverWhy(v *ReceiverView) string {
	if v.Up {
		return "something went wrong with the last batch"
	}
	return "it cannot be opened and is retried; the log says why"
}

func uploadRowOf(v *UploadView, private bool, now time.Time) *uploadRow {
	r := &uploadRow{
		Name: texts.Visible(v.Name), Badge: badge{"ok", "✓", "ok"}, Oldest: ago(v.Oldest, now),
		Queue: number(v.Queue), Sent: large(v.Sent), Refused: large(v.Refused),
	}
	if v.Queue > 0 {
		r.Queue += " (" + size(v.QueueBytes) + ")"
	}
	if !v.OK {
		r.Badge, r.Note = badge{"bad", "✕", "failing"}, "sending fails and is retried; the log says why"
	}
	if private && v.Error != "" {
		r.Note = texts.Visible(texts.Shorten(v.Error, 240))
	}
	return r
}

func total(by map[string]uint64) (n uint64) {
	for _, one := range by {
		n += one
	}
	return n
}

// receiverPage is the data of page/receiver.html.
type receiverPage struct {
	frame
	seriesList
	Name     string
	Badge    badge
	Facts    []fact
	Why      string
	Error    string // private
	Dropped  []tally
	Refused  []tally
	Refusals []note // private
	Hidden   string
	Private  bool
	Faults   []fault // private
	Events   []event
}

func (s *Server) serveReceiver(w http.ResponseWriter, r *http.Request) {
	views := s.Receivers()
	i := slices.IndexFunc(views, func(v ReceiverView) bool { return v.Name == r.PathValue("name") })
	if i < 0 {
		s.NotFound(w, r, "there is no receiver of this name")
		return
	}
	v, now := &views[i], time.Now()
	p := &receiverPage{
		frame: s.frame(texts.Visible(v.Name)+" – scriptbridge", "../", now),
		Name:  texts.Visible(v.Name), Badge: receiverBadge(v), Hidden: s.gate.Hidden(r),
	}
	if p.Refresh = refreshOf(r.URL.Query()); p.Refresh > 0 {
		p.Toggle = "?"
	} else {
		p.Toggle = query{Sort: defaultSort}.toggled().href()
	}
	if v.Error != "" {
		p.Why = receiverWhy(v)
	}
	for _, reason := range slices.Sorted(maps.Keys(v.Dropped)) {
		if n := v.Dropped[reason]; n > 0 {
			p.Dropped = append(p.Dropped, tally{Reason: texts.Visible(reason), Count: large(n)})
		}
	}
	series := s.Page.Series(record.Receiver, v.Name)
	p.facts(v, len(series), now)
	p.seriesList = listOf(series, true)
	refusals, refused := s.Page.Refusals(record.Receiver, v.Name)
	p.Refused = talliesOf(nil, refusals, refused)
	p.Private = p.Hidden == ""
	for i := range v.Events {
		p.Events = append(p.Events, eventOf(&v.Events[i], p.Private, now))
	}
	if p.Private {
		for i := range v.Faults {
			p.Faults = append(p.Faults, faultOf(&v.Faults[i], now))
		}
		p.Error = texts.Visible(v.Error)
		for _, r := range refusals {
			p.Refusals = append(p.Refusals, note{Kind: "refused", Text: texts.Visible(r.Metric + ": " + r.Text), Value: texts.Visible(r.Reason)})
		}
	}
	s.render(w, http.StatusOK, s.receiver, p)
}

// fault is something that could not be used.
type fault struct {
	At                moment
	Reason, Text, Why string
	More              string
}

func faultOf(f *Fault, now time.Time) fault {
	shown := fault{At: ago(f.At, now), Reason: texts.Visible(f.Reason), Text: texts.Visible(f.Text), Why: texts.Visible(texts.Shorten(f.Why, 240))}
	if f.More > 0 {
		shown.More = number(f.More)
	}
	return shown
}

func (p *receiverPage) facts(v *ReceiverView, series int, now time.Time) {
	add := func(name, text string) { p.Facts = append(p.Facts, fact{Name: name, Text: text}) }
	if !v.Last.IsZero() {
		p.Facts = append(p.Facts, fact{Name: "Last batch", Time: ago(v.Last, now)})
	} else {
		add("Last batch", "none yet")
	}
	add("Series", number(series))
	add("Packets", large(v.Packets))
	add("Received", size(int64(v.Bytes)))
	add("Dropped", large(total(v.Dropped)))
	if p.Hidden == "" {
		for _, a := range v.Addresses {
			p.Facts = append(p.Facts, fact{Name: "Listens on", Text: texts.Visible(a), Code: true})
		}
	}
}

// large is number for what is counted.
func large(n uint64) string { return number(int(n)) }

// size gives bytes as people read them, to about three digits.
func size(n int64) string {
	if n < 1<<10 {
		return count(int(n), "byte")
	}
	f, units := float64(n)/(1<<10), []string{" KiB", " MiB", " GiB", " TiB"}
	for len(units) > 1 && f >= 1000 {
		f, units = f/(1<<10), units[1:]
	}
	digits := 1
	if f >= 100 {
		digits = 0
	}
	return strconv.FormatFloat(f, 'f', digits, 64) + units[0]
}
