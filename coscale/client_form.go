package coscale

import (
	"bytes"
	"fmt"
	"net/url"
	"strconv"
)

// form is the body of a request. The order is that of the clients that the
// service knew; url.Values would sort it.
type form []pair

type pair struct{ name, value string }

// body is nil for no form.
func (f form) body() []byte {
	if f == nil {
		return nil
	}
	b := new(bytes.Buffer)
	for i, p := range f {
		if i > 0 {
			b.WriteByte('&')
		}
		b.WriteString(url.QueryEscape(p.name))
		b.WriteByte('=')
		b.WriteString(url.QueryEscape(p.value))
	}
	return b.Bytes()
}

// formOf is what creates an object.
func formOf(o any) (form, error) {
	switch o := o.(type) {
	case *Server:
		return form{{"name", o.Name}, {"description", o.Description}, {"type", o.Type}, {"source", o.Source}}, nil
	case *ServerGroup:
		return form{
			{"name", o.Name}, {"description", o.Description}, {"type", o.Type}, {"state", o.State}, {"source", o.Source},
		}.parent(o.ParentID), nil
	case *Metric:
		return form{
			{"name", o.Name}, {"description", o.Description}, {"dataType", o.DataType},
			{"period", strconv.FormatInt(o.Period, 10)}, {"unit", o.Unit}, {"subject", o.Subject}, {"source", o.Source},
		}, nil
	case *MetricGroup:
		return form{
			{"name", o.Name}, {"description", o.Description}, {"type", o.Type}, {"source", o.Source}, {"subject", o.Subject},
		}.parent(o.ParentID), nil
	case *Dimension:
		return form{{"name", o.Name}}, nil
	case *Category:
		return form{
			{"name", o.Name}, {"description", o.Description}, {"attributeDescriptions", o.AttributeDescriptions},
			{"type", o.Type}, {"source", o.Source},
		}, nil
	}
	return nil, fmt.Errorf("a %T cannot be created", o)
}

func (f form) parent(id int64) form {
	if id == 0 {
		return f
	}
	return append(f, pair{"parentId", strconv.FormatInt(id, 10)})
}

// formOfEvent is what an event's insertion and its change have in common.
func formOfEvent(e EventData) form {
	f := form{
		{"message", e.Message}, {"timestamp", strconv.FormatInt(e.Timestamp, 10)},
		{"subject", e.Subject}, {"attribute", e.Attribute},
	}
	if e.StopTime != nil {
		f = append(f, pair{"stopTime", strconv.FormatInt(*e.StopTime, 10)})
	}
	return f
}
