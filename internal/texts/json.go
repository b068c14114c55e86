package texts

import (
	"bytes"
	"encoding/json"
	"errors"
)

// JSON is encoding/json's text of a value, on one line, in which <, > and & stand
// as they are.
func JSON(v any) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	err := e.Encode(v)
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), err
}

// Member is one of the members of a JSON object.
type Member struct {
	Name  string
	Value json.RawMessage
}

// Text is the text of a string, and anything else as it was written.
func (m Member) Text() string {
	var s string
	if m.Value[0] == '"' && json.Unmarshal(m.Value, &s) == nil {
		return s
	}
	return string(m.Value)
}

// Members gives the members of a JSON object in their order, those that have
// one name included.
func Members(object []byte) ([]Member, error) {
	d := json.NewDecoder(bytes.NewReader(object))
	if t, err := d.Token(); err != nil || t != json.Delim('{') {
		return nil, errors.New("it is no object")
	}
	var list []Member
	for d.More() {
		name, err := d.Token()
		if err != nil {
			return nil, err
		}
		m := Member{Name: name.(string)} // or Token had given an error
		if err := d.Decode(&m.Value); err != nil {
			return nil, err
		}
		list = append(list, m)
	}
	if _, err := d.Token(); err != nil {
		return nil, err
	}
	if d.More() {
		return nil, errors.New("something follows it")
	}
	return list, nil
}
