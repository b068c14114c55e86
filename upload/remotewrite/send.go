package remotewrite

import (
	"context"
	"errors"
	"math"
	"slices"
	"time"

	"github.com/go-kit/log/level"

	"scriptbridge/internal/repeat"
	"scriptbridge/upload/spool"
)

const (
	// gather is how long to wait for more when something has come, so that many scripts
	// share a request.
	gather = time.Second
	// afterTrouble is when a disk that failed is asked again.
	afterTrouble = 30 * time.Second
	// readAtOnce bounds the bytes of the entries that are held at once, mostSamples the
	// samples of a request.
	readAtOnce  = 1 << 20
	mostSamples = 5000
	// mostParts bounds the attempts to find out which samples of a request are
	// refused; what is in doubt then is set aside as a whole.
	mostParts = 1000
	// mostAsked bounds the samples that are sent to find out whether an entry has arrived.
	mostAsked = 8
)

// endOfTime is later than all that is queued: what came while a clock was ahead is
// not waited for.
var endOfTime = time.Unix(0, math.MaxInt64)

// Run sends what is kept, oldest first, until ctx ends; then it gives nil. What has not
// been sent stays.
func (u *Uploader) Run(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	renewed := make(chan struct{})
	go func() {
		defer close(renewed)
		if u.o.Page != nil {
			u.renewAll(ctx)
		}
	}()
	defer func() { cancel(); <-renewed }()
	u.wake() // for what was kept before
	var disk repeat.State
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-u.waiting:
		}
		pause := gather
		err := u.drain(ctx)
		if err == nil {
			err = u.o.Spool.Shrink(time.Now())
		}
		switch {
		case ctx.Err() != nil:
			return nil
		case errors.Is(err, spool.ErrClosed):
			return err
		case err != nil:
			u.wake()
			pause = afterTrouble
		}
		disk.Log(u.o.Logger, err, "the upload's spool fails; sending is tried again", "the upload's spool works again")
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(pause):
		}
	}
}

// drain sends until the queue is empty. What cannot be set aside stays, and nothing
// else stays for that.
func (u *Uploader) drain(ctx context.Context) error {
	var staying error
	var after spool.Key // of the last entry that stays
	for {
		if err := u.dropOld(after); err != nil {
			return errors.Join(err, staying)
		}
		if wait := time.Until(u.next); wait > 0 { // what was too old is no reason to ask sooner
			select {
			case <-ctx.Done():
				return ctx.Err()
			case <-time.After(wait):
			}
			continue
		}
		entries, err := u.o.Spool.Read(after, endOfTime, readAtOnce)
		if err != nil || len(entries) == 0 {
			u.tooOld = u.tooOld && err != nil
			return errors.Join(err, staying)
		}
		groups, bad := u.read(entries)
		refused, err := u.deliver(ctx, groups)
		if errors.Is(err, errTooOld) {
			continue
		}
		if err != nil {
			return err
		}
		stays, err := u.settle(groups, append(bad, refused...))
		if err != nil && len(stays) == 0 {
			return errors.Join(err, staying)
		}
		if err != nil {
			staying, after = err, groups[len(groups)-1].key
		}
	}
}

// refusal is what was refused of an entry.
type refusal struct {
	key   spool.Key
	items int
	aside spool.Aside
}

// read makes groups of as many entries as one request has. What cannot be read is
// refused.
func (u *Uploader) read(entries []spool.Entry) (groups []group, bad []refusal) {
	samples := 0
	for i, e := range entries {
		if i > 0 && samples+e.Items > mostSamples {
			break
		}
		g, dropped, err := u.o.Reader.read(e)
		if err != nil {
			g.samples = nil
			bad = append(bad, refusal{key: e.Key, items: e.Items, aside: spool.Aside{Why: err, Shown: []byte("null"), Items: e.Items, At: e.Key.Time()}})
		}
		if dropped > 0 {
			u.o.Spool.Skipped(map[string]int{"relabel": dropped})
		}
		samples += len(g.samples)
		groups = append(groups, g)
	}
	return groups, bad
}

// deliver sends groups, and gives what was refused for good. It ends with ctx alone.
func (u *Uploader) deliver(ctx context.Context, groups []group) ([]refusal, error) {
	parts := mostParts
	refused, err := u.part(ctx, slices.DeleteFunc(slices.Clone(groups), func(g group) bool { return len(g.samples) == 0 }), &parts)
	u.doubtful = u.doubtful && err != nil
	return refused, err
}

// part sends some of a request, and when that is refused, its halves.
func (u *Uploader) part(ctx context.Context, groups []group, parts *int) ([]refusal, error) {
	if len(groups) == 0 {
		return nil, nil
	}
	no, err := u.ask(ctx, groups)
	if err != nil || no == nil {
		return nil, err
	}
	one := len(groups) == 1 && len(groups[0].samples) == 1
	again := u.doubtful && no.disorder() // it may have arrived before
	switch {
	case again && (one || no.partly()):
		return nil, nil
	case no.partly(): // which of them were taken is not told
		return u.partly(no, groups), nil
	case again && len(groups) > 1: // as many as have arrived are refused, one by one
		*parts += 2
	case again:
		if arrived, err := u.arrived(ctx, groups[0]); arrived || err != nil {
			return nil, err
		}
	case one || *parts <= 0:
		return u.refuse(no, groups), nil
	}
	*parts -= 2
	a, b := halves(groups)
	first, err := u.part(ctx, a, parts)
	if err != nil {
		return nil, err
	}
	second, err := u.part(ctx, b, parts)
	return append(first, second...), err
}

// ask sends groups until there is an answer, and gives that where it is a refusal, or
// until some of them have waited for too long.
func (u *Uploader) ask(ctx context.Context, groups []group) (no *refusedError, err error) {
	waiting := ctx
	if u.o.MaxAge > 0 {
		var cancel context.CancelFunc
		waiting, cancel = context.WithTimeout(ctx, u.o.MaxAge-time.Since(groups[0].key.Time()))
		defer cancel()
	}
	err = u.o.Spool.Retry(waiting, func(context.Context) error {
		no = nil
		err := u.o.Destination.send(ctx, groups) // which may take its time
		if err == nil || errors.As(err, &no) {
			u.failed, u.next = 0, time.Time{}
			return nil // it was answered
		}
		u.doubtful = true // it may have arrived all the same
		u.next = time.Now().Add(spool.Pause(u.failed, err))
		u.failed++
		return err
	})
	if err != nil && ctx.Err() == nil {
		return nil, errTooOld
	}
	return no, err
}

// errTooOld says that something has become older than it may be while it waited for an
// answer.
var errTooOld = errors.New("it has waited for longer than max_age")

// arrived says whether an entry that was refused for its order, and may have been sent
// before, has arrived then: all of it has, or nothing. Then the destination has
// something newer of each of its series; so some are asked for.
func (u *Uploader) arrived(ctx context.Context, g group) (bool, error) {
	n := len(g.samples)
	known := false
	for i := range min(n, mostAsked) {
		at := i * n / min(n, mostAsked)
		no, err := u.ask(ctx, []group{{g.key, g.items, g.samples[at : at+1]}})
		if err != nil || no == nil {
			return false, err
		}
		known = known || no.disorder()
	}
	return known, nil
}

// halves cuts groups in two: between entries, or else within the only one.
func halves(groups []group) (a, b []group) {
	if n := len(groups); n > 1 {
		return groups[:n/2], groups[n/2:]
	}
	g := groups[0]
	n := len(g.samples) / 2
	return []group{{g.key, g.items, g.samples[:n]}}, []group{{g.key, g.items, g.samples[n:]}}
}

// refuse sets all samples of some groups aside.
func (u *Uploader) refuse(why error, groups []group) (refused []refusal) {
	for _, g := range groups {
		refused = append(refused, refusal{key: g.key, items: len(g.samples), aside: aside(why, g.key, g.samples)})
	}
	return refused
}

// partly sets aside what was refused of groups of which the rest was taken: how much,
// and why. Those that are sent again would be taken for late.
func (u *Uploader) partly(why *refusedError, groups []group) (refused []refusal) {
	left := max(count(groups)-why.written, 1)
	for _, g := range groups {
		n := min(left, len(g.samples))
		if n == 0 {
			break
		}
		some := aside(why, g.key, g.samples)
		some.Items, some.Entry = n, nil
		refused = append(refused, refusal{key: g.key, items: n, aside: some})
		left -= n
	}
	return refused
}

// settle takes entries out of the queue whose samples have arrived, or are set
// aside; stays are those that could not be.
func (u *Uploader) settle(groups []group, refused []refusal) (stays map[spool.Key]bool, err error) {
	lost := make(map[spool.Key]int)
	var asides []spool.Aside
	for _, r := range refused {
		lost[r.key] += r.items
		asides = append(asides, r.aside)
	}
	if err = u.o.Spool.SetAside(asides...); err != nil {
		stays = make(map[spool.Key]bool)
		for key := range lost {
			stays[key] = true
		}
	}
	return stays, errors.Join(err, u.o.Spool.UpdateSent(func(tx *spool.Tx) error {
		for _, g := range groups {
			if stays[g.key] || !tx.Has(g.key) {
				continue
			}
			tx.Refused(lost[g.key])
			tx.Sent(max(len(g.samples)-lost[g.key], 0))
			if err := tx.Remove(g.key); err != nil {
				return err
			}
		}
		return nil
	}))
}

// dropOld drops what the destination would refuse for its age, and says so once until
// all that waits has been sent.
func (u *Uploader) dropOld(after spool.Key) error {
	if u.o.MaxAge <= 0 {
		return nil
	}
	for {
		old, err := u.o.Spool.Read(after, time.Now().Add(-u.o.MaxAge), readAtOnce)
		if err != nil || len(old) == 0 {
			return err
		}
		items := 0
		err = u.o.Spool.UpdateSent(func(tx *spool.Tx) error {
			items = 0
			for _, e := range old {
				if tx.Has(e.Key) {
					items += e.Items
				}
				if err := tx.Remove(e.Key); err != nil {
					return err
				}
			}
			tx.TooOld(items)
			return nil
		})
		if err != nil {
			return err
		}
		if !u.tooOld {
			u.tooOld = true
			level.Warn(u.o.Logger).Log("msg", "what has waited for longer than max_age is dropped", "max_age", u.o.MaxAge, "oldest", old[0].Key.Time().UTC().Format(time.RFC3339))
		}
	}
}
