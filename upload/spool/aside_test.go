package spool

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"scriptbridge/internal/fsx"
)

// fullDisk writes only the beginning of what is written, for a while.
type fullDisk struct {
	fsx.OS
	err error
}

func (d *fullDisk) Sync(f *os.File) error {
	if d.err == nil {
		return d.OS.Sync(f)
	}
	info, err := f.Stat()
	if err != nil {
		return err
	}
	return errors.Join(d.err, f.Truncate(info.Size()-10))
}

func refusal(name string) Aside {
	return Aside{Why: errors.New("no"), Shown: []byte(`"` + name + `"`), Items: 1, At: time.Unix(100, 0), Entry: []byte(name)}
}

func setAside(t *testing.T, s *Spool, name string) {
	t.Helper()
	if err := s.SetAside(refusal(name)); err != nil {
		t.Fatal(err)
	}
}

func noFormer(*Aside) error { return errors.New("of no use") }

// TestHalfALine: what is set aside after a line that was cut off, wherever, is
// there all the same.
func TestHalfALine(t *testing.T) {
	path := file(t)
	s := open(t, Options{Path: path})
	setAside(t, s, "first")
	text, err := os.ReadFile(path + ".refused")
	if err != nil {
		t.Fatal(err)
	}
	for n := range text {
		if err := os.WriteFile(path+".refused", text[:n], 0o600); err != nil {
			t.Fatal(err)
		}
		setAside(t, s, "second")
		back, left, err := s.Restore(noFormer)
		whole := 0
		if n == len(text)-1 { // all but its end
			whole = 1
		}
		if back != 1+whole || left != min(n, 1)-whole || err != nil {
			t.Fatalf("cut at %d: %d are back, %d are left: %v", n, back, left, err)
		}
	}
}

// TestLeftLines: lines that cannot be queued again stay lines.
func TestLeftLines(t *testing.T) {
	path := file(t)
	s := open(t, Options{Path: path})
	for _, suffix := range []string{".refused.1", ".refused"} {
		if err := os.WriteFile(path+suffix, []byte(`{"time":"20`), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	setAside(t, s, "good")
	if back, left, err := s.Restore(noFormer); back != 1 || left != 2 || err != nil {
		t.Errorf("%d are back, %d are left: %v", back, left, err)
	}
	setAside(t, s, "better")
	if back, left, err := s.Restore(noFormer); back != 1 || left != 2 || err != nil {
		t.Errorf("then: %d are back, %d are left: %v", back, left, err)
	}
}

// TestSetAsideFails: what could not be written wholly is not there at all.
func TestSetAsideFails(t *testing.T) {
	path, disk := file(t), &fullDisk{}
	s := open(t, Options{Path: path, FS: disk})
	setAside(t, s, "first")
	before, err := os.ReadFile(path + ".refused")
	if err != nil {
		t.Fatal(err)
	}
	unchanged := func(what string) {
		t.Helper()
		if text, err := os.ReadFile(path + ".refused"); err != nil || string(text) != string(before) {
			t.Errorf("%s, the file is %q: %v", what, text, err)
		}
	}
	disk.err = errors.New("the disk is full")
	if err := s.SetAside(refusal("second")); !errors.Is(err, disk.err) {
		t.Errorf("SetAside: %v", err)
	}
	unchanged("after a write that failed")
	disk.err = nil
	large := refusal(strings.Repeat("x", 2<<20))
	if err := s.SetAside(large, Aside{Why: errors.New("no"), Shown: []byte("no JSON")}); err == nil {
		t.Error("what is no JSON was set aside")
	}
	unchanged("after a part that failed")
	setAside(t, s, "second")
	if back, left, err := s.Restore(noFormer); back != 2 || left != 0 || err != nil {
		t.Errorf("%d are back, %d are left: %v", back, left, err)
	}
}

// The latest reasons of refusals are told: each once, the newest first.
func TestLatestRefusals(t *testing.T) {
	s := open(t, Options{Path: file(t)})
	long := strings.Repeat("x", 2*shownKept)
	for i := range refusalsKept + 5 {
		a := refusal(long)
		a.Why, a.Items = fmt.Errorf("reason %d", i), i+1
		if err := s.SetAside(a); err != nil {
			t.Fatal(err)
		}
	}
	again := refusal("again")
	again.Why = errors.New("reason 10")
	if err := s.SetAside(again, again); err != nil {
		t.Fatal(err)
	}
	got := s.Stats().Refusals
	if len(got) != refusalsKept || got[0].Error != "reason 10" || got[0].Items != 13 || got[0].Shown != `"again"` || got[0].At.IsZero() ||
		got[1].Error != "reason 24" || len(got[1].Shown) != shownKept || got[refusalsKept-1].Error != "reason 5" {
		t.Errorf("%+v", got)
	}
}
