package spool

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-kit/log"

	"scriptbridge/internal/testkit"
)

// at is a moment some seconds into the year 2026.
func at(seconds int) time.Time { return time.Unix(1767225600+int64(seconds), 0) }

var forever = at(1 << 30)

// buffer is a log that gives its lines.
type buffer struct{ testkit.Buffer }

func (b *buffer) lines() []string {
	return strings.Split(strings.TrimSuffix(b.String(), "\n"), "\n")
}

// open opens a spool whose entries take the room that their data has: most tests have
// data that would be nearly nothing.
func open(t testing.TB, o Options) *Spool {
	t.Helper()
	o.plain = true
	return openPacked(t, o)
}

func openPacked(t testing.TB, o Options) *Spool {
	t.Helper()
	if o.MaxBytes == 0 {
		o.MaxBytes = 1 << 30
	}
	s, err := Open(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

func file(t testing.TB) string { return filepath.Join(t.TempDir(), "coscale") }

func put(t testing.TB, s *Spool, when time.Time, items int, data string) {
	t.Helper()
	if err := s.Take(func(tx *Tx) error { return tx.Append(when, items, []byte(data)) }); err != nil {
		t.Fatal(err)
	}
}

// texts are the data of all entries.
func texts(t testing.TB, s *Spool) []string {
	t.Helper()
	entries, err := s.Read("", forever, 1<<30)
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, e := range entries {
		all = append(all, string(e.Data))
	}
	return all
}

func want[T comparable](t testing.TB, what string, got, want []T) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("%s: got %v, want %v", what, got, want)
	}
}

func TestOrder(t *testing.T) {
	path := file(t)
	s := open(t, Options{Path: path})
	put(t, s, at(60), 1, "c")
	put(t, s, at(0), 2, "a")
	put(t, s, at(60), 3, "d")
	put(t, s, at(0), 4, "b")
	want(t, "entries", texts(t, s), []string{"a", "b", "c", "d"})
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if err := s.Update(func(*Tx) error { return nil }); !errors.Is(err, ErrClosed) {
		t.Errorf("Update after Close: %v", err)
	}

	s = open(t, Options{Path: path})
	want(t, "entries after a restart", texts(t, s), []string{"a", "b", "c", "d"})
	stats := s.Stats()
	if stats.Entries != 4 || stats.Items != 10 || !stats.Oldest.Equal(at(0)) {
		t.Errorf("stats after a restart: %+v", stats)
	}

	first, err := s.Read("", at(60), 1)
	if err != nil || len(first) != 1 || string(first[0].Data) != "a" || first[0].Items != 2 {
		t.Fatalf("first: %+v, %v", first, err)
	}
	second, err := s.Read(first[0].Key, at(60), 1<<20)
	if err != nil || len(second) != 1 || string(second[0].Data) != "b" {
		t.Fatalf("second: %+v, %v", second, err)
	}
	for range 2 { // once more is no error
		if err := s.Update(func(tx *Tx) error { return tx.Remove(first[0].Key, second[0].Key) }); err != nil {
			t.Fatal(err)
		}
	}
	put(t, s, at(60), 1, "e")
	want(t, "entries after removal", texts(t, s), []string{"c", "d", "e"})
	if when, ok, err := s.First(); err != nil || !ok || !when.Equal(at(60)) {
		t.Errorf("First: %v %v %v", when, ok, err)
	}
	if stats := s.Stats(); stats.Entries != 3 || stats.Items != 5 || !stats.Oldest.Equal(at(60)) {
		t.Errorf("stats after removal: %+v", stats)
	}
}

// Times that the file's keys cannot hold come first, or last.
func TestTimesBeyond(t *testing.T) {
	s := open(t, Options{Path: file(t)})
	put(t, s, at(0), 1, "now")
	put(t, s, time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC), 1, "never")
	put(t, s, time.Time{}, 1, "before all")
	put(t, s, time.Unix(-1, 0), 1, "before 1970")
	entries, err := s.Read("", time.Date(9999, 1, 2, 0, 0, 0, 0, time.UTC), 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, e := range entries {
		all = append(all, string(e.Data))
	}
	want(t, "entries", all, []string{"before all", "before 1970", "now"}) // never comes when it is
}

func TestStateAndEntriesLastTogether(t *testing.T) {
	s := open(t, Options{Path: file(t)})
	refused := errors.New("refused")
	var wg sync.WaitGroup
	errs := make([]error, 64)
	for i := range errs { // some share a commit with one that fails
		wg.Go(func() {
			errs[i] = s.Update(func(tx *Tx) error {
				if err := tx.Append(at(i), 1, []byte(fmt.Sprint(i))); err != nil {
					return err
				}
				if i%4 == 0 {
					return refused
				}
				return tx.Set(fmt.Sprintf("last/%02d", i), []byte{byte(i)})
			})
		})
	}
	wg.Wait()
	var wantEntries, wantKeys []string
	for i, err := range errs {
		if i%4 == 0 {
			if !errors.Is(err, refused) {
				t.Errorf("transaction %d: %v", i, err)
			}
			continue
		}
		if err != nil {
			t.Errorf("transaction %d: %v", i, err)
		}
		wantEntries = append(wantEntries, fmt.Sprint(i))
		wantKeys = append(wantKeys, fmt.Sprintf("last/%02d", i))
	}
	want(t, "entries", texts(t, s), wantEntries)
	var keys []string
	err := s.View(func(tx *Tx) error {
		for key := range tx.Each("last/") {
			keys = append(keys, key)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	want(t, "keys", keys, wantKeys)
	if stats := s.Stats(); stats.Entries != 48 || stats.Items != 48 {
		t.Errorf("stats: %+v", stats)
	}
}

func TestNothingToWrite(t *testing.T) {
	s := open(t, Options{Path: file(t)})
	set := func(tx *Tx) error { return tx.Set("key", []byte("value")) }
	if err := s.Update(set); err != nil {
		t.Fatal(err)
	}
	before, err := os.ReadFile(s.path)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range []func(*Tx) error{set, func(tx *Tx) error { return tx.Delete("other") }, func(tx *Tx) error { return tx.Remove("gone") }} {
		if err := s.Update(f); err != nil {
			t.Fatal(err)
		}
	}
	if after, err := os.ReadFile(s.path); err != nil || !bytes.Equal(before, after) { // each write has another number in the file
		t.Errorf("something was written for nothing: %v", err)
	}
}

func TestFull(t *testing.T) {
	var said buffer
	data := func(i int) string { return fmt.Sprintf("%-1000d", i) }
	one := cost(new(rows).value(newKey(at(0), 1), 3, []byte(data(0)), true)).bytes
	s := open(t, Options{Path: file(t), MaxBytes: 10 * one, Logger: log.NewLogfmtLogger(&said)})
	for i := range 25 {
		put(t, s, at(i), 3, data(i))
	}
	var wanted []string
	for i := 15; i < 25; i++ {
		wanted = append(wanted, data(i))
	}
	want(t, "entries", texts(t, s), wanted)
	if stats := s.Stats(); stats.Entries != 10 || stats.Items != 30 || stats.Dropped != 45 || stats.Bytes != 10*one {
		t.Errorf("stats: %+v", stats)
	}
	entries, err := s.Read("", forever, 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if err := s.Update(func(tx *Tx) error { return tx.Remove(e.Key) }); err != nil {
			t.Fatal(err)
		}
	}
	want(t, "log", said.lines(), []string{
		`level=warn msg="the spool is full: the oldest is dropped for the newest (max_bytes)" file=` + s.path + ` max_bytes=` + fmt.Sprint(10*one),
		`level=info msg="the spool has room again" file=` + s.path + ` dropped=45`,
	})
	err = s.Update(func(tx *Tx) error { return tx.Append(at(0), 1, make([]byte, 10*one)) })
	if !errors.Is(err, ErrTooLarge) || err.Error() != fmt.Sprintf("entry too large for the spool: it has %d bytes, max_bytes are %d", 10*one, 10*one) {
		t.Errorf("an entry too large: %v", err)
	}
}

// TestBound holds the file to what Options.MaxBytes promises, with a queue that
// overflows for a long time.
func TestBound(t *testing.T) {
	const most = 4 << 20
	for _, size := range []int{100, 700, 1400, 2500, 5000, 70_000} {
		t.Run(fmt.Sprint(size), func(t *testing.T) {
			s := open(t, Options{Path: file(t), MaxBytes: most, noSync: true}) // the size alone matters
			data := make([]byte, size)
			dice := rand.New(rand.NewPCG(1, uint64(size)))
			for n := 0; n < most+most/4; {
				err := s.Take(func(tx *Tx) error {
					for range max(1, 5_000/size) {
						n += size
						if err := tx.Append(at(n), 1, data[:size-dice.IntN(size/4)]); err != nil {
							return err
						}
					}
					return tx.Set("state", data[:8])
				})
				if err != nil {
					t.Fatal(err)
				}
			}
			info, err := os.Stat(s.path)
			if err != nil {
				t.Fatal(err)
			}
			limit := int64(most + most/8 + 1<<20)
			if runtime.GOOS == "windows" { // where bbolt makes the file as long as its map, which it doubles
				limit *= 2
			}
			if info.Size() > limit {
				t.Errorf("the file has %d bytes, more than %d", info.Size(), limit)
			}
			t.Logf("%.2f of max_bytes", float64(info.Size())/most)
		})
	}
}

func TestShrink(t *testing.T) {
	path := file(t)
	if err := os.WriteFile(path+".tmp", []byte("of one that did not come to its end"), 0o600); err != nil {
		t.Fatal(err)
	}
	s := open(t, Options{Path: path})
	if _, err := os.Stat(path + ".tmp"); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("what was left is still there: %v", err)
	}
	data := strings.Repeat("x", 1<<20)
	for i := range 24 {
		put(t, s, at(i), 1, data)
	}
	if err := s.Shrink(time.Now()); err != nil { // it is full
		t.Fatal(err)
	}
	if info, _ := os.Stat(path); info.Size() < 24<<20 {
		t.Fatalf("the file has %d bytes", info.Size())
	}
	entries, err := s.Read("", at(23), 1<<30)
	if err != nil {
		t.Fatal(err)
	}
	err = s.Update(func(tx *Tx) error {
		for _, e := range entries {
			if err := tx.Remove(e.Key); err != nil {
				return err
			}
		}
		return tx.Set("key", []byte("value"))
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Shrink(time.Now()); err != nil {
		t.Fatal(err)
	}
	if info, _ := os.Stat(path); info.Size() > 2<<20 {
		t.Errorf("the file still has %d bytes", info.Size())
	}
	put(t, s, at(30), 1, "new")
	want(t, "entries", texts(t, s), []string{data, "new"})
	err = s.View(func(tx *Tx) error {
		if got := string(tx.Get("key")); got != "value" {
			t.Errorf("state: %q", got)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if stats := s.Stats(); stats.Entries != 2 {
		t.Errorf("stats: %+v", stats)
	}
}

// TestShrinkState leaves a file alone that state fills, although nothing waits.
func TestShrinkState(t *testing.T) {
	path := file(t)
	s := open(t, Options{Path: path})
	err := s.Update(func(tx *Tx) error { return tx.Set("key", make([]byte, 20<<20)) })
	if err != nil {
		t.Fatal(err)
	}
	before, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Shrink(time.Now()); err != nil {
		t.Fatal(err)
	}
	after, err := os.Stat(path)
	if err != nil || !os.SameFile(before, after) {
		t.Errorf("it was written anew: %v", err)
	}
}

func TestSetAside(t *testing.T) {
	var said buffer
	s := open(t, Options{Path: file(t), Logger: log.NewLogfmtLogger(&said)})
	data := []byte(`{"name":"` + strings.Repeat("x", 3<<20) + `"}`)
	for i := range 7 {
		if err := s.SetAside(Aside{Why: fmt.Errorf("refused %d", i), Shown: data, Items: 2}); err != nil {
			t.Fatal(err)
		}
	}
	var got []string
	for _, path := range []string{s.path + ".refused.1", s.path + ".refused"} {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(text)) {
			_, rest, _ := strings.Cut(line, `"error":"`)
			why, _, _ := strings.Cut(rest, `"`)
			got = append(got, why)
			if !strings.HasSuffix(line, `,"data":`+string(data)+`,"items":2}`+"\n") {
				t.Errorf("%s: the data are not there", why)
			}
		}
	}
	want(t, "kept", got, []string{"refused 4", "refused 5", "refused 6"})
	err := s.UpdateSent(func(tx *Tx) error {
		tx.Sent(3)
		tx.Refused(14)
		return tx.Set("something", nil)
	})
	if stats := s.Stats(); err != nil || stats.Refused != 14 || stats.Sent != 3 {
		t.Errorf("stats: %+v", stats)
	}
	if err := s.SetAside(Aside{Why: errors.New("x"), Shown: []byte("no JSON")}); err == nil {
		t.Error("what is no JSON was set aside")
	}
	if err := s.SetAside(Aside{Why: errors.New("refused 6"), Shown: []byte("1")}); err != nil {
		t.Error(err)
	}
	if lines := said.lasting(); len(lines) != 7 || lines[6] != `level=error msg="what was refused for good is set aside" items=2 err="refused 6"` {
		t.Errorf("log: %q", lines)
	}
}
