package lines

import (
	"regexp"
	"strings"
)

// NameValue is a line of a name, a value and perhaps a time.
type NameValue struct{ Name, Time string }

var form = regexp.MustCompile(`^\s*(\S+)\s+[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?(\s+(\d+))?\s*$`)

// NameValues gives the lines of an output that have this form, if they are half
// of all that are not empty, or more: which Prometheus's text format and
// Instrumental's have in common.
func NameValues(out []byte) (plain []NameValue) {
	all := NotEmpty(out)
	for _, line := range all {
		if m := form.FindStringSubmatch(line); m != nil {
			plain = append(plain, NameValue{m[1], m[5]})
		}
	}
	if len(plain) < len(all)/2 {
		return nil
	}
	return plain
}

// NotEmpty gives the lines of an output that are not empty.
func NotEmpty(out []byte) []string {
	return strings.FieldsFunc(string(out), func(r rune) bool { return r == '\n' || r == '\r' })
}
