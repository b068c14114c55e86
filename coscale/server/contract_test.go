package server

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"scriptbridge/coscale"
)

// bothEnds is our client and our handler with a real socket between them. The
// handler can be exchanged, as by a restart.
type bothEnds struct {
	handler atomic.Pointer[Handler]
	server  *httptest.Server
	options coscale.ClientOptions
	client  *coscale.Client
	token   atomic.Pointer[string]
	logins  atomic.Int64
}

func newBothEnds(t *testing.T, h *Handler) *bothEnds {
	b := new(bothEnds)
	b.handler.Store(h)
	token := "other"
	b.token.Store(&token)
	b.server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, "/login/") {
			b.logins.Add(1)
		}
		b.handler.Load().ServeHTTP(w, r)
	}))
	t.Cleanup(b.server.Close)
	b.options = coscale.ClientOptions{
		URL: b.server.URL, AppID: testApp,
		Token: func() (string, error) { return *b.token.Load(), nil },
	}
	b.client = coscale.NewClient(b.options)
	return b
}

// TestContract has our client make one of everything.
func TestContract(t *testing.T) {
	h, sink := newTestHandler(t, "", nil)
	b := newBothEnds(t, h)
	c, ctx := b.client, context.Background()
	create := func(kind coscale.Kind, o any) int64 {
		t.Helper()
		id, err := c.Create(ctx, kind, o)
		if err != nil {
			t.Fatal(err)
		}
		again, err := c.Create(ctx, kind, o) // 409
		if err != nil || again != id {
			t.Errorf("%s again: %d, %v; was %d", kind, again, err, id)
		}
		return id
	}
	server := create(coscale.Servers, &coscale.Server{Object: coscale.Object{Name: "web-01"}, Source: "scriptbridge"})
	outer := create(coscale.ServerGroups, &coscale.ServerGroup{Object: coscale.Object{Name: "x"}})
	inner := create(coscale.ServerGroups, &coscale.ServerGroup{Object: coscale.Object{Name: "x"}, ParentID: outer})
	metric := create(coscale.Metrics, &coscale.Metric{Object: coscale.Object{Name: "Heat & <light>"}, DataType: "COUNT", Unit: "%", Subject: "SERVER", Period: 60})
	root := create(coscale.MetricGroups, &coscale.MetricGroup{Object: coscale.Object{Name: "Disk"}, Subject: "SERVER"})
	group := create(coscale.MetricGroups, &coscale.MetricGroup{Object: coscale.Object{Name: "Heat"}, Subject: "SERVER", ParentID: root})
	dimension := create(coscale.Dimensions, &coscale.Dimension{Name: "Data Center"})
	category := create(coscale.Categories, &coscale.Category{Object: coscale.Object{Name: "Backups"}, AttributeDescriptions: `[{"name":"exitCode","type":"integer"}]`})
	for _, l := range []link{{coscale.ServerGroups, inner, coscale.Servers, server}, {coscale.MetricGroups, group, coscale.Metrics, metric}, {coscale.Metrics, metric, coscale.Dimensions, dimension}} {
		for range 2 {
			if err := c.Link(ctx, l.group, l.groupID, l.kind, l.id); err != nil {
				t.Errorf("link %v: %v", l, err)
			}
		}
	}
	if err := c.SetAttribute(ctx, coscale.Metrics, metric, coscale.Attribute{Key: "TAG", Value: "DISK"}); err != nil {
		t.Error(err)
	}
	if err := c.InsertData(ctx, []coscale.Data{{Metric: metric, Subject: coscale.SubjectOf(coscale.Servers, server), Points: []coscale.Point{{Time: 1700000000, Value: 4}}, Dimensions: map[string]string{"Data Center": `a "quoted" one`}}}); err != nil {
		t.Error(err)
	}
	e, err := c.InsertEvent(ctx, category, coscale.EventData{Message: "nightly", Timestamp: 1700000300, Subject: "g13", Attribute: `{"exitCode":-1}`})
	if err != nil {
		t.Fatal(err)
	}
	stop := int64(1700000400)
	e.StopTime, e.Attribute = &stop, `{"exitCode":0}`
	changed, err := c.UpdateEvent(ctx, category, e)
	if err != nil || changed.Version != 2 {
		t.Errorf("changed %+v, %v", changed, err)
	}
	if got, err := c.Event(ctx, category, e.ID); err != nil || got.GID != e.GID || *got.StopTime != stop {
		t.Errorf("event %+v, %v", got, err)
	}
	if list, err := c.Events(ctx, category, 1700000300, 1700000300); err != nil || len(list) != 1 {
		t.Errorf("events %+v, %v", list, err)
	}
	want := `declared metric 211 "Heat & <light>" unit="%" type=2 COUNT/Instant help="" groups="Disk/Heat" tags="DISK" dimensions=["Data Center"]
declared event 31 "Backups" attributes=["exitCode"]
add Heat & <light>{Data Center="a \"quoted\" one"} 4 at 1700000000 of server "web-01" (metric 211)
event EV "Backups" "nightly" from 1700000300 to open of group "x" [{"exitCode" "-1"}] declared ["exitCode"]
event EV "Backups" "nightly" from 1700000300 to 1700000400 of group "x" [{"exitCode" "0"}] declared ["exitCode"]
`
	if got := strings.ReplaceAll(sink.heard(), e.GID, "EV"); got != want {
		t.Errorf("put:\n%s\nwant:\n%s", got, want)
	}
	if n := b.logins.Load(); n != 1 {
		t.Errorf("%d logins", n)
	}
}

var oneMetric = &coscale.Metric{Object: coscale.Object{Name: "Heat"}, DataType: "DOUBLE", Subject: "SERVER"}

// TestContractRestart exchanges the handler beneath the client: what it made is
// there, its session goes on, and when its access token is taken away it finds
// the new one by itself.
func TestContractRestart(t *testing.T) {
	folder := t.TempDir()
	h, _ := newTestHandler(t, folder, nil)
	b := newBothEnds(t, h)
	ctx := context.Background()
	id, err := b.client.Create(ctx, coscale.Metrics, oneMetric)
	if err != nil {
		t.Fatal(err)
	}
	data := []coscale.Data{{Metric: id, Subject: "a", Points: []coscale.Point{{Time: 1700000000, Value: 4}}}}
	for i, tokens := range [][]string{{"other"}, {"new"}} {
		b.handler.Load().Close()
		h, sink := newTestHandler(t, folder, func(o *HandlerOptions) { o.Tokens = tokens })
		b.handler.Store(h)
		b.token.Store(&tokens[0])
		if err := b.client.InsertData(ctx, data); err != nil {
			t.Fatal(err)
		}
		if !strings.HasSuffix(sink.heard(), "set Heat 4 at 1700000000 of application \"\" (metric 1)\n") {
			t.Error("the points went elsewhere")
		}
		if n := b.logins.Load(); n != int64(1+i) {
			t.Errorf("%d logins after restart %d", n, i)
		}
	}
}

// TestContractSinkDown has the client hear of a sink that fails.
func TestContractSinkDown(t *testing.T) {
	h, sink := newTestHandler(t, "", nil)
	b := newBothEnds(t, h)
	ctx := context.Background()
	id, err := b.client.Create(ctx, coscale.Metrics, oneMetric)
	if err != nil {
		t.Fatal(err)
	}
	data := []coscale.Data{{Metric: id, Subject: "a", Points: []coscale.Point{{Time: 1700000000, Value: 4}}}}
	sink.set(true)
	var status *coscale.StatusError
	if err := b.client.InsertData(ctx, data); !errors.As(err, &status) || status.Status != http.StatusServiceUnavailable {
		t.Errorf("while down: %v", err)
	}
	sink.set(false)
	if err := b.client.InsertData(ctx, data); err != nil {
		t.Errorf("after it: %v", err)
	}
}

// TestContractCut cuts connections in the middle of a body, and sends one byte
// by byte.
func TestContractCut(t *testing.T) {
	received := make(chan int, 10)
	h, sink := newTestHandler(t, "", func(o *HandlerOptions) { o.Received = func(n int) { received <- n } })
	b := newBothEnds(t, h)
	if _, err := b.client.Create(context.Background(), coscale.Metrics, oneMetric); err != nil {
		t.Fatal(err)
	}
	<-received // the login
	<-received
	body := `data=[{"m":211,"s":"a","d":[[1700000000,4]]}]`
	head := fmt.Sprintf("POST /api/v1/app/A/data/ HTTP/1.1\r\nHost: x\r\nHTTPAuthorization: %s\r\nContent-Length: %d\r\nConnection: close\r\n\r\n", h.testSession(), len(body))
	dial := func() net.Conn {
		c, err := net.Dial("tcp", b.server.Listener.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	for cut := range len(body) {
		if cut%9 != 0 {
			continue
		}
		c := dial()
		if _, err := io.WriteString(c, head+body[:cut]); err != nil {
			t.Fatal(err)
		}
		c.Close()
		if n := <-received; n != cut {
			t.Errorf("%d bytes came, %d were sent", n, cut)
		}
	}
	if got := sink.heard(); got != "" {
		t.Errorf("half a request was put: %s", got)
	}
	c := dial()
	defer c.Close()
	for _, one := range []byte(head + body) {
		if _, err := c.Write([]byte{one}); err != nil {
			t.Fatal(err)
		}
	}
	answer, err := io.ReadAll(c)
	if err != nil || !bytes.HasPrefix(answer, []byte("HTTP/1.1 200 OK\r\n")) || !bytes.HasSuffix(answer, []byte("\r\n\r\n"+`{"msg":"1 point stored"}`)) {
		t.Errorf("%s, %v", answer, err)
	}
}

// TestRefusedBodyIsRead answers a large body that nobody wants: the client must
// see the answer, not a connection that is reset.
func TestRefusedBodyIsRead(t *testing.T) {
	h, _ := newTestHandler(t, "", nil)
	h.clock = func() time.Time { return testNow.Add(sessionLife) }
	session := h.gate.login("other", testNow) // ended
	b := newBothEnds(t, h)
	for range 5 {
		r, _ := http.NewRequest("POST", b.server.URL+"/api/v1/app/A/data/", bytes.NewReader(make([]byte, 16<<20)))
		r.Header.Set("HTTPAuthorization", session)
		resp, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != 401 {
			t.Fatal(resp.Status)
		}
	}
}

// TestParallelClients has many clients make the same things at once, as the
// StatsD backend does.
func TestParallelClients(t *testing.T) {
	h, sink := newTestHandler(t, t.TempDir(), nil)
	b := newBothEnds(t, h)
	ctx := context.Background()
	done := make(chan []int64)
	const clients = 8
	for range clients {
		go func() {
			c := coscale.NewClient(b.options)
			var ids []int64
			for i := range 5 {
				id, err := c.Create(ctx, coscale.MetricGroups, &coscale.MetricGroup{Object: coscale.Object{Name: "StatsD"}, Subject: "SERVER"})
				if err != nil {
					t.Error(err)
				}
				m, err := c.Create(ctx, coscale.Metrics, &coscale.Metric{Object: coscale.Object{Name: fmt.Sprint("m", i)}, DataType: "DOUBLE", Subject: "SERVER"})
				if err != nil {
					t.Error(err)
				}
				if err := c.Link(ctx, coscale.MetricGroups, id, coscale.Metrics, m); err != nil {
					t.Error(err)
				}
				if err := c.InsertData(ctx, []coscale.Data{{Metric: m, Subject: "a", Points: []coscale.Point{{Time: 1700000000, Value: 4}}}}); err != nil {
					t.Error(err)
				}
				ids = append(ids, id, m)
			}
			done <- ids
		}()
	}
	var first []int64
	for range clients {
		ids := <-done
		if first == nil {
			first = ids
		}
		if !slices.Equal(ids, first) {
			t.Errorf("ids %v and %v", ids, first)
		}
	}
	if sink.samples != clients*5 {
		t.Errorf("%d samples", sink.samples)
	}
}
