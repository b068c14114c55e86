package scalyr

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/google/go-cmp/cmp"

	"scriptbridge/internal/testkit/cases"
	"scriptbridge/script/dialect/dialecttest"
)

// FuzzScalyrJSON reads batches as encoding/json does.
func FuzzScalyrJSON(f *testing.F) {
	for _, messages := range dialecttest.Parts(f, "testdata", "messages") {
		for line := range bytes.Lines(messages) {
			f.Add(line)
		}
	}
	for _, list := range []string{
		`[]`, `null`, `[["a",1]]`, `[ [ "a" , 1 , { } , null , null , [{"x":"]"}] ] , ["b",{"f":"NaN"},{"x":{"f":"-Inf"},"y":[1,{"z":"}"}],"x":null},"id",1e3]]`,
		`[["a\u00e9\ud83d\ude00\"\\\/\b\f\n\r\t",1.5e-3,{"b":true,"a":false,"b":"x\u0000"},"\ud800",-1]]`, `[["a",01]]`, `[["a",1,]]`, `[["a",1],]`, `[["a"]]`, `[[null,null]]`, `[[1,1]]`, `[["a",nul]]`,
		`[["a",1e999,null,null,1e999],["b",-0],["c",123456789012345678901234567890]]`, `[["a",1,{"x" 1}]]`, `[["a",1,{"x":1]]`, `[["a",NaN]]`, "[[\"\xff\",\"\x01\"]]", `[["a",1,null,7]]`, `{"a":1}`, `[["\x"]]`, `[["a",1,null,null,"7"]]`, `[{}]`, `[["\u12",1]]`,
	} {
		f.Add([]byte(`{"t":"batch","records":` + list + `,"time":1}`))
	}
	f.Add([]byte(`{"t":"batch","lines":[{"text":"a 1","id":null},{"id":"x","text":"a","more":{"b":[]}},{}],"records":[]}`))
	f.Fuzz(func(t *testing.T, line []byte) {
		r := newJSONReader(string(line))
		defer r.free()
		m, err := readMessage(r)
		var want struct {
			Records []referenceEntry `json:"records"`
			Lines   []struct {
				Text string  `json:"text"`
				ID   *string `json:"id"`
			} `json:"lines"`
		}
		var members map[string]json.RawMessage
		if json.Unmarshal(line, &members) != nil {
			if err == nil {
				t.Errorf("%q was read", line)
			}
			return
		}
		for name := range members { // to encoding/json, Records is records
			if lower := strings.ToLower(name); lower != name || bytes.Count(line, []byte(name)) > 1 || strings.ContainsFunc(name, func(c rune) bool { return c >= 0x80 }) {
				return
			}
		}
		if wantErr := json.Unmarshal(line, new(message)); wantErr != nil {
			return // something else in it
		}
		if wantErr := json.Unmarshal(line, &want); (err == nil) != (wantErr == nil) {
			t.Fatalf("%q: %v, to encoding/json %v", line, err, wantErr)
		}
		if err != nil {
			return
		}
		var got, reference []string
		for _, e := range m.records {
			got = append(got, showEntry(&e))
		}
		for _, e := range want.Records {
			reference = append(reference, showEntry(&e.entry))
		}
		for _, l := range m.lines {
			got = append(got, fmt.Sprintf("%q %t %q", l.text, l.hasID, l.id))
		}
		for _, l := range want.Lines {
			id := ""
			if l.ID != nil {
				id = *l.ID
			}
			reference = append(reference, fmt.Sprintf("%q %t %q", l.Text, l.ID != nil, id))
		}
		if diff := cmp.Diff(reference, got); diff != "" {
			t.Errorf("%q (-encoding/json +ours):\n%s", line, diff)
		}
	})
}

func showEntry(e *entry) string {
	text := fmt.Sprintf("%q %s %t %q %d", e.record.name, showValue(e.record.value), e.hasID, e.id, e.millis)
	for _, f := range e.record.fields {
		text += fmt.Sprintf(" %q=%s", f.name, showValue(f.value))
	}
	return text
}

func showValue(v fieldValue) string { return fmt.Sprintf("%d %v %q", v.kind, v.number, v.text) }

// referenceEntry is an entry that encoding/json reads.
type referenceEntry struct{ entry }

func (e *referenceEntry) UnmarshalJSON(data []byte) error {
	var parts []json.RawMessage
	if err := json.Unmarshal(data, &parts); err != nil {
		return err
	}
	if len(parts) < 2 {
		return errShort
	}
	parts = append(parts, nil, nil, nil)
	if err := json.Unmarshal(parts[0], &e.record.name); err != nil {
		return err
	}
	e.record.value = referenceValue(parts[1])
	if bytes.HasPrefix(parts[2], []byte("{")) {
		var fields map[string]json.RawMessage
		if err := json.Unmarshal(parts[2], &fields); err != nil {
			return err
		}
		for _, name := range slices.Sorted(maps.Keys(fields)) {
			e.record.fields = append(e.record.fields, recordField{name, referenceValue(fields[name])})
		}
	}
	if len(parts[3]) > 0 {
		var id *string
		if err := json.Unmarshal(parts[3], &id); err != nil {
			return err
		}
		if e.hasID = id != nil; e.hasID {
			e.id = *id
		}
	}
	var ms float64
	if len(parts[4]) > 0 && json.Unmarshal(parts[4], &ms) == nil && ms > 0 && ms < 1e15 {
		e.millis = int64(ms)
	}
	return nil
}

func referenceValue(raw json.RawMessage) fieldValue {
	var text string
	var special struct {
		F string `json:"f"`
	}
	var number float64
	switch {
	case raw[0] == '"' && json.Unmarshal(raw, &text) == nil:
		return fieldValue{kind: kindText, text: text}
	case raw[0] == '{' && json.Unmarshal(raw, &special) == nil && notFinite[special.F] != 0:
		return fieldValue{kind: kindNumber, number: notFinite[special.F], text: special.F}
	case raw[0] == 't', raw[0] == 'f':
		return fieldValue{kind: kindBool, number: float64(len("false") - len(raw)), text: string(raw)}
	case json.Unmarshal(raw, &number) == nil && raw[0] != 'n':
		return fieldValue{kind: kindNumber, number: number, text: string(raw)}
	}
	r := jsonReader{text: string(raw)} // null, lists, and what no float64 holds
	return r.value()
}

// FuzzScalyrKnown: what is known of a metric from earlier records changes nothing.
func FuzzScalyrKnown(f *testing.F) {
	for _, c := range cases.All(f, "testdata") {
		f.Add(cases.Part(c.Archive, "messages"))
	}
	f.Add([]byte(`{"t":"batch","time":1,"records":[["a b",1,{"x y":"1","x_y":"2","n":1},null,null],["a_b",2,{"n":2,"x_y":"1","x y":"2"},"i",5],["a_b",1,null,"i",null]]}
{"t":"define","attributes":{"n":"tag","x_y":"t"},"metrics":[{"name":"a b","unit":"ms","cumulative":true,"extra_fields":{"n":""}}]}
{"t":"batch","time":1,"records":[["a b",1,{"n":3,"x y":"1"},null,null],["a_b",2,{"n":"x"},null,5]]}`))
	options := func() map[string]string {
		return map[string]string{"text_values": "{pi: numeric, state: state, info: info}", "max_label_values": "2", "max_families": "4", "max_label_length": "9"}
	}
	var shown, shownAnew strings.Builder
	warm, cold := newSession(f, options(), &shown), newSession(f, options(), &shownAnew)
	f.Fuzz(func(t *testing.T, data []byte) {
		synctest.Test(t, func(t *testing.T) {
			warm, cold := *warm, *cold
			warm.mapper, cold.mapper = newMapper(&warm.runner.options), newMapper(&cold.runner.options)
			shown.Reset()
			shownAnew.Reset()
			for range 3 {
				for line := range bytes.Lines(data) {
					clear(cold.mapper.emitted)
					_ = warm.message(line)
					_ = cold.message(line)
				}
			}
			if diff := cmp.Diff(shownAnew.String(), shown.String()); diff != "" {
				t.Errorf("%s (-without +with what is known):\n%s", data, diff)
			}
		})
	})
}
