package server

import (
	"slices"

	"scriptbridge/coscale"
)

// create makes an object of what fill sets, unless there is one of its name.
func (r *registry) create(kind coscale.Kind, fill func(*object) error) (*object, error) {
	r.changing.Lock()
	defer r.changing.Unlock()
	o := &object{Object: coscale.Object{Version: 1}}
	if err := fill(o); err != nil {
		return nil, err
	}
	f, s := kinds[kind], r.tables[kind]
	if err := r.fits(kind, o); err != nil {
		return nil, err
	}
	if len(s.byID) >= maxObjects {
		return nil, full("there are %d objects of the kind %s already", maxObjects, f.noun)
	}
	id, taken := r.nextID(kind)
	o.ID = id
	return o, r.store(kind, o, taken, func() { r.next[kind] = id + 1 })
}

// replace changes an object as fill does, with a version that is one higher.
// A version that is not 0 must be the object's present one.
func (r *registry) replace(kind coscale.Kind, id, version int64, fill func(*object) error) (*object, error) {
	r.changing.Lock()
	defer r.changing.Unlock()
	old := r.tables[kind].byID[id]
	switch {
	case old == nil:
		return nil, noObject(kind, id)
	case version != 0 && version != old.Version:
		return nil, outdated(version, old.Version)
	}
	o := *old
	o.Version++
	if err := fill(&o); err != nil {
		return nil, err
	}
	if err := r.fits(kind, &o); err != nil {
		return nil, err
	}
	return &o, r.store(kind, &o, change{}, nil)
}

// fits says whether an object can be where it wants to be: its name must be
// free, and its parent there and not below it.
func (r *registry) fits(kind coscale.Kind, o *object) error {
	s := r.tables[kind]
	if id, ok := s.byName[placedName{o.ParentID, o.Name}]; ok && id != o.ID {
		return duplicate(kinds[kind].noun, id)
	}
	for at, depth := o.ParentID, 0; at != 0; depth++ {
		parent := s.byID[at]
		switch {
		case parent == nil:
			return noObject(kind, at)
		case parent.ID == o.ID:
			return conflict("CYCLE", "The %s would be in itself.", kinds[kind].noun)
		case depth >= maxDepth:
			return conflict("DEPTH", "Groups can be in each other %d levels deep.", maxDepth)
		}
		at = parent.ParentID
	}
	return nil
}

// maxDepth bounds how deep groups are in each other, and with it the length of
// their paths.
const maxDepth = 16

// store writes an object, with one row more, and keeps it in memory. The
// caller holds changing.
func (r *registry) store(kind coscale.Kind, o *object, more change, apply func()) error {
	row, err := rowOf(objectBucket, objectKey(kind, o.ID), o)
	if err != nil {
		return err
	}
	if r.bytes+len(row.value)-r.tables[kind].sizes[o.ID] > maxBytes {
		return full("all objects together have %d MiB already", maxBytes>>20)
	}
	changes := []change{row}
	if more.bucket != "" {
		changes = append(changes, more)
	}
	return r.commit(changes, func() {
		r.put(kind, o, len(row.value))
		if apply != nil {
			apply()
		}
	})
}

// remove takes an object away with its links and, of an event, the data. A
// group that holds groups stays: they would be lost, or land among others of
// the same name.
func (r *registry) remove(kind coscale.Kind, id int64) error {
	r.changing.Lock()
	defer r.changing.Unlock()
	o := r.tables[kind].byID[id]
	switch {
	case o == nil:
		return noObject(kind, id)
	case kinds[kind].tree && len(r.members[linkKey{kind, id, kind}]) > 0:
		return conflict("NOT_EMPTY", "The %s has groups in it; remove them first.", kinds[kind].noun)
	}
	changes := []change{{objectBucket, objectKey(kind, id), nil}}
	links := r.linksOf(kind, id)
	for _, l := range links {
		changes = append(changes, change{linkBucket, l.key(), nil})
	}
	var data []int64
	if kind == coscale.Categories {
		data = slices.Clone(r.events.of[id])
		changes = append(changes, dropEvents(data)...)
	}
	return r.commit(changes, func() {
		for _, l := range links {
			r.untie(l)
		}
		for _, e := range data {
			r.events.discard(e)
		}
		r.discard(kind, o)
	})
}

// linksOf are all links that an object has part in.
func (r *registry) linksOf(kind coscale.Kind, id int64) []link {
	var all []link
	for _, member := range kinds[kind].members {
		for _, m := range r.members[linkKey{kind, id, member}] {
			all = append(all, link{kind, id, member, m})
		}
	}
	for group := range kinds {
		for _, g := range r.holders[linkKey{kind, id, group}] {
			all = append(all, link{group, g, kind, id})
		}
	}
	return all
}

// join links a member to a group; of the same kind, it becomes its parent. What
// is linked already stays so.
func (r *registry) join(group coscale.Kind, groupID int64, kind coscale.Kind, id int64) error {
	if group == kind {
		return r.adopt(kind, id, func(o *object) bool {
			done := o.ParentID == groupID
			o.ParentID = groupID
			return done
		})
	}
	r.changing.Lock()
	defer r.changing.Unlock()
	l := link{group, groupID, kind, id}
	_, done := r.links[l]
	switch {
	case r.tables[group].byID[groupID] == nil:
		return noObject(group, groupID)
	case r.tables[kind].byID[id] == nil:
		return noObject(kind, id)
	case done:
		return nil
	case len(r.links) >= maxLinks:
		return full("there are %d links already", maxLinks)
	}
	at := r.lastOne + 1
	return r.commit([]change{{linkBucket, l.key(), numberKey(int64(at))}}, func() { r.tie(l, at) })
}

// part is the reverse of join.
func (r *registry) part(group coscale.Kind, groupID int64, kind coscale.Kind, id int64) error {
	notIn := notFound("The %s %d is not in the %s %d.", kinds[kind].noun, id, kinds[group].noun, groupID)
	if group == kind {
		if o := r.find(kind, id); o == nil || o.ParentID != groupID {
			return notIn
		}
		return r.adopt(kind, id, func(o *object) bool {
			done := o.ParentID != groupID
			o.ParentID = 0
			return done
		})
	}
	r.changing.Lock()
	defer r.changing.Unlock()
	l := link{group, groupID, kind, id}
	if _, ok := r.links[l]; !ok {
		return notIn
	}
	return r.commit([]change{{linkBucket, l.key(), nil}}, func() { r.untie(l) })
}

// adopt changes the parent of a group, unless move says that it is done. A name
// that is taken there must not be answered with DUPLICATE, which the CLI would
// take for a failure.
func (r *registry) adopt(kind coscale.Kind, id int64, move func(*object) (done bool)) error {
	r.changing.Lock()
	defer r.changing.Unlock()
	old := r.tables[kind].byID[id]
	if old == nil {
		return noObject(kind, id)
	}
	o := *old
	if move(&o) {
		return nil
	}
	if err := r.fits(kind, &o); err != nil {
		if e := asAPIError(err); e.body.Type == coscale.Duplicate {
			return conflict("NAME_TAKEN", "Another %s there has this name.", kinds[kind].noun)
		}
		return err
	}
	return r.store(kind, &o, change{}, nil)
}

// attribute changes the list of an object's attributes as edit says, which is
// given the id of a new one and must not change the list that it is given.
func (r *registry) attribute(kind coscale.Kind, id int64, edit func(list []coscale.Attribute, next int64) ([]coscale.Attribute, error)) error {
	r.changing.Lock()
	defer r.changing.Unlock()
	old := r.tables[kind].byID[id]
	if old == nil {
		return noObject(kind, id)
	}
	next, taken := r.nextID(attributeIDs)
	o := *old
	var err error
	if o.Attributes, err = edit(old.Attributes, next); err != nil {
		return err
	}
	if len(o.Attributes) > maxAttributes {
		return full("the %s has %d attributes already", kinds[kind].noun, maxAttributes)
	}
	return r.store(kind, &o, taken, func() { r.next[attributeIDs] = next + 1 })
}

func noObject(kind coscale.Kind, id int64) error {
	return notFound("There is no %s %d.", kinds[kind].noun, id)
}

func outdated(given, is int64) error {
	return conflict("VERSION", "The version %d is outdated; it is %d now.", given, is)
}
