package server

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"

	"scriptbridge/coscale"
)

// maxExpanded bounds the members that one answer shows inside their groups:
// each group above shows them once more.
const maxExpanded = 100_000

// expansion is what a query's expand asks for, by words in lower case. left is
// how many members may still be shown; below 0 they were too many.
type expansion struct {
	words []string
	left  int
}

func expansionOf(c *call) *expansion {
	e := &expansion{left: maxExpanded}
	for name, values := range c.URL.Query() {
		if strings.EqualFold(name, "expand") {
			e.words = append(e.words, strings.Split(strings.ToLower(strings.Join(values, ",")), ",")...)
		}
	}
	return e
}

func (e *expansion) has(word string) bool { return slices.Contains(e.words, strings.ToLower(word)) }

// take counts n members; false when they are too many.
func (e *expansion) take(n int) bool {
	e.left -= n
	return e.left >= 0
}

// view is an object as it is answered, with what the query wants expanded: its
// attributes, the objects that are linked to it (servers, servergroups …), or
// only their ids (serverIds …). Groups inside a group are expanded alike.
func (h *Handler) view(c *call, kind coscale.Kind, o *object) (any, error) {
	views, err := h.views(c, kind, []*object{o})
	if err != nil {
		return nil, err
	}
	return views[0], nil
}

func (h *Handler) views(c *call, kind coscale.Kind, list []*object) ([]any, error) {
	e := expansionOf(c)
	views := h.expanded(e, kind, list)
	if e.left < 0 {
		return nil, badRequest("more than %d objects would be in the answer; ask for one group, or expand less", maxExpanded)
	}
	return views, nil
}

func (h *Handler) expanded(e *expansion, kind coscale.Kind, list []*object) []any {
	f := kinds[kind]
	inside := f.members
	if f.tree {
		inside = append(slices.Clip(inside), kind)
	}
	views := make([]any, len(list))
	for i, o := range list {
		var attributes []coscale.Attribute
		if e.has("attributes") {
			attributes = o.Attributes
		}
		v := expandedView{view: f.view(o, attributes)}
		for _, k := range inside {
			ids := strings.TrimSuffix(string(k), "s") + "Ids"
			if !e.has(string(k)) && !e.has(ids) {
				continue
			}
			members := h.registry.membersOf(kind, o.ID, k)
			if e.has(ids) && e.take(len(members)) {
				all := make([]int64, len(members))
				for n, m := range members {
					all[n] = m.ID
				}
				v.more = append(v.more, namedValue{ids, all})
			}
			if e.has(string(k)) && e.take(len(members)) {
				v.more = append(v.more, namedValue{string(k), h.expanded(e, k, members)})
			}
		}
		views[i] = v.view
		if len(v.more) > 0 {
			views[i] = v
		}
	}
	return views
}

// expandedView is an object with more keys behind its own.
type expandedView struct {
	view any
	more []namedValue
}

type namedValue struct {
	name  string
	value any
}

// MarshalJSON writes one object.
func (v expandedView) MarshalJSON() ([]byte, error) {
	text := bytes.TrimSuffix(encodeAnswer(v.view), []byte("}"))
	for _, m := range v.more {
		name, err := json.Marshal(m.name)
		if err != nil {
			return nil, err
		}
		text = append(append(append(append(text, ','), name...), ':'), encodeAnswer(m.value)...)
	}
	return append(text, '}'), nil
}
