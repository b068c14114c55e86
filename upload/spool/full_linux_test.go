package spool

import (
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/go-kit/log"

	"scriptbridge/internal/fsx/fsxtest"
)

// fullDisks are disks that a spool fills by itself, or others do.
var fullDisks = map[string]func(t *testing.T) (folder string, fill func()){
	"a small disk": func(t *testing.T) (string, func()) { return fsxtest.SmallDisk(t, "2m"), func() {} },
	"a small disk that others fill": func(t *testing.T) (string, func()) {
		folder := fsxtest.SmallDisk(t, "3m")
		return folder, func() { fillUp(t, folder) }
	},
	limited: func(t *testing.T) (string, func()) {
		folder := t.TempDir()
		fsxtest.LimitFiles(t, 2<<20)
		return folder, func() {}
	},
}

// limited is the disk for which a process must be one of its own: what it limits
// may be `go test`'s files, too. Its child has limitedChild in its environment.
const (
	limited      = "a limit of files"
	limitedChild = "SCRIPTBRIDGE_TEST_LIMIT_FILES"
)

func runLimited(t *testing.T) {
	child := exec.Command(os.Args[0], "-test.run=^TestFullDisk$")
	child.Env = append(os.Environ(), limitedChild+"=1")
	if text, err := child.CombinedOutput(); err != nil || !strings.HasPrefix(string(text), "PASS") {
		t.Errorf("%v\n%s", err, text)
	}
}

// fillUp leaves no byte of a disk free.
func fillUp(t *testing.T, folder string) {
	t.Helper()
	f, err := os.Create(filepath.Join(folder, "filler"))
	must(t, err)
	defer f.Close()
	for err == nil {
		_, err = f.Write(make([]byte, 512))
	}
}

// TestFullDisk: what the disk has no room for is refused, and told; but all that
// was taken can be read and removed, in pieces of any size, and then there is
// room again. So it goes on for ever.
func TestFullDisk(t *testing.T) {
	inChild := os.Getenv(limitedChild) != ""
	for name, disk := range fullDisks {
		if name == limited && !inChild {
			t.Run(name, runLimited)
		}
		if (name == limited) != inChild {
			continue
		}
		for _, size := range []int{30, 1500, 25_000} {
			t.Run(fmt.Sprint(name, "/", size), func(t *testing.T) {
				folder, fill := disk(t)
				var said buffer
				s := open(t, Options{Path: filepath.Join(folder, "coscale"), Logger: log.NewLogfmtLogger(&said)})
				dice := rand.New(rand.NewPCG(uint64(size), 2))
				number := 0
				for cycle := range 4 {
					waits := fillSpool(t, s, dice, size, &number, func(taken int) {
						if cycle == 0 && taken == 5 {
							fill() // others have taken what was left
						}
					})
					if cycle == 0 && len(waits) < 3 || len(waits) == 0 {
						t.Fatalf("cycle %d: %d were taken", cycle, len(waits))
					}
					drain(t, s, dice, waits)
				}
				must(t, s.Close())
				must(t, open(t, Options{Path: s.path}).Close()) // also on a full disk
				if lines := said.lines(); len(lines) > 2 {
					t.Errorf("log: %q", lines)
				}
			})
		}
	}
}

// fillSpool puts transactions until one is refused, and gives the numbers of the
// entries that were taken.
func fillSpool(t *testing.T, s *Spool, dice *rand.Rand, size int, number *int, each func(taken int)) map[string]bool {
	t.Helper()
	waits := make(map[string]bool)
	for {
		var some []string
		err := s.Take(func(tx *Tx) error {
			some = nil
			for range 1 + dice.IntN(20) {
				name := fmt.Sprint(*number + len(some))
				if err := tx.Append(at(*number+len(some)), 1, []byte(name+" "+strings.Repeat("x", dice.IntN(size)))); err != nil {
					return err
				}
				some = append(some, name)
			}
			return tx.Set(fmt.Sprint("state/", dice.IntN(50)), []byte(some[0]))
		})
		if err != nil {
			if text := err.Error(); !strings.HasSuffix(text, "no space left on device") && !strings.HasSuffix(text, "file too large") {
				t.Errorf("refused with %v", err)
			}
			if got := s.Stats().Failing; got != "what comes cannot be kept: "+err.Error() {
				t.Errorf("failing is %q", got)
			}
			return waits
		}
		for _, name := range some {
			waits[name] = true
		}
		*number += len(some)
		each(len(waits))
	}
}

// drain reads and removes all that waits, in pieces.
func drain(t *testing.T, s *Spool, dice *rand.Rand, waits map[string]bool) {
	t.Helper()
	for len(waits) > 0 {
		entries, err := s.Read("", forever, 1+dice.IntN(1<<20))
		must(t, err)
		if dice.IntN(3) == 0 { // some of them only, and not the first
			entries = entries[len(entries)/2:]
		}
		err = s.UpdateSent(func(tx *Tx) error {
			for _, e := range entries {
				if err := tx.Remove(e.Key); err != nil {
					return err
				}
			}
			return tx.Set("sender", entries[0].Data[:1])
		})
		if err != nil {
			t.Fatalf("what was sent cannot be removed, with %d left: %v", len(waits), err)
		}
		for _, e := range entries {
			name, _, _ := strings.Cut(string(e.Data), " ")
			if !waits[name] {
				t.Errorf("%s was never taken, or came twice", name)
			}
			delete(waits, name)
		}
	}
	if n := s.Stats().Entries; n != 0 {
		t.Errorf("%d entries are left", n)
	}
}
