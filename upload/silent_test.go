package upload

import (
	"bytes"
	"context"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-kit/log"

	"scriptbridge/config"
	"scriptbridge/internal/fsx"
	"scriptbridge/internal/fsx/fsxtest"
	"scriptbridge/record"
	"scriptbridge/upload/spool"
)

// spooled is a sink that keeps the names of samples in a spool.
type spooled struct{ *spool.Spool }

func (s spooled) Put(b *record.Batch) error {
	return s.Take(func(tx *spool.Tx) error { return tx.Append(b.Time, 1, []byte(b.Samples[0].Name)) })
}

func (s spooled) Run(ctx context.Context) error { <-ctx.Done(); return nil }

// onSilentDisk runs a test of an upload whose disk does not answer from the first
// write on.
func onSilentDisk(t *testing.T, f func(t *testing.T, ways *Set, one *upload, disk *fsxtest.Silent, said *bytes.Buffer)) {
	path := filepath.Join(t.TempDir(), "spool")
	synctest.Test(t, func(t *testing.T) {
		disk, said := new(fsxtest.Silent), new(bytes.Buffer)
		logger := log.NewSyncLogger(log.NewLogfmtLogger(said))
		settings := &Settings{MaxBytes: 1 << 20, New: func(env Env) (Uploader, error) { return spooled{env.Spool}, nil }}
		ways := NewSet(Types{{Name: "told", Configured: func(*config.Upload) []*Settings { return []*Settings{settings} }}}, logger, nil)
		ways.UseStorage("", disk, func(string) (string, error) { return path, nil })
		ways.Reload(t.Context(), nil)
		one := ways.list()[0]
		<-one.tried
		disk.Hush()
		f(t, ways, one, disk, said)
	})
}

const silent = "the disk does not answer; what comes is held in memory meanwhile, as far as there is room, and requests are refused"

// A disk that does not answer holds up no script for long, and but the first one
// at all; who is told that a value is safe is told that it is not. When it answers
// again, all is there, in order.
func TestUploadSilentDisk(t *testing.T) {
	onSilentDisk(t, func(t *testing.T, ways *Set, one *upload, disk *fsxtest.Silent, said *bytes.Buffer) {
		put := func(name string, acknowledged bool, within time.Duration, want string) {
			t.Helper()
			b := named(name)
			b.Source.Acknowledged = acknowledged
			began := time.Now()
			got := ""
			if err := one.Put(b); err != nil {
				got = err.Error()
			}
			if took := time.Since(began); got != want || took > within {
				t.Errorf("%s: %q after %v, want %q within %v", name, got, took, want, within)
			}
			b.Samples[0].Name = "somebody else's by now"
		}
		put("a", false, fsx.Patience, "")
		for i := range 100 {
			put(fmt.Sprint("b", i), false, 0, "")
			put("told", true, 0, "upload told: "+silent)
		}
		if s := one.state(); s.Error != silent || s.Stats == nil || s.Stats.Items != 0 {
			t.Errorf("meanwhile: %+v", s)
		}
		disk.Answer()
		synctest.Wait()
		put("told", true, 0, "")
		put("c", false, 0, "")
		var got []string
		entries, err := one.spool.Read("", time.Now().Add(time.Hour), 1<<20)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range entries {
			got = append(got, string(e.Data))
		}
		if len(got) != 103 || got[0] != "a" || got[1] != "b0" || got[100] != "b99" ||
			got[101] != "told" || got[102] != "c" {
			t.Errorf("%d are there: %q", len(got), got)
		}
		if s := one.state(); s.dropped()[droppedUnavailable] != 0 {
			t.Errorf("some are lost: %v", s.dropped())
		}
		ways.Close()
		for _, want := range []string{
			`level=error upload=told msg="the upload's spool does not answer" err="` + silent + `"`,
			`level=info upload=told msg="the upload's spool answers again"`,
		} {
			if strings.Count(said.String(), want) != 1 {
				t.Errorf("the log does not say once %s:\n%s", want, said)
			}
		}
	})
}

// The end does not wait for a disk that does not answer, and says what it leaves
// behind.
func TestUploadSilentEnd(t *testing.T) {
	onSilentDisk(t, func(t *testing.T, ways *Set, one *upload, disk *fsxtest.Silent, said *bytes.Buffer) {
		for range 7 {
			if err := one.Put(named("a")); err != nil {
				t.Error(err)
			}
		}
		began := time.Now()
		ways.Close()
		if took := time.Since(began); took > fsx.Patience {
			t.Errorf("the end took %v", took)
		}
		want := `level=error upload=told msg="the upload is left behind at the end, for the disk of its spool does not answer; ` +
			`what came last may be lost, and what was kept before is sent after the next start" values=7`
		if !strings.Contains(said.String(), want) {
			t.Errorf("the log does not say %s:\n%s", want, said)
		}
		disk.Answer() // for the test's own end
		ways.Close()
	})
}

// What is held for a disk that answers again while the upload ends is kept, too.
func TestUploadSilentUntilEnd(t *testing.T) {
	onSilentDisk(t, func(t *testing.T, ways *Set, one *upload, disk *fsxtest.Silent, said *bytes.Buffer) {
		for _, name := range []string{"a", "b0", "b1"} {
			if err := one.Put(named(name)); err != nil {
				t.Error(err)
			}
		}
		time.AfterFunc(fsx.Patience/2, disk.Answer)
		ways.Close()
		if strings.Contains(said.String(), "left behind") {
			t.Errorf("the end has not waited for the disk:\n%s", said)
		}
		sp, err := spool.Open(spool.Options{Path: one.spoolPath(t), MaxBytes: 1 << 20, Logger: log.NewNopLogger()})
		if err != nil {
			t.Fatal(err)
		}
		defer sp.Close()
		if items := sp.Stats().Items; items != 3 {
			state := one.state()
			t.Errorf("%d are there, and lost are %v", items, state.dropped())
		}
	})
}

func (o *upload) spoolPath(t *testing.T) string {
	t.Helper()
	path, err := o.storage(o.name)
	if err != nil {
		t.Fatal(err)
	}
	return path
}
