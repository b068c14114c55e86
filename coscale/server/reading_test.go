package server

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"scriptbridge/internal/admit"
	"scriptbridge/internal/testkit"
)

// Four requests at once are taken apart, three of them large ones; others wait for a while,
// and are then asked to come again. A slow client with few data is none of the four, and nor
// is one who asks for something else.
func TestDataReading(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var busy atomic.Int64
		h, _ := newTestHandler(t, "", func(o *HandlerOptions) {
			o.Sink = nullSink{}
			o.Refused = func(reason string, n int) {
				if reason == "busy" {
					busy.Add(int64(n))
				}
			}
		})
		must(t, h, "POST", "/metrics/", "name=Heat")
		session := h.testSession()
		const good = `data=[{"m":211,"s":"a","d":[[0,1]]}]`
		send := func(path string, body io.Reader) (*httptest.ResponseRecorder, chan struct{}) {
			r := httptest.NewRequest("POST", "/api/v1/app/A"+path, body)
			r.Header.Set("HTTPAuthorization", session)
			w, done := httptest.NewRecorder(), make(chan struct{})
			go func() {
				h.ServeHTTP(w, r)
				close(done)
			}()
			synctest.Wait()
			return w, done
		}
		var slow []*io.PipeWriter
		begin := func(path, text string) chan struct{} {
			r, w := io.Pipe()
			_, done := send(path, r)
			go w.Write([]byte(text))
			synctest.Wait()
			slow = append(slow, w)
			return done
		}
		for range 10 {
			begin("/data/", good)
			begin("/events/", "name=x")
		}
		if n := len(h.reading); n != 0 {
			t.Errorf("%d permits are given out by few data", n)
		}
		filler := strings.Repeat(" ", admit.Small)
		begin("/events/", "name="+filler)
		last := begin("/data/", "data="+filler)
		begin("/data/", "data="+filler)
		if n := len(h.reading); n != maxReading-1 {
			t.Fatalf("%d permits are given out", n)
		}
		start := time.Now()
		w, done := send("/data/", strings.NewReader(good))
		<-done
		if w.Code != 200 || time.Since(start) != 0 {
			t.Errorf("few data have no place of their own: %d %s after %s", w.Code, w.Body, time.Since(start))
		}
		big := "x=" + filler + "&" + good
		w, done = send("/data/", strings.NewReader(big))
		<-done
		if got := fmt.Sprintf("%d %s %s", w.Code, w.Header().Get("Retry-After"), w.Body); got != `503 10 {"msg":"Too many send data at this time; send it again later."}` || time.Since(start) != admit.Wait {
			t.Errorf("%s after %s", got, time.Since(start))
		}
		if n := busy.Load(); n != 1 {
			t.Errorf("%d are counted", n)
		}
		w, done = send("/data/", strings.NewReader(big))
		time.Sleep(time.Second)
		slow[len(slow)-2].CloseWithError(io.ErrUnexpectedEOF) // one of the three gives up
		<-last
		<-done
		if w.Code != 200 {
			t.Errorf("who has waited for a place: %d %s", w.Code, w.Body)
		}
		for _, w := range slow {
			w.Close()
		}
		synctest.Wait()
		if n := len(h.reading) + len(h.large); n != 0 {
			t.Errorf("%d permits are given out at the end", n)
		}
	})
}

// Who falls silent loses the place before those who wait for one are sent away.
func TestDataReadingSilent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, _ := newTestHandler(t, "", func(o *HandlerOptions) { o.Sink = nullSink{} })
		must(t, h, "POST", "/metrics/", "name=Heat")
		l := make(testkit.PipeListener)
		server := &http.Server{Handler: h}
		go server.Serve(l)
		defer server.Close()
		send := func(body string, length int) net.Conn {
			client, theirs := net.Pipe()
			l <- theirs
			go fmt.Fprintf(client, "POST /api/v1/app/A/data/ HTTP/1.1\r\nHost: a\r\nConnection: close\r\nHTTPAuthorization: %s\r\nContent-Length: %d\r\n\r\n%s", h.testSession(), length, body)
			synctest.Wait()
			return client
		}
		status := func(c net.Conn) string {
			answer, err := io.ReadAll(c)
			if err != nil {
				t.Fatal(err)
			}
			head, body, _ := strings.Cut(string(answer), "\r\n\r\n")
			line, _, _ := strings.Cut(head, "\r\n")
			return line + " " + body
		}
		filler := strings.Repeat(" ", admit.Small)
		const good = `data=[{"m":211,"s":"a","d":[[0,1]]}]`
		start := time.Now()
		var silent []net.Conn
		for range maxReading - 1 {
			silent = append(silent, send("data="+filler, 10*admit.Small))
		}
		if n := len(h.reading); n != maxReading-1 {
			t.Fatalf("%d permits are given out", n)
		}
		large := "x=" + filler + "&" + good
		big := send(large, len(large))
		if got := status(big); !strings.HasPrefix(got, "HTTP/1.1 200 OK ") || time.Since(start) != admit.Stall {
			t.Errorf("who waits: %s after %s", got, time.Since(start))
		}
		for _, c := range silent {
			if got := status(c); got != `HTTP/1.1 503 Service Unavailable {"msg":"the body cannot be read: it comes too slowly; send it again later."}` {
				t.Errorf("who is silent: %s", got)
			}
		}
	})
}

// What is asked back is made of so many series at most.
func TestWantedSubjects(t *testing.T) {
	h, _ := newTestHandler(t, "", nil)
	must(t, h, "POST", "/metrics/", "name=Heat")
	for _, together := range []bool{false, true} {
		subjects := strings.Repeat("a,", maxWanted) + "a"
		w := ask(h, "POST", "/api/v1/app/A/data/dimension/getCalculated/", h.testSession(), formType,
			fmt.Sprintf(`data={"start":-60,"stop":0,"ids":[{"metricId":211,"subjects":%q,"aggregateSubjects":%t}]}`, subjects, together))
		if got, want := fmt.Sprintf("%d %s", w.Code, w.Body), `400 {"msg":"that is more than 1000 series; ask for them in parts"}`; got != want {
			t.Errorf("together %t: %.200s, want %s", together, got, want)
		}
	}
}
