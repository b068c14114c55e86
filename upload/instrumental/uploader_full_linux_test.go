package instrumental

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"scriptbridge/internal/fsx/fsxtest"
)

// limitedChild is set in a child of TestFullDisk that is limited itself.
const limitedChild = "SCRIPTBRIDGE_TEST_LIMIT_FILES"

// TestFullDisk: on a disk that the queue itself has filled, each increment that was
// taken arrives, and one time, and then there is room again.
func TestFullDisk(t *testing.T) {
	if os.Getenv(limitedChild) != "" {
		folder := t.TempDir()
		fsxtest.LimitFiles(t, 2<<20)
		fullDisk(t, folder)
		return
	}
	t.Run("small", func(t *testing.T) { fullDisk(t, fsxtest.SmallDisk(t, "2m")) })
	t.Run("limited", func(t *testing.T) {
		child := exec.Command(os.Args[0], "-test.run=^TestFullDisk$")
		child.Env = append(os.Environ(), limitedChild+"=1")
		if text, err := child.CombinedOutput(); err != nil || !strings.HasPrefix(string(text), "PASS") {
			t.Errorf("%v\n%s", err, text)
		}
	})
}

func fullDisk(t *testing.T, folder string) {
	s := openSpool(t, filepath.Join(folder, "instrumental"))
	p := newPeer(t, nil)
	u := newUploader(uploaderOptions{Collector: p.collector(), Host: "h", Spool: s})
	number := 0
	for range 4 {
		taken := increments(t, u, number, 1<<30)
		if number += taken; taken < 1000 {
			t.Fatalf("only %d were taken", taken)
		}
		if err := u.send(context.Background()); err != nil {
			t.Fatal(err)
		}
		once(t, p, number)
	}
	if stats := u.Stats(); stats.Sent != uint64(number) || stats.Entries != 0 {
		t.Errorf("stats: %+v", stats)
	}
}
