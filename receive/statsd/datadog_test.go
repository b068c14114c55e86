//go:build !386 && !arm && !mips && !mipsle

package statsd

// Datadog's client uses 64-bit counters by atomic operations where they are not aligned, so that
// it panics where a word has 32 bits.

import (
	"cmp"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	dogstatsd "github.com/DataDog/datadog-go/v5/statsd"
	gocmp "github.com/google/go-cmp/cmp"

	"scriptbridge/config"
	"scriptbridge/record"
)

// Datadog's own client, over both its ways, with and without merging on its
// side: exactly what it was told arrives.
func TestDatadogClient(t *testing.T) {
	c := &config.ReceiveStatsD{UDP: "127.0.0.1:0"}
	socket := ""
	if runtime.GOOS != "windows" { // which has no such sockets
		c.Unixgram = filepath.Join(t.TempDir(), "dsd.socket")
		socket = "unixgram://" + c.Unixgram
	}
	r := receiverAt(t, c)
	udp := r.Address(t, "udp")
	for name, way := range map[string]struct {
		address string
		options []dogstatsd.Option
	}{
		"udp":      {udp, nil},
		"unixgram": {cmp.Or(socket, udp), []dogstatsd.Option{dogstatsd.WithoutClientSideAggregation()}},
		"extended": {cmp.Or(socket, udp), []dogstatsd.Option{dogstatsd.WithExtendedClientSideAggregation()}},
	} {
		t.Run(name, func(t *testing.T) {
			options := append(way.options, dogstatsd.WithNamespace(name+"."), dogstatsd.WithTags([]string{"env:prod"}),
				dogstatsd.WithoutTelemetry(), dogstatsd.WithoutOriginDetection())
			c, err := dogstatsd.New(way.address, options...)
			if err != nil {
				t.Fatal(err)
			}
			for i := range 100 {
				c.Incr("orders", []string{"kind:web"}, 1)
				c.Count("bytes", 1000, nil, 1)
				c.Gauge("queue", float64(i), nil, 1)
				c.Timing("latency", time.Duration(i)*time.Millisecond, nil, 1)
				c.Distribution("size", 2.5, nil, 1)
				c.Histogram("weight", 7, nil, 1)
				c.Set("users", []string{"ann", "bob", "cat"}[i%3], nil, 1)
			}
			c.ServiceCheck(&dogstatsd.ServiceCheck{Name: "database", Status: dogstatsd.Critical, Message: "it said: no|thing", Tags: []string{"db:main"}, Hostname: "db-1"})
			c.Event(&dogstatsd.Event{Title: "deployed " + name, Text: "two\nlines", AlertType: dogstatsd.Success, Priority: dogstatsd.Low, Tags: []string{"by:ann"}, Hostname: "web-1", SourceTypeName: "ci", AggregationKey: "k", Timestamp: time.Unix(1767322000, 0)})
			if err := c.Close(); err != nil { // which flushes
				t.Error(err)
			}
			want := map[string]float64{
				name + "_orders{env=prod,kind=web}": 100, name + "_bytes{env=prod}": 100_000, name + "_queue{env=prod}": 99,
				name + "_latency{env=prod}": 100, name + "_size{env=prod}": 100, name + "_weight{env=prod}": 100,
				name + "_users{env=prod}": 3, "database{db=main,env=prod,host=db-1}": 2,
			}
			event := record.Event{
				Name: "StatsD event", Message: "deployed " + name + "\ntwo\nlines", Meta: eventMeta,
				Start: time.Unix(1767322000, 0), Stop: time.Unix(1767322000, 0),
				Subject: record.Subject{Kind: record.Server, Name: "web-1"},
				Attributes: []record.Label{
					{Name: "aggregation_key", Value: "k"}, {Name: "priority", Value: "low"},
					{Name: "source_type", Value: "ci"}, {Name: "alert_type", Value: "success"}, {Name: "tags", Value: "env:prod,by:ann"},
				},
			}
			r.Poll(t, "all that was told", func() bool { return gocmp.Equal(want, r.State()) && len(r.Events()) == 1 })
			got := r.Events()[0]
			got.ID = ""
			if diff := gocmp.Diff(event, got); diff != "" {
				t.Errorf("event (-want +got):\n%s", diff)
			}
			if refused := r.Refused(); len(refused) > 0 {
				t.Errorf("refused: %q", refused)
			}
			r.Lines() // forget them
		})
	}
}
