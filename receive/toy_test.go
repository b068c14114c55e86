package receive

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-kit/log"
	"github.com/google/go-cmp/cmp"

	"scriptbridge/config"
	"scriptbridge/receive/receiver"
	"scriptbridge/receive/receivertest"
	"scriptbridge/record"
)

// toyType is a receiver for whoever posts "NAME VALUE": all that a new one is.
var toyType = receiver.Type{
	Name: "toy", Prefix: "toy",
	Section: func(*config.Receive) *receiver.Section {
		return &receiver.Section{Config: "toy", MaxSeries: 10, Paths: []string{"/toy"}}
	},
	New: func(_ *config.Receive, env receiver.Env) (receiver.Receiver, error) { return &toy{env}, nil },
}

type toy struct{ env receiver.Env }

func (r *toy) Run(ctx context.Context) error {
	r.env.Opened()
	<-ctx.Done()
	return nil
}

func (r *toy) Endpoints() []receiver.Endpoint {
	return []receiver.Endpoint{{Path: "/toy", Handler: r}}
}

func (r *toy) Addresses() []string { return nil }

func (r *toy) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	var s record.Sample
	if _, err := fmt.Fscan(req.Body, &s.Name, &s.Value); err != nil {
		r.env.Counts.Dropped("malformed", 1)
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	r.env.Counts.Received("http", 1, 0)
	if err := r.env.Sink.Put(&record.Batch{Source: r.env.Source, Time: time.Now(), Samples: []record.Sample{s}}); err != nil {
		http.Error(w, err.Error(), http.StatusServiceUnavailable)
	}
}

// A new receiver is a Type, and one line of the table: the set runs it, lets its
// clients in, and shows it, as it does all others.
func TestToyReceiver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var sink receivertest.Sink
		s := NewSet(SetOptions{Sink: &sink, Logger: log.NewNopLogger()})
		defer s.Close()
		s.types = append(slices.Clone(types), toyType) // the line
		s.Reload(t.Context(), &config.Receive{StatsD: &config.ReceiveStatsD{}})
		h := s.Handler(http.NotFoundHandler())
		post := func(body string) int {
			w := httptest.NewRecorder()
			h.ServeHTTP(w, httptest.NewRequest(http.MethodPost, "http://localhost/toy", strings.NewReader(body)))
			return w.Code
		}
		codes := []int{post("queue 7"), post("queue"), post("queue 8")}
		sink.Fail(fmt.Errorf("disk full"))
		codes = append(codes, post("users 3"))
		if want := []int{200, 400, 200, 503}; !slices.Equal(codes, want) {
			t.Errorf("answers %v, want %v", codes, want)
		}
		if diff := cmp.Diff(map[string]float64{"queue{}": 8, "users{}": 3}, sink.State()); diff != "" {
			t.Errorf("put (-want +got):\n%s", diff)
		}
		views := s.Views()
		if len(views) != 2 || s.SinkErrors() != 1 {
			t.Fatalf("%d sink errors, views %+v", s.SinkErrors(), views)
		}
		want := View{
			Name: "toy", Up: true, Addresses: []string{"web /toy"}, Last: time.Now(),
			Counts: receiver.CountsView{
				Packets: map[string]uint64{"http": 3}, Bytes: map[string]uint64{"http": 0}, Dropped: map[string]uint64{"malformed": 1},
			},
		}
		if diff := cmp.Diff(want, views[1]); diff != "" {
			t.Errorf("view (-want +got):\n%s", diff)
		}
	})
}
