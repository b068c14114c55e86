package remotewrite

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/relabel"

	"scriptbridge/record"
	"scriptbridge/upload/spool"
)

const page = `# HELP http_seconds How "long",\nin C:\\ too
# TYPE http_seconds histogram
# UNIT http_seconds seconds
http_seconds_bucket{le="1"} 2
http_seconds_bucket{le="+Inf"} 3
http_seconds_sum 4.5
http_seconds_count 3
# TYPE queue gauge
queue{name="a} b",z="\"x\\\n"} NaN
queue{name="c"} 1e+100 946684799.500
`

const sums = `# HELP runs Runs.
# TYPE runs counter
runs_total{script="a"} 7
`

func shownOf(text, sums string) *record.Shown {
	s := &record.Shown{Text: []byte(text), Sums: []byte(sums), Began: time.UnixMilli(1_700_000_000_000), Whole: true}
	s.Lines = record.SamplesIn(s.Text) + record.SamplesIn(s.Sums)
	return s
}

// lines gives samples as text.
func lines(samples []sample) (all []string) {
	for i := range samples {
		s := &samples[i]
		all = append(all, fmt.Sprintf("%s %s at %d since %d (%s %q %q)", s.labels, told(s.value), s.at, s.began, s.family.kind, s.family.unit, s.family.help))
	}
	return all
}

func want(t *testing.T, got []string, want ...string) {
	t.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// readAll reads entries as they come out of the spool.
func readAll(t *testing.T, r *reader, shown *record.Shown, ended string, renewed bool) (samples []sample, dropped int) {
	t.Helper()
	at := spool.KeyAt(time.UnixMilli(1_800_000_000_000))
	for e, n := range entriesOf(shown, []byte(ended), renewed) {
		g, d, err := r.read(spool.Entry{Key: at, Items: n, Data: e.append(nil)})
		if err != nil {
			t.Fatal(err)
		}
		if len(g.samples)+d != n && !renewed {
			t.Errorf("an entry of %d samples gives %d, and drops %d", n, len(g.samples), d)
		}
		samples, dropped = append(samples, g.samples...), dropped+d
	}
	return samples, dropped
}

// A page becomes what a scrape of it would be: bounds are spelled as on the page,
// also of a histogram that has ended.
func TestSamples(t *testing.T) {
	samples, _ := readAll(t, newReader(nil, nil), shownOf(page, sums), "# TYPE http_seconds histogram\nhttp_seconds_bucket{le=\"5\"} NaN\n", false)
	const help = `(histogram "seconds" "How \"long\",\nin C:\\ too")`
	want(t, lines(samples),
		`{__name__="http_seconds_bucket", le="1"} 2 at 1800000000000 since 0 `+help,
		`{__name__="http_seconds_bucket", le="+Inf"} 3 at 1800000000000 since 0 `+help,
		`{__name__="http_seconds_sum"} 4.5 at 1800000000000 since 0 `+help,
		`{__name__="http_seconds_count"} 3 at 1800000000000 since 0 `+help,
		`{__name__="queue", name="a} b", z="\"x\\\n"} NaN at 1800000000000 since 0 (gauge "" "")`,
		`{__name__="queue", name="c"} 1e+100 at 946684799500 since 0 (gauge "" "")`,
		`{__name__="runs_total", script="a"} 7 at 1800000000000 since 1700000000000 (counter "" "Runs.")`,
		`{__name__="http_seconds_bucket", le="5"} stale at 1800000000000 since 0 (histogram "" "")`,
	)
}

// What is written again as it stands has nothing with a time of its own, which was
// written when it came.
func TestSamplesRenewed(t *testing.T) {
	samples, dropped := readAll(t, newReader(nil, nil), shownOf(page, ""), "", true)
	if len(samples) != 5 || dropped != 0 {
		t.Errorf("%d samples, %d dropped", len(samples), dropped)
	}
}

// Labels are those of Prometheus's own rules: an external one gives way to a series' own, and
// rules see both.
func TestSamplesLabels(t *testing.T) {
	rules := []*relabel.Config{
		{SourceLabels: model.LabelNames{"__name__"}, Regex: relabel.MustNewRegexp("http_.*"), Action: relabel.Drop, NameValidationScheme: model.UTF8Validation},
		{SourceLabels: model.LabelNames{"instance", "name"}, Separator: "/", Regex: relabel.MustNewRegexp("(.*)"), TargetLabel: "both", Replacement: "$1", Action: relabel.Replace, NameValidationScheme: model.UTF8Validation},
		{Regex: relabel.MustNewRegexp("z"), Action: relabel.LabelDrop, NameValidationScheme: model.UTF8Validation},
	}
	samples, dropped := readAll(t, newReader(map[string]string{"instance": "h1", "script": "of the host"}, rules), shownOf(page, sums), "", false)
	var got []string
	for _, s := range samples {
		got = append(got, s.labels.String())
	}
	want(t, got,
		`{__name__="queue", both="h1/a} b", instance="h1", name="a} b", script="of the host"}`,
		`{__name__="queue", both="h1/c", instance="h1", name="c", script="of the host"}`,
		`{__name__="runs_total", both="h1/", instance="h1", script="a"}`,
	)
	if dropped != 4 {
		t.Errorf("%d dropped", dropped)
	}
}

// A large page is cut, and nothing is lost nor bare of what its family is.
func TestPieces(t *testing.T) {
	var text, total strings.Builder
	for f := range 20 {
		fmt.Fprintf(&text, "# HELP metric_%d Help.\n# TYPE metric_%d gauge\n", f, f)
		fmt.Fprintf(&total, "# TYPE sum_%d counter\n", f)
		for i := range 1000 {
			fmt.Fprintf(&text, "metric_%d{number=\"%d\"} %d\n", f, i, i)
			fmt.Fprintf(&total, "sum_%d_total{number=\"%d\"} %d\n", f, i, i)
		}
	}
	shown := shownOf(text.String(), total.String())
	ended := "# TYPE gone gauge\n" + strings.Repeat("gone{x=\""+strings.Repeat("y", 1000)+"\"} NaN\n", 1000)
	entries := 0
	for e := range entriesOf(shown, []byte(ended), false) {
		entries++
		if n := len(e.append(nil)); n > pieceMost+100 {
			t.Errorf("an entry has %d bytes", n)
		}
	}
	samples, _ := readAll(t, newReader(nil, nil), shown, ended, false)
	if len(samples) != 41_000 || entries < 8 {
		t.Errorf("%d samples in %d entries", len(samples), entries)
	}
	for i := range samples {
		if s := &samples[i]; s.family.kind == "" || s.family.kind == "gauge" && !s.ending && s.family.help != "Help." || (s.family.kind == "counter") != (s.began > 0) {
			t.Fatalf("%v of %+v", s, s.family)
		}
	}
}

// What is set aside is sent again as it was.
func TestAside(t *testing.T) {
	r := newReader(map[string]string{"host": "h"}, nil)
	samples, _ := readAll(t, r, shownOf(page, sums), "# TYPE http_seconds histogram\nhttp_seconds_bucket{le=\"5\"} NaN\n", false)
	bare := newReader(map[string]string{"host": "h"}, nil)
	for from := range samples {
		for to := from + 1; to <= len(samples); to++ {
			key := spool.KeyAt(time.UnixMilli(1_800_000_000_000))
			a := aside(fmt.Errorf("no"), key, samples[from:to])
			g, _, err := bare.read(spool.Entry{Key: spool.KeyAt(a.At), Items: a.Items, Data: a.Entry})
			if err != nil {
				t.Fatalf("%v:\n%s", err, a.Entry)
			}
			// What is a sum comes last, and what has ended after that, as there.
			if diff := cmp.Diff(lines(samples[from:to]), lines(g.samples)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		}
	}
}

func FuzzEntry(f *testing.F) {
	e := entry{text: []byte(page), sums: []byte(sums), ended: []byte("queue NaN\n"), began: 5, renewed: true}
	f.Add(e.append(nil))
	f.Add([]byte{entryForm, 0, 0, 200, 1, 3})
	r := newReader(map[string]string{"a": "b"}, nil)
	f.Fuzz(func(t *testing.T, data []byte) {
		e, err := parseEntry(data)
		if err != nil {
			return
		}
		again, err := parseEntry(e.append(nil))
		if err != nil || !bytes.Equal(again.append(nil), e.append(nil)) {
			t.Errorf("%q: %v", data, err)
		}
		g, _, err := r.read(spool.Entry{Key: spool.KeyAt(time.Unix(1, 0)), Data: data})
		if err == nil && len(g.samples) > 0 {
			message1([]group{g})
			message2([]group{g})
			aside(errEntry, g.key, g.samples)
		}
	})
}
