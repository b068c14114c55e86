package web

import (
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/net/html"

	"scriptbridge/collector"
	"scriptbridge/receive"
	"scriptbridge/receive/receiver"
	"scriptbridge/record"
	"scriptbridge/upload"
	"scriptbridge/upload/spool"
)

// pushed is a bridge with receivers and uploads in each condition.
func pushed(now time.Time) (*fakes, Options) {
	f := shop()
	f.series["receiver statsd"] = []collector.SeriesView{{Text: `requests_total{path="/<a>"}`, Value: 12}, {Text: "up", Value: 1}}
	f.refusals["receiver statsd"] = []collector.Refusal{{Metric: "up\x1b", Reason: "type_conflict", Text: "up is a counter already"}}
	o := f.options()
	o.Receivers = func() []receive.View {
		return []receive.View{
			{Name: "coscale", Error: "listen tcp 10.0.0.1:80: bind: address already in use <b>"},
			{
				Name: "statsd", Up: true, Addresses: []string{"udp 127.0.0.1:8125", "unixgram /run/statsd.sock"}, Last: now.Add(-3 * time.Second),
				Counts: receiver.CountsView{
					Packets: map[string]uint64{"udp": 1234500, "unixgram": 67}, Bytes: map[string]uint64{"udp": 98765432},
					Dropped: map[string]uint64{"overload": 1200, "not_utf8": 0, "bad\n": 1},
				},
				Events: []record.Event{{Name: "StatsD event", Message: "deployed \x1b", Start: now.Add(-time.Minute), Attributes: []record.Label{{Name: "tags", Value: "by:<ann>"}}}},
				Faults: []receive.Fault{{At: now.Add(-2 * time.Second), Reason: "bad_type", Text: "secret:1|x\x1b", Why: `the type "x" is none`, More: 1200}, {At: now.Add(-time.Minute), Reason: "no_value", Why: "h/p/t has no value"}},
			},
			{Name: "collectd"},
		}
	}
	o.Uploads = func() []upload.State {
		return []upload.State{
			{Name: "coscale", Stats: &spool.Stats{Sent: 5000}},
			{Name: "instrumental", Error: "dial tcp: connection refused", Stats: &spool.Stats{Items: 40, Bytes: 3 << 20, Oldest: now.Add(-time.Hour), Sent: 1, Refused: 2}},
		}
	}
	return f, o
}

// tables gives the rows of the tables of receivers and uploads.
func tables(doc *html.Node) [][]string {
	var all [][]string
	for _, table := range find(doc, "table.scripts")[1:] {
		all = append(all, rows(table))
	}
	return all
}

func TestStatusReceivers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, o := pushed(time.Now())
		h := handler(t, o)
		doc := page(t, h, request("GET", "/"))
		if got, want := text(find(doc, "p.lead")[0]), "5 scripts, 3 receivers (1 down), 2 uploads (1 down), 1,204 series. Configuration read 3 h ago. Runs are contained by process groups."; got != want {
			t.Errorf("%q, want %q", got, want)
		}
		want := [][]string{
			{
				"coscale | ✕ down |  |  | 0 | 0 |  | listen tcp 10.0.0.1:80: bind: address already in use <b>",
				"statsd | ✓ open | udp 127.0.0.1:8125, unixgram /run/statsd.sock | 3 s ago | 2 | 1,201 | 1 | ",
				"collectd | ○ opening |  |  | 0 | 0 |  | ",
			},
			{
				"coscale | ✓ ok | 0 |  | 5,000 | 0 | ",
				"instrumental | ✕ failing | 40 (3.0 MiB) | 60 min ago | 1 | 2 | dial tcp: connection refused",
			},
		}
		if diff := cmp.Diff(want, tables(doc)); diff != "" {
			t.Errorf("private: %s", diff)
		}
		public := page(t, h, stranger("GET", "/"))
		want[0][0] = "coscale | ✕ down |  |  | 0 | 0 |  | it cannot be opened and is retried; the log says why"
		want[0][1] = "statsd | ✓ open |  | 3 s ago | 2 | 1,201 | 1 | "
		want[1][1] = "instrumental | ✕ failing | 40 (3.0 MiB) | 60 min ago | 1 | 2 | sending fails and is retried; the log says why"
		if diff := cmp.Diff(want, tables(public)); diff != "" {
			t.Errorf("public: %s", diff)
		}
	})
	if got := tables(page(t, handler(t, shop().options()), request("GET", "/"))); len(got) != 0 {
		t.Errorf("tables of what is not configured: %q", got)
	}
}

func TestReceiverPage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, o := pushed(time.Now())
		h := handler(t, o)
		doc := page(t, h, request("GET", "/receivers/statsd"))
		check := func(what string, got, want []string) {
			t.Helper()
			if !slices.Equal(got, want) {
				t.Errorf("%s: %s", what, cmp.Diff(want, got))
			}
		}
		check("facts", facts(doc), []string{
			"Last batch: 3 s ago", "Series: 2", "Packets: 1,234,567", "Received: 94.2 MiB", "Dropped: 1,201",
			"Listens on: udp 127.0.0.1:8125", "Listens on: unixgram /run/statsd.sock",
		})
		check("tallies", textsOf(find(doc, "span.warn")), []string{"1 × bad", "1,200 × overload", "1 × type_conflict"})
		check("refusals", textsOf(find(find(doc, "ul.rest")[0], "li")), []string{"✕ refused (type_conflict): up␛: up is a counter already"})
		check("events", rows(find(doc, "table")[0]), []string{"60 s ago | open | StatsD event | server | deployed ␛ tags=by:<ann>"})
		check("faults", rows(find(doc, "table")[1]), []string{
			`2 s ago | bad_type | secret:1|x␛ | the type "x" is none and 1,200 more`, "60 s ago | no_value |  | h/p/t has no value",
		})
		check("series", textsOf(find(find(doc, "ul.series")[0], "li")), []string{`requests_total{path="/<a>"} 12`, "up 1"})

		public := page(t, h, stranger("GET", "/receivers/statsd"))
		check("public facts", facts(public), []string{"Last batch: 3 s ago", "Series: 2", "Packets: 1,234,567", "Received: 94.2 MiB", "Dropped: 1,201"})
		for _, secret := range []string{"127.0.0.1:8125", "statsd.sock", "already", "secret", "deployed", "ann"} {
			if strings.Contains(text(public), secret) {
				t.Errorf("%q is shown to everyone", secret)
			}
		}
		check("why", textsOf(find(page(t, h, request("GET", "/receivers/coscale")), "div.bad")), []string{
			"it cannot be opened and is retried; the log says why. listen tcp 10.0.0.1:80: bind: address already in use <b>",
		})
		check("why, publicly", textsOf(find(page(t, h, stranger("GET", "/receivers/coscale")), "div.bad")), []string{
			"it cannot be opened and is retried; the log says why.",
		})
		if w := answer(h, request("GET", "/receivers/none")); w.Code != 404 {
			t.Errorf("a receiver that there is not: %d", w.Code)
		}
	})
}

func TestSize(t *testing.T) {
	for n, want := range map[int64]string{
		0: "0 bytes", 1: "1 byte", 1023: "1,023 bytes", 1024: "1.0 KiB", 1536: "1.5 KiB", 512 << 10: "512 KiB",
		1000 << 10: "1.0 MiB", 3 << 30: "3.0 GiB", 5 << 50: "5120 TiB",
	} {
		if got := size(n); got != want {
			t.Errorf("%d: %q, want %q", n, got, want)
		}
	}
}
