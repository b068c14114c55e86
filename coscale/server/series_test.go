package server

import (
	"bufio"
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/url"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"scriptbridge/coscale"
	"scriptbridge/record"
)

// FuzzDataset reads what json.Unmarshal reads, as the same entries, in whatever pieces it
// comes.
func FuzzDataset(f *testing.F) {
	for _, s := range []string{
		`[{"m":211,"s":"s17","d":[[-60,1.5]],"dv":{"Queue":"q1"}}]`, `[{"m":1,"d":[[0,1],[-1,-0],[1,1e3],[2,"NaN"],[3,[1,2,[3]]]]},{"m":2,"s":"a","d":[]}]`,
		`[{"dv":{"b":"1","a":"2","c":""},"d":[[0,1]],"m":3}]`, `[{"dv":{"b":"1","b":"2"},"d":[[0,1]],"m":3}]`, `[{"m":1,"m":2,"d":[[0,1]],"d":[[5,6]]}]`,
		`[{"M":1,"S":"a","D":[[0,1]]}]`, `[{"metricId":1,"subjectId":"a","data":[[0,1]]}]`, `[{"m":1,"s":"\u0061","d":[[0,1]],"dv":{"a":"\n"}}]`, `[{"m":1.0,"d":[[0,1]]}]`,
		`[{"m":1,"d":[[0.5,1]]}]`, `[{"m":1,"d":[[9007199254740992,1]]}]`, `[{"m":-0,"d":[[-0,-0]]}]`, `[{"m":1,"d":[[0,1,2]]}]`, `[{"m":1,"d":[[0,1,2,3]]}]`, `[{},null,{"d":null,"dv":null,"s":null}]`,
		`[{"m":1,"d":[[0,1]],"x":{"d":[1]}}]`, `[{"m":1,"d":[[0,1]]}`, `[{"m":1,"d":[[0,1]]},]`, `[{"m":1 "d":[[0,1]]}]`, ` [ { "m" : 1 , "d" : [ [ 0 , 1 ] ] } ] x`, "[{\"m\":1,\"s\":\"\xff\",\"d\":[[0,1]]}]", `null`, `{}`,
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		var wires []wire
		if errWant := json.Unmarshal([]byte(text), &wires); errWant == nil && len(text) < maxValue {
			// Of two entries in one place, the second is read over the first.
			var raw []json.RawMessage
			if json.Unmarshal([]byte(text), &raw) == nil {
				wires = wires[:0]
				for _, one := range raw {
					var w wire
					if err := json.Unmarshal(one, &w); err != nil {
						t.Fatal(err)
					}
					wires = append(wires, w)
				}
			}
		} else if len(text) >= maxValue {
			return
		} else {
			wires = nil
			for _, r := range []io.Reader{strings.NewReader(text), iotest.OneByteReader(strings.NewReader(text))} {
				if err := new(dataset).read(bufio.NewReaderSize(r, maxValue)); err == nil {
					t.Errorf("%q is read, and json says %v", text, errWant)
				}
			}
			return
		}
		want := ""
		for i, w := range wires {
			points := w.Points
			if len(points) == 0 {
				points = w.Values
			}
			for j, p := range points {
				want += fmt.Sprintf("%d.%d: %d %q %q %s\n", i, j, cmp.Or(w.Metric, w.MetricID), cmp.Or(w.Subject, w.SubjectID), record.LabelsOf(w.Dimensions), shownPoint(p))
			}
		}
		for _, r := range []io.Reader{strings.NewReader(text), iotest.OneByteReader(strings.NewReader(text)), iotest.HalfReader(strings.NewReader(text))} {
			var d dataset
			if err := d.read(bufio.NewReaderSize(r, maxValue)); err != nil {
				t.Fatalf("%q: %v", text, err)
			}
			got := ""
			for _, e := range d.entries {
				metric, subject, dimensions := e.of.parts()
				for j, p := range e.points {
					got += fmt.Sprintf("%d.%d: %d %q %q %s\n", e.number, int(e.first)+j, metric, subject, dimensions, shownPoint(p))
				}
			}
			if got != want {
				t.Fatalf("%q is read as\n%swant\n%s", text, got, want)
			}
		}
	})
}

func shownPoint(p coscale.Point) string {
	if p.Histogram != nil {
		return fmt.Sprintf("%d %v", p.Time, *p.Histogram)
	}
	return fmt.Sprintf("%d %v", p.Time, p.Value)
}

// Entries of many points, and many entries, are read whole: also where they do not fit into
// the room that there is, and with something unusual among them.
func TestDatasetOfMany(t *testing.T) {
	for _, form := range []string{
		`{"m":1,"s":"a","d":[%s]}`, `{"m":1,"s":"\u0061","d":[%s]}`, `{"m":1,"s":"a","x":null,"data":[%s]}`,
	} {
		for _, n := range []int{1, 127, 128, 129, 4096, 4097, 10_000, 30_000} {
			var points []string
			for i := range n {
				points = append(points, fmt.Sprintf("[%d,%d.5]", -i, i))
			}
			text := "[" + strings.Repeat(fmt.Sprintf(form, strings.Join(points, ","))+",", 3) + `{"m":2,"d":[[0,1]]}]`
			var d dataset
			if err := d.read(bufio.NewReaderSize(iotest.HalfReader(strings.NewReader(text)), maxValue)); err != nil {
				t.Fatal(err)
			}
			got := make(map[int32]int)
			for _, e := range d.entries {
				for j, p := range e.points {
					if e.number < 3 && (int(e.first)+j != got[e.number] || p.Time != -int64(got[e.number]) || p.Value != float64(got[e.number])+0.5) {
						t.Fatalf("%s, %d points: point %d of entry %d is %v", form, n, int(e.first)+j, e.number, p)
					}
					got[e.number]++
				}
			}
			if got[0] != n || got[1] != n || got[2] != n || got[3] != 1 {
				t.Errorf("%s, %d points: %v", form, n, got)
			}
		}
	}
}

// The points of a long entry take no memory each but their own.
func TestLongEntryAllocates(t *testing.T) {
	text := `[{"m":1,"s":"a","d":[` + strings.Repeat("[-60,1.5],", 20_000) + `[0,1]]}]`
	n := testing.AllocsPerRun(5, func() {
		var d dataset
		if err := d.read(bufio.NewReaderSize(strings.NewReader(text), maxValue)); err != nil || d.points != 20_001 {
			t.Fatal(d.points, err)
		}
	})
	if n > 100 {
		t.Errorf("it allocates %v times", n)
	}
}

// FuzzFormValue decodes what url.QueryUnescape does, in whatever pieces it comes.
func FuzzFormValue(f *testing.F) {
	for _, s := range []string{"a+b%20c", "%5b%5B0%2C1%5D%5d&x=1", "%", "%1", "%g0", "%0g", "a%g0", "a%0g", "a%%", "a%4", "a%41%4a%4A", "a;b", "", "&", "%%", strings.Repeat("%41a+", 10)} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		value, _, more := strings.Cut(text, "&")
		want, errWant := url.QueryUnescape(value)
		if strings.Contains(value, ";") {
			errWant = errSemicolon()
		}
		for _, r := range []io.Reader{strings.NewReader(text), iotest.OneByteReader(strings.NewReader(text)), iotest.HalfReader(strings.NewReader(text))} {
			v := formValue{r: bufio.NewReaderSize(r, 16)}
			got, err := io.ReadAll(iotest.HalfReader(&v))
			if (err == nil) != (errWant == nil) || err == nil && (string(got) != want || (v.end == '&') != more) {
				t.Fatalf("%q is %q, %v (end %q); want %q, %v", text, got, err, v.end, want, errWant)
			}
		}
	})
}

// What is remembered of entries holds for as long as what clients made stays as it is.
func TestTargetsFollowTheRegistry(t *testing.T) {
	h, sink := newTestHandler(t, "", nil)
	must(t, h, "POST", "/servers/", "name=web-01")
	must(t, h, "POST", "/metrics/", "name=Heat&dataType=DOUBLE")
	must(t, h, "POST", "/dimensions/", "name=B")
	must(t, h, "POST", "/dimensions/", "name=A")
	send := func() string {
		t.Helper()
		sink.heard()
		must(t, h, "POST", "/data/", `[{"m":211,"s":"s17","d":[[0,1]],"dv":{"A":"1","B":"2"}}]`)
		var samples []string
		for line := range strings.Lines(sink.heard()) {
			if !strings.HasPrefix(line, "declared") {
				samples = append(samples, line)
			}
		}
		return strings.Join(samples, "")
	}
	var dimensions []coscale.Dimension
	if err := json.Unmarshal([]byte(must(t, h, "GET", "/dimensions/", "")), &dimensions); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ method, path, form, want string }{
		{"GET", "/servers/", "", `set Heat{A="1",B="2"} 1 at 1700000400 of server "web-01" (metric 211)`},
		{"GET", "/servers/", "", `set Heat{A="1",B="2"} 1 at 1700000400 of server "web-01" (metric 211)`},
		{"PUT", "/servers/17/", "name=web-02&version=1", `set Heat{A="1",B="2"} 1 at 1700000400 of server "web-02" (metric 211)`},
		{"POST", "/metrics/211/dimensions/DIMENSION/", "", `set Heat{B="2",A="1"} 1 at 1700000400 of server "web-02" (metric 211)`},
		{"DELETE", "/metrics/211/dimensions/DIMENSION/", "", `set Heat{A="1",B="2"} 1 at 1700000400 of server "web-02" (metric 211)`},
		{"PUT", "/metrics/211/", "name=Warmth&version=1", `set Warmth{A="1",B="2"} 1 at 1700000400 of server "web-02" (metric 211)`},
		{"DELETE", "/servers/17/", "", `set Warmth{A="1",B="2"} 1 at 1700000400 of server "17" (metric 211)`},
		{"DELETE", "/metrics/211/", "", `refused 1 for unknown_metric: m 211, s "s17": there is no metric 211`},
	} {
		must(t, h, c.method, strings.ReplaceAll(c.path, "DIMENSION", fmt.Sprint(dimensions[0].ID)), c.form)
		if got := strings.TrimSpace(send()); got != c.want {
			t.Errorf("after %s %s: %s, want %s", c.method, c.path, got, c.want)
		}
	}
}

// What is remembered of entries is bounded, and forgotten when it is of no use.
func TestTargetsAreBounded(t *testing.T) {
	a := targets{most: 10}
	key := func(i int) entryKey { return appendEntryKey(nil, int64(i), nil, nil) }
	for i := range 100 {
		if a.find(key(i), 1, testNow) == nil {
			a.keep(&target{key: string(key(i))}, testNow)
		}
		if a.find(key(0), 1, testNow) == nil {
			t.Fatalf("%d: what is used again and again is forgotten", i)
		}
		if n := len(a.young) + len(a.old); n > 20 {
			t.Fatalf("%d are remembered", n)
		}
	}
	for _, after := range []time.Duration{targetsFor, 2 * targetsFor} {
		a.keep(&target{key: "x"}, testNow.Add(after))
	}
	if a.find(key(0), 1, testNow) != nil || a.find(entryKey("x"), 1, testNow) == nil {
		t.Error("what is of no use is remembered after a while, or what is in use is not")
	}
	if a.find(key(99), 2, testNow) != nil || a.find(entryKey("x"), 2, testNow) != nil {
		t.Error("it is remembered though the registry has changed")
	}
}

// Nor is it by their number alone: a client may send long texts.
func TestTargetsTextIsBounded(t *testing.T) {
	a := targets{most: maxTargets}
	for i := range 1000 {
		key := appendEntryKey(nil, int64(i), nil, []dimension{{[]byte("d"), make([]byte, maxValue)}})
		a.keep(&target{key: string(key)}, testNow)
		held := 0
		for _, generation := range []map[string]*target{a.young, a.old} {
			for key := range generation {
				held += len(key)
			}
		}
		if held > 2*maxTargetText {
			t.Fatalf("after %d targets there are %d bytes of texts", i+1, held)
		}
		if a.find(key, 0, testNow) == nil {
			t.Fatalf("%d: the newest is not remembered", i)
		}
	}
}

// A series that was forgotten is remembered anew by whoever knows it from before.
func TestRecentSeriesComesBack(t *testing.T) {
	var v recentValues
	one := &target{recentKey: recentKey{1, record.Subject{}}, series: 1}
	for _, now := range []time.Time{testNow, testNow.Add(2 * recentFor)} {
		v.keep(nil, now) // which forgets
		v.keep([]recentPoint{{one, now.Unix(), 1}}, now)
		if got := v.between([]recentKey{one.recentKey}, now.Unix(), now.Unix(), func(l []timed) []timed { return l }, nil, meanOf); len(got) != 1 || v.series != 1 {
			t.Errorf("%v of %d series", got, v.series)
		}
	}
}

// Samples are in the order of their times, and those of one time as they came.
func TestSamplesInOrder(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for n := range 200 {
		in := new(intake)
		for i := range n {
			in.push(&record.Sample{Time: time.Unix(random.Int64N(20), 0), Value: float64(i)})
		}
		want := slices.Clone(in.samples)
		slices.SortStableFunc(want, func(a, b record.Sample) int { return a.Time.Compare(b.Time) })
		in.sort()
		if fmt.Sprint(in.samples) != fmt.Sprint(want) {
			t.Fatalf("%v, want %v", in.samples, want)
		}
		in = &intake{samples: in.samples[:0]}
		for i := range want {
			in.push(&want[i])
		}
		if in.unsorted {
			t.Error("what is in order is sorted")
		}
	}
}
