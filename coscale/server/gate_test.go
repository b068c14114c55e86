package server

import (
	"context"
	"fmt"
	"net/http/httptest"
	"strconv"
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
			if w := ask(h, "POST", "/api/v1/app/A/login/", "", formType, "accessToken=wrong"); w.Code == 401 {
				t.Fatal("it is told to log in again")
			}
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

// TestGuessing has a client try many tokens, at once and over time: few are looked at, and
// the right one is not let in either until some time has passed. Others notice nothing.
func TestGuessing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, _ := newTestHandler(t, "", nil)
		h.clock = time.Now
		from := func(address, path, body string) int {
			r := httptest.NewRequest("POST", "/api/v1/"+path, strings.NewReader(body))
			r.RemoteAddr = address
			w := httptest.NewRecorder()
			h.ServeHTTP(w, r)
			return w.Code
		}
		statuses := make(map[int]int)
		var mu sync.Mutex
		guess := func(n int) {
			var all sync.WaitGroup
			for i := range n {
				all.Go(func() {
					path, body := "app/A/login/", fmt.Sprintf("accessToken=guess-%d", i)
					switch i % 3 {
					case 1:
						path, body = "users/login/", fmt.Sprintf("email=a&password=guess-%d", i)
					case 2:
						path = fmt.Sprintf("app/%d/login/", i)
					}
					status := from("[2001:db8::"+strconv.FormatInt(int64(1+i), 16)+"]:1", path, body)
					mu.Lock()
					defer mu.Unlock()
					statuses[status]++
				})
			}
			all.Wait()
		}
		guess(1000)
		if looked := statuses[400] + statuses[404]; looked != maxFailures || statuses[429] != 1000-maxFailures {
			t.Errorf("at once: %v", statuses)
		}
		const right = "accessToken=other"
		if status := from("[2001:db8::ffff]:1", "app/A/login/", right); status != 429 {
			t.Errorf("the right token behind the guesses: %d", status)
		}
		for _, other := range []string{"[2001:db8:0:1::1]:1", "192.0.2.7:1", "127.0.0.1:1"} {
			if status := from(other, "app/A/login/", right); status != 200 {
				t.Errorf("%s: %d", other, status)
			}
		}
		clear(statuses)
		begin := time.Now()
		for time.Since(begin) < 10*time.Minute {
			guess(10)
			time.Sleep(100 * time.Millisecond)
		}
		if looked := statuses[400] + statuses[404]; looked < 95 || looked > 101 {
			t.Errorf("in ten minutes: %v", statuses)
		}
		time.Sleep(failureEvery)
		if status := from("[2001:db8::ffff]:1", "app/A/login/", right); status != 200 {
			t.Errorf("the right token a moment later: %d", status)
		}
	})
}

// TestManyRightLogins: coscale-cli logs in for each of its runs, of which a job may make
// many.
func TestManyRightLogins(t *testing.T) {
	h, _ := newTestHandler(t, "", nil)
	for range 10 * maxFailures {
		if w := ask(h, "POST", "/api/v1/app/A/login/", "", formType, "accessToken=other"); w.Code != 200 {
			t.Fatal(w.Code, w.Body)
		}
	}
}

// TestFailuresAreBounded: who has many addresses takes no more memory for them.
func TestFailuresAreBounded(t *testing.T) {
	var f failures
	for i := range 10 * maxFailing {
		f.try(strconv.Itoa(i), testNow, func() bool { return false })
	}
	if n := len(f.young) + len(f.old); n > 2*maxFailing {
		t.Errorf("%d clients are remembered", n)
	}
	f.try("x", testNow.Add(time.Hour), func() bool { return false })
	f.try("x", testNow.Add(2*time.Hour), func() bool { return false })
	if n := len(f.young) + len(f.old); n > 2 {
		t.Errorf("%d clients are remembered two hours later", n)
	}
	for range maxFailures {
		f.try("y", testNow.Add(3*time.Hour), func() bool { return false })
	}
	if blocked, _ := f.try("y", testNow.Add(2*time.Hour), func() bool { return true }); !blocked {
		t.Error("a clock that goes back opens the door")
	}
}
