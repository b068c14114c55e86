package coscale

import (
	"fmt"
	"math"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"scriptbridge/record"
)

func TestHistogramOf(t *testing.T) {
	ascending := func(n int, weight float64) (all []observation) {
		for i := range n {
			all = append(all, observation{float64(i + 1), weight})
		}
		return all
	}
	for _, c := range []struct {
		name     string
		observed []observation
		want     string
	}{
		// What the backend sent of ten values.
		{"ten", ascending(10, 1), "10 [1 2 3 4 5 6 7 8 9 10 10 10 10]"},
		{"one", ascending(1, 1), "1 [1 1 1 1 1 1 1 1 1 1 1 1 1]"},
		{"two", ascending(2, 1), "2 [1 1 1 1 1 2 2 2 2 2 2 2 2]"},
		{"three", ascending(3, 1), "3 [1 1 1 1 2 2 2 3 3 3 3 3 3]"},
		{"hundred", ascending(100, 1), "100 [1 11 21 31 41 51 61 71 81 91 96 100 100]"},
		{"weights as if repeated", []observation{{1, 3}, {2, 5}, {3, 2}}, "10 [1 1 1 2 2 2 2 2 3 3 3 3 3]"},
		{"a sample rate of 0.3", ascending(3, 1/0.3), "10 [1 1 1 1 2 2 2 3 3 3 3 3 3]"},
		{"one in ten million", []observation{{1, 1}, {320, 1e7}}, "1.0000001e+07 [1 320 320 320 320 320 320 320 320 320 320 320 320]"},
		{"less than one", []observation{{5, 0.25}}, "1 [5 5 5 5 5 5 5 5 5 5 5 5 5]"},
		{"more than can be counted", []observation{{-1, math.MaxFloat64}, {1, math.MaxFloat64}}, "1.7976931348623157e+308 [-1 1 1 1 1 1 1 1 1 1 1 1 1]"},
	} {
		h := histogramOf(c.observed)
		if got := fmt.Sprintf("%v %v", h.Samples, h.Values); got != c.want || h.Width != 10 {
			t.Errorf("%s: %s, width %v; want %s", c.name, got, h.Width, c.want)
		}
	}
}

func TestStatsDFact(t *testing.T) {
	for _, c := range []struct{ id, name, groups string }{
		{"hits", "StatsD hits", "StatsD"},
		{"web.hits.total", "StatsD web.hits.total", "StatsD/web/hits"},
		{"a-b_cd..xy", "StatsD a-b_cd..xy", "StatsD/a-b_cd/"},
		{"日,本", "StatsD 日_本", "StatsD"},
		{".", "StatsD .", "StatsD/"},
	} {
		var f fact
		f.native(&record.Native{Program: "StatsD", Name: c.id})
		if f.name != c.name || f.groups != c.groups || "StatsD "+f.help != c.name {
			t.Errorf("%q: %+v", c.id, f)
		}
	}
}

// What a digest holds is bounded, and still tells the percentiles.
func TestCoarsen(t *testing.T) {
	dice := rand.New(rand.NewPCG(1, 2))
	s := newSending()
	wide, same := &fact{name: "wide", aggregation: histogram}, &fact{name: "equal", aggregation: histogram}
	const each = 3 * maxObserved
	var all []float64
	for range each / 1000 {
		v := value{observed: make([]observation, 1000)}
		for i := range v.observed {
			v.observed[i] = observation{math.Exp(10 * dice.NormFloat64()), 1}
			all = append(all, v.observed[i].value)
		}
		s.digest("", &v, wide)
		s.digest("", &value{observed: slices.Repeat([]observation{{7, 2}}, 1000)}, same)
		if s.observed > maxObserved {
			t.Fatalf("%d observations are held", s.observed)
		}
	}
	slices.Sort(all)
	h := s.order[0].point(time.Unix(60, 0), time.Minute).Histogram
	for i, p := range percentiles {
		exact := all[min(len(all)-1, int(float64(len(all))*p/100))]
		if off := math.Abs(h.Values[i]/exact - 1); off > 1.0/64 {
			t.Errorf("percentile %v is %v and should be %v", p, h.Values[i], exact)
		}
	}
	equal := s.order[1].point(time.Unix(60, 0), time.Minute).Histogram
	if h.Samples != float64(len(all)) || equal.Samples != 2*float64(len(all)) || equal.Values[0] != 7 || equal.Values[12] != 7 {
		t.Errorf("%v samples of %d; %+v", h.Samples, len(all), equal)
	}

	// Many series have a little room each.
	for i := range 20_000 {
		v := value{subject: record.Subject{Name: fmt.Sprint(i)}, observed: make([]observation, 100)}
		for i := range v.observed {
			v.observed[i] = observation{dice.NormFloat64(), 1}
		}
		s.digest("", &v, wide)
	}
	if most := max(maxObserved, 2*minObserved*len(s.order)); s.observed > most {
		t.Errorf("%d observations are held", s.observed)
	}
	for _, d := range s.order[2:] {
		if h := d.point(time.Unix(60, 0), time.Minute).Histogram; h.Samples != 100 || !slices.IsSorted(h.Values) {
			t.Fatalf("%+v", h)
		}
	}
}

var statsdSource = &record.Source{Kind: record.Receiver, Name: "statsd", Verbatim: true}

// statsdBatch is a batch as the receiver makes them.
func statsdBatch(samples ...record.Sample) *record.Batch {
	return &record.Batch{Source: statsdSource, Samples: samples, MaxAge: 5 * time.Minute}
}

var (
	statsdHits   = &record.Meta{Name: "web_hits_total", Help: "Received by StatsD.", Type: record.Counter, Native: &record.Native{Program: "StatsD", Name: "web.hits.total"}}
	statsdQueue  = &record.Meta{Name: "queue", Help: "Received by StatsD.", Type: record.Gauge, Native: &record.Native{Program: "StatsD", Name: "queue"}}
	statsdLoad   = &record.Meta{Name: "web_load", Unit: "seconds", Type: record.Summary, Native: &record.Native{Program: "StatsD", Name: "web.load", Unit: record.Milliseconds}}
	statsdSize   = &record.Meta{Name: "size", Type: record.Histogram, Rare: &record.Rare{Buckets: []float64{1, 2}}, Native: &record.Native{Program: "StatsD", Name: "size"}}
	statsdLabels = []record.Label{{Name: "page", Value: "index"}, {Name: "empty"}}
)

func added(v float64, labels ...record.Label) record.Sample {
	return record.Sample{Name: "web_hits_total", Meta: statsdHits, Labels: labels, Op: record.Add, Value: v}
}

func shown(v float64) record.Sample {
	return record.Sample{Name: "queue", Meta: statsdQueue, Value: v}
}

func observed(m *record.Meta, weight float64, values ...float64) (all []record.Sample) {
	for _, v := range values {
		all = append(all, record.Sample{Name: m.Name, Meta: m, Labels: statsdLabels, Op: record.Observe, Value: v, Weight: weight})
	}
	return all
}

// TestUploadStatsDScalars: once a slot, a rate for a counter and the last value
// for a gauge, by the names and in the groups of the daemon; also across a
// restart.
func TestUploadStatsDScalars(t *testing.T) {
	underTest(t, func(r *rig) {
		for i := range 60 {
			b := statsdBatch(added(2), added(4, statsdLabels...))
			if i < 30 {
				b.Samples = append(b.Samples, shown(float64(i)))
			}
			r.put(b)
			r.pass(time.Second)
			if i == 20 {
				r.end()
				r.start()
			}
		}
		r.put(statsdBatch(added(3)))
		r.pass(5 * time.Second)
		r.want("requests", r.peer.asked(), []string{
			"POST login/",
			"POST servers/ web-1 ",
			"POST metrics/ StatsD web.hits.total dataType=DOUBLE&description=web.hits.total&period=60&subject=SERVER",
			"POST metricgroups/ StatsD subject=SERVER",
			"POST metricgroups/ web parentId=103&subject=SERVER",
			"POST metricgroups/ hits parentId=104&subject=SERVER",
			"POST metricgroups/105/metrics/102/",
			"POST dimensions/ page ",
			"POST metrics/102/dimensions/106/",
			"POST metrics/ StatsD queue dataType=DOUBLE&description=queue&period=60&subject=SERVER",
			"POST metricgroups/103/metrics/107/",
			"POST data/ 3",
		})
		r.pass(time.Minute)
		r.want("values", r.values(), []string{
			"StatsD queue@web-1 0 29",
			"StatsD web.hits.total@web-1 0 2",
			"StatsD web.hits.total@web-1 60 0.05",
			"StatsD web.hits.total@web-1{page=index} 0 4",
		})
		if stats := r.Stats(); stats.Entries != 0 || stats.Sent != 4 || len(stats.Skipped) != 0 {
			t.Errorf("stats: %+v", stats)
		}
	})
}

// The sum of a slot is never too much for JSON, which would stop all.
func TestUploadStatsDHuge(t *testing.T) {
	underTest(t, func(r *rig) {
		m := *statsdSize
		m.Unit = "seconds"
		r.put(statsdBatch(append(observed(&m, math.MaxFloat64, 1e308, 1e308), added(math.MaxFloat64), added(math.MaxFloat64))...))
		r.pass(time.Minute + 10*time.Second)
		r.want("values", r.values(), []string{
			"StatsD size@web-1{page=index} 0 0", // the peer knows no histograms
			"StatsD web.hits.total@web-1 0 2.9961552247705265e+306",
		})
	})
}

// TestUploadStatsDToHandler: observations come out of our own receiver
// as the percentiles of a slot, with a restart between.
func TestUploadStatsDToHandler(t *testing.T) {
	underTest(t, func(r *rig) {
		sink := r.toHandler()
		for i := range 10 {
			// Timers are seconds here, and were milliseconds there.
			r.put(statsdBatch(slices.Concat(
				observed(statsdLoad, 0, float64(10*i+1)/1000, float64(10*i+2)/1000, float64(10*i+3)/1000, float64(10*i+4)/1000, float64(10*i+5)/1000),
				observed(statsdSize, 10, 1.5, 0.25),
				observed(statsdLoad, 0, float64(10*i+6)/1000, float64(10*i+7)/1000, float64(10*i+8)/1000, float64(10*i+9)/1000, float64(10*i+10)/1000),
			)...))
			r.pass(time.Second)
		}
		r.end()
		r.start()
		r.put(&record.Batch{
			Source:  &record.Source{Kind: record.Receiver, Name: "other"},
			Samples: []record.Sample{{Name: "took", Op: record.Observe, Value: 2.5, Weight: 4}},
		})
		r.put(statsdBatch(added(120)))
		r.pass(10 * time.Minute)
		got := sink.told()
		var want []string
		for _, s := range []struct {
			name, labels string
			samples      int
			values       []float64
		}{
			{"StatsD web.load", " page=index", 100, []float64{1, 11, 21, 31, 41, 51, 61, 71, 81, 91, 96, 100, 100}},
			{"StatsD size", " page=index", 200, []float64{0.25, 0.25, 0.25, 0.25, 0.25, 1.5, 1.5, 1.5, 1.5, 1.5, 1.5, 1.5, 1.5}},
			{"other took", "", 4, slices.Repeat([]float64{2.5}, 13)},
		} {
			for i, v := range s.values {
				q := []string{"0", "0.1", "0.2", "0.3", "0.4", "0.5", "0.6", "0.7", "0.8", "0.9", "0.95", "0.99", "1"}[i]
				want = append(want, fmt.Sprintf("%s%s quantile=%s of server web-1: %v 946684800 ", s.name, s.labels, q, v))
			}
			want = append(want, fmt.Sprintf("%s_count%s of server web-1: %d 946684800 ", s.name, s.labels, s.samples))
		}
		want = append(want, "StatsD web.hits.total of server web-1: 2 946684800 ")
		slices.Sort(want)
		r.want("samples", got, want)
		if stats := r.Stats(); stats.Entries != 0 || stats.Refused != 0 {
			t.Errorf("stats: %+v", stats)
		}
	})
}

// TestObservationsPut: what one series had in a batch names it once, and no
// entry becomes large for the sake of one.
func TestObservationsPut(t *testing.T) {
	underTest(t, func(r *rig) {
		values := make([]float64, 2048)
		for i := range values {
			values[i] = float64(i) / 1000
		}
		load := statsdBatch(observed(statsdLoad, 1, values...)...)
		r.put(load)
		if stats := r.Stats(); stats.Entries != 1 || stats.Items != 1 {
			t.Errorf("stats: %+v", stats)
		}
		slot := r.sort(load).slots[0]
		entry := entryOf(slot.facts, slot.values)
		if n := len(entry.encode()); n > 10*2048+100 {
			t.Errorf("2048 values take %d bytes", n)
		}
		// Sixteen series fill two entries.
		b := statsdBatch()
		for i := range 16 {
			m := *statsdLoad
			m.ID = strings.Repeat("x", i+1)
			b.Samples = append(b.Samples, observed(&m, 1, values...)...)
		}
		r.put(b)
		if stats := r.Stats(); stats.Entries != 3 || stats.Items != 17 {
			t.Errorf("stats: %+v", stats)
		}
	})
}

// An entry of former versions, which knew the shapes 0 and 1 only.
func TestFormerEntry(t *testing.T) {
	const former = "v\f\aTraffic\t - Custom\x03b/s\fwhat goes by\x06DOUBLE\x03a/b\x02IO\x04Load\x00\tinterface\x04eth0\x04db-1\x02\x00\x01\x02\x03\x04\x05\x06<\x00\a\b\b\b\x04\b\b\xac\x02\x01\x03\x00\x00\b\x01\t\n\x80\u011f\xd5\f\x00\x00\x00\x00\x00\x00\xf8?\x01\x01\v\x00\x01\x00\x00\x00\x00\x00\x00\x00\xc0\x00\x03\b\x00\x80\x80\x80\x80\x80@\x9cu\x00\x88<\xe47~"
	got, err := readValues([]byte(former)[1:], false)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(formerValues(), got, compareEntries); diff != "" {
		t.Error(diff)
	}
}

// BenchmarkFlush is a slot of sixty batches with five hundred timers of fifty
// values each: 1.5 million observations. The largest heap is that of all.
func BenchmarkFlush(b *testing.B) {
	var largest uint64
	p := newPeer()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		largest = max(largest, m.HeapAlloc)
		p.ServeHTTP(w, r)
	}))
	defer server.Close()
	dice := rand.New(rand.NewPCG(1, 2))
	metas := make([]record.Meta, 500)
	for i := range metas {
		metas[i] = record.Meta{ID: fmt.Sprintf("web.timer-%d", i), Unit: "seconds", Type: record.Summary}
	}
	var disk int64
	var putting time.Duration
	for b.Loop() {
		b.StopTimer()
		u := newOutage(b, server.URL, 0)
		for second := range 60 {
			batch := statsdBatch()
			batch.Time = time.Unix(outageBegin+int64(second), 0)
			for i := range metas {
				for range 50 {
					batch.Samples = append(batch.Samples, record.Sample{Meta: &metas[i], Op: record.Observe, Value: math.Exp(dice.NormFloat64())})
				}
			}
			begun := time.Now()
			if err := u.Put(batch); err != nil {
				b.Fatal(err)
			}
			putting += time.Since(begun)
		}
		disk = u.Stats().Bytes
		b.StartTimer()
		catchUp(b, u)
	}
	b.ReportMetric(float64(largest)/(1<<20), "heap-MiB")
	b.ReportMetric(float64(disk)/(1<<20), "spool-MiB")
	b.ReportMetric(putting.Seconds()*1000/60/float64(b.N), "ms/put")
}
