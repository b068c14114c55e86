package spool

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"scriptbridge/internal/fsx"
	"scriptbridge/internal/store"
	"scriptbridge/internal/testkit"
)

// Whoever uses the file, and however long: a scrape, which asks for Stats, does
// not wait for it.
func TestStatsWaitForNobody(t *testing.T) {
	s := open(t, Options{Path: file(t)})
	put(t, s, at(7), 3, "a")
	s.writer.Lock()
	defer s.writer.Unlock()
	s.using.Lock()
	defer s.using.Unlock()
	testkit.Promptly(t, "Stats", func() {
		if stats := s.Stats(); stats.Items != 3 || !stats.Oldest.Equal(at(7)) {
			t.Errorf("stats: %+v", stats)
		}
	})
}

// gates stops whoever makes or renames the file of Shrink.
type gates struct {
	fsx.OS
	opening, renaming func()
}

func (g *gates) OpenFile(name string, flag int, perm fs.FileMode) (*os.File, error) {
	if strings.HasSuffix(name, ".tmp") {
		g.opening()
	}
	return g.OS.OpenFile(name, flag, perm)
}

func (g *gates) Rename(from, to string) error {
	if strings.HasSuffix(from, ".tmp") {
		g.renaming()
	}
	return g.OS.Rename(from, to)
}

// While the file is written anew, all else goes on, and what changes meanwhile
// is in the new one.
func TestShrinkHoldsNobodyUp(t *testing.T) {
	begun, go1 := make(chan struct{}), make(chan struct{})
	var before, after int // Updates that had ended when the copy began and when it was about to be used
	updates := 0
	disk := &gates{}
	path := file(t)
	s := open(t, Options{Path: path, FS: disk})
	for i := range 12 {
		put(t, s, at(i), 1, strings.Repeat(fmt.Sprintf("%02d", i), 1<<19))
	}
	err := s.Update(func(tx *Tx) error {
		return errors.Join(tx.Set("a", []byte("1")), tx.Set("b", []byte("2")), tx.Set("c", []byte("3")))
	})
	if err != nil {
		t.Fatal(err)
	}
	crowd(t, s, 64<<20)
	disk.opening = func() { close(begun); <-go1 }
	disk.renaming = func() { after = updates } // under the lock of updates
	shrunk := make(chan error, 1)
	go func() { shrunk <- s.Shrink(time.Now()) }()
	<-begun
	entries, err := s.Read("", forever, 1<<30)
	if err != nil || len(entries) != 12 {
		t.Fatalf("%d entries, %v", len(entries), err)
	}
	testkit.Promptly(t, "what uses the spool while it is written anew", func() {
		s.Stats()
		put(t, s, at(100), 1, "put meanwhile")
		err := s.Update(func(tx *Tx) error {
			return errors.Join(tx.Remove(entries[3].Key), tx.Set("a", []byte("one")), tx.Delete("b"), tx.Set("d", []byte("4")))
		})
		if err != nil {
			t.Error(err)
		}
	})
	close(go1)
	for done := false; !done; { // and while its rows are copied
		if err := s.Update(func(tx *Tx) error {
			if updates++; updates == 1 {
				before = updates
			}
			return tx.Set("updates", fmt.Append(nil, updates))
		}); err != nil {
			t.Fatal(err)
		}
		select {
		case err := <-shrunk:
			if done = true; err != nil {
				t.Fatal(err)
			}
		default:
		}
	}
	if after <= before {
		t.Errorf("no Update got through while rows were copied")
	}
	if info, _ := os.Stat(path); info.Size() > 32<<20 {
		t.Errorf("the file still has %d bytes", info.Size())
	}
	check := func(s *Spool) {
		t.Helper()
		got := texts(t, s)
		if len(got) != 12 || got[11] != "put meanwhile" || !strings.HasPrefix(got[3], "04") {
			t.Errorf("%d entries", len(got))
		}
		state := make(map[string]string)
		if err := s.View(func(tx *Tx) error {
			for key, value := range tx.Each("") {
				state[key] = string(value)
			}
			return nil
		}); err != nil {
			t.Fatal(err)
		}
		if !maps.Equal(state, map[string]string{"a": "one", "c": "3", "d": "4", "updates": fmt.Sprint(updates)}) {
			t.Errorf("state: %v", state)
		}
		if stats := s.Stats(); stats.Entries != 12 || stats.Items != 12 || !stats.Oldest.Equal(at(0)) {
			t.Errorf("stats: %+v", stats)
		}
	}
	check(s)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	check(open(t, Options{Path: path}))
}

// However use and Shrink meet, nothing is lost and nothing comes back.
func TestShrinkInUse(t *testing.T) {
	s := open(t, Options{Path: file(t), noSync: true}) // what lasts is the other tests' matter
	dice := rand.New(rand.NewPCG(3, 4))
	model := make(map[Key]string)
	for i := range 1000 {
		put(t, s, at(i), 1, strings.Repeat("x", 8000))
	}
	entries, err := s.Read("", forever, 1<<30)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		model[e.Key] = string(e.Data)
	}
	crowd(t, s, 64<<20)
	shrunk := make(chan error, 1)
	go func() { shrunk <- s.Shrink(time.Now()) }()
	keys := slices.Sorted(maps.Keys(model))
	var news []string
	for done, last := false, false; !last; {
		last = done // once more, when it is over
		err := s.Update(func(tx *Tx) error {
			if i := dice.IntN(len(keys)); len(keys) > 100 {
				delete(model, keys[i])
				if err := tx.Remove(keys[i]); err != nil {
					return err
				}
				keys = slices.Delete(keys, i, i+1)
			}
			return tx.Append(at(2000), 1, fmt.Append(nil, len(news)))
		})
		if err != nil {
			t.Fatal(err)
		}
		news = append(news, fmt.Sprint(len(news)))
		select {
		case err := <-shrunk:
			if done = true; err != nil {
				t.Fatal(err)
			}
		default:
		}
	}
	entries, err = s.Read("", forever, 1<<30)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, e := range entries {
		if e.Key.Time().Equal(at(2000)) {
			got = append(got, string(e.Data))
		} else if _, ok := model[e.Key]; !ok {
			t.Fatalf("%v came back", e.Key.Time())
		} else {
			delete(model, e.Key)
		}
	}
	if len(model) > 0 {
		t.Errorf("%d entries are lost", len(model))
	}
	want(t, "what was put meanwhile, in order", got, news)
	if stats := s.Stats(); stats.Entries != len(entries) {
		t.Errorf("stats: %+v, and there are %d entries", stats, len(entries))
	}
}

// A spool that is closed meanwhile is closed at once, and nothing is left of the
// new file.
func TestShrinkAndClose(t *testing.T) {
	begun, goOn := make(chan struct{}), make(chan struct{})
	disk := &gates{opening: func() { close(begun); <-goOn }, renaming: func() { t.Error("it is used all the same") }}
	path := file(t)
	s := open(t, Options{Path: path, FS: disk})
	put(t, s, at(0), 1, "kept")
	crowd(t, s, 24<<20)
	shrunk := make(chan error, 1)
	go func() { shrunk <- s.Shrink(time.Now()) }()
	<-begun
	testkit.Promptly(t, "Close", func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	close(goOn)
	if err := <-shrunk; !errors.Is(err, ErrClosed) {
		t.Errorf("Shrink: %v", err)
	}
	if _, err := os.Stat(path + ".tmp"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the new file is left: %v", err)
	}
	want(t, "entries", texts(t, open(t, Options{Path: path})), []string{"kept"})
}

// Where another file has taken the place of a damaged one meanwhile, that stays.
func TestShrinkAndDamage(t *testing.T) {
	var s *Spool
	disk := &gates{renaming: func() { t.Error("the copy of the damaged one is used") }}
	disk.opening = func() {
		s.writer.Lock()
		defer s.writer.Unlock()
		s.again = true // reading it once more would find nothing
		if err := s.renew(store.ErrDamaged); err != nil {
			t.Error(err)
		}
	}
	s = open(t, Options{Path: file(t), FS: disk})
	put(t, s, at(0), 1, "old")
	crowd(t, s, 24<<20)
	if err := s.Shrink(time.Now()); err != nil {
		t.Error(err)
	}
	put(t, s, at(1), 1, "new")
	want(t, "entries", texts(t, s), []string{"new"})
	before, err := os.Stat(s.path)
	if err != nil {
		t.Fatal(err)
	}
	put(t, s, at(2), 1, strings.Repeat("x", 1<<20))
	s.Update(func(tx *Tx) error { return tx.Remove(Key(newKey(at(2), 2))) })
	if err := s.Shrink(time.Now()); err != nil { // it is small
		t.Error(err)
	}
	if now, err := os.Stat(s.path); err != nil || !os.SameFile(before, now) {
		t.Errorf("another file is in its place: %v", err)
	}
}
