package coscale

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

const (
	testAccess  = "0b7c9a52-7f0e-4c6f-9a3c-2d2f6a0f7d11"
	testSession = "7d1f0a3e5b"
)

// tap is a listener that keeps what comes in.
type tap struct {
	net.Listener
	mu  sync.Mutex
	got bytes.Buffer
}

type tapped struct {
	net.Conn
	t *tap
}

func (t *tap) Accept() (net.Conn, error) {
	c, err := t.Listener.Accept()
	return tapped{c, t}, err
}

func (c tapped) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	c.t.mu.Lock()
	defer c.t.mu.Unlock()
	c.t.got.Write(p[:n])
	return n, err
}

// taken is what came in since the last time.
func (t *tap) taken() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	defer t.got.Reset()
	return t.got.String()
}

// newTestClient is a client of a server that answers logins itself and has
// answer do the rest.
func newTestClient(t *testing.T, answer http.HandlerFunc) (*Client, *tap) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	in := &tap{Listener: l}
	server := &httptest.Server{Listener: in, Config: &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, "/login/") {
			fmt.Fprintf(w, `{"token":%q}`, testSession)
			return
		}
		answer(w, r)
	})}}
	server.Start()
	t.Cleanup(server.Close)
	client := NewClient(ClientOptions{
		URL: server.URL + "/", AppID: "A", UserAgent: "scriptbridge/test", Setting: "upload.coscale.url",
		Token: func() (string, error) { return testAccess, nil },
	})
	t.Cleanup(client.o.HTTP.CloseIdleConnections)
	return client, in
}

// TestRequests holds every request, byte for byte, against the worked ones.
func TestRequests(t *testing.T) {
	const event = `{"gid":"EV-000421","id":9021,"applicationId":3,"timestamp":1700000300,"stopTime":null,"updateTime":1700000300,"message":"nightly run","subject":"a","attribute":"{\"exitCode\":-1}","version":1,"eventId":31}`
	stop := int64(1700000405)
	created := func(id int64, err error) (any, error) { return id, err }
	for _, c := range []struct {
		name   string
		do     func(context.Context, *Client) (any, error)
		line   string
		body   string // "": none is sent
		answer string
		want   any
	}{
		{"server", func(ctx context.Context, c *Client) (any, error) {
			return created(c.Create(ctx, Servers, &Server{Object: Object{Name: "web-01", Description: "front end"}, Source: "CLI"}))
		}, "POST /api/v1/app/A/servers/", "name=web-01&description=front+end&type=&source=CLI", `{"id":17,"version":1}`, int64(17)},
		{"server group", func(ctx context.Context, c *Client) (any, error) {
			return created(c.Create(ctx, ServerGroups, &ServerGroup{Object: Object{Name: "Namespaces"}, Source: "CLI", ParentID: 12}))
		}, "POST /api/v1/app/A/servergroups/", "name=Namespaces&description=&type=&state=&source=CLI&parentId=12", `{"id":13}`, int64(13)},
		{"metric", func(ctx context.Context, c *Client) (any, error) {
			return created(c.Create(ctx, Metrics, &Metric{Object: Object{Name: "Disk temperature"}, DataType: "DOUBLE", Period: 60, Unit: "C", Subject: "SERVER", Source: "CLI"}))
		}, "POST /api/v1/app/A/metrics/", "name=Disk+temperature&description=&dataType=DOUBLE&period=60&unit=C&subject=SERVER&source=CLI", `{"id":211}`, int64(211)},
		{"metric group", func(ctx context.Context, c *Client) (any, error) {
			return created(c.Create(ctx, MetricGroups, &MetricGroup{Object: Object{Name: "web", Description: "Metric group for statsd"}, Source: "statsd", Subject: "SERVER", ParentID: 104}))
		}, "POST /api/v1/app/A/metricgroups/", "name=web&description=Metric+group+for+statsd&type=&source=statsd&subject=SERVER&parentId=104", `{"id":109}`, int64(109)},
		{"metric group at the root", func(ctx context.Context, c *Client) (any, error) {
			return created(c.Create(ctx, MetricGroups, &MetricGroup{Object: Object{Name: "web"}, Subject: "SERVER"}))
		}, "POST /api/v1/app/A/metricgroups/", "name=web&description=&type=&source=&subject=SERVER", `{"id":109}`, int64(109)},
		{"dimension", func(ctx context.Context, c *Client) (any, error) {
			return created(c.Create(ctx, Dimensions, &Dimension{Name: "Queue"}))
		}, "POST /api/v1/app/A/dimensions/", "name=Queue", `{"id":7,"name":"Queue"}`, int64(7)},
		{"category", func(ctx context.Context, c *Client) (any, error) {
			return created(c.Create(ctx, Categories, &Category{Object: Object{Name: "Backups"}, AttributeDescriptions: `[{"name":"exitCode","type":"integer"}]`, Source: "CLI"}))
		}, "POST /api/v1/app/A/events/", "name=Backups&description=&attributeDescriptions=%5B%7B%22name%22%3A%22exitCode%22%2C%22type%22%3A%22integer%22%7D%5D&type=&source=CLI", `{"id":31}`, int64(31)},
		{"link", func(ctx context.Context, c *Client) (any, error) {
			return nil, c.Link(ctx, MetricGroups, 109, Metrics, 211)
		}, "POST /api/v1/app/A/metricgroups/109/metrics/211/", "", `[{"id":211}]`, nil},
		{"attribute", func(ctx context.Context, c *Client) (any, error) {
			return nil, c.SetAttribute(ctx, Metrics, 211, Attribute{Key: "TAG", Value: "CPU IDLE", Source: "s"})
		}, "POST /api/v1/app/A/metrics/211/attributes/", "key=TAG&value=CPU+IDLE&source=s&locked=false", `{"id":1}`, nil},
		{"event", func(ctx context.Context, c *Client) (any, error) {
			return c.InsertEvent(ctx, 31, EventData{Message: "nightly run", Timestamp: 1700000300, Subject: "a", Attribute: `{"exitCode":-1}`})
		}, "POST /api/v1/app/A/events/31/data/", "message=nightly+run&timestamp=1700000300&subject=a&attribute=%7B%22exitCode%22%3A-1%7D", event, eventOf(event)},
		{"event's end", func(ctx context.Context, c *Client) (any, error) {
			return c.UpdateEvent(ctx, 31, EventData{ID: 9021, Message: "nightly run", Timestamp: 1700000300, Subject: "a", Attribute: `{"exitCode":0}`, StopTime: &stop, Version: 1})
		}, "PUT /api/v1/app/A/events/31/data/9021/", "message=nightly+run&timestamp=1700000300&subject=a&attribute=%7B%22exitCode%22%3A0%7D&stopTime=1700000405&version=1", event, eventOf(event)},
		{"one event", func(ctx context.Context, c *Client) (any, error) { return c.Event(ctx, 31, 9021) },
			"GET /api/v1/app/A/events/31/data/get/9021/", "", event, eventOf(event)},
		{"events", func(ctx context.Context, c *Client) (any, error) { return c.Events(ctx, 31, 1700000000, 1700000400) },
			"GET /api/v1/app/A/events/31/data/?start=1700000000&stop=1700000400", "", "[" + event + "]", []EventData{eventOf(event)}},
	} {
		t.Run(c.name, func(t *testing.T) {
			client, in := newTestClient(t, func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, c.answer) })
			got, err := c.do(t.Context(), client)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Error(diff)
			}
			host := in.Addr().String()
			want := request("POST /api/v1/app/A/login/", host, "", "accessToken="+testAccess) + request(c.line, host, testSession, c.body)
			if diff := cmp.Diff(want, in.taken()); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// request is a request as it is on the wire.
func request(line, host, session, body string) string {
	text := line + " HTTP/1.1\r\nHost: " + host + "\r\nUser-Agent: scriptbridge/test\r\n"
	if !strings.HasPrefix(line, http.MethodGet) {
		text += fmt.Sprintf("Content-Length: %d\r\n", len(body))
	}
	if body != "" {
		text += "Content-Type: application/x-www-form-urlencoded\r\n"
	}
	if session != "" {
		text += "HTTPAuthorization: " + session + "\r\n"
	}
	return text + "Accept-Encoding: gzip\r\n\r\n" + body
}

func eventOf(string) EventData {
	return EventData{"EV-000421", 9021, 3, 1700000300, nil, 1700000300, "nightly run", "a", `{"exitCode":-1}`, 1, 31}
}

// TestInsertData: one field, and in it what the CLI packs. What
// deflate makes of it is each program's own affair.
func TestInsertData(t *testing.T) {
	client, in := newTestClient(t, func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, `{"msg":"1 point stored"}`) })
	err := client.InsertData(t.Context(), []Data{
		{Metric: 211, Subject: "s17", Points: []Point{{Value: 50.4}, {Time: -60, Value: 49.9}}},
		{Metric: 212, Subject: "a", Points: []Point{{Histogram: &Histogram{10, 10, []float64{1, 2}}}}, Dimensions: map[string]string{"Data Center": `<"north" & 1>`}},
	})
	if err != nil {
		t.Fatal(err)
	}
	_, sent, _ := strings.Cut(in.taken(), testAccess)
	head, body, _ := strings.Cut(sent, "\r\n\r\n")
	if want, _, _ := strings.Cut(request("POST /api/v1/app/A/data/", in.Addr().String(), testSession, body), "\r\n\r\n"); head != want {
		t.Error(cmp.Diff(want, head))
	}
	packed, ok := strings.CutPrefix(body, "cdata=")
	if !ok || strings.ContainsAny(packed, "+/=&") {
		t.Fatalf("the body is %q", body)
	}
	text, err := url.QueryUnescape(packed)
	if err != nil {
		t.Fatal(err)
	}
	zip, err := gzip.NewReader(base64.NewDecoder(base64.StdEncoding, strings.NewReader(text)))
	if err != nil {
		t.Fatal(err)
	}
	got, err := io.ReadAll(zip)
	if err != nil {
		t.Fatal(err)
	}
	const want = `[{"m":211,"s":"s17","d":[[0,50.4],[-60,49.9]]},{"m":212,"s":"a","d":[[0,[10,10,[1,2]]]],"dv":{"Data Center":"<\"north\" & 1>"}}]` + "\n"
	if diff := cmp.Diff(want, string(got)); diff != "" {
		t.Error(diff)
	}
}

// TestAnswers: what each answer comes to. No error shows a token, though the
// server repeats both.
func TestAnswers(t *testing.T) {
	metric := func(ctx context.Context, c *Client) (string, error) {
		id, err := c.Create(ctx, Metrics, &Metric{})
		return fmt.Sprint(id), err
	}
	event := func(ctx context.Context, c *Client) (string, error) {
		e, err := c.Event(ctx, 1, 2)
		return fmt.Sprint(e.ID), err
	}
	link := func(ctx context.Context, c *Client) (string, error) {
		return "", c.Link(ctx, MetricGroups, 1, Metrics, 2)
	}
	attribute := func(ctx context.Context, c *Client) (string, error) {
		return "", c.SetAttribute(ctx, Metrics, 1, Attribute{})
	}
	insert := func(ctx context.Context, c *Client) (string, error) {
		return "", c.InsertData(ctx, []Data{{Metric: 1, Points: make([]Point, 2)}})
	}
	events := func(ctx context.Context, c *Client) (string, error) {
		all, err := c.Events(ctx, 1, 2, 3)
		return fmt.Sprint(len(all)), err
	}
	type doing = func(context.Context, *Client) (string, error)
	for _, c := range []struct {
		name   string
		do     doing
		status int
		body   string
		want   string // of the result
		err    string // "" is none; URL stands for the server's
	}{
		{"it is there", metric, 409, `{"msg":"Exists.","type":"DUPLICATE","id":210}`, "210", ""},
		{"it is there, somewhere", metric, 409, `{"msg":"Exists.","type":"DUPLICATE"}`, "0", "POST /api/v1/app/A/metrics/: 409 Conflict: Exists."},
		{"switched off", metric, 409, `{"msg":"Off.","type":"DISABLED"}`, "0", "POST /api/v1/app/A/metrics/: 409 Conflict: Off."},
		{"linked already", link, 409, `{"msg":"Linked.","type":"X"}`, "", ""},
		{"linked already, a duplicate", link, 409, `{"msg":"Linked.","type":"DUPLICATE"}`, "", ""},
		{"links are switched off", link, 409, `{"msg":"Off.","type":"DISABLED"}`, "", "POST /api/v1/app/A/metricgroups/1/metrics/2/: 409 Conflict: Off."},
		{"the tag is there", attribute, 409, `{"msg":"Exists.","type":"DUPLICATE","id":3}`, "", ""},
		{"created", metric, 201, `{"id":5}`, "0", `POST /api/v1/app/A/metrics/: 201 Created: the answer is not of this API: {"id":5}`},
		{"nothing there", metric, 404, `{"msg":"No such app."}`, "0", "POST /api/v1/app/A/metrics/: 404 Not Found: No such app."},
		{"out of order", metric, 500, "", "0", "POST /api/v1/app/A/metrics/: 500 Internal Server Error: the answer is not of this API: it is empty"},
		{"a proxy's page", metric, 502, "<html>\n <b>Bad\xff gateway</b>", "0", "POST /api/v1/app/A/metrics/: 502 Bad Gateway: the answer is not of this API: <html> <b>Bad? gateway</b>"},
		{"a proxy's refusal", metric, 403, "<html>no</html>", "0", "POST /api/v1/app/A/metrics/: 403 Forbidden: the answer is not of this API: <html>no</html>"},
		{"another API's refusal", metric, 404, `{"message":"no Route matched with those values"}`, "0", `POST /api/v1/app/A/metrics/: 404 Not Found: the answer is not of this API: {"message":"no Route matched with those values"}`},
		{"a list of refusals", metric, 400, `[{"msg":"no"}]`, "0", `POST /api/v1/app/A/metrics/: 400 Bad Request: the answer is not of this API: [{"msg":"no"}]`},
		{"half a refusal", metric, 400, `{"msg":"no"`, "0", `POST /api/v1/app/A/metrics/: 400 Bad Request: the answer is not of this API: {"msg":"no"`},
		{"a refusal without a word", metric, 400, `{"msg":""}`, "0", `POST /api/v1/app/A/metrics/: 400 Bad Request: the answer is not of this API: {"msg":""}`},
		{"a proxy's conflict", metric, 409, `{"type":"DUPLICATE","id":210}`, "0", `POST /api/v1/app/A/metrics/: 409 Conflict: the answer is not of this API: {"type":"DUPLICATE","id":210}`},
		{"a proxy's conflict at a link", link, 409, "Conflict", "", "POST /api/v1/app/A/metricgroups/1/metrics/2/: 409 Conflict: the answer is not of this API: Conflict"},
		{"colours", metric, 503, "\x1b[31mred\x1b[0m\x07\u202e", "0", "POST /api/v1/app/A/metrics/: 503 Service Unavailable: the answer is not of this API: [31mred[0m"},
		{"a long page", metric, 503, strings.Repeat("é", 150), "0", "POST /api/v1/app/A/metrics/: 503 Service Unavailable: the answer is not of this API: " + strings.Repeat("é", 100) + "…"},
		{"a session told", metric, 500, `{"msg":"session ` + testSession + ` failed"}`, "0", "POST /api/v1/app/A/metrics/: 500 Internal Server Error: session <secret> failed"},
		{"a token told, late in a page", metric, 500, strings.Repeat(" ", 5000) + "accessToken=" + testAccess, "0", "POST /api/v1/app/A/metrics/: 500 Internal Server Error: the answer is not of this API: accessToken=<secret>"},
		{"no id", metric, 200, `{}`, "0", "POST /api/v1/app/A/metrics/: 200 OK: the answer is not of this API: {}"},
		{"an event without id", event, 200, `{}`, "0", "GET /api/v1/app/A/events/1/data/get/2/: 200 OK: the answer is not of this API: {}"},
		{"no JSON", metric, 200, "fine", "0", "POST /api/v1/app/A/metrics/: 200 OK: the answer is not of this API: fine"},
		{"a page for a link", link, 200, "<html>", "", "POST /api/v1/app/A/metricgroups/1/metrics/2/: 200 OK: the answer is not of this API: <html>"},
		{"a word for a link", link, 200, `{"msg":"ok"}`, "", `POST /api/v1/app/A/metricgroups/1/metrics/2/: 200 OK: the answer is not of this API: {"msg":"ok"}`},
		{"nothing for a link", link, 200, `null`, "", "POST /api/v1/app/A/metricgroups/1/metrics/2/: 200 OK: the answer is not of this API: null"},
		{"an empty group for a link", link, 200, `[]`, "", ""},
		{"the one that was linked", link, 200, `{"id":2}`, "", ""},
		{"strangers for a link", link, 200, `[{"id":2},{}]`, "", `POST /api/v1/app/A/metricgroups/1/metrics/2/: 200 OK: the answer is not of this API: [{"id":2},{}]`},
		{"a page for a tag", attribute, 200, "<html>", "", "POST /api/v1/app/A/metrics/1/attributes/: 200 OK: the answer is not of this API: <html>"},
		{"a page for data", insert, 200, "<html>", "", "POST /api/v1/app/A/data/: 200 OK: the answer is not of this API: <html>"},
		{"nothing for data", insert, 200, "", "", "POST /api/v1/app/A/data/: 200 OK: the answer is not of this API: it is empty"},
		{"a list for data", insert, 200, "[]", "", "POST /api/v1/app/A/data/: 200 OK: the answer is not of this API: []"},
		{"data, in part", insert, 200, `{"msg":"1 point stored, 1 refused: there is no metric 2"}`, "", "1 of 2 points refused: there is no metric 2"},
		{"data, none", insert, 200, `{"msg":"0 points stored, 2 refused: there is no metric 2"}`, "", "2 of 2 points refused: there is no metric 2"},
		{"data, in other words", insert, 200, `{"msg":"Ok, 0 pending"}`, "", ""},
		{"a page for a listing", events, 200, "garbage", "0", "GET /api/v1/app/A/events/1/data/: 200 OK: the answer is not of this API: garbage"},
		{"an object for a listing", events, 200, `{"msg":"ok"}`, "0", `GET /api/v1/app/A/events/1/data/: 200 OK: the answer is not of this API: {"msg":"ok"}`},
		{"nothing for a listing", events, 200, "null", "0", "GET /api/v1/app/A/events/1/data/: 200 OK: the answer is not of this API: null"},
		{"a listing of other things", events, 200, `[{"name":"x"}]`, "0", `GET /api/v1/app/A/events/1/data/: 200 OK: the answer is not of this API: [{"name":"x"}]`},
		{"a listing of none", events, 200, `[]`, "0", ""},
		{"too much", metric, 200, `{"id":1}` + strings.Repeat(" ", maxAnswer), "0", `POST /api/v1/app/A/metrics/: 200 OK: the answer is not of this API: it breaks off, or does not end: {"id":1}`},
		{"a long listing", events, 200, "[" + strings.Repeat(" ", 2*maxAnswer) + "]", "0", ""},
		{"elsewhere", metric, 302, "", "0", "POST /api/v1/app/A/metrics/: 302 Found: a redirect to URL/api/elsewhere/, which is not the API; what stands before that must not redirect, and upload.coscale.url must be the API's own"},
	} {
		t.Run(c.name, func(t *testing.T) {
			client, in := newTestClient(t, func(w http.ResponseWriter, r *http.Request) {
				if c.status == 302 {
					w.Header().Set("Location", "/api/elsewhere/?"+testSession)
				}
				w.WriteHeader(c.status)
				io.WriteString(w, c.body)
			})
			got, err := c.do(t.Context(), client)
			if got != c.want {
				t.Errorf("got %s, not %s", got, c.want)
			}
			told := ""
			if err != nil {
				told = strings.ReplaceAll(err.Error(), "http://"+in.Addr().String()+"/api", "URL/api")
			}
			if diff := cmp.Diff(c.err, told); diff != "" {
				t.Error(diff)
			}
			if n := strings.Count(in.taken(), " HTTP/1.1\r\n"); n != 2 {
				t.Errorf("%d requests, not two", n)
			}
		})
	}
}

// TestSession: one login serves many, and one more whoever learns that the
// session has ended; a second 401 is an answer like any other.
func TestSession(t *testing.T) {
	var logins atomic.Int64
	valid := func() string { return fmt.Sprintf("session-%d", logins.Load()) }
	never := false
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case strings.HasSuffix(r.URL.Path, "/login/"):
			logins.Add(1)
			fmt.Fprintf(w, `{"token":%q}`, valid())
		case never || r.Header.Get("HTTPAuthorization") != valid():
			w.WriteHeader(http.StatusUnauthorized)
			io.WriteString(w, `{"msg":"Log in."}`)
		default:
			io.WriteString(w, `[]`)
		}
	}))
	defer server.Close()
	var asked atomic.Int64
	client := NewClient(ClientOptions{URL: server.URL, AppID: "A", HTTP: server.Client(), Token: func() (string, error) {
		asked.Add(1)
		return testAccess, nil
	}})
	list := func() error {
		_, err := client.Events(t.Context(), 1, 0, 0)
		return err
	}
	var all sync.WaitGroup
	for range 20 {
		all.Go(func() {
			if err := list(); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	if n := logins.Load(); n != 1 {
		t.Errorf("%d logins for the first", n)
	}
	logins.Add(1) // the server forgets
	if err := list(); err != nil {
		t.Error(err)
	}
	if n, m := logins.Load(), asked.Load(); n != 3 || m != 2 {
		t.Errorf("%d logins, the token was asked for %d times", n-1, m)
	}
	never = true
	var status *StatusError
	if err := list(); !errors.As(err, &status) || status.Status != 401 || status.Login || logins.Load() != 4 {
		t.Errorf("%v after %d logins", err, logins.Load()-1)
	}
}

func TestLoginFails(t *testing.T) {
	for _, c := range []struct {
		name   string
		status int
		body   string
		token  error
		err    string
		login  bool // the error is a StatusError of the login
	}{
		{"wrong token", 400, `{"msg":"Invalid access token ` + testAccess + `.","type":"AUTHENTICATION"}`, nil,
			"login: POST /api/v1/app/A/login/: 400 Bad Request: Invalid access token <secret>.", true},
		{"401", 401, `{"msg":"No."}`, nil, "login: POST /api/v1/app/A/login/: 401 Unauthorized: No.", true},
		{"no token", 200, `{}`, nil, "login: POST /api/v1/app/A/login/: 200 OK: the answer is not of this API: {}", true},
		{"an array", 200, `[{"token":"x"}]`, nil, `login: POST /api/v1/app/A/login/: 200 OK: the answer is not of this API: [{"token":"x"}]`, true},
		{"a page that repeats what it got", 200, "<html>accessToken=" + testAccess, nil, "login: POST /api/v1/app/A/login/: 200 OK: the answer is not of this API: <html>accessToken=<secret>", true},
		{"no file", 200, "", errors.New("no such file"), "login: no such file", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			requests := 0
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				requests++
				w.WriteHeader(c.status)
				io.WriteString(w, c.body)
			}))
			defer server.Close()
			client := NewClient(ClientOptions{URL: server.URL, AppID: "A", Token: func() (string, error) { return testAccess, c.token }})
			err := client.InsertData(t.Context(), nil)
			if err == nil || err.Error() != c.err {
				t.Errorf("error %v, not %s", err, c.err)
			}
			var status *StatusError
			if got := errors.As(err, &status) && status.Login; got != c.login {
				t.Errorf("of the login: %t", got)
			}
			if requests > 1 {
				t.Errorf("%d requests", requests)
			}
		})
	}
}

// A server that repeats what it was sent spells it as it likes.
func TestSecretSpelledOtherwise(t *testing.T) {
	const access = "S3cr+et/tok=="
	for _, echo := range []string{"S3cr+et/tok==", "S3cr%2Bet%2Ftok%3D%3D", "S3cr%2bet%2ftok%3d%3d", `S3cr\u002bet\/tok\u003d=`, "UzNjcitldC90b2s9PQ==", "dXNlcjpTM2NyK2V0L3Rvaz09"} {
		for _, page := range []bool{true, false} {
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				w.WriteHeader(http.StatusBadRequest)
				if page {
					fmt.Fprintf(w, "<p>%s</p>", echo)
				} else {
					json.NewEncoder(w).Encode(map[string]string{"msg": "<p>" + echo + "</p>"})
				}
			}))
			client := NewClient(ClientOptions{URL: server.URL, AppID: "A", Token: func() (string, error) { return access, nil }})
			err := client.InsertData(t.Context(), nil)
			server.Close()
			if err == nil || !strings.HasSuffix(err.Error(), ": <p><secret></p>") {
				t.Errorf("%s: %v", echo, err)
			}
		}
	}
}

// A proxy repeats what is for itself: in base64, as it was sent.
func TestProxyPassword(t *testing.T) {
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(http.StatusProxyAuthRequired)
		fmt.Fprintf(w, "not good: Proxy-Authorization: %s", r.Header.Get("Proxy-Authorization"))
	}))
	defer proxy.Close()
	at, err := url.Parse(proxy.URL)
	if err != nil {
		t.Fatal(err)
	}
	at.User = url.UserPassword("bridge", "pass+word/1")
	hc := NewHTTPClient(nil, time.Minute)
	hc.Transport.(*http.Transport).Proxy = http.ProxyURL(at)
	err = NewClient(ClientOptions{URL: "http://api.example", AppID: "A", HTTP: hc, Token: func() (string, error) { return testAccess, nil }}).InsertData(t.Context(), nil)
	const want = "login: POST /api/v1/app/A/login/: 407 Proxy Authentication Required: the answer is not of this API: not good: Proxy-Authorization: Basic <secret>"
	if err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
}

// TestRedirect: where it leads is told, and what to write where it is the API
// that has moved.
func TestRedirect(t *testing.T) {
	const which = ", which is not the API; what stands before that must not redirect, and upload.coscale.url must be the API's own"
	for _, c := range []struct{ prefix, location, want string }{
		{"", "https://new.example/api/v1/app/A/login/", "a redirect to https://new.example/api/v1/app/A/login/: the API has moved; write https://new.example in upload.coscale.url"},
		{"/old", "https://new.example/other/api/v1/app/A/login?x=1", "a redirect to https://new.example/other/api/v1/app/A/login: the API has moved; write https://new.example/other in upload.coscale.url"},
		{"", "https://u:p@portal.example/login?next=" + testAccess, "a redirect to https://portal.example/login" + which},
		{"", "/api/v1/app/A/login", "a redirect to URL/api/v1/app/A/login" + which},
		{"", "", "a redirect to nowhere"},
		{"", "mailto:x", "a redirect to nowhere"},
	} {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			if c.location != "" {
				w.Header().Set("Location", c.location)
			}
			w.WriteHeader(http.StatusPermanentRedirect)
		}))
		client := NewClient(ClientOptions{URL: server.URL + c.prefix, AppID: "A", Setting: "upload.coscale.url", Token: func() (string, error) { return testAccess, nil }})
		err := client.InsertData(t.Context(), nil)
		server.Close()
		want := "login: POST " + c.prefix + "/api/v1/app/A/login/: 308 Permanent Redirect: " + c.want
		if err == nil || strings.ReplaceAll(err.Error(), server.URL, "URL") != want {
			t.Errorf("%s: %v\nnot %s", c.location, err, want)
		}
	}
}

// TestUnsaid: what never found a connection has not been said, all else may
// have been.
func TestUnsaid(t *testing.T) {
	gone := httptest.NewServer(nil)
	gone.Close()
	hangsUp := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }))
	defer hangsUp.Close()
	unknown := httptest.NewTLSServer(nil) // its authority, to this client
	defer unknown.Close()
	for _, c := range []struct {
		url    string
		unsaid bool
	}{{gone.URL, true}, {unknown.URL, true}, {"http://%zz", true}, {hangsUp.URL, false}} {
		err := NewClient(ClientOptions{URL: c.url, AppID: "A", Token: func() (string, error) { return testAccess, nil }}).InsertData(t.Context(), nil)
		var none *NoAnswerError
		if !errors.As(err, &none) || none.Unsaid != c.unsaid {
			t.Errorf("%s: %v", c.url, err)
		}
	}
}

func TestRetryAfter(t *testing.T) {
	now := time.Date(2026, 11, 26, 10, 0, 0, 0, time.UTC)
	for text, want := range map[string]time.Duration{
		"": 0, "30": 30 * time.Second, " 5 ": 5 * time.Second, "-5": 0, "soon": 0, "1.5": 0,
		"Thu, 26 Nov 2026 10:02:00 GMT": 2 * time.Minute, "Thu, 26 Nov 2026 09:00:00 GMT": 0,
		"99999999999999999999": 0,
	} {
		if got := retryAfter(text, now); got != want {
			t.Errorf("%q: %v, not %v", text, got, want)
		}
	}
}

// TestNoAnswer: a server that says nothing, or half of it, is no *StatusError.
func TestNoAnswer(t *testing.T) {
	hang := func(w http.ResponseWriter, r *http.Request) { <-r.Context().Done() }
	cut := func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Length", "100")
		io.WriteString(w, `{"id":1`)
		panic(http.ErrAbortHandler)
	}
	for name, answer := range map[string]http.HandlerFunc{"slow": hang, "cut": cut} {
		t.Run(name, func(t *testing.T) {
			seen := make(chan struct{}, 9)
			client, _ := newTestClient(t, func(w http.ResponseWriter, r *http.Request) {
				io.Copy(io.Discard, r.Body)
				seen <- struct{}{}
				answer(w, r)
			})
			ctx, cancel := context.WithCancel(t.Context())
			go func() {
				<-seen
				if name == "slow" {
					cancel()
				}
			}()
			defer cancel()
			_, err := client.Create(ctx, Metrics, &Metric{})
			var status *StatusError
			if err == nil || errors.As(err, &status) || strings.Contains(err.Error(), testAccess) || strings.Contains(err.Error(), testSession) {
				t.Errorf("error %v", err)
			}
			if name == "slow" && !errors.Is(err, context.Canceled) {
				t.Errorf("error %v", err)
			}
		})
	}
}

func TestCreateNothing(t *testing.T) {
	client := NewClient(ClientOptions{})
	if _, err := client.Create(t.Context(), Metrics, Metric{}); err == nil || err.Error() != "a coscale.Metric cannot be created" {
		t.Error(err)
	}
}

// A login brings nothing: it names its sender alone, also where what comes next came
// through bridges. One of them would take it for what comes back, and nothing at all
// would be sent to it.
func TestLoginVia(t *testing.T) {
	via := make(map[string]string)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		via[path.Base(r.URL.Path)] = r.Header.Get(ViaHeader)
		fmt.Fprint(w, `{"token":"t","id":17}`)
	}))
	defer server.Close()
	client := NewClient(ClientOptions{
		URL: server.URL, AppID: "A", UserAgent: "scriptbridge/test", Bridge: "b",
		Token: func() (string, error) { return testAccess, nil },
	})
	defer client.o.HTTP.CloseIdleConnections()
	if _, err := client.Create(WithVia(t.Context(), "a"), Servers, &Server{Object: Object{Name: "web-01"}}); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(map[string]string{"login": "b", "servers": "b, a"}, via); diff != "" {
		t.Errorf("via (-want +got):\n%s", diff)
	}
}
