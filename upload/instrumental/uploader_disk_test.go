package instrumental

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"scriptbridge/record"
	"scriptbridge/upload/spool"
)

// increments puts so many, or until the disk is full, and gives how many were
// taken.
func increments(t *testing.T, u *Uploader, from, to int) (taken int) {
	t.Helper()
	meta := &record.Meta{ID: "1", Name: "n", Datatype: "COUNT"}
	for n := from; n < to; n += 50 {
		b := &record.Batch{Source: &record.Source{Kind: record.Script, Name: "s"}, Time: noon.Add(time.Duration(n) * time.Second)}
		for i := range 50 {
			label := rand.Text() + rand.Text() // which cannot be compressed to nothing
			b.Samples = append(b.Samples, record.Sample{Name: "n", Value: float64(n + i), Op: record.Add, Meta: meta, Labels: []record.Label{{Name: "l", Value: label}}})
		}
		if u.Put(b) != nil {
			break
		}
		taken += 50
	}
	return taken
}

// once says that all increments up to a number have arrived, each one time.
func once(t *testing.T, p *peer, number int) {
	t.Helper()
	times := make(map[string]int)
	for _, line := range p.got() {
		times[strings.Fields(line)[2]]++
	}
	wrong := 0
	for n := range number {
		if got := times[fmt.Sprint(n)]; got != 1 {
			if wrong++; wrong < 5 {
				t.Errorf("increment %d arrived %d times", n, got)
			}
		}
	}
	if len(times) != number {
		t.Errorf("%d increments arrived, want %d", len(times), number)
	}
}

// TestSentAndNotRemoved: what was sent and cannot be removed from the queue is not
// sent again, and nothing else is, until it can be removed; whoever sends then.
func TestSentAndNotRemoved(t *testing.T) {
	folder := filepath.Join(t.TempDir(), "uploads")
	if err := os.Mkdir(folder, 0o700); err != nil {
		t.Fatal(err)
	}
	s := openSpool(t, filepath.Join(folder, "instrumental"))
	p := newPeer(t, nil)
	to := *p.collector()
	newUploader := func() *Uploader { return newUploader(uploaderOptions{Collector: &to, Host: "h", Spool: s}) }
	u := newUploader()
	increments(t, u, 0, 500)
	key := to.Key
	to.Key = func() (string, error) { // in the middle of sending
		err := os.Rename(folder, folder+".away")
		text, _ := key()
		return text, err
	}
	err := u.send(context.Background())
	if err == nil || !strings.HasPrefix(err.Error(), folder+": the folder was moved away") {
		t.Fatalf("send: %v", err)
	}
	if n := len(p.got()); n != 500 {
		t.Fatalf("%d lines arrived", n)
	}
	to.Key = key
	for range 3 {
		u = newUploader() // as a reload makes one
		if err := u.send(context.Background()); err == nil {
			t.Error("it was sent once more")
		}
	}
	if failing := u.Stats().Failing; !strings.HasPrefix(failing, "what waits cannot be sent: ") {
		t.Errorf("failing: %q", failing)
	}
	if err := os.Rename(folder+".away", folder); err != nil {
		t.Fatal(err)
	}
	increments(t, u, 500, 600)
	if err := u.send(context.Background()); err != nil {
		t.Fatal(err)
	}
	once(t, p, 600)
	if stats := u.Stats(); stats.Sent != 600 || stats.Entries != 0 || stats.Failing != "" {
		t.Errorf("stats: %+v", stats)
	}
}

// TestAsideFails: what cannot be set aside stays, wherever it is, and all else is
// sent; each once.
func TestAsideFails(t *testing.T) {
	path := filepath.Join(t.TempDir(), "spool")
	if err := os.Mkdir(path+".refused", 0o700); err != nil { // in the way
		t.Fatal(err)
	}
	s := openSpool(t, path)
	defer s.Close()
	p := newPeer(t, nil)
	u := newUploader(uploaderOptions{Collector: p.collector(), Host: "h", Spool: s})
	const many = 30 // of which several make one connection
	for i := range many {
		bad, good := bytes.Repeat([]byte("x"), readAtOnce/7), fmt.Appendf(nil, `["increment n %d 1 1"]`, i)
		if err := s.Update(func(tx *spool.Tx) error {
			return errors.Join(tx.Append(noon.Add(time.Duration(i)*time.Second), 1, bad), tx.Append(noon.Add(time.Duration(i)*time.Second), 1, good))
		}); err != nil {
			t.Fatal(err)
		}
	}
	for range 2 {
		if err := u.send(t.Context()); err == nil || !strings.HasPrefix(err.Error(), "set aside: ") {
			t.Errorf("send: %v", err)
		}
		if stats := s.Stats(); stats.Entries != many || stats.Sent != many || stats.Refused != 0 {
			t.Errorf("while nothing can be set aside: %+v", stats)
		}
	}
	once(t, p, many)
	if err := os.Remove(path + ".refused"); err != nil {
		t.Fatal(err)
	}
	if err := u.send(t.Context()); err != nil {
		t.Error(err)
	}
	if stats := s.Stats(); stats.Entries != 0 || stats.Sent != many || stats.Refused != many {
		t.Errorf("at the end: %+v", stats)
	}
}

// TestBacklog: what waits for long goes out in order over few connections, however
// much it is, and all of a connection that broke comes once more.
func TestBacklog(t *testing.T) {
	s := openSpool(t, filepath.Join(t.TempDir(), "spool"))
	p := newPeer(t, nil)
	u := newUploader(uploaderOptions{Collector: p.collector(), Host: "h", Spool: s})
	const entries, each = 80, 250 // of 1000 bytes: 20 MB
	number := 0
	for i := range entries {
		var text []byte
		for range each {
			text = fmt.Appendf(text, "gauge n%0976d %d 1 1\n", 0, number)
			number++
		}
		if err := s.Update(func(tx *spool.Tx) error { return tx.Append(noon.Add(time.Duration(i)*time.Second), each, text) }); err != nil {
			t.Fatal(err)
		}
	}
	p.breakAt, p.breaks = 5000, 1 // in a connection that is made of several reads
	if err := u.send(t.Context()); err != nil {
		t.Fatal(err)
	}
	next := 0
	for _, line := range p.got() {
		n, err := strconv.Atoi(strings.Fields(line)[2])
		switch {
		case err != nil || n > next:
			t.Fatalf("%d comes where %d should", n, next)
		case n == next:
			next++
		}
	}
	if again := len(p.got()) - number; next != number || again != 5000 {
		t.Errorf("%d of %d lines arrived, %d of them again", next, number, again)
	}
	if p.connections > 8 {
		t.Errorf("it took %d connections", p.connections)
	}
	if stats := s.Stats(); stats.Sent != uint64(number) || stats.Entries != 0 || stats.Retried != 1 {
		t.Errorf("%+v", stats)
	}
}
