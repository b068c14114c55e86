package main

import (
	"context"
	"math"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-kit/log"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/common/expfmt"

	"scriptbridge/config"
	"scriptbridge/internal/testkit"
	"scriptbridge/record"
	"scriptbridge/upload"
	"scriptbridge/upload/all"
	"scriptbridge/upload/spool"
)

// toy is a new type of upload, all of it: it sends the names of samples to a
// channel.
func toy(arrived chan<- string) upload.Type {
	settings := &upload.Settings{
		MaxBytes: 1 << 20,
		New:      func(env upload.Env) (upload.Uploader, error) { return &toyUploader{env.Spool, arrived}, nil },
	}
	return upload.Type{Name: "toy", Configured: func(*config.Upload) []*upload.Settings { return []*upload.Settings{settings} }}
}

type toyUploader struct {
	spool   *spool.Spool
	arrived chan<- string
}

func (u *toyUploader) Stats() spool.Stats { return u.spool.Stats() }

func (u *toyUploader) Put(b *record.Batch) error {
	return u.spool.Take(func(tx *spool.Tx) error { return tx.Append(b.Time, 1, []byte(b.Samples[0].Name)) })
}

func (u *toyUploader) Run(ctx context.Context) error {
	for ctx.Err() == nil {
		entries, err := u.spool.Read("", time.Unix(0, math.MaxInt64), 1<<20)
		if err != nil {
			return err
		}
		for _, e := range entries {
			u.arrived <- string(e.Data)
			if err := u.spool.UpdateSent(func(tx *spool.Tx) error { tx.Sent(1); return tx.Remove(e.Key) }); err != nil {
				return err
			}
		}
		select {
		case <-ctx.Done():
		case <-time.After(time.Millisecond):
		}
	}
	return nil
}

// TestToyUpload: a new type of upload is a Type and a line in the table. What is
// put arrives, the status page has a row for it and /metrics its series, and
// neither knows of it.
func TestToyUpload(t *testing.T) {
	arrived := make(chan string, 1)
	folder := t.TempDir()
	set := upload.NewSet(append(slices.Clone(all.Types), toy(arrived)), log.NewNopLogger(), nil)
	set.UseStorage("", nil, func(name string) (string, error) { return filepath.Join(folder, name), nil })
	defer set.Close()
	set.Reload(t.Context(), new(config.Upload))
	b := &record.Batch{Source: &record.Source{Kind: record.Script, Name: "s"}, Time: time.Now(), Samples: []record.Sample{{Name: "queue", Value: 1}}}
	if err := set.Put(b); err != nil {
		t.Fatal(err)
	}
	select {
	case name := <-arrived:
		if name != "queue" {
			t.Errorf("%s has arrived", name)
		}
	case <-time.After(patience):
		t.Fatal("nothing arrives")
	}
	testkit.Await(t, "it to be counted as sent", func() bool { s := set.States()[0].Stats; return s != nil && s.Sent == 1 })

	l := newLiving(t, "scripts: [{name: a, command: /bin/true}]\n")
	own := l.uploads
	l.uploads = set
	pages, err := l.handler()
	l.uploads = own
	if err != nil {
		t.Fatal(err)
	}
	w := httptest.NewRecorder()
	pages.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/", nil))
	if !strings.Contains(w.Body.String(), "toy") || strings.Contains(w.Body.String(), "instrumental") {
		t.Errorf("the status page has no row of it, or one of another:\n%s", w.Body)
	}
	registry := prometheus.NewPedanticRegistry()
	registry.MustRegister(set)
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	text := new(strings.Builder)
	for _, f := range families {
		if _, err := expfmt.MetricFamilyToText(text, f); err != nil {
			t.Fatal(err)
		}
	}
	for _, want := range []string{`scriptbridge_upload_up{upload="toy"} 1`, `scriptbridge_upload_sent_total{upload="toy"} 1`, `scriptbridge_upload_queue_length{upload="toy"} 0`} {
		if !strings.Contains(text.String(), want+"\n") {
			t.Errorf("there is no %s:\n%s", want, text)
		}
	}
}
