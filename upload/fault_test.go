package upload

import (
	"bytes"
	"context"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-kit/log"

	"scriptbridge/config"
	"scriptbridge/internal/fsx"
	"scriptbridge/record"
)

// atFault is a sink that panics at some batches, and when it is told to.
type atFault struct {
	spooled
	now chan struct{}
}

func (s atFault) Put(b *record.Batch) error {
	if b.Samples[0].Name == "bad" {
		panic("odd batch")
	}
	return s.spooled.Put(b)
}

func (s atFault) Run(ctx context.Context) error {
	select {
	case <-s.now:
		panic("odd turn")
	case <-ctx.Done():
		return nil
	}
}

// A fault of ours in an upload is its trouble alone: a batch that leads to one is
// lost, and counted, also among those that were held while the spool was opened;
// what sends is begun anew.
func TestUploadFaults(t *testing.T) {
	path := filepath.Join(t.TempDir(), "spool")
	synctest.Test(t, func(t *testing.T) {
		var said bytes.Buffer
		now := make(chan struct{})
		release := make(chan struct{})
		settings := &Settings{MaxBytes: 1 << 20, New: func(env Env) (Uploader, error) {
			<-release
			return atFault{spooled{env.Spool}, now}, nil
		}}
		set := NewSet(Types{{Name: "told", Configured: func(*config.Upload) []*Settings { return []*Settings{settings} }}}, log.NewSyncLogger(log.NewLogfmtLogger(&said)), nil)
		set.UseStorage("", fsx.OS{}, func(string) (string, error) { return path, nil })
		defer set.Close()
		set.Reload(t.Context(), nil)
		one := set.list()[0]
		for _, name := range []string{"a", "bad", "b"} { // they are held
			if err := set.Put(named(name)); err != nil {
				t.Error(err)
			}
		}
		close(release)
		<-one.tried
		if err := set.Put(named("bad")); err == nil || !strings.Contains(err.Error(), "this is a fault of scriptbridge itself: odd batch") {
			t.Errorf("Put gives %v", err)
		}
		if err := set.Put(named("c")); err != nil {
			t.Error(err)
		}
		now <- struct{}{}
		synctest.Wait()
		if s := one.state(); !strings.Contains(s.Error, "this is a fault of scriptbridge itself: odd turn") {
			t.Errorf("the upload is %+v", s)
		}
		time.Sleep(retryAfter)
		synctest.Wait()
		if err := set.Put(named("d")); err != nil {
			t.Error(err)
		}
		s := one.state()
		if s.Error != "" || s.Stats == nil || s.Stats.Items != 4 || s.dropped()[droppedUnavailable] != 2 {
			t.Errorf("the upload is %+v, and lost are %v", s, s.dropped())
		}
		text := said.String()
		for _, want := range []string{
			`msg="values that came while the spool was opened are lost" values=1 err="this is a fault of scriptbridge itself: odd batch (please report it; --log.level=debug tells where it is)" stack="goroutine `,
			`msg="the upload cannot take anything; it is tried again" err="this is a fault of scriptbridge itself: odd turn (please report it; --log.level=debug tells where it is)" stack="goroutine `,
			`msg="the upload takes again what comes"`,
		} {
			if !strings.Contains(text, want) {
				t.Errorf("the log does not say %s:\n%s", want, text)
			}
		}
	})
}
