package web

import (
	"net/http"
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
			{Name: "instrumental", Error: "login: Post \"https://collector.example.org/api/v1/app/8f2c6d3e-0000-4000-8000-1b2c3d4e5f60/login/?with=a&very=long&query=string&that=nobody&wants=to&read=at&three=in&the=morning\": dial tcp: connection <refused>", Stats: &spool.Stats{Items: 40, Bytes: 3 << 20, Oldest: now.Add(-time.Hour), Sent: 1, Refused: 2,
				FailingSince: now.Add(-20 * time.Minute), LastSent: now.Add(-21 * time.Minute), Retried: 17, Failing: "x",
				DroppedBy: map[string]uint64{"full": 1200, "damaged": 0}, Skipped: map[string]uint64{"too_old": 3},
				Refusals: []spool.Refusal{{At: now.Add(-2 * time.Minute), Error: "400 Bad Request: <no> such metric\x1b", Shown: `{"id": "<M1>"}`, Items: 2}},
			}},
			{Name: "other", Opening: true},
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
		if got, want := text(find(doc, "p.lead")[0]), "5 scripts, 3 receivers (1 down), 3 uploads (1 down), 1,204 series. Configuration read 3 h ago. Runs are contained by process groups."; got != want {
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
				"instrumental | ✕ failing | 40 (3.0 MiB) | 60 min ago | 1 | 2 | … dial tcp: connection <refused>",
				"other | ○ opening | 0 |  | 0 | 0 | its spool is being checked; what is to be sent waits for that",
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

// An upload's page has its queue, its last error as it is, and what was refused.
func TestUploadPage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, o := pushed(time.Now())
		h := handler(t, o)
		public := []string{
			"Queue: 40", "On disk: 3.0 MiB", "Oldest: 60 min ago", "Failing since: 20 min ago", "Last sent: 21 min ago", "Sent: 1", "Refused: 2",
			"Attempts repeated: 17",
		}
		for _, c := range []struct {
			r              *http.Request
			box            string
			refused, marks []string
		}{
			{
				request("GET", "/uploads/instrumental"), "Sending fails and is retried. " + o.Uploads()[1].Error,
				[]string{`2 min ago | 2 | 400 Bad Request: <no> such metric␛ | {"id": "<M1>"}`}, []string{"1,200 × full", "3 × too_old"},
			},
			{stranger("GET", "/uploads/instrumental"), "Sending fails and is retried; the log says why.", nil, []string{"1,200 × full", "3 × too_old"}},
		} {
			doc := page(t, h, c.r)
			if got := text(find(doc, "div.bad")[0]); got != c.box {
				t.Errorf("%q, want %q", got, c.box)
			}
			for what, pair := range map[string][2][]string{
				"facts": {facts(doc), public}, "tallies": {textsOf(find(doc, "span.warn")), c.marks}, "refused": {rows(doc), c.refused},
			} {
				if !slices.Equal(pair[0], pair[1]) {
					t.Errorf("%s: %s", what, cmp.Diff(pair[1], pair[0]))
				}
			}
		}
		if w := answer(h, request("GET", "/uploads/none")); w.Code != 404 || w.Body.String() != "there is no upload of this name\n" {
			t.Errorf("an upload that there is not: %d %s", w.Code, w.Body)
		}
	})
	for text, want := range map[string]string{
		"short <\x1b>":           "short <␛>",
		strings.Repeat("é", 161): "… " + strings.Repeat("é", 160),
		"x " + strings.Repeat("é", 80) + " " + strings.Repeat("y", 100): "… " + strings.Repeat("y", 100),
	} {
		if got := tailOf(text); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
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
