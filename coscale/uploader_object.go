package coscale

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/go-kit/log/level"

	"scriptbridge/record"
	"scriptbridge/spool"
)

// objectSource is the source of all objects that the uploader makes.
const objectSource = "scriptbridge"

// forgetAgain is how long a 404 is final after ids were forgotten for one: the
// objects have been made again, and it made no difference.
const forgetAgain = 10 * time.Minute

// final makes the error of an answer that repeating does not mend one that
// spool.Retry gives back: one that is in the API's own words. An answer to the
// login says nothing of what was to be sent.
func final(err error) error {
	var some *RefusedError
	if errors.As(err, &some) {
		return &spool.Final{Err: err}
	}
	var status *StatusError
	if !errors.As(err, &status) || status.Login || status.Foreign || status.Status < 400 || status.Status > 499 {
		return err
	}
	switch status.Status {
	case http.StatusUnauthorized, http.StatusRequestTimeout, http.StatusConflict, http.StatusTooManyRequests:
		return err
	}
	return &spool.Final{Err: err}
}

// A 409 that tells of no object, which is done away with by asking again where two
// do the same at once, is final when it came so many times in a row (a minute
// later), and after that at once for a while: nothing may hold up what waits
// behind it.
const (
	mostConflicts = 7
	conflictAgain = time.Hour
)

// bounded makes the last of too many conflicts final.
func (u *Uploader) bounded(attempt func(context.Context) error) func(context.Context) error {
	n := 0
	return func(ctx context.Context) error {
		err := attempt(ctx)
		if !isConflict(err) {
			return err
		}
		if n++; n < mostConflicts && (u.conflict.IsZero() || time.Since(u.conflict) >= conflictAgain) {
			return err
		}
		u.conflict = time.Now()
		return &spool.Final{Err: err}
	}
}

func isConflict(err error) bool {
	var status *StatusError
	return errors.As(err, &status) && !status.Login && !status.Foreign && status.Status == http.StatusConflict
}

func isFinal(err error) bool {
	var f *spool.Final
	return errors.As(err, &f)
}

func isNotFound(err error) bool {
	var status *StatusError
	return errors.As(err, &status) && !status.Foreign && status.Status == http.StatusNotFound
}

// lookup gives what the state has by a key; 0 for nothing.
func (u *Uploader) lookup(key string) (int64, error) {
	if id, ok := u.ids[key]; ok {
		return id, nil
	}
	var id int64
	err := u.spool.View(func(tx *spool.Tx) error {
		id, _ = strconv.ParseInt(string(tx.Get(key)), 10, 64) // what is no number is nothing
		return nil
	})
	if err == nil && id != 0 {
		u.remember(key, id)
	}
	return id, err
}

func (u *Uploader) remember(key string, id int64) {
	if len(u.ids) >= maxKnown {
		clear(u.ids)
	}
	u.ids[key] = id
}

func (u *Uploader) save(key string, id int64) error {
	err := u.spool.Update(func(tx *spool.Tx) error {
		return tx.Set(key, strconv.AppendInt(nil, id, 10))
	})
	if err == nil {
		u.remember(key, id)
	}
	return err
}

// idPrefix begins all keys of ids, and of what was done to the objects that
// have them.
const idPrefix = "id/"

// object gives the id of an object, which it makes where that is not known.
// Groups have names that are unique under their parent.
func (u *Uploader) object(ctx context.Context, kind Kind, parent int64, name string, o any) (int64, error) {
	key := stateKey("id", string(kind), strconv.FormatInt(parent, 10), name)
	id, err := u.lookup(key)
	if err != nil || id != 0 {
		return id, err
	}
	if id, err = u.client.Create(ctx, kind, o); err != nil {
		return 0, final(err)
	}
	return id, u.save(key, id)
}

// once does something to objects that is done already when it was done before.
func (u *Uploader) once(do func() error, parts ...any) error {
	key := stateKey("id", "done", strings.Trim(fmt.Sprintln(parts...), "\n"))
	done, err := u.lookup(key)
	if err != nil || done != 0 {
		return err
	}
	if err := do(); err != nil {
		return final(err)
	}
	return u.save(key, 1)
}

// forget forgets all ids after a 404, so that the objects are made again; false
// when that was tried lately.
func (u *Uploader) forget(why error) (bool, error) {
	if u.forgotLately() {
		return false, nil
	}
	u.forgotten = time.Now()
	level.Warn(u.logger).Log("msg", "the server does not know what it knew: all is made again", "err", why)
	clear(u.ids)
	return true, u.spool.Update(func(tx *spool.Tx) error {
		var keys []string
		tx.Each(idPrefix, func(key string, _ []byte) bool { keys = append(keys, key); return true })
		return remove(tx, keys)
	})
}

func (u *Uploader) forgotLately() bool {
	return !u.forgotten.IsZero() && time.Since(u.forgotten) < forgetAgain
}

// subject gives the API's word for a subject.
func (u *Uploader) subject(ctx context.Context, s record.Subject) (string, error) {
	switch s.Kind {
	case record.Application:
		return SubjectOf("", 0), nil
	case record.Group:
		id, err := u.object(ctx, ServerGroups, 0, s.Name, &ServerGroup{
			Object: Object{Name: s.Name, State: Enabled}, Source: objectSource,
		})
		return SubjectOf(ServerGroups, id), err
	}
	name := s.Name
	if s.Kind == record.Host {
		name = u.server
	}
	id, err := u.object(ctx, Servers, 0, name, &Server{Object: Object{Name: name}, Source: objectSource})
	return SubjectOf(Servers, id), err
}

// subjectWord is the word for a kind of subject in a metric.
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
// attributes.
func (u *Uploader) metric(ctx context.Context, s *series) (int64, error) {
	f := s.fact
	word := subjectWord(s.subject.Kind)
	id, err := u.object(ctx, Metrics, 0, s.name, &Metric{
		Object: Object{Name: s.name, Description: f.help}, Unit: f.unit, Period: f.period,
		Source: objectSource, DataType: f.dataType, Subject: word,
	})
	if err != nil {
		return 0, err
	}
	for path := range strings.SplitSeq(f.groups, ",") {
		if err := u.group(ctx, id, path, word); err != nil {
			return 0, err
		}
	}
	for tag := range strings.SplitSeq(f.tags, ",") {
		if tag = strings.TrimSpace(tag); tag == "" {
			continue
		}
		err := u.once(func() error {
			err := u.client.SetAttribute(ctx, Metrics, id, Attribute{Key: "TAG", Value: tag, Source: objectSource})
			if isConflict(err) || isFinal(final(err)) && (!isNotFound(err) || u.forgotLately()) {
				return nil // no tag is worth a value
			}
			return err
		}, "tag", id, tag)
		if err != nil {
			return 0, err
		}
	}
	for _, l := range s.labels {
		dimension, err := u.object(ctx, Dimensions, 0, l.Name, &Dimension{Name: l.Name})
		if err != nil {
			return 0, err
		}
		err = u.once(func() error { return u.client.Link(ctx, Metrics, id, Dimensions, dimension) }, "dimension", id, dimension)
		if err != nil {
			return 0, err
		}
	}
	return id, nil
}

// group makes the groups of a path, level by level, and puts a metric into the
// last one.
func (u *Uploader) group(ctx context.Context, metric int64, path, word string) error {
	var parent int64
	for name := range strings.SplitSeq(path, "/") {
		if name = strings.TrimSpace(name); name == "" {
			continue
		}
		id, err := u.object(ctx, MetricGroups, parent, name, &MetricGroup{
			Object: Object{Name: name}, Source: objectSource, Subject: word, ParentID: parent,
		})
		if err != nil {
			return err
		}
		parent = id
	}
	if parent == 0 {
		return nil
	}
	return u.once(func() error { return u.client.Link(ctx, MetricGroups, parent, Metrics, metric) }, "group", parent, metric)
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
	return u.object(ctx, Categories, 0, e.Category, &Category{
		Object: Object{Name: e.Category, Description: e.Description}, AttributeDescriptions: string(text), Source: objectSource,
	})
}
