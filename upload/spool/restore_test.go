package spool

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"
)

// TestRestore queues again what was set aside, that of a former version too, and
// leaves what cannot be queued.
func TestRestore(t *testing.T) {
	path := file(t)
	s := open(t, Options{Path: path})
	former := func(a *Aside) error {
		if !strings.HasPrefix(string(a.Shown), `"former`) {
			return errors.New("of no use")
		}
		a.Entry, a.Items, a.At = []byte(strings.Trim(string(a.Shown), `"`)), 1, time.Unix(50, 0)
		return nil
	}
	if back, left, err := s.Restore(former); back != 0 || left != 0 || err != nil {
		t.Errorf("nothing: %d, %d, %v", back, left, err)
	}
	useless := `{"time":"2026-01-01T00:00:00Z","error":"e","data":null}` + "\n"
	text := `{"time":"2026-01-01T00:00:00Z","error":"e","data":"former"}` + "\n" + useless + "{half a li"
	if err := os.WriteFile(path+".refused.1", []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	for i := range 3 {
		err := s.SetAside(Aside{Why: errors.New("no"), Shown: []byte("1"), Items: 2, At: time.Unix(100, 0), Entry: fmt.Appendf(nil, "new %d", i)})
		if err != nil {
			t.Fatal(err)
		}
	}
	s.SetMaxBytes(100)
	if _, _, err := s.Restore(former); !errors.Is(err, errNoRoom) {
		t.Errorf("without room: %v", err)
	}
	s.SetMaxBytes(1 << 20)
	back, left, err := s.Restore(former)
	if back != 7 || left != 2 || err != nil {
		t.Errorf("%d, %d, %v", back, left, err)
	}
	want(t, "entries", texts(t, s), []string{"former", "new 0", "new 1", "new 2"})
	if stats := s.Stats(); stats.Items != 7 {
		t.Errorf("stats: %+v", stats)
	}
	rest, err := os.ReadFile(path + ".refused")
	if err != nil || string(rest) != useless+"{half a li\n" {
		t.Errorf("left: %q, %v", rest, err)
	}
	if _, err := os.Stat(path + ".refused.1"); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the older file: %v", err)
	}
}
