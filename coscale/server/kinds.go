package server

import (
	"slices"
	"strings"

	"scriptbridge/coscale"
)

// object is an object as the registry and its file hold it: all kinds in one,
// each with what its kindInfo says it has. One that is in the registry is never
// changed, only replaced, so that it may be kept.
type object struct {
	coscale.Object
	Type                  string              `json:"type,omitempty"`
	Source                string              `json:"source,omitempty"`
	Unit                  string              `json:"unit,omitempty"`
	Period                int64               `json:"period,omitempty"`
	DataType              string              `json:"dataType,omitempty"`
	Subject               string              `json:"subject,omitempty"`
	AttributeDescriptions string              `json:"attributeDescriptions,omitempty"`
	Icon                  string              `json:"icon,omitempty"`
	ParentID              int64               `json:"parentId,omitempty"`
	Attributes            []coscale.Attribute `json:"attributes,omitempty"`
}

// kindInfo is what sets a kind of object apart.
type kindInfo struct {
	noun string // in messages
	// has are the fields that clients give, beyond the name.
	has []string
	// tree says that it has a parent of its own kind, within which its name is
	// unique; elsewhere it is so among all.
	tree       bool
	attributes bool
	members    []coscale.Kind // that can be linked to it, beyond its own kind
	// normalize puts what clients leave open, or spell in ways that others of
	// them cannot read, into the form that all can; may be nil.
	normalize func(*object)
	// view is the object as it is answered.
	view func(o *object, attributes []coscale.Attribute) any
}

// kinds is the table of all kinds of objects.
var kinds = map[coscale.Kind]*kindInfo{
	coscale.Servers: {
		noun: "server", has: []string{"description", "type", "source", "state"}, attributes: true,
		view: func(o *object, attributes []coscale.Attribute) any {
			return &coscale.Server{Object: o.Object, Type: o.Type, Source: o.Source, Attributes: attributes}
		},
	},
	coscale.ServerGroups: {
		noun: "server group", has: []string{"description", "type", "source", "state", "parentId"}, tree: true, members: []coscale.Kind{coscale.Servers},
		view: func(o *object, _ []coscale.Attribute) any {
			return &coscale.ServerGroup{Object: o.Object, Type: o.Type, Source: o.Source, ParentID: o.ParentID}
		},
	},
	coscale.Metrics: {
		noun: "metric", has: []string{"description", "dataType", "period", "unit", "subject", "source", "state"},
		attributes: true, members: []coscale.Kind{coscale.Dimensions},
		normalize: func(o *object) {
			o.DataType = strings.ToUpper(o.DataType)
			if !slices.Contains(dataTypes, o.DataType) {
				o.DataType = "DOUBLE" // as an unknown word of a script
			}
			normalizeSubject(o)
		},
		view: func(o *object, attributes []coscale.Attribute) any {
			return &coscale.Metric{
				Object: o.Object, Unit: o.Unit, Period: o.Period, Source: o.Source,
				DataType: o.DataType, Subject: o.Subject, Attributes: attributes,
			}
		},
	},
	coscale.MetricGroups: {
		noun: "metric group", has: []string{"description", "type", "source", "state", "subject", "parentId"}, tree: true, members: []coscale.Kind{coscale.Metrics},
		normalize: normalizeSubject,
		view: func(o *object, _ []coscale.Attribute) any {
			return &coscale.MetricGroup{Object: o.Object, Type: o.Type, Source: o.Source, Subject: o.Subject, ParentID: o.ParentID}
		},
	},
	coscale.Dimensions: {
		noun: "dimension",
		view: func(o *object, _ []coscale.Attribute) any { return &coscale.Dimension{ID: o.ID, Name: o.Name} },
	},
	coscale.Categories: {
		noun: "category of events", has: []string{"description", "attributeDescriptions", "type", "source", "state", "icon"},
		normalize: func(o *object) {
			if o.AttributeDescriptions == "" {
				o.AttributeDescriptions = "[]"
			}
		},
		view: func(o *object, _ []coscale.Attribute) any {
			c := &coscale.Category{Object: o.Object, AttributeDescriptions: o.AttributeDescriptions, Type: o.Type, Source: o.Source}
			if o.Icon != "" {
				c.Icon = &o.Icon
			}
			return c
		},
	},
}

// dataTypes are those of all clients.
var dataTypes = []string{
	"LONG", "DOUBLE", "HISTOGRAM", "COUNT", "COUNTER", "BINARY", "BREAKDOWN", "ANOMALYREPORT", "RUMRESOURCEDATA",
}

// normalizeSubject spells a subject as the Java SDK's enum does.
func normalizeSubject(o *object) {
	switch s := strings.ToUpper(o.Subject); s {
	case "GROUP", "SERVERGROUP":
		o.Subject = "GROUP"
	case "APPLICATION":
		o.Subject = s
	default:
		o.Subject = "SERVER"
	}
}

// normalizeState leaves one of the three states that the Java SDK knows: the CLI
// makes groups with an empty one.
func normalizeState(o *object, before string) {
	switch s := strings.ToUpper(o.State); s {
	case coscale.Enabled, "INACTIVE", "DISABLED":
		o.State = s
	default:
		o.State = before
	}
}

// assign takes over what a client gave. What it did not give stays as it is.
func (f *kindInfo) assign(o *object, form fields) error {
	before := o.State
	if before == "" {
		before = coscale.Enabled
	}
	for _, name := range append([]string{"name"}, f.has...) {
		value, ok := form.lookup(name)
		if !ok {
			continue
		}
		if text := o.text(name); text != nil {
			if len(value) > maxField {
				return badRequest("%s has %d bytes, more than %d", name, len(value), maxField)
			}
			*text = value
			continue
		}
		n, err := form.number(name, 0)
		if err != nil {
			return err
		}
		if n < 0 {
			return badRequest("%s is below 0", name)
		}
		*o.number(name) = n
	}
	switch {
	case strings.TrimSpace(o.Name) == "":
		return badRequest("the %s has no name", f.noun)
	case len(o.Name) > maxNameField:
		return badRequest("the name has %d bytes, more than %d", len(o.Name), maxNameField)
	}
	normalizeState(o, before)
	if f.normalize != nil {
		f.normalize(o)
	}
	return nil
}

const (
	maxNameField = 1 << 10  // bytes
	maxField     = 16 << 10 // bytes of any other text
)

// text is the field of that name, which holds a text; nil for another.
func (o *object) text(name string) *string {
	switch name {
	case "name":
		return &o.Name
	case "description":
		return &o.Description
	case "state":
		return &o.State
	case "type":
		return &o.Type
	case "source":
		return &o.Source
	case "unit":
		return &o.Unit
	case "dataType":
		return &o.DataType
	case "subject":
		return &o.Subject
	case "attributeDescriptions":
		return &o.AttributeDescriptions
	case "icon":
		return &o.Icon
	}
	return nil
}

// number is the field of that name, which holds a number; nil for another.
func (o *object) number(name string) *int64 {
	switch name {
	case "period":
		return &o.Period
	case "parentId":
		return &o.ParentID
	}
	return nil
}
