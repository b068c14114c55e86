package spool

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/go-kit/log"

	"scriptbridge/internal/testkit"
)

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func take(s *Spool, seconds int, data string) error {
	return s.Take(func(tx *Tx) error { return tx.Append(at(seconds), 1, []byte(data)) })
}

// TestFolderMoved: what would be written to a folder that is elsewhere is not
// acknowledged, and nothing is read there, that would be sent and could not be
// removed. When the folder is back, it goes on with all that waited.
func TestFolderMoved(t *testing.T) {
	testkit.NeedRemovals(t)
	folder := filepath.Join(t.TempDir(), "uploads")
	must(t, os.Mkdir(folder, 0o700))
	var said buffer
	s := open(t, Options{Path: filepath.Join(folder, "coscale"), Logger: log.NewLogfmtLogger(&said)})
	put(t, s, at(0), 1, "kept")
	away, now := folder+".away", time.Now()
	lost := folder + ": the folder was moved away, removed or replaced while it was in use: move it back, or restart scriptbridge to go on with what is there then"
	for _, here := range []func(){
		func() {},
		func() { must(t, os.Mkdir(folder, 0o700)) },
		func() { // another bridge is at work there
			must(t, os.Mkdir(folder, 0o700))
			other := open(t, Options{Path: s.path})
			put(t, other, at(0), 1, "another's")
		},
	} {
		must(t, os.Rename(folder, away))
		here()
		for range 3 {
			if err := take(s, 1, "not kept"); err == nil || err.Error() != lost {
				t.Errorf("Take: %v", err)
			}
			if _, err := s.Read("", forever, 1<<20); err == nil || err.Error() != lost {
				t.Errorf("Read: %v", err)
			}
			if _, _, err := s.First(); err == nil || err.Error() != lost {
				t.Errorf("First: %v", err)
			}
			now = now.Add(shrinkAgain)
			if err := s.Shrink(now); err == nil || err.Error() != lost {
				t.Errorf("Shrink: %v", err)
			}
		}
		if got := s.Stats().Failing; got != "what waits cannot be sent: "+lost {
			t.Errorf("Failing: %s", got)
		}
		must(t, os.RemoveAll(folder))
		must(t, os.Rename(away, folder))
		want(t, "entries", texts(t, s), []string{"kept"})
		must(t, take(s, 1, "new"))
		if stats := s.Stats(); stats.Failing != "" || stats.Dropped != 0 || stats.Entries != 2 {
			t.Errorf("stats: %+v", stats)
		}
		must(t, s.Update(func(tx *Tx) error { return tx.Remove(Key(newKey(at(1), tx.queue.Sequence()))) }))
	}
	want(t, "log", said.lines(), []string{
		`level=error msg="the upload's spool fails; it is tried again with each value that comes" err="what comes cannot be kept: ` + lost + `"`,
		`level=info msg="the upload's spool takes again what comes"`, // and the same within ten minutes is not told again
	})
}

// TestFileMoved is the same for the file alone.
func TestFileMoved(t *testing.T) {
	s := open(t, Options{Path: file(t)})
	put(t, s, at(0), 1, "kept")
	must(t, os.Rename(s.path, s.path+".away"))
	lost := s.path + ": it was moved away while it was in use: move it back, or restart scriptbridge to go on with what is there then"
	if err := take(s, 1, "not kept"); err == nil || err.Error() != lost {
		t.Errorf("Take: %v", err)
	}
	if _, err := os.Stat(s.path); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a file was begun in its place: %v", err)
	}
	must(t, os.Rename(s.path+".away", s.path))
	want(t, "entries", texts(t, s), []string{"kept"})
}

// TestFileRemoved: a file that is gone for good is begun anew, or what has taken
// its place is used, and what waited is counted.
func TestFileRemoved(t *testing.T) {
	testkit.NeedRemovals(t)
	for name, c := range map[string]struct {
		use  func(s *Spool) error // finds it out
		put  bool                 // another one is in its place
		want []string
	}{
		"found by Take":  {func(s *Spool) error { return take(s, 9, "new") }, false, []string{"new"}},
		"found by Read":  {func(s *Spool) error { _, err := s.Read("", forever, 1); return err }, false, nil},
		"another is put": {func(s *Spool) error { return take(s, 9, "new") }, true, []string{"other", "new"}},
	} {
		t.Run(name, func(t *testing.T) {
			var said buffer
			s := open(t, Options{Path: file(t), Logger: log.NewLogfmtLogger(&said)})
			for i := range 3 {
				put(t, s, at(i), 7, "lost")
			}
			must(t, s.Update(func(tx *Tx) error { return tx.Set("key", []byte("value")) }))
			if c.put {
				other := open(t, Options{Path: s.path + ".other"})
				put(t, other, at(5), 4, "other")
				must(t, other.Close())
				must(t, os.Rename(other.path, s.path))
			} else {
				must(t, os.Remove(s.path))
			}
			must(t, c.use(s))
			want(t, "entries", texts(t, s), c.want)
			if stats := s.Stats(); stats.DroppedBy[Removed] != 21 || stats.Dropped != 21 || stats.Entries != len(c.want) || stats.Failing != "" {
				t.Errorf("stats: %+v", stats)
			}
			want(t, "log", said.lines(), []string{
				`level=error msg="the spool was removed while it was in use: what waited in it is lost, and it goes on with what is at its path now" file=` +
					s.path + ` items=21 err="` + s.path + `: it was removed while it was in use"`,
			})
			must(t, s.Close())
			want(t, "entries after a restart", texts(t, open(t, Options{Path: s.path})), c.want)
		})
	}
}

// TestFolderRemoved: what waited in a file that is gone for good with its folder
// is counted, once; nothing is acknowledged, also where there is a folder again.
func TestFolderRemoved(t *testing.T) {
	testkit.NeedRemovals(t)
	folder := filepath.Join(t.TempDir(), "uploads")
	must(t, os.Mkdir(folder, 0o700))
	var said buffer
	s := open(t, Options{Path: filepath.Join(folder, "coscale"), Logger: log.NewLogfmtLogger(&said)})
	put(t, s, at(0), 3, "lost")
	must(t, os.RemoveAll(folder))
	lost := folder + ": the folder was removed while it was in use: restart scriptbridge to go on with what is there then"
	for range 2 {
		for range 2 {
			if err := take(s, 1, "not kept"); err == nil || err.Error() != lost {
				t.Errorf("Take: %v", err)
			}
			if _, err := s.Read("", forever, 1<<20); err == nil || err.Error() != lost {
				t.Errorf("Read: %v", err)
			}
		}
		if stats := s.Stats(); stats.DroppedBy[Removed] != 3 || stats.Items != 0 || stats.Failing != "what waits cannot be sent: "+lost {
			t.Errorf("stats: %+v", stats)
		}
		must(t, os.MkdirAll(folder, 0o700))
	}
	if left, err := os.ReadDir(folder); err != nil || len(left) > 0 {
		t.Errorf("%v in the new folder (%v)", left, err)
	}
	want(t, "log", said.lines(), []string{
		`level=error msg="the spool was removed with its folder while it was in use: what waited in it is lost" file=` + s.path + ` items=3 err="` + lost + `"`,
		`level=error msg="the upload's spool fails; it is tried again with each value that comes" err="what comes cannot be kept: ` + lost + `"`,
	})
}

// TestTouched: a file that somebody else has written to is read anew before the
// store uses it again, and only what is missing then is lost.
func TestTouched(t *testing.T) {
	testkit.NeedExactTimes(t)
	var said buffer
	s := open(t, Options{Path: file(t), Logger: log.NewLogfmtLogger(&said)})
	put(t, s, at(0), 3, "first")
	before, err := os.ReadFile(s.path)
	must(t, err)
	put(t, s, at(1), 5, "second")
	for _, c := range []struct {
		text []byte
		want []string
		lost uint64
	}{
		{nil, []string{"first", "second"}, 0},
		{before, []string{"first"}, 5}, // as it was a while ago
	} {
		text := c.text
		if text == nil {
			text, err = os.ReadFile(s.path)
			must(t, err)
		}
		f, err := os.OpenFile(s.path, os.O_WRONLY, 0)
		must(t, err)
		_, err = f.Write(text)
		must(t, errors.Join(err, f.Close()))
		later(t, s.path)
		want(t, "entries", texts(t, s), c.want)
		if stats := s.Stats(); stats.DroppedBy[Damaged] != c.lost || stats.Entries != len(c.want) || stats.Failing != "" {
			t.Errorf("stats: %+v", stats)
		}
	}
	if _, err := os.Stat(s.path + ".damaged"); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("it was put aside: %v", err)
	}
	const why = `the file is damaged, or so it seems: somebody else has written to it"`
	line := `level=error msg="the spool was harmed while it was in use: it was read anew, and goes on with what is in it" file=` + s.path + ` items=`
	want(t, "log", said.lines(), []string{line + `0 err="` + why, line + `5 err="` + why})
}

// TestDamagedAgain: no damaged file is overwritten, and when there are many it is
// said what to do.
func TestDamagedAgain(t *testing.T) {
	path := file(t)
	for i := range 10 {
		must(t, os.WriteFile(path, fmt.Append(nil, "damaged ", i), 0o600))
		s := open(t, Options{Path: path})
		put(t, s, at(0), 1, "new")
		must(t, s.Close())
	}
	for i := range 10 {
		name := path + ".damaged"
		if i > 0 {
			name += fmt.Sprint(".", i)
		}
		if text, err := os.ReadFile(name); err != nil || string(text) != fmt.Sprint("damaged ", i) {
			t.Errorf("%s: %q, %v", name, text, err)
		}
	}
	must(t, os.WriteFile(path, []byte("damaged 10"), 0o600))
	_, err := Open(Options{Path: path, MaxBytes: 1 << 20})
	ending := "; it cannot be put aside: " + path + ".damaged and 9 others are there already: look at them, and remove them"
	if err == nil || !strings.HasPrefix(err.Error(), "spool: "+path+": the file is damaged: ") || !strings.HasSuffix(err.Error(), ending) {
		t.Errorf("%v", err)
	}
	if text, err := os.ReadFile(path); err != nil || string(text) != "damaged 10" {
		t.Errorf("it is %q, %v", text, err)
	}
}

// TestNewerSpool: a file of a newer version is left where it is, and is used when
// it is of this version again.
func TestNewerSpool(t *testing.T) {
	s := open(t, Options{Path: file(t)})
	put(t, s, at(0), 1, "kept")
	must(t, s.Close())
	good, err := os.ReadFile(s.path)
	must(t, err)
	newer := bytes.Clone(good)
	for _, meta := range []int{0, 4096} {
		newer[meta+20] = 3 // the version of bbolt's format
	}
	must(t, os.WriteFile(s.path, newer, 0o600))
	wanted := `spool: ` + s.path + `: a newer version of scriptbridge wrote it, in the format "bbolt 3"; this one knows "bbolt 2": go back to that version, or move the file away yourself`
	for range 2 {
		if _, err := Open(Options{Path: s.path, MaxBytes: 1 << 20}); err == nil || err.Error() != wanted {
			t.Errorf("%v", err)
		}
	}
	if now, err := os.ReadFile(s.path); err != nil || !bytes.Equal(now, newer) {
		t.Errorf("it was changed: %v", err)
	}
	must(t, os.WriteFile(s.path, good, 0o600))
	want(t, "entries", texts(t, open(t, Options{Path: s.path})), []string{"kept"})
}

// later makes a file's time another one than the last write left, which it is by
// itself unless both come within one tick of the system's clock.
func later(t *testing.T, path string) {
	t.Helper()
	info, err := os.Stat(path)
	must(t, err)
	must(t, os.Chtimes(path, info.ModTime(), info.ModTime().Add(1)))
}
