package server

import (
	"errors"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"scriptbridge/internal/fsx"
	"scriptbridge/internal/fsx/fsxtest"
)

// TestSilentIDs: a disk that neither writes nor fails keeps no request for ever,
// nor the end. When it answers again, the file has what memory has: what was
// refused meanwhile was never made.
func TestSilentIDs(t *testing.T) {
	folder := t.TempDir()
	h, _ := newTestHandler(t, folder, nil)
	create(h, "first")
	h.Close()
	silently := func(t *testing.T) (*Handler, *fsxtest.Silent) {
		disk := new(fsxtest.Silent)
		h, _ := newTestHandler(t, folder, func(o *HandlerOptions) { o.FS = disk })
		disk.Hush()
		return h, disk
	}
	asks := func(t *testing.T, h *Handler, name string, within time.Duration, want int) {
		t.Helper()
		began := time.Now()
		if code := create(h, name); code != want || time.Since(began) > within {
			t.Errorf("%s: %d after %v, want %d within %v", name, code, time.Since(began), want, within)
		}
	}
	synctest.Test(t, func(t *testing.T) {
		h, disk := silently(t)
		asks(t, h, "a", fsx.Patience, http.StatusServiceUnavailable)
		for range 10 {
			asks(t, h, "b", 0, http.StatusServiceUnavailable)
		}
		disk.Answer()
		synctest.Wait()
		asks(t, h, "c", 0, http.StatusOK)
		asks(t, h, "d", 0, http.StatusOK)
	})
	synctest.Test(t, func(t *testing.T) {
		h, disk := silently(t)
		asks(t, h, "e", fsx.Patience, http.StatusServiceUnavailable)
		if err := h.Close(); !errors.Is(err, fsx.ErrSilent) || err.Error() != filepath.Join(folder, "ids.db")+": the disk does not answer" {
			t.Errorf("the end: %v", err)
		}
		disk.Answer()
		synctest.Wait()
		h.Close()
	})
	again, _ := newTestHandler(t, folder, nil)
	if known := named(t, again); !strings.Contains(known, "first") || !strings.Contains(known, " c,") || !strings.Contains(known, " d") || strings.Contains(known, " a,") || strings.Contains(known, " b,") {
		t.Errorf("known: %s", known)
	}
}
