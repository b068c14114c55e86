package coscale

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/go-kit/log/level"

	api "scriptbridge/coscale"
	"scriptbridge/record"
	"scriptbridge/upload/spool"
)

// objectSource is the source of all objects that the uploader makes.
const objectSource = "scriptbridge"

// forgetAgain is for how long after ids were forgotten for a 404 they are not
// forgotten again: the objects have been made anew, and it made no difference.
// Where it did, that is forgetSoon.
const (
	forgetAgain = 10 * time.Minute
	forgetSoon  = time.Minute
)

// A 409 that tells of no object, which is done away with by asking again where two
// do the same at once, is a refusal when it came so many times in a row (a minute
// later), and after that at once for a while.
const (
	mostConflicts = 7
	conflictAgain = time.Hour
)

// ringAgain is how often a ring is told of.
const ringAgain = time.Hour

// tellLoop logs that the other end has had what is sent to it.
func (u *Uploader) tellLoop(err error) {
	if now := time.Now(); now.Sub(u.toldLoop) >= ringAgain {
		u.toldLoop = now
		level.Error(u.logger).Log("msg", "what came from the bridge that it is sent to is refused there, and dropped: bridges upload to each other in a ring; take upload out of one of them", "err", err)
	}
}

// idPrefix begins all keys of ids, and of what was done to the objects that
// have them.
const idPrefix = "id/"

// errOffline says that something is not known, and that the other end is not asked.
var errOffline = errors.New("nothing is asked at present")

// object gives the id of an object, which it makes where that is not known.
// Groups have names that are unique under their parent.
func (u *Uploader) object(ctx context.Context, kind api.Kind, parent int64, name string, o any) (int64, error) {
	key := stateKey("id", string(kind), strconv.FormatInt(parent, 10), name)
	id, err := u.lookup(key)
	switch {
	case err != nil || id != 0:
		return id, err
	case u.offline:
		return 0, errOffline
	}
	if id, err = u.client.Create(ctx, kind, o); err != nil {
		return 0, err
	}
	return id, u.save(key, id)
}

// once does something to objects that is done already when it was done before.
func (u *Uploader) once(do func() error, parts ...any) error {
	key := stateKey("id", "done", strings.Trim(fmt.Sprintln(parts...), "\n"))
	done, err := u.lookup(key)
	switch {
	case err != nil || done != 0:
		return err
	case u.offline:
		return errOffline
	}
	if err := do(); err != nil {
		return err
	}
	return u.save(key, 1)
}

// forget forgets all ids after a 404, so that the objects are made again; false
// when that was tried lately. It is tried again soon where it helped the last
// time.
func (u *Uploader) forget(why error) (bool, error) {
	if !u.mayForget() {
		return false, nil
	}
	u.forgotten, u.cured = time.Now(), false
	level.Warn(u.logger).Log("msg", "the server does not know what it knew: all is made again", "err", why)
	u.ids.clear()
	u.canary = nil
	return true, u.spool.Update(func(tx *spool.Tx) error {
		var keys []string
		for key := range tx.Each(idPrefix) {
			keys = append(keys, key)
		}
		return tx.Delete(keys...)
	})
}

func (u *Uploader) mayForget() bool {
	since := time.Since(u.forgotten)
	return u.forgotten.IsZero() || since >= forgetAgain || u.cured && since >= forgetSoon
}

// again attempts something that uses ids: after a 404 they are forgotten, and it
// is attempted once more.
func (u *Uploader) again(attempt func() error) error {
	err := attempt()
	if !isNotFound(err) {
		return err
	}
	forgot, fail := u.forget(err)
	if fail != nil || !forgot {
		return cmp.Or(fail, err)
	}
	err = attempt()
	u.cured = err == nil
	return err
}

// resolve finds what a series is at the other end, and makes what is missing.
func (u *Uploader) resolve(ctx context.Context, s *series) error {
	key := u.ids.of(s)
	t, known := u.ids.targets[key]
	if !known {
		var err error
		var whole bool
		if t.subject, err = u.subject(ctx, s.subject); err != nil {
			return err
		}
		if t.metric, whole, err = u.metric(ctx, s); err != nil {
			return err
		}
		if whole {
			u.ids.setTarget(key, t)
		}
	}
	s.metric, s.word = t.metric, api.SubjectOf(subjectKind(s.subject), t.subject)
	return nil
}

// subjectKind is the kind of object that a subject is; empty for the application.
func subjectKind(s record.Subject) api.Kind {
	switch s.Kind {
	case record.Application:
		return ""
	case record.Group:
		return api.ServerGroups
	}
	return api.Servers
}

// subject gives the id of the object that a subject is.
func (u *Uploader) subject(ctx context.Context, s record.Subject) (int64, error) {
	switch kind := subjectKind(s); kind {
	case "":
		return 0, nil
	case api.ServerGroups:
		return u.object(ctx, kind, 0, s.Name, &api.ServerGroup{
			Object: api.Object{Name: s.Name, State: api.Enabled}, Source: objectSource,
		})
	}
	name := s.Name
	if s.Kind == record.Host {
		name = u.server
	}
	return u.object(ctx, api.Servers, 0, name, &api.Server{Object: api.Object{Name: name}, Source: objectSource})
}

// subjectWord is what the API calls a kind of subject in a metric.
func subjectWord(k record.SubjectKind) string {
	switch k {
	case record.Application:
		return "APPLICATION"
	case record.Group:
		return "GROUP"
	}
	return "SERVER"
}

// metric gives the id of a series' metric, in its groups and with its
// attributes. whole says that nothing of that is left for later.
func (u *Uploader) metric(ctx context.Context, s *series) (id int64, whole bool, err error) {
	f := s.fact
	word := subjectWord(s.subject.Kind)
	id, err = u.object(ctx, api.Metrics, 0, s.name, &api.Metric{
		Object: api.Object{Name: s.name, Description: f.help}, Unit: f.unit, Period: f.period,
		Source: objectSource, DataType: f.dataType, Subject: word,
	})
	if err != nil {
		return 0, false, err
	}
	for path := range strings.SplitSeq(f.groups, ",") {
		if err := u.group(ctx, id, path, word); err != nil {
			return 0, false, err
		}
	}
	whole = true
	for tag := range strings.SplitSeq(f.tags, ",") {
		if tag = strings.TrimSpace(tag); tag == "" {
			continue
		}
		tagged, err := u.tag(ctx, id, tag)
		if err != nil {
			return 0, false, err
		}
		whole = whole && tagged
	}
	for _, l := range s.labels {
		dimension, err := u.object(ctx, api.Dimensions, 0, l.Name, &api.Dimension{Name: l.Name})
		if err != nil {
			return 0, false, err
		}
		err = u.once(func() error { return u.client.Link(ctx, api.Metrics, id, api.Dimensions, dimension) }, "dimension", id, dimension)
		if err != nil {
			return 0, false, err
		}
	}
	return id, whole, nil
}

// tag gives a metric a tag. None is worth a value: what is refused is left, and
// what fails in another way is tried again later: it is not done.
func (u *Uploader) tag(ctx context.Context, metric int64, tag string) (done bool, err error) {
	key := strconv.FormatInt(metric, 10) + " " + tag
	if last := u.untagged[key]; time.Since(last) < tagAgain {
		return false, nil
	}
	err = u.once(func() error {
		err := u.client.SetAttribute(ctx, api.Metrics, metric, api.Attribute{Key: "TAG", Value: tag, Source: objectSource})
		if isConflict(err) && !isLoop(err) || refusal(err) || isNotFound(err) && !u.mayForget() {
			return nil
		}
		return err
	}, "tag", metric, tag)
	if err == nil || !ofServer(err) || general(err) || isNotFound(err) || isLoop(err) {
		return err == nil, err
	}
	if len(u.untagged) >= maxKnown {
		clear(u.untagged)
	}
	u.untagged[key] = time.Now()
	level.Warn(u.logger).Log("msg", "a metric cannot be tagged; its values are sent without, and the tag is tried again later", "tag", tag, "err", err)
	return false, nil
}

// tagAgain is how often a tag is tried that fails.
const tagAgain = 10 * time.Minute

// group makes the groups of a path, level by level, and puts a metric into the
// last one.
func (u *Uploader) group(ctx context.Context, metric int64, path, word string) error {
	var parent int64
	for name := range strings.SplitSeq(path, "/") {
		if name = strings.TrimSpace(name); name == "" {
			continue
		}
		id, err := u.object(ctx, api.MetricGroups, parent, name, &api.MetricGroup{
			Object: api.Object{Name: name}, Source: objectSource, Subject: word, ParentID: parent,
		})
		if err != nil {
			return err
		}
		parent = id
	}
	if parent == 0 {
		return nil
	}
	return u.once(func() error { return u.client.Link(ctx, api.MetricGroups, parent, api.Metrics, metric) }, "group", parent, metric)
}

// category gives the id of an event's category.
func (u *Uploader) category(ctx context.Context, e *event) (int64, error) {
	type description struct {
		Name string `json:"name"`
		Type string `json:"type"`
	}
	declared := make([]description, len(e.Declared))
	for i, name := range e.Declared {
		declared[i] = description{name, "string"}
	}
	text, err := json.Marshal(declared)
	if err != nil {
		return 0, err
	}
	return u.object(ctx, api.Categories, 0, e.Category, &api.Category{
		Object: api.Object{Name: e.Category, Description: e.Description}, AttributeDescriptions: string(text), Source: objectSource,
	})
}
