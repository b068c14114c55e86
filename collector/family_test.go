package collector

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"scriptbridge/record"
)

// TestConflicts tells small stories of sources that want one name. A step is a
// batch; after all of them, each source has these series and these refusals.
func TestConflicts(t *testing.T) {
	a, b, d := script("a", 1), script("b", 2), script("d", 3)
	gone := func(s *record.Source) *record.Batch { return &record.Batch{Source: s, Gone: true} }
	prefixed := &record.Source{Kind: record.Script, Name: "p", Rank: 9, Prefix: "p"}
	unknownMeta := &record.Meta{}
	type wanted struct{ series, refused []string }
	for _, tt := range []struct {
		name  string
		steps []*record.Batch
		want  map[*record.Source]wanted
	}{
		{"the later source is refused",
			[]*record.Batch{whole(a, set(gaugeMeta, "x", 1)), whole(b, set(counterMeta, "x", 2), set(gaugeMeta, "y", 3))},
			map[*record.Source]wanted{
				a: {series: []string{`x{script="a"} 1`}},
				b: {series: []string{`y{script="b"} 3`}, refused: []string{"x: type_conflict"}},
			}},
		{"whoever came first",
			[]*record.Batch{whole(b, set(counterMeta, "x", 2), set(gaugeMeta, "y", 3)), whole(a, set(gaugeMeta, "x", 1))},
			map[*record.Source]wanted{
				a: {series: []string{`x{script="a"} 1`}},
				b: {series: []string{`y{script="b"} 3`}, refused: []string{"x: type_conflict"}},
			}},
		{"only one that ranks before all of a family can end it",
			[]*record.Batch{whole(a, set(gaugeMeta, "x", 1)), whole(d, set(gaugeMeta, "x", 3)), whole(b, set(counterMeta, "x", 2))},
			map[*record.Source]wanted{
				a: {series: []string{`x{script="a"} 1`}},
				b: {refused: []string{"x: type_conflict"}},
				d: {series: []string{`x{script="d"} 3`}},
			}},
		{"the winner's end lets the other in with its next batch",
			[]*record.Batch{whole(a, set(gaugeMeta, "x", 1)), whole(b, set(counterMeta, "x", 2)), gone(a), whole(b, set(counterMeta, "x", 3))},
			map[*record.Source]wanted{b: {series: []string{`x_total{script="b"} 3`}}},
		},
		{"so does a whole batch without it",
			[]*record.Batch{whole(a, set(gaugeMeta, "x", 1)), whole(b, set(counterMeta, "x", 2)), whole(a), whole(b, set(counterMeta, "x", 3))},
			map[*record.Source]wanted{b: {series: []string{`x_total{script="b"} 3`}}},
		},
		{"untyped contradicts nothing",
			[]*record.Batch{whole(a, set(gaugeMeta, "x", 1)), whole(b, set(unknownMeta, "x", 2)), whole(d, set(nil, "x", 2))},
			map[*record.Source]wanted{
				a: {series: []string{`x{script="a"} 1`}},
				b: {series: []string{`x{script="b"} 2`}},
				d: {series: []string{`x{script="d"} 2`}},
			}},
		{"a counter claims _total and _created",
			[]*record.Batch{whole(a, set(counterMeta, "x", 1)), whole(b, set(gaugeMeta, "x total", 2), set(gaugeMeta, "x_created", 2), set(gaugeMeta, "x_count", 2))},
			map[*record.Source]wanted{
				a: {series: []string{`x_total{script="a"} 1`}},
				b: {series: []string{`x_count{script="b"} 2`}, refused: []string{"x total: type_conflict", "x_created: type_conflict"}},
			}},
		{"also within a source",
			[]*record.Batch{whole(a, set(gaugeMeta, "x total", 1), set(counterMeta, "x", 2))},
			map[*record.Source]wanted{a: {series: []string{`x_total{script="a"} 1`}, refused: []string{"x: duplicate_name"}}},
		},
		{"a counter may meet several families, and ends all or none",
			[]*record.Batch{whole(a, set(gaugeMeta, "x total", 1)), whole(d, set(gaugeMeta, "x_created", 3)), whole(b, set(counterMeta, "x", 2))},
			map[*record.Source]wanted{
				a: {series: []string{`x_total{script="a"} 1`}},
				b: {refused: []string{"x: type_conflict"}},
				d: {series: []string{`x_created{script="d"} 3`}},
			}},
		{"two metrics of a source: the first of the batch",
			[]*record.Batch{whole(a, set(gaugeMeta, "x y", 1), set(gaugeMeta, "x-y", 2), set(counterMeta, "x_y", 3))},
			map[*record.Source]wanted{a: {series: []string{`x_y{script="a"} 1`}, refused: []string{"x-y: duplicate_name", "x_y: duplicate_name"}}},
		},
		{"and of the next batch anew, since that is all there is",
			[]*record.Batch{whole(a, set(gaugeMeta, "x y", 1)), whole(a, set(counterMeta, "x-y", 2), set(gaugeMeta, "x y", 3))},
			map[*record.Source]wanted{a: {series: []string{`x_y_total{script="a"} 2`}, refused: []string{"x y: duplicate_name"}}},
		},
		{"but a sum is not given up for another metric",
			[]*record.Batch{whole(a, add(counterMeta, "x y", 1)), whole(a, set(counterMeta, "x-y", 2))},
			map[*record.Source]wanted{a: {series: []string{`x_y_total{script="a"} 1`}, refused: []string{"x-y: duplicate_name"}}},
		},
		{"nor does a partial batch take a name",
			[]*record.Batch{partial(a, set(gaugeMeta, "x y", 1)), partial(a, set(gaugeMeta, "x-y", 2))},
			map[*record.Source]wanted{a: {series: []string{`x_y{script="a"} 1`}, refused: []string{"x-y: duplicate_name"}}},
		},
		{"our own names",
			[]*record.Batch{whole(a, set(nil, "scriptbridge_x", 1), set(nil, "go gc", 1), set(nil, "Process.x", 1),
				set(nil, "script_event", 1), set(nil, "script_event_info", 1), set(counterMeta, "script events", 1), set(nil, "script_event_start_timestamp_seconds", 1),
				set(nil, "event", 1), set(nil, "gone", 1))},
			map[*record.Source]wanted{a: {
				series: []string{`event{script="a"} 1`, `go_gc{script="a"} 1`, `gone{script="a"} 1`, `process_x{script="a"} 1`},
				refused: []string{"scriptbridge_x: reserved",
					"script_event: reserved", "script_event_info: reserved", "script events: reserved", "script_event_start_timestamp_seconds: reserved"},
			}},
		},
		{"our own names of another source's prefix",
			[]*record.Batch{
				{Source: prefixed, Declared: &record.Declared{Events: []*record.EventMeta{{Name: "e"}}}, Events: []record.Event{{ID: "1", Name: "e"}}},
				whole(a, set(nil, "p_event_info", 1), set(nil, "p_events_total", 1), set(counterMeta, "p_events", 1), set(counterMeta, "p event", 1), set(nil, "p_even", 1)),
			},
			map[*record.Source]wanted{a: {
				series:  []string{`p_even{script="a"} 1`},
				refused: []string{"p_event_info: reserved", "p_events_total: reserved", "p_events: reserved", "p event: reserved"},
			}},
		},
		{"whoever came first",
			[]*record.Batch{
				whole(a, set(nil, "p_event_info", 1), set(nil, "p_events_total", 1), set(counterMeta, "p event", 1), set(nil, "p_even", 1)),
				{Source: prefixed, Declared: &record.Declared{Events: []*record.EventMeta{{Name: "e"}}}, Events: []record.Event{{ID: "1", Name: "e"}}},
			},
			map[*record.Source]wanted{a: {
				series:  []string{`p_even{script="a"} 1`},
				refused: []string{"p_events_total: reserved", "p event: reserved", "p_event_info: reserved"},
			}},
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := New(Options{})
			for _, step := range tt.steps {
				_ = c.Put(step)
			}
			for s, w := range tt.want {
				want(t, shown(c, s), w.series...)
				want(t, reasons(c, s), w.refused...)
			}
			pages(t, c)
		})
	}
}

func TestEviction(t *testing.T) {
	lines := new(lockedLog)
	c, a, b := New(Options{Logger: lines}), script("a", 1), script("b", 2)
	_ = c.Put(whole(b, set(counterMeta, "x", 2, "l", "1"), set(counterMeta, "x", 2, "l", "2")))
	_ = c.Put(whole(a, set(gaugeMeta, "x", 1)))
	want(t, onPage(t, c, "scriptbridge_script_refused"), `scriptbridge_script_refused_total{script="b",reason="type_conflict"} 2`)
	want(t, onPage(t, c, "scriptbridge_script_series"), `scriptbridge_script_series{script="a"} 1`, `scriptbridge_script_series{script="b"} 0`)
	own := &record.Source{Kind: record.Script, Name: "o", Rank: 9, Prefix: "o"}
	_ = c.Put(whole(a, set(gaugeMeta, "o_events", 1)))
	_ = c.Put(&record.Batch{Source: own, Declared: &record.Declared{Events: []*record.EventMeta{{Name: "e"}}}})
	want(t, onPage(t, c, "o_events"), `o_events_total{script="o",event="e"} 0`)
	want(t, lines.lines, "level warn script b reason type_conflict metric x msg its series made room for those of the script \"a\", which is earlier in the configuration; give one of them another `prefix`",
		"level warn script a reason reserved metric o_events msg o_events is called like the series that scriptbridge makes of events; give the metric another name under `metrics`")
}

func TestConflictEndsWithAge(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, a, b := New(Options{}), script("a", 1), script("b", 2)
		_ = c.Put(aged(whole(a, set(gaugeMeta, "x", 1)), time.Minute))
		time.Sleep(time.Minute) // and nobody looks
		_ = c.Put(whole(b, set(counterMeta, "x", 2)))
		want(t, shown(c, b), `x_total{script="b"} 2`)
	})
}

func TestDuplicateSeries(t *testing.T) {
	c, r1, r2, s := New(Options{}), receiver("r1", 4), receiver("r2", 5), script("s", 6)
	r1.Labels = []record.Label{{Name: "b", Value: "1"}}
	_ = c.Put(whole(s, set(nil, "x", 6, "y", "1")))
	_ = c.Put(partial(r2, set(nil, "x", 2, "b", "1", "a", "2"), set(nil, "x", 2), set(nil, "x", 5, "y", "1", "script", "s")))
	// The script ranks after both; its series is the receiver's now.
	want(t, shown(c, s))
	want(t, shown(c, r2), `x 2`, `x{a="2",b="1"} 2`, `x{script="s",y="1"} 5`)
	_ = c.Put(partial(r1, set(nil, "x", 1, "a", "2")))
	want(t, shown(c, r1), `x{a="2",b="1"} 1`)
	want(t, shown(c, r2), `x 2`, `x{script="s",y="1"} 5`)
	_ = c.Put(partial(r2, set(nil, "x", 3, "b", "1", "a", "2")))
	first, _ := c.Refusals(r2.Kind, r2.Name)
	if len(first) != 1 || first[0].Text != "the receiver \"r1\", which is earlier in the configuration, sends the same series; give one of them another `prefix` or a label" {
		t.Errorf("%+v", first)
	}
	want(t, onPage(t, c, "scriptbridge_receiver_refused"), `scriptbridge_receiver_refused_total{receiver="r2",reason="duplicate"} 2`)
	_ = c.Put(&record.Batch{Source: r1, Gone: true})
	_ = c.Put(partial(r2, set(nil, "x", 4, "b", "1", "a", "2")))
	want(t, shown(c, r2), `x 2`, `x{a="2",b="1"} 4`, `x{script="s",y="1"} 5`)
}

// TestDeclared: declared order decides, whatever the order of the lines.
func TestDeclared(t *testing.T) {
	c, s := New(Options{}), script("s", 0)
	first := &record.Meta{ID: "1", Name: "Server time", Unit: "hours", Type: record.Gauge, Datatype: "GAUGE", Calctype: "Instant", Rare: &record.Rare{Groups: "time/server", Tags: "t"}, Help: "How late it is"}
	second := &record.Meta{ID: "2", Name: "Server-time", Unit: "hours", Type: record.Gauge, Datatype: "DOUBLE", Calctype: "Instant"}
	third := &record.Meta{ID: "3", Name: "Visits", Type: record.Counter, Datatype: "COUNT", Calctype: "Instant", Rare: &record.Rare{Rename: "Page visits"}}
	other := &record.Meta{Name: "not CoScale's"}
	d := whole(s, set(second, second.Name, 2), set(first, first.Name, 1), add(third, third.Name, 3), set(nil, "SERVER TIME HOURS", 4))
	d.Declared = &record.Declared{Metrics: []*record.Meta{first, second, third, other}}
	_ = c.Put(d)
	want(t, shown(c, s), `page_visits_total{script="s"} 3`, `server_time_hours{script="s"} 1`)
	want(t, reasons(c, s), "Server-time: duplicate_name", "SERVER TIME HOURS: duplicate_name")
	want(t, onPage(t, c, "scriptbridge_metric"),
		`scriptbridge_metric_info{script="s",metric="page_visits_total",name="Visits",datatype="COUNT",calctype="Instant"} 1`,
		`scriptbridge_metric_info{script="s",metric="server_time_hours",name="Server time",unit="hours",groups="time/server",tags="t",datatype="GAUGE",calctype="Instant"} 1`)

	// Read again, with other objects: the same metrics, but one is gone, its
	// sum with it, and one has another type.
	firstAgain := *first
	firstAgain.Type, firstAgain.Datatype = record.Counter, "COUNTER"
	_ = c.Put(&record.Batch{Source: s, Declared: &record.Declared{Metrics: []*record.Meta{&firstAgain}}})
	want(t, shown(c, s))
	want(t, onPage(t, c, "scriptbridge_metric"),
		`scriptbridge_metric_info{script="s",metric="server_time_hours_total",name="Server time",unit="hours",groups="time/server",tags="t",datatype="COUNTER",calctype="Instant"} 1`)
	_ = c.Put(whole(s, set(&firstAgain, first.Name, 5)))
	want(t, shown(c, s), `server_time_hours_total{script="s"} 5`)
	// Read again without a change, the series stay.
	twice := firstAgain
	_ = c.Put(&record.Batch{Source: s, Declared: &record.Declared{Metrics: []*record.Meta{&twice}}})
	_ = c.Put(partial(s, set(&twice, first.Name, 6)))
	want(t, shown(c, s), `server_time_hours_total{script="s"} 6`)
}

func TestRedefine(t *testing.T) {
	c, a, b := New(Options{}), script("a", 1), script("b", 2)
	meta := &record.Meta{Name: "x", Type: record.Gauge, Help: "b's", Datatype: "GAUGE"}
	_ = c.Put(whole(a, set(gaugeMeta, "x", 1)))
	withDeclared := whole(b, set(meta, "x", 2), add(counterMeta, "n", 1))
	withDeclared.Declared = &record.Declared{Metrics: []*record.Meta{meta}, Events: []*record.EventMeta{{Name: "e"}}}
	_ = c.Put(withDeclared)
	page := func() string {
		t.Helper()
		pages(t, c)
		var text strings.Builder
		if err := c.WritePage(&text, accepted[1], func(f string) bool { return f == "x" }); err != nil {
			t.Fatal(err)
		}
		return text.String()
	}
	if got := page(); got != "# HELP x x\n# TYPE x gauge\nx{script=\"a\"} 1\nx{script=\"b\"} 2\n" {
		t.Error(got)
	}
	// Another rank: its series go before the other's, with its HELP.
	before := *b
	before.Rank = 0
	_ = c.Put(partial(&before))
	if got := page(); got != "# HELP x b's\n# TYPE x gauge\nx{script=\"b\"} 2\nx{script=\"a\"} 1\n" {
		t.Error(got)
	}
	// Another limit: nothing ends.
	limited := before
	limited.MaxSeries = 1
	_ = c.Put(partial(&limited, set(gaugeMeta, "new", 1)))
	want(t, shown(c, b), `n_total{script="b"} 1`, `x{script="b"} 2`)
	want(t, reasons(c, b), "new: max_series")
	// Another prefix: all ends but health, and what was declared is shown again.
	prefixed := before
	prefixed.Prefix = "p"
	_ = c.Put(partial(&prefixed))
	want(t, shown(c, b))
	want(t, onPage(t, c, "scriptbridge_metric"), `scriptbridge_metric_info{script="b",metric="p_x",name="x",datatype="GAUGE"} 1`)
	want(t, onPage(t, c, "p_"), `p_events_total{script="b",event="e"} 0`)
	want(t, onPage(t, c, "script_"))
	want(t, onPage(t, c, "scriptbridge_script_series"), `scriptbridge_script_series{script="a"} 1`, `scriptbridge_script_series{script="b"} 0`)
	// Other labels, and another rank at once.
	labelled := prefixed
	labelled.Labels, labelled.Rank = []record.Label{{Name: "l", Value: "1"}}, 7
	_ = c.Put(partial(&labelled, set(gaugeMeta, "y", 1)))
	want(t, shown(c, b), `p_y{script="b",l="1"} 1`)
	want(t, onPage(t, c, "p_ev"), `p_events_total{script="b",event="e",l="1"} 0`)
}
