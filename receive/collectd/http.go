package collectd

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"time"

	"scriptbridge/internal/admit"
)

// This file reads what collectd's plugin write_http posts with Format "JSON".

// maxBody is how large a request may be, in bytes. write_http sends at
// most its BufferSize, which is 4 KiB by default.
const maxBody = 4 << 20

// maxReading is how many requests that are not small are read at once.
const maxReading = 4

// bodyTime is how long one of those may take to come.
const bodyTime = time.Minute

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
	paced := &admit.Paced{R: r.Body}
	reader, small := admit.Begin(http.MaxBytesReader(w, io.NopCloser(paced), maxBody), r.ContentLength)
	if !small {
		leave, ok := admit.Acquire(r.Context(), c.reading)
		if !ok {
			c.env.Counts.Dropped("request", 1)
			w.Header().Set("Retry-After", "10")
			http.Error(w, "too many send at this time; send it again later", http.StatusServiceUnavailable)
			return
		}
		defer leave()
		paced.Hurry(w, time.Now().Add(bodyTime))
	}
	body, err := io.ReadAll(reader)
	c.env.Counts.Received("http", 1, len(body))
	if err != nil {
		c.env.Counts.Dropped("request", 1)
		status := http.StatusBadRequest
		switch {
		case errors.As(err, new(*http.MaxBytesError)):
			status = http.StatusRequestEntityTooLarge
		case errors.Is(err, admit.ErrSlow):
			w.Header().Set("Retry-After", "10")
			status = http.StatusServiceUnavailable
		}
		http.Error(w, err.Error(), status)
		return
	}
	// One after the other: what a body is taken apart into is many times its
	// size.
	c.parsing.Lock()
	defer c.parsing.Unlock()
	if err := readJSON(body, c.merge.types, &fromSender{c.merge, "the request", sender(r.RemoteAddr)}); err != nil {
		c.env.Counts.Dropped("request", 1)
		http.Error(w, err.Error(), http.StatusBadRequest)
	}
}

// readJSON reads an array of lists of values, notifications and alerts.
// What is wrong with one of them, or with one value of a list, costs no other;
// an error is for what is no such array, of which nothing is taken.
func readJSON(body []byte, types typesDB, to consumer) error {
	var items []json.RawMessage
	err := json.Unmarshal(body, &items)
	if errors.As(err, new(*json.SyntaxError)) {
		err = json.Unmarshal(quoteBare(body), &items)
	}
	if err != nil {
		if bytes.HasPrefix(body, []byte("PUTVAL")) || bytes.HasPrefix(body, []byte("PUTNOTIF")) {
			return errors.New(`this is not JSON; write Format "JSON" into collectd's configuration of write_http`)
		}
		return fmt.Errorf("this is no JSON array of values or notifications: %s", jsonProblem(err))
	}
	for n, item := range items {
		if err := readItem(item, types, to); err != nil {
			to.reject(malformed, fmt.Errorf("item %d: %w", n+1, err))
		}
	}
	return nil
}

// bareNumber is what C prints for what is no finite number, which JSON cannot say,
// with the end of the value.
var bareNumber = regexp.MustCompile(`(?i)^([+-]?)(nan(?:\([a-z0-9_]*\))?|inf(?:inity)?)([\s,\]}]|$)`)

// quoteBare makes NaN and infinities values that JSON has, as in quotes: one that
// stands bare would cost the whole request. Texts stay as they are, and so does
// everything else.
func quoteBare(body []byte) []byte {
	out := make([]byte, 0, len(body)+64)
	begins, inText := true, false // a value can begin here; this is within quotes
	for i := 0; i < len(body); i++ {
		c := body[i]
		switch {
		case inText && c == '\\' && i+1 < len(body):
			out = append(out, c)
			i++
			c = body[i]
		case c == '"':
			inText = !inText
		case begins && !inText && strings.IndexByte("+-nNiI", c) >= 0:
			if m := bareNumber.FindSubmatch(body[i:min(len(body), i+longestBare)]); m != nil {
				if m[2][0]|0x20 == 'n' {
					out = append(out, "null"...)
				} else {
					out = append(append(append(append(out, '"'), m[1]...), m[2]...), '"')
				}
				i += len(m[1]) + len(m[2]) - 1
				begins = false
				continue
			}
		}
		begins = !inText && strings.IndexByte("[:, \t\r\n", c) >= 0
		out = append(out, c)
	}
	return out
}

// longestBare bounds what is looked at of one.
const longestBare = 64

// jsonItem is one element of what write_http sends: values; or a
// notification in the form of an alert, as Alertmanager's; or one that has the
// fields of values.
type jsonItem struct {
	Values         []json.RawMessage `json:"values"`
	DSTypes        []string          `json:"dstypes"`
	DSNames        []string          `json:"dsnames"`
	Time           jsonText          `json:"time"`     // Unix time
	Interval       jsonText          `json:"interval"` // seconds
	Host           string            `json:"host"`
	Plugin         string            `json:"plugin"`
	PluginInstance string            `json:"plugin_instance"`
	Type           string            `json:"type"`
	TypeInstance   string            `json:"type_instance"`

	Severity string `json:"severity"`
	Message  string `json:"message"`

	Labels      map[string]jsonText `json:"labels"`
	Annotations map[string]jsonText `json:"annotations"`
	StartsAt    jsonText            `json:"startsAt"`
	EndsAt      jsonText            `json:"endsAt"`
}

// jsonText is a text, or whatever stands in the place of one as it is written:
// numbers come in quotes and without. null is the empty text.
type jsonText string

// UnmarshalJSON never fails.
func (t *jsonText) UnmarshalJSON(data []byte) error {
	var s string
	if json.Unmarshal(data, &s) != nil {
		s = string(data)
	}
	*t = jsonText(s)
	return nil
}

// number reads one; 0 for an empty text.
func (t jsonText) number(what string) (float64, error) {
	if t == "" {
		return 0, nil
	}
	v, err := strconv.ParseFloat(strings.TrimSpace(string(t)), 64)
	if err != nil {
		return 0, fmt.Errorf("%s %.100q is no number", what, string(t))
	}
	return v, nil
}

// parseTime reads a time of an alert; zero for none, which Alertmanager writes as
// one in the year 1.
func (t jsonText) parseTime(what string) (time.Time, error) {
	if t == "" {
		return time.Time{}, nil
	}
	at, err := time.Parse(time.RFC3339, string(t))
	if err != nil {
		return time.Time{}, fmt.Errorf("%s %.100q is no time; it is written like 2006-01-02T15:04:05Z", what, string(t))
	}
	if at.Unix() <= 0 {
		at = time.Time{}
	}
	return at, nil
}

func readItem(data []byte, types typesDB, to consumer) error {
	var item jsonItem
	if err := json.Unmarshal(data, &item); err != nil {
		return errors.New(jsonProblem(err))
	}
	switch {
	case item.Labels != nil || item.Annotations != nil:
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

func (item *jsonItem) id() identifier {
	return identifier{item.Host, item.Plugin, item.PluginInstance, item.Type, item.TypeInstance}
}

// list takes an item of values. Its own types count; those of types.db only
// where it has none.
func (item *jsonItem) list(types typesDB, to consumer) error {
	id := item.id()
	if err := id.check(); err != nil {
		return err
	}
	l := valueList{key: id.key(), names: item.DSNames}
	at, errTime := item.Time.number("time")
	interval, errInterval := item.Interval.number("interval")
	if err := cmp.Or(errTime, errInterval); err != nil {
		return fmt.Errorf("%s: %w", &id, err)
	}
	l.time, l.interval = unixFloat(at), secondsFloat(interval)
	sources := types[id.typ]
	switch {
	case len(item.Values) == 0:
		return fmt.Errorf("%s: it has no values", &id)
	case len(item.DSTypes) == 0 && len(sources) == len(item.Values):
		for _, s := range sources {
			item.DSTypes = append(item.DSTypes, s.kind.String())
		}
	case len(item.DSTypes) != len(item.Values):
		return fmt.Errorf("%s: it has %d values and %d dstypes", &id, len(item.Values), len(item.DSTypes))
	}
	for i, raw := range item.Values {
		v, err := parseJSONValue(raw, item.DSTypes[i])
		if err != nil {
			to.reject(malformed, fmt.Errorf("%s: %w", &id, err))
		} else if v.kind != dsGauge && !v.none() && v.value != math.Trunc(v.value) {
			err = errors.New("a rate")
			to.reject("rate", fmt.Errorf("%s: a %s of %v is a rate; write StoreRates false into collectd's configuration of write_http", &id, v.kind, v.value))
		}
		v.refused = err != nil
		l.values = append(l.values, v)
	}
	to.list(&l)
	return nil
}

// parseJSONValue reads a number, in quotes or without, or null for none.
func parseJSONValue(raw json.RawMessage, dstype string) (dsValue, error) {
	kind, ok := parseDSType(dstype)
	if !ok {
		return dsValue{}, fmt.Errorf("there is no dstype %.100q", dstype)
	}
	if string(raw) == "null" {
		return dsValue{kind: kind, value: math.NaN()}, nil
	}
	var text jsonText
	_ = text.UnmarshalJSON(raw) // which never fails
	value, err := strconv.ParseFloat(strings.TrimSpace(string(text)), 64)
	if err != nil {
		return dsValue{}, fmt.Errorf("%.100q is no number", string(text))
	}
	return dsValue{kind: kind, value: value}, nil
}

func (item *jsonItem) notification(to consumer) error {
	if item.Severity == "" {
		return errors.New("the notification has no severity")
	}
	severity, ok := parseSeverity(item.Severity)
	if !ok {
		return noSeverity(item.Severity)
	}
	at, err := item.Time.number("time")
	if err != nil {
		return err
	}
	to.notice(notification{identifier: item.id(), time: unixFloat(at), severity: severity, message: item.Message})
	return nil
}

func noSeverity(name string) error { return fmt.Errorf("there is no severity %.100q", name) }

// alert takes a notification in the form in which write_http sends it: the
// plugin's name is that of a label, and there only beside an instance.
func (item *jsonItem) alert(to consumer) error {
	severity, err := item.alertSeverity()
	if err != nil {
		return err
	}
	n := notification{
		severity: severity, message: string(item.Annotations["summary"]),
		alert: strings.TrimPrefix(string(item.Labels["alertname"]), "collectd_"),
	}
	if n.time, err = item.StartsAt.parseTime("startsAt"); err != nil {
		return err
	}
	if n.ends, err = item.EndsAt.parseTime("endsAt"); err != nil {
		return err
	}
	n.host, n.typeInstance = string(item.Labels["instance"]), string(item.Labels["type"])
	for name, value := range item.Labels {
		switch name {
		case "alertname", "instance", "severity", "service", "type":
		default:
			if n.plugin == "" || name < n.plugin { // there is one; of several one is chosen that is the same each time
				n.plugin, n.pluginInstance = name, string(value)
			}
		}
	}
	to.notice(n)
	return nil
}

// alertSeverity is the severity of an alert. Collectd has it among the
// annotations since 2022, so that the alerts of one thing have the same labels;
// before that it was a label.
func (item *jsonItem) alertSeverity() (string, error) {
	err := errors.New("the alert has no severity, neither among its annotations nor among its labels")
	for _, where := range []map[string]jsonText{item.Annotations, item.Labels} {
		name := string(where["severity"])
		if severity, ok := parseSeverity(name); ok {
			return severity, nil
		}
		if name != "" {
			err = noSeverity(name)
		}
	}
	return "", err
}

// unixFloat is a time in Unix seconds; zero for one that means nothing.
func unixFloat(seconds float64) time.Time {
	if !(seconds > 0 && seconds < 1<<34) {
		return time.Time{}
	}
	whole, more := math.Modf(seconds)
	return unixTime(uint64(whole), time.Duration(math.Round(more*1e3))*time.Millisecond)
}

// secondsFloat is a duration of at most maxInterval; 0 for one that means
// nothing.
func secondsFloat(seconds float64) time.Duration {
	if !(seconds > 0) {
		return 0
	}
	return time.Duration(min(seconds, maxInterval.Seconds()) * float64(time.Second))
}
