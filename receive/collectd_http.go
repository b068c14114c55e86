package receive

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// This file reads what collectd's plugin write_http posts with Format "JSON".

// collectdBody is how large a request may be, in bytes. write_http sends at
// most its BufferSize, which is 4 KiB by default.
const collectdBody = 4 << 20

// ServeHTTP takes a request of write_http. It is answered when its values are
// taken in; what is wrong with some of them is told as it is for packets.
func (c *collectd) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodPost {
		w.Header().Set("Allow", http.MethodPost)
		http.Error(w, "POST what collectd's write_http sends", http.StatusMethodNotAllowed)
		return
	}
	if e := r.Header.Get("Content-Encoding"); e != "" && e != "identity" {
		http.Error(w, "send it as it is, without Content-Encoding", http.StatusUnsupportedMediaType)
		return
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, collectdBody))
	c.env.Counts.Received("http", 1, len(body))
	if err != nil {
		c.env.Counts.Dropped("request", 1)
		status := http.StatusBadRequest
		if errors.As(err, new(*http.MaxBytesError)) {
			status = http.StatusRequestEntityTooLarge
		}
		http.Error(w, err.Error(), status)
		return
	}
	// One after the other: what a body is taken apart into is many times its
	// size.
	c.parsing.Lock()
	defer c.parsing.Unlock()
	if err := readCollectdJSON(body, c.merge.types, collectdFrom{c.merge, "the request", r.RemoteAddr}); err != nil {
		c.env.Counts.Dropped("request", 1)
		http.Error(w, err.Error(), http.StatusBadRequest)
	}
}

// readCollectdJSON reads an array of lists of values, notifications and alerts.
// What is wrong with one of them, or with one value of a list, costs no other;
// an error is for what is no such array, of which nothing is taken.
func readCollectdJSON(body []byte, types collectdTypes, to collectdTaker) error {
	var items []json.RawMessage
	if err := json.Unmarshal(body, &items); err != nil {
		if bytes.HasPrefix(body, []byte("PUTVAL")) || bytes.HasPrefix(body, []byte("PUTNOTIF")) {
			return errors.New(`this is not JSON; write Format "JSON" into collectd's configuration of write_http`)
		}
		return fmt.Errorf("this is no JSON array of values or notifications: %s", jsonProblem(err))
	}
	for n, item := range items {
		if err := readCollectdItem(item, types, to); err != nil {
			to.bad(collectdMalformed, fmt.Errorf("item %d: %w", n+1, err))
		}
	}
	return nil
}

// collectdItem is one element of what write_http sends: values; or a
// notification in the form of an alert, as Alertmanager's; or one that has the
// fields of values.
type collectdItem struct {
	Values         []json.RawMessage `json:"values"`
	DSTypes        []string          `json:"dstypes"`
	DSNames        []string          `json:"dsnames"`
	Time           float64           `json:"time"`     // Unix time
	Interval       float64           `json:"interval"` // seconds
	Host           string            `json:"host"`
	Plugin         string            `json:"plugin"`
	PluginInstance string            `json:"plugin_instance"`
	Type           string            `json:"type"`
	TypeInstance   string            `json:"type_instance"`

	Severity string `json:"severity"`
	Message  string `json:"message"`

	Labels      map[string]string `json:"labels"`
	Annotations struct {
		Summary string `json:"summary"`
	} `json:"annotations"`
	StartsAt time.Time `json:"startsAt"`
}

func readCollectdItem(data []byte, types collectdTypes, to collectdTaker) error {
	var item collectdItem
	if err := json.Unmarshal(data, &item); err != nil {
		return errors.New(jsonProblem(err))
	}
	switch {
	case item.Labels != nil:
		return item.alert(to)
	case item.Severity != "" || item.Message != "":
		return item.notification(to)
	}
	return item.list(types, to)
}

// jsonProblem tells what is wrong without the names of our own types.
func jsonProblem(err error) string {
	var wrong *json.UnmarshalTypeError
	switch {
	case !errors.As(err, &wrong):
		return err.Error()
	case wrong.Field != "":
		return fmt.Sprintf("%s is of the type %s", wrong.Field, wrong.Value)
	}
	return "it is of the type " + wrong.Value
}

func (item *collectdItem) id() collectdID {
	return collectdID{item.Host, item.Plugin, item.PluginInstance, item.Type, item.TypeInstance}
}

// list takes an item of values. Its own types count; those of types.db only
// where it has none.
func (item *collectdItem) list(types collectdTypes, to collectdTaker) error {
	l := collectdList{collectdID: item.id(), time: unixFloat(item.Time), interval: secondsFloat(item.Interval), names: item.DSNames}
	if err := l.check(); err != nil {
		return err
	}
	sources := types[l.typ]
	switch {
	case len(item.Values) == 0:
		return fmt.Errorf("%s: it has no values", &l.collectdID)
	case len(item.DSTypes) == 0 && len(sources) == len(item.Values):
		for _, s := range sources {
			item.DSTypes = append(item.DSTypes, s.kind.String())
		}
	case len(item.DSTypes) != len(item.Values):
		return fmt.Errorf("%s: it has %d values and %d dstypes", &l.collectdID, len(item.Values), len(item.DSTypes))
	}
	for i, raw := range item.Values {
		v, err := collectdJSONValue(raw, item.DSTypes[i])
		if err != nil {
			to.bad(collectdMalformed, fmt.Errorf("%s: %w", &l.collectdID, err))
		} else if v.kind != collectdGauge && !v.none() && v.value != math.Trunc(v.value) {
			err = errors.New("a rate")
			to.bad("rate", fmt.Errorf("%s: a %s of %v is a rate; write StoreRates false into collectd's configuration of write_http", &l.collectdID, v.kind, v.value))
		}
		v.refused = err != nil
		l.values = append(l.values, v)
	}
	to.list(&l)
	return nil
}

// collectdJSONValue reads a number, or null for none.
func collectdJSONValue(raw json.RawMessage, dstype string) (collectdValue, error) {
	kind, ok := collectdKindOf(dstype)
	if !ok {
		return collectdValue{}, fmt.Errorf("there is no dstype %.100q", dstype)
	}
	if string(raw) == "null" {
		return collectdValue{kind: kind, value: math.NaN()}, nil
	}
	value, err := strconv.ParseFloat(string(raw), 64)
	if err != nil {
		return collectdValue{}, fmt.Errorf("%.100q is no number", raw)
	}
	return collectdValue{kind: kind, value: value}, nil
}

func (item *collectdItem) notification(to collectdTaker) error {
	severity, ok := collectdSeverityOf(item.Severity)
	if !ok {
		return fmt.Errorf("there is no severity %.100q", item.Severity)
	}
	to.notice(collectdNotice{collectdID: item.id(), time: unixFloat(item.Time), severity: severity, message: item.Message})
	return nil
}

// alert takes a notification in the form in which write_http sends it: the
// plugin's name is that of a label, and there only beside an instance.
func (item *collectdItem) alert(to collectdTaker) error {
	severity, ok := collectdSeverityOf(item.Labels["severity"])
	if !ok {
		return fmt.Errorf("there is no severity %.100q", item.Labels["severity"])
	}
	n := collectdNotice{
		time: item.StartsAt, severity: severity, message: item.Annotations.Summary,
		alert: strings.TrimPrefix(item.Labels["alertname"], "collectd_"),
	}
	n.host, n.typeInstance = item.Labels["instance"], item.Labels["type"]
	for name, value := range item.Labels {
		switch name {
		case "alertname", "instance", "severity", "service", "type":
		default:
			if n.plugin == "" || name < n.plugin { // there is one; of several one is chosen that is the same each time
				n.plugin, n.pluginInstance = name, value
			}
		}
	}
	to.notice(n)
	return nil
}

// unixFloat is a moment in Unix time; zero for one that means nothing.
func unixFloat(seconds float64) time.Time {
	if !(seconds > 0 && seconds < 1<<34) {
		return time.Time{}
	}
	whole, more := math.Modf(seconds)
	return collectdTime(uint64(whole), time.Duration(math.Round(more*1e3))*time.Millisecond)
}

// secondsFloat is a duration of at most collectdSlowest; 0 for one that means
// nothing.
func secondsFloat(seconds float64) time.Duration {
	if !(seconds > 0) {
		return 0
	}
	return time.Duration(min(seconds, collectdSlowest.Seconds()) * float64(time.Second))
}
