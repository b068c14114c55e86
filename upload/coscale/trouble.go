package coscale

import (
	"cmp"
	"fmt"
	"time"

	"scriptbridge/upload/spool"
)

// A refusal may be the fate of one thing, or of all: an application that is
// switched off refuses everything in the same words. So it is with what has no
// answer that can be used. Which of the two it is, the others tell. A pass tries
// everything that is due once, in order. What fails stays in the queue; when
// something else is accepted after it, it fails alone: what was refused goes
// aside, and all other trouble is tried again by itself, holds up nothing, and
// goes aside when it has lasted. When nothing is accepted any more, it is an
// outage: all is kept, and nothing goes aside.

// class is of what is compared: what is said of the one kind may have nothing to
// do with the other.
type class int

const (
	ofValues class = iota
	ofEvents
	classes
)

const (
	// aloneFor is how long something is tried that fails alone, and is not
	// refused.
	aloneFor = 10 * time.Minute
	// againMost bounds how many of those that fail alone are tried in a pass.
	againMost = 100
	// alikeMost is how many refusals in the same words, with nothing accepted
	// between them, are those of an outage.
	alikeMost = 3
	// mostTroubles bounds those that are remembered.
	mostTroubles = 10_000
	// aheadMost is how far in the future an entry's time may lie to be waited
	// for; where it is more, the clock was wrong.
	aheadMost = 10 * time.Minute
)

// missesMost is how many attempts in a row fail before no more are made in a
// pass: few, where nothing was accepted in it.
var missesMost = [classes]struct{ first, later int }{ofValues: {2, 20}, ofEvents: {3, 20}}

// skipMost bounds how much of the front of the queue a pass leaves out.
var skipMost = [classes]int{ofValues: 16, ofEvents: 300}

// trouble is something that fails: a series, or an event.
type trouble struct {
	class   class
	err     error
	refused bool // by the API, in its own words
	tries   int
	pass    int       // in which it was tried last, and
	seen    int       // in which it was in the queue
	last    time.Time // when, and
	before  time.Time // when before
	next    time.Time // when it is tried again, once it fails alone
	alone   time.Time // since when; zero: perhaps all fail
	// byOther: that it fails alone is known from the other class.
	byOther bool
}

// hopeless says whether it goes aside.
func (u *Uploader) hopeless(t *trouble, now time.Time) bool {
	switch {
	case t.alone.IsZero():
		return false
	case t.refused:
		return true
	}
	return now.Sub(t.alone) >= aloneFor && (u.accepted[ofValues].After(t.before) || u.accepted[ofEvents].After(t.before))
}

// lane is how a pass goes with one class.
type lane struct {
	accepted bool
	took     int   // how often
	misses   int   // in a row
	blocked  error // why no more are tried
	skip     int   // how many are left out
	tried    int
	// alike are refusals in the same words, in a row.
	alike int
	words string
}

// accepted notes that the other end took something: what has failed before it
// fails alone.
func (p *pass) accepted(c class) {
	now := time.Now()
	l := &p.lanes[c]
	l.accepted, l.misses, l.alike = true, 0, 0
	l.took++
	p.u.down = p.u.down && c != ofValues
	p.u.accepted[c], p.u.byOther[c] = now, 0
	for of := range classes {
		if !p.u.doubts[of] || !p.provesAlone(c, of) {
			continue
		}
		p.u.doubts[of] = false
		for _, t := range p.u.troubles.byKey {
			if t.class == of && t.alone.IsZero() {
				t.alone, t.byOther = now, of != c
			}
		}
	}
}

// provesAlone says whether what was accepted of a class says of the troubles of
// a class that they are the only ones. Of the other class it does where there is
// one, for a few.
func (p *pass) provesAlone(c, of class) bool {
	return of == c || p.u.byOther[of] < alikeMost-1 && p.u.troubles.of[of] == 1
}

// doubt notes that something failed, and perhaps all would.
func (p *pass) doubt(c class, key string, err error) *trouble {
	u, now := p.u, time.Now()
	t := u.troubles.at(c, key)
	t.err, t.refused = err, refusal(err)
	t.tries++
	t.pass, t.seen, t.before, t.last = u.passes, u.passes, t.last, now
	p.doubted = true
	t.next = now.Add(spool.Pause(t.tries-1, err))
	if isConflict(err) && (t.tries >= mostConflicts || !u.conflict.IsZero() && now.Sub(u.conflict) < conflictAgain) {
		t.refused = true
	}
	l := &p.lanes[c]
	if t.alone.IsZero() {
		p.doubtful = append(p.doubtful, t)
		u.doubts[c] = true
	} else {
		p.again++
	}
	if words := spool.ReasonOf(err); t.refused && l.words == words {
		l.alike++
	} else if t.refused {
		l.alike, l.words = 1, words
	}
	return t
}

// miss counts what failed, unless it is known to fail alone. Too much in a row
// blocks its class.
func (p *pass) miss(t *trouble) {
	if !t.alone.IsZero() {
		return
	}
	l := &p.lanes[t.class]
	if l.misses++; l.misses >= p.most(t.class) {
		l.blocked = t.err
	}
}

func (p *pass) most(c class) int {
	switch {
	case p.lanes[c].accepted:
		return missesMost[c].later
	case c == ofEvents && (p.u.down || p.lanes[ofValues].blocked != nil):
		// As it seems, all fails; and of each event that is tried it is not known
		// then whether it is there.
		return 1
	case c == ofEvents && time.Since(p.u.accepted[ofValues]) < 2*p.u.interval:
		return missesMost[c].later
	}
	return missesMost[c].first
}

// wanted says whether something is to be tried in this pass.
func (p *pass) wanted(key string) bool {
	t := p.u.troubles.byKey[key]
	if t == nil {
		return true
	}
	t.seen = p.u.passes
	switch {
	case t.pass == p.u.passes:
		return false
	case t.alone.IsZero():
		return true
	}
	return p.again < againMost && (t.refused && p.u.staying == nil || !time.Now().Before(t.next))
}

// skips says whether one is left out, so that a pass does not always come to
// grief at the same ones.
func (p *pass) skips(c class) bool {
	l := &p.lanes[c]
	if l.skip > 0 {
		l.skip--
		return true
	}
	l.tried++
	return false
}

// over says whether nothing more is tried.
func (p *pass) over() bool {
	if p.idle > idleMost {
		return true
	}
	for i := range p.lanes {
		if p.lanes[i].blocked == nil {
			return false
		}
	}
	return true
}

// end draws the conclusions, and gives how long to wait for the next pass: until
// next where all is well. outage is the error of the whole, if there was one.
func (p *pass) end(outage error, now time.Time, next time.Duration) time.Duration {
	u := p.u
	why, whole, again := outage, outage == nil, false
	for c := range p.lanes {
		l := &p.lanes[c]
		if l.blocked != nil {
			why = cmp.Or(why, l.blocked)
		}
		whole = whole && l.blocked == nil && u.skip[c] == 0
		again = u.skipNext(class(c), l) || again
	}
	if v := &p.lanes[ofValues]; v.tried > 0 {
		u.down = v.took == 0
	}
	if u.down {
		u.skip[ofEvents] = 0
	}
	if whole { // all was tried, or is known to fail
		p.last(now)
		u.troubles.drop(func(t *trouble) bool { return t.seen != u.passes })
	}
	why = cmp.Or(why, p.doubtfulError())
	took := p.lanes[ofValues].took + p.lanes[ofEvents].took
	p.forgive(outage != nil || why != nil && took == 0)
	if again {
		return 0
	}
	if why != nil {
		if u.row++; took > 0 {
			u.row = 1
		}
		u.spool.Failed(why)
		return spool.Pause(u.row-1, why)
	}
	u.row = 0
	if len(u.troubles.byKey) == 0 {
		u.spool.Works()
	}
	for _, t := range u.troubles.byKey {
		if t.refused && u.staying == nil {
			again = true // it has an outcome now
		}
		next = min(next, max(t.next.Sub(now), time.Second))
	}
	if again {
		return 0
	}
	if p.doubted && len(u.troubles.byKey) > 0 {
		u.spool.Failed(u.aloneError())
	}
	return next
}

// skipNext decides how much of a class the next pass leaves out at the front,
// and says whether that is to come at once.
func (u *Uploader) skipNext(c class, l *lane) (again bool) {
	left := u.skip[c]
	u.skip[c] = 0
	switch {
	case l.took == 0 && l.blocked != nil:
		u.skip[c] = (left + l.tried) % skipMost[c]
		return false
	case l.tried == 0 && left > l.skip: // there are no more than those that were left out
		u.skip[c] = left % (left - l.skip)
	}
	return left > 0
}

// last judges what failed at the end of the queue, after which nothing was tried:
// what was accepted in the same pass speaks for it too, where it is not the
// beginning of a row of its like.
func (p *pass) last(now time.Time) {
	for _, t := range p.doubtful {
		if !t.alone.IsZero() {
			continue
		}
		same := p.lanes[t.class].took > 0 && p.lanes[t.class].alike < alikeMost
		other := 1 - t.class
		if same || p.lanes[other].took > 0 && p.provesAlone(other, t.class) {
			t.alone, t.byOther = now, !same
		}
	}
}

// doubtfulError is the error of what fails, and perhaps not alone.
func (p *pass) doubtfulError() error {
	for _, t := range p.doubtful {
		if t.alone.IsZero() {
			return t.err
		}
	}
	return nil
}

// forgive begins anew to judge what fails in an outage of its class, or of all.
func (p *pass) forgive(all bool) {
	var out [classes]bool
	for c := range p.lanes {
		out[c] = all || p.lanes[c].blocked != nil
	}
	for _, t := range p.doubtful {
		if t.alone.IsZero() && p.lanes[t.class].took == 0 {
			out[t.class] = true
		}
	}
	for _, t := range p.u.troubles.byKey {
		if out[t.class] {
			t.alone = time.Time{}
			p.u.doubts[t.class] = true
		}
	}
}

// aloneError tells of what fails alone.
func (u *Uploader) aloneError() error {
	var first *trouble
	for _, t := range u.troubles.byKey {
		if first == nil || t.alone.Before(first.alone) {
			first = t
		}
	}
	return fmt.Errorf("%d of what waits cannot be settled, all else can; the first: %w", len(u.troubles.byKey), first.err)
}

// troubles are those that are remembered, and how many of each class those are.
type troubles struct {
	byKey map[string]*trouble
	of    [classes]int
}

// at gives the one of a key, perhaps a new one.
func (all *troubles) at(c class, key string) *trouble {
	t := all.byKey[key]
	if t == nil {
		t = &trouble{class: c}
		if len(all.byKey) < mostTroubles {
			all.byKey[key] = t
			all.of[c]++
		}
	}
	return t
}

// forget forgets the one of a key, if there is one.
func (all *troubles) forget(key string) {
	if t := all.byKey[key]; t != nil {
		delete(all.byKey, key)
		all.of[t.class]--
	}
}

// drop forgets some.
func (all *troubles) drop(some func(*trouble) bool) {
	for key, t := range all.byKey {
		if some(t) {
			all.forget(key)
		}
	}
}
