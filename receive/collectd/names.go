package collectd

import (
	"fmt"
	"math"
	"strings"
	"time"

	"scriptbridge/record"
)

// This file says how a value of collectd's stands on the page: names and
// labels as prometheus/collectd_exporter makes them.

// dsType is what collectd calls the type of a data source, as numbered
// in its packets.
type dsType byte

const (
	dsCounter  dsType = iota // grows, and wraps around
	dsGauge                  // absolute value
	dsDerive                 // grows, and may decrease
	dsAbsolute               // counted since the value before it
)

// dsTypeNames are their names, by number.
var dsTypeNames = [...]string{"counter", "gauge", "derive", "absolute"}

func (k dsType) String() string { return dsTypeNames[k] }

// parseDSType reads a type's name in any case.
func parseDSType(name string) (dsType, bool) {
	for k, one := range dsTypeNames {
		if strings.EqualFold(one, name) {
			return dsType(k), true
		}
	}
	return 0, false
}

// identifier is what collectd knows a list of values by.
type identifier struct{ host, plugin, pluginInstance, typ, typeInstance string }

// maxName is how long a part of a identifier may be, in bytes: double
// what collectd itself can hold.
const maxName = 255

// check tells what keeps the ID from being one.
func (id *identifier) check() error {
	for _, p := range []struct {
		name, value string
		needed      bool
	}{
		{"host", id.host, true}, {"plugin", id.plugin, true}, {"plugin instance", id.pluginInstance, false},
		{"type", id.typ, true}, {"type instance", id.typeInstance, false},
	} {
		switch {
		case p.needed && p.value == "":
			return fmt.Errorf("it names no %s", p.name)
		case len(p.value) > maxName:
			return fmt.Errorf("its %s has %d bytes, more than %d", p.name, len(p.value), maxName)
		}
	}
	return nil
}

// String is the ID as collectd writes it.
func (id *identifier) String() string {
	text := id.host + "/" + id.plugin
	if id.pluginInstance != "" {
		text += "-" + id.pluginInstance
	}
	text += "/" + id.typ
	if id.typeInstance != "" {
		text += "-" + id.typeInstance
	}
	return text
}

// identifierParts is how many parts an identifier has.
const identifierParts = 5

// identifierKey is an identifier in one piece: the lengths of its parts, two bytes
// each, and the parts. None is longer: those of packets cannot be, and what comes
// otherwise is checked before.
type identifierKey []byte

// appendKey appends the key of an identifier with these parts.
func appendKey[T string | []byte](b identifierKey, parts [identifierParts]T) identifierKey {
	for _, p := range parts {
		b = append(b, byte(len(p)>>8), byte(len(p)))
	}
	for _, p := range parts {
		b = append(b, p...)
	}
	return b
}

// key is the identifier's.
func (id *identifier) key() identifierKey {
	return appendKey(nil, [...]string{id.host, id.plugin, id.pluginInstance, id.typ, id.typeInstance})
}

// identifier is the one whose key it is. All of it lies in one text.
func (k identifierKey) identifier() identifier {
	text := string(k[2*identifierParts:])
	var parts [identifierParts]string
	for i := range parts {
		n := int(k[2*i])<<8 | int(k[2*i+1])
		parts[i], text = text[:n], text[n:]
	}
	return identifier{parts[0], parts[1], parts[2], parts[3], parts[4]}
}

// valueList is one list of values, as it came by whatever way.
type valueList struct {
	key      identifierKey
	came     time.Time     // zero: now
	before   *knownList    // whose list came before this one; nil: not known
	time     time.Time     // zero: not said
	interval time.Duration // to the next one; 0: not said
	values   []dsValue
	names    []string // of the data sources; nil: as types.db says
	secured  bool     // signed or encrypted: an old one may have been sent again by anybody
}

// dsValue is the value of one data source; NaN when there is none.
type dsValue struct {
	kind    dsType
	value   float64
	refused bool // it only keeps its place among the others
}

func (v dsValue) none() bool { return math.IsNaN(v.value) }

// metricName is the name of a series.
func (id *identifier) metricName(ds string, kind dsType) string {
	name := "collectd_" + id.typ
	if id.plugin != id.typ {
		name = "collectd_" + id.plugin + "_" + id.typ
	}
	if ds != "value" {
		name += "_" + ds
	}
	if kind != dsGauge {
		name += "_total"
	}
	return strings.Map(nameRune, name)
}

// nameRune makes every character one that may stand in a name.
func nameRune(r rune) rune {
	if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '_' || r == ':' {
		return r
	}
	return '_'
}

// labels are those of a series: the host, and the instances under the names of
// the plugin and of the type.
func (id *identifier) labels() []record.Label {
	labels := []record.Label{{Name: "instance", Value: id.host}}
	plugin := strings.ReplaceAll(strings.Map(nameRune, id.plugin), ":", "_")
	switch {
	case plugin == "instance" || plugin == "type" && id.pluginInstance != "" && id.typeInstance != "":
		plugin = "plugin_instance" // where the peer would lose one of the two
	case plugin[0] >= '0' && plugin[0] <= '9':
		plugin = "_" + plugin
	}
	switch {
	case id.pluginInstance != "" && id.typeInstance != "":
		labels = append(labels, record.Label{Name: plugin, Value: id.pluginInstance}, record.Label{Name: "type", Value: id.typeInstance})
	case id.pluginInstance != "":
		labels = append(labels, record.Label{Name: plugin, Value: id.pluginInstance})
	case id.typeInstance != "":
		labels = append(labels, record.Label{Name: plugin, Value: id.typeInstance})
	}
	return labels
}

// meta describes a metric. All that is in it follows from the plugin, the type
// and the data source.
func (id *identifier) meta(ds string, kind dsType) *record.Meta {
	m := &record.Meta{
		Name: id.metricName(ds, kind),
		Help: fmt.Sprintf("Plugin %s of collectd, type %s, data source %s (%s).", id.plugin, id.typ, ds, kind),
		Type: record.Counter,
	}
	if kind == dsGauge {
		m.Type = record.Gauge
	}
	return m
}
