package server

import (
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"errors"
	"flag"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"

	"scriptbridge/coscale"
	"scriptbridge/record"
)

var updateHandler = flag.Bool("update-handler", false, "write the answers in testdata/handler anew")

// heardSink keeps what was put, as text; while down it takes nothing.
type heardSink struct {
	mu      sync.Mutex
	text    strings.Builder
	batches int
	samples int
	down    bool
	inside  bool
	panics  bool
}

var errDown = errors.New("the disk is full")

func (s *heardSink) Put(b *record.Batch) error {
	s.mu.Lock()
	if s.inside {
		panic("Put was called twice at once")
	}
	s.inside = true
	s.mu.Unlock()
	defer func() {
		s.mu.Lock()
		s.inside = false
		s.mu.Unlock()
	}()
	if s.panics {
		panic("a sink's bug")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.down {
		return errDown
	}
	s.batches++
	s.samples += len(b.Samples)
	writeBatch(&s.text, b)
	return nil
}

func (s *heardSink) set(down bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.down = down
}

// heard gives what was put since it was last called.
func (s *heardSink) heard() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	defer s.text.Reset()
	return s.text.String()
}

// writeBatch shows a batch, a line for each thing in it.
func writeBatch(w *strings.Builder, b *record.Batch) {
	if b.Complete || b.Source.Name != "coscale" || b.Time.IsZero() {
		fmt.Fprintf(w, "a bad batch: %+v\n", b)
	}
	if b.Declared != nil {
		for _, m := range b.Declared.Metrics {
			fmt.Fprintf(w, "declared metric %s %q unit=%q type=%d %s/%s help=%q groups=%q tags=%q dimensions=%q\n",
				m.ID, m.Name, m.Unit, m.Type, m.Datatype, m.Calctype, m.Help, m.More().Groups, m.More().Tags, m.Dimensions)
		}
		for _, e := range b.Declared.Events {
			fmt.Fprintf(w, "declared event %s %q attributes=%q\n", e.ID, e.Name, e.Attributes)
		}
	}
	for _, s := range b.Samples {
		fmt.Fprintf(w, "%s %s", [...]string{"set", "add", "observe"}[s.Op], s.Name)
		for i, l := range s.Labels {
			fmt.Fprintf(w, "%c%s=%q", "{,"[min(i, 1)], l.Name, l.Value)
		}
		fmt.Fprintf(w, "%s %v at %d of %s %q (metric %s)\n", "}"[:min(len(s.Labels), 1)], s.Value, s.Time.Unix(), s.Subject.Kind, s.Subject.Name, s.Meta.ID)
	}
	for _, e := range b.Events {
		stop := "open"
		if !e.Stop.IsZero() {
			stop = fmt.Sprint(e.Stop.Unix())
		}
		fmt.Fprintf(w, "event %s %q %q from %d to %s of %s %q %q declared %q\n",
			e.ID, e.Name, e.Message, e.Start.Unix(), stop, e.Subject.Kind, e.Subject.Name, e.Attributes, e.Meta.Attributes)
	}
	for _, e := range record.LineErrors(b.Err) {
		fmt.Fprintf(w, "refused %d for %s: %s: %v\n", 1+e.More, e.Reason, e.Text, e)
	}
}

// testNow is what the clock of a test says.
var testNow = time.Unix(1700000400, 0)

const testApp = "A"

// newTestHandler makes a handler, with the ids of the facts file's examples
// where it keeps none.
func newTestHandler(t testing.TB, folder string, change func(*HandlerOptions)) (*Handler, *heardSink) {
	t.Helper()
	sink := new(heardSink)
	o := HandlerOptions{
		AppID: testApp, Tokens: []string{"other", "0b7c9a52-7f0e"}, Sink: sink, TTL: 5 * time.Minute, Folder: folder,
		Source: &record.Source{Kind: record.Receiver, Name: "coscale", Prefix: "coscale"},
	}
	if change != nil {
		change(&o)
	}
	h, err := NewHandler(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { h.Close() })
	h.clock = func() time.Time { return testNow }
	if folder == "" {
		h.registry.next = map[coscale.Kind]int64{
			coscale.Servers: 17, coscale.ServerGroups: 12, coscale.Metrics: 211, coscale.MetricGroups: 109, coscale.Dimensions: 7, coscale.Categories: 31, eventIDs: 9021,
		}
	}
	return h, sink
}

// session logs in.
func (h *Handler) testSession() string { return h.gate.login("0b7c9a52-7f0e", h.clock()) }

// ask sends a request to the handler as it would come from a socket.
func ask(h *Handler, method, path, session, contentType, body string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, path, strings.NewReader(body))
	if session != "" {
		r.Header.Set("HTTPAuthorization", session)
	}
	if contentType != "" {
		r.Header.Set("Content-Type", contentType)
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

const formType = "application/x-www-form-urlencoded"

// must asks, and fails the test when the answer is no success.
func must(t testing.TB, h *Handler, method, path, body string) string {
	t.Helper()
	w := ask(h, method, "/api/v1/app/"+testApp+path, h.testSession(), formType, body)
	if w.Code != http.StatusOK {
		t.Fatalf("%s %s %s: %d %s", method, path, body, w.Code, w.Body)
	}
	return w.Body.String()
}

// TestHandlerPairs plays testdata/handler: in each archive, a part named
// "request" is the first line, the headers and the body of a request, and the
// "answer" that follows it is the status, the body and what was put. $SESSION
// stands for a good one, and a body that begins with "cdata-of " for the form
// with that packed.
func TestHandlerPairs(t *testing.T) {
	paths, err := filepath.Glob("testdata/handler/*.txtar")
	if err != nil || len(paths) == 0 {
		t.Fatalf("no pairs: %v", err)
	}
	for _, path := range paths {
		t.Run(strings.TrimSuffix(filepath.Base(path), ".txtar"), func(t *testing.T) {
			a, err := txtar.ParseFile(path)
			if err != nil {
				t.Fatal(err)
			}
			h, sink := newTestHandler(t, "", nil)
			var out []txtar.File
			for i := 0; i < len(a.Files); i++ {
				if a.Files[i].Name != "request" {
					t.Fatalf("part %d is named %q", i, a.Files[i].Name)
				}
				answer := txtar.File{Name: "answer", Data: []byte(playRequest(t, h, sink, string(a.Files[i].Data)))}
				out = append(out, a.Files[i], answer)
				wanted := ""
				if i+1 < len(a.Files) && a.Files[i+1].Name == "answer" {
					i++
					wanted = string(a.Files[i].Data)
				}
				if diff := cmp.Diff(wanted, string(answer.Data)); diff != "" && !*updateHandler {
					t.Errorf("%s(-want +got):\n%s", out[len(out)-2].Data, diff)
				}
			}
			if *updateHandler {
				a.Files = out
				if err := os.WriteFile(path, txtar.Format(a), 0o666); err != nil {
					t.Fatal(err)
				}
			}
		})
	}
}

// playRequest sends a request of an archive and gives what came of it.
func playRequest(t *testing.T, h *Handler, sink *heardSink, text string) string {
	head, body, _ := strings.Cut(text, "\n\n")
	lines := strings.Split(strings.TrimRight(head, "\n"), "\n")
	method, target, _ := strings.Cut(lines[0], " ")
	body = strings.TrimSuffix(body, "\n")
	if payload, ok := strings.CutPrefix(body, "cdata-of "); ok {
		body = "cdata=" + url.QueryEscape(packed(payload))
	}
	session := h.testSession()
	r := httptest.NewRequest(method, target, strings.NewReader(body))
	for _, line := range lines[1:] {
		name, value, _ := strings.Cut(line, ": ")
		if value = strings.ReplaceAll(value, "$SESSION", session); name == "Transfer-Encoding" {
			r.ContentLength, r.TransferEncoding = -1, []string{value}
		} else {
			r.Header.Set(name, value)
		}
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	if got := w.Header().Get("Content-Type"); got != "application/json" {
		t.Errorf("Content-Type %q", got)
	}
	return fmt.Sprintf("%d\n%s\n%s", w.Code, strings.ReplaceAll(w.Body.String(), session, "$SESSION"), sink.heard())
}

// packed is the JSON as cdata holds it.
func packed(text string) string { return base64.StdEncoding.EncodeToString(gzipped(text)) }

func gzipped(text string) []byte {
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	z.Write([]byte(text))
	z.Close()
	return b.Bytes()
}

// TestHandlerRestart closes a handler and opens its folder again.
func TestHandlerRestart(t *testing.T) {
	folder := t.TempDir()
	h, _ := newTestHandler(t, folder, nil)
	must(t, h, "POST", "/servers/", "name=web-01")
	must(t, h, "POST", "/servers/", "name=gone")
	must(t, h, "DELETE", "/servers/2/", "")
	must(t, h, "POST", "/metricgroups/", "name=Disk")
	must(t, h, "POST", "/metricgroups/", "name=Temperature&parentId=1")
	must(t, h, "POST", "/metrics/", "name=Heat&dataType=COUNT&unit=C")
	must(t, h, "POST", "/metrics/1/attributes/", "key=TAG&value=DISK")
	must(t, h, "POST", "/metricgroups/2/metrics/1/", "")
	for _, d := range []string{"A", "B", "C"} {
		must(t, h, "POST", "/dimensions/", "name="+d)
	}
	for _, d := range []string{"3", "1", "2"} {
		must(t, h, "POST", "/metrics/1/dimensions/"+d+"/", "")
	}
	must(t, h, "POST", "/events/", `name=Backups&attributeDescriptions=[{"name":"exitCode"}]`)
	event := must(t, h, "POST", "/events/1/data/", "message=m&timestamp=1700000300&subject=s1")
	session := h.testSession()
	if err := h.Close(); err != nil {
		t.Fatal(err)
	}

	h, sink := newTestHandler(t, folder, nil)
	if w := ask(h, "GET", "/api/v1/app/A/servers/1/", session, "", ""); w.Code != 200 {
		t.Errorf("a session of before: %d %s", w.Code, w.Body)
	}
	if got := must(t, h, "GET", "/events/1/data/get/1/", ""); got != event {
		t.Errorf("the event is %s, was %s", got, event)
	}
	if err := h.Declare(); err != nil {
		t.Fatal(err)
	}
	must(t, h, "POST", "/data/", `data=[{"m":1,"s":"s1","d":[[1700000000,2]],"dv":{"A":"a","B":"b","C":"c","Z":"z"}}]`)
	want := `declared metric 1 "Heat" unit="C" type=2 COUNT/Instant help="" groups="Disk/Temperature" tags="DISK" dimensions=["C" "A" "B"]
declared event 1 "Backups" attributes=["exitCode"]
add Heat{C="c",A="a",B="b",Z="z"} 2 at 1700000000 of server "web-01" (metric 1)
`
	if diff := cmp.Diff(want, sink.heard()); diff != "" {
		t.Errorf("after the restart (-want +got):\n%s", diff)
	}
	if got, want := must(t, h, "POST", "/servers/", "name=new"), `{"id":3,"version":1,"state":"ENABLED","name":"new","description":"","type":"","source":"","startTime":null,"stopTime":null}`; got != want {
		t.Errorf("an id was given twice: %s", got)
	}
	if _, err := NewHandler(HandlerOptions{Folder: folder}); err == nil || err.Error() != filepath.Join(folder, "ids.db")+": another process uses it" {
		t.Errorf("a second handler on one folder: %v", err)
	}
}

// TestEventSentAgain: who had no answer because the process ended sends an event
// once more; that is no other event. Two that say the same are two all the same.
func TestEventSentAgain(t *testing.T) {
	folder := t.TempDir()
	h, _ := newTestHandler(t, folder, nil)
	must(t, h, "POST", "/events/", "name=Backups")
	insert := func(message string) string {
		t.Helper()
		return must(t, h, "POST", "/events/1/data/", "message="+message+"&timestamp=1700000300&subject=a")
	}
	insert("long ago")
	h.clock = func() time.Time { return testNow.Add(time.Minute) }
	first, second := insert("m"), insert("m")
	insert("removed")
	if err := h.Close(); err != nil {
		t.Fatal(err)
	}

	h, sink := newTestHandler(t, folder, nil)
	must(t, h, "DELETE", "/events/1/data/4/", "")
	if got := insert("m"); got != first {
		t.Errorf("the first again: %s, was %s", got, first)
	}
	if got := insert("m"); got != second {
		t.Errorf("the second again: %s, was %s", got, second)
	}
	if got := sink.heard(); got != "" {
		t.Errorf("sinks were given %s", got)
	}
	for i, message := range []string{"m", "removed", "long ago"} {
		if got := insert(message); !strings.Contains(got, fmt.Sprintf(`"id":%d,`, 5+i)) {
			t.Errorf("%q is not new: %s", message, got)
		}
	}
}

// TestHandlerSinkDown has a sink that fails: nothing of a request stands.
func TestHandlerSinkDown(t *testing.T) {
	var reasons []string
	h, sink := newTestHandler(t, "", func(o *HandlerOptions) {
		o.Refused = func(reason string, n int) { reasons = append(reasons, fmt.Sprint(reason, n)) }
	})
	must(t, h, "POST", "/metrics/", "name=Jobs&dataType=COUNT")
	must(t, h, "POST", "/events/", "name=Backups")
	for _, down := range []bool{true, false} {
		sink.set(down)
		for _, c := range []struct{ path, body string }{
			{"/data/", `data=[{"m":211,"s":"a","d":[[1700000000,5]]}]`},
			{"/events/31/data/", "message=m&timestamp=1700000300&subject=a"},
		} {
			w := ask(h, "POST", "/api/v1/app/A"+c.path, h.testSession(), formType, c.body)
			if down {
				want := `503 {"msg":"This cannot be kept now; send it again later."}`
				if got := fmt.Sprintf("%d %s", w.Code, w.Body); got != want || w.Header().Get("Retry-After") != "10" {
					t.Errorf("%s: %s %v, want %s", c.path, got, w.Header(), want)
				}
			} else if w.Code != 200 {
				t.Errorf("%s: %d %s", c.path, w.Code, w.Body)
			}
		}
		if got := must(t, h, "GET", "/events/31/data/", ""); (got == "[]") != down {
			t.Errorf("down %v: events %s", down, got)
		}
	}
	want := `declared metric 211 "Jobs" unit="" type=2 COUNT/Instant help="" groups="" tags="" dimensions=[]
declared event 31 "Backups" attributes=[]
add Jobs 5 at 1700000000 of application "" (metric 211)
event EV-2ea7c4f8edf95000 "Backups" "m" from 1700000300 to open of application "" [] declared []
`
	if diff := cmp.Diff(want, sink.heard()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if !slices.Equal(reasons, []string{"unavailable1", "unavailable1"}) {
		t.Errorf("refused: %q", reasons)
	}
}

// TestHandlerPanic has a sink with a bug: the request fails, the next does not.
func TestHandlerPanic(t *testing.T) {
	h, sink := newTestHandler(t, "", nil)
	must(t, h, "POST", "/metrics/", "name=Jobs")
	must(t, h, "POST", "/events/", "name=Backups")
	sink.panics = true
	for _, path := range []string{"/data/", "/events/31/data/"} {
		w := ask(h, "POST", "/api/v1/app/A"+path, h.testSession(), formType, `message=m&data=[{"m":211,"s":"a","d":[[0,5]]}]`)
		if want := `{"msg":"the request failed here; the log says why"}`; w.Code != 500 || w.Body.String() != want {
			t.Errorf("%s: %d %s", path, w.Code, w.Body)
		}
	}
	sink.panics = false
	must(t, h, "POST", "/data/", `data=[{"m":211,"s":"a","d":[[0,5]]}]`)
	must(t, h, "POST", "/events/31/data/", "message=m")
}
