package coscale

import (
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"scriptbridge/coscale/server"
	"scriptbridge/record"
)

// direct is the real receiver as a transport.
type direct struct{ *server.Handler }

func (d direct) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	for name, values := range r.Header { // as a server reads them
		r.Header[http.CanonicalHeaderKey(name)] = values
	}
	w := httptest.NewRecorder()
	d.ServeHTTP(w, r)
	return w.Result(), nil
}

// listener loses every third answer.
type listener struct {
	direct
	mu       sync.Mutex
	requests int
}

func (l *listener) RoundTrip(r *http.Request) (*http.Response, error) {
	resp, err := l.direct.RoundTrip(r)
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.requests++; l.requests%3 == 0 {
		return nil, io.ErrUnexpectedEOF
	}
	return resp, err
}

// heard is a sink that writes down what it is put.
type heard struct {
	mu      sync.Mutex
	samples map[string]bool // a value may come twice
	events  []string
}

func (h *heard) Put(b *record.Batch) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, s := range b.Samples {
		labels := ""
		for _, l := range s.Labels {
			labels += fmt.Sprintf(" %s=%s", l.Name, l.Value)
		}
		h.samples[fmt.Sprintf("%s%s of %s %s: %v %d %s", s.Name, labels, s.Subject.Kind, s.Subject.Name, s.Value, s.Time.Unix(), s.Meta.Unit)] = true
	}
	for _, e := range b.Events {
		stop := int64(0)
		if !e.Stop.IsZero() {
			stop = e.Stop.Unix()
		}
		h.events = append(h.events, fmt.Sprintf("%s %s %q %d %d %s %s %v", e.ID, e.Name, e.Message, e.Start.Unix(), stop, e.Subject.Kind, e.Subject.Name, e.Attributes))
	}
	return nil
}

// told are the samples, in order.
func (h *heard) told() []string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Sorted(maps.Keys(h.samples))
}

// toHandler makes our own receiver the other end, and gives what it
// puts.
func (r *rig) toHandler() *heard {
	sink := &heard{samples: make(map[string]bool)}
	h, err := server.NewHandler(server.HandlerOptions{
		AppID: "app", Tokens: []string{"token"}, Sink: sink, Folder: r.t.TempDir(),
		Source: &record.Source{Kind: record.Receiver, Name: "coscale", WholeNames: true}, TTL: 5 * time.Minute,
	})
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() { h.Close() })
	r.end()
	r.other = &listener{direct: direct{h}}
	r.start()
	return sink
}

// TestUploadToHandler sends to our own receiver: what comes out at its
// end is what was put in here.
func TestUploadToHandler(t *testing.T) {
	underTest(t, func(r *rig) {
		sink := r.toHandler()
		m := &record.Meta{
			ID: "1", Name: "Traffic", Unit: "b/s", Datatype: "GAUGE", Calctype: "Instant",
			Rare: &record.Rare{Groups: "Network/Interfaces", Tags: "NETWORK"}, Dimensions: []string{"interface"},
		}
		average := declared("DOUBLE", "Average")
		at := time.Now().Add(-30 * time.Minute)
		b := &record.Batch{Samples: []record.Sample{
			{Name: "Traffic", Meta: m, Value: 1.5, Labels: []record.Label{{Name: "interface", Value: `eth"0`}}},
			{Name: "Traffic", Meta: m, Value: 2, Time: at, Subject: record.Subject{Kind: record.Server, Name: "db-1"}},
			{Name: "Traffic", Meta: m, Value: 3, Subject: record.Subject{Kind: record.Group, Name: "all"}},
			{Name: "Traffic", Meta: m, Value: 4, Subject: record.Subject{Kind: record.Application, Name: "application"}},
			one(average, 10),
		}}
		b.Events = backup("1", "begun", 0).Events
		r.put(b)
		r.put(&record.Batch{Samples: []record.Sample{one(average, 20)}})
		r.pass(10 * time.Minute)
		r.put(backup("1", "begun", 90*time.Second))
		r.pass(10 * time.Minute)

		r.want("samples", sink.told(), []string{
			"DOUBLEAverage - Custom of server web-1: 15 946684800 ",
			`Traffic - Custom interface=eth"0 of server web-1: 1.5 946684800 b/s`,
			"Traffic - Custom of application : 4 946684800 b/s",
			"Traffic - Custom of group all: 3 946684800 b/s",
			"Traffic - Custom of server db-1: 2 946683000 b/s",
		})
		ids := make(map[string]bool)
		for i, line := range sink.events {
			id, rest, _ := strings.Cut(line, " ")
			ids[id] = true
			sink.events[i] = rest
		}
		r.want("events", slices.Compact(sink.events), []string{
			`Backup - Custom "begun" 946684800 0 server web-1 [{Exit code 137} {what a "<b>} {no 007}]`,
			`Backup - Custom "begun" 946684800 946684890 server web-1 [{Exit code 137} {what a "<b>} {no 007}]`,
		})
		if len(ids) != 1 {
			t.Errorf("there are %d events", len(ids))
		}
		if stats := r.Stats(); stats.Entries != 0 || stats.Refused != 0 {
			t.Errorf("stats: %+v", stats)
		}
	})
}
