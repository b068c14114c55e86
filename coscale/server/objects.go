package server

import (
	"net/http"
	"slices"
	"strconv"
	"strings"

	"scriptbridge/coscale"
)

// routeObjects finds what a path below a kind of objects means.
func (h *Handler) routeObjects(c *call, kind coscale.Kind, path []string) (any, error) {
	if len(path) == 0 {
		return h.objects(c, kind)
	}
	id, err := pathID(path[0])
	if err != nil {
		return nil, err
	}
	f := kinds[kind]
	switch rest := path[1:]; {
	case len(rest) == 0:
		return h.object(c, kind, id)
	case h.registry.find(kind, id) == nil:
		return nil, noObject(kind, id)
	case rest[0] == "attributes" && f.attributes && len(rest) <= 2:
		return h.attributes(c, kind, id, rest[1:])
	case rest[0] == "data" && kind == coscale.Categories:
		return h.routeEvents(c, id, rest[1:])
	case len(rest) <= 2 && (slices.Contains(f.members, coscale.Kind(rest[0])) || f.tree && coscale.Kind(rest[0]) == kind):
		return h.members(c, kind, id, coscale.Kind(rest[0]), rest[1:])
	}
	return nil, noPath(c)
}

func pathID(text string) (int64, error) {
	id, err := strconv.ParseInt(text, 10, 64)
	if err != nil || id <= 0 {
		return 0, notFound("%.40q is no id.", text)
	}
	return id, nil
}

// objects lists a kind, or makes one of it.
func (h *Handler) objects(c *call, kind coscale.Kind) (any, error) {
	if c.Method == http.MethodPost {
		form, err := c.form(maxBody)
		if err != nil {
			return nil, err
		}
		o, err := h.registry.create(kind, func(o *object) error { return kinds[kind].assign(o, form) })
		if err != nil {
			return nil, err
		}
		return h.view(c, kind, o)
	}
	if err := c.only(http.MethodGet, http.MethodPost); err != nil {
		return nil, err
	}
	list, err := h.selected(c, kind)
	if err != nil {
		return nil, err
	}
	return h.views(c, kind, list)
}

// selected are the objects that a query's selectBy… asks for, or all.
func (h *Handler) selected(c *call, kind coscale.Kind) ([]*object, error) {
	var list []*object
	name, named := c.query.lookup("selectByName")
	_, byParent := c.query.lookup("selectByParent_id")
	if named && (!kinds[kind].tree || !byParent) {
		// Roots have the parent 0, and so has what is in no tree.
		if o := h.registry.named(kind, 0, name); o != nil {
			list = append(list, o)
		}
	}
	if list == nil && (!named || kinds[kind].tree) {
		list = h.registry.all(kind)
	}
	for key, value := range c.query {
		field, ok := strings.CutPrefix(key, "selectby")
		if !ok {
			continue
		}
		matches, err := matcher(kind, field, value)
		if err != nil {
			return nil, err
		}
		list = slices.DeleteFunc(list, func(o *object) bool { return !matches(o) })
	}
	if named && len(list) > 1 {
		list = list[:1] // two would be an error to the CLI
	}
	return list, nil
}

// matcher says whether an object is selected by a field, which is in lower
// case.
func matcher(kind coscale.Kind, field, value string) (func(*object) bool, error) {
	f := kinds[kind]
	switch field {
	case "id":
		return func(o *object) bool { return strconv.FormatInt(o.ID, 10) == value }, nil
	case "root":
		wanted := strings.EqualFold(value, "true")
		return func(o *object) bool { return (o.ParentID == 0) == wanted }, nil
	case "parent_id", "parentid":
		return func(o *object) bool { return strconv.FormatInt(o.ParentID, 10) == value }, nil
	}
	for _, name := range append([]string{"name"}, f.has...) {
		if !strings.EqualFold(name, field) {
			continue
		}
		return func(o *object) bool {
			if text := o.text(name); text != nil {
				return *text == value
			}
			return strconv.FormatInt(*o.number(name), 10) == value
		}, nil
	}
	return nil, badRequest("a %s cannot be selected by %.40q", f.noun, field)
}

// object answers with one, changes it or removes it.
func (h *Handler) object(c *call, kind coscale.Kind, id int64) (any, error) {
	switch c.Method {
	case http.MethodGet:
		o := h.registry.find(kind, id)
		if o == nil {
			return nil, noObject(kind, id)
		}
		return h.view(c, kind, o)
	case http.MethodPut:
		form, version, err := c.change()
		if err != nil {
			return nil, err
		}
		o, err := h.registry.replace(kind, id, version, func(o *object) error { return kinds[kind].assign(o, form) })
		if err != nil {
			return nil, err
		}
		return h.view(c, kind, o)
	case http.MethodDelete:
		if err := h.registry.remove(kind, id); err != nil {
			return nil, err
		}
		return removed(kinds[kind].noun), nil
	}
	return nil, c.only(http.MethodGet, http.MethodPut, http.MethodDelete)
}

// removed says "Server removed."
func removed(noun string) any { return message("%s removed.", strings.ToUpper(noun[:1])+noun[1:]) }

// maxContent bounds how much of a group is answered to a link: a client that
// links ten thousand members one by one would be sent fifty million.
const maxContent = 1000

// members lists what is linked to an object, or links and unlinks one. Linking
// what is linked already is a success; there need not be a body.
func (h *Handler) members(c *call, group coscale.Kind, groupID int64, kind coscale.Kind, path []string) (any, error) {
	if len(path) == 0 {
		if err := c.only(http.MethodGet); err != nil {
			return nil, err
		}
		return h.views(c, kind, h.registry.membersOf(group, groupID, kind))
	}
	id, err := pathID(path[0])
	if err != nil {
		return nil, err
	}
	switch c.Method {
	case http.MethodPost:
		if err := h.registry.join(group, groupID, kind, id); err != nil {
			return nil, err
		}
		content := h.registry.membersOf(group, groupID, kind)
		if len(content) > maxContent {
			content = slices.DeleteFunc(content, func(o *object) bool { return o.ID != id })
		}
		return h.views(c, kind, content)
	case http.MethodDelete:
		if err := h.registry.part(group, groupID, kind, id); err != nil {
			return nil, err
		}
		return message("The %s was taken out of the %s.", kinds[kind].noun, kinds[group].noun), nil
	}
	return nil, c.only(http.MethodPost, http.MethodDelete)
}

// attributes lists the attributes of an object, makes, changes or removes one.
func (h *Handler) attributes(c *call, kind coscale.Kind, id int64, path []string) (any, error) {
	if len(path) == 0 {
		switch c.Method {
		case http.MethodGet:
			o := h.registry.find(kind, id)
			if o == nil {
				return nil, noObject(kind, id)
			}
			return append([]coscale.Attribute{}, o.Attributes...), nil
		case http.MethodPost:
			return h.addAttribute(c, kind, id)
		}
		return nil, c.only(http.MethodGet, http.MethodPost)
	}
	aid, err := pathID(path[0])
	if err != nil {
		return nil, err
	}
	switch c.Method {
	case http.MethodGet:
		return attributeOf(h.registry.find(kind, id), aid)
	case http.MethodPut:
		return h.changeAttribute(c, kind, id, aid)
	case http.MethodDelete:
		err := h.registry.attribute(kind, id, func(list []coscale.Attribute, _ int64) ([]coscale.Attribute, error) {
			i := slices.IndexFunc(list, func(a coscale.Attribute) bool { return a.ID == aid })
			if i < 0 {
				return nil, noAttribute(aid)
			}
			return slices.Delete(slices.Clone(list), i, i+1), nil
		})
		return removed("attribute"), err
	}
	return nil, c.only(http.MethodGet, http.MethodPut, http.MethodDelete)
}

func attributeOf(o *object, id int64) (any, error) {
	if o != nil {
		for _, a := range o.Attributes {
			if a.ID == id {
				return a, nil
			}
		}
	}
	return nil, noAttribute(id)
}

func noAttribute(id int64) error { return notFound("There is no attribute %d.", id) }

// addAttribute makes an attribute. One that is there with the same value is
// answered, so that whoever says it at each start gets no second.
func (h *Handler) addAttribute(c *call, kind coscale.Kind, id int64) (any, error) {
	form, err := c.form(maxBody)
	if err != nil {
		return nil, err
	}
	var a coscale.Attribute
	err = h.registry.attribute(kind, id, func(list []coscale.Attribute, next int64) ([]coscale.Attribute, error) {
		a = coscale.Attribute{ID: next, Version: 1}
		if err := assignAttribute(&a, form); err != nil {
			return nil, err
		}
		for _, old := range list {
			if old.Key == a.Key && old.Value == a.Value {
				a = old
				return list, nil
			}
		}
		return append(slices.Clip(list), a), nil
	})
	return a, err
}

func (h *Handler) changeAttribute(c *call, kind coscale.Kind, id, aid int64) (any, error) {
	form, version, err := c.change()
	if err != nil {
		return nil, err
	}
	var a coscale.Attribute
	err = h.registry.attribute(kind, id, func(list []coscale.Attribute, _ int64) ([]coscale.Attribute, error) {
		i := slices.IndexFunc(list, func(a coscale.Attribute) bool { return a.ID == aid })
		switch {
		case i < 0:
			return nil, noAttribute(aid)
		case version != 0 && version != list[i].Version:
			return nil, outdated(version, list[i].Version)
		}
		list = slices.Clone(list)
		list[i].Version++
		err := assignAttribute(&list[i], form)
		a = list[i]
		return list, err
	})
	return a, err
}

func assignAttribute(a *coscale.Attribute, form fields) error {
	for name, into := range map[string]*string{"key": &a.Key, "value": &a.Value, "source": &a.Source} {
		if value, ok := form.lookup(name); ok {
			*into = value
		}
		if len(*into) > maxField {
			return badRequest("%s has %d bytes, more than %d", name, len(*into), maxField)
		}
	}
	if locked, ok := form.lookup("locked"); ok {
		a.Locked = strings.EqualFold(locked, "true") || locked == "1"
	}
	if a.Key == "" {
		return badRequest("the attribute has no key")
	}
	return nil
}
