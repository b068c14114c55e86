package server

import (
	"context"
	"fmt"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// TestHandlerGate has who is let in and who is not, and how long each waits.
func TestHandlerGate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, _ := newTestHandler(t, "", nil)
		good := h.testSession()
		foreign, _ := newTestHandler(t, "", nil)
		const login = "/api/v1/app/A/login/"
		for _, c := range []struct {
			name, method, path, session, body string
			at                                time.Time
			want                              string
			wait                              time.Duration
		}{
			{"a login", "POST", login, "", "accessToken=other", testNow, `200 {"token":"$"}`, 0},
			{"a login with a stale session", "POST", login, "stale", "accessToken=other", testNow, `200 {"token":"$"}`, 0},
			{"a wrong token", "POST", login, "", "accessToken=othe", testNow, `400 {"msg":"Invalid access token.","type":"AUTHENTICATION"}`, failureDelay},
			{"no token", "POST", login, "", "", testNow, `400 {"msg":"Invalid access token.","type":"AUTHENTICATION"}`, failureDelay},
			{"a wrong password", "POST", "/api/v1/users/login/", "", "email=a&password=b", testNow, `400 {"msg":"Invalid email or password.","type":"AUTHENTICATION"}`, failureDelay},
			{"another application's login", "POST", "/api/v1/app/B/login/", "", "accessToken=other", testNow, `404 {"msg":"There is no such application here.","type":"AUTHENTICATION"}`, failureDelay},
			{"a login by GET", "GET", login, "", "", testNow, `405 {"msg":"GET is not for this path; it takes POST."}`, 0},
			{"too long a login", "POST", login, "", "accessToken=" + strings.Repeat("x", maxLogin), testNow, `413 {"msg":"the body has more than 8 KiB; send it in parts"}`, 0},
			{"a session", "GET", "/api/v1/app/A/alerts/", good, "", testNow, `200 []`, 0},
			{"a session to its last second", "GET", "/api/v1/app/A/alerts/", good, "", testNow.Add(sessionLife - time.Second), `200 []`, 0},
			{"a session of before", "GET", "/api/v1/app/A/alerts/", good, "", testNow.Add(sessionLife), `401 {"msg":"The session has ended; log in again.","type":"AUTHENTICATION"}`, 0},
			{"no session", "GET", "/api/v1/app/A/alerts/", "", "", testNow, `401 {"msg":"Log in first.","type":"AUTHENTICATION"}`, failureDelay},
			{"a session of another handler", "GET", "/api/v1/app/A/alerts/", foreign.testSession(), "", testNow, `401 {"msg":"Log in first.","type":"AUTHENTICATION"}`, failureDelay},
			{"a forged end", "GET", "/api/v1/app/A/alerts/", "B" + good[1:], "", testNow, `401 {"msg":"Log in first.","type":"AUTHENTICATION"}`, failureDelay},
		} {
			h.clock = func() time.Time { return c.at }
			start := time.Now()
			w := ask(h, c.method, c.path, c.session, formType, c.body)
			got := fmt.Sprintf("%d %s", w.Code, w.Body)
			if strings.HasPrefix(got, `200 {"token":"`) && len(got) == len(`200 {"token":""}`)+32 {
				got = `200 {"token":"$"}`
			}
			if wait := time.Since(start); got != c.want || wait != c.wait {
				t.Errorf("%s: %s after %v, want %s after %v", c.name, got, wait, c.want, c.wait)
			}
		}
	})
}

// TestHandlerOwn does not let in what this process uploads.
func TestHandlerOwn(t *testing.T) {
	h, _ := newTestHandler(t, "", func(o *HandlerOptions) { o.Own = "one" })
	for via, want := range map[string]int{"one": 400, "two": 200, "": 200, "two, one": 400, "two,one , three": 400, "o ne": 200, "ones": 200} {
		r := httptest.NewRequest("POST", "/api/v1/app/A/login/", strings.NewReader("accessToken=other"))
		r.Header.Set("Scriptbridge-Via", via)
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		if w.Code != want || (w.Code == 400) != strings.Contains(w.Body.String(), `"type":"LOOP"`) {
			t.Errorf("%q: %d %s", via, w.Code, w.Body)
		}
	}
}

// TestHandlerManyFailures has more clients fail than may wait at a time, while
// others succeed at once.
func TestHandlerManyFailures(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var busy, auth int
		h, _ := newTestHandler(t, "", nil)
		var mu sync.Mutex
		h.o.Refused = func(reason string, n int) {
			mu.Lock()
			defer mu.Unlock()
			switch reason {
			case "busy":
				busy += n
			case "auth":
				auth += n
			}
		}
		var all sync.WaitGroup
		for range maxDelayed {
			all.Go(func() { ask(h, "GET", "/api/v1/app/A/alerts/", "none", "", "") })
		}
		synctest.Wait()
		start := time.Now()
		w := ask(h, "POST", "/api/v1/app/A/login/", "", formType, "accessToken=wrong")
		if got, want := fmt.Sprintf("%d %s", w.Code, w.Body), `429 {"msg":"Too many fail to log in at this time."}`; got != want {
			t.Errorf("%s, want %s", got, want)
		}
		must(t, h, "GET", "/alerts/", "")
		if waited := time.Since(start); waited != 0 {
			t.Errorf("waited %v", waited)
		}
		all.Wait()
		if busy != 1 || auth != maxDelayed {
			t.Errorf("busy %d, auth %d", busy, auth)
		}
		w = httptest.NewRecorder()
		r := httptest.NewRequest("GET", "/api/v1/app/A/alerts/", nil)
		h.ServeHTTP(w, r)
		if w.Code != 401 {
			t.Errorf("%d after all had waited", w.Code)
		}
	})
}

// TestLoginLoop has a client that logs in again as soon as it is refused, as the
// StatsD backend does: it is kept from doing so often, and answered before
// clients give up that wait for a second only.
func TestLoginLoop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, _ := newTestHandler(t, "", nil)
		start, n := time.Now(), 0
		for ; time.Since(start) < time.Minute; n++ {
			asked := time.Now()
			ask(h, "POST", "/api/v1/app/A/login/", "", formType, "accessToken=wrong")
			if waited := time.Since(asked); waited > 950*time.Millisecond {
				t.Fatalf("an answer came after %v", waited)
			}
		}
		if n > 120 {
			t.Errorf("%d attempts in a minute", n)
		}
	})
}

// TestGoneClientIsNotDelayed: nobody waits for a client that has gone.
func TestGoneClientIsNotDelayed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, _ := newTestHandler(t, "", nil)
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		start := time.Now()
		h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("GET", "/api/v1/app/A/alerts/", nil).WithContext(ctx))
		if waited := time.Since(start); waited != 0 {
			t.Errorf("it waited %v", waited)
		}
	})
}

// TestTokenTakenAway ends the sessions of an access token that is gone, and
// leaves the others.
func TestTokenTakenAway(t *testing.T) {
	secret := []byte("secret")
	before := newGate(secret, []string{"a", "b"})
	a, b := before.login("a", testNow), before.login("b", testNow)
	after := newGate(secret, []string{"b", "c"})
	if issued, good := after.check(a, testNow); issued || good {
		t.Error("a's session goes on")
	}
	if issued, good := after.check(b, testNow); !issued || !good {
		t.Error("b's session ended")
	}
}
