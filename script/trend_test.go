package script

import (
	"fmt"
	"math"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"scriptbridge/record"
)

func sample(name, disk string, value float64) record.Sample {
	s := record.Sample{Name: name, Value: value}
	if disk != "" {
		s.Labels = []record.Label{{Name: "disk", Value: disk}, {Name: "x", Value: `"`}}
	}
	return s
}

// Of each run the values of the first series are kept, of a run without one that there is
// none; what has not been mentioned for as long makes room, and what was given to
// somebody stays as it was.
func TestTrends(t *testing.T) {
	nan := float32(math.NaN())
	first := trendsOf(nil, []record.Sample{sample("a", "", 1), sample("b", "/", 2.5)})
	second := trendsOf(first, []record.Sample{sample("b", "/", 1594465726), {Name: "c", Op: record.Observe, Value: 9}})
	third := trendsOf(second, nil)
	want := []Trend{
		{Label: "a", Last: 1, Values: []float32{1, nan, nan}},
		{Label: `b disk="/", x="\""`, Last: 1594465726, Values: []float32{2.5, 1594465726, nan}},
	}
	if diff := cmp.Diff(want, third, cmpopts.EquateNaNs()); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]Trend{{Label: "a", Last: 1, Values: []float32{1}}, {Label: want[1].Label, Last: 2.5, Values: []float32{2.5}}}, first); diff != "" {
		t.Errorf("an earlier view has changed: %s", diff)
	}
	for range historyMax - 1 {
		third = trendsOf(third, []record.Sample{sample("d", "", 4)})
	}
	if len(third) != 1 || third[0].Label != "d" || len(third[0].Values) != historyMax-1 {
		t.Errorf("what is gone is still there: %+v", third)
	}

	var many []record.Sample
	for i := range 1000 {
		many = append(many, sample(fmt.Sprint(i), strings.Repeat("x", 1000), 1))
	}
	var trends []Trend
	for range 2 * historyMax {
		trends = trendsOf(trends, many)
	}
	if n := len(trends); n != trendsMax || len(trends[0].Values) != historyMax || cap(trends[0].Values) != historyMax || len(trends[0].Label) > trendLabel+len("…") {
		t.Errorf("%d: %+v", n, trends[0])
	}
}
