package server_test

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"scriptbridge/collector"
	"scriptbridge/coscale"
	"scriptbridge/coscale/server"
	"scriptbridge/record"
)

// fullDisk is a sink behind the page that takes nothing while it is on.
type fullDisk struct{ on bool }

func (d *fullDisk) Put(*record.Batch) error {
	if d.on {
		return errors.New("the disk is full")
	}
	return nil
}

// TestPushedPage pushes one of each sort of metric twice, as clients do, and
// reads the page. Each push is first answered with 503, since another sink fails,
// and then its answer is lost: what adds up is added once all the same.
func TestPushedPage(t *testing.T) {
	page := collector.New(collector.Options{Retention: time.Hour})
	disk := new(fullDisk)
	h, err := server.NewHandler(server.HandlerOptions{
		AppID: "A", Tokens: []string{"token"}, Sink: record.Tee{page, disk}, TTL: time.Hour,
		Source: &record.Source{Kind: record.Receiver, Name: "coscale", Prefix: "coscale", MaxSeries: 100},
	})
	if err != nil {
		t.Fatal(err)
	}
	defer h.Close()
	server := httptest.NewServer(h)
	defer server.Close()
	c := coscale.NewClient(coscale.ClientOptions{
		URL: server.URL, AppID: "A", Token: func() (string, error) { return "token", nil },
	})
	create := func(kind coscale.Kind, o any) int64 {
		id, err := c.Create(t.Context(), kind, o)
		if err != nil {
			t.Fatal(err)
		}
		return id
	}
	subject := coscale.SubjectOf(coscale.Servers, create(coscale.Servers, &coscale.Server{Object: coscale.Object{Name: "web-01"}}))
	var metrics []int64
	for _, m := range [][2]string{{"Jobs", "COUNT"}, {"Uptime", "COUNTER"}, {"Heat", "DOUBLE"}, {"StatsD latency", "HISTOGRAM"}} {
		metrics = append(metrics, create(coscale.Metrics, &coscale.Metric{Object: coscale.Object{Name: m[0]}, DataType: m[1], Unit: "ms", Subject: "SERVER"}))
	}
	now := time.Now().Unix()
	for i := range int64(2) {
		var data []coscale.Data
		for n, m := range metrics {
			p := coscale.Point{Time: now - 60 + i, Value: float64(5 + i)}
			if n == 3 {
				p.Histogram = &coscale.Histogram{Samples: 10, Width: 50, Values: []float64{1, 2, 3}}
			}
			data = append(data, coscale.Data{Metric: m, Subject: subject, Points: []coscale.Point{p}, Dimensions: map[string]string{"Queue": "q1"}})
		}
		disk.on = true
		var status *coscale.StatusError
		if err := c.InsertData(t.Context(), data); !errors.As(err, &status) || status.Status != 503 {
			t.Errorf("while a sink fails: %v", err)
		}
		disk.on = false
		for range 2 { // an answer was lost
			if err := c.InsertData(t.Context(), data); err != nil {
				t.Fatal(err)
			}
		}
	}
	w := httptest.NewRecorder()
	page.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	var got []string
	for line := range strings.Lines(w.Body.String()) {
		if strings.HasPrefix(line, "coscale_") {
			got = append(got, line)
		}
	}
	const want = `coscale_heat_milliseconds{queue="q1",server="web-01",subject="server"} 6
coscale_jobs_milliseconds_total{queue="q1",server="web-01",subject="server"} 11
coscale_statsd_latency_milliseconds{quantile="0",queue="q1",server="web-01",subject="server"} 1
coscale_statsd_latency_milliseconds{quantile="0.5",queue="q1",server="web-01",subject="server"} 2
coscale_statsd_latency_milliseconds{quantile="1",queue="q1",server="web-01",subject="server"} 3
coscale_statsd_latency_milliseconds_count{queue="q1",server="web-01",subject="server"} 20
coscale_uptime_milliseconds_total{queue="q1",server="web-01",subject="server"} 6
`
	if text := strings.Join(got, ""); text != want {
		t.Errorf("the page has\n%s\nnot\n%s", text, want)
	}
}

// TestPushedOlder: of several points of one series the newest is shown, whether
// they come in one entry, in two, or in two requests. What adds up does so.
func TestPushedOlder(t *testing.T) {
	page := collector.New(collector.Options{Retention: time.Hour})
	h, err := server.NewHandler(server.HandlerOptions{
		AppID: "A", Tokens: []string{"token"}, Sink: page, TTL: time.Hour,
		Source: &record.Source{Kind: record.Receiver, Name: "coscale", Prefix: "coscale", MaxSeries: 100},
	})
	if err != nil {
		t.Fatal(err)
	}
	defer h.Close()
	server := httptest.NewServer(h)
	defer server.Close()
	c := coscale.NewClient(coscale.ClientOptions{URL: server.URL, AppID: "A", Token: func() (string, error) { return "token", nil }})
	metric := func(name, dataType string) int64 {
		id, err := c.Create(t.Context(), coscale.Metrics, &coscale.Metric{Object: coscale.Object{Name: name}, DataType: dataType, Subject: "APPLICATION"})
		if err != nil {
			t.Fatal(err)
		}
		return id
	}
	now := time.Now().Unix()
	of := func(metric int64, points ...coscale.Point) coscale.Data {
		return coscale.Data{Metric: metric, Subject: "a", Points: points}
	}
	at := func(ago int64, v float64) coscale.Point { return coscale.Point{Time: now - ago, Value: v} }
	percentiles := func(ago int64, v float64) coscale.Point {
		return coscale.Point{Time: now - ago, Histogram: &coscale.Histogram{Samples: 10, Width: 50, Values: []float64{v, v, v}}}
	}
	one, two, later, jobs, spread := metric("One", "DOUBLE"), metric("Two", "COUNTER"), metric("Later", "DOUBLE"), metric("Jobs", "COUNT"), metric("Spread", "HISTOGRAM")
	for _, data := range [][]coscale.Data{
		{
			of(one, at(60, 2), at(120, 1)), of(two, at(60, 2)), of(later, at(60, 2)), of(jobs, at(60, 2)), of(spread, percentiles(60, 2)),
			of(two, at(120, 1)),
		},
		{of(later, at(120, 1)), of(jobs, at(120, 1)), of(spread, percentiles(120, 1))},
	} {
		if err := c.InsertData(t.Context(), data); err != nil {
			t.Fatal(err)
		}
	}
	w := httptest.NewRecorder()
	page.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	for _, want := range []string{
		`coscale_one{subject="application"} 2`, `coscale_two_total{subject="application"} 2`, `coscale_later{subject="application"} 2`,
		`coscale_jobs_total{subject="application"} 3`, `coscale_spread{quantile="0.5",subject="application"} 2`, `coscale_spread_count{subject="application"} 20`,
	} {
		if !strings.Contains(w.Body.String(), "\n"+want+"\n") {
			t.Errorf("the page has no %s:\n%s", want, w.Body)
		}
	}
}
