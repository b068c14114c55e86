package coscale

import (
	"bytes"
	"encoding/json"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"scriptbridge/internal/texts"
)

// peerJSON is what encoding/json makes of an entry.
func peerJSON(d Data) ([]byte, error) {
	points := make([][]any, len(d.Points))
	for i, p := range d.Points {
		points[i] = []any{p.Time, p.Value}
		if h := p.Histogram; h != nil {
			points[i][1] = []any{h.Samples, h.Width, append([]float64{}, h.Values...)}
		}
	}
	return texts.JSON(struct {
		M  int64             `json:"m"`
		S  string            `json:"s,omitempty"`
		D  [][]any           `json:"d"`
		DV map[string]string `json:"dv,omitempty"`
	}{d.Metric, d.Subject, points, d.Dimensions})
}

func TestAppendJSON(t *testing.T) {
	names := []string{"", "a", "Data Center", `"quoted"`, `back\slash`, "<&>", "é", "\u2028", "\xff", "\x00", "\x7f", "tab\t", "b", "zz", "Z"}
	numbers := []float64{
		0, math.Copysign(0, -1), 1, -1, 0.1, 1e-6, 9.99e-7, 1e-7, 1e15, -1e15, 1e15 + 2, 123456789012345680, 1e20, 1e21, 1.5e300, -5e-324, math.MaxFloat64, 1.0 / 3, 50.4,
	}
	dice := rand.New(rand.NewPCG(1, 2))
	number := func() float64 {
		if dice.IntN(2) == 0 {
			return numbers[dice.IntN(len(numbers))]
		}
		v := math.Float64frombits(dice.Uint64())
		if math.IsNaN(v) || math.IsInf(v, 0) {
			return 7
		}
		return v
	}
	for range 20_000 {
		d := Data{Metric: int64(dice.Uint64()), Subject: names[dice.IntN(len(names))], Points: make([]Point, dice.IntN(3))}
		for i := range d.Points {
			d.Points[i] = Point{Time: int64(dice.Uint64()), Value: number()}
			if dice.IntN(4) == 0 {
				d.Points[i].Histogram = &Histogram{number(), number(), make([]float64, dice.IntN(3))}
			}
		}
		for range dice.IntN(4) {
			if d.Dimensions == nil {
				d.Dimensions = make(map[string]string)
			}
			d.Dimensions[names[dice.IntN(len(names))]] = names[dice.IntN(len(names))]
		}
		want, err := peerJSON(d)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := d.appendJSON(nil); err != nil || !bytes.Equal(got, want) {
			t.Fatalf("%s, %v; want %s", got, err, want)
		}
	}
	for _, v := range []float64{math.NaN(), math.Inf(1), math.Inf(-1)} {
		for _, p := range []Point{{Value: v}, {Histogram: &Histogram{Samples: v}}, {Histogram: &Histogram{Values: []float64{v}}}} {
			if text, err := json.Marshal([]Data{{Points: []Point{p}}}); err == nil {
				t.Errorf("%v is written as %s", v, text)
			}
			if _, err := (&Data{Points: []Point{p}}).appendJSON(nil); err == nil {
				t.Errorf("%v is written", v)
			}
		}
	}
	if text, err := (&Data{}).appendJSON(nil); err != nil || string(text) != `{"m":0,"d":null}` {
		t.Error(string(text), err)
	}
}

// TestAppendJSONAllocates nothing for what nearly all values are.
func TestAppendJSONAllocates(t *testing.T) {
	text := make([]byte, 0, 1<<10)
	d := Data{Metric: 211, Subject: "s17", Points: []Point{{Time: 1700000000, Value: 50.4}}, Dimensions: map[string]string{"Data Center": "north"}}
	n := testing.AllocsPerRun(100, func() { text, _ = d.appendJSON(text[:0]) })
	if n > 0 {
		t.Errorf("%v allocations", n)
	}
	if !slices.Equal(text, []byte(`{"m":211,"s":"s17","d":[[1700000000,50.4]],"dv":{"Data Center":"north"}}`)) {
		t.Error(string(text))
	}
}
