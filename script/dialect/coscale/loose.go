package coscale

import (
	"encoding/json"
	"math"
	"strings"

	"scriptbridge/script/dialect/lines"
)

// The declaration as JSON. Every field takes whatever JSON stands there, so
// that one odd value costs itself and not the script.
type (
	declaration struct {
		Period     looseText `json:"period"`
		MaxRuntime looseText `json:"maxruntime"`
		Metrics    looseList `json:"metrics"`
		Events     looseList `json:"events"`
	}
	declaredMetric struct {
		ID          looseText `json:"id"`
		Name        looseText `json:"name"`
		Description looseText `json:"description"`
		Groups      looseText `json:"groups"`
		Unit        looseText `json:"unit"`
		Tags        looseText `json:"tags"`
		Datatype    looseText `json:"datatype"`
		Calctype    looseText `json:"calctype"`
		Dimensions  looseList `json:"dimensions"`
	}
	declaredEvent struct {
		ID          looseText `json:"id"`
		Name        looseText `json:"name"`
		Description looseText `json:"description"`
		Attributes  looseList `json:"attributeDescriptions"`
	}
	declaredPart struct { // a dimension or an attribute
		ID   looseText `json:"id"`
		Name looseText `json:"name"`
	}
)

// looseText is a JSON string's text, any other value's own spelling, and
// empty for null.
type looseText string

// UnmarshalJSON never fails.
func (t *looseText) UnmarshalJSON(raw []byte) error {
	var s string
	if err := json.Unmarshal(raw, &s); err != nil { // null leaves s empty
		s = string(raw)
	}
	*t = looseText(s)
	return nil
}

// String is for messages, where a hostile length has no place.
func (t looseText) String() string { return string(lines.Clip([]byte(t))) }

func (t looseText) blank() bool { return strings.TrimSpace(string(t)) == "" }

// number reads "60", 60 and 60.0.
func (t looseText) number() (float64, bool) {
	return lines.ParseDecimal([]byte(strings.TrimSpace(string(t))))
}

// id reads an id: a whole number that is not negative, as number or text.
func (t looseText) id() (uint64, bool) {
	digits := strings.TrimSpace(string(t))
	id, rest, ok := cutID([]byte(digits))
	if ok && len(rest) == 0 {
		return id, true
	}
	v, ok := t.number() // 1.0, 1e3
	if !ok || v < 0 || v != math.Trunc(v) || v > 1<<53 {
		return 0, false
	}
	return uint64(v), true
}

// looseList is a JSON list; odd is what stood there instead of one. An empty
// object is an empty list, since PHP's json_encode cannot tell them apart.
type looseList struct {
	items []json.RawMessage
	odd   string
}

// UnmarshalJSON never fails.
func (l *looseList) UnmarshalJSON(raw []byte) error {
	var object map[string]json.RawMessage
	if json.Unmarshal(raw, &l.items) != nil && (json.Unmarshal(raw, &object) != nil || len(object) > 0) {
		l.odd = string(lines.Clip(raw))
	}
	return nil
}
