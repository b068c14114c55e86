package server

import (
	"encoding/json"
	"slices"
	"strconv"
	"strings"
	"time"

	"scriptbridge/coscale"
	"scriptbridge/record"
)

// invalidate drops what was made of an object: sinks hold Metas, which never change.
// The caller holds mu.
func (r *registry) invalidate(kind coscale.Kind, id int64) {
	switch kind {
	case coscale.Metrics:
		delete(r.metas, id)
	case coscale.MetricGroups, coscale.Dimensions: // one metric's or all of them: both are rare
		if len(r.holders[linkKey{kind, id, coscale.Metrics}]) > 0 || len(r.members[linkKey{kind, id, coscale.Metrics}]) > 0 || len(r.members[linkKey{kind, id, kind}]) > 0 {
			clear(r.metas)
		}
	case coscale.Categories:
		delete(r.eventMetas, id)
	default:
		return
	}
	r.changes++
}

func (r *registry) invalidateLink(l link) {
	switch {
	case l.group == coscale.Metrics:
		r.invalidate(coscale.Metrics, l.groupID)
	case l.kind == coscale.Metrics:
		r.invalidate(coscale.Metrics, l.id)
	}
}

// meta is what sinks are told of a metric; nil when there is none of this id.
// The caller holds mu.
func (r *registry) meta(id int64) *record.Meta {
	if m := r.metas[id]; m != nil {
		return m
	}
	o := r.tables[coscale.Metrics].byID[id]
	if o == nil {
		return nil
	}
	m := &record.Meta{
		ID:       strconv.FormatInt(id, 10),
		Name:     o.Name,
		Help:     o.Description,
		Unit:     o.Unit,
		Type:     record.Gauge,
		Datatype: "DOUBLE",
		Calctype: "Instant",
	}
	switch o.DataType {
	case "COUNT", "COUNTER":
		m.Type, m.Datatype = record.Counter, o.DataType
	case "HISTOGRAM":
		m.Type = record.Summary
	case "LONG":
		m.Datatype = "GAUGE"
	}
	for _, d := range r.members[linkKey{coscale.Metrics, id, coscale.Dimensions}] {
		m.Dimensions = append(m.Dimensions, r.tables[coscale.Dimensions].byID[d].Name)
	}
	var groups, tags []string
	for _, g := range r.holders[linkKey{coscale.Metrics, id, coscale.MetricGroups}] {
		groups = append(groups, r.path(g))
	}
	for _, a := range o.Attributes {
		if strings.EqualFold(a.Key, "tag") {
			tags = append(tags, a.Value)
		}
	}
	if len(groups)+len(tags) > 0 {
		m.Rare = &record.Rare{Groups: strings.Join(groups, ","), Tags: strings.Join(tags, ",")}
	}
	r.metas[id] = m
	return m
}

// path is a metric group's, as a script declares it: a/b/c.
func (r *registry) path(group int64) string {
	var names []string
	for o := r.tables[coscale.MetricGroups].byID[group]; o != nil && len(names) <= maxDepth; o = r.tables[coscale.MetricGroups].byID[o.ParentID] {
		names = append(names, o.Name)
	}
	slices.Reverse(names)
	return strings.Join(names, "/")
}

// eventMeta is what sinks are told of a category; nil when there is none of
// this id. The caller holds mu.
func (r *registry) eventMeta(id int64) *record.EventMeta {
	if m := r.eventMetas[id]; m != nil {
		return m
	}
	o := r.tables[coscale.Categories].byID[id]
	if o == nil {
		return nil
	}
	m := &record.EventMeta{ID: strconv.FormatInt(id, 10), Name: o.Name, Description: o.Description}
	var described []struct{ Name string }
	if json.Unmarshal([]byte(o.AttributeDescriptions), &described) == nil {
		for _, d := range described {
			if d.Name != "" {
				m.Attributes = append(m.Attributes, d.Name)
			}
		}
	}
	r.eventMetas[id] = m
	return m
}

// declared are all metrics and categories, in the order of their ids. The
// caller holds mu.
func (r *registry) declared() *record.Declared {
	d := new(record.Declared)
	for _, id := range sortedIDs(r.tables[coscale.Metrics].byID) {
		d.Metrics = append(d.Metrics, r.meta(id))
	}
	for _, id := range sortedIDs(r.tables[coscale.Categories].byID) {
		d.Events = append(d.Events, r.eventMeta(id))
	}
	return d
}

func sortedIDs[T any](m map[int64]T) []int64 {
	ids := make([]int64, 0, len(m))
	for id := range m {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	return ids
}

// declaration decides when sinks are told anew what there is. A client may make
// ten thousand metrics one by one, with data in between, and each telling costs
// a sink all of them: so it takes its turn no earlier than a millisecond for
// each after the last, which keeps the cost below a hundredth of the time.
type declaration struct {
	next    time.Time // no earlier
	told    uint64    // the registry's changes that sinks know of,
	offered uint64    // and those that go with the batch in hand
}

// due gives the declaration to go with a batch; nil for none. The caller holds
// the registry's mu.
func (d *declaration) due(r *registry, now time.Time) *record.Declared {
	if r.changes == d.told || now.Before(d.next) {
		return nil
	}
	d.offered = r.changes
	return r.declared()
}

// taken notes that sinks have it. What was changed meanwhile is told next time.
func (d *declaration) taken(declared *record.Declared, now time.Time) {
	d.told = d.offered
	d.next = now.Add(time.Duration(len(declared.Metrics)+len(declared.Events)) * time.Millisecond)
}
