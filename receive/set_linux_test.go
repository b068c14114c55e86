package receive

import (
	"net/http"
	"os"
	"testing"

	"scriptbridge/internal/testkit"

	"golang.org/x/sys/unix"
)

// While a reload waits for a file, of whichever receiver, all else goes on: we
// hold a lease on it (fcntl(2), F_SETLEASE), for which whoever opens it waits.
func TestReloadWaitsForFiles(t *testing.T) {
	forEachType(t, func(t *testing.T, c contract, r *running) {
		for _, typ := range types {
			p := typ.Section(r.config)
			if p == nil {
				continue
			}
			for _, name := range p.Files {
				if name == "" {
					continue
				}
				f, err := os.Open(name)
				if err != nil {
					t.Fatal(err)
				}
				if _, err := unix.FcntlInt(f.Fd(), unix.F_SETLEASE, unix.F_WRLCK); err != nil {
					t.Fatal(err)
				}
				reloaded := make(chan struct{})
				go func() {
					defer close(reloaded)
					r.set.Reload(t.Context(), r.config)
				}()
				r.poll(t, "a reload to wait for "+name, func() bool {
					kind, err := unix.FcntlInt(f.Fd(), unix.F_GETLEASE, 0)
					return err == nil && kind != unix.F_WRLCK
				})
				testkit.Promptly(t, "what asks the receivers", func() {
					if v := r.set.Views(); len(v) != 1 || len(r.set.Late()) > 0 {
						t.Errorf("views: %+v", v)
					}
					resp, err := http.Get(r.web.URL + "/any")
					if err != nil {
						t.Error(err)
						return
					}
					resp.Body.Close()
				})
				c.Send(t, r.addresses(), c.Good...)
				r.poll(t, "messages while "+name+" cannot be read", func() bool { return len(r.sink.State()) >= len(c.Want) })
				f.Close() // and with it the lease
				<-reloaded
				r.sink.Lines() // forget them
			}
		}
	})
}
