package main

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-kit/log"
	"github.com/prometheus/client_golang/prometheus"

	"scriptbridge/config"
	"scriptbridge/script"
)

// Looks come shortly before the slots of aligned folders, and often enough
// for each; without such folders, as often as they are told to.
func TestUntilLook(t *testing.T) {
	folder := func(interval time.Duration) *config.Discover {
		return &config.Discover{Settings: config.Settings{Dialect: "instrumental", Interval: interval}}
	}
	now := time.Unix(1_700_000_010, 0) // a multiple of 30 s
	for _, c := range []struct {
		name   string
		found  []*config.Discover
		every  time.Duration
		at     time.Duration // after now
		wanted time.Duration
	}{
		{"none", nil, 30 * time.Second, 0, 30 * time.Second},
		{"other folders", []*config.Discover{{Settings: config.Settings{Dialect: "coscale"}}}, 17 * time.Second, 0, 17 * time.Second},
		{"at a slot", []*config.Discover{folder(0)}, 30 * time.Second, 0, 29 * time.Second},
		{"just before the look", []*config.Discover{folder(0)}, 30 * time.Second, 28 * time.Second, time.Second},
		{"at the look", []*config.Discover{folder(0)}, 30 * time.Second, 29 * time.Second, 30 * time.Second},
		{"seldom", []*config.Discover{folder(0)}, time.Hour, 0, 29 * time.Second},
		{"often", []*config.Discover{folder(0)}, 2 * time.Second, 0, 1500 * time.Millisecond},
		{"a short round", []*config.Discover{folder(0), folder(time.Second)}, 30 * time.Second, 0, 750 * time.Millisecond},
	} {
		r := &reloader{current: &desired{Loaded: &script.Loaded{Config: &config.Config{Discover: c.found}}}}
		if got := r.untilLook(now.Add(c.at), c.every); got != c.wanted {
			t.Errorf("%s: %s, want %s", c.name, got, c.wanted)
		}
	}
}

// What a look for changes must find: a receiver's settings, its files, an
// upload's settings; and it must not find where things stand.
func TestWantedEqual(t *testing.T) {
	folder := t.TempDir()
	file, tokens := filepath.Join(folder, "scriptbridge.yml"), filepath.Join(folder, "tokens")
	const sections = "receive:\n  coscale: {app_id: a, access_tokens_file: tokens}\nupload:\n  coscale: {app_id: a, access_token_file: tokens}\n"
	made := func(text, token string) *desired {
		t.Helper()
		for name, text := range map[string]string{file: text, tokens: token} {
			if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		w, err := load(file, false, nil)
		if err != nil {
			t.Fatal(err)
		}
		return w
	}
	first := made(sections, "one")
	// A folder that has just been made again was not there: its scripts have
	// been left out.
	again := made(sections, "one")
	again.Made = []string{"folder"}
	if again.equal(first) {
		t.Error("a folder that was missing makes no difference")
	}
	for _, c := range []struct {
		name, text, token string
		want              bool
	}{
		{"the same", sections, "one", true},
		{"moved down", "\n# moved\n" + sections, "one", true},
		{"another token", sections, "two", false},
		{"another upload", strings.Replace(sections, "access_token_file", "server: b, access_token_file", 1), "one", false},
		{"a receiver more", strings.Replace(sections, "receive:\n", "receive:\n  statsd: {udp: \":1\"}\n", 1), "one", false},
	} {
		if got := made(c.text, c.token).equal(first); got != c.want {
			t.Errorf("%s: equal %t, want %t", c.name, got, c.want)
		}
	}
}

// What is told of the configuration has the time of it: when the one in use was read,
// or when the file was refused. That the same file is looked at again is no news.
func TestReloadStatus(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := &reloader{logger: log.NewNopLogger()}
		r.register(prometheus.NewRegistry())
		begin := time.Now()
		check := func(what string, ok bool, hours int) {
			t.Helper()
			if good, at, _ := r.status(); good != ok || !at.Equal(begin.Add(time.Duration(hours)*time.Hour)) {
				t.Errorf("%s: %v, at %v", what, good, at.Sub(begin))
			}
			time.Sleep(time.Hour)
		}
		r.note(time.Now(), nil)
		check("at the start", true, 0)
		first, other := errors.New("first"), errors.New("other")
		r.failed(first, false, "")
		check("refused", false, 1)
		r.failed(first, false, "")
		check("looked at again", false, 1)
		r.failed(first, true, "")
		check("asked for", false, 3)
		r.failed(other, false, "")
		check("refused for another reason", false, 4)
		r.note(time.Time{}, nil)
		check("as it was", true, 0)
		r.failed(other, false, "")
		check("refused once more", false, 6)
		r.note(time.Now(), nil)
		check("read", true, 7)
	})
}
