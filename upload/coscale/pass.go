package coscale

import (
	"context"
	"errors"
	"math"
	"time"

	"github.com/go-kit/log/level"

	api "scriptbridge/coscale"
	"scriptbridge/upload/spool"
)

// pass is one walk through what is due.
type pass struct {
	u     *Uploader
	lanes [classes]lane
	w     *window // at present
	// doubtful failed in this pass, and it is not known whether alone.
	doubtful []*trouble
	doubted  bool // something failed
	told     bool // and is in Stats already
	again    int  // of what fails alone, how much was tried again
	// idle are windows in a row in which nothing was tried; tried is how much
	// had been before.
	idle, tried int
}

func (u *Uploader) newPass() *pass {
	u.passes++
	p := &pass{u: u}
	for c := range p.lanes {
		p.lanes[c].skip = u.skip[c]
	}
	return p
}

// failure is a trouble with what it is of: a part of a series, or an event.
type failure struct {
	*trouble
	series *series
	event  *queued
}

// walk tries what is due: the slots that are over, and what has its time from a
// clock that was far ahead.
func (p *pass) walk(ctx context.Context, now time.Time) error {
	u := p.u
	over := u.slot(now.Add(-u.grace))
	if err := p.slots(ctx, "", over); err != nil {
		return err
	}
	ahead := spool.KeyAt(now.Add(aheadMost))
	first, err := u.spool.Read(ahead, endOfTime, 1)
	if err != nil || len(first) == 0 {
		return err
	}
	if now.Sub(u.toldAhead) >= time.Hour {
		u.toldAhead = now
		level.Warn(u.logger).Log("msg", "what waits has times that are far ahead: the clock was wrong when it came; it is sent now, as it is", "first", first[0].Key.Time().UTC())
	}
	return p.slots(ctx, ahead, endOfTime)
}

// endOfTime is later than all that is queued.
var endOfTime = time.Unix(0, math.MaxInt64)

func (p *pass) slots(ctx context.Context, after spool.Key, before time.Time) error {
	u := p.u
	for !p.over() {
		first, err := u.spool.Read(after, before, 1)
		if err != nil || len(first) == 0 {
			return err
		}
		start := u.slot(first[0].Key.Time())
		if after, err = p.slot(ctx, after, start); err != nil {
			return err
		}
	}
	return nil
}

// slot sends what is queued of a slot after a key, in windows, so that memory
// does not grow with it, and gives the key of the last one.
func (p *pass) slot(ctx context.Context, after spool.Key, start time.Time) (spool.Key, error) {
	u := p.u
	end := start.Add(u.interval)
	for begin, closed := after, false; !p.over(); {
		entries, err := u.spool.Read(after, end, windowBytes)
		if err != nil || len(entries) == 0 {
			return after, err
		}
		w := newWindow(start, entries)
		if !closed && w.digested() {
			if err := u.closeSlot(begin, start, end); err != nil {
				return after, err
			}
			closed, after = true, begin
			continue
		}
		p.w = w
		if err = p.values(ctx, w); err == nil {
			err = p.events(ctx, w)
		}
		if fail := errors.Join(p.judge(w), u.saveIDs(), u.commit(w)); fail != nil {
			err = fail
		}
		if err != nil {
			return after, err
		}
		after = entries[len(entries)-1].Key
		p.looked()
	}
	return after, nil
}

// idleMost bounds the windows that are read for one class alone, and in vain,
// while the other is blocked.
const idleMost = 16

// looked ends a pass that only reads.
func (p *pass) looked() {
	blocked, tried := false, 0
	for i := range p.lanes {
		blocked = blocked || p.lanes[i].blocked != nil
		tried += p.lanes[i].tried
	}
	if p.idle++; tried > p.tried || !blocked {
		p.idle, p.tried = 0, tried
	}
}

// events sends the window's events.
func (p *pass) events(ctx context.Context, w *window) error {
	l := &p.lanes[ofEvents]
	for _, q := range w.entries {
		if l.blocked != nil {
			return nil
		}
		if q.event == nil {
			continue
		}
		key := "event " + q.event.Key
		if !p.wanted(key) || p.skips(ofEvents) {
			continue
		}
		told := false
		err := p.u.again(func() (err error) {
			told, err = p.u.sendEvent(api.WithVia(ctx, q.event.Via), q.event)
			return err
		})
		switch {
		case err == nil:
			p.u.troubles.forget(key)
			if !told {
				q.finish(0, stale)
				continue
			}
			q.finish(0, arrived)
			p.accepted(ofEvents)
		case isLoop(err):
			q.finish(0, declined)
			p.u.tellLoop(err)
		default:
			if err := p.ends(ctx, err); err != nil {
				return err
			}
			t := p.doubt(ofEvents, key, err)
			w.failed = append(w.failed, failure{t, nil, q})
			p.miss(t)
		}
	}
	return nil
}

// judge sets aside what cannot be read, and what fails alone and has had its time.
func (p *pass) judge(w *window) error {
	u, now := p.u, time.Now()
	bad := make(map[string]bool)
	var all []spool.Aside
	var hopeless []failure
	for _, q := range w.entries {
		if q.broken != nil {
			all = append(all, q.aside())
		}
	}
	for _, f := range w.failed {
		if f.series != nil {
			bad[f.series.key] = true
		}
		if !u.hopeless(f.trouble, now) {
			continue
		}
		a, err := f.aside(u, w.start)
		if err != nil {
			return err
		}
		all, hopeless = append(all, a), append(hopeless, f)
	}
	for key := range w.fine {
		if !bad[key] {
			u.troubles.forget(key)
		}
	}
	if len(all) == 0 {
		return nil
	}
	if u.staying = u.spool.SetAside(all...); u.staying != nil {
		return nil // nothing else stays for that
	}
	for _, q := range w.entries {
		if q.broken != nil {
			q.left, q.refused = 0, q.Items
		}
	}
	for _, f := range hopeless {
		if isConflict(f.err) {
			u.conflict = now
		}
		if f.byOther {
			u.byOther[f.class]++
		}
		if f.series != nil {
			f.series.finish(declined)
			if f.refused {
				u.troubles.forget(f.series.key)
			}
			continue
		}
		f.event.finish(0, declined)
		u.troubles.forget("event " + f.event.event.Key)
	}
	return nil
}
