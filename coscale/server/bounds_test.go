package server

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/go-kit/log"

	"scriptbridge/coscale"
	"scriptbridge/record"
)

// TestHandlerSizes sends more than there is room for.
func TestHandlerSizes(t *testing.T) {
	refused := make(map[string]int)
	h, _ := newTestHandler(t, "", func(o *HandlerOptions) {
		o.Sink = nullSink{}
		o.Refused = func(reason string, n int) { refused[reason] += n }
	})
	must(t, h, "POST", "/metrics/", "name=Heat")
	manyPoints := `[{"m":211,"s":"a","d":[` + strings.Repeat("[0,1],", maxPoints) + `[0,1]]}]`
	for _, c := range []struct {
		name, path, body, want string
	}{
		{"a bomb", "/data/", "cdata=" + url.QueryEscape(packed(strings.Repeat(" ", maxGunzip+1))), `413 {"msg":"the JSON in cdata has more than 10 MiB; send it in parts"}`},
		{"the most that is unpacked", "/data/", "cdata=" + url.QueryEscape(packed("[]"+strings.Repeat(" ", maxGunzip-2))), `200 {"msg":"0 points stored"}`},
		{"too much cdata", "/data/", "cdata=" + url.QueryEscape(base64.StdEncoding.EncodeToString(bytes.Repeat(gzipped(""), maxCdata/4*3/len(gzipped(""))+1))), `413 {"msg":"cdata has more than 16 MiB; send it in parts"}`},
		{"too much data", "/data/", "data=[" + strings.Repeat(` {"x":"`+strings.Repeat("x", 1000)+`"},`, maxData/1000), `413 {"msg":"the body has more than 32 MiB; send it in parts"}`},
		{"too many points", "/data/", "data=" + manyPoints, `413 {"msg":"there are more than 1000000 points; send them in parts"}`},
		{"too many points in a JSON object", "/data/", `{"source":"a","data":` + manyPoints + "}", `413 {"msg":"there are more than 1000000 points; send them in parts"}`},
		{"too many points in a text in JSON", "/data/", fmt.Sprintf(`{"data":%q}`, manyPoints), `413 {"msg":"there are more than 1000000 points; send them in parts"}`},
		{"too many points in a list", "/data/", manyPoints, `413 {"msg":"there are more than 1000000 points; send them in parts"}`},
		{"too many values of histograms", "/data/", `data=[{"m":211,"s":"a","d":[` + strings.Repeat(`[0,[1,1,[`+strings.Repeat("1,", 9999)+"1]]],", 100) + `[0,1]]}]`, `413 {"msg":"there are more than 1000000 points; send them in parts"}`},
		{"too many entries", "/data/", "data=[" + strings.Repeat("{},", maxEntries) + "{}]", `413 {"msg":"there are more than 250000 entries and values of dimensions; send them in parts"}`},
		{"too many dimensions", "/data/", "data=[" + strings.Repeat(`{"dv":{"a":"b","c":"d"}},`, maxEntries/3) + `{},{}]`, `413 {"msg":"there are more than 250000 entries and values of dimensions; send them in parts"}`},
		{"too long a point", "/data/", `data=[{"m":211,"s":"a","d":[[0,[1,1,[` + strings.Repeat("1,", maxValue) + `1]]]]}]`, `413 {"msg":"a value has more than 64 KiB; send it in parts"}`},
		{"too long a name of a field", "/data/", strings.Repeat("x", maxName+1) + "=1", `400 {"msg":"the form cannot be read: a name has more than 1024 bytes"}`},
		{"too long an object", "/metrics/", "name=" + strings.Repeat("x", maxBody), `413 {"msg":"the body has more than 1 MiB; send it in parts"}`},
		{"too long a name", "/metrics/", "name=" + strings.Repeat("x", maxNameField+1), `400 {"msg":"the name has 1025 bytes, more than 1024"}`},
		{"too long a text", "/metrics/", "name=x&description=" + strings.Repeat("x", maxField+1), `400 {"msg":"description has 16385 bytes, more than 16384"}`},
		{"too deep", "/data/", "data=" + strings.Repeat("[", 20000), `400 {"msg":"the data cannot be read: unexpected end of JSON input"}`},
	} {
		w := ask(h, "POST", "/api/v1/app/A"+c.path, h.testSession(), formType, c.body)
		if got := fmt.Sprintf("%d %s", w.Code, w.Body); got != c.want {
			t.Errorf("%s: %.200s, want %s", c.name, got, c.want)
		}
	}
	if refused["too_large"] != 12 || refused["malformed"] != 4 {
		t.Errorf("refused: %v", refused)
	}
}

// TestRegistryFull fills a kind, all bytes, and one object's attributes.
func TestRegistryFull(t *testing.T) {
	h, _ := newTestHandler(t, "", nil)
	for i := range maxObjects {
		if _, err := h.registry.create(coscale.Dimensions, func(o *object) error { o.Name = fmt.Sprint(i); return nil }); err != nil {
			t.Fatal(err)
		}
	}
	w := ask(h, "POST", "/api/v1/app/A/dimensions/", h.testSession(), formType, "name=more")
	if got, want := fmt.Sprintf("%d %s", w.Code, w.Body), `403 {"msg":"there are 100000 objects of the kind dimension already; remove some","type":"FULL"}`; got != want {
		t.Errorf("%s, want %s", got, want)
	}
	must(t, h, "DELETE", "/dimensions/7/", "")
	must(t, h, "POST", "/dimensions/", "name=more")

	must(t, h, "POST", "/servers/", "name=web-01")
	for i := range maxAttributes {
		must(t, h, "POST", "/servers/17/attributes/", fmt.Sprint("key=", i))
	}
	if w := ask(h, "POST", "/api/v1/app/A/servers/17/attributes/", h.testSession(), formType, "key=more"); w.Code != 403 {
		t.Errorf("%d %s", w.Code, w.Body)
	}

	h.registry.bytes = maxBytes
	if w := ask(h, "POST", "/api/v1/app/A/servers/", h.testSession(), formType, "name=more"); w.Code != 403 {
		t.Errorf("%d %s", w.Code, w.Body)
	}
}

// TestEventDataBounds keeps the newest data of a category, and none for ever,
// on disk as in memory.
func TestEventDataBounds(t *testing.T) {
	folder := t.TempDir()
	r, err := openRegistry(folder, testNow, log.NewNopLogger(), nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"a", "b"} {
		if _, err := r.create(coscale.Categories, func(o *object) error { o.Name = name; return nil }); err != nil {
			t.Fatal(err)
		}
	}
	n := 0
	insert := func(category int64, at time.Time) {
		t.Helper()
		n++
		e := &coscale.EventData{EventID: category, Timestamp: at.Unix(), UpdateTime: at.Unix(), Version: 1}
		if err := r.keepEvent(e, at, func() string { return fmt.Sprint(n) }, func() error { return nil }); err != nil {
			t.Fatal(err)
		}
	}
	for range maxEventsOf {
		insert(1, testNow)
	}
	insert(2, testNow)
	insert(1, testNow.Add(time.Second))
	check := func(when string, first, last int64, of2 int) {
		t.Helper()
		list := r.eventsOf(1, 0, 1<<40)
		if len(list) == 0 || list[0].ID != first || list[len(list)-1].ID != last || len(r.eventsOf(2, 0, 1<<40)) != of2 {
			t.Errorf("%s: %d events, first %+v", when, len(list), list[0])
		}
	}
	check("one too many", 2, maxEventsOf+2, 1)
	insert(1, testNow.Add(maxEventAge+time.Second))
	check("a month later", maxEventsOf+2, maxEventsOf+3, 0)
	if err := r.close(); err != nil {
		t.Fatal(err)
	}
	if r, err = openRegistry(folder, testNow, log.NewNopLogger(), nil, nil); err != nil {
		t.Fatal(err)
	}
	defer r.close()
	check("after a restart", maxEventsOf+2, maxEventsOf+3, 0)
}

// TestDeclarations makes metrics one by one with data in between: how often the
// sink is told of all of them must not grow with their number.
func TestDeclarations(t *testing.T) {
	told, last := 0, 0
	h, _ := newTestHandler(t, "", func(o *HandlerOptions) {
		o.Sink = sinkFunc(func(b *record.Batch) error {
			if b.Declared != nil {
				last = len(b.Declared.Metrics)
				told += last
			}
			return nil
		})
	})
	now := testNow
	h.clock = func() time.Time { return now }
	const metrics = 3000
	for i := range metrics {
		must(t, h, "POST", "/metrics/", fmt.Sprint("name=", i))
		must(t, h, "POST", "/data/", fmt.Sprintf(`data=[{"m":%d,"s":"a","d":[[0,1]]}]`, 211+i))
		now = now.Add(time.Millisecond)
	}
	now = now.Add(metrics * time.Millisecond)
	must(t, h, "POST", "/data/", "data=[]") // is no batch, and tells nothing
	if told > 2*metrics {
		t.Errorf("%d metrics were told %d times in all", metrics, told)
	}
	must(t, h, "POST", "/data/", `data=[{"m":211,"s":"a","d":[[0,1]]}]`)
	if last != metrics {
		t.Errorf("%d metrics were told of at last", last)
	}
	before := told
	now = now.Add(time.Hour)
	must(t, h, "POST", "/data/", `data=[{"m":211,"s":"a","d":[[0,1]]}]`)
	if told != before {
		t.Error("what had not changed was told again")
	}
}

type sinkFunc func(*record.Batch) error

func (f sinkFunc) Put(b *record.Batch) error { return f(b) }

// TestAddedPoints remembers at least a generation.
func TestAddedPoints(t *testing.T) {
	var a addedPoints
	add := func(from, to int64, at time.Time) {
		points := make(map[addedPoint]struct{})
		for i := from; i < to; i++ {
			points[addedPoint{1, i}] = struct{}{}
		}
		a.keep(points, true, at)
	}
	has := func(p addedPoint) bool { put, _ := a.find(p); return put }
	add(0, 10, testNow)
	add(10, maxAdded+5, testNow)
	for _, i := range []int64{0, 9, 10, maxAdded + 4} {
		if !has(addedPoint{1, i}) {
			t.Errorf("%d is forgotten", i)
		}
	}
	if has(addedPoint{2, 0}) || has(addedPoint{1, maxAdded + 5}) {
		t.Error("what was never there is remembered")
	}
	add(-1, 0, testNow.Add(addedFor))
	add(-2, -1, testNow.Add(2*addedFor))
	if has(addedPoint{1, 9}) || !has(addedPoint{1, -1}) {
		t.Error("two days later")
	}
	if n := len(a.young) + len(a.old); n > 2*maxAdded {
		t.Errorf("%d are remembered", n)
	}
}

// TestRecentValues bounds points and series, and forgets old ones.
func TestRecentValues(t *testing.T) {
	var v recentValues
	key := recentKey{1, record.Subject{}}
	series := func(n uint64) *target { return &target{recentKey: key, series: n} }
	asItIs := func(list []timed) []timed { return list }
	for i := range int64(maxRecent + 10) {
		v.keep([]recentPoint{{series(1), testNow.Unix() + i, 1}, {series(2), testNow.Unix() + i, 3}}, testNow)
	}
	v.keep([]recentPoint{{series(1), testNow.Unix() + 10, 5}}, testNow)
	got := v.between([]recentKey{key}, 0, 1<<40, asItIs, nil, meanOf)
	if len(got) != maxRecent || got[0] != (timed{testNow.Unix() + 10, 4}) || got[1].value != 2 {
		t.Errorf("%d values, the first %v", len(got), got[:2])
	}
	for i := range uint64(maxRecentSeries) {
		v.keep([]recentPoint{{series(i), testNow.Unix(), 1}}, testNow)
	}
	if v.series != maxRecentSeries {
		t.Errorf("%d series", v.series)
	}
	v.keep(nil, testNow.Add(recentFor+time.Hour))
	if v.series != 0 || len(v.of) != 0 {
		t.Errorf("%d series hours later", v.series)
	}
}

// TestEventDataGrows has events that are changed into larger ones: the oldest
// others go for them too.
func TestEventDataGrows(t *testing.T) {
	r, err := openRegistry("", testNow, log.NewNopLogger(), nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	category, err := r.create(coscale.Categories, func(o *object) error { o.Name = "a"; return nil })
	if err != nil {
		t.Fatal(err)
	}
	keep := func(e coscale.EventData) {
		t.Helper()
		e.EventID, e.UpdateTime, e.Version = category.ID, testNow.Unix(), e.Version+1
		if err := r.keepEvent(&e, testNow, func() string { return fmt.Sprint(e.ID) }, func() error { return nil }); err != nil {
			t.Fatal(err)
		}
	}
	for range maxEventsOf {
		keep(coscale.EventData{})
	}
	long := strings.Repeat("x", maxEventFields)
	all := r.eventsOf(category.ID, 0, 1<<40)
	for _, e := range all {
		larger := *e
		larger.Message, larger.Attribute = long, long
		if r.event(category.ID, e.ID) != nil {
			keep(larger)
		}
	}
	left := r.eventsOf(category.ID, 0, 1<<40)
	if r.events.bytes > maxEventBytes || len(left) < maxEventBytes/(3*maxEventFields) || left[len(left)-1].Message != long {
		t.Errorf("%d bytes of %d events", r.events.bytes, len(left))
	}
}

// A form with a bad escape is refused wherever that stands, and nothing of it is stored.
func TestBadEscape(t *testing.T) {
	const data = `[{"m":211,"s":"s1","d":[[0,1]],"dv":{"a":"b"}}]`
	for at := range len(data) {
		for _, bad := range []string{"%2", "%zz", ";"} {
			h, _ := newTestHandler(t, "", nil)
			must(t, h, "POST", "/metrics/", "name=Heat")
			w := ask(h, "POST", "/api/v1/app/A/data/", h.testSession(), formType, "data="+data[:at]+bad+`"`+data[at:])
			if got := w.Body.String(); w.Code != 400 || at > 0 && !strings.Contains(got, "the form cannot be read") {
				t.Errorf("%s at %d: %d %s", bad, at, w.Code, got)
			}
		}
	}
}
