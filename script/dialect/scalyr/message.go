package scalyr

import (
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"time"

	"scriptbridge/internal/texts"
)

// request is the document that the host reads.
type request struct {
	Protocol     int            `json:"protocol"`
	Mode         string         `json:"mode"`
	Module       string         `json:"module"`
	ID           string         `json:"id"`
	Config       map[string]any `json:"config"`
	Interval     float64        `json:"interval"`
	ModulePaths  []string       `json:"module_paths"`
	AgentPackage string         `json:"agent_package"`
	AgentConfig  map[string]any `json:"agent_config"`
	Debug        int            `json:"debug"`
}

// message is one line of the host's, of whatever kind.
type message struct {
	Type     string `json:"t"`
	Protocol int    `json:"protocol"` // hello
	Python   string `json:"python"`

	Attributes map[string]any `json:"attributes"` // define
	Metrics    []declaration  `json:"metrics"`

	Kind   string `json:"kind"` // refused
	Field  string `json:"field"`
	Hint   string `json:"hint"`
	Detail string `json:"detail"`

	Interval float64 `json:"interval"` // ready
	Samples  *bool   `json:"samples"`  // false: its run is its own

	Time     float64 `json:"time"` // batch
	Duration float64 `json:"duration"`
	More     bool    `json:"more"`
	Error    string  `json:"error"`
	Records  []entry `json:"records"`
	Lines    []struct {
		Text string  `json:"text"`
		ID   *string `json:"id"`
	} `json:"lines"`

	Level string `json:"level"` // log
	Code  string `json:"code"`
	Where string `json:"where"`

	Reason  string `json:"reason"`  // bye
	Message string `json:"message"` // log, refused, bye
}

// entry is one record of a batch: a list of name, value, fields,
// monitor_id and time in milliseconds.
type entry struct {
	record metricRecord
	id     *string
	at     time.Time
}

// UnmarshalJSON reads the list.
func (e *entry) UnmarshalJSON(data []byte) error {
	var parts []json.RawMessage
	if err := json.Unmarshal(data, &parts); err != nil {
		return err
	}
	if len(parts) < 2 {
		return errors.New("a record has no name or value")
	}
	parts = append(parts, nil, nil, nil)
	if err := json.Unmarshal(parts[0], &e.record.name); err != nil {
		return err
	}
	e.record.value = jsonValue(parts[1])
	if isObject(parts[2]) {
		var fields map[string]json.RawMessage
		if err := json.Unmarshal(parts[2], &fields); err != nil {
			return err
		}
		for name, raw := range fields {
			e.record.fields = append(e.record.fields, recordField{name, jsonValue(raw)})
		}
		slices.SortFunc(e.record.fields, func(a, b recordField) int { return strings.Compare(a.name, b.name) })
	}
	if len(parts[3]) > 0 {
		if err := json.Unmarshal(parts[3], &e.id); err != nil {
			return err
		}
	}
	var ms float64
	if len(parts[4]) > 0 && json.Unmarshal(parts[4], &ms) == nil && ms > 0 && ms < 1e15 {
		e.at = time.UnixMilli(int64(ms))
	}
	return nil
}

// jsonValue reads a value: as JSON has it, or {"f": "NaN"} for a number that
// JSON has not.
func jsonValue(raw json.RawMessage) fieldValue {
	var text string
	switch {
	case isObject(raw):
		var special struct {
			F string `json:"f"`
		}
		if json.Unmarshal(raw, &special) == nil {
			if x, ok := notFinite[special.F]; ok {
				return fieldValue{kind: kindNumber, number: x, text: special.F}
			}
		}
	case json.Unmarshal(raw, &text) == nil && len(raw) > 0 && raw[0] == '"':
		return fieldValue{kind: kindText, text: text}
	default:
		if v, ok := scalar(string(raw)); ok {
			return v
		}
	}
	return fieldValue{text: texts.Shorten(string(raw), 40)}
}

func isObject(raw json.RawMessage) bool { return len(raw) > 0 && raw[0] == '{' }
