package receive

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"scriptbridge/config"
	"scriptbridge/record"
)

// What could not be used is shown, the newest first, and logged once in a while
// for each reason, however often it comes. An event that comes again with its
// end takes the place of the one that is open.
func TestRecent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(SetOptions{})
		defer b.Close()
		b.Reload(t.Context(), &config.Receive{StatsD: &config.ReceiveStatsD{}})
		synctest.Wait()
		env := b.made["statsd"].env
		began := time.Now()
		for i := range 1000 {
			open := record.Event{ID: "open", Name: "it"}
			if i == 999 {
				open.Stop = time.Now()
			}
			env.Sink.Put(&record.Batch{
				Source: env.Source, Time: time.Now(), Events: []record.Event{open},
				Err: errors.Join(
					&record.LineError{Reason: "malformed", Text: fmt.Sprintf("line %d", i), Err: errors.New("it is bad"), More: i},
					&record.LineError{Reason: "negative", Err: errors.New("it is below 0")}),
			})
			time.Sleep(time.Second)
		}
		v := b.Views()[0]
		want := []Fault{
			{began.Add(999 * time.Second), "negative", "", "it is below 0", 0},
			{began.Add(999 * time.Second), "malformed", "line 999", "it is bad", 999},
			{began.Add(998 * time.Second), "negative", "", "it is below 0", 0},
		}
		if diff := cmp.Diff(want, v.Faults[:3]); diff != "" || len(v.Faults) != maxRecent {
			t.Errorf("%d faults (-want +got):\n%s", len(v.Faults), diff)
		}
		if len(v.Events) != 1 || v.Events[0].Stop.IsZero() {
			t.Errorf("events %+v", v.Events)
		}
		var logged []string
		for line := range strings.Lines(b.log.String()) {
			if _, what, ok := strings.Cut(line, " reason="); ok {
				logged = append(logged, strings.TrimSpace(what))
			}
		}
		wantLog := []string{
			`malformed err="it is bad" text="line 0"`, `negative err="it is below 0"`,
			`malformed err="it is bad" text="line 600"`, `negative err="it is below 0"`,
		}
		differ(t, "logged", logged, wantLog)
	})
}
