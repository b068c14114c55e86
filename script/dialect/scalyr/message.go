package scalyr

import "encoding/json"

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

	records []entry // "records" and "lines", likewise
	lines   []logLine

	Level string `json:"level"` // log
	Code  string `json:"code"`
	Where string `json:"where"`

	Reason  string `json:"reason"`  // bye
	Message string `json:"message"` // log, refused, bye
}

// readMessage reads one. Its lists are taken out of it, and encoding/json reads what is
// left. They are the reader's.
func readMessage(r *jsonReader) (*message, error) {
	m := new(message)
	rest, from := make([]byte, 0, 1024), 0
	r.object(func(name string) {
		r.next()
		switch begin := r.at; name {
		case "records":
			m.records = r.entries()
			rest, from = append(append(rest, r.text[from:begin]...), "null"...), r.at
		case "lines":
			m.lines = r.logLines()
			rest, from = append(append(rest, r.text[from:begin]...), "null"...), r.at
		default:
			r.raw()
		}
	})
	if err := json.Unmarshal(append(rest, r.text[from:]...), m); err != nil && r.err == nil {
		return nil, err
	}
	return m, r.err
}
