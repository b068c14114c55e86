package collector

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"scriptbridge/record"
)

var restarted = &record.EventMeta{ID: "1", Name: "Restarted", Attributes: []string{"Cause", "event", "by whom"}}

// happened is an event of a script; its times are seconds from now.
func happened(s *record.Source, message string, start, stop int, attributes ...string) record.Event {
	e := record.Event{Name: restarted.Name, Meta: restarted, Message: message, Start: time.Now().Add(time.Duration(start) * time.Second)}
	if stop != 0 {
		e.Stop = time.Now().Add(time.Duration(stop) * time.Second)
	}
	for i := 0; i < len(attributes); i += 2 {
		e.Attributes = append(e.Attributes, record.Label{Name: attributes[i], Value: attributes[i+1]})
	}
	e.ID = e.Identify(s)
	return e
}

func news(s *record.Source, events ...record.Event) *record.Batch {
	return &record.Batch{Source: s, Time: time.Now(), Events: events}
}

func TestEvents(t *testing.T) {
	synctest.Test(t, func(t *testing.T) { // it is midnight of 2000-01-01
		c, s := New(Options{Retention: time.Minute}), script("s", 0)
		s.Prefix, s.Labels = "coscale", []record.Label{{Name: "event_id", Value: "no"}, {Name: "team", Value: "x"}}
		_ = c.Put(&record.Batch{Source: s, Declared: &record.Declared{Events: []*record.EventMeta{restarted, {Name: "Never"}}}})
		want(t, onPage(t, c, "coscale"),
			`coscale_events_total{script="s",event="Never",event_id="no",team="x"} 0`,
			`coscale_events_total{script="s",event="Restarted",event_id="no",team="x"} 0`)

		e := happened(s, "it \"crashed\"", -10, -5, "Cause", "bug", "event", "x", "by whom", "ops", "secret", "y")
		open := happened(s, strings.Repeat("ä", 200), -3, 0)
		open.Subject = record.Subject{Kind: record.Application}
		_ = c.Put(news(s, e, open, e))
		first := []string{
			fmt.Sprintf(`coscale_event_end_timestamp_seconds{script="s",event="Restarted",event_id="%s",team="x"} 9.46684795e+08`, e.ID),
			fmt.Sprintf(`coscale_event_info{script="s",event="Restarted",event_id="%s",subject="server",message="it \"crashed\"",team="x",by_whom="ops",cause="bug",exported_event="x"} 1`, e.ID),
			fmt.Sprintf(`coscale_event_start_timestamp_seconds{script="s",event="Restarted",event_id="%s",team="x"} 9.4668479e+08`, e.ID),
		}
		second := []string{
			fmt.Sprintf(`coscale_event_info{script="s",event="Restarted",event_id="%s",subject="application",message="%s",team="x"} 1`, open.ID, strings.Repeat("ä", 128)),
			fmt.Sprintf(`coscale_event_start_timestamp_seconds{script="s",event="Restarted",event_id="%s",team="x"} 9.46684797e+08`, open.ID),
		}
		both := func(kind string) []string {
			var all []string
			for _, l := range append(append([]string{}, first...), second...) {
				if strings.HasPrefix(l, "coscale_event_"+kind) {
					all = append(all, l)
				}
			}
			if len(all) == 2 && all[0] > all[1] {
				all[0], all[1] = all[1], all[0]
			}
			return all
		}
		for _, kind := range []string{"info", "start", "end"} {
			want(t, onPage(t, c, "coscale_event_"+kind), both(kind)...)
		}
		want(t, onPage(t, c, "coscale_events"),
			`coscale_events_total{script="s",event="Never",event_id="no",team="x"} 0`,
			`coscale_events_total{script="s",event="Restarted",event_id="no",team="x"} 2`)

		// Repeated, it is not counted again, and its time goes on.
		time.Sleep(time.Minute - 1)
		_ = c.Put(news(s, e))
		want(t, onPage(t, c, "coscale_event_info"), both("info")...)
		time.Sleep(time.Nanosecond)
		first = nil
		want(t, onPage(t, c, "coscale_event_info"), both("info")...)
		_ = c.Put(news(s, e)) // its time is over
		want(t, onPage(t, c, "coscale_event_info"), both("info")...)
		want(t, onPage(t, c, "coscale_event_end"))
		want(t, onPage(t, c, "coscale_events"),
			`coscale_events_total{script="s",event="Never",event_id="no",team="x"} 0`,
			`coscale_events_total{script="s",event="Restarted",event_id="no",team="x"} 2`)

		// An open one ends after a day at most.
		time.Sleep(24*time.Hour - time.Minute - 1)
		want(t, onPage(t, c, "coscale_event_info"), both("info")...)
		time.Sleep(time.Nanosecond)
		want(t, onPage(t, c, "coscale_event_"))
	})
}

// TestEventIsClosed: an API's event keeps its ID.
func TestEventIsClosed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, r := New(Options{Retention: time.Minute}), receiver("coscale", 0)
		e := record.Event{ID: "42", Name: "Deploy", Start: time.Now(), Subject: record.Subject{Kind: record.Server, Name: "web-1"}}
		_ = c.Put(news(r, e))
		time.Sleep(time.Hour)
		want(t, onPage(t, c, "coscale_event"),
			`coscale_event_info{receiver="coscale",event="Deploy",event_id="42",subject="server",server="web-1"} 1`,
			`coscale_event_start_timestamp_seconds{receiver="coscale",event="Deploy",event_id="42"} 9.466848e+08`,
			`coscale_events_total{receiver="coscale",event="Deploy"} 1`)
		e.Stop, e.Message = time.Now(), "done"
		_ = c.Put(news(r, e))
		want(t, onPage(t, c, "coscale_event"),
			`coscale_event_end_timestamp_seconds{receiver="coscale",event="Deploy",event_id="42"} 9.466884e+08`,
			`coscale_event_info{receiver="coscale",event="Deploy",event_id="42",subject="server",message="done",server="web-1"} 1`,
			`coscale_event_start_timestamp_seconds{receiver="coscale",event="Deploy",event_id="42"} 9.466848e+08`,
			`coscale_events_total{receiver="coscale",event="Deploy"} 1`)
		// A longer retention holds for it at once.
		c.SetRetention(2 * time.Minute)
		time.Sleep(2*time.Minute - 1)
		want(t, onPage(t, c, "coscale_event_end"), `coscale_event_end_timestamp_seconds{receiver="coscale",event="Deploy",event_id="42"} 9.466884e+08`)
		c.SetRetention(time.Minute)
		want(t, onPage(t, c, "coscale_event"), `coscale_events_total{receiver="coscale",event="Deploy"} 1`)
	})
}

func TestNewestEvents(t *testing.T) {
	c, s := New(Options{Retention: time.Hour}), script("s", 0)
	for i := range 2 * maxEvents {
		_ = c.Put(news(s, record.Event{ID: fmt.Sprintf("%03d", i), Name: "e"}))
	}
	got := onPage(t, c, "script_event_info")
	if len(got) != maxEvents || got[0] != fmt.Sprintf(`script_event_info{script="s",event="e",event_id="%03d",subject="server"} 1`, maxEvents) {
		t.Errorf("%d events, the first is %s", len(got), got[0])
	}
	want(t, onPage(t, c, "script_events"), fmt.Sprintf(`script_events_total{script="s",event="e"} %d`, 2*maxEvents))
	for i := range 2 * maxEventNames {
		_ = c.Put(news(s, record.Event{ID: fmt.Sprint("n", i), Name: fmt.Sprint("n", i)}))
	}
	if n := len(onPage(t, c, "script_events")); n != maxEventNames {
		t.Errorf("%d counters", n)
	}
	want(t, reasons(c, s), fmt.Sprintf("n%d: max_series", 2*maxEventNames-1))
	_ = c.Put(&record.Batch{Source: s, Gone: true})
	want(t, onPage(t, c, ""))
}

// A reload that gives a source other labels or another prefix changes the names
// of its events' series. None of them vanishes, and no count begins anew.
func TestEventsAfterReload(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, r := New(Options{Retention: time.Minute}), receiver("statsd", 0)
		started := time.Now()
		closed := record.Event{
			ID: "1", Name: "Deploy", Start: started, Stop: started.Add(time.Second), Attributes: []record.Label{{Name: "by", Value: "ann"}},
			Meta: &record.EventMeta{Name: "Deploy", Attributes: []string{"by"}},
		}
		open := record.Event{ID: "2", Name: "Outage", Start: started}
		_ = c.Put(news(r, closed, open))
		closed.Attributes[0].Value = "somebody else's by now"
		time.Sleep(30 * time.Second)
		health := onPage(t, c, "scriptbridge_receiver")

		relabelled := *r
		relabelled.Labels = []record.Label{{Name: "team", Value: "x"}}
		_ = c.Put(&record.Batch{Source: &relabelled, Time: time.Now()})
		want(t, onPage(t, c, "statsd_event"),
			`statsd_event_end_timestamp_seconds{receiver="statsd",event="Deploy",event_id="1",team="x"} 9.46684801e+08`,
			`statsd_event_info{receiver="statsd",event="Deploy",event_id="1",subject="server",team="x",by="ann"} 1`,
			`statsd_event_info{receiver="statsd",event="Outage",event_id="2",subject="server",team="x"} 1`,
			`statsd_event_start_timestamp_seconds{receiver="statsd",event="Deploy",event_id="1",team="x"} 9.466848e+08`,
			`statsd_event_start_timestamp_seconds{receiver="statsd",event="Outage",event_id="2",team="x"} 9.466848e+08`,
			`statsd_events_total{receiver="statsd",event="Deploy",team="x"} 1`,
			`statsd_events_total{receiver="statsd",event="Outage",team="x"} 1`)

		want(t, onPage(t, c, "scriptbridge_receiver"), health...)

		renamed := relabelled
		renamed.Prefix, renamed.Rank = "shop", 3
		_ = c.Put(news(&renamed, open)) // which is not new
		want(t, onPage(t, c, "statsd_event"))
		want(t, onPage(t, c, "shop_events"),
			`shop_events_total{receiver="statsd",event="Deploy",team="x"} 1`,
			`shop_events_total{receiver="statsd",event="Outage",team="x"} 1`)
		// Each is shown for as long as it would have been.
		time.Sleep(30*time.Second - 1)
		if n := len(onPage(t, c, "shop_event_info")); n != 2 {
			t.Errorf("%d events are shown", n)
		}
		time.Sleep(time.Nanosecond)
		want(t, onPage(t, c, "shop_event_info"), `shop_event_info{receiver="statsd",event="Outage",event_id="2",subject="server",team="x"} 1`)
		open.Stop = time.Now()
		_ = c.Put(news(&renamed, open))
		want(t, onPage(t, c, "shop_event_end"), `shop_event_end_timestamp_seconds{receiver="statsd",event="Outage",event_id="2",team="x"} 9.4668486e+08`)
		want(t, onPage(t, c, "shop_events"),
			`shop_events_total{receiver="statsd",event="Deploy",team="x"} 1`,
			`shop_events_total{receiver="statsd",event="Outage",team="x"} 1`)
	})
}

// What a batch is said to speak of are the events that came with it, and not those that
// are still shown.
func TestShownEvents(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := New(Options{Retention: time.Hour})
		api := receiver("coscale", 0)
		put := func(names ...string) string {
			b := partial(api, set(gaugeMeta, "queue", 1))
			for _, name := range names {
				b.Events = append(b.Events, record.Event{ID: name, Name: "deployed", Message: name, Start: time.Now(), Stop: time.Now()})
			}
			_ = c.Put(b)
			shown := c.Shown(api, true)
			return string(shown.Text) + string(shown.Sums)
		}
		for _, step := range []struct{ come, want []string }{
			{[]string{"one", "two"}, []string{"one", "two"}}, {[]string{"three"}, []string{"three"}}, {[]string{"three"}, nil}, {nil, nil},
		} {
			text := put(step.come...)
			for _, name := range []string{"one", "two", "three"} {
				if got := strings.Contains(text, `message="`+name+`"`); got != slices.Contains(step.want, name) {
					t.Errorf("after %v: %s is there: %v\n%s", step.come, name, got, text)
				}
			}
			if !strings.Contains(text, "\nqueue 1\n") {
				t.Errorf("after %v there is no queue:\n%s", step.come, text)
			}
		}
	})
}
