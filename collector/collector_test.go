package collector

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-kit/log"
	"github.com/prometheus/common/expfmt"

	"scriptbridge/collector/selfmetrics"
	"scriptbridge/record"
)

// script is a source without a prefix, so that names are short.
func script(name string, rank int) *record.Source {
	return &record.Source{Kind: record.Script, Name: name, Rank: rank}
}

func receiver(name string, rank int) *record.Source {
	return &record.Source{Kind: record.Receiver, Name: name, Rank: rank}
}

var (
	gaugeMeta   = &record.Meta{Type: record.Gauge}
	counterMeta = &record.Meta{Type: record.Counter}
	averageMeta = &record.Meta{Type: record.Gauge, Calctype: record.CalctypeAverage}
)

// set and add make samples; labels are name, value, name, value.
func set(meta *record.Meta, name string, value float64, labels ...string) record.Sample {
	s := record.Sample{Name: name, Meta: meta, Value: value}
	for i := 0; i < len(labels); i += 2 {
		s.Labels = append(s.Labels, record.Label{Name: labels[i], Value: labels[i+1]})
	}
	return s
}

func add(meta *record.Meta, name string, value float64, labels ...string) record.Sample {
	s := set(meta, name, value, labels...)
	s.Op = record.Add
	return s
}

func whole(s *record.Source, samples ...record.Sample) *record.Batch {
	return &record.Batch{Source: s, Time: time.Now(), Complete: true, Samples: samples}
}

func partial(s *record.Source, samples ...record.Sample) *record.Batch {
	return &record.Batch{Source: s, Time: time.Now(), Samples: samples}
}

func aged(b *record.Batch, age time.Duration) *record.Batch {
	b.MaxAge = age
	return b
}

// shown is what the page has of a source: text and value.
func shown(c *Collector, s *record.Source) []string {
	var all []string
	for _, v := range c.Series(s.Kind, s.Name) {
		all = append(all, v.Text+" "+strconv.FormatFloat(v.Value, 'g', -1, 64))
	}
	return all
}

// reasons are what was refused of a source's last batch.
func reasons(c *Collector, s *record.Source) []string {
	var all []string
	first, _ := c.Refusals(s.Kind, s.Name)
	for _, r := range first {
		all = append(all, r.Metric+": "+r.Reason)
	}
	return all
}

// onPage gives the lines of the text page that begin with prefix.
func onPage(t *testing.T, c *Collector, prefix string) []string {
	t.Helper()
	asText, _ := pages(t, c)
	var all []string
	for text, v := range asText.values {
		if strings.HasPrefix(text, prefix) {
			all = append(all, text+" "+strconv.FormatFloat(v, 'g', -1, 64))
		}
	}
	slices.Sort(all)
	return all
}

func want(t *testing.T, got []string, want ...string) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("got:\n\t%s\nwant:\n\t%s", strings.Join(got, "\n\t"), strings.Join(want, "\n\t"))
	}
}

// TestTextsOfNone: nor are texts kept when all of a source ends, however few others come.
func TestTextsOfNone(t *testing.T) {
	c, s := New(Options{}), script("s", 0)
	for _, n := range []int{1000, 1000, 400, 1} {
		var samples []record.Sample
		for i := range n {
			samples = append(samples, set(gaugeMeta, "a", 1, "x", fmt.Sprint(i), "long", strings.Repeat("l", 100)))
		}
		_ = c.Put(whole(s, samples...))
		if size := c.sources[sourceKey{record.Script, "s"}].texts.Size(); size > 2*n*200+4096 {
			t.Errorf("texts of %d series take %d bytes", n, size)
		}
		if got := shown(c, s); len(got) != n || !strings.HasSuffix(got[n-1], `"} 1`) {
			t.Errorf("%d series are shown: %q", len(got), got[n-1])
		}
	}
}

// TestTexts: metrics with the same labels share their text, and what no series has any more
// is let go.
func TestTexts(t *testing.T) {
	c, s := New(Options{}), script("s", 0)
	put := func(round int) (size int) {
		var samples []record.Sample
		for i := range 200 {
			for _, name := range []string{"a", "b", "c"} {
				samples = append(samples, set(gaugeMeta, name, float64(round), "x", fmt.Sprint(i), "round", fmt.Sprint(round)))
			}
		}
		_ = c.Put(whole(s, append(samples, set(gaugeMeta, "stays", float64(round)))...))
		return c.sources[sourceKey{record.Script, "s"}].texts.Size()
	}
	once := put(1000)
	if most := 200*len(`{script="s",round="1000",x="100"}`) + len(`{script="s"}`); once > most {
		t.Errorf("600 series with 200 different labels take %d bytes, more than %d", once, most)
	}
	for round := range 50 {
		if size := put(1001 + round); size > 3*once+4096 {
			t.Fatalf("after %d rounds texts take %d bytes", round+1, size)
		}
	}
	got := shown(c, s)
	if len(got) != 601 || got[200] != `b{script="s",round="1050",x="0"} 1050` || got[600] != `stays{script="s"} 1050` {
		t.Errorf("%d series, the last is %s", len(got), got[len(got)-1])
	}
}

func TestWhole(t *testing.T) {
	c, s := New(Options{}), script("s", 0)
	_ = c.Put(whole(s, set(gaugeMeta, "a", 1, "x", "1"), set(gaugeMeta, "a", 2, "x", "2"), set(gaugeMeta, "b", 3), add(counterMeta, "n", 5)))
	want(t, shown(c, s), `a{script="s",x="1"} 1`, `a{script="s",x="2"} 2`, `b{script="s"} 3`, `n_total{script="s"} 5`)
	// What is not mentioned is gone, but for sums.
	_ = c.Put(whole(s, set(gaugeMeta, "a", 4, "x", "2"), set(gaugeMeta, "a", 5, "x", "3")))
	want(t, shown(c, s), `a{script="s",x="2"} 4`, `a{script="s",x="3"} 5`, `n_total{script="s"} 5`)
	// A partial batch only adds and updates.
	_ = c.Put(partial(s, set(gaugeMeta, "a", 6, "x", "3"), add(counterMeta, "n", 2)))
	want(t, shown(c, s), `a{script="s",x="2"} 4`, `a{script="s",x="3"} 6`, `n_total{script="s"} 7`)
	// A failed run leaves the values.
	_ = c.Put(&record.Batch{Source: s, Err: fmt.Errorf("exit status 1")})
	want(t, shown(c, s), `a{script="s",x="2"} 4`, `a{script="s",x="3"} 6`, `n_total{script="s"} 7`)
	if c.Count(s.Kind, s.Name) != 3 || c.Count(s.Kind, "nobody") != 0 {
		t.Error("Count is wrong")
	}
	_ = c.Put(&record.Batch{Source: s, Gone: true})
	want(t, onPage(t, c, ""))
	_ = c.Put(&record.Batch{Source: s, Gone: true}) // nothing to end
	want(t, shown(c, s))
}

func TestSameSeriesTwice(t *testing.T) {
	c, s := New(Options{}), script("s", 0)
	avg := set(averageMeta, "avg", 10)
	_ = c.Put(whole(s,
		set(gaugeMeta, "a", 1, "x", "1", "y", "2"), set(gaugeMeta, "a", 2, "y", "2", "x", "1"),
		add(counterMeta, "n", 1), add(counterMeta, "n", 2), avg, set(averageMeta, "avg", 20)))
	want(t, shown(c, s), `a{script="s",x="1",y="2"} 2`, `avg{script="s"} 20`, `n_total{script="s"} 3`)
	want(t, reasons(c, s))
}

func TestExpiry(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, s := New(Options{}), script("s", 0)
		_ = c.Put(aged(whole(s, set(gaugeMeta, "a", 1), set(gaugeMeta, "b", 1), add(counterMeta, "n", 1)), time.Minute))
		time.Sleep(30 * time.Second)
		_ = c.Put(aged(partial(s, set(gaugeMeta, "a", 2)), time.Minute))
		time.Sleep(30*time.Second - 1)
		want(t, shown(c, s), `a{script="s"} 2`, `b{script="s"} 1`, `n_total{script="s"} 1`)
		time.Sleep(time.Nanosecond)
		want(t, onPage(t, c, ""),
			`a{script="s"} 2`,
			`scriptbridge_script_cpu_seconds_total{script="s",mode="system"} 0`,
			`scriptbridge_script_cpu_seconds_total{script="s",mode="user"} 0`,
			`scriptbridge_script_enabled{script="s"} 1`,
			`scriptbridge_script_output_bytes_total{script="s",stream="stderr"} 0`,
			`scriptbridge_script_output_bytes_total{script="s",stream="stdout"} 0`,
			`scriptbridge_script_overruns_total{script="s"} 0`,
			`scriptbridge_script_retries_total{script="s"} 0`,
			`scriptbridge_script_runs_total{script="s",result="error"} 0`,
			`scriptbridge_script_runs_total{script="s",result="invalid"} 0`,
			`scriptbridge_script_runs_total{script="s",result="killed"} 0`,
			`scriptbridge_script_runs_total{script="s",result="limit"} 0`,
			`scriptbridge_script_runs_total{script="s",result="ok"} 0`,
			`scriptbridge_script_runs_total{script="s",result="timeout"} 0`,
			`scriptbridge_script_series{script="s"} 1`,
			`scriptbridge_script_wait_seconds_total{script="s"} 0`)
		time.Sleep(30 * time.Second)
		want(t, shown(c, s))
		if n := c.Count(s.Kind, s.Name); n != 0 {
			t.Errorf("Count = %d", n)
		}
		// A sum begins at 0 again, whether or not anybody looked.
		_ = c.Put(aged(partial(s, add(counterMeta, "n", 3)), time.Minute))
		time.Sleep(time.Minute)
		_ = c.Put(aged(partial(s, add(counterMeta, "n", 4)), time.Minute))
		want(t, shown(c, s), `n_total{script="s"} 4`)
		// A whole batch that adds nothing is a mention; a failed one is not.
		time.Sleep(50 * time.Second)
		_ = c.Put(aged(whole(s), time.Minute))
		time.Sleep(50 * time.Second)
		_ = c.Put(aged(partial(s), time.Minute))
		want(t, shown(c, s), `n_total{script="s"} 4`)
		time.Sleep(10 * time.Second)
		want(t, shown(c, s))
		// Without an age a series stays.
		_ = c.Put(whole(s, set(gaugeMeta, "a", 1)))
		time.Sleep(24 * 365 * time.Hour)
		want(t, shown(c, s), `a{script="s"} 1`)
	})
}

func TestAverage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, s := New(Options{}), script("s", 0)
		s.AverageWindow = time.Minute
		for _, tt := range []struct {
			after time.Duration
			value float64
			want  string
		}{
			{0, 10, `a{script="s"} 10`},
			{30 * time.Second, 20, `a{script="s"} 15`},
			{30*time.Second - 1, 60, `a{script="s"} 30`},
			{1, 100, `a{script="s"} 60`}, // the first is a minute old
			{time.Hour, 7, `a{script="s"} 7`},
			{1, math.Inf(1), `a{script="s"} +Inf`},
			{time.Hour, math.MaxFloat64, fmt.Sprintf(`a{script="s"} %v`, math.MaxFloat64)},
			{1, math.MaxFloat64, fmt.Sprintf(`a{script="s"} %v`, math.MaxFloat64)},
		} {
			time.Sleep(tt.after)
			_ = c.Put(whole(s, set(averageMeta, "a", tt.value)))
			want(t, shown(c, s), tt.want)
		}
		for range 3 * maxPoints { // all of them now
			_ = c.Put(whole(s, set(averageMeta, "a", 1)))
		}
		if n := len(c.sources[sourceKey{s.Kind, s.Name}].series.get([]byte(`a{script="s"}`)).extra.points); n != maxPoints {
			t.Errorf("%d points are kept", n)
		}
	})
}

func TestMaxSeries(t *testing.T) {
	c, s := New(Options{}), script("s", 0)
	s.MaxSeries = 2
	_ = c.Put(whole(s, set(gaugeMeta, "a", 1), set(gaugeMeta, "b", 1), set(gaugeMeta, "c", 1), set(gaugeMeta, "a", 2)))
	want(t, shown(c, s), `a{script="s"} 2`, `b{script="s"} 1`)
	want(t, reasons(c, s), "c: max_series")
	// The places of those that a whole batch leaves out are free for new ones.
	_ = c.Put(whole(s, set(gaugeMeta, "d", 1), set(gaugeMeta, "b", 2), set(gaugeMeta, "e", 1)))
	want(t, shown(c, s), `b{script="s"} 2`, `d{script="s"} 1`)
	want(t, reasons(c, s), "e: max_series")
	_ = c.Put(partial(s, set(gaugeMeta, "f", 1), set(gaugeMeta, "b", 3)))
	want(t, shown(c, s), `b{script="s"} 3`, `d{script="s"} 1`)
	want(t, reasons(c, s), "f: max_series")
}

func TestLabels(t *testing.T) {
	s := script("s", 0)
	s.Labels = []record.Label{{Name: "team", Value: "storage"}, {Name: "Site", Value: "a"}, {Name: "__x y", Value: "1"}, {Name: "none"}}
	long := strings.Repeat("v", maxValue)
	for _, tt := range []struct {
		sample record.Sample
		want   string
	}{
		{set(gaugeMeta, "a", 1, "iface", "eth0", "disk", "sda"), `a{script="s",Site="a",disk="sda",iface="eth0",team="storage",x_y="1"}`},
		{set(gaugeMeta, "a", 1, "script", "x", "team", "y"), `a{script="s",Site="a",exported_script="x",exported_team="y",team="storage",x_y="1"}`},
		{set(gaugeMeta, "a", 1, "empty", ""), `a{script="s",Site="a",team="storage",x_y="1"}`},
		{set(gaugeMeta, "a", 1, "q", "\"\\\n\t\x00", "bad", "\xffx"), `a{script="s",Site="a",bad="` + "\uFFFD" + `x",q="\"\\\n` + "\t\x00" + `",team="storage",x_y="1"}`},
		{set(gaugeMeta, "a", 1, "v", long), `a{script="s",Site="a",team="storage",v="` + long + `",x_y="1"}`},
		{set(gaugeMeta, "a", 1, "v", long+"v"), "a: too_long"},
		{set(gaugeMeta, "a", 1, strings.Repeat("n", maxName+1), "v"), "a: too_long"},
		{set(gaugeMeta, "a", 1, slices.Repeat([]string{"n", "v"}, maxLabels+1)...), "a: too_long"},
		{set(gaugeMeta, strings.Repeat("n", maxName), 1), strings.Repeat("n", maxName) + `{script="s",Site="a",team="storage",x_y="1"}`},
		{set(gaugeMeta, strings.Repeat("n", maxName+1), 1), strings.Repeat("n", maxName+1) + ": too_long"},
	} {
		c := New(Options{})
		_ = c.Put(whole(s, tt.sample))
		got := reasons(c, s)
		for _, v := range c.Series(s.Kind, s.Name) {
			got = append(got, v.Text)
		}
		want(t, got, tt.want)
		pages(t, c)
	}
}

func TestManyLabelLayouts(t *testing.T) {
	c, s := New(Options{}), script("s", 0)
	var samples []record.Sample
	for i := range 200 {
		samples = append(samples, set(gaugeMeta, "a", float64(i), fmt.Sprint("l", i), "v"))
	}
	_ = c.Put(whole(s, samples...))
	_ = c.Put(whole(s, samples...))
	got := shown(c, s)
	if len(got) != 200 || got[199] != `a{script="s",l9="v"} 9` {
		t.Errorf("%d series, the last is %s", len(got), got[len(got)-1])
	}
}

func TestSubject(t *testing.T) {
	sample := set(gaugeMeta, "a", 1, "server", "x")
	sample.Subject = record.Subject{Kind: record.Group, Name: "web"}
	nameless := set(gaugeMeta, "b", 1, "server", "x", "subject", "y")
	nameless.Subject = record.Subject{Kind: record.Application}
	server := set(gaugeMeta, "c", 1, "server", "x")
	server.Subject = record.Subject{Name: "web-1"}
	c, s, r := New(Options{}), script("s", 0), receiver("r", 1)
	_ = c.Put(whole(s, sample))
	_ = c.Put(partial(r, sample, nameless, server, set(gaugeMeta, "d", 1, "script", "x")))
	want(t, shown(c, s), `a{script="s",server="x"} 1`)
	want(t, shown(c, r),
		`a{group="web",server="x",subject="group"} 1`,
		`b{exported_subject="y",server="x",subject="application"} 1`,
		`c{exported_server="x",server="web-1",subject="server"} 1`,
		`d{script="x"} 1`)
}

func TestTimestamps(t *testing.T) {
	c, s := New(Options{}), script("s", 0)
	s.HonorTimestamps = true
	at := func(smp record.Sample, t time.Time) record.Sample {
		smp.Time = t
		return smp
	}
	_ = c.Put(whole(s,
		at(set(gaugeMeta, "a", 1), time.UnixMilli(1769012345625)), at(set(gaugeMeta, "b", 1), time.UnixMilli(-5)),
		at(set(gaugeMeta, "c", 1), time.Unix(1<<60, 0)), set(gaugeMeta, "d", 1)))
	asText, asOM := pages(t, c)
	for _, p := range []parsed{asText, asOM} {
		if len(p.stamps) != 1 || p.stamps[`a{script="s"}`] != 1769012345625 {
			t.Errorf("stamps: %v", p.stamps)
		}
	}
	_ = c.Put(whole(s, set(gaugeMeta, "a", 1))) // it gives none any more
	if asText, _ = pages(t, c); len(asText.stamps) != 0 {
		t.Errorf("stamps: %v", asText.stamps)
	}
}

// TestRefusals holds every reason to its sentence.
// TestRefusalOfReceiver: a receiver's metrics have no `metrics:` to be renamed
// under.
func TestRefusalOfReceiver(t *testing.T) {
	c := New(Options{Retention: time.Minute})
	r := receiver("statsd", 1)
	r.Verbatim = true
	_ = c.Put(&record.Batch{Source: r, Time: time.Now(), Samples: []record.Sample{add(counterMeta, "x", 1), set(gaugeMeta, "x", 1)}})
	got, n := c.Refusals(r.Kind, r.Name)
	want := "x is a counter without _total already, and cannot be a gauge too; give one of them another name where it is sent"
	if n != 1 || got[0].Text != want {
		t.Errorf("%d refusals: %+v", n, got)
	}
}

func TestRefusals(t *testing.T) {
	c := New(Options{})
	winner, s := script("first", 1), script("s", 2)
	winner.Prefix, s.Prefix = "p", "p"
	_ = c.Put(whole(winner, set(gaugeMeta, "a", 1)))
	samples := []record.Sample{
		set(counterMeta, "a", 1), set(gaugeMeta, "x y", 1), set(gaugeMeta, "x-y", 1), set(gaugeMeta, "event info", 1),
		add(counterMeta, "n", -1), add(counterMeta, "n", math.NaN()), set(gaugeMeta, "v", 1, "l", strings.Repeat("v", 2000)),
		set(gaugeMeta, strings.Repeat("n", 300), 1),
	}
	for i := range samples {
		samples[i].Line = i + 1
	}
	_ = c.Put(whole(s, samples...))
	got, n := c.Refusals(s.Kind, s.Name)
	sentences := []string{
		"1 a type_conflict p_a_total is a gauge of the script \"first\", which is earlier in the configuration, and cannot be a counter too; give one of them another `prefix`, or the metric another name or type under `metrics`",
		"3 x-y duplicate_name the metric \"x y\" takes the name p_x_y already; give one of them another name under `metrics`",
		"4 event info reserved p_event_info is called like the series that scriptbridge makes of events; give the metric another name under `metrics`",
		"5 n negative a COUNT cannot go down; let the script print what was added, or declare the metric a GAUGE",
		"6 n not_finite a COUNT that once adds NaN or infinity can never be read again; let the script leave the line out",
		"7 v too_long the value of the label l has 2000 bytes, more than 1024; let the script shorten it",
		"8 " + strings.Repeat("n", 300) + " too_long the name has 302 bytes on the page, more than 200; give the metric another name under `metrics`",
	}
	if n != len(sentences) {
		t.Errorf("%d refusals", n)
	}
	for i, r := range got {
		if text := fmt.Sprintf("%d %s %s %s", r.Line, r.Metric, r.Reason, r.Text); i >= len(sentences) || text != sentences[i] {
			t.Errorf("%s", text)
		}
	}
	want(t, onPage(t, c, "scriptbridge_script_refused_total"),
		`scriptbridge_script_refused_total{script="s",reason="duplicate_name"} 1`,
		`scriptbridge_script_refused_total{script="s",reason="negative"} 1`,
		`scriptbridge_script_refused_total{script="s",reason="not_finite"} 1`,
		`scriptbridge_script_refused_total{script="s",reason="reserved"} 1`,
		`scriptbridge_script_refused_total{script="s",reason="too_long"} 2`,
		`scriptbridge_script_refused_total{script="s",reason="type_conflict"} 1`)
}

// lockedLog is a log for tests.
type lockedLog struct {
	mu    sync.Mutex
	lines []string
}

func (l *lockedLog) Log(keyvals ...any) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.lines = append(l.lines, strings.TrimSpace(fmt.Sprintln(keyvals...)))
	return nil
}

func TestRefusedIsLoggedOnce(t *testing.T) {
	lines := new(lockedLog)
	c, s := New(Options{Logger: log.Logger(lines)}), script("s", 0)
	for range 3 {
		_ = c.Put(partial(s, add(counterMeta, "n", -1, "x", "1"), add(counterMeta, "n", -1, "x", "2"), add(counterMeta, "m", -1)))
	}
	const text = "msg a COUNT cannot go down; let the script print what was added, or declare the metric a GAUGE"
	want(t, lines.lines,
		"level warn script s reason negative metric n "+text,
		"level warn script s reason negative metric m "+text)
	want(t, onPage(t, c, "scriptbridge_script_refused"), `scriptbridge_script_refused_total{script="s",reason="negative"} 9`)
	for i := range 2 * maxLogged {
		_ = c.Put(partial(s, add(counterMeta, fmt.Sprint("n", i), -1)))
	}
	if n := len(lines.lines); n != maxLogged+1 {
		t.Errorf("%d lines are logged", n)
	}
	if last := lines.lines[maxLogged]; !strings.HasSuffix(last, "msg too many different samples are refused; no more of them are named here") {
		t.Error(last)
	}
	_ = c.Put(partial(s, slices.Repeat([]record.Sample{add(counterMeta, "n", -1)}, 300)...))
	if first, all := c.Refusals(s.Kind, s.Name); len(first) != maxRefusals || all != 300 {
		t.Errorf("%d of %d refusals", len(first), all)
	}
}

func processRegistry() *selfmetrics.Registry { return selfmetrics.NewRegistry() }

// TestConcurrent is for the race detector.
func TestConcurrent(t *testing.T) {
	c := New(Options{Registry: processRegistry(), Retention: time.Minute})
	var work sync.WaitGroup
	for i := range 4 {
		s := script(fmt.Sprint("s", i), i)
		work.Go(func() {
			for n := range 50 {
				b := aged(whole(s, set(gaugeMeta, "a", float64(n)), set([]*record.Meta{gaugeMeta, counterMeta}[n%2], fmt.Sprint("b", n%7), 1)), time.Minute)
				b.Events = []record.Event{{ID: fmt.Sprint(i, n), Name: "e"}}
				b.Gone = n%20 == 19
				_ = c.Put(b)
			}
		})
		work.Go(func() {
			for range 20 {
				for _, f := range accepted {
					parsePage(t, get(t, c, f, i%2 == 0), f)
				}
				c.Series(s.Kind, s.Name)
				c.Refusals(s.Kind, s.Name)
				c.Count(s.Kind, s.Name)
				c.SetRetention(time.Minute)
				_ = c.WritePage(new(strings.Builder), expfmt.FmtText, nil)
			}
		})
	}
	work.Wait()
}

// A sum lives as long as its script is well: that nothing was added is news too.
func TestSumLivesOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, s := New(Options{}), script("s", 0)
		_ = c.Put(aged(whole(s, set(gaugeMeta, "a", 1), add(counterMeta, "n", 5)), time.Minute))
		for range 3 {
			time.Sleep(59 * time.Second)
			_ = c.Put(aged(whole(s, set(gaugeMeta, "a", 1)), time.Minute))
			c.SetRetention(time.Hour) // has all looked at anew
			want(t, shown(c, s), `a{script="s"} 1`, `n_total{script="s"} 5`)
		}
		time.Sleep(time.Minute)
		want(t, shown(c, s))
	})
}

// Of two values of an average in one batch the second counts, from the first
// batch on.
func TestAverageTwice(t *testing.T) {
	c, s := New(Options{}), script("s", 0)
	s.AverageWindow = time.Minute
	_ = c.Put(whole(s, set(averageMeta, "a", 10), set(averageMeta, "a", 20)))
	want(t, shown(c, s), `a{script="s"} 20`)
	_ = c.Put(whole(s, set(averageMeta, "a", 1), set(averageMeta, "a", 40)))
	want(t, shown(c, s), `a{script="s"} 30`)
}

// A value that comes again, since another sink did not take its batch, is not
// added once more; but it was mentioned, and lives on.
func TestAddedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, r := New(Options{}), receiver("coscale", 0)
		put := func(again bool, values ...float64) {
			b := &record.Batch{Source: r, Time: time.Now(), MaxAge: time.Minute}
			for i, v := range values {
				b.Samples = append(b.Samples, record.Sample{Name: fmt.Sprint("n", i), Value: v, Op: record.Add, Retry: again, Meta: &record.Meta{Type: record.Counter}})
			}
			_ = c.Put(b)
		}
		put(false, 5, 1)
		time.Sleep(59 * time.Second)
		put(true, 5, 1)
		want(t, onPage(t, c, "n"), `n0_total 5`, `n1_total 1`)
		time.Sleep(59 * time.Second)
		put(false, 2)
		want(t, onPage(t, c, "n"), `n0_total 7`, `n1_total 1`)
		time.Sleep(time.Second)
		want(t, onPage(t, c, "n"), `n0_total 7`)
	})
}
