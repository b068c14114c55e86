package server

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/go-kit/log"

	"scriptbridge/coscale"
	"scriptbridge/record"
)

// TestDamagedIDs: with a file of ids that cannot be read a handler says so, and
// what to do; the process goes on.
func TestDamagedIDs(t *testing.T) {
	folder := t.TempDir()
	path := filepath.Join(folder, "ids.db")
	d, err := openDisk(folder, log.NewNopLogger(), nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	row, err := rowOf(objectBucket, objectKey(coscale.Metrics, 1), &coscale.Metric{Object: coscale.Object{ID: 1, Name: strings.Repeat("long ", 5000)}})
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(d.write([]change{row}), d.close()); err != nil {
		t.Fatal(err)
	}
	good, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	zeroed := bytes.Clone(good)
	clear(zeroed[:8192])
	for name, text := range map[string][]byte{
		"text":      []byte("this is no file of ids"),
		"both ends": zeroed,
		"cut early": good[:8192],
		"a page":    bytes.Repeat([]byte{0xff}, 4096),
		"noise":     bytes.Repeat([]byte{0xa5, 0x17, 3}, 20000),
	} {
		// A new file each time: one that could not be opened may stay locked.
		if err := errors.Join(os.Remove(path), os.WriteFile(path, text, 0o600)); err != nil {
			t.Fatal(err)
		}
		h, err := NewHandler(HandlerOptions{
			AppID: testApp, Folder: folder, Sink: new(heardSink), Source: &record.Source{Kind: record.Receiver, Name: "coscale"},
		})
		if err == nil || !strings.HasPrefix(err.Error(), path+": ") || !strings.HasSuffix(err.Error(), "move it away: clients will get new ids") {
			t.Errorf("%s: %v, %v", name, h, err)
		}
	}
}
