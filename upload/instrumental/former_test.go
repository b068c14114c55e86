package instrumental

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"scriptbridge/internal/testkit"
)

// TestFormerSpool: a spool of the version before, whose entries are lists of lines,
// is sent in order.
func TestFormerSpool(t *testing.T) {
	path := filepath.Join(t.TempDir(), "instrumental")
	testkit.Gunzip(t, "testdata/spool-format-1.gz", path)
	p := newPeer(t, nil)
	u := newUploader(uploaderOptions{Collector: p.collector(), Host: "web-1", Spool: openSpool(t, path)})
	if err := u.send(t.Context()); err != nil {
		t.Fatal(err)
	}
	var want []string
	for n := range 3 {
		for i := range 20 {
			want = append(want, fmt.Sprintf("gauge web-1.net.traffic.eth%d %d %d 1", i, n*100+i, noon.Add(time.Duration(n)*time.Minute).Unix()))
		}
	}
	if got := strings.Join(p.got(), "\n"); got != strings.Join(want, "\n") {
		t.Errorf("it has %s", got)
	}
	if stats := u.Stats(); stats.Sent != 60 || stats.Refused != 0 || stats.Entries != 0 {
		t.Errorf("%+v", stats)
	}
}
