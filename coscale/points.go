package coscale

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"

	"scriptbridge/internal/texts"
)

// TextPoint is one point in the words of a person or a script, who may name
// what it is about.
type TextPoint struct {
	Text       string // all of it, as it was written
	Metric     Name
	Subject    Name
	Kind       Kind // of the subject: Servers, ServerGroups, or "" for the application
	Point      Point
	Dimensions map[string]string
}

// Name is an object by its id or, where Name is not empty, by its name.
type Name struct {
	ID   int64
	Name string
}

// ParsePoints reads points in the grammar of coscale-cli's --data:
//
//	METRIC:SUBJECT:TIME:VALUE[:{"DIMENSION":"VALUE",…}][;…]
//
// METRIC is M and an id, or a name; SUBJECT is A, S and an id, G and an id, or
// a server's name. A name stands in double quotes, with JSON's escapes, where
// it could be taken for something else. VALUE is a number, or a histogram:
// [samples,width,[values]]. A line's end ends a point as a semicolon does, and
// the last point needs neither.
//
// The error joins one *pointError for each point that could not be read; all
// others are given.
func ParsePoints(text string) ([]TextPoint, error) {
	var points []TextPoint
	var errs []error
	n := 0
	for line := range strings.Lines(text) {
		for line != "" {
			var one string
			one, line = cutPoint(line)
			if one = strings.TrimSpace(one); one == "" {
				continue
			}
			n++
			p, err := parsePoint(one)
			if err != nil {
				errs = append(errs, &pointError{Number: n, Text: one, Err: err})
				continue
			}
			points = append(points, p)
		}
	}
	return points, errors.Join(errs...)
}

// pointError says which of several points was left out, and why.
type pointError struct {
	Number int    // from 1
	Text   string // as it was written
	Err    error
}

func (e *pointError) Error() string {
	return fmt.Sprintf("point %d, %s: %v", e.Number, texts.OneLine(e.Text), e.Err)
}

func (e *pointError) Unwrap() error { return e.Err }

// cutPoint cuts a line at the first semicolon that no quotes hold. Where the
// quotes do not end, it is the very first: the points behind it may be good.
func cutPoint(line string) (one, rest string) {
	quoted := false
	for i := 0; i < len(line); i++ {
		switch {
		case line[i] == '\\' && quoted:
			i++
		case line[i] == '"':
			quoted = !quoted
		case line[i] == ';' && !quoted:
			return line[:i], line[i+1:]
		}
	}
	if quoted {
		one, rest, _ = strings.Cut(line, ";")
		return one, rest
	}
	return line, ""
}

func parsePoint(text string) (TextPoint, error) {
	p := TextPoint{Text: text}
	metric, quoted, rest, err := cutName(text)
	if err != nil {
		return p, fmt.Errorf("metric: %w", err)
	}
	if p.Metric, err = metricOf(metric, quoted); err != nil {
		return p, err
	}
	subject, quoted, rest, err := cutName(rest)
	if err != nil {
		return p, fmt.Errorf("subject: %w", err)
	}
	if p.Kind, p.Subject, err = subjectOf(subject, quoted); err != nil {
		return p, err
	}
	seconds, rest, ok := strings.Cut(rest, ":")
	if !ok {
		return p, errors.New("has no value; write METRIC:SUBJECT:TIME:VALUE")
	}
	if p.Point.Time, err = strconv.ParseInt(strings.TrimSpace(seconds), 10, 64); err != nil || p.Point.Time >= 1<<53 || p.Point.Time <= -1<<53 {
		return p, fmt.Errorf("time %q is no whole number; write Unix seconds, 0 for now, or -60 for a minute ago", seconds)
	}
	rest, dimensions, err := parseValue(rest, &p.Point)
	if err != nil || !dimensions {
		return p, err
	}
	if err := json.Unmarshal([]byte(rest), &p.Dimensions); err != nil || p.Dimensions == nil {
		return p, fmt.Errorf(`dimensions %s are none; write {"NAME":"VALUE",…}, both in double quotes`, rest)
	}
	if _, bad := p.Dimensions[""]; bad {
		return p, errors.New("a dimension has no name")
	}
	return p, nil
}

// cutName cuts what stands before a colon, quoted or not.
func cutName(text string) (name string, quoted bool, rest string, err error) {
	if !strings.HasPrefix(text, `"`) {
		name, rest, ok := strings.Cut(text, ":")
		if !ok {
			return "", false, "", errors.New("no colon follows; write METRIC:SUBJECT:TIME:VALUE")
		}
		return strings.TrimSpace(name), false, rest, nil
	}
	dec := json.NewDecoder(strings.NewReader(text))
	if err := dec.Decode(&name); err != nil {
		return "", true, "", errors.New("its quotes do not end")
	}
	rest, ok := strings.CutPrefix(text[dec.InputOffset():], ":")
	if !ok {
		return "", true, "", errors.New("no colon follows the quotes; write METRIC:SUBJECT:TIME:VALUE")
	}
	return name, true, rest, nil
}

func metricOf(text string, quoted bool) (Name, error) {
	switch {
	case text == "":
		return Name{}, errors.New("has no metric; write M and its id, or its name")
	case !quoted && (text[0] == 'M' || text[0] == 'm'):
		if id, err := strconv.ParseInt(text[1:], 10, 64); err == nil && id > 0 {
			return Name{ID: id}, nil
		}
	}
	return Name{Name: text}, nil
}

func subjectOf(text string, quoted bool) (Kind, Name, error) {
	switch {
	case text == "":
		return "", Name{}, errors.New("has no subject; write A for the application, S and a server's id, or a server's name")
	case quoted:
		return Servers, Name{Name: text}, nil
	case len(text) == 1 && text != "a" && text != "A":
		return Servers, Name{Name: text}, nil
	}
	kind, id, err := ParseSubject(text)
	if err != nil {
		return Servers, Name{Name: text}, nil
	}
	return kind, Name{ID: id}, nil
}

// parseValue reads a number or a histogram, and gives the dimensions' text
// where one follows.
func parseValue(text string, into *Point) (rest string, more bool, err error) {
	const remedy = "write it like 1.5, -2e3 or [samples,width,[values]]"
	if strings.HasPrefix(text, "[") {
		dec := json.NewDecoder(strings.NewReader(text))
		var raw json.RawMessage
		if err := dec.Decode(&raw); err != nil {
			return "", false, fmt.Errorf("histogram %s does not end well; %s", texts.OneLine(text), remedy)
		}
		if into.Histogram, err = readHistogram(raw); err != nil {
			return "", false, fmt.Errorf("histogram %s: %w", texts.OneLine(string(raw)), err)
		}
		text = text[dec.InputOffset():]
		if text == "" {
			return "", false, nil
		}
		rest, more = strings.CutPrefix(text, ":")
		if !more {
			return "", false, fmt.Errorf("%q follows the histogram", text)
		}
		return rest, true, nil
	}
	value, rest, more := strings.Cut(text, ":")
	value = strings.TrimSpace(value)
	into.Value, err = strconv.ParseFloat(value, 64)
	if err != nil || strings.Trim(value, "0123456789+-.eE") != "" || math.IsInf(into.Value, 0) {
		return "", false, fmt.Errorf("value %q is no number; %s", value, remedy)
	}
	return rest, more, nil
}
