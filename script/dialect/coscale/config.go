package coscale

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"scriptbridge/record"
	"scriptbridge/script/dialect/lines"
)

// Bounds on a declaration, far above any script's and there for hostile ones.
const (
	maxDeclared        = 10_000 // metrics, and as many events
	maxDimensions      = 100    // of one metric
	maxPeriodDeclared  = 7 * 24 * time.Hour
	maxRunTimeDeclared = time.Minute
	maxWarnings        = 50
)

// configuration is what a script declares with -c, ready for reading lines.
type configuration struct {
	period     time.Duration // 0: not declared
	maxRuntime time.Duration // 0: not declared
	metrics    map[uint64]*metric
	events     map[uint64]*record.EventMeta
	declared   *record.Declared
	warnings   []string
	// What is odd about the declared times, which is of no interest where the
	// operator sets others.
	periodWarnings, runTimeWarnings []string
	maxSamples                      int // more in one run are refused
}

// metric is one declared metric.
type metric struct {
	meta       *record.Meta
	op         record.Op
	index      int // its place in declared.Metrics
	dimensions []declaredDimension
}

// declaredDimension has an id that means something within its metric only.
type declaredDimension struct {
	id   uint64
	name string
}

// parseConfig reads what a script printed for -c. Without a configuration the error says why nothing of it can be used;
// with one it joins a record.LineError, its Line 0, for each metric and event
// that was refused.
func parseConfig(out []byte) (*configuration, error) {
	out = bytes.TrimPrefix(out, []byte("\ufeff"))
	if len(bytes.TrimSpace(out)) == 0 {
		return nil, errSilent
	}
	declaration, warnings, err := decodeConfig(out)
	if err != nil {
		return nil, err
	}
	b := configBuilder{configuration: &configuration{
		metrics:    make(map[uint64]*metric),
		events:     make(map[uint64]*record.EventMeta),
		declared:   new(record.Declared),
		warnings:   warnings,
		maxSamples: maxSamples,
	}}
	b.times(declaration)
	b.list("metrics", declaration.Metrics, b.metric)
	b.list("events", declaration.Events, b.event)
	if len(b.metrics)+len(b.events) == 0 {
		return nil, errors.Join(append([]error{errors.New("the configuration declares neither metrics nor events")}, b.refused...)...)
	}
	return b.configuration, errors.Join(b.refused...)
}

// decodeConfig finds the JSON object in out and decodes it. Text before
// it (PHP's warnings, a PowerShell profile's greeting) and after it is
// tolerated: the first line that begins with a brace begins the object.
func decodeConfig(out []byte) (*declaration, []string, error) {
	start := -1
	for at := 0; at < len(out) && start < 0; {
		line, _, _ := bytes.Cut(out[at:], []byte("\n"))
		if bytes.HasPrefix(lines.TrimBlanks(line), []byte("{")) {
			start = at
		}
		at += len(line) + 1
	}
	if start < 0 {
		return nil, nil, notDeclaration(out, "no line begins with {")
	}
	decoder := json.NewDecoder(bytes.NewReader(out[start:]))
	declaration := new(declaration)
	if err := decoder.Decode(declaration); err != nil {
		offset := len(out)
		if syntax, ok := errors.AsType[*json.SyntaxError](err); ok {
			offset = min(start+int(syntax.Offset), len(out))
		} else if errors.Is(err, io.ErrUnexpectedEOF) {
			err = errors.New("it ends too early")
		}
		line := 1 + bytes.Count(bytes.TrimRight(out[:offset], " \t\r\n"), []byte("\n"))
		return nil, nil, notDeclaration(out, fmt.Sprintf("line %d: %v", line, err))
	}
	var warnings []string
	if before := bytes.TrimSpace(out[:start]); len(before) > 0 {
		warnings = append(warnings, fmt.Sprintf("the configuration output has text before the JSON, which is ignored: %q", lines.Clip(before)))
	}
	if after := bytes.TrimSpace(out[start+int(decoder.InputOffset()):]); len(after) > 0 {
		warnings = append(warnings, fmt.Sprintf("the configuration output has text after the JSON, which is ignored: %q", lines.Clip(after)))
	}
	return declaration, warnings, nil
}

// notDeclaration is the error for output that is not JSON.
func notDeclaration(out []byte, why string) error {
	for line := range lines.Trimmed(out) {
		if isData(line) {
			return errDataLines
		}
	}
	return fmt.Errorf("the configuration output is not JSON: %s", why)
}

// configBuilder makes a configuration of a declaration.
type configBuilder struct {
	*configuration
	refused []error
	rares   map[[2]string]*record.Rare // by groups and tags
}

func (b *configBuilder) warn(format string, args ...any) {
	b.warnings = addWarning(b.warnings, format, args...)
}

func (b *configBuilder) refuse(raw []byte, reason, format string, args ...any) {
	b.refused = append(b.refused, &record.LineError{
		Text: string(raw[:min(len(raw), lines.MaxText)]), Reason: reason, Err: fmt.Errorf(format, args...),
	})
}

// times reads period and maxruntime.
func (b *configBuilder) times(d *declaration) {
	b.period, b.periodWarnings = declaredDuration("period", d.Period, time.Second, maxPeriodDeclared)
	if b.period > 0 && b.period < time.Minute {
		b.periodWarnings = addWarning(b.periodWarnings, "the declared period of %q seconds is under 60: 60 is used (interval: goes below it)", d.Period)
		b.period = time.Minute
	}
	b.maxRuntime, b.runTimeWarnings = declaredDuration("maxruntime", d.MaxRuntime, time.Millisecond, maxRunTimeDeclared)
	if b.maxRuntime > 0 && b.maxRuntime < 100*time.Millisecond {
		b.runTimeWarnings = addWarning(b.runTimeWarnings, "the declared maxruntime is %s: it is in milliseconds, and few scripts are that fast", b.maxRuntime)
	}
}

// declaredDuration reads a number of units; 0 stands for the default.
func declaredDuration(what string, text looseText, unit, most time.Duration) (d time.Duration, warnings []string) {
	if text.blank() {
		return 0, nil
	}
	v, ok := text.number()
	switch {
	case !ok || v <= 0:
		return 0, addWarning(nil, "the declared %s %q is not a number above 0: the default is used", what, text)
	case v > float64(most/unit):
		return most, addWarning(nil, "the declared %s %q is too large: %s is used", what, text, most)
	}
	return time.Duration(v * float64(unit)), nil
}

// list gives each item of a list to add, within bounds.
func (b *configBuilder) list(what string, l looseList, add func(raw []byte)) {
	if l.odd != "" {
		b.warn("the declared %s are not a list and are ignored: %s", what, l.odd)
	}
	for i, raw := range l.items {
		if i == maxDeclared {
			b.refuse(raw, "too_many", "the script declares %d %s: the first %d are used", len(l.items), what, maxDeclared)
			return
		}
		add(raw)
	}
}

func (b *configBuilder) metric(raw []byte) {
	var d declaredMetric
	id, ok := b.identify("metric", raw, &d, &d.ID, &d.Name, func(id uint64) bool { return b.metrics[id] != nil })
	if !ok {
		return
	}
	dimensions, ok := b.dimensions(raw, &d)
	if !ok {
		return
	}
	meta := &record.Meta{
		ID: strconv.FormatUint(id, 10), Name: string(d.Name), Help: string(d.Description),
		Unit: string(d.Unit), Rare: b.rare(string(d.Groups), string(d.Tags)),
	}
	for _, dimension := range dimensions {
		meta.Dimensions = append(meta.Dimensions, dimension.name)
	}
	m := &metric{meta: meta, index: len(b.declared.Metrics), dimensions: dimensions}
	b.types(m, &d)
	b.metrics[id] = m
	b.declared.Metrics = append(b.declared.Metrics, meta)
}

// rare keeps groups and tags, which many metrics have in common.
func (b *configBuilder) rare(groups, tags string) *record.Rare {
	key := [...]string{groups, tags}
	if b.rares[key] == nil && groups+tags != "" {
		if b.rares == nil {
			b.rares = make(map[[2]string]*record.Rare)
		}
		b.rares[key] = &record.Rare{Groups: groups, Tags: tags}
	}
	return b.rares[key]
}

// identify decodes a metric or event into d and reads the id and name in it.
func (b *configBuilder) identify(what string, raw []byte, d any, id, name *looseText, taken func(uint64) bool) (uint64, bool) {
	if json.Unmarshal(raw, d) != nil || raw[0] != '{' {
		b.refuse(raw, "not_an_object", "a declared %s is not a JSON object", what)
		return 0, false
	}
	n, ok := id.id()
	switch {
	case id.blank():
		b.refuse(raw, "no_id", "%s %q is declared without an id", what, *name)
	case !ok:
		b.refuse(raw, "bad_id", "%s %q has the id %q, which is not a whole number from 0", what, *name, *id)
	case name.blank():
		b.refuse(raw, "no_name", "%s %d is declared without a name", what, n)
	case taken(n):
		b.refuse(raw, "duplicate_id", "%s id %d is declared twice: the first one is used, %q is not", what, n, *name)
	default:
		return n, true
	}
	return 0, false
}

func (b *configBuilder) dimensions(raw []byte, d *declaredMetric) ([]declaredDimension, bool) {
	if d.Dimensions.odd != "" {
		b.warn("the dimensions of metric %q are not a list and are ignored: %s", d.Name, d.Dimensions.odd)
	}
	if n := len(d.Dimensions.items); n > maxDimensions {
		b.refuse(raw, "too_many", "metric %q declares %d dimensions: %d are the most", d.Name, n, maxDimensions)
		return nil, false
	}
	var all []declaredDimension
	for _, item := range d.Dimensions.items {
		var part declaredPart
		_ = json.Unmarshal(item, &part) // what is not an object has no id
		id, ok := part.ID.id()
		if !ok {
			b.warn("a dimension of metric %q has no id that is a whole number from 0, and is ignored: %s", d.Name, lines.Clip(item))
			continue
		}
		if part.Name.blank() {
			part.Name = looseText("dimension_" + strconv.FormatUint(id, 10))
		}
		dimension := declaredDimension{id, string(part.Name)}
		if findDimension(all, id) >= 0 {
			b.warn("dimension id %d of metric %q is declared twice: the first one is used, %q is not", id, d.Name, dimension.name)
			continue
		}
		all = append(all, dimension)
	}
	return all, true
}

func findDimension(all []declaredDimension, id uint64) int {
	return slices.IndexFunc(all, func(d declaredDimension) bool { return d.id == id })
}

// types decides what kind of number the metric is.
func (b *configBuilder) types(m *metric, d *declaredMetric) {
	datatype := strings.ToUpper(strings.TrimSpace(string(d.Datatype)))
	switch datatype {
	case "GAUGE", "COUNT", "COUNTER", "DOUBLE":
	case "GUAGE": // the vendor's own documentation spells it so
		datatype = "GAUGE"
	default:
		if datatype != "" {
			b.warn("metric %q has the unknown datatype %q: DOUBLE is used (GAUGE, COUNT, COUNTER and DOUBLE are known)", d.Name, d.Datatype)
		}
		datatype = "DOUBLE"
	}
	calctype := record.CalctypeAverage
	switch strings.ToLower(strings.TrimSpace(string(d.Calctype))) {
	case "average":
	case "difference":
		calctype = "Difference"
	case "instant", "":
		calctype = "Instant"
	default:
		b.warn("metric %q has the unknown calctype %q: Instant is used (Instant, Difference and Average are known)", d.Name, d.Calctype)
		calctype = "Instant"
	}
	m.meta.Datatype, m.meta.Calctype, m.meta.Type = datatype, calctype, record.Gauge
	switch {
	case calctype == "Difference" && datatype != "GAUGE",
		calctype == "Instant" && datatype == "COUNTER":
		m.meta.Type = record.Counter
	case calctype == "Instant" && datatype == "COUNT":
		m.meta.Type, m.op = record.Counter, record.Add
	}
}

func (b *configBuilder) event(raw []byte) {
	var d declaredEvent
	id, ok := b.identify("event", raw, &d, &d.ID, &d.Name, func(id uint64) bool { return b.events[id] != nil })
	if !ok {
		return
	}
	if d.Attributes.odd != "" {
		b.warn("the attributeDescriptions of event %q are not a list and are ignored: %s", d.Name, d.Attributes.odd)
	}
	meta := &record.EventMeta{ID: strconv.FormatUint(id, 10), Name: string(d.Name), Description: string(d.Description)}
	for _, item := range d.Attributes.items {
		var part declaredPart
		_ = json.Unmarshal(item, &part) // what is not an object has no name
		if !part.Name.blank() {
			meta.Attributes = append(meta.Attributes, string(part.Name))
		}
	}
	b.events[id] = meta
	b.declared.Events = append(b.declared.Events, meta)
}

// addWarning keeps the list short.
func addWarning(list []string, format string, args ...any) []string {
	switch {
	case len(list) < maxWarnings:
		return append(list, fmt.Sprintf(format, args...))
	case len(list) == maxWarnings:
		return append(list, "there are more warnings of this script than are shown")
	}
	return list
}
