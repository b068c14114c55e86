package spool

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/go-kit/log"
)

// filled gives the bytes of a spool's file with entries and state.
func filled(t *testing.T) []byte {
	t.Helper()
	s := open(t, Options{Path: file(t)})
	for i := range 40 {
		err := s.Update(func(tx *Tx) error {
			if err := tx.Set(fmt.Sprintf("key/%d", i), []byte("value")); err != nil {
				return err
			}
			return tx.Append(at(i), 1, bytes.Repeat([]byte{byte(i)}, 100+i*i*4))
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(s.path)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func TestDamagedFile(t *testing.T) {
	good := filled(t)
	zeroed := bytes.Clone(good)
	clear(zeroed[:8192])
	for name, text := range map[string][]byte{
		"text":      []byte("this is no spool"),
		"both ends": zeroed,
		"cut":       good[:len(good)/2],
		"cut early": good[:8192],
		"a page":    bytes.Repeat([]byte{0xff}, 4096),
		"noise":     bytes.Repeat([]byte{0xa5, 0x17, 3}, 20000),
	} {
		t.Run(name, func(t *testing.T) {
			path := file(t)
			if err := os.WriteFile(path, text, 0o600); err != nil {
				t.Fatal(err)
			}
			var said buffer
			s := open(t, Options{Path: path, Logger: log.NewLogfmtLogger(&said)})
			put(t, s, at(0), 1, "new")
			want(t, "entries", texts(t, s), []string{"new"})
			if aside, err := os.ReadFile(path + ".damaged"); err != nil || !bytes.Equal(aside, text) {
				t.Errorf("the damaged file is not what it was: %v", err)
			}
			lines := said.lines()
			begin := `level=error msg="the spool cannot be read: it was put aside and a new one begun; what waited in it is not sent" file=` +
				path + " items=" + fmt.Sprint(s.Stats().DroppedBy[Damaged]) + " aside=" + path + ".damaged err="
			if len(lines) != 1 || !strings.HasPrefix(lines[0], begin) {
				t.Errorf("log: %q", lines)
			}
			// What is left of the 40: how much that is depends on where they lie, and
			// without the list of free pages some count that were gone before.
			least, most := uint64(1), uint64(1)
			if name == "both ends" || name == "cut" {
				least, most = 20, 60
			}
			if n := s.Stats().Dropped; n < least || n > most {
				t.Errorf("%d items were lost, want %d to %d", n, least, most)
			}
		})
	}
}

func TestDamagedEntry(t *testing.T) {
	path := file(t)
	s := open(t, Options{Path: path})
	put(t, s, at(0), 1, "first")
	put(t, s, at(1), 5, "the second entry")
	put(t, s, at(2), 1, "third")
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	text = bytes.ReplaceAll(text, []byte("the second entry"), []byte("the secand entry"))
	if err := os.WriteFile(path, text, 0o600); err != nil {
		t.Fatal(err)
	}
	var said buffer
	s = open(t, Options{Path: path, Logger: log.NewLogfmtLogger(&said)})
	for range 2 {
		want(t, "entries", texts(t, s), []string{"first", "third"})
	}
	if stats := s.Stats(); stats.Entries != 2 || stats.Items != 2 || stats.DroppedBy[Damaged] != 5 {
		t.Errorf("stats: %+v", stats)
	}
	want(t, "log", said.lines(), []string{
		`level=error msg="damaged entries of the spool were dropped" file=` + path + ` items=5`,
	})
}

func TestOpenFails(t *testing.T) {
	path := filepath.Join(t.TempDir(), "missing", "coscale")
	if _, err := Open(Options{Path: path, MaxBytes: 1}); err == nil || !strings.HasPrefix(err.Error(), "spool: open "+path+": ") {
		t.Errorf("a folder that is missing: %v", err)
	}
	s := open(t, Options{Path: file(t)})
	if _, err := Open(Options{Path: s.path, MaxBytes: 1}); err == nil || err.Error() != "spool: "+s.path+": another process uses it" {
		t.Errorf("a file in use: %v", err)
	}
}
