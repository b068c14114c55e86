package coscale

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-kit/log"

	api "scriptbridge/coscale"
	"scriptbridge/coscale/server"
	"scriptbridge/record"
	"scriptbridge/upload/spool"
)

// ringBridge is a bridge that takes what others push, and uploads all it has.
type ringBridge struct {
	name     string
	log      bytes.Buffer
	heard    *heard // what was pushed to it
	handler  *server.Handler
	uploader *Uploader
	refused  map[string]int // requests, by reason
	mu       sync.Mutex
}

func (b *ringBridge) Put(batch *record.Batch) error {
	if err := b.heard.Put(batch); err != nil {
		return err
	}
	return b.uploader.Put(batch)
}

// to is the transport to another bridge.
type to struct{ bridge **ringBridge }

func (t to) RoundTrip(r *http.Request) (*http.Response, error) {
	return direct{(*t.bridge).handler}.RoundTrip(r)
}

// newRingBridge makes one that uploads to another, until stop.
func newRingBridge(t *testing.T, name string, next **ringBridge) (b *ringBridge, stop func()) {
	t.Helper()
	b = &ringBridge{name: name, heard: &heard{samples: make(map[string]bool)}, refused: make(map[string]int)}
	s, err := spool.Open(spool.Options{Path: filepath.Join(t.TempDir(), name), MaxBytes: 1 << 20})
	if err != nil {
		t.Fatal(err)
	}
	logger := log.NewLogfmtLogger(log.NewSyncWriter(&b.log))
	b.uploader, err = newUploader(uploaderOptions{
		Client: api.NewClient(api.ClientOptions{
			URL: "http://next", AppID: "app", HTTP: &http.Client{Transport: to{next}}, Bridge: name,
			Token: func() (string, error) { return "token", nil },
		}),
		Server: name, Interval: time.Minute, Spool: s, Logger: logger,
	})
	if err != nil {
		t.Fatal(err)
	}
	b.handler, err = server.NewHandler(server.HandlerOptions{
		AppID: "app", Tokens: []string{"token"}, Sink: b, Folder: t.TempDir(), Own: name, Logger: logger,
		Source: &record.Source{Kind: record.Receiver, Name: "coscale", WholeNames: true}, TTL: 5 * time.Minute,
		Refused: func(reason string, n int) { b.mu.Lock(); b.refused[reason] += n; b.mu.Unlock() },
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() { ended <- b.uploader.Run(ctx) }()
	return b, func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
		s.Close()
		b.handler.Close()
	}
}

// TestUploadRing has bridges upload to each other in a ring: what each has of
// its own comes to all others, once, and is refused where it is from. That is
// told on both sides, and holds up nothing.
func TestUploadRing(t *testing.T) {
	for _, n := range []int{2, 3, 5} {
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ring := make([]*ringBridge, n)
				for i := range ring {
					b, stop := newRingBridge(t, fmt.Sprintf("bridge%d", i), &ring[(i+1)%n])
					defer stop()
					ring[i] = b
				}
				const minutes = 30
				for i := range minutes {
					for _, b := range ring {
						batch := &record.Batch{
							Source: &record.Source{Kind: record.Script, Name: "s"}, Time: time.Now(),
							Samples: []record.Sample{{Name: "m" + b.name, Value: float64(i)}},
						}
						if i == 5 {
							batch.Events = []record.Event{{ID: "1", Name: "E", Message: "of " + b.name, Start: time.Now()}}
						}
						if err := b.uploader.Put(batch); err != nil {
							t.Fatal(err)
						}
					}
					time.Sleep(time.Minute)
				}
				time.Sleep(time.Hour)
				synctest.Wait()
				for i, b := range ring {
					var events, want []string
					for _, e := range b.heard.events {
						_, e, _ = strings.Cut(e, `"of `)
						e, _, _ = strings.Cut(e, `"`)
						events = append(events, e)
					}
					values := 0
					for j, other := range ring {
						if i == j {
							continue
						}
						want = append(want, other.name)
						for _, v := range b.heard.told() {
							if strings.HasPrefix(v, "s m"+other.name+" ") {
								values++
							}
						}
					}
					slices.Sort(events)
					slices.Sort(want)
					if !slices.Equal(events, want) || values != minutes*(n-1) || len(b.heard.told()) != values {
						t.Errorf("%s has the events %q and %d values: %q", b.name, events, values, b.heard.told())
					}
					stats := b.uploader.Stats()
					if stats.Entries != 0 || stats.Refused != minutes+1 || stats.Sent != uint64((minutes+1)*(n-1)) || stats.Failing != "" {
						t.Errorf("%s: %+v", b.name, stats)
					}
					if b.refused["loop"] == 0 {
						t.Errorf("%s has refused nothing", b.name)
					}
					for _, told := range []string{
						`level=error msg="what this bridge has uploaded comes back to it, and is refused: bridges upload to each other in a ring; take upload out of one of them" via="`,
						`level=error msg="what came from the bridge that it is sent to is refused there, and dropped: bridges upload to each other in a ring; take upload out of one of them" err="POST `,
					} {
						if n := strings.Count(b.log.String(), told); n == 0 || n > 3 {
							t.Errorf("%s: %d times %s in:\n%s", b.name, n, told, b.log.String())
						}
					}
				}
			})
		})
	}
}
