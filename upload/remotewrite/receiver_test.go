package remotewrite

import (
	"bytes"
	"cmp"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/klauspost/compress/snappy"
	"github.com/prometheus/client_golang/exp/api/remote"
	writev2 "github.com/prometheus/client_golang/exp/api/remote/genproto/v2"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/value"
	"github.com/prometheus/prometheus/prompb"
	"google.golang.org/protobuf/proto"
)

// point is a sample as a receiver has it.
type point struct {
	Series string
	Value  string // "stale" for a marker
	At     int64
	Began  int64
	About  string // type, unit and help
}

// receiver is a destination in memory: that of the library for 2.0, and one of our own for
// 1.0. It keeps what it takes.
type receiver struct {
	mu       sync.Mutex
	points   []point
	requests []string // how each was answered

	knows remote.MessageTypes
	// deaf takes what it does not know, says that all is well and keeps nothing, as
	// Prometheus did before 2.0.
	deaf bool
	// refuses says why a sample is refused; a request with one is refused as a whole, or
	// in part where partly is set.
	refuses func(p point) string
	partly  bool
	code    int // of such an answer; 0: 400
	// answer, where it is set, answers instead; false for the usual.
	answer func(w http.ResponseWriter, r *http.Request) bool
}

func newReceiver(knows ...remote.WriteMessageType) *receiver { return &receiver{knows: knows} }

// RoundTrip has the receiver answer without a network.
func (r *receiver) RoundTrip(request *http.Request) (*http.Response, error) {
	w := httptest.NewRecorder()
	r.ServeHTTP(w, request)
	return w.Result(), nil
}

func (r *receiver) ServeHTTP(w http.ResponseWriter, request *http.Request) {
	told := &teller{ResponseWriter: w, code: http.StatusOK}
	defer func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.requests = append(r.requests, fmt.Sprint(told.code))
	}()
	if r.answer != nil && r.answer(told, request) {
		return
	}
	if kind, _ := remote.ParseProtoMsg(request.Header.Get("Content-Type")); r.deaf && !slices.Contains(r.knows, kind) {
		told.WriteHeader(http.StatusNoContent)
		return
	}
	remote.NewWriteHandler(r, r.knows).ServeHTTP(told, request)
}

type teller struct {
	http.ResponseWriter
	code int
}

func (t *teller) WriteHeader(code int) {
	t.code = code
	t.ResponseWriter.WriteHeader(code)
}

// Store is as the library's handler wants it.
func (r *receiver) Store(request *http.Request, kind remote.WriteMessageType) (*remote.WriteResponse, error) {
	body, err := io.ReadAll(request.Body)
	if err != nil {
		return nil, err
	}
	var all []point
	if kind == remote.WriteV2MessageType {
		all, err = points2(body)
	} else {
		all, err = points1(body)
	}
	answer := remote.NewWriteResponse()
	if err != nil {
		answer.SetStatusCode(http.StatusBadRequest)
		return answer, err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	var good []point
	for _, p := range all {
		if r.refuses == nil {
			break
		}
		if why := r.refuses(p); why != "" {
			err = fmt.Errorf("%s: %s", p.Series, why)
		} else {
			good = append(good, p)
		}
	}
	switch {
	case err == nil:
		good = all
	case !r.partly:
		good = nil
	}
	r.points = append(r.points, good...)
	answer.Add(remote.WriteResponseStats{Samples: len(good)})
	if err != nil {
		answer.SetStatusCode(cmp.Or(r.code, http.StatusBadRequest))
	}
	return answer, err
}

func points2(body []byte) (all []point, err error) {
	var m writev2.Request
	if err := proto.Unmarshal(body, &m); err != nil {
		return nil, err
	}
	for _, ts := range m.Timeseries {
		var names []string
		for _, ref := range ts.LabelsRefs {
			names = append(names, m.Symbols[ref])
		}
		about := fmt.Sprintf("%s|%s|%s", ts.Metadata.Type, m.Symbols[ts.Metadata.UnitRef], m.Symbols[ts.Metadata.HelpRef])
		for _, s := range ts.Samples {
			all = append(all, point{labels.FromStrings(names...).String(), told(s.Value), s.Timestamp, ts.CreatedTimestamp, about})
		}
	}
	return all, nil
}

func points1(body []byte) (all []point, err error) {
	var m prompb.WriteRequest
	if err := m.Unmarshal(body); err != nil {
		return nil, err
	}
	for _, ts := range m.Timeseries {
		var names []string
		for _, l := range ts.Labels {
			names = append(names, l.Name, l.Value)
		}
		for _, s := range ts.Samples {
			all = append(all, point{Series: labels.FromStrings(names...).String(), Value: told(s.Value), At: s.Timestamp})
		}
	}
	return all, nil
}

func told(v float64) string {
	if value.IsStaleNaN(v) {
		return "stale"
	}
	return fmt.Sprint(v)
}

// got gives what was taken since it was asked last.
func (r *receiver) got() []point {
	r.mu.Lock()
	defer r.mu.Unlock()
	points := r.points
	r.points = nil
	return points
}

// answered gives how requests were answered since it was asked last.
func (r *receiver) answered() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	requests := r.requests
	r.requests = nil
	return requests
}

// to is a destination that is this receiver.
func (r *receiver) to(t testing.TB, only string) *destination {
	d, err := newDestination("http://receiver.example/api/v1/write", &http.Client{Transport: r}, only, time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// unpack gives the body of a request.
func unpack(t testing.TB, r *http.Request) []byte {
	packed, err := io.ReadAll(r.Body)
	if err != nil {
		t.Error(err)
	}
	r.Body = io.NopCloser(bytes.NewReader(packed))
	body, err := snappy.Decode(nil, packed)
	if err != nil {
		t.Error(err)
	}
	return body
}
