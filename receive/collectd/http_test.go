package collectd

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-kit/log"
	"github.com/google/go-cmp/cmp"

	"scriptbridge/config"
	"scriptbridge/internal/testkit/cases"
	"scriptbridge/receive/receiver"
	"scriptbridge/receive/receivertest"
	"scriptbridge/record"
)

// receiverAt makes a receiver that puts into the sink.
func receiverAt(t *testing.T, c config.ReceiveCollectd, sink record.Sink) *collectd {
	t.Helper()
	r, err := newReceiver(&config.Receive{Collectd: &c}, receiver.Env{
		Source: testSource, Sink: sink, Logger: log.NewNopLogger(), Counts: new(receiver.Counts), Opened: func() {},
	})
	if err != nil {
		t.Fatal(err)
	}
	return r.(*collectd)
}

func post(c *collectd, body string) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	c.ServeHTTP(w, httptest.NewRequest(http.MethodPost, "/collectd-post", strings.NewReader(body)))
	return w
}

const goodBody = `[{"values":[8],"dstypes":["gauge"],"dsnames":["value"],"interval":10,"host":"h2","plugin":"p","plugin_instance":"","type":"t","type_instance":""}]`

func TestRequests(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(*http.Request)
		body   string
		status int
		answer string
		values int
	}{
		{"good", nil, goodBody, 200, "", 1},
		{"good and bad", nil, strings.Replace(goodBody, "[", "[7,", 1), 200, "", 1},
		{"get", func(r *http.Request) { r.Method = http.MethodGet }, "", 405, "POST what collectd's write_http sends\n", 0},
		{"compressed", func(r *http.Request) { r.Header.Set("Content-Encoding", "gzip") }, goodBody, 415, "send it as it is, without Content-Encoding\n", 0},
		{"not JSON", nil, "PUTVAL a/b/c 1:2", 400, "this is not JSON; write Format \"JSON\" into collectd's configuration of write_http\n", 0},
		{"too long", nil, strings.Repeat(" ", maxBody+1), 413, "http: request body too large\n", 0},
		{"broken off", func(r *http.Request) {
			r.Body = io.NopCloser(io.MultiReader(strings.NewReader(goodBody), brokenReader{}))
		}, "", 400, "broken off\n", 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := httptest.NewRequest(http.MethodPost, "/collectd-post", strings.NewReader(c.body))
			if c.change != nil {
				c.change(r)
			}
			receiver := receiverAt(t, config.ReceiveCollectd{Interval: 10 * time.Second}, record.Tee{})
			w := httptest.NewRecorder()
			receiver.ServeHTTP(w, r)
			if w.Code != c.status || w.Body.String() != c.answer {
				t.Errorf("answered %d %q, want %d %q", w.Code, w.Body, c.status, c.answer)
			}
			values := 0
			batches, _ := receiver.merge.drain(time.Now())
			for _, b := range batches {
				values += len(b.Samples)
			}
			if values != c.values {
				t.Errorf("%d values, want %d", values, c.values)
			}
			dropped := receiver.env.Counts.View().Dropped["request"]
			if want := c.status == 400 || c.status == 413; (dropped == 1) != want {
				t.Errorf("%d requests are counted as dropped", dropped)
			}
		})
	}
}

type brokenReader struct{}

func (brokenReader) Read([]byte) (int, error) { return 0, errors.New("broken off") }

// sinkPuts is a sink that notes when what was put.
type sinkPuts struct {
	start time.Time
	slow  time.Duration // of each Put
	lines []string
}

func (p *sinkPuts) Put(b *record.Batch) error {
	var out strings.Builder
	describe(&out, []*record.Batch{b})
	p.lines = append(p.lines, time.Since(p.start).String()+" "+strings.ReplaceAll(out.String(), "\n", " "))
	time.Sleep(p.slow)
	return nil
}

// What comes is put at once, then at most once a second, also when the sink is
// slow, and at the end.
func TestPuts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sink := &sinkPuts{start: time.Now(), slow: 100 * time.Millisecond}
		c := receiverAt(t, config.ReceiveCollectd{HTTPPath: "/collectd-post", Interval: 10 * time.Second}, sink)
		ended := make(chan error)
		ctx, cancel := contextWithCancel(t)
		go func() { ended <- c.Run(ctx) }()
		post := func(value string, then time.Duration) {
			post(c, strings.Replace(goodBody, "8", value, 1))
			time.Sleep(then)
		}
		time.Sleep(5 * time.Second)
		post("1", 300*time.Millisecond)
		post("2", 300*time.Millisecond)
		post("3", 3*time.Second)
		post("null", 500*time.Millisecond)
		post("4", 0)
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
		want := []string{
			"0s ",
			"5s for 20s: gauge collectd_p_t{instance=\"h2\"} = 1 ",
			"6.1s for 20s: gauge collectd_p_t{instance=\"h2\"} = 3 ",
			"8.6s refused no_value: h2/p/t: data source value has no value ",
			"9.1s for 20s: gauge collectd_p_t{instance=\"h2\"} = 4 ",
		}
		if diff := cmp.Diff(want, sink.lines); diff != "" {
			t.Errorf("-want +got:\n%s", diff)
		}
	})
}

// That a type has another number of values than types.db says is logged once,
// with host and type, however often it comes.
func TestTold(t *testing.T) {
	c := receiverAt(t, config.ReceiveCollectd{HTTPPath: "/collectd-post", Interval: 10 * time.Second}, &sinkPuts{start: time.Now()})
	var out strings.Builder
	c.limited = receiver.NewLimitedLogger(log.NewLogfmtLogger(&out))
	c.merge.types["load"] = []dataSource{{"shortterm", dsGauge}, {"midterm", dsGauge}, {"longterm", dsGauge}}
	for _, host := range []string{"web1", "web2", "web1"} {
		post(c, `[{"host":"`+host+`","plugin":"p","type":"load","dstypes":["gauge","gauge"],"values":[1,2]}]`)
		c.putAll()
	}
	want := `level=warn msg="data sources have no names" err="web1/p/load has 2 values, and types_db says 3 for the type load; give types_db the types.db of the sender"` + "\n"
	if diff := cmp.Diff(want, out.String()); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

// FuzzJSON: whatever a request holds, it makes no panic, and no more
// than it has bytes.
func FuzzJSON(f *testing.F) {
	for _, a := range cases.All(f, "testdata/cases") {
		for _, file := range a.Files {
			if file.Name == "json" {
				f.Add(file.Data)
			}
		}
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		if quoted := quoteBare(body); json.Valid(body) && !bytes.Equal(quoted, body) {
			t.Errorf("%q is JSON, and becomes %q", body, quoted)
		}
		m := testMerge(t, 0)
		var heard recorder
		err := readJSON(body, m.types, &heard)
		if err != nil && len(heard.lists)+len(heard.notices)+len(heard.rejected) > 0 {
			t.Errorf("it is refused as a whole (%v), and something is taken", err)
		}
		values := 0
		for _, l := range heard.lists {
			values += len(l.values)
			if l.interval < 0 || l.interval > maxInterval {
				t.Errorf("interval %v", l.interval)
			}
		}
		if values+len(heard.notices)+len(heard.rejected) > len(body) {
			t.Errorf("%d bytes hold %d values, %d notifications, %d errors", len(body), values, len(heard.notices), len(heard.rejected))
		}
		_ = readJSON(body, m.types, m)
		m.drain(time.Now())
	})
}

// FuzzTypes: a types.db that can be read has what it says, and its
// errors name their lines.
func FuzzTypes(f *testing.F) {
	f.Add(receivertest.CollectdTypes)
	f.Add("x\nx value\nx value:GAUGE:0\nx value:SPEED:0:1\nx value:GAUGE:a:1\nx :GAUGE:0:1")
	f.Fuzz(func(t *testing.T, text string) {
		types := make(typesDB)
		err := types.read(strings.NewReader(text), "types.db")
		for name, sources := range types {
			if name == "" || len(sources) == 0 {
				t.Errorf("type %q has %d sources", name, len(sources))
			}
		}
		if err != nil && !strings.HasPrefix(err.Error(), "types.db:") {
			t.Errorf("error %v", err)
		}
	})
}

func TestTypesErrors(t *testing.T) {
	types := make(typesDB)
	err := types.read(strings.NewReader("good value:GAUGE:0:U\nx\nx value:GAUGE:0\nx value:SPEED:0:1\nx value:GAUGE:a:1\nx :GAUGE:0:1\n\tlast  a:derive:U:U,b:ABSOLUTE:-1:1e9\r\n"), "types.db")
	want := `types.db:2: type "x" has no data source; write it like value:GAUGE:0:U
types.db:3: type "x": "value:GAUGE:0" is no data source; write it like value:GAUGE:0:U
types.db:4: type "x": "SPEED" is no type of a data source; write GAUGE, DERIVE, COUNTER or ABSOLUTE
types.db:5: type "x": "a" is no bound; write a number, or U for none
types.db:6: type "x": ":GAUGE:0:1" is no data source; write it like value:GAUGE:0:U`
	if diff := cmp.Diff(want, err.Error()); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	if diff := cmp.Diff(typesDB{
		"good": {{"value", dsGauge}},
		"last": {{"a", dsDerive}, {"b", dsAbsolute}},
	}, types, allowUnexported); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}
