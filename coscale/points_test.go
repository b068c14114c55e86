package coscale

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var textPoints = []struct {
	name, text string
	want       []TextPoint
	err        string
}{
	{name: "coscale-cli's", text: `M1:S100:-60:1.2;M1:S100:0:2`, want: []TextPoint{
		{"M1:S100:-60:1.2", Name{ID: 1}, Name{ID: 100}, Servers, Point{Time: -60, Value: 1.2}, nil},
		{"M1:S100:0:2", Name{ID: 1}, Name{ID: 100}, Servers, Point{Value: 2}, nil},
	}},
	{name: "dimensions", text: `M1:A:-60:1.3:{"Queue":"q1","Data Center":"data; center: 1"};M2:G3:1454580954:1.2`, want: []TextPoint{
		{`M1:A:-60:1.3:{"Queue":"q1","Data Center":"data; center: 1"}`, Name{ID: 1}, Name{}, "", Point{Time: -60, Value: 1.3},
			map[string]string{"Queue": "q1", "Data Center": "data; center: 1"}},
		{"M2:G3:1454580954:1.2", Name{ID: 2}, Name{ID: 3}, ServerGroups, Point{Time: 1454580954, Value: 1.2}, nil},
	}},
	{name: "histogram", text: `M1:S1:-60:[100,50,[1,2,3]]:{"a":"b"}`, want: []TextPoint{
		{`M1:S1:-60:[100,50,[1,2,3]]:{"a":"b"}`, Name{ID: 1}, Name{ID: 1}, Servers,
			Point{Time: -60, Histogram: &Histogram{100, 50, []float64{1, 2, 3}}}, map[string]string{"a": "b"}},
	}},
	{name: "names", text: `Queue length:web-01:0:-2.5e3;"M1":"s17":0:1;"a:b \"c\"":"x;y":0:1`, want: []TextPoint{
		{"Queue length:web-01:0:-2.5e3", Name{Name: "Queue length"}, Name{Name: "web-01"}, Servers, Point{Value: -2500}, nil},
		{`"M1":"s17":0:1`, Name{Name: "M1"}, Name{Name: "s17"}, Servers, Point{Value: 1}, nil},
		{`"a:b \"c\"":"x;y":0:1`, Name{Name: `a:b "c"`}, Name{Name: "x;y"}, Servers, Point{Value: 1}, nil},
	}},
	{name: "names that begin like ids", text: "Memory:agent:0:1;M:s:0:1;m7:a:0:1", want: []TextPoint{
		{"Memory:agent:0:1", Name{Name: "Memory"}, Name{Name: "agent"}, Servers, Point{Value: 1}, nil},
		{"M:s:0:1", Name{Name: "M"}, Name{Name: "s"}, Servers, Point{Value: 1}, nil},
		{"m7:a:0:1", Name{ID: 7}, Name{}, "", Point{Value: 1}, nil},
	}},
	{name: "lines", text: "\nM1:A:0:1\r\nM1:A:0:2;\n;;  \nM1:A:0:3", want: []TextPoint{
		{"M1:A:0:1", Name{ID: 1}, Name{}, "", Point{Value: 1}, nil},
		{"M1:A:0:2", Name{ID: 1}, Name{}, "", Point{Value: 2}, nil},
		{"M1:A:0:3", Name{ID: 1}, Name{}, "", Point{Value: 3}, nil},
	}},
	{name: "nothing", text: " \n;\n"},
	{name: "bad ones among good ones", text: `M1:A:0:1;M1:A:0:1.2.3;M1:A:soon:1;M1;M1:A:0;:A:0:1;M1::0:1;M1:A:0:NaN;M1:A:0:1e999;M1:A:0:0x10` + "\n" +
		`M1:A:0:[1,2;M1:A:0:[1,2];M1:A:0:[1,2,[3]]x;M1:A:0:1:{"a":1};M1:A:0:1:null;M1:A:0:1:{"":"b"};"M1:A:0:1;M1:A:0:4`,
		want: []TextPoint{
			{"M1:A:0:1", Name{ID: 1}, Name{}, "", Point{Value: 1}, nil},
			{"M1:A:0:4", Name{ID: 1}, Name{}, "", Point{Value: 4}, nil},
		},
		err: `point 2, M1:A:0:1.2.3: value "1.2.3" is no number; write it like 1.5, -2e3 or [samples,width,[values]]
point 3, M1:A:soon:1: time "soon" is no whole number; write Unix seconds, 0 for now, or -60 for a minute ago
point 4, M1: metric: no colon follows; write METRIC:SUBJECT:TIME:VALUE
point 5, M1:A:0: has no value; write METRIC:SUBJECT:TIME:VALUE
point 6, :A:0:1: has no metric; write M and its id, or its name
point 7, M1::0:1: has no subject; write A for the application, S and a server's id, or a server's name
point 8, M1:A:0:NaN: value "NaN" is no number; write it like 1.5, -2e3 or [samples,width,[values]]
point 9, M1:A:0:1e999: value "1e999" is no number; write it like 1.5, -2e3 or [samples,width,[values]]
point 10, M1:A:0:0x10: value "0x10" is no number; write it like 1.5, -2e3 or [samples,width,[values]]
point 11, M1:A:0:[1,2: histogram [1,2 does not end well; write it like 1.5, -2e3 or [samples,width,[values]]
point 12, M1:A:0:[1,2]: histogram [1,2]: a histogram has three items: samples, width and a list of values
point 13, M1:A:0:[1,2,[3]]x: "x" follows the histogram
point 14, M1:A:0:1:{"a":1}: dimensions {"a":1} are none; write {"NAME":"VALUE",…}, both in double quotes
point 15, M1:A:0:1:null: dimensions null are none; write {"NAME":"VALUE",…}, both in double quotes
point 16, M1:A:0:1:{"":"b"}: a dimension has no name
point 17, "M1:A:0:1: metric: its quotes do not end`},
}

func TestParsePoints(t *testing.T) {
	for _, c := range textPoints {
		t.Run(c.name, func(t *testing.T) {
			got, err := ParsePoints(c.text)
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Error(diff)
			}
			told := ""
			if err != nil {
				told = err.Error()
			}
			if diff := cmp.Diff(c.err, told); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// FuzzParsePoints: whatever is read can be written, and a line before and one
// behind it are read as well.
func FuzzParsePoints(f *testing.F) {
	for _, c := range textPoints {
		f.Add(c.text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		alone, _ := ParsePoints(text)
		for _, p := range alone {
			if _, err := p.Point.MarshalJSON(); err != nil {
				t.Errorf("%q: %v", p.Text, err)
			}
			if p.Metric == (Name{}) || p.Kind == "" && p.Subject != (Name{}) || !strings.Contains(text, p.Text) {
				t.Errorf("%+v", p)
			}
		}
		among, _ := ParsePoints("M1:A:0:1\n" + text + "\nM1:A:0:1")
		if len(among) != len(alone)+2 {
			t.Errorf("%d points alone, %d among others", len(alone), len(among))
		}
	})
}
