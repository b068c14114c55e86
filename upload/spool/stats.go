package spool

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/go-kit/log/level"
)

// Stats are a spool's figures. The counts begin at 0 with the process; they
// are of items, of which an entry has as many as Append was told.
type Stats struct {
	Entries int
	Items   uint64
	Bytes   int64     // of the entries that wait, as MaxBytes counts them
	Oldest  time.Time // the first entry's; zero when there is none

	Sent    uint64
	Refused uint64 // for good, and set aside
	Dropped uint64 // what was taken and then lost,
	// and DroppedBy by the reasons below.
	DroppedBy map[string]uint64
	Retried   uint64 // attempts that failed and were made again
	// Failing is why nothing is taken or sent at present, and FailingSince when sending
	// began to fail; empty while all is well.
	Failing      string
	FailingSince time.Time
	LastSent     time.Time // when something arrived last; zero before that
	// Refusals are the latest reasons for which something was set aside, the newest
	// first.
	Refusals []Refusal
	// Skipped is what the sink leaves out by intent, by reason.
	Skipped map[string]uint64
}

// Refusal is a reason for which something was set aside.
type Refusal struct {
	At    time.Time // the last time
	Error string
	Shown string // JSON that tells what was the last, cut
	Items uint64 // all since the start
}

// What is kept of refusals.
const (
	refusalsKept = 20
	shownKept    = 500 // bytes
)

// refuse keeps what was set aside for people. The caller holds s.mu.
func (s *Spool) refuse(a *Aside) {
	r := Refusal{At: time.Now(), Error: a.Why.Error(), Shown: string(a.Shown[:min(len(a.Shown), shownKept)]), Items: uint64(a.Items)}
	list := s.count.Refusals
	if i := slices.IndexFunc(list, func(old Refusal) bool { return old.Error == r.Error }); i >= 0 {
		r.Items += list[i].Items
		list = slices.Delete(list, i, i+1)
	}
	s.count.Refusals = slices.Insert(list[:min(len(list), refusalsKept-1)], 0, r)
}

// The reasons of Stats.DroppedBy.
const (
	Full    = "full"    // the oldest, when MaxBytes was reached
	Damaged = "damaged" // what could not be read any more
	Removed = "removed" // what waited in a file that somebody has removed
	TooOld  = "too_old" // what waited for longer than its sender lets it; only where one bounds that
)

// Stats gives the figures of now, and waits for nobody.
func (s *Spool) Stats() Stats {
	s.mu.Lock()
	defer s.mu.Unlock()
	stats := s.count
	stats.Entries, stats.Items, stats.Bytes, stats.Oldest = s.total.entries, s.total.items, s.total.bytes, s.first.Time()
	stats.Skipped, stats.Refusals = maps.Clone(stats.Skipped), slices.Clone(stats.Refusals)
	stats.DroppedBy = map[string]uint64{Full: 0, Damaged: 0, Removed: 0}
	maps.Copy(stats.DroppedBy, s.count.DroppedBy)
	for _, n := range stats.DroppedBy {
		stats.Dropped += n
	}
	for _, err := range s.wrong {
		if err != nil {
			stats.Failing = err.Error()
		}
	}
	return stats
}

// Skipped counts items that are not queued, by reason.
func (s *Spool) Skipped(by map[string]int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for reason, n := range by {
		if s.count.Skipped == nil {
			s.count.Skipped = make(map[string]uint64)
		}
		s.count.Skipped[reason] += uint64(n)
	}
}

// use is what the disk is asked for.
type use int

const (
	taking  use = iota // what comes
	sending            // what waits: reading it, and noting what became of it
	uses
)

// note keeps, for Stats, whether the disk does what it should. Who sends tells of
// it in the log; of what cannot be taken each source would tell for itself alone,
// so that is told here.
func (s *Spool) note(of use, err error) {
	if errors.Is(err, ErrClosed) {
		return
	}
	if err != nil {
		err = fmt.Errorf("%s: %w", [uses]string{"what comes cannot be kept", "what waits cannot be sent"}[of], err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.wrong[of] = err
	if of == taking {
		s.wrongs.Log(s.logger, err, "the upload's spool fails; it is tried again with each value that comes", "the upload's spool takes again what comes")
	}
}

// account brings the figures up to date with a transaction that lasts, and says
// what was lost: once when the spool becomes full, and once when it has room
// again.
func (s *Spool) account(t *Tx) {
	for _, r := range t.rows {
		s.moved[r] = true
	}
	s.mu.Lock()
	s.total.add(t.change)
	s.first = t.first
	s.count.DroppedBy[Full] += t.dropped
	s.count.DroppedBy[Damaged] += t.damaged
	if t.tooOld > 0 {
		s.count.DroppedBy[TooOld] += t.tooOld
	}
	if s.count.Sent += t.sent; t.sent > 0 {
		s.count.LastSent = time.Now()
	}
	s.count.Refused += t.refused
	began := t.dropped > 0 && s.dropping == 0
	s.dropping += t.dropped
	var ended uint64
	if s.dropping > 0 && s.total.bytes < s.max.Load()/2 {
		ended, s.dropping = s.dropping, 0
	}
	s.mu.Unlock()

	if t.damaged > 0 {
		level.Error(s.logger).Log("msg", "damaged entries of the spool were dropped", "file", s.path, "items", t.damaged)
	}
	if began {
		level.Warn(s.logger).Log("msg", "the spool is full: the oldest is dropped for the newest (max_bytes)", "file", s.path, "max_bytes", s.max.Load())
	}
	if ended > 0 {
		level.Info(s.logger).Log("msg", "the spool has room again", "file", s.path, "dropped", ended)
	}
}
