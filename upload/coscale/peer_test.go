package coscale

import (
	"bytes"
	"cmp"
	"compress/gzip"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	api "scriptbridge/coscale"
)

// peer is the other end of the uploader in tests: a plain server that keeps
// what it is told, and fails as a test wants it to. It can be used as a server
// and, without sockets, as a transport.
type peer struct {
	mu sync.Mutex
	// fault, if not nil, says what goes wrong with a request.
	fault func(r *http.Request, body url.Values) fault

	calls   []string // what was asked, in order; bodies of data calls decoded
	next    int64
	objects map[string]int64  // by kind, parent and name
	names   map[string]string // the other way round, by kind and id
	points  map[string]map[int64]float64
	again   int // points that came more than once
	changed int // of those, with another value
	newest  int64
	late    int // points that are older than one of an earlier call
	events  []*api.EventData
}

// fault is what goes wrong: the answer's status (then nothing is done), its
// body where it is not the API's, or the connection, before or after the
// request was obeyed.
type fault struct {
	status        int
	body          string
	header        http.Header
	before, after bool
}

func newPeer() *peer {
	p := &peer{}
	p.reset()
	return p
}

// reset makes the server forget all.
func (p *peer) reset() {
	p.next = 100
	p.objects = make(map[string]int64)
	p.names = make(map[string]string)
	p.points = make(map[string]map[int64]float64)
	p.events = nil
}

func (p *peer) RoundTrip(r *http.Request) (*http.Response, error) {
	w := httptest.NewRecorder()
	if p.serve(w, r) {
		return nil, io.ErrUnexpectedEOF
	}
	return w.Result(), nil
}

func (p *peer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	record := httptest.NewRecorder()
	if p.serve(record, r) {
		panic(http.ErrAbortHandler)
	}
	maps.Copy(w.Header(), record.Header())
	w.WriteHeader(record.Code)
	w.Write(record.Body.Bytes())
}

// serve answers; cut says that the answer does not arrive.
func (p *peer) serve(w http.ResponseWriter, r *http.Request) (cut bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	var body url.Values
	if r.Body != nil {
		text, err := io.ReadAll(r.Body)
		if err != nil {
			return true
		}
		body, _ = url.ParseQuery(string(text))
	}
	var f fault
	if p.fault != nil {
		f = p.fault(r, body)
	}
	switch {
	case f.before:
		return true
	case f.status != 0:
		maps.Copy(w.Header(), f.header)
		w.WriteHeader(f.status)
		io.WriteString(w, cmp.Or(f.body, fmt.Sprintf(`{"msg":"fault %d"}`, f.status)))
		return false
	}
	status, answer := p.answer(r, body)
	w.WriteHeader(status)
	json.NewEncoder(w).Encode(answer)
	return f.after
}

func (p *peer) answer(r *http.Request, body url.Values) (int, any) {
	path, _ := strings.CutPrefix(r.URL.Path, "/api/v1/app/app/")
	parts := strings.Split(strings.TrimSuffix(path, "/"), "/")
	id := func(i int) int64 { n, _ := strconv.ParseInt(parts[i], 10, 64); return n }
	call := r.Method + " " + path
	notFound := api.ErrorBody{Msg: "not found"}
	switch {
	case parts[0] == "login":
		p.calls = append(p.calls, call)
		return 200, map[string]string{"token": "session"}
	case parts[0] == "data":
		return p.insert(body)
	case parts[0] == "events" && len(parts) >= 3:
		if p.names["events/"+parts[1]] == "" {
			return 404, notFound
		}
		return p.event(r, call, id(1), parts, body)
	case len(parts) == 1:
		name := body.Get("name")
		key := parts[0] + "/" + body.Get("parentId") + "/" + name
		body.Del("name")
		body.Del("source")
		for k, v := range body {
			if v[0] == "" {
				body.Del(k)
			}
		}
		p.calls = append(p.calls, call+" "+name+" "+body.Encode())
		if id := p.objects[key]; id != 0 {
			return 409, api.ErrorBody{Msg: "exists", Type: api.Duplicate, ID: id}
		}
		p.next++
		p.objects[key] = p.next
		p.names[fmt.Sprint(parts[0], "/", p.next)] = name
		return 200, map[string]any{"id": p.next, "name": name}
	case len(parts) == 3 && parts[2] == "attributes":
		p.calls = append(p.calls, call+" "+body.Get("key")+"="+body.Get("value"))
		return 200, map[string]int64{"id": 1}
	case len(parts) == 4:
		p.calls = append(p.calls, call)
		if p.names[parts[0]+"/"+parts[1]] == "" || p.names[parts[2]+"/"+parts[3]] == "" {
			return 404, notFound
		}
		return 200, []int{}
	}
	return 404, notFound
}

// insert takes data: all of it, or nothing.
func (p *peer) insert(body url.Values) (int, any) {
	data, err := unpackCall(body)
	if err != nil {
		return 400, api.ErrorBody{Msg: err.Error()}
	}
	for _, d := range data {
		if p.names["metrics/"+strconv.FormatInt(d.Metric, 10)] == "" {
			return 404, api.ErrorBody{Msg: "no such metric"}
		}
	}
	p.calls = append(p.calls, fmt.Sprintf("POST data/ %d", len(data)))
	before := p.newest
	for _, d := range data {
		key := p.seriesName(d)
		if p.points[key] == nil {
			p.points[key] = make(map[int64]float64)
		}
		for _, point := range d.Points {
			if was, ok := p.points[key][point.Time]; ok {
				p.again++
				if was != point.Value {
					p.changed++
				}
			}
			p.points[key][point.Time] = point.Value
			p.newest = max(p.newest, point.Time)
			if point.Time < before {
				p.late++
			}
		}
	}
	return 200, api.ErrorBody{Msg: "stored"}
}

// unpackCall reads the body of a data call.
func unpackCall(body url.Values) ([]api.Data, error) {
	packed, err := base64.StdEncoding.DecodeString(body.Get("cdata"))
	if err != nil {
		return nil, err
	}
	zip, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		return nil, err
	}
	text, err := io.ReadAll(zip)
	if err == nil && len(text) > 8<<20 {
		err = errors.New("too long")
	}
	if err != nil {
		return nil, err
	}
	var data []api.Data
	return data, json.Unmarshal(text, &data)
}

func decodeCall(t *testing.T, body url.Values) []api.Data {
	t.Helper()
	data, err := unpackCall(body)
	if err != nil {
		t.Error(err)
	}
	return data
}

func (p *peer) subjectName(s string) string {
	kind, id, _ := api.ParseSubject(s)
	if kind == "" {
		return "application"
	}
	return p.names[fmt.Sprint(kind, "/", id)]
}

// seriesName is how tests speak of a series: metric@subject{dimensions}.
func (p *peer) seriesName(d api.Data) string {
	name := p.names["metrics/"+strconv.FormatInt(d.Metric, 10)] + "@" + p.subjectName(d.Subject)
	var dims []string
	for k, v := range d.Dimensions {
		dims = append(dims, k+"="+v)
	}
	slices.Sort(dims)
	if len(dims) > 0 {
		name += "{" + strings.Join(dims, ",") + "}"
	}
	return name
}

func (p *peer) event(r *http.Request, call string, category int64, parts []string, body url.Values) (int, any) {
	if r.Method != http.MethodGet {
		call += " " + body.Encode()
	}
	p.calls = append(p.calls, call)
	switch {
	case r.Method == http.MethodGet && len(parts) == 3:
		start, _ := strconv.ParseInt(r.URL.Query().Get("start"), 10, 64)
		stop, _ := strconv.ParseInt(r.URL.Query().Get("stop"), 10, 64)
		found := []*api.EventData{}
		for _, e := range p.events {
			if e.EventID == category && e.Timestamp >= start && e.Timestamp <= stop {
				found = append(found, e)
			}
		}
		return 200, found
	case r.Method == http.MethodPost:
		p.next++
		e := &api.EventData{ID: p.next, EventID: category}
		p.events = append(p.events, e)
		return 200, fillEvent(e, body)
	}
	for _, e := range p.events {
		if e.EventID != category || strconv.FormatInt(e.ID, 10) != parts[len(parts)-1] {
			continue
		}
		if r.Method == http.MethodPut {
			return 200, fillEvent(e, body)
		}
		return 200, e
	}
	return 404, api.ErrorBody{Msg: "no such event"}
}

func fillEvent(e *api.EventData, body url.Values) *api.EventData {
	e.Message, e.Subject, e.Attribute = body.Get("message"), body.Get("subject"), body.Get("attribute")
	e.Timestamp, _ = strconv.ParseInt(body.Get("timestamp"), 10, 64)
	e.StopTime = nil
	if stop, err := strconv.ParseInt(body.Get("stopTime"), 10, 64); err == nil {
		e.StopTime = &stop
	}
	e.Version++
	return e
}

// told gives the points of all series, as "series time value", in order.
func (p *peer) told() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	var all []string
	for series, points := range p.points {
		for at, v := range points {
			all = append(all, fmt.Sprintf("%s %d %v", series, at, v))
		}
	}
	slices.Sort(all)
	return all
}

// asked gives the calls since it was last called.
func (p *peer) asked() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	calls := p.calls
	p.calls = nil
	return calls
}
