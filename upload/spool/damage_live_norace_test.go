//go:build !race

package spool

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/go-kit/log"

	"scriptbridge/internal/testkit"
)

// overwrite writes over a file as it is, and not another one in its place: the
// bytes alone that a change makes others, for the file is in use.
func overwrite(path string, change func(text []byte)) error {
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer f.Close()
	text, err := io.ReadAll(f)
	if err != nil {
		return err
	}
	was := bytes.Clone(text)
	change(text)
	for from := 0; from < len(text); from++ {
		to := from
		for to < len(text) && text[to] != was[to] {
			to++
		}
		if _, err := f.WriteAt(text[from:to], int64(from)); err != nil {
			return err
		}
		from = to
	}
	return nil
}

// TestDamageLive harms the file while sources put, the sender reads and removes,
// and somebody scrapes: nobody waits for ever, what is acknowledged afterwards is
// there, and what was lost is counted. Harm in the midst of a transaction can lead
// into a circle that bbolt has in its own memory, and ends the program.
func TestDamageLive(t *testing.T) {
	rounds := 6
	if testing.Short() {
		rounds = 2
	}
	for name, harm := range map[string]func(path string, dice *rand.Rand) error{
		"emptied": func(path string, _ *rand.Rand) error { return os.Truncate(path, 0) },
		"cut":     func(path string, dice *rand.Rand) error { return os.Truncate(path, dice.Int64N(200_000)) },
		"zeroed":  func(path string, _ *rand.Rand) error { return overwrite(path, func(b []byte) { clear(b) }) },
		"a page": func(path string, dice *rand.Rand) error {
			return overwrite(path, func(b []byte) { clear(b[dice.IntN(len(b)/4096)*4096:][:4096]) })
		},
		"metas": func(path string, _ *rand.Rand) error { return overwrite(path, func(b []byte) { clear(b[:8192]) }) },
		"free pages": func(path string, _ *rand.Rand) error {
			return overwrite(path, func(b []byte) {
				for at := 8192; at < len(b); at += 4096 {
					if b[at+8] == 0x10 {
						clear(b[at : at+4096])
					}
				}
			})
		},
		"circles": func(path string, _ *rand.Rand) error {
			return overwrite(path, func(b []byte) {
				for at := 0; at+4096 <= len(b); at += 4096 {
					if b[at+8] != 1 { // a branch
						continue
					}
					for i := range int(b[at+10]) { // each leads to itself
						binary.NativeEndian.PutUint64(b[at+16+16*i+8:], uint64(at/4096))
					}
				}
			})
		},
		"bits": func(path string, dice *rand.Rand) error {
			return overwrite(path, func(b []byte) {
				for range 20 {
					b[dice.IntN(len(b))] ^= 1 << dice.IntN(8)
				}
			})
		},
	} {
		t.Run(name, func(t *testing.T) {
			testkit.MayEnd(t, "its pages lead round in a circle that cannot be left", func() {
				for round := range rounds {
					liveRound(t, round, harm)
				}
			})
		})
	}
}

func liveRound(t *testing.T, round int, harm func(path string, dice *rand.Rand) error) {
	dice := rand.New(rand.NewPCG(uint64(round), 9))
	var said buffer
	s, err := Open(Options{Path: filepath.Join(testkit.TempDir(t), "coscale"), MaxBytes: 1 << 30, Logger: log.NewLogfmtLogger(&said), noSync: true})
	must(t, err)
	data := strings.Repeat("x", 300)
	for i := range 500 {
		put(t, s, at(i), 1, data)
	}
	var stop atomic.Bool
	var users sync.WaitGroup
	for u := range 3 {
		users.Go(func() {
			for n := 0; !stop.Load(); n++ {
				_ = s.Take(func(tx *Tx) error {
					return errors.Join(tx.Append(at(1000+n), 1, []byte(data)), tx.Set(fmt.Sprint("key/", u), fmt.Append(nil, n)))
				})
			}
		})
	}
	users.Go(func() {
		for !stop.Load() {
			entries, err := s.Read("", forever, 5000)
			if err != nil || len(entries) == 0 {
				continue
			}
			_ = s.UpdateSent(func(tx *Tx) error { return tx.Remove(entries[0].Key) })
			_, _, _ = s.First()
		}
	})
	users.Go(func() {
		for !stop.Load() {
			s.Stats()
			_ = s.View(func(tx *Tx) error {
				for range tx.Each("key/") {
				}
				return nil
			})
		}
	})
	if err := harm(s.path, dice); testkit.Kept(err) {
		stop.Store(true)
		users.Wait()
		s.Close()
		t.Skip("Windows cuts no file that is mapped into memory")
	} else {
		must(t, err)
	}
	testkit.Promptly(t, "who puts after the harm", func() {
		for i := range 20 { // the first may be told of it
			_ = take(s, 2000+i, data)
		}
	})
	stop.Store(true)
	testkit.Promptly(t, "a user", users.Wait)
	testkit.Promptly(t, "a scrape", func() { s.Stats() })
	var last error
	for range 3 { // what nobody has met yet may be found now
		if last = take(s, 5000, "after"); last == nil {
			break
		}
	}
	if last != nil {
		t.Fatalf("after the harm nothing is taken: %v\n%s", last, said.lines())
	}
	testkit.Promptly(t, "Close", func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	again := open(t, Options{Path: s.path})
	entries, err := again.Read("", forever, 1<<30)
	must(t, err)
	afters := 0
	for _, e := range entries {
		if bytes.Equal(e.Data, []byte("after")) {
			afters++
		} else if string(e.Data) != data {
			t.Errorf("an entry that was never put: %.20q", e.Data)
		}
	}
	if afters != 1 && again.Stats().Dropped == 0 { // else the harm was found only now
		t.Errorf("what was acknowledged after the harm is there %d times", afters)
	}
	if told := strings.Join(said.lines(), "\n"); s.Stats().Dropped > 0 && !strings.Contains(told, "level=error") {
		t.Errorf("%d were lost, and nothing is told: %q", s.Stats().Dropped, told)
	}
}
