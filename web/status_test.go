package web

import (
	"errors"
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
	"scriptbridge/record"
	"scriptbridge/script"
	"scriptbridge/script/dialect"
	"scriptbridge/status"
	"scriptbridge/upload"
)

// shop is a bridge with one script in each condition.
func shop() *fakes {
	now := time.Now().UTC()
	disks, series, refusals := diskView(now)
	view := func(name, dialect string) script.View {
		return script.View{
			Script: newScript(name, dialect, "/opt/"+name), State: script.Idle,
			Interval: time.Minute, Timeout: 5 * time.Second, Next: now.Add(20 * time.Second),
		}
	}
	ran := func(v *script.View, last script.Verdict) {
		last.Start = now.Add(-40 * time.Second)
		v.Last, v.History, v.Since = &last, script.HistoryOf(&last), last.Start
	}
	mail := view("mail", "nagios")
	ran(&mail, script.Verdict{Result: record.OK, Duration: 2 * time.Second, Samples: 1})
	mail.State, mail.Since = script.Running, now.Add(-4*time.Second)
	queue := view("queue", "coscale")
	queue.State, queue.Next = script.Waiting, now
	redis := view("redis", "prometheus")
	ran(&redis, script.Verdict{Result: record.Timeout, ExitCode: -1, Duration: 5 * time.Second, Refused: 12, Err: errors.New("it ran on after 5s; it had said <b>busy</b>")})
	certs := view("a/b ?", "scalyr")
	ran(&certs, script.Verdict{Result: record.Error, ExitCode: 3, Duration: 900 * time.Microsecond, Err: errors.New("exit code 3: \x1b[31mno certificate")})
	return &fakes{
		views:    []script.View{disks, mail, queue, redis, certs},
		series:   map[string][]collector.SeriesView{"disks": series, "redis": make([]collector.SeriesView, 1200)},
		refusals: map[string][]collector.Refusal{"disks": refusals},
	}
}

// rows gives the table as one reads it, a line a script.
func rows(doc *html.Node) []string {
	var list []string
	for i, tr := range find(doc, "tr") {
		if i == 0 { // the headings
			continue
		}
		var cells []string
		for n := range tr.ChildNodes() {
			if n.Type != html.ElementNode {
				continue
			}
			cells = append(cells, text(n))
		}
		list = append(list, strings.Join(cells, " | "))
	}
	return list
}

func TestStatus(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := handler(t, shop().options())
		for _, c := range []struct {
			name string
			r    *http.Request
			want []string
		}{
			{"private", request("GET", "/"), []string{
				"redis | prometheus | ✕ timeout | the last run: 0 ok, 1 failed | 40 s ago | in 20 s | 5.0 s |  | 1,200 | 12 | it ran on after 5s; it had said <b>busy</b>",
				"a/b ? | scalyr | ✕ error | the last run: 0 ok, 1 failed | 40 s ago | in 20 s | 900 µs | 3 | 0 |  | exit code 3: ␛[31mno certificate",
				"disks | coscale | ✓ ok | the last 20 runs: 19 ok, 1 failed | 12 s ago | in 48 s | 310 ms | 0 | 2 | 2 | refused: 1 × type_conflict, 1 × undeclared",
				"mail | nagios | ✓ ok running 4 s | the last run: 1 ok, 0 failed | 40 s ago |  | 2.0 s | 0 | 0 |  | ",
				"queue | coscale | ○ not yet run waiting |  |  | now |  |  | 0 |  | ",
			}},
			{"public", stranger("GET", "/?sort=-series"), []string{
				"redis | prometheus | ✕ timeout | the last run: 0 ok, 1 failed | 40 s ago | in 20 s | 5.0 s |  | 1,200 | 12 | ran longer than its timeout of 5 s",
				"disks | coscale | ✓ ok | the last 20 runs: 19 ok, 1 failed | 12 s ago | in 48 s | 310 ms | 0 | 2 | 2 | refused: 1 × type_conflict, 1 × undeclared",
				"mail | nagios | ✓ ok running 4 s | the last run: 1 ok, 0 failed | 40 s ago |  | 2.0 s | 0 | 0 |  | ",
				"queue | coscale | ○ not yet run waiting |  |  | now |  |  | 0 |  | ",
				"a/b ? | scalyr | ✕ error | the last run: 0 ok, 1 failed | 40 s ago | in 20 s | 900 µs | 3 | 0 |  | exit code 3",
			}},
		} {
			doc := page(t, h, c.r)
			if diff := cmp.Diff(c.want, rows(doc)); diff != "" {
				t.Errorf("%s: %s", c.name, diff)
			}
			if got, want := text(find(doc, "p.lead")[0]), "5 scripts, 1,202 series. Configuration read 3 h ago. Runs are contained by process groups."; got != want {
				t.Errorf("%s: %q, want %q", c.name, got, want)
			}
			want := []string{"5 all", "2 failing", "2 with refused lines", "2 ok", "1 not yet run", "1 running", "1 waiting"}
			if got := textsOf(find(find(doc, "nav.filters")[0], "a")); !slices.Equal(got, want) {
				t.Errorf("%s: filters %q, want %q", c.name, got, want)
			}
		}
		time.Sleep(50 * time.Hour) // in the bubble
		if got, want := text(find(page(t, h, request("GET", "/")), "footer")[0]), "scriptbridge 1.2.3 · up 2 d"; got != want {
			t.Errorf("footer %q, want %q", got, want)
		}
	})
}

// What a script says of its own state is shown, found and sorted as a state; its text is
// private.
func TestStatusStates(t *testing.T) {
	f := shop()
	for _, s := range []string{"OK", "UNKNOWN", "CRITICAL", "WARNING"} {
		v := f.views[1]
		v.Script, v.State = newScript("check_"+strings.ToLower(s), "nagios", "/opt/check"), script.Idle
		v.Last = &script.Verdict{Start: v.Last.Start, Result: record.OK, Answer: &dialect.Answer{State: s, Text: "it is <" + s + ">\x1b[0m"}}
		v.History = script.HistoryOf(v.Last)
		f.views = append(f.views, v)
	}
	failed := f.views[len(f.views)-1]
	failed.Script, failed.Last = newScript("check_failed", "nagios", "/opt/check"), &script.Verdict{Result: record.Error, ExitCode: 4}
	f.views = append(f.views, failed)
	h := handler(t, f.options())
	message := func(query string, ask func(method, target string) *http.Request) (list []string) {
		for _, row := range rows(page(t, h, ask("GET", "/"+query))) {
			cells := strings.Split(row, " | ")
			list = append(list, cells[0]+": "+cells[2]+": "+cells[len(cells)-1])
		}
		return list
	}
	want := []string{
		"redis: ✕ timeout: it ran on after 5s; it had said <b>busy</b>", "a/b ?: ✕ error: exit code 3: ␛[31mno certificate", "check_failed: ✕ error: error",
		"check_critical: ! CRITICAL: it is <CRITICAL>␛[0m",
		"check_unknown: ? UNKNOWN: it is <UNKNOWN>␛[0m", "check_warning: ▲ WARNING: it is <WARNING>␛[0m",
		"disks: ✓ ok: refused: 1 × type_conflict, 1 × undeclared", "mail: ✓ ok running 4 s: ", "queue: ○ not yet run waiting: ", "check_ok: ✓ OK: it is <OK>␛[0m",
	}
	if diff := cmp.Diff(want, message("", request)); diff != "" {
		t.Error(diff)
	}
	for query, want := range map[string][]string{
		"?state=critical": {"check_critical: ! CRITICAL: "},
		"?state=warning":  {"check_warning: ▲ WARNING: "},
		"?state=unknown":  {"check_unknown: ? UNKNOWN: "},
		"?state=ok":       {"disks: ✓ ok: refused: 1 × type_conflict, 1 × undeclared", "mail: ✓ ok running 4 s: ", "check_ok: ✓ OK: "},
	} {
		if diff := cmp.Diff(want, message(query, stranger)); diff != "" {
			t.Errorf("%s: %s", query, diff)
		}
	}
	filters := textsOf(find(find(page(t, h, request("GET", "/")), "nav.filters")[0], "a"))
	if want := []string{"10 all", "3 failing", "1 CRITICAL", "1 WARNING", "1 UNKNOWN", "2 with refused lines", "3 ok", "1 not yet run", "1 running", "1 waiting"}; !slices.Equal(filters, want) {
		t.Errorf("filters %q, want %q", filters, want)
	}
	for ask, want := range map[*http.Request]int{request("GET", "/scripts/check_warning"): 1, stranger("GET", "/scripts/check_warning"): 0} {
		if got := textsOf(find(page(t, h, ask), "p.box")); len(got) != want || want == 1 && got[0] != "it is <WARNING>␛[0m" {
			t.Errorf("its page says %q", got)
		}
	}
}

// Why a run failed is in the table, with what the script said last: before the exit
// code of one that ended by itself, behind all else, and not twice. One can search for
// it, if one may see it.
func TestStatusCause(t *testing.T) {
	f := shop()
	for _, c := range []struct {
		name   string
		result record.Result
		code   int
		err    string
		stderr string
	}{
		{"exited", record.Error, 2, "exited with code 2", "db-1: <connection> Refused\x1b[0m"},
		{"limited", record.Limit, -1, "wrote more than its limit", "noise"},
		{"twice", record.Error, 5, "exited with code 5: no such disk", "no such disk"},
		{"mute", record.Error, 6, "exited with code 6", ""},
	} {
		v := f.views[4]
		v.Script = newScript(c.name, "coscale", "/opt/x")
		v.Last = &script.Verdict{Result: c.result, ExitCode: c.code, Err: errors.New(c.err), Stderr: c.stderr}
		f.views = append(f.views, v)
	}
	h := handler(t, f.options())
	messages := func(r *http.Request) string {
		var list []string
		for _, row := range rows(page(t, h, r)) {
			cells := strings.Split(row, " | ")
			list = append(list, cells[0]+": "+cells[len(cells)-1])
		}
		return strings.Join(list, "\n")
	}
	for _, c := range []struct {
		r    *http.Request
		want string
	}{
		{request("GET", "/?state=failing&q=i"), "redis: it ran on after 5s; it had said <b>busy</b>\na/b ?: exit code 3: ␛[31mno certificate\n" +
			"exited: db-1: <connection> Refused␛[0m exited with code 2\nlimited: wrote more than its limit noise\ntwice: exited with code 5: no such disk\nmute: exited with code 6"},
		{request("GET", "/?q=connection%3E+REFUSED"), "exited: db-1: <connection> Refused␛[0m exited with code 2"},
		{stranger("GET", "/?q=refused"), ""},
		{stranger("GET", "/?q=exited"), "exited: exit code 2"},
	} {
		if diff := cmp.Diff(c.want, messages(c.r)); diff != "" {
			t.Errorf("%s: %s", c.r.URL, diff)
		}
	}
}

func TestStatusQuery(t *testing.T) {
	h := handler(t, shop().options())
	for query, want := range map[string]string{
		"":                         "redis, a/b ?, disks, mail, queue",
		"?sort=-state":             "mail, queue, disks, redis, a/b ?",
		"?sort=name":               "a/b ?, disks, mail, queue, redis",
		"?sort=-name":              "redis, queue, mail, disks, a/b ?",
		"?sort=dialect":            "disks, queue, mail, redis, a/b ?",
		"?sort=-duration":          "redis, mail, disks, a/b ?, queue",
		"?sort=-exit":              "a/b ?, disks, mail, queue, redis",
		"?sort=-last":              "mail, disks, redis, a/b ?, queue",
		"?sort=next":               "queue, mail, redis, a/b ?, disks",
		"?sort=nonsense&state=odd": "redis, a/b ?, disks, mail, queue",
		"?state=failing":           "redis, a/b ?",
		"?state=refused":           "redis, disks",
		"?sort=-refused":           "redis, disks, mail, queue, a/b ?",
		"?state=ok&sort=-name":     "mail, disks",
		"?state=new":               "queue",
		"?state=running":           "mail",
		"?state=waiting":           "queue",
		"?q=+COSCALE+":             "disks, queue",
		"?q=IS&state=ok":           "disks",
	} {
		doc := page(t, h, request("GET", "/"+query))
		if got := strings.Join(textsOf(find(doc, "th.name")), ", "); got != want {
			t.Errorf("%q: %s, want %s", query, got, want)
		}
	}
	for query, want := range map[string]string{
		"?sort=nonsense&state=odd":                 "This page knows nothing of sort=nonsense, state=odd in its address, and is shown as if that were not there.",
		"?refresh=x&Sort=name":                     "This page knows nothing of refresh=x, Sort=name in its address, and is shown as if that were not there.",
		"?sort=&state=&q=&refresh=5":               "",
		"?sort=-took":                              "This page knows nothing of sort=-took in its address, and is shown as if that were not there.",
		"?state=%1b%3Cb%3E":                        "This page knows nothing of state=␛<b> in its address, and is shown as if that were not there.",
		"?sort=-name&state=failing&refresh=10&q=x": "",
	} {
		got := ""
		if boxes := find(page(t, h, request("GET", "/"+query)), "p.warn"); len(boxes) > 0 {
			got = text(boxes[0])
		}
		if got != want {
			t.Errorf("%q: %q, want %q", query, got, want)
		}
	}
	for query, want := range map[string]string{
		"?q=nothing":         "No script matches. Show all",
		"?state=new&q=disks": "No script matches. Show all",
	} {
		doc := page(t, h, request("GET", "/"+query))
		if got := text(find(doc, "p.box")[0]); got != want {
			t.Errorf("%q: %q, want %q", query, got, want)
		}
	}
	none := page(t, handler(t, (&fakes{}).options()), request("GET", "/"))
	if got, want := text(find(none, "p.box")[0]), "No script is configured yet."; got != want {
		t.Errorf("no scripts: %q, want %q", got, want)
	}
}

// Each link changes one thing and keeps the rest.
func TestStatusLinks(t *testing.T) {
	h := handler(t, shop().options())
	doc := page(t, h, request("GET", "/?sort=-duration&state=failing&q=a%2Fb&refresh=30"))
	links := make(map[string]string)
	for _, a := range find(doc, "a") {
		links[text(a)] = attribute(a, "href")
	}
	for name, want := range map[string]string{
		"Took ↓":          "?q=a%2Fb&refresh=30&sort=duration&state=failing",
		"Script":          "?q=a%2Fb&refresh=30&sort=name&state=failing",
		"State":           "?q=a%2Fb&refresh=30&state=failing",
		"Series":          "?q=a%2Fb&refresh=30&sort=-series&state=failing",
		"5 all":           "?q=a%2Fb&refresh=30&sort=-duration",
		"2 ok":            "?q=a%2Fb&refresh=30&sort=-duration&state=ok",
		"Stop refreshing": "?q=a%2Fb&sort=-duration&state=failing",
		"Metrics":         "./metrics",
	} {
		if links[name] != want {
			t.Errorf("%s: %q, want %q", name, links[name], want)
		}
	}
	if got, want := text(find(doc, "noscript")[0]), `<meta http-equiv="refresh" content="30">`; got != want {
		t.Errorf("refresh: %q, want %q", got, want)
	}
	if got := attribute(find(find(doc, "th.name")[0], "a")[0], "href"); got != "scripts/a%2Fb%20%3F?refresh=30" {
		t.Errorf("the script's page is at %s", got)
	}
	fields := make(map[string]string)
	for _, in := range find(doc, "input") {
		fields[attribute(in, "name")] = attribute(in, "value")
	}
	want := map[string]string{"sort": "-duration", "state": "failing", "refresh": "30", "q": "a/b"}
	if diff := cmp.Diff(want, fields); diff != "" {
		t.Error(diff)
	}
	// A name of any shape leads to its page.
	for _, a := range find(page(t, h, request("GET", "/?state=failing")), "a") {
		if text(a) != "a/b ?" {
			continue
		}
		if got := attribute(a, "href"); got != "scripts/a%2Fb%20%3F" {
			t.Errorf("link %q", got)
		}
		doc := page(t, h, request("GET", "/"+attribute(a, "href")))
		if got := text(find(doc, "h1")[0]); got != "a/b ?" {
			t.Errorf("heading %q", got)
		}
	}
}

// What a tab tells that is in the background.
func TestTabTitle(t *testing.T) {
	f := shop()
	o := f.options()
	check := func(want string) {
		t.Helper()
		for _, target := range []string{"/", "/?state=ok&refresh=5"} {
			if got := text(find(page(t, handler(t, o), request("GET", target)), "title")[0]); got != want {
				t.Errorf("%s: %q, want %q", target, got, want)
			}
		}
	}
	check("(2 failing) scriptbridge")
	v := f.views[1]
	v.Last = &script.Verdict{Result: record.OK, Answer: &dialect.Answer{State: "CRITICAL"}}
	f.views[1] = v
	check("(2 failing, 1 critical) scriptbridge")
	o.Receivers = func() []receive.View { return []receive.View{{Name: "r", Error: "x"}, {Name: "s", Up: true}} }
	check("(2 failing, 1 critical, 1 receiver down) scriptbridge")
	f.views = f.views[:1]
	o.Uploads = func() []upload.State {
		return []upload.State{{Name: "u", Error: "x"}, {Name: "v", Error: "x"}, {Name: "w", Opening: true}}
	}
	check("(1 receiver down, 2 uploads down) scriptbridge")
	o.Receivers, o.Uploads = nil, nil
	check("scriptbridge")
}

func TestStatusConfigRefused(t *testing.T) {
	o := disksOnly().options()
	at := time.Now().Add(-3 * time.Minute)
	o.ConfigStatus = func() (bool, time.Time, error) {
		return false, at, errors.New(`a.yml:3: interval "<i>" is too short`)
	}
	h := handler(t, o)
	for _, c := range []struct {
		r    *http.Request
		want string
	}{
		{request("GET", "/"), `The last reload failed. The previous configuration stays in use. a.yml:3: interval "<i>" is too short`},
		{stranger("GET", "/"), "The last reload failed. The previous configuration stays in use. The log says why."},
	} {
		doc := page(t, h, c.r)
		if got := text(find(doc, "div.box")[0]); got != c.want {
			t.Errorf("%q, want %q", got, c.want)
		}
		if got, want := text(find(doc, "p.lead")[0]), "1 script, 2 series. Configuration refused 3 min ago. Runs are contained by process groups."; got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

func TestStatusTextfile(t *testing.T) {
	o := disksOnly().options()
	var view status.TextfileView
	o.Textfile = func() *status.TextfileView { return &view }
	h := handler(t, o)
	same := func(got, want string) {
		t.Helper()
		if got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
	lead := func(r *http.Request) string {
		_, rest, _ := strings.Cut(text(find(page(t, h, r), "p.lead")[0]), "process groups.")
		return strings.TrimSpace(rest)
	}
	view = status.TextfileView{File: "/srv/<a>.prom"}
	same(lead(request("GET", "/")), "The file for node_exporter, /srv/<a>.prom, is not written yet.")
	view.Last = time.Now().Add(-7 * time.Second)
	same(lead(request("GET", "/")), "The file for node_exporter, /srv/<a>.prom, was written 7 s ago.")
	same(lead(stranger("GET", "/")), "The file for node_exporter was written 7 s ago.")
	view.Err = errors.New("open /srv: <full>")
	same(text(find(page(t, h, request("GET", "/")), "div.box")[0]), "The file for node_exporter is not written. It was, 7 s ago. It is tried again every 15 s. open /srv: <full>")
	same(text(find(page(t, h, stranger("GET", "/")), "div.box")[0]), "The file for node_exporter is not written. It was, 7 s ago. It is tried again every 15 s. The log says why.")
	same(lead(request("GET", "/")), "")
}

func BenchmarkStatus200(b *testing.B) {
	h := handler(b, crowd(200, time.Now()).options())
	r := request("GET", "/")
	b.ReportAllocs()
	for b.Loop() {
		if w := answer(h, r); w.Code != 200 {
			b.Fatal(w.Code)
		}
	}
}

func BenchmarkStatus1000(b *testing.B) {
	h := handler(b, crowd(1000, time.Now()).options())
	r := request("GET", "/")
	r.Header.Set("Accept-Encoding", "gzip")
	b.ReportAllocs()
	for b.Loop() {
		w := answer(h, r)
		if w.Code != 200 {
			b.Fatal(w.Code)
		}
		b.ReportMetric(float64(w.Body.Len()), "bytes")
	}
}

// The page of a thousand scripts comes to a phone in a few packets.
func TestStatusSize(t *testing.T) {
	const most = 60_000
	r := request("GET", "/")
	r.Header.Set("Accept-Encoding", "gzip")
	w := answer(handler(t, crowd(1000, time.Now()).options()), r)
	if n := w.Body.Len(); w.Header().Get("Content-Encoding") != "gzip" || n > most {
		t.Errorf("%d bytes, encoded as %q; at most %d are wanted", n, w.Header().Get("Content-Encoding"), most)
	}
}
