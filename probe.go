package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/prometheus/common/expfmt"

	"scriptbridge/collector"
	"scriptbridge/config"
	"scriptbridge/internal/access"
	"scriptbridge/internal/texts"
	"scriptbridge/record"
	"scriptbridge/script"
	"scriptbridge/status"
	"scriptbridge/web"
)

const (
	// probeMargin is how long before the scraper's own timeout it is answered;
	// of one under a second it is half.
	probeMargin = 500 * time.Millisecond
	// probeGrace is what an asker who names no timeout waits beyond the
	// script's: for a place, a declaration, and the end of a run that hangs.
	probeGrace = 10 * time.Second
	// probeMost leaves time to write the answer.
	probeMost = writeTimeout - 10*time.Second
)

// probed is the pool as seen from here: *script.Pool.
type probed interface {
	Probe(ctx context.Context, name, from string, query map[string][]string) (*script.Answer, error)
	View(name string) (script.View, bool)
	Views() []script.View
}

// pages are the other endpoints as seen from here: *web.Server.
type pages interface {
	http.Handler
	NotFound(w http.ResponseWriter, r *http.Request, text string)
	// Hidden says why a request may not see what is private; empty when it may.
	Hidden(r *http.Request) string
}

// withProbes puts /probe and /discovery before the other endpoints. A page of
// another site must not run scripts.
func withProbes(pool probed, guard *access.Guard, location web.Location, others pages) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /probe", guard.Handler(func(w http.ResponseWriter, r *http.Request) { serveProbe(w, r, pool, others) }))
	mux.HandleFunc("GET /discovery", func(w http.ResponseWriter, r *http.Request) { serveDiscovery(w, r, pool, location) })
	mux.Handle("/", others)
	return mux
}

// serveProbe answers with what a script says now. The status is 200 whatever
// became of the run, and script_success tells: a scraper throws away the page
// of any other status.
func serveProbe(w http.ResponseWriter, r *http.Request, pool probed, others pages) {
	w.Header().Set("Cache-Control", "no-store")
	query, err := url.ParseQuery(r.URL.RawQuery)
	if names := query["script"]; err != nil || len(names) != 1 {
		http.Error(w, "ask for one script: /probe?script=NAME", http.StatusBadRequest)
		return
	}
	name := query.Get("script")
	v, ok := pool.View(name)
	if !ok {
		others.NotFound(w, r, script.ErrNoProbe.Error())
		return
	}
	hidden := others.Hidden(r)
	debug := v.Script.Parameters["debug"].Pattern == "" && query.Get("debug") == "true" // else it is the script's own
	if debug && hidden != "" {
		http.Error(w, "debug=true is answered only to those who may see what a script prints: "+hidden, http.StatusForbidden)
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), probeLimit(r.Header, v.Timeout))
	defer cancel()
	asked := time.Now()
	answer, err := pool.Probe(ctx, name, access.Client(r), query)
	var bad *config.ParameterError
	switch {
	case err == nil:
	case errors.Is(err, context.DeadlineExceeded):
		answer = unanswered(&v, time.Since(asked))
	case errors.Is(err, context.Canceled):
		return // nobody is there
	case errors.Is(err, script.ErrNoProbe):
		others.NotFound(w, r, err.Error())
		return
	case errors.Is(err, script.ErrDisabled): // trying again does not help
		http.Error(w, err.Error(), http.StatusServiceUnavailable)
		return
	case errors.As(err, &bad):
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	default:
		w.Header().Set("Retry-After", "1")
		http.Error(w, err.Error(), http.StatusServiceUnavailable)
		return
	}
	format := expfmt.NegotiateAccept(r.Header, expfmt.FmtOpenMetrics_1_0_0, expfmt.FmtText)
	if debug {
		format = expfmt.FmtText
	}
	shown := probePage(answer.Batch)
	var page bytes.Buffer
	switch source := answer.Batch.Source; {
	case debug:
		refusals, _ := shown.Refusals(source.Kind, source.Name)
		page.WriteString(web.DebugText(&answer.View, shown.Series(source.Kind, source.Name), refusals) + "\nMetrics:\n")
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	case hidden == "" && format.FormatType() == expfmt.TypeTextPlain: // the other has no comments
		page.WriteString(probeComments(answer.View.Last))
		fallthrough
	default:
		w.Header().Set("Content-Type", string(format))
	}
	writeProbe(&page, format, answer.Batch, shown)
	w.Header().Set("Content-Length", strconv.Itoa(page.Len()))
	w.Header().Set("Vary", "Accept")
	_, _ = w.Write(page.Bytes()) // the reader has gone: nobody to tell
}

// unanswered is the answer to somebody who could not wait for the run.
func unanswered(v *script.View, waited time.Duration) *script.Answer {
	run := &record.Run{Result: record.Timeout, ExitCode: -1, Duration: waited}
	view := script.View{Script: v.Script, Timeout: v.Timeout, Last: &script.Verdict{
		Start: time.Now().Add(-waited), Duration: waited, Result: run.Result, ExitCode: run.ExitCode,
		Err: errors.New("the run takes longer than who asked for it waits"),
	}}
	return &script.Answer{Batch: &record.Batch{Source: v.Script.Source, Run: run}, View: view}
}

// probeComments say why a run failed, in lines that a scraper skips.
func probeComments(v *script.Verdict) string {
	why := status.ErrorOf(v)
	if why == "" {
		return ""
	}
	line := func(text string) string {
		return "# " + texts.Visible(strings.ReplaceAll(text, "\n", "; ")) + "\n"
	}
	said := line("the run failed: " + why)
	if !strings.Contains(why, v.Stderr) {
		said += line("standard error ends with: " + v.Stderr)
	}
	return said
}

// probeLimit is how long a request may be kept waiting.
func probeLimit(h http.Header, timeout time.Duration) time.Duration {
	limit := timeout + probeGrace
	if s, err := strconv.ParseFloat(h.Get("X-Prometheus-Scrape-Timeout-Seconds"), 64); err == nil && s > 0 {
		limit = time.Duration(math.Min(s, probeMost.Seconds()*2) * float64(time.Second))
		limit -= min(probeMargin, limit/2)
	}
	return min(limit, probeMost)
}

// probeFamilies are what a probe's page says of the run itself, by the names
// that script_exporter gave them. A script's own family of such a name is left
// out.
var probeFamilies = []struct {
	name, unit, help string
	value            func(b *record.Batch, refused int) float64
}{
	{"script_success", "", "Whether the run succeeded: 1 for yes, 0 for no.", func(b *record.Batch, _ int) float64 {
		if b.Run.Result == record.OK {
			return 1
		}
		return 0
	}},
	{"script_duration_seconds", "seconds", "How long the run took.", func(b *record.Batch, _ int) float64 { return b.Run.Duration.Seconds() }},
	{"script_exit_code", "", "Exit code of the run; -1 when it did not exit by itself.", func(b *record.Batch, _ int) float64 { return float64(b.Run.ExitCode) }},
	{"script_refused", "", "Samples and lines of the run that are not shown.", func(_ *record.Batch, refused int) float64 { return float64(refused) }},
}

// probePage has the samples of one run, as /metrics would if there were no other
// script and no process of our own.
func probePage(b *record.Batch) *collector.Collector {
	page := collector.New(collector.Options{Retention: time.Minute})
	page.Put(b) //nolint:errcheck // it never fails
	return page
}

// writeProbe writes the page of one run, and what became of it.
func writeProbe(w io.Writer, format expfmt.Format, b *record.Batch, page *collector.Collector) {
	_, refused := page.Refusals(b.Source.Kind, b.Source.Name)
	for _, e := range record.LineErrors(b.Err) {
		refused += 1 + e.More
	}
	label := strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`).Replace(b.Source.Name)
	ours := make(map[string]bool)
	for _, f := range probeFamilies {
		ours[f.name] = true
		fmt.Fprintf(w, "# HELP %s %s\n# TYPE %s gauge\n", f.name, f.help, f.name)
		if f.unit != "" && format.FormatType() == expfmt.TypeOpenMetrics {
			fmt.Fprintf(w, "# UNIT %s %s\n", f.name, f.unit)
		}
		fmt.Fprintf(w, "%s{script=\"%s\"} %s\n", f.name, label, strconv.FormatFloat(f.value(b, refused), 'g', -1, 64))
	}
	page.WritePage(w, format, func(family string) bool { //nolint:errcheck // it is written to memory
		return !ours[family] && !strings.HasPrefix(family, "scriptbridge_")
	})
}

// target is one entry of Prometheus's HTTP service discovery.
type target struct {
	Targets []string          `json:"targets"`
	Labels  map[string]string `json:"labels"`
}

// serveDiscovery lists the scripts that can be probed without saying more than
// their name and that are not disabled, in the order of the configuration. Their address is the one that
// this was asked at.
func serveDiscovery(w http.ResponseWriter, r *http.Request, pool probed, location web.Location) {
	if r.Host == "" {
		http.Error(w, "the request has no Host: the address of the targets", http.StatusBadRequest)
		return
	}
	host, path, tls := location.Target(r, "/probe")
	list := []target{}
	for _, v := range pool.Views() {
		if !v.Script.Probe || v.Script.ProbeOnly() || v.Script.Disabled() {
			continue
		}
		t := target{Targets: []string{host}, Labels: map[string]string{
			"__metrics_path__": path,
			"__param_script":   v.Script.Name,
			"script":           v.Script.Name,
		}}
		if tls {
			t.Labels["__scheme__"] = "https"
		}
		list = append(list, t)
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	_ = json.NewEncoder(w).Encode(list) // as above
}
