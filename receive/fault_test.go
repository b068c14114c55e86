package receive

import (
	"context"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"scriptbridge/config"
	"scriptbridge/receive/receiver"
)

// atFault is a receiver that panics when it is told to.
type atFault struct {
	*fake
	now chan struct{}
}

func (f *atFault) Run(ctx context.Context) error {
	f.env.Opened()
	select {
	case <-f.now:
		panic("odd")
	case <-ctx.Done():
		return nil
	}
}

// A fault of ours in a receiver is its trouble alone: it goes down, says so with
// the place, and another one takes its place.
func TestRunPanics(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(SetOptions{})
		defer b.Close()
		var made atomic.Int32
		now := make(chan struct{})
		sound := b.types[1].New
		b.types[1].New = func(r *config.Receive, env receiver.Env) (receiver.Receiver, error) {
			one, err := sound(r, env)
			made.Add(1)
			return &atFault{one.(*fake), now}, err
		}
		b.Reload(t.Context(), &config.Receive{StatsD: &config.ReceiveStatsD{}, Collectd: &config.ReceiveCollectd{}})
		synctest.Wait()
		before := made.Load()
		now <- struct{}{}
		synctest.Wait()
		want := "this is a fault of scriptbridge itself: odd (please report it; --log.level=debug tells where it is)"
		if v := b.Views(); v[0].Up || v[0].Error != want || !v[1].Up {
			t.Errorf("the receivers are %+v", v)
		}
		if said := b.log.String(); strings.Count(said, "err=\""+want+"\" stack=\"goroutine ") != 1 || !strings.Contains(said, "receive.(*atFault).Run") {
			t.Errorf("the log says:\n%s", said)
		}
		time.Sleep(retryFirst)
		synctest.Wait()
		if v := b.Views(); !v[0].Up || !v[1].Up || made.Load() != before+1 {
			t.Errorf("the receivers are %+v; %d were made", v, made.Load()-before)
		}
	})
}
