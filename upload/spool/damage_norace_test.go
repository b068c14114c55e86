// The race detector reads what the program reads, and where a damaged file leads
// to memory that is not there, its own reads end the process: nothing can guard
// them. `make test` runs these without it.

//go:build !race

package spool

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
)

// TestDamageAnywhere breaks single bytes: whatever it does to the file, the
// spool opens and takes entries afterwards, and gives none that was not put.
func TestDamageAnywhere(t *testing.T) {
	good := filled(t)
	dice := rand.New(rand.NewPCG(1, 2))
	folder := t.TempDir()
	unseen := 0 // damage that the store cannot see: it has no checksums of pages
	rounds := 300
	if testing.Short() {
		rounds = 50
	}
	for round := range rounds {
		text := bytes.Clone(good)
		text[dice.IntN(len(text))] ^= byte(1 + dice.IntN(255))
		path := filepath.Join(folder, fmt.Sprint(round))
		if err := os.WriteFile(path, text, 0o600); err != nil {
			t.Fatal(err)
		}
		s, err := Open(Options{Path: path, MaxBytes: 1 << 30, noSync: true})
		if err != nil {
			t.Fatalf("round %d: %v", round, err)
		}
		if _, err := s.Read("", forever, 1<<30); err != nil { // it may find damage, once
			t.Logf("round %d: %v", round, err)
		}
		put(t, s, at(0), 1, "new")
		entries, err := s.Read("", forever, 1<<30)
		if err != nil { // found only now: the next one has a new file
			t.Logf("round %d: %v", round, err)
			if entries, err = s.Read("", forever, 1<<30); err != nil {
				t.Fatalf("round %d: %v", round, err)
			}
		}
		news := 0
		for _, e := range entries {
			i := int(e.Data[0])
			switch {
			case string(e.Data) == "new":
				news++
			case !bytes.Equal(e.Data, bytes.Repeat([]byte{byte(i)}, 100+i*i*4)):
				t.Errorf("round %d: a damaged entry came out", round)
			}
		}
		if news != 1 {
			unseen++
		}
		if err := s.Close(); err != nil {
			t.Errorf("round %d: %v", round, err)
		}
		os.Remove(path)
	}
	if unseen > rounds/50 {
		t.Errorf("after %d of %d rounds a new entry did not come out, or twice", unseen, rounds)
	}
}
