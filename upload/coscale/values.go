package coscale

import (
	"context"
	"errors"
	"iter"
	"net/http"
	"slices"

	api "scriptbridge/coscale"
)

// values sends the window's values: those that came the same way together.
func (p *pass) values(ctx context.Context, w *window) error {
	l := &p.lanes[ofValues]
	if l.blocked != nil {
		return nil
	}
	all, err := p.u.series(w, p.wanted)
	if err != nil || len(all) == 0 || p.skips(ofValues) {
		return err
	}
	if begin := spread(p.u.row, len(all)); begin > 0 { // not always at the same ones
		all = slices.Concat(all[begin:], all[:begin])
	}
	for len(all) > 0 && l.blocked == nil {
		via := all[0].via
		var same, others []*series
		for _, s := range all {
			if s.via == via {
				same = append(same, s)
			} else {
				others = append(others, s)
			}
		}
		if err := p.deliver(api.WithVia(ctx, via), same); err != nil {
			return err
		}
		all = others
	}
	return nil
}

// deliver makes what series refer to, and sends them. Where that fails for too
// many in a row, those that need nothing made are sent, and tell how it stands.
func (p *pass) deliver(ctx context.Context, all []*series) error {
	l := &p.lanes[ofValues]
	for len(all) > 0 {
		ready, rest, err := p.resolve(ctx, all)
		if err != nil {
			return err
		}
		why, before := l.blocked, l.took
		if why != nil {
			l.blocked, l.misses = nil, 0
		}
		for _, call := range calls(ready) {
			if err := p.insert(ctx, call); err != nil || l.blocked != nil {
				return err
			}
		}
		if why != nil && l.took == before {
			ok, err := p.accepts(ctx, ready)
			if !ok || err != nil {
				l.blocked = why
				return err
			}
		}
		all = rest
	}
	return nil
}

// resolve finds the ids of what series refer to, or makes it. rest are those
// that were not asked for, since too much had failed; then the class is blocked.
func (p *pass) resolve(ctx context.Context, all []*series) (ready, rest []*series, err error) {
	u, l := p.u, &p.lanes[ofValues]
	defer func() { u.offline = false }()
	for _, s := range all {
		u.offline = l.blocked != nil
		made := u.made
		err := u.resolve(ctx, s)
		switch {
		case err == nil:
			ready = append(ready, s)
			if u.made > made {
				l.misses = 0
			}
			continue
		case errors.Is(err, errOffline):
			rest = append(rest, s)
			continue
		case isLoop(err):
			s.finish(declined)
			u.tellLoop(err)
			continue
		case isNotFound(err):
			forgot, fail := u.forget(err)
			if forgot || fail != nil {
				return p.resolveAgain(ctx, all, fail)
			}
		}
		if err := p.ends(ctx, err); err != nil {
			return nil, nil, err
		}
		p.miss(p.fail(s, err))
	}
	return ready, rest, nil
}

// resolveAgain is resolve after all ids were forgotten.
func (p *pass) resolveAgain(ctx context.Context, all []*series, fail error) (ready, rest []*series, err error) {
	if fail != nil {
		return nil, nil, fail
	}
	before := len(p.w.failed)
	ready, rest, err = p.resolve(ctx, all)
	p.u.cured = err == nil && len(p.w.failed) == before
	return ready, rest, err
}

// fail notes that a part of a series failed.
func (p *pass) fail(s *series, err error) *trouble {
	t := p.doubt(ofValues, s.key, err)
	p.w.failed = append(p.w.failed, failure{t, s, nil})
	return t
}

// took notes that the other end has points.
func (p *pass) took(all ...*series) {
	for _, s := range all {
		s.finish(arrived)
		p.w.fine[s.key] = true
	}
	p.u.keepCanary(all)
	p.accepted(ofValues)
}

// keepCanary keeps a point that was accepted, and may be sent again to see whether
// anything is: one that replaces an equal one, and is not added up.
func (u *Uploader) keepCanary(all []*series) {
	for _, s := range all {
		if s.points[0].Histogram == nil && s.fact.dataType != "COUNT" {
			d := s.part(0, 1).data(make(map[string]string))
			d.Points = slices.Clone(d.Points) // those of a window are many
			u.canary = &d
			return
		}
	}
}

// insert sends series in one call. What fails is sent again in halves, until
// what fails alone is left, once it is known that something is accepted.
func (p *pass) insert(ctx context.Context, all []*series) error {
	err := p.u.client.InsertEach(ctx, each(all))
	var some *api.RefusedError
	switch {
	case err == nil:
		p.took(all...)
		return nil
	case errors.As(err, &some):
		return p.sort(ctx, all, some)
	case isLoop(err):
		for _, s := range all {
			s.finish(declined)
		}
		p.u.tellLoop(err)
		return nil
	case isNotFound(err):
		forgot, fail := p.u.forget(err)
		if forgot || fail != nil {
			return p.deliverAgain(ctx, all, fail)
		}
	}
	if err := p.ends(ctx, err); err != nil {
		return err
	}
	return p.narrow(ctx, all, err)
}

// deliverAgain is deliver after all ids were forgotten.
func (p *pass) deliverAgain(ctx context.Context, all []*series, fail error) error {
	if fail != nil {
		return fail
	}
	l := &p.lanes[ofValues]
	failed, took := len(p.w.failed), l.took
	err := p.deliver(ctx, all)
	p.u.cured = err == nil && l.took > took && len(p.w.failed) == failed
	return err
}

// narrow finds out what of a call fails.
func (p *pass) narrow(ctx context.Context, all []*series, err error) error {
	l := &p.lanes[ofValues]
	large := isTooLarge(err)
	first, second := halves(all)
	t := &trouble{class: ofValues, err: err}
	if second == nil {
		t = p.fail(all[0], err)
	}
	p.miss(t)
	if large && l.misses < missesMost[ofValues].later {
		l.blocked = nil
	}
	// Is it these, or is it all?
	if t.alone.IsZero() && (l.blocked != nil || !l.accepted && !large) {
		ok, fail := p.accepts(ctx, all)
		switch {
		case fail != nil:
			return fail
		case ok:
			l.blocked = nil
		case second != nil:
			l.blocked = err
		}
	}
	if second == nil || l.blocked != nil {
		return nil
	}
	if err := p.insert(ctx, first); err != nil || l.blocked != nil {
		return err
	}
	return p.insert(ctx, second)
}

// accepts sends a point to see whether it is accepted: the last one that was, or,
// where there is none, one of some.
func (p *pass) accepts(ctx context.Context, some []*series) (bool, error) {
	if p.u.canary != nil {
		return p.insertOne(ctx, *p.u.canary)
	}
	if points(some) < 2 {
		return false, nil
	}
	for i := range 3 { // others each time
		one := []*series{pick(some, 3*p.u.row+i)}
		ok, err := p.insertOne(ctx, one[0].data(make(map[string]string)))
		if ok {
			p.u.keepCanary(one)
		}
		if ok || err != nil {
			return ok, err
		}
	}
	return false, nil
}

func (p *pass) insertOne(ctx context.Context, d api.Data) (bool, error) {
	err := p.u.client.InsertData(ctx, []api.Data{d})
	if err != nil {
		return false, p.ends(ctx, err)
	}
	p.accepted(ofValues)
	return true, nil
}

// spread gives places among so many, the first at 0 and the next ones far apart.
func spread(n, among int) int {
	return int(uint64(n) * 0x9e3779b97f4a7c15 >> 33 % uint64(among))
}

// pick is one point of series, anywhere among them.
func pick(all []*series, n int) *series {
	place := spread(n, points(all))
	for _, s := range all {
		if place < len(s.points) {
			return s.part(place, place+1)
		}
		place -= len(s.points)
	}
	return nil
}

// sort deals with what an answer said of the points that it refused: those
// whose ids are not known there are sent again, with new ones.
func (p *pass) sort(ctx context.Context, all []*series, answer *api.RefusedError) error {
	refused, unsaid, unknown := split(all, answer)
	if had := pointsBut(all, refused, unsaid, unknown); len(had) > 0 {
		p.took(had...)
	} else if answer.Stored > 0 {
		p.accepted(ofValues)
	}
	for _, s := range refused {
		p.fail(s, answer)
	}
	if len(refused) > 0 && answer.Stored > 0 { // together with what was taken, which is as good as before it
		p.accepted(ofValues)
	}
	if len(unknown) > 0 {
		forgot, fail := p.u.forget(answer)
		if forgot || fail != nil {
			return p.deliverAgain(ctx, append(unsaid, unknown...), fail)
		}
		for _, s := range unknown {
			p.fail(s, unknownError{answer})
		}
	}
	switch {
	case len(unsaid) == 0 && answer.Stored == 0:
		p.miss(&trouble{class: ofValues, err: answer})
	case len(unsaid) == 0:
	case points(unsaid) < points(all):
		return p.insert(ctx, unsaid)
	default:
		return p.narrow(ctx, unsaid, answer)
	}
	return nil
}

// data is what is sent of a series. Its dimensions stand in a map that is given.
func (s *series) data(dimensions map[string]string) api.Data {
	for _, l := range s.labels {
		dimensions[l.Name] = l.Value
	}
	return api.Data{Metric: s.metric, Subject: s.word, Points: s.points, Dimensions: dimensions}
}

// each is what is sent of series, one at a time.
func each(all []*series) iter.Seq[*api.Data] {
	return func(yield func(*api.Data) bool) {
		dimensions := make(map[string]string)
		for _, s := range all {
			clear(dimensions)
			if d := s.data(dimensions); !yield(&d) {
				return
			}
		}
	}
}

// isTooLarge says whether a call is to be made smaller, whoever wants it.
func isTooLarge(err error) bool {
	status, ok := errors.AsType[*api.StatusError](err)
	return ok && status.Status == http.StatusRequestEntityTooLarge
}
