package remotewrite

import (
	writev2 "github.com/prometheus/client_golang/exp/api/remote/genproto/v2"
	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/prompb"
	"google.golang.org/protobuf/encoding/protowire"
)

// kinds2 and kinds1 are the types of metrics in remote write 2.0 and 1.0.
var (
	kinds2 = map[model.MetricType]writev2.Metadata_MetricType{
		model.MetricTypeCounter: writev2.Metadata_METRIC_TYPE_COUNTER, model.MetricTypeGauge: writev2.Metadata_METRIC_TYPE_GAUGE,
		model.MetricTypeHistogram: writev2.Metadata_METRIC_TYPE_HISTOGRAM, model.MetricTypeSummary: writev2.Metadata_METRIC_TYPE_SUMMARY,
		model.MetricTypeInfo: writev2.Metadata_METRIC_TYPE_INFO,
	}
	kinds1 = map[model.MetricType]prompb.MetricMetadata_MetricType{
		model.MetricTypeCounter: prompb.MetricMetadata_COUNTER, model.MetricTypeGauge: prompb.MetricMetadata_GAUGE,
		model.MetricTypeHistogram: prompb.MetricMetadata_HISTOGRAM, model.MetricTypeSummary: prompb.MetricMetadata_SUMMARY,
		model.MetricTypeInfo: prompb.MetricMetadata_INFO,
	}
)

// startTimestamp is the field of a sample that says when its sum began, by the 2.0
// specification since its release candidate 4. The library's message is of the one before, which
// had that in the series: both are set, and who knows one leaves the other out.
const startTimestamp = 3

// message2 is a request of remote write 2.0.
func message2(groups []group) *writev2.Request {
	symbols := writev2.NewSymbolTable()
	n := count(groups)
	request := &writev2.Request{Timeseries: make([]*writev2.TimeSeries, 0, n)}
	all, values := make([]writev2.TimeSeries, n), make([]writev2.Sample, n)
	metadata := make(map[*family]*writev2.Metadata)
	for _, g := range groups {
		for i := range g.samples {
			s := &g.samples[i]
			about := metadata[s.family]
			if about == nil {
				about = &writev2.Metadata{Type: kinds2[s.family.kind], HelpRef: symbols.Symbolize(s.family.help), UnitRef: symbols.Symbolize(s.family.unit)}
				metadata[s.family] = about
			}
			at := len(request.Timeseries)
			values[at].Value, values[at].Timestamp = s.value, s.at
			if s.began != 0 {
				began := protowire.AppendTag(nil, startTimestamp, protowire.VarintType)
				values[at].ProtoReflect().SetUnknown(protowire.AppendVarint(began, uint64(s.began)))
			}
			one := &all[at]
			one.Samples, one.Metadata, one.CreatedTimestamp = []*writev2.Sample{&values[at]}, about, s.began
			s.labels.Range(func(l labels.Label) {
				one.LabelsRefs = append(one.LabelsRefs, symbols.Symbolize(l.Name), symbols.Symbolize(l.Value))
			})
			request.Timeseries = append(request.Timeseries, one)
		}
	}
	request.Symbols = symbols.Symbols()
	return request
}

// message1 is a request of remote write 1.0.
func message1(groups []group) *prompb.WriteRequest {
	request := &prompb.WriteRequest{Timeseries: make([]prompb.TimeSeries, 0, count(groups))}
	told := make(map[string]bool)
	for _, g := range groups {
		for i := range g.samples {
			s := &g.samples[i]
			one := prompb.TimeSeries{Samples: []prompb.Sample{{Value: s.value, Timestamp: s.at}}, Labels: make([]prompb.Label, 0, s.labels.Len())}
			s.labels.Range(func(l labels.Label) { one.Labels = append(one.Labels, prompb.Label{Name: l.Name, Value: l.Value}) })
			request.Timeseries = append(request.Timeseries, one)
			if f := s.family; !told[f.name] {
				told[f.name] = true
				request.Metadata = append(request.Metadata, prompb.MetricMetadata{Type: kinds1[f.kind], MetricFamilyName: f.name, Help: f.help, Unit: f.unit})
			}
		}
	}
	return request
}

// count is the number of samples of some groups.
func count(groups []group) (n int) {
	for i := range groups {
		n += len(groups[i].samples)
	}
	return n
}
