package collector

import (
	"fmt"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"scriptbridge/record"
)

// load is a set of scripts whose metrics have dimensions.
type load struct {
	scripts, metrics, dims int
	shared                 bool // all scripts have the same metrics
}

func (l load) series() int { return l.scripts * l.metrics * l.dims }

// batches makes one whole batch for each script.
func (l load) batches() []*record.Batch {
	var batches []*record.Batch
	for i := range l.scripts {
		batches = append(batches, l.batch(i))
	}
	return batches
}

// batch makes that of the i-th script.
func (l load) batch(i int) *record.Batch {
	b := &record.Batch{
		Source: &record.Source{Kind: record.Script, Name: fmt.Sprintf("script-%d", i), Rank: i, Prefix: "coscale"},
		Time:   time.Now(), Complete: true, MaxAge: time.Hour,
		Run: &record.Run{Result: record.OK, Duration: time.Second, Interval: time.Minute},
	}
	for m := range l.metrics {
		name := fmt.Sprintf("Traffic %d of device", m)
		if !l.shared {
			name = fmt.Sprintf("Traffic %d of %d", m, i)
		}
		meta := &record.Meta{ID: strconv.Itoa(m), Name: name, Unit: "b/s", Type: record.Gauge, Dimensions: []string{"interface"}}
		for d := range l.dims {
			b.Samples = append(b.Samples, record.Sample{
				Name: name, Meta: meta, Value: float64(i*7919+m*104729+d) / 8,
				Labels: []record.Label{{Name: "interface", Value: fmt.Sprintf("eth%d", d)}},
			})
		}
	}
	return b
}

// fill makes a collector that shows the load, and gives the load's batches.
func (l load) fill(registry prometheus.Gatherer) (*Collector, []*record.Batch) {
	c := New(Options{Registry: registry})
	batches := l.batches()
	for _, b := range batches {
		_ = c.Put(b)
	}
	return c, batches
}
