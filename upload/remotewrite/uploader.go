// Package remotewrite sends what the page for Prometheus shows by Prometheus's remote
// write protocol, for who cannot be scraped.
//
// What is written is the page: with each run of a script its source's part of that goes into the
// spool as text (entry.go), and from time to time the rest (renew.go). When it is sent,
// the text becomes samples by the parser of Prometheus's own scrapes (samples.go) and a
// request of remote write 2.0 or 1.0 (message.go). So a written series is the scraped
// one. ended.go tells of series that are gone, owners.go of those that have moved, send.go
// brings all of it out in order, destination.go is the other end.
package remotewrite

import (
	"fmt"
	"sync"
	"time"

	"github.com/go-kit/log"

	"scriptbridge/record"
	"scriptbridge/upload"
	"scriptbridge/upload/spool"
)

// options are what an Uploader needs; all but MaxAge and Page.
type options struct {
	Destination *destination
	Reader      *reader
	Page        upload.Page   // nil: nothing is renewed
	Interval    time.Duration // of renewal
	MaxAge      time.Duration // of what waits; 0: any
	Spool       *spool.Spool
	Logger      log.Logger
}

// Uploader is a record.Sink that writes to one destination.
type Uploader struct {
	o       options
	waiting chan struct{} // holds one when there is something to send
	tooOld  bool          // since the queue was empty, something was; for the log
	// doubtful says that the next request may have arrived before: nobody knows what
	// became of the last one.
	doubtful bool
	// failed is how many attempts to send have failed in a row, and next is when to make
	// another.
	failed int
	next   time.Time

	owners *owners

	mu      sync.Mutex
	written map[string]*written // by source
}

// written is what is known of what was written of a source. Its lock is held while
// that is brought to the spool, so that values and times are in one order.
type written struct {
	mu    sync.Mutex
	last  int64  // Unix milliseconds of the newest; 0: nothing since the start
	whole int64  // likewise of all that is shown
	sum   uint64 // digest of the series then
	// parts are the digests of the series that were written without the rest since then,
	// and are kept as such.
	parts map[uint64]bool
}

func newUploader(o options) *Uploader {
	u := &Uploader{o: o, waiting: make(chan struct{}, 1), owners: newOwners(), written: make(map[string]*written)}
	if o.Spool != nil { // where a configuration is only checked, there is none
		u.doubtful = o.Spool.Stats().Items > 0
	}
	return u
}

// Stats gives the spool's figures.
func (u *Uploader) Stats() spool.Stats {
	stats := u.o.Spool.Stats()
	stats.DroppedBy[spool.TooOld] += 0 // it is told of while there is none, too
	return stats
}

// Put keeps what the page shows of the batch's source; it blocks for as long as the disk
// takes. When it returns nil, that is on disk.
func (u *Uploader) Put(b *record.Batch) error {
	if b.Shown == nil {
		return nil
	}
	source := nameOf(b.Source)
	one := u.of(source)
	one.mu.Lock()
	defer one.mu.Unlock()
	if err := u.keep(one, source, b.Time, b.Shown, false); err != nil {
		return fmt.Errorf("remote write: %w", err)
	}
	if b.Gone {
		u.forget(source)
	}
	return nil
}

// forget lets go of what is known of a source that is no more.
func (u *Uploader) forget(source string) {
	u.mu.Lock()
	defer u.mu.Unlock()
	delete(u.written, source)
}

// nameOf is a source's name among others'.
func nameOf(s *record.Source) string { return string(s.Kind) + "/" + s.Name }

func (u *Uploader) of(source string) *written {
	u.mu.Lock()
	defer u.mu.Unlock()
	one := u.written[source]
	if one == nil {
		one = new(written)
		u.written[source] = one
	}
	return one
}

// keep brings what is shown of a source to the spool. The caller holds the lock of the
// source's written.
func (u *Uploader) keep(one *written, source string, at time.Time, shown *record.Shown, renewed bool) error {
	// A series' samples have ascending times: a destination would refuse others. But a clock
	// that is set back by more than a destination lets one be ahead was wrong before.
	when := after(one.last, at.UnixMilli())
	sum := u.o.Reader.digest(shown)
	known := one.whole != 0 && sum == one.sum
	part := !shown.Whole && !known && !one.parts[sum] && u.o.Page != nil // which is asked what has ended
	fresh := shown.Whole && (!known || len(one.parts) > 0)
	var list []byte
	if fresh || part {
		list = u.o.Reader.listed(shown)
	}
	any, earliest := false, when
	// A transaction may be run twice, so it begins anew each time.
	err := u.o.Spool.Take(func(tx *spool.Tx) (err error) {
		var t turned
		switch {
		case fresh:
			t, err = turnOver(tx, source, list, sum, one.whole == 0)
		case part:
			t, err = keepPart(tx, source, list, sum)
		}
		if err != nil {
			return err
		}
		when, any = after(u.owners.take(one, t.added), earliest), false
		for e, n := range entriesOf(shown, u.owners.leave(one, t.ended, when), renewed) {
			any = true
			if err := tx.Append(time.UnixMilli(when), n, e.append(nil)); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	one.last = when
	switch {
	case shown.Whole:
		one.whole, one.sum, one.parts = when, sum, nil
	case part && one.parts == nil:
		one.parts = map[uint64]bool{sum: true}
	case part:
		one.parts[sum] = true
	}
	if any {
		u.wake()
	}
	return nil
}

// after is a time, or a millisecond after another one that is not before it.
func after(last, when int64) int64 {
	if behind := last - when; behind >= 0 && behind <= mostAhead.Milliseconds() {
		return last + 1
	}
	return when
}

// mostAhead is what Prometheus and Mimir let a sample be ahead of their own clock.
const mostAhead = 10 * time.Minute

// wake has Run look at the queue.
func (u *Uploader) wake() {
	select {
	case u.waiting <- struct{}{}:
	default: // it will
	}
}

var _ upload.Uploader = (*Uploader)(nil)
