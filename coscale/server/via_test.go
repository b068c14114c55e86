package server

import (
	"net/http/httptest"
	"strings"
	"testing"
)

// TestUploadChain has what passes through many bridges arrive, but no more than
// a ring may have.
func TestUploadChain(t *testing.T) {
	long := strings.Repeat("b, ", maxVia-1) + "b"
	for via, want := range map[string]int{"": 200, "a": 200, "a, b, c": 200, long: 200, long + ", c": 409, "a, own": 409} {
		h, sink := newTestHandler(t, "", func(o *HandlerOptions) { o.Own = "own" })
		r := httptest.NewRequest("POST", "/api/v1/app/A/events/", strings.NewReader("name=E"))
		r.Header.Set("HTTPAuthorization", h.testSession())
		r.Header.Set("Scriptbridge-Via", via)
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		if w.Code != want || want == 409 && !strings.Contains(w.Body.String(), `"type":"LOOP"`) {
			t.Errorf("%q: %d %s", via, w.Code, w.Body)
		}
		_ = sink
	}
}
