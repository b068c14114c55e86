package remotewrite

import (
	"testing"

	newest "github.com/prometheus/prometheus/prompb/io/prometheus/write/v2"
)

// When a sum began is told to who knows the message of today, and to who knows that of a
// release candidate.
func TestStartTimestamp(t *testing.T) {
	samples, _ := readAll(t, newReader(nil, nil), shownOf(page, sums), "", false)
	m := message2([]group{{samples: samples}})
	data, err := m.MarshalVT()
	if err != nil {
		t.Fatal(err)
	}
	var now newest.Request
	if err := now.Unmarshal(data); err != nil {
		t.Fatal(err)
	}
	for i, s := range samples {
		if got := now.Timeseries[i].Samples[0]; got.StartTimestamp != s.began || got.Timestamp != s.at || m.Timeseries[i].CreatedTimestamp != s.began {
			t.Errorf("%v is %+v", s.labels, got)
		}
	}
	if samples[len(samples)-1].began == 0 {
		t.Error("nothing is a sum")
	}
}
