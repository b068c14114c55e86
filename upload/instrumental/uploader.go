package instrumental

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/go-kit/log"

	"scriptbridge/internal/repeat"
	"scriptbridge/record"
	"scriptbridge/upload/spool"
)

// uploaderOptions are what an Uploader needs; all but StatsDPrefix, Logger and
// Now.
type uploaderOptions struct {
	Collector *collectorClient
	// Host is the first part of every name.
	Host string
	// StatsDPrefix is what stands in front of StatsD's names; empty: nothing.
	StatsDPrefix string
	Spool        *spool.Spool
	Logger       log.Logger
	Now          func() time.Time
}

// Uploader is a record.Sink that sends to Instrumental's collector. What Put
// has taken is on disk, as lines of the protocol with their absolute times, and
// is sent in order.
type Uploader struct {
	o       uploaderOptions
	waiting chan struct{} // holds one when there is something to send
}

const (
	// round is how often lines are sent. The service knows whole minutes; the
	// vendor's daemons connect once in each of their rounds too.
	round = 30 * time.Second
	// readAtOnce bounds the bytes of the entries that are held at once; sentAtOnce
	// those of one connection, which begins with as much as was read, and has twice
	// that after each that went well: an outage's backlog is not a matter of how long
	// it takes to connect. mostEntries bounds those that it has.
	readAtOnce  = 1 << 20
	sentAtOnce  = 16 << 20
	mostEntries = 20_000
	// eventsKept is for how long an event that is repeated is the same one.
	eventsKept = 24 * time.Hour
	// mentionAgain is how exactly the last mention of an event is known: one that
	// is repeated shall not cost a write each time.
	mentionAgain = 6 * time.Hour
)

// newUploader makes one; Run sends.
func newUploader(o uploaderOptions) *Uploader {
	if o.Logger == nil {
		o.Logger = log.NewNopLogger()
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	return &Uploader{o: o, waiting: make(chan struct{}, 1)}
}

// Stats gives the spool's figures, and what was left out.
func (u *Uploader) Stats() spool.Stats { return u.o.Spool.Stats() }

// Put makes lines of a batch and keeps them; it blocks for as long as the disk
// takes. When it returns nil, they are on disk.
func (u *Uploader) Put(b *record.Batch) error {
	if b.Gone || len(b.Samples)+len(b.Events) == 0 {
		return nil
	}
	var said encoder
	// A transaction may be run twice, so it begins anew each time.
	err := u.o.Spool.Take(func(tx *spool.Tx) error {
		said = encoder{host: u.o.Host, statsdPrefix: u.o.StatsDPrefix, batch: b, tx: tx, skipped: make(map[string]int)}
		if err := said.all(); err != nil || said.lines == 0 {
			return err
		}
		return tx.Append(b.Time, said.lines, said.text)
	})
	if err != nil {
		return fmt.Errorf("upload to Instrumental: %w", err)
	}
	if said.lines > 0 {
		u.wake()
	}
	u.o.Spool.Skipped(said.skipped)
	return nil
}

// Run sends what is kept, until ctx ends; then it gives nil. What has not been
// sent stays. What comes after a silence is sent at once, the next a round
// later. Where the disk fails, Run says so and goes on a round later.
func (u *Uploader) Run(ctx context.Context) error {
	u.wake() // for what was kept before
	tidied := u.o.Now()
	var disk repeat.State
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-u.waiting:
		}
		before := u.o.Spool.Stats().Sent
		err := u.send(ctx)
		if err == nil && u.o.Spool.Stats().Sent == before {
			continue // the silence goes on
		}
		if now := u.o.Now(); err == nil && now.Sub(tidied) > time.Hour {
			tidied = now
			err = u.forget(now)
		}
		if err == nil {
			err = u.o.Spool.Shrink(u.o.Now())
		}
		switch {
		case ctx.Err() != nil:
			return nil
		case errors.Is(err, spool.ErrClosed):
			return err
		case err != nil:
			u.wake()
		}
		disk.Log(u.o.Logger, err, "the upload's spool fails; sending is tried again", "the upload's spool works again")
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(round):
		}
	}
}

// wake has Run look at the queue.
func (u *Uploader) wake() {
	select {
	case u.waiting <- struct{}{}:
	default: // it will
	}
}

// send sends until the queue is empty. Lines that may not have arrived are
// sent again: a gauge said twice is the same average, an increment said twice is
// the price of losing none.
func (u *Uploader) send(ctx context.Context) error {
	// What cannot be set aside stays, and nothing else stays for that.
	var staying error
	var last spool.Key // of those among which something stays
	most := readAtOnce
	for {
		first, err := u.o.Spool.Read(last, endOfTime, readAtOnce)
		if err != nil || len(first) == 0 {
			return errors.Join(err, staying)
		}
		var p portion
		if p.take(first); p.size > 0 {
			err = u.o.Spool.Retry(ctx, func(ctx context.Context) error {
				err := u.o.Collector.SendText(ctx, func(write func(text []byte) error) error {
					p = portion{}
					return u.portion(&p, first, most, write)
				})
				most = min(2*most, sentAtOnce)
				if err != nil {
					most = readAtOnce
				}
				return err
			})
			if err != nil {
				return err
			}
		}
		if err := u.o.Spool.SetAside(p.aside...); err != nil {
			staying, last = err, p.entries[len(p.entries)-1].Key
			p.entries = slices.DeleteFunc(p.entries, func(e spool.Entry) bool { return p.bad[e.Key] })
		}
		if err := u.done(p.entries, p.bad); err != nil {
			return err
		}
	}
}

// portion is what is sent over one connection.
type portion struct {
	entries []spool.Entry // without their data
	aside   []spool.Aside
	bad     map[spool.Key]bool
	size    int // of the lines, in bytes
}

// take takes entries in, and gives their lines.
func (p *portion) take(entries []spool.Entry) (text []byte) {
	for _, e := range entries {
		before := len(text)
		var err error
		if text, err = appendLines(text, e.Data); err != nil {
			if p.bad == nil {
				p.bad = make(map[spool.Key]bool)
			}
			p.bad[e.Key] = true
			p.aside = append(p.aside, spool.Aside{Why: err, Shown: []byte(`null`), Items: e.Items, At: e.Key.Time()})
		}
		p.size += len(text) - before
		p.entries = append(p.entries, spool.Entry{Key: e.Key, Items: e.Items})
	}
	return text
}

// portion writes entries, and those that come after them, as far as one connection
// goes. It holds those alone that it reads at once.
func (u *Uploader) portion(p *portion, entries []spool.Entry, most int, write func(text []byte) error) error {
	for len(entries) > 0 {
		if err := write(p.take(entries)); err != nil {
			return err
		}
		if p.size >= most || len(p.entries) >= mostEntries {
			return nil
		}
		var err error
		if entries, err = u.o.Spool.Read(p.entries[len(p.entries)-1].Key, endOfTime, readAtOnce); err != nil {
			return nil //nolint:nilerr // the next Read tells it; what was written is sent
		}
	}
	return nil
}

// done takes entries out of the queue, and counts them, but for those that were
// dropped meanwhile and counted then.
func (u *Uploader) done(entries []spool.Entry, bad map[spool.Key]bool) error {
	return u.o.Spool.UpdateSent(func(tx *spool.Tx) error {
		for _, e := range entries {
			switch {
			case !tx.Has(e.Key):
			case bad[e.Key]:
				tx.Refused(e.Items)
			default:
				tx.Sent(e.Items)
			}
			if err := tx.Remove(e.Key); err != nil {
				return err
			}
		}
		return nil
	})
}

// endOfTime is later than all that is queued: what came while a clock was ahead
// is not waited for.
var endOfTime = time.Unix(0, math.MaxInt64)

// appendLines appends the lines of an entry: each with its end, as they stand there.
// A former version wrote a JSON list of them.
func appendLines(text, data []byte) ([]byte, error) {
	switch {
	case len(data) > 0 && data[0] == '[':
	case len(data) == 0 || data[len(data)-1] != '\n' || bytes.IndexByte(data, '\r') >= 0:
		return text, errors.New("an entry that cannot be read: it does not end as a line does")
	default:
		return append(text, data...), nil
	}
	var lines []string
	if err := json.Unmarshal(data, &lines); err != nil {
		return text, fmt.Errorf("an entry that cannot be read: %w", err)
	}
	before := len(text)
	for _, l := range lines {
		if strings.ContainsAny(l, "\r\n") {
			return text[:before], errors.New("an entry that cannot be read: a line of it has a line end")
		}
		text = append(append(text, l...), '\n')
	}
	return text, nil
}

// forget drops what has not been spoken of for long: events after a day, the
// last values of series after a week.
func (u *Uploader) forget(now time.Time) error {
	return u.o.Spool.Update(func(tx *spool.Tx) error {
		var old []string
		for prefix, age := range map[string]time.Duration{"event/": eventsKept, "last/": 7 * 24 * time.Hour} {
			limit := now.Add(-age).Unix()
			for key, value := range tx.Each(prefix) {
				if len(value) != 16 || int64(binary.BigEndian.Uint64(value[8:])) < limit {
					old = append(old, key)
				}
			}
		}
		return tx.Delete(old...)
	})
}

var _ record.Sink = (*Uploader)(nil)
