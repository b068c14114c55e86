package remotewrite

import (
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/exp/api/remote"
	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/relabel"

	"scriptbridge/record"
)

// rule is one of relabelling.
func rule(action relabel.Action, regex string) *relabel.Config {
	c := relabel.DefaultRelabelConfig
	c.Action, c.Regex, c.NameValidationScheme = action, relabel.MustNewRegexp(regex), model.UTF8Validation
	return &c
}

// A series that another source has now does not end with the one that had it, in whatever
// order they speak, and however the page spells it.
func TestMoved(t *testing.T) {
	first, second := &record.Source{Kind: record.Receiver, Name: "first"}, &record.Source{Kind: record.Script, Name: "second"}
	one, other := "# TYPE hits gauge\nhits{a=\"1\",b=\"2\"} 1\n", "# TYPE hits gauge\nhits{b=\"2\",a=\"1\"} 2\n"
	const series = `{__name__="hits", a="1", b="2"}`
	for _, c := range []struct {
		name            string
		rules           []*relabel.Config
		from, to        string
		gone, late      bool // the first one; its word comes last
		part, restarted bool
	}{
		{name: "gone first", from: one, to: other, gone: true},
		{name: "gone last", from: one, to: other, gone: true, late: true},
		{name: "without it first", from: one, to: other},
		{name: "without it last", from: one, to: other, late: true},
		{name: "to a part", from: one, to: other, late: true, part: true},
		{name: "over a restart", from: one, to: other, restarted: true},
		{
			name: "by a rule", rules: []*relabel.Config{rule(relabel.LabelDrop, "script")}, gone: true, late: true,
			from: "# TYPE hits gauge\nhits{script=\"first\",a=\"1\",b=\"2\"} 1\n", to: "# TYPE hits gauge\nhits{script=\"second\",a=\"1\",b=\"2\"} 2\n",
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newBench(t, newReceiver(remote.WriteV2MessageType))
				b.reader = newReader(nil, c.rules)
				b.start()
				put := func(s *record.Source, text string, gone, part bool) {
					shown := shownOf(text, "")
					if b.page.set(s, shown); gone {
						b.page.set(s, nil)
					}
					now := *shown
					now.Whole = !part
					if err := b.Put(&record.Batch{Source: s, Time: time.Now(), Shown: &now, Gone: gone}); err != nil {
						t.Error(err)
					}
				}
				put(first, c.from, false, false)
				b.pass(10 * time.Second)
				want(t, b.seen(), series+" 1")
				if c.restarted {
					b.stop()
					b.page.set(first, nil)
					b.start()
				}
				if !c.late && !c.restarted {
					put(first, "", c.gone, false)
				}
				put(second, c.to, false, c.part)
				if c.late {
					put(first, "", c.gone, false)
				}
				b.pass(20 * time.Second)
				points := b.to.got()
				points = slices.DeleteFunc(points, func(p point) bool { return p.Series != series })
				slices.SortStableFunc(points, func(a, b point) int { return int(a.At - b.At) })
				for i, p := range points {
					if i > 0 && p.At == points[i-1].At {
						t.Errorf("two at one time: %+v", points)
					}
				}
				if len(points) == 0 || points[len(points)-1].Value != "2" {
					t.Errorf("it ends as %+v", points)
				}
				b.pass(30 * time.Second)
				put(second, "", false, false)
				b.pass(2 * time.Minute)
				got := b.seen()
				if len(got) == 0 || got[len(got)-1] != series+" stale" || slices.Contains(got[:len(got)-1], series+" stale") {
					t.Errorf("in the end: %q", got)
				}
				b.stop()
			})
		})
	}
}

// Series whose labels are others since a reload, or are not wanted any more, end under those
// that they had. What has them as before goes on.
func TestLabelsChange(t *testing.T) {
	const was, both = `{__name__="hits", host="a", script="x"}`, `{__name__="both", host="b"}`
	text := "# TYPE hits gauge\nhits{script=\"x\"} 1\n# TYPE both gauge\nboth{host=\"b\"} 2\n"
	for _, c := range []struct {
		name     string
		external map[string]string
		rules    []*relabel.Config
		want     []string
	}{
		{"an external label", map[string]string{"host": "b"}, nil, []string{`{__name__="hits", host="b", script="x"} 1`, both + " 2", was + " stale"}},
		{"another one", map[string]string{"host": "a", "job": "j\"\\\n é"}, nil, []string{
			`{__name__="hits", host="a", job="j\"\\\n é", script="x"} 1`, `{__name__="both", host="b", job="j\"\\\n é"} 2`, was + " stale", both + " stale",
		}},
		{"a rule that drops", map[string]string{"host": "a"}, []*relabel.Config{rule(relabel.LabelDrop, "script"), rule(relabel.Keep, "x")}, []string{was + " stale", both + " stale"}},
		{"nothing", map[string]string{"host": "a"}, nil, []string{was + " 1", both + " 2"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newBench(t, newReceiver(remote.WriteV2MessageType))
				b.reader = newReader(map[string]string{"host": "a"}, nil)
				b.start()
				b.run(shownOf(text, ""))
				b.pass(10 * time.Second)
				want(t, b.seen(), was+" 1", both+" 2")
				b.stop()
				b.reader = newReader(c.external, c.rules)
				b.start()
				b.pass(50 * time.Second)
				got := slices.DeleteFunc(b.seen(), func(s string) bool { return len(s) > 17 && s[:17] == `{__name__="build"` })
				want(t, got, c.want...)
				b.stop()
			})
		})
	}
	if a, b := newReader(nil, []*relabel.Config{rule(relabel.Drop, "a")}), newReader(nil, []*relabel.Config{rule(relabel.Drop, "b")}); a.labels == b.labels {
		t.Error("two rules are one")
	}
}

// A label that a rule takes away may change: to the destination that is the same series.
func TestDroppedLabelChanges(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, newReceiver(remote.WriteV2MessageType))
		b.reader = newReader(nil, []*relabel.Config{rule(relabel.LabelDrop, "pid")})
		b.start()
		for i := range 3 {
			b.run(shownOf(fmt.Sprintf("# TYPE hits gauge\nhits{pid=\"%d\"} %d\n", i, i), ""))
			b.pass(10 * time.Second)
		}
		want(t, b.seen(), `{__name__="hits"} 0`, `{__name__="hits"} 1`, `{__name__="hits"} 2`)
		b.stop()
	})
}

// What a rule makes of names and values is told again as it was.
func TestEndedAsSent(t *testing.T) {
	external := map[string]string{"z": "a\\b\"c\nd } é", "empty": ""}
	odd := relabel.DefaultRelabelConfig
	odd.TargetLabel, odd.Replacement, odd.NameValidationScheme = "__name__", `odd name.é"`, model.UTF8Validation
	quoted := relabel.DefaultRelabelConfig
	quoted.TargetLabel, quoted.Replacement, quoted.NameValidationScheme = `la bel.é`, "x", model.UTF8Validation
	for name, rules := range map[string][]*relabel.Config{"none": nil, "a name": {&odd}, "a label": {&quoted}, "both": {&odd, &quoted}} {
		r := newReader(external, rules)
		shown := shownOf(page, sums)
		var alive []string
		samples, _ := readAll(t, r, shown, "", true)
		for _, s := range samples {
			alive = append(alive, s.labels.String())
		}
		var ended []string
		samples, _ = readAll(t, r, &record.Shown{}, string(r.listed(shown)), false)
		for _, s := range samples {
			ended = append(ended, s.labels.String())
		}
		if len(alive) != 6 || !slices.Equal(alive, ended) {
			t.Errorf("%s: %q ends as %q", name, alive, ended)
		}
	}
}
