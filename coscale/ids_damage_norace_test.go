// The race detector reads what the program reads, and where a damaged file leads
// to memory that is not there, its own reads end the process: nothing can guard
// them. `make test` runs these without it.

//go:build !race

package coscale

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"scriptbridge/record"
)

// TestDamagedIDs: whatever has become of the file of ids, a handler begins or
// says why not; none brings the process down.
func TestDamagedIDs(t *testing.T) {
	folder := t.TempDir()
	path := filepath.Join(folder, "ids.db")
	d, err := openDisk(folder)
	if err != nil {
		t.Fatal(err)
	}
	var changes []change
	for i := range int64(500) {
		row, err := rowOf(objectBucket, objectKey(Metrics, i), &Metric{Object: Object{ID: i, Name: fmt.Sprint("metric ", i)}})
		if err != nil {
			t.Fatal(err)
		}
		changes = append(changes, row)
	}
	if err := errors.Join(d.write(changes), d.close()); err != nil {
		t.Fatal(err)
	}
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	dice := rand.New(rand.NewPCG(1, 2))
	refused := 0
	for i := range 300 {
		text := bytes.Clone(whole)
		for range 1 + i%64 {
			text[dice.IntN(len(text))] = byte(dice.Uint32())
		}
		if i%10 == 0 {
			text = text[:dice.IntN(len(text))]
		}
		// A new file each time: one that could not be opened may stay locked.
		if err := errors.Join(os.Remove(path), os.WriteFile(path, text, 0o600)); err != nil {
			t.Fatal(err)
		}
		h, err := NewHandler(HandlerOptions{AppID: testApp, Folder: folder, Source: &record.Source{Kind: record.Receiver, Name: "coscale"}, Sink: new(heardSink)})
		if err != nil {
			refused++
			continue
		}
		if err := h.Close(); err != nil {
			t.Logf("closing: %v", err)
		}
	}
	if refused < 20 || refused == 300 {
		t.Errorf("%d of 300 damaged files were refused", refused)
	}
}
