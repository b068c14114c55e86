package e2e

import (
	"cmp"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/prometheus/client_golang/exp/api/remote"
	writev2 "github.com/prometheus/client_golang/exp/api/remote/genproto/v2"
	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/prompb"
	"google.golang.org/protobuf/proto"
)

// writePeer is a destination of remote write by the library's own handler, which notes
// what it was given.
type writePeer struct {
	front

	mu sync.Mutex
	// refuses says why it does not take a point; empty: it does. Without partly a request
	// with such a point is refused as a whole, as by Prometheus.
	refuses func(series string, p writtenPoint) string
	partly  bool
	series  map[string][]writtenPoint // by name{labels}, in the order in which they came
	// seen are values by their metric's name alone, and messages of events; where it is not nil, series is
	// not kept.
	seen  map[string]bool
	kinds map[remote.WriteMessageType]int
}

// writtenPoint is a sample as a request has it.
type writtenPoint struct {
	at, created      int64 // Unix milliseconds
	value            float64
	kind, help, unit string
}

func newWritePeer(t testing.TB, knows ...remote.WriteMessageType) *writePeer {
	t.Helper()
	p := &writePeer{series: make(map[string][]writtenPoint), kinds: make(map[remote.WriteMessageType]int)}
	if len(knows) == 0 {
		knows = []remote.WriteMessageType{remote.WriteV2MessageType, remote.WriteV1MessageType}
	}
	p.open(t, remote.NewWriteHandler(p, knows))
	return p
}

// url is where it takes remote write.
func (p *writePeer) url() string { return "http://" + p.address + "/api/v1/write" }

// Store is what the library's handler gives requests to.
func (p *writePeer) Store(r *http.Request, kind remote.WriteMessageType) (*remote.WriteResponse, error) {
	answer := remote.NewWriteResponse()
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return answer, err
	}
	read := read1
	if kind == remote.WriteV2MessageType {
		read = read2
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.kinds[kind]++
	taken := make(map[string][]writtenPoint)
	points, refused := 0, 0
	var why string
	err = read(body, func(series string, point writtenPoint) {
		if p.refuses != nil {
			if no := p.refuses(series, point); no != "" {
				refused, why = refused+1, series+": "+no
				return
			}
		}
		points++
		taken[series] = append(taken[series], point)
	})
	if err != nil {
		answer.SetStatusCode(http.StatusBadRequest)
		return answer, err
	}
	if refused == 0 || p.partly {
		for series, points := range taken {
			if p.seen != nil {
				p.see(series, points)
				continue
			}
			p.series[series] = append(p.series[series], points...)
		}
		answer.Add(remote.WriteResponseStats{Samples: points})
	}
	if refused > 0 {
		answer.SetStatusCode(http.StatusBadRequest)
		return answer, fmt.Errorf("%d samples are refused, such as %s", refused, why)
	}
	return answer, nil
}

func read2(body []byte, take func(string, writtenPoint)) error {
	var m writev2.Request
	if err := proto.Unmarshal(body, &m); err != nil {
		return err
	}
	symbol := func(ref uint32) string { return m.Symbols[ref] }
	if len(m.Symbols) == 0 || m.Symbols[0] != "" || len(slices.Compact(slices.Sorted(slices.Values(m.Symbols)))) != len(m.Symbols) {
		return fmt.Errorf("the symbols are %q", m.Symbols)
	}
	for _, ts := range m.Timeseries {
		var all []labels.Label
		for i := 0; i+1 < len(ts.LabelsRefs); i += 2 {
			all = append(all, labels.Label{Name: symbol(ts.LabelsRefs[i]), Value: symbol(ts.LabelsRefs[i+1])})
		}
		series, err := seriesName(all)
		if err != nil {
			return err
		}
		for _, s := range ts.Samples {
			kind := strings.ToLower(strings.TrimPrefix(ts.Metadata.Type.String(), "METRIC_TYPE_"))
			take(series, writtenPoint{at: s.Timestamp, created: ts.CreatedTimestamp, value: s.Value, kind: kind, help: symbol(ts.Metadata.HelpRef), unit: symbol(ts.Metadata.UnitRef)})
		}
	}
	return nil
}

func read1(body []byte, take func(string, writtenPoint)) error {
	var m prompb.WriteRequest
	if err := m.Unmarshal(body); err != nil {
		return err
	}
	for _, ts := range m.Timeseries {
		var all []labels.Label
		for _, l := range ts.Labels {
			all = append(all, labels.Label{Name: l.Name, Value: l.Value})
		}
		series, err := seriesName(all)
		if err != nil {
			return err
		}
		for _, s := range ts.Samples {
			take(series, writtenPoint{at: s.Timestamp, value: s.Value})
		}
	}
	return nil
}

// seriesName is name{labels}, of labels in the order that the protocol wants.
func seriesName(all []labels.Label) (string, error) {
	byName := func(a, b labels.Label) int { return cmp.Compare(a.Name, b.Name) }
	if !slices.IsSortedFunc(all, byName) || len(slices.CompactFunc(slices.Clone(all), func(a, b labels.Label) bool { return a.Name == b.Name })) != len(all) {
		return "", fmt.Errorf("the labels are %v", all)
	}
	ls := labels.New(all...)
	name := ls.Get(model.MetricNameLabel)
	if name == "" {
		return "", fmt.Errorf("%v has no name", ls)
	}
	rest := labels.NewBuilder(ls).Del(model.MetricNameLabel).Labels()
	return name + rest.String(), nil
}

// of gives the points of a series.
func (p *writePeer) of(series string) []writtenPoint {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.series[series])
}

// all gives all points of all series.
func (p *writePeer) all() map[string][]writtenPoint {
	p.mu.Lock()
	defer p.mu.Unlock()
	all := maps.Clone(p.series)
	for series, points := range all {
		all[series] = slices.Clone(points)
	}
	return all
}

// requests is how many came of a kind.
func (p *writePeer) requests(kind remote.WriteMessageType) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.kinds[kind]
}

// writeOne is another writer, which writes one sample to a destination.
func writeOne(t *testing.T, url, name string, about map[string]string, v float64, at int64) {
	t.Helper()
	api, err := remote.NewAPI(url, remote.WithAPIPath(""))
	if err != nil {
		t.Fatal(err)
	}
	ts := prompb.TimeSeries{Labels: []prompb.Label{{Name: model.MetricNameLabel, Value: name}}, Samples: []prompb.Sample{{Value: v, Timestamp: at}}}
	for _, l := range sortedLabels(about) {
		ts.Labels = append(ts.Labels, prompb.Label{Name: l.Name, Value: l.Value})
	}
	if _, err := api.Write(t.Context(), remote.WriteV1MessageType, &prompb.WriteRequest{Timeseries: []prompb.TimeSeries{ts}}); err != nil {
		t.Fatal(err)
	}
}

// labWritePeer is a writePeer that the faults are tried with.
type labWritePeer struct{ *writePeer }

func newLabWritePeer(t *testing.T) labWritePeer {
	p := labWritePeer{newWritePeer(t)}
	p.seen = make(map[string]bool)
	return p
}

// see notes what missing looks for. The caller holds mu.
func (p *writePeer) see(series string, points []writtenPoint) {
	name, rest, _ := strings.Cut(series, "{")
	for _, point := range points {
		p.seen[fmt.Sprintf("%s %v", name, point.value)] = true
	}
	if _, rest, ok := strings.Cut(rest, `message="`); ok {
		message, _, _ := strings.Cut(rest, `"`)
		p.seen[message] = true
	}
}

// missing looks for values, which the load does not repeat, and for events' messages.
func (p labWritePeer) missing(wanted map[string]bool) (missing []string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for key := range wanted {
		look := key
		var client int
		var v float64
		if _, err := fmt.Sscanf(key, "load %d %g ", &client, &v); err == nil {
			look = fmt.Sprintf("coscale_load_%d %v", client, v)
		}
		if !p.seen[look] {
			missing = append(missing, key)
		}
	}
	return missing
}

// repeated is nothing: a sample that arrives twice is one sample.
func (labWritePeer) repeated() []string { return nil }
