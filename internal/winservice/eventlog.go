package winservice

import (
	"bytes"
	"encoding/json"
	"regexp"
	"strings"
)

// The ids of entries in the event log, which are constant.
const (
	idLog    = 1 // a line of the program's log
	idEvents = 2 // an event that a script or a receiver has told
)

// severity is how the event log marks an entry.
type severity int

const (
	information severity = iota
	warning
	failure
)

// entries writes each line to the event log. What is no line of a log, such as the error
// that ends the program, has the severity otherwise.
type entries struct {
	id        uint32
	otherwise severity
	report    func(s severity, id uint32, text string) error
}

func (e *entries) Write(p []byte) (int, error) {
	for line := range bytes.Lines(p) {
		text := strings.ToValidUTF8(strings.TrimRight(string(line), "\r\n"), "\uFFFD")
		if text == "" {
			continue
		}
		s := e.otherwise
		if e.id == idLog {
			s = severityOf(text, e.otherwise)
		}
		for _, piece := range pieces(text, mostOfEntry) {
			if err := e.report(s, e.id, piece); err != nil {
				return 0, err
			}
		}
	}
	return len(p), nil
}

var logfmtLevel = regexp.MustCompile(`^(?:ts=\S+ )?level=(\w+) `)

// severityOf finds the level of a line of the log, of either format.
func severityOf(line string, otherwise severity) severity {
	var of struct{ Level string }
	if m := logfmtLevel.FindStringSubmatch(line); m != nil {
		of.Level = m[1]
	} else if !strings.HasPrefix(line, "{") || json.Unmarshal([]byte(line), &of) != nil {
		return otherwise
	}
	switch of.Level {
	case "error":
		return failure
	case "warn":
		return warning
	case "info", "debug":
		return information
	}
	return otherwise
}

// mostOfEntry is how many UTF-16 units one entry takes: the limit is 31,839.
const mostOfEntry = 31_000

// pieces cuts a text that is too long for one entry. No entry has a NUL, which would end it.
func pieces(text string, most int) (all []string) {
	text = strings.ReplaceAll(text, "\x00", "\uFFFD")
	begin, units := 0, 0
	for i, r := range text {
		n := 1
		if r >= 0x10000 {
			n = 2
		}
		if units+n > most {
			all = append(all, text[begin:i])
			begin, units = i, 0
		}
		units += n
	}
	return append(all, text[begin:])
}
