package web

import (
	"net/http"
	"net/url"
	"strconv"
	"time"

	"scriptbridge/internal/texts"
	"scriptbridge/receive"
	"scriptbridge/record"
	"scriptbridge/status"
)

// other is what the top of the status page says beside the scripts.
type other struct{ Anchor, Count, Down, Tab string }

// add tells of n things, unless there are none.
func (p *statusPage) add(anchor string, n int, noun string, down int) {
	if n == 0 {
		return
	}
	o := other{Anchor: anchor, Count: count(n, noun)}
	if down > 0 {
		o.Down, o.Tab = number(down), count(down, noun)+" down"
	}
	p.Others = append(p.Others, o)
}

// receiverRow is one receiver of the table.
type receiverRow struct {
	*receive.View
	series, refused int // refused of the last batch
}

// receiverTable fills in the table of receivers, and gives the number of all
// their series.
func (s *Server) receiverTable(p *statusPage, private bool, now time.Time) (series int) {
	var rows []receiverRow
	down := 0
	views := s.Receivers()
	for i := range views {
		v := &views[i]
		if !v.Up && v.Error != "" {
			down++
		}
		_, refused := s.Page.Refusals(record.Receiver, v.Name)
		r := receiverRow{v, s.Page.Count(record.Receiver, v.Name), refused}
		series += r.series
		rows = append(rows, r)
	}
	p.add("receivers", len(rows), "receiver", down)
	p.Receivers = tableOf(table{ID: "receivers", Title: "Receivers", Class: "scripts others"}, []column[receiverRow]{
		{title: "Receiver", cells: "name", cell: func(r receiverRow) cell {
			return headingCell(texts.Visible(r.Name), "receivers/"+url.PathEscape(r.Name)+p.Carry)
		}},
		{title: "State", cells: "state", cell: func(r receiverRow) cell { return badgeCell(receiverBadge(r.View)) }},
		{title: "Listens on", cells: "where", cell: func(r receiverRow) cell {
			if !private {
				return cell{}
			}
			return codesCell(visibleAll(r.Addresses)...)
		}},
		{title: "Last batch", cells: "last", cell: func(r receiverRow) cell { return timeCell(ago(r.Last, now)) }},
		{title: "Series", class: "num", cells: "num series", cell: func(r receiverRow) cell { return textCell(number(r.series)) }},
		{title: "Dropped", class: "num", cells: "num dropped", cell: func(r receiverRow) cell { return textCell(large(total(r.Counts.Dropped))) }},
		{title: "Refused", class: "num", cells: "num refused", cell: func(r receiverRow) cell { return refusedCell(r.refused) }},
		{title: "Last error", cells: "note bad", cell: func(r receiverRow) cell {
			switch {
			case r.Error == "":
				return cell{}
			case private:
				return noteCell(excerpt(r.Error))
			}
			return noteCell(status.CauseOfReceiver(r.View))
		}},
	}, rows)
	return series
}

func receiverBadge(v *receive.View) badge {
	switch {
	case v.Up:
		return badge{"ok", "✓", "open"}
	case v.Error == "":
		return badge{"new", "○", "opening"}
	}
	return badge{"bad", "✕", "down"}
}

func visibleAll(all []string) []string {
	var list []string
	for _, s := range all {
		list = append(list, texts.Visible(s))
	}
	return list
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
	Facts    factList
	Why      string
	Error    string // private
	Dropped  tallies
	Refused  tallies
	Refusals []note // private
	Hidden   string
	Faults   table // private
	Events   table
}

func (s *Server) serveReceiver(w http.ResponseWriter, r *http.Request) {
	v := s.Receiver(r.PathValue("name"))
	if v == nil {
		s.NotFound(w, r, "there is no receiver of this name")
		return
	}
	now := time.Now()
	p := &receiverPage{
		frame: s.frame(texts.Visible(v.Name)+" – scriptbridge", "../", now),
		Name:  texts.Visible(v.Name), Badge: receiverBadge(v), Hidden: s.gate.Hidden(r),
	}
	p.refreshing(r.URL.Query())
	if v.Error != "" {
		p.Why = status.CauseOfReceiver(v)
	}
	p.Dropped = s.explained(v.Name, talliesIn("Dropped", v.Counts.Dropped))
	series := s.Page.Series(record.Receiver, v.Name)
	p.facts(v, len(series), now)
	p.seriesList = listOf(series, true)
	refusals, refused := s.Page.Refusals(record.Receiver, v.Name)
	p.Refused = s.explained(v.Name, tallies{"Refused in the last batch", talliesOf(nil, refusals, refused)})
	private := p.Hidden == ""
	p.Events = eventTable(v.Events, private, now)
	if private {
		p.Faults = faultTable(v.Faults, now)
		p.Error = texts.Visible(v.Error)
		for _, r := range refusals {
			p.Refusals = append(p.Refusals, note{Kind: "refused", Text: texts.Visible(r.Metric + ": " + r.Text), Value: texts.Visible(r.Reason)})
		}
	}
	s.render(w, http.StatusOK, s.receiver, p)
}

// faultTable is what could not be used of late.
func faultTable(faults []receive.Fault, now time.Time) table {
	return tableOf(table{ID: "faults", Title: "Recently refused"}, []column[receive.Fault]{
		{title: "Received", cell: func(f receive.Fault) cell { return timeCell(ago(f.At, now)) }},
		{title: "Reason", cell: func(f receive.Fault) cell { return textCell(texts.Visible(f.Reason)) }},
		{title: "Text", cells: "message", cell: func(f receive.Fault) cell {
			if f.Text == "" {
				return cell{}
			}
			return codesCell(texts.Visible(f.Text))
		}},
		{title: "Error", cells: "message", cell: func(f receive.Fault) cell {
			c := textCell(excerpt(f.Why))
			if f.More > 0 {
				return c.small("and " + number(f.More) + " more")
			}
			return c
		}},
	}, faults)
}

func (p *receiverPage) facts(v *receive.View, series int, now time.Time) {
	if !v.Last.IsZero() {
		p.Facts.time("Last batch", ago(v.Last, now))
	} else {
		p.Facts.add("Last batch", "none yet")
	}
	p.Facts.add("Series", number(series))
	p.Facts.add("Packets", large(total(v.Counts.Packets)))
	p.Facts.add("Received", size(int64(total(v.Counts.Bytes))))
	p.Facts.add("Dropped", large(total(v.Counts.Dropped)))
	if p.Hidden == "" {
		for _, a := range v.Addresses {
			p.Facts.code("Listens on", a)
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
