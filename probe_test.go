package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/common/expfmt"

	"scriptbridge/config"
	"scriptbridge/record"
	"scriptbridge/script"
	"scriptbridge/script/dialect"
	"scriptbridge/web"
)

// onePool has one script, whose probe is a function.
type onePool struct {
	script *script.Script
	probe  func(context.Context, map[string][]string) (*record.Batch, error)
}

func (p *onePool) Probe(ctx context.Context, _, _ string, query map[string][]string) (*script.Answer, error) {
	b, err := p.probe(ctx, query)
	if err != nil {
		return nil, err
	}
	return &script.Answer{Batch: b, View: script.View{Script: p.script, Last: &script.Verdict{Result: b.Run.Result, Err: b.Err}}}, nil
}

func (p *onePool) View(name string) (script.View, bool) {
	return script.View{Script: p.script, Timeout: 20 * time.Second}, name == p.script.Name
}

func (p *onePool) Views() []script.View { return []script.View{{Script: p.script}} }

// noPages are endpoints of which there is none.
type noPages struct {
	http.Handler
	hidden string
}

func (p noPages) Hidden(*http.Request) string { return p.hidden }

func (noPages) NotFound(w http.ResponseWriter, _ *http.Request, text string) {
	w.Header().Set("Page", "yes")
	http.Error(w, text, http.StatusNotFound)
}

func newOnePool(name string) *onePool {
	return &onePool{script: &script.Script{
		Script: dialect.Script{Script: &config.Script{Name: name, Settings: config.Settings{Probe: true}}},
		Source: &record.Source{Kind: record.Script, Name: name, Prefix: "coscale", Labels: []record.Label{{Name: "team", Value: "a"}}},
	}}
}

func TestProbePage(t *testing.T) {
	pool := newOnePool(`a "b"\c`)
	meta := &record.Meta{Name: "Size", Unit: "bytes", Type: record.Gauge, Datatype: "GAUGE"}
	source := *pool.script.Source
	source.Prefix = "" // so that the script could take our names
	batch := &record.Batch{
		Source: &source, Time: time.Now(), Complete: true, MaxAge: time.Minute,
		Declared: &record.Declared{Metrics: []*record.Meta{meta}},
		Samples: []record.Sample{
			{Name: "Size", Meta: meta, Value: 4096}, {Name: "Size", Meta: meta, Value: 8, Labels: []record.Label{{Name: "disk", Value: "x"}}},
			{Name: "script_success", Value: 7}, {Name: "scriptbridge_evil", Value: 1},
		},
		Run: &record.Run{Result: record.OK, Duration: 1500 * time.Millisecond},
		Err: errors.Join(&record.LineError{Line: 1, Reason: "undeclared", Err: errors.New("x"), More: 2}),
	}
	text := `# HELP script_success Whether the run succeeded: 1 for yes, 0 for no.
# TYPE script_success gauge
script_success{script="a \"b\"\\c"} 1
# HELP script_duration_seconds How long the run took.
# TYPE script_duration_seconds gauge
script_duration_seconds{script="a \"b\"\\c"} 1.5
# HELP script_exit_code Exit code of the run; -1 when it did not exit by itself.
# TYPE script_exit_code gauge
script_exit_code{script="a \"b\"\\c"} 0
# HELP script_refused Samples and lines of the run that are not shown.
# TYPE script_refused gauge
script_refused{script="a \"b\"\\c"} 4
# HELP size_bytes Size
# TYPE size_bytes gauge
size_bytes{script="a \"b\"\\c",disk="x",team="a"} 8
size_bytes{script="a \"b\"\\c",team="a"} 4096
`
	open := strings.NewReplacer(
		"# TYPE script_duration_seconds gauge\n", "# TYPE script_duration_seconds gauge\n# UNIT script_duration_seconds seconds\n",
		"# TYPE size_bytes gauge\n", "# TYPE size_bytes gauge\n# UNIT size_bytes bytes\n",
	).Replace(text) + "# EOF\n"
	for format, want := range map[expfmt.Format]string{expfmt.FmtText: text, expfmt.FmtOpenMetrics_1_0_0: open} {
		for range 2 { // the batch is shared: nobody may change it
			var got bytes.Buffer
			writeProbe(&got, format, batch, probePage(batch))
			if diff := cmp.Diff(want, got.String()); diff != "" {
				t.Errorf("%s (-want +got):\n%s", format, diff)
			}
		}
	}
}

func TestProbeLimit(t *testing.T) {
	for header, want := range map[string]time.Duration{
		"":       30 * time.Second,
		"10":     9500 * time.Millisecond,
		"1.5":    time.Second,
		"0.4":    200 * time.Millisecond,
		"0":      30 * time.Second,
		"-1":     30 * time.Second,
		"NaN":    30 * time.Second,
		"soon":   30 * time.Second,
		"100000": probeMost,
		"1e300":  probeMost,
		"+Inf":   probeMost,
	} {
		h := http.Header{}
		if header != "" {
			h.Set("X-Prometheus-Scrape-Timeout-Seconds", header)
		}
		if got := probeLimit(h, 20*time.Second); got != want {
			t.Errorf("%q: %s, want %s", header, got, want)
		}
	}
	if got := probeLimit(nil, time.Hour); got != probeMost {
		t.Errorf("a long timeout: %s", got)
	}
}

// Why a probe fails is told to those who may know, in comments where the format has
// some; a debug answer is for them alone, and runs nothing for others.
func TestProbePrivate(t *testing.T) {
	runs := 0
	pool := newOnePool("s")
	pool.probe = func(context.Context, map[string][]string) (*record.Batch, error) {
		runs++
		return &record.Batch{Source: pool.script.Source, Run: &record.Run{Result: record.Error, ExitCode: 4}, Err: errors.New("no\nTYPE way\x1b")}, nil
	}
	const why = "# the run failed: no; TYPE way␛\n"
	for _, c := range []struct {
		target, accept, hidden string
		code                   int
		begin                  string
		runs                   int
	}{
		{"/probe?script=s", "", "", 200, why + "# HELP script_success", 1},
		{"/probe?script=s", "application/openmetrics-text; version=1.0.0", "", 200, "# HELP script_success", 1},
		{"/probe?script=s", "", "because", 200, "# HELP script_success", 1},
		{"/probe?script=s&debug=true", "application/openmetrics-text; version=1.0.0", "", 200, "script s: error in 0 µs, exit code 0\n", 1},
		{"/probe?script=s&debug=true", "", "because", 403, "debug=true is answered only to those who may see what a script prints: because\n", 0},
		{"/probe?script=s&debug=false", "", "because", 200, "# HELP script_success", 1},
	} {
		runs = 0
		r, w := httptest.NewRequest("GET", c.target, nil), httptest.NewRecorder()
		r.Header.Set("Accept", c.accept)
		withProbes(pool, nil, web.Location{}, noPages{http.NotFoundHandler(), c.hidden}).ServeHTTP(w, r)
		if w.Code != c.code || !strings.HasPrefix(w.Body.String(), c.begin) || runs != c.runs {
			t.Errorf("%s %q %q: %d, %d runs:\n%s", c.target, c.accept, c.hidden, w.Code, runs, w.Body)
		}
	}
}

// Who asks is answered before they hang up, whatever the script does.
func TestProbeAnswersInTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		pool := newOnePool("s")
		pool.probe = func(ctx context.Context, _ map[string][]string) (*record.Batch, error) {
			<-ctx.Done()
			return nil, ctx.Err()
		}
		r := httptest.NewRequest("GET", "/probe?script=s", nil)
		r.Header.Set("X-Prometheus-Scrape-Timeout-Seconds", "3")
		w := httptest.NewRecorder()
		start := time.Now()
		withProbes(pool, nil, web.Location{}, noPages{Handler: http.NotFoundHandler()}).ServeHTTP(w, r)
		if took := time.Since(start); took != 2500*time.Millisecond || w.Code != http.StatusOK {
			t.Errorf("answered %d after %s", w.Code, took)
		}
		for _, want := range []string{"script_success{script=\"s\"} 0\n", "script_duration_seconds{script=\"s\"} 2.5\n", "script_exit_code{script=\"s\"} -1\n"} {
			if !strings.Contains(w.Body.String(), want) {
				t.Errorf("the page has no %q:\n%s", want, w.Body)
			}
		}
	})
}

func TestProbeStatus(t *testing.T) {
	var asked map[string][]string
	for name, c := range map[string]struct {
		method, path string
		err          error
		status       int
		body         string
	}{
		"no script":   {"GET", "/probe", nil, 400, "ask for one script: /probe?script=NAME\n"},
		"two scripts": {"GET", "/probe?script=s&script=t", nil, 400, "ask for one script: /probe?script=NAME\n"},
		"not a query": {"GET", "/probe?script=s&x=%zz", nil, 400, "ask for one script: /probe?script=NAME\n"},
		"unknown":     {"GET", "/probe?script=x", nil, 404, "there is no script of this name that may be probed\n"},
		"not allowed": {"GET", "/probe?script=s", script.ErrNoProbe, 404, "there is no script of this name that may be probed\n"},
		"refused": {"GET", "/probe?script=s&to=%24(id)", errors.Join(&config.ParameterError{Name: "to", Problem: "does not match its pattern"}), 400,
			"parameter \"to\" does not match its pattern\n"},
		"busy":     {"GET", "/probe?script=s", script.ErrBusy, 503, "too many runs of this script were asked for at once: try again later\n"},
		"stopping": {"GET", "/probe?script=s", script.ErrStopped, 503, "scriptbridge is stopping\n"},
		"post":     {"POST", "/probe?script=s", nil, 404, "404 page not found\n"},
	} {
		t.Run(name, func(t *testing.T) {
			pool := newOnePool("s")
			pool.probe = func(_ context.Context, query map[string][]string) (*record.Batch, error) {
				asked = query
				return nil, c.err
			}
			w := httptest.NewRecorder()
			withProbes(pool, nil, web.Location{}, noPages{Handler: http.NotFoundHandler()}).ServeHTTP(w, httptest.NewRequest(c.method, c.path, nil))
			if w.Code != c.status || w.Body.String() != c.body {
				t.Errorf("%d %q", w.Code, w.Body)
			}
			if got := w.Header().Get("Cache-Control"); c.method == "GET" && got != "no-store" {
				t.Errorf("Cache-Control is %q: another answer would be taken for this one", got)
			}
			if page := w.Header().Get("Page") != ""; page != (c.status == 404 && c.method == "GET") {
				t.Errorf("it is shown as a page: %t", page)
			}
		})
	}
	if asked == nil {
		t.Error("nothing was asked")
	}
}

func TestDiscovery(t *testing.T) {
	pool := newOnePool("a b")
	get := func(secure bool) string {
		r := httptest.NewRequest("GET", "/discovery", nil)
		r.Host = "host:10469"
		if secure {
			r.TLS = &tls.ConnectionState{}
		}
		w := httptest.NewRecorder()
		withProbes(pool, nil, web.Location{}, noPages{Handler: http.NotFoundHandler()}).ServeHTTP(w, r)
		if got := w.Header().Get("Content-Type"); got != "application/json" {
			t.Errorf("Content-Type %q", got)
		}
		return w.Body.String()
	}
	want := `[{"targets":["host:10469"],"labels":{"__metrics_path__":"/probe","__param_script":"a b","script":"a b"}}]` + "\n"
	if got := get(false); got != want {
		t.Errorf("got  %swant %s", got, want)
	}
	if got := get(true); !strings.Contains(got, `"__scheme__":"https"`) {
		t.Errorf("over TLS: %s", got)
	}
	pool.script.Probe = false
	if got := get(false); got != "[]\n" {
		t.Errorf("a script that may not be probed: %s", got)
	}
	pool.script.Probe = true
	pool.script.Parameters = map[string]config.Parameter{"to": {}}
	if got := get(false); got != "[]\n" {
		t.Errorf("a script that needs a value: %s", got)
	}
}

// BenchmarkProbePage makes the page of a script with a thousand series.
func BenchmarkProbePage(b *testing.B) {
	meta := &record.Meta{Name: "Size", Unit: "bytes", Type: record.Gauge}
	batch := &record.Batch{Source: newOnePool("s").script.Source, Time: time.Now(), Complete: true, Run: &record.Run{Result: record.OK}}
	for i := range 1000 {
		batch.Samples = append(batch.Samples, record.Sample{Name: "Size", Meta: meta, Value: float64(i), Labels: []record.Label{{Name: "disk", Value: strconv.Itoa(i)}}})
	}
	for b.Loop() {
		writeProbe(io.Discard, expfmt.FmtText, batch, probePage(batch))
	}
}
