package main

import (
	"testing"
	"time"

	"scriptbridge/config"
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
		r := &reloader{current: &wanted{cfg: &config.Config{Discover: c.found}}}
		if got := r.untilLook(now.Add(c.at), c.every); got != c.wanted {
			t.Errorf("%s: %s, want %s", c.name, got, c.wanted)
		}
	}
}
