package web

import (
	"bytes"
	"errors"
	"fmt"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/net/html"

	"scriptbridge/collector"
	"scriptbridge/internal/texts"
	"scriptbridge/record"
	"scriptbridge/script"
)

// printed gives the lines of the output as one reads them.
func printed(doc *html.Node) []string {
	var list []string
	for _, li := range find(doc, "li") {
		if len(find(li, ".text")) == 0 && attribute(li, "data-n") == "" {
			continue
		}
		list = append(list, strings.TrimSpace(attribute(li, "data-n")+" "+text(li)))
	}
	return list
}

func facts(doc *html.Node) []string {
	var list []string
	for _, dt := range find(doc, "dt") {
		list = append(list, text(dt)+": "+text(dt.NextSibling))
	}
	return list
}

func TestScriptPrivate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		doc := page(t, handler(t, disksOnly().options()), request("GET", "/scripts/disks"))
		check := func(what string, got, want []string) {
			t.Helper()
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("%s: %s", what, diff)
			}
		}
		check("facts", facts(doc), []string{
			"Dialect: coscale", "Interval: 1 min", "Timeout: 5 s", "Last run: 12 s ago", "Took: 310 ms", "Exit code: 0",
			"Next run: in 48 s", "Series: 2", "Samples, events: 3, 1", "Overruns: 2",
			"File: /srv/scripts/disks.py", "Runs in: /srv/scripts", "Command: /srv/scripts/disks.py --all two words",
		})
		check("arguments", textsOf(find(find(doc, "dd.args")[0], "code")), []string{"/srv/scripts/disks.py", "--all", "two words"})
		check("output", printed(doc), []string{
			`1 # disks ignored`,
			`2 M1 "/" 73.5 → coscale_disk_usage_percent{script="disks",mount="/"} 73.5`,
			`3 M9 42 ✕ refused (undeclared): metric 9 is not declared (declare it in -c)`,
			`4 M1 "/home" 12 → coscale_disk_usage_percent{script="disks",mount="/home"} 12`,
			`5`,
			`6 M2 5 ✕ refused (type_conflict): Inodes: the family coscale_inodes is a counter of script "fs" already; rename one of them`,
			`7 E7 -10 0 "disk replaced" "{}" ◆ event maintenance`,
			// Standard error, the newest run first.
			"23:59:48 warning: /mnt/old is not mounted", "23:59:49 done", "23:58:48 <old>",
		})
		check("runs on standard error", textsOf(find(doc, "h3")), []string{"12 s ago", "72 s ago"})
		check("earlier runs", textsOf(find(find(doc, "details")[0], "summary")), []string{"Show that of earlier runs"})
		check("tallies", textsOf(find(doc, "span.warn")), []string{"1 × type_conflict", "1 × undeclared"})
		check("warnings", textsOf(find(doc, "div.warn")), []string{"Warnings the declared period 10 is below 60; 60 is used"})
		check("configuration", textsOf(find(doc, "pre")), []string{
			`name: disks command: [/srv/scripts/disks.py, --all, "two words"] max_series: 10000 max_output: 16MiB`,
		})
		check("sections", textsOf(find(doc, "h2")), []string{
			"Last output", "Standard error", "Charts of the last 20 runs", "Series 2", "Last runs", "Events", "Declared metrics 2", "Configuration",
		})
		tables := find(doc, "table")
		if got := rows(tables[0]); len(got) != 20 ||
			got[0] != "12 s ago | ✓ ok | 310 ms | 0 | 3 | 1 | 2 | " || got[7] != "7 min ago | ✕ error | 317 ms | 2 | 0 | 0 | 0 | exit code 2" {
			t.Errorf("runs: %q", got)
		}
		check("events", rows(tables[1]), []string{"22 s ago | open | maintenance | server | disk replaced bay=3"})
		check("declared", rows(tables[2]), []string{
			"1 | Disk usage | % | DOUBLE Instant | mount | How full each disk is",
			"2 | Inodes | # | GAUGE Instant |  | ",
		})
	})
}

func TestScriptPublic(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := handler(t, disksOnly().options())
		doc := page(t, h, stranger("GET", "/scripts/disks"))
		if got, want := text(find(doc, "div.box")[0]), "What the script printed, its command and its configuration are not shown: "+
			"this page is served on an address that other machines can reach, and no users are configured. "+
			"To see them, log in as one of the basic_auth_users in the file of --web.config.file, or have scriptbridge listen on loopback alone "+
			"(--web.listen-address=127.0.0.1:10469) and open this page as http://localhost:10469 on that machine or through an SSH tunnel, as root (on Windows as an administrator) or as the user that scriptbridge runs as."; got != want {
			t.Errorf("notice: %s", got)
		}
		want := []string{"Charts of the last 20 runs", "Series 2", "Last runs", "Events", "Declared metrics 2"}
		if diff := cmp.Diff(want, textsOf(find(doc, "h2"))); diff != "" {
			t.Errorf("sections: %s", diff)
		}
		whole := text(doc)
		for _, secret := range []string{"/srv", "--all", "73.5 M9", "M9 42", "/mnt/old", "disk replaced", "bay", "declared period", "fs"} {
			if strings.Contains(whole, secret) {
				t.Errorf("%q is shown to everyone", secret)
			}
		}
	})
}

// What came of a line is told only where it is known to be of this output.
func TestOutput(t *testing.T) {
	now := time.Now()
	good := &script.Verdict{Start: now, Result: record.OK, Samples: 2}
	failed := &script.Verdict{Start: now, Result: record.Error, ExitCode: 1}
	silent := &script.Verdict{Start: now.Add(time.Minute), Result: record.Error, ExitCode: -1}
	series := []collector.SeriesView{{Text: "a", Value: 1, Line: 1}, {Text: "b", Value: 2e9, Line: 1, Mean: time.Minute}, {Text: "old", Value: 3}, {Text: "far", Value: 4, Line: 9}}
	of := func(v, last *script.Verdict, text string, lines ...*record.LineError) script.View {
		return script.View{Last: last, OutputOf: v, Output: []byte(text), Lines: lines}
	}
	for _, c := range []struct {
		name string
		view script.View
		want output
	}{
		{"none yet", script.View{}, output{}},
		{"empty", of(good, good, ""), output{}},
		{"one line, two series", of(good, good, "x"), output{Open: []line{
			{Number: 1, Text: "x", Notes: []note{{Kind: "series", Text: "a", Value: "1"}, {Kind: "series", Text: "b", Value: "2000000000", Made: "mean over 1 min"}}},
		}}},
		{"a failed run: the series are older", of(failed, failed, "x\n\n"), output{Dropped: true, Open: []line{
			{Number: 1, Text: "x", Unused: true}, {Number: 2, Blank: true, Unused: true},
		}}},
		{"beyond the cut, and of no line", of(good, good, "\xff\x1b\r\n", &record.LineError{Line: 7, Text: "\x07z", Reason: "syntax", Err: errors.New("odd")}, &record.LineError{Reason: "syntax", Err: errors.New("no end")}), output{
			Open: []line{{Number: 1, Text: "\uFFFD␛␍", Notes: []note{{Kind: "series", Text: "a", Value: "1"}, {Kind: "series", Text: "b", Value: "2000000000", Made: "mean over 1 min"}}}},
			Rest: []note{
				{Kind: "refused", Text: "odd", Value: "syntax", Line: 7, Source: "␇z"},
				{Kind: "refused", Text: "no end", Value: "syntax"},
			},
		}},
		{"an earlier run's", of(failed, silent, "x"), output{Dropped: true, Of: ago(now, time.Now()), Open: []line{{Number: 1, Text: "x", Unused: true}}}},
	} {
		if diff := cmp.Diff(c.want, outputOf(&c.view, series, nil)); diff != "" {
			t.Errorf("%s: %s", c.name, diff)
		}
	}

	v := of(good, good, "x\ny\nz\n", &record.LineError{Line: 3, Text: "z", Reason: "syntax", Err: errors.New("odd")}, &record.LineError{Line: 5, Text: "far", Reason: "syntax", Err: errors.New("odd")})
	v.Files = record.Files{{Path: "/d/a.prom", Line: 1}, {Path: "/d/b.prom"}, {Path: "/d/c.prom", Line: 3}}
	want := output{
		Open: []line{
			{File: "a.prom", Number: 1, Text: "x"}, {Number: 2, Text: "y"},
			{File: "c.prom", Number: 1, Text: "z", Notes: []note{{Kind: "refused", Text: "odd", Value: "syntax", Place: "c.prom, line 1", Source: "z"}}},
		},
		Rest: []note{{Kind: "refused", Text: "odd", Value: "syntax", Line: 5, Place: "c.prom, line 3", Source: "far"}},
	}
	if diff := cmp.Diff(want, outputOf(&v, nil, nil)); diff != "" {
		t.Errorf("of files: %s", diff)
	}

	var many []collector.SeriesView
	for i := range perLine + 3 {
		many = append(many, collector.SeriesView{Text: fmt.Sprint(i), Line: 1})
	}
	v = of(good, good, "x")
	if got := outputOf(&v, many, nil).Open[0]; len(got.Notes) != perLine || got.More != 3 {
		t.Errorf("a line of many series: %d shown, %d more", len(got.Notes), got.More)
	}
}

// An output is as long as the script likes, and what stands behind it on the
// page is in reach all the same.
func TestOutputFolds(t *testing.T) {
	numbered := func(n int) string {
		var b strings.Builder
		for i := range n {
			fmt.Fprintln(&b, i+1)
		}
		return b.String()
	}
	refused := func(n, more int) (lines []*record.LineError) {
		for i := range n {
			lines = append(lines, &record.LineError{Line: i + 1, Reason: "late", Err: errors.New("it is of no use"), More: more})
		}
		return lines
	}
	good, failed := &script.Verdict{Result: record.OK, Samples: 1}, &script.Verdict{Result: record.Killed, ExitCode: -1}
	for _, c := range []struct {
		name         string
		of           *script.Verdict
		text         string
		lines        []*record.LineError
		open, closed int
		left         int
		said         []string
		rest, more   int
	}{
		{"short", good, numbered(50), nil, 50, 0, 0, nil, 0, 0},
		{"long", good, numbered(120), refused(120, 0), 50, 70, 0, nil, 0, 0},
		{"short, of a failed run", failed, numbered(50), refused(50, 0), 50, 0, 0, []string{"It is of no use."}, 0, 0},
		{"long, of a failed run", failed, numbered(120), refused(120, 0), 0, 50, 70, []string{"It is of no use."}, 0, 0},
		{"one that stands for many", good, numbered(2), refused(1, 7), 2, 0, 0, []string{"It is of no use."}, 0, 0},
		{"beyond the cut", good, numbered(2), refused(200, 0), 2, 0, 0, nil, 50, 148},
	} {
		v := script.View{Last: c.of, OutputOf: c.of, Output: []byte(c.text), Lines: c.lines}
		o := outputOf(&v, nil, nil)
		if len(o.Open) != c.open || len(o.Closed) != c.closed || o.Left != c.left || !slices.Equal(o.Said, c.said) || len(o.Rest) != c.rest || o.RestLeft != c.more {
			t.Errorf("%s: %d open, %d closed, %d left, said %q, %d and %d of no line", c.name, len(o.Open), len(o.Closed), o.Left, o.Said, len(o.Rest), o.RestLeft)
		}
	}
	v := script.View{Last: good, OutputOf: good, Output: []byte(strings.Repeat("é", 40_000))}
	if got := outputOf(&v, nil, nil).Open[0].Text; got != strings.Repeat("é", lineShown/2)+"…" {
		t.Errorf("a long line is shown in %d bytes", len(got))
	}
	v.Warnings = slices.Repeat([]string{"w"}, 5000)
	v.Script = newScript("s", "coscale", "/s.sh")
	doc := page(t, handler(t, (&fakes{views: []script.View{v}}).options()), request("GET", "/scripts/s"))
	if got := textsOf(find(find(doc, "div.warn")[0], "li")); len(got) != warningsShown+1 || got[warningsShown] != "and 4,950 more" {
		t.Errorf("%d warnings, the last %q", len(got), got[len(got)-1])
	}
}

// What is said of the last values is said only where there are some.
func TestStale(t *testing.T) {
	last := &script.Verdict{Result: record.Error, ExitCode: 2}
	f := &fakes{views: []script.View{{Script: newScript("s", "coscale", "/s.sh"), Last: last}}}
	const want = "The last run failed: exit code 2."
	for series, more := range map[int]string{0: "", 1: " Its series keep their last values until they are too old."} {
		f.series = map[string][]collector.SeriesView{"s": make([]collector.SeriesView, series)}
		if got := text(find(page(t, handler(t, f.options()), stranger("GET", "/scripts/s")), "div.bad")[0]); got != want+more {
			t.Errorf("%d series: %q", series, got)
		}
	}
}

func TestTallies(t *testing.T) {
	got := talliesOf(map[string]int{"syntax": 2, "late": 1001}, []collector.Refusal{{Reason: "max_series"}, {Reason: "late"}}, 1202)
	want := []tally{{Reason: "late", Count: "1,002"}, {Reason: "max_series", Count: "1"}, {Reason: "others", Count: "1,200"}, {Reason: "syntax", Count: "2"}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// Only so many series are listed; the metrics page has the rest.
func TestScriptManySeries(t *testing.T) {
	f := disksOnly()
	f.series["disks"] = make([]collector.SeriesView, 2500)
	doc := page(t, handler(t, f.options()), stranger("GET", "/scripts/disks"))
	if got := len(find(find(doc, "ul.series")[0], "li")); got != seriesShown {
		t.Errorf("%d series are listed, want %d", got, seriesShown)
	}
	if !strings.Contains(text(doc), "1500 more are on the metrics page.") {
		t.Error("nothing is said of the rest")
	}
}

func TestScriptRefresh(t *testing.T) {
	h := handler(t, disksOnly().options())
	for query, want := range map[string]string{"": "?refresh=10", "?refresh=5": "?", "?refresh=-1": "?refresh=10", "?refresh=x": "?refresh=10"} {
		doc := page(t, h, request("GET", "/scripts/disks"+query))
		crumb := "../"
		if query == "?refresh=5" {
			crumb += query
		}
		if got := attribute(find(find(doc, "p.crumb")[0], "a")[0], "href"); got != crumb {
			t.Errorf("%q: the way back is %q", query, got)
		}
		links := find(find(doc, "header.top")[0], "a")
		if got := attribute(links[len(links)-1], "href"); got != want {
			t.Errorf("%q: %q, want %q", query, got, want)
		}
	}
}

// hostile is a text that must arrive as a text, whatever it stands in.
func hostile(n int) string {
	return fmt.Sprintf("h%d'\"></title></textarea><script>alert(1)</script><img src=x onerror=alert(1)>{{.}}&lt;\x1b[2J\x00\u202e\xff", n)
}

// Every text that a script or its configuration can make is a text on the
// page, and nothing else.
func TestHostileTexts(t *testing.T) {
	n := 0
	next := func() string { n++; return hostile(n) }
	now := time.Now()
	lines := []*record.LineError{
		{Line: 1, Text: next(), Reason: next(), Err: errors.New(next())},
		{Line: 0, Text: next(), Reason: next(), Err: errors.New(next())},
	}
	last := &script.Verdict{Start: now, Result: record.Error, ExitCode: 1, Err: errors.New(next()), Stderr: next(), Lines: lines, Refused: 2, Samples: 1, Events: 1}
	s := newScript(next(), "coscale", next(), next())
	s.File, s.Dir, s.User = next(), next(), next()
	v := script.View{
		Script: s, State: script.Idle, Interval: time.Minute, Timeout: time.Second, Last: last, OutputOf: last, History: script.HistoryOf(last, last), Trends: []script.Trend{{Label: next(), Values: []float32{1}}},
		Output: []byte(next()), Lines: lines, Stderr: []script.StderrLine{{Text: next()}}, Probes: []script.Probe{{From: next(), Parameters: next(), Err: errors.New(next())}}, Warnings: []string{next()},
		Declared: &record.Declared{Metrics: []*record.Meta{{
			ID: next(), Name: next(), Rare: &record.Rare{Rename: next()}, Help: next(), Unit: next(), Datatype: next(), Calctype: next(), Dimensions: []string{next()},
		}}},
		Events: []record.Event{{
			ID: "1", Name: next(), Message: next(), Line: 1, Subject: record.Subject{Kind: record.Group, Name: next()},
			Attributes: []record.Label{{Name: next(), Value: next()}},
		}},
	}
	f := &fakes{
		views:    []script.View{v},
		series:   map[string][]collector.SeriesView{s.Name: {{Text: next(), Value: 7, Line: 1}}},
		refusals: map[string][]collector.Refusal{s.Name: {{Line: 1, Metric: next(), Reason: next(), Text: next()}}},
	}
	o := f.options()
	o.ConfigStatus = func() (bool, time.Time, error) { return false, now, errors.New(next()) }
	h := handler(t, o)

	seen := ""
	for _, target := range []string{"/", "/?q=%22%3E%3Cscript%3Eh", "/scripts/" + url.PathEscape(s.Name)} {
		w := answer(h, request("GET", target))
		if w.Code != 200 {
			t.Fatalf("%s: %d", target, w.Code)
		}
		harmless(t, target, w)
		doc, err := html.Parse(w.Body)
		if err != nil {
			t.Fatal(err)
		}
		seen += text(doc)
	}
	for i := 2; i <= n; i++ { // the first is of a line that the output shows anyway
		want := strings.Join(strings.Fields(texts.Visible(hostile(i))), " ")
		if !strings.Contains(seen, want) {
			t.Errorf("text %d is not shown as it came", i)
		}
	}
}

func harmless(t *testing.T, target string, w *httptest.ResponseRecorder) {
	t.Helper()
	if i := bytes.IndexAny(w.Body.Bytes(), "\x00\x1b\u202e"); i >= 0 || !bytes.Equal(w.Body.Bytes(), bytes.ToValidUTF8(w.Body.Bytes(), nil)) {
		t.Errorf("%s: a raw control character", target)
	}
	doc, err := html.Parse(bytes.NewReader(w.Body.Bytes()))
	if err != nil {
		t.Fatal(err)
	}
	for d := range doc.Descendants() {
		if d.Type != html.ElementNode {
			continue
		}
		if d.Data == "script" || d.Data == "img" {
			t.Errorf("%s: a text became <%s>", target, d.Data)
		}
		for _, a := range d.Attr {
			if strings.HasPrefix(a.Key, "on") || strings.Contains(a.Key, "<") {
				t.Errorf("%s: a text became the attribute %s", target, a.Key)
			}
		}
	}
}
