package remotewrite

import (
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/exp/api/remote"
)

// What is too old is dropped while the destination is away, too, and it is asked no more
// often for that.
func TestMaxAgeMeanwhile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		to := newReceiver(remote.WriteV2MessageType)
		to.answer = func(w http.ResponseWriter, _ *http.Request) bool {
			w.Header().Set("Retry-After", "300")
			w.WriteHeader(http.StatusServiceUnavailable)
			return true
		}
		b := newBench(t, to)
		b.maxAge = time.Hour
		b.start()
		for i := range 300 {
			b.run(queue(i))
			b.pass(30 * time.Second)
		}
		s := b.Stats()
		if age := time.Since(s.Oldest); age > 70*time.Minute || age < 55*time.Minute {
			t.Errorf("the oldest is %v old", age)
		}
		if s.DroppedBy["too_old"] < 150 || s.Failing == "" {
			t.Errorf("%+v", s)
		}
		if n := len(to.answered()); n > 31 || n < 25 {
			t.Errorf("it was asked %d times", n)
		}
		b.stop()
	})
}
