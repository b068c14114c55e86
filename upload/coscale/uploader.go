// Package coscale uploads to a CoScale API; uploader.go has the Uploader,
// type.go its line for the table.
//
// The way in: put.go sorts a batch by slots, entry.go is how that lies in the
// spool, state.go what is remembered beside it, and units.go the units of names.
//
// The way out: pass.go is one walk through what is due, a slot after the other.
// flush.go makes one point of what is sent once for a slot, slot.go the series
// of one slot. values.go sends values, parts.go makes sense of an answer that
// accepts some of them, event.go sends events, object.go makes what they belong
// to, and ids.go remembers that. error.go and trouble.go decide what an error means: an outage, or an
// entry that is to blame, which aside.go sets aside.
package coscale

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"time"

	"github.com/go-kit/log"

	api "scriptbridge/coscale"
	"scriptbridge/internal/repeat"
	"scriptbridge/upload/spool"
)

// uploaderOptions are what an Uploader needs; all but Logger, Server and
// NameSuffix must be there.
type uploaderOptions struct {
	Client *api.Client
	// Server is this host's name at the other end; empty: the host's own.
	Server string
	// Interval is the length of a slot. Slots are aligned to the epoch.
	Interval time.Duration
	// NameSuffix ends the names of the metrics and events of CoScale's scripts,
	// as those that CoScale's agent sent (" - Custom").
	NameSuffix string
	Spool      *spool.Spool // the caller closes it
	Logger     log.Logger   // nil: nobody
}

// Uploader is the record.Sink that sends to a CoScale API:
//
//	put.go     batches become entries of the spool, and state beside them
//	entry.go   how an entry is written down; state.go the state
//	flush.go   one point of what is sent once for a slot
//	pass.go    all that is due is tried once; trouble.go judges what fails
//	slot.go    holds some of the entries at once
//	values.go  sends values, event.go events
//	object.go  makes what both refer to; ids.go remembers it
//	aside.go   what was refused
type Uploader struct {
	client   *api.Client
	server   string
	interval time.Duration
	grace    time.Duration
	suffix   string
	spool    *spool.Spool
	logger   log.Logger

	mu    sync.Mutex
	units units // what the spool's state has of units; see note

	// Run's alone.
	ids       ids       // what the spool's state has of ids
	offline   bool      // what is not known is not asked for
	made      int       // how often something was made
	forgotten time.Time // when ids were forgotten last
	cured     bool      // that helped
	untagged  map[string]time.Time
	conflict  time.Time // when one was taken for a refusal last
	tidied    time.Time // when the state was tidied last
	staying   error     // why something stays that was to be set aside
	toldAhead time.Time // when a clock that was wrong was told of last
	toldLoop  time.Time // and a ring of bridges

	// What is known of failures; see pass.
	passes   int
	row      int // of them in a row in which nothing went
	skip     [classes]int
	down     bool // no value was accepted when one was tried last
	troubles troubles
	doubts   [classes]bool      // of some it is not known whether they fail alone
	accepted [classes]time.Time // when the other end took something last
	canary   *api.Data          // a point that it took; see accepts
	byOther  [classes]int       // what went aside because of the other class alone
}

// Bounds on what is held in memory: entries that are read at once, in bytes,
// and tags that are remembered.
const (
	windowBytes = 1 << 20
	maxKnown    = 100_000
)

// newUploader makes an Uploader that has not said anything yet.
func newUploader(o uploaderOptions) (*Uploader, error) {
	if o.Logger == nil {
		o.Logger = log.NewNopLogger()
	}
	if o.Server == "" {
		name, err := os.Hostname()
		if err != nil {
			return nil, fmt.Errorf("the host's name is not known (set server): %w", err)
		}
		o.Server = name
	}
	if o.Interval <= 0 {
		return nil, fmt.Errorf("an interval of %v", o.Interval)
	}
	return &Uploader{
		client:   o.Client,
		server:   o.Server,
		interval: o.Interval,
		// What ends in a slot's last moment is put a little later.
		grace:  min(o.Interval/10, 5*time.Second),
		suffix: o.NameSuffix,
		spool:  o.Spool,
		logger: o.Logger,
		units:  newUnits(),
		ids:    newIDs(),

		untagged: make(map[string]time.Time),
		troubles: troubles{byKey: make(map[string]*trouble)},
	}, nil
}

// Stats gives the spool's figures; items are values and events. Skipped has
// what is not sent: the parts of histograms and summaries, infos, and what is
// no number or was not observed a number of times.
func (u *Uploader) Stats() spool.Stats { return u.spool.Stats() }

// slot is the start of the slot that a time is in.
func (u *Uploader) slot(t time.Time) time.Time {
	n := t.UnixNano()
	return time.Unix(0, n-n%int64(u.interval))
}

// Run sends, slot by slot, each when it is over, until ctx ends; then it
// returns nil. What was not sent stays in the spool. It must not be called
// twice at once.
func (u *Uploader) Run(ctx context.Context) error {
	defer u.client.CloseIdle()
	var disk repeat.State
	for {
		wait, err := u.sendDue(ctx)
		switch {
		case ctx.Err() != nil:
			return nil
		case errors.Is(err, spool.ErrClosed):
			return err
		}
		// The disk's: the server's do not come here.
		disk.Log(u.logger, err, "the upload's spool fails; sending is tried again", "the upload's spool works again")
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(wait):
		}
	}
}

// sendDue sends what is due, and says how long to wait until it is called again.
func (u *Uploader) sendDue(ctx context.Context) (time.Duration, error) {
	now := time.Now()
	next := u.slot(now.Add(-u.grace)).Add(u.interval + u.grace).Sub(now)
	if now.Sub(u.tidied) >= time.Hour {
		u.tidied = now
		if err := u.tidy(now); err != nil {
			return next, err
		}
	}
	first, ok, err := u.spool.First()
	if err != nil {
		return next, err
	}
	if !ok || !first.Before(u.slot(now.Add(-u.grace))) && first.Before(now.Add(aheadMost)) {
		u.troubles.drop(func(*trouble) bool { return true })
		u.spool.Works()
		return next, u.spool.Shrink(now)
	}
	p := u.newPass()
	err = p.walk(ctx, now)
	if _, outage := errors.AsType[*outageError](err); err != nil && !outage {
		return next, err
	}
	return p.end(err, now, next), u.staying
}
