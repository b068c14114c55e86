package yamltree

import (
	"cmp"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/alecthomas/units"
	"github.com/prometheus/common/model"
)

// Problem is what is wrong with a value. Text continues the name of the
// thing: `interval` + ` 5 has no unit`.
type Problem struct{ Text, Remedy string }

// Problemf is a Problem with a formatted Text.
func Problemf(remedy, format string, args ...any) *Problem {
	return &Problem{Text: fmt.Sprintf(format, args...), Remedy: remedy}
}

// Single gives a scalar's text, a number's as it was written.
func (v *Value) Single() (string, *Problem) {
	switch v.Kind {
	case Scalar:
		return v.Text, nil
	case Null:
		return "", Problemf("give it a value", "has no value")
	}
	return "", Problemf("write one value behind it", "is %s, not a single value", v.Kind)
}

// Duration reads what Prometheus reads: 500ms, 30s, 5m, 1h30m, 1d.
func (v *Value) Duration() (time.Duration, *Problem) {
	text, p := v.Single()
	if p != nil {
		return 0, p
	}
	if n, err := strconv.ParseUint(text, 10, 64); err == nil && n > 0 {
		return 0, Problemf("write "+text+"s", "%s has no unit", text)
	}
	d, err := model.ParseDuration(text)
	if err != nil {
		return 0, Problemf(cmp.Or(likeDuration(text), "write it like 30s, 5m or 1h30m"), "%q is not a duration", text)
	}
	return time.Duration(d), nil
}

// Bytes reads a number of bytes: 16MiB, 1GiB, 512KiB, 16MB, 4096.
func (v *Value) Bytes() (int64, *Problem) {
	text, p := v.Single()
	if p != nil {
		return 0, p
	}
	if n, err := strconv.ParseInt(text, 10, 64); err == nil {
		return n, nil
	}
	n, err := units.ParseStrictBytes(text)
	if err != nil {
		return 0, Problemf(cmp.Or(likeBytes(text), "write it like 512KiB, 16MiB or 4096"), "%q is not a number of bytes", text)
	}
	return n, nil
}

var (
	// longUnit is a number with a unit as people write it.
	longUnit = regexp.MustCompile(`(?i)([0-9]) *(seconds?|secs?|s|minutes?|mins?|m|hours?|hrs?|h|days?|d|weeks?|w)\b`)
	// shortSize is a size with a letter or a space that units do not take.
	shortSize = regexp.MustCompile(`(?i)^([0-9]+) *([kmgt])(i?b?)$`)
)

// likeDuration says how to write what is meant for a duration; "" where that cannot
// be told.
func likeDuration(text string) string {
	spelled := longUnit.ReplaceAllStringFunc(text, func(s string) string {
		m := longUnit.FindStringSubmatch(s)
		if len(m[2]) == 1 {
			return m[1] + m[2]
		}
		return m[1] + strings.ToLower(m[2][:1])
	})
	spelled = strings.ReplaceAll(spelled, " ", "")
	if d, err := model.ParseDuration(spelled); err == nil && d > 0 {
		return "write " + spelled
	}
	if d, err := time.ParseDuration(strings.ReplaceAll(spelled, ",", ".")); err == nil && d >= time.Millisecond {
		return "write " + model.Duration(d).String()
	}
	return map[string]string{"hourly": "write 1h", "daily": "write 1d", "weekly": "write 1w"}[text]
}

// likeBytes says how to write what is meant for a number of bytes; "" where that
// cannot be told.
func likeBytes(text string) string {
	m := shortSize.FindStringSubmatch(text)
	if m == nil {
		return ""
	}
	unit := strings.ToUpper(m[2])
	if strings.EqualFold(m[3], "b") {
		return "write " + m[1] + unit + "B"
	}
	return "write " + m[1] + unit + "iB"
}

// Bool takes true and false alone: `yes` is a text in YAML 1.2.
func (v *Value) Bool() (bool, *Problem) {
	text, p := v.Single()
	if p != nil {
		return false, p
	}
	switch {
	case v.str:
	case strings.EqualFold(text, "true"):
		return true, nil
	case strings.EqualFold(text, "false"):
		return false, nil
	}
	remedy := "write true or false"
	switch strings.ToLower(text) {
	case "true", "false":
		remedy = "write " + strings.ToLower(text) + ", without quotes"
	case "yes", "on", "y", "1":
		remedy = "write true"
	case "no", "off", "n", "0":
		remedy = "write false"
	}
	return false, Problemf(remedy, "%q is neither true nor false", text)
}

// Integer takes decimal digits that fit into bits.
func (v *Value) Integer(bits int) (int64, *Problem) {
	text, p := v.Single()
	if p != nil {
		return 0, p
	}
	n, err := strconv.ParseInt(text, 10, bits)
	if err != nil {
		return 0, Problemf("write digits alone, such as 100", "%q is not a whole number", text)
	}
	return n, nil
}

// Float takes what ParseFloat does.
func (v *Value) Float() (float64, *Problem) {
	text, p := v.Single()
	if p != nil {
		return 0, p
	}
	x, err := strconv.ParseFloat(text, 64)
	if err != nil {
		return 0, Problemf("write it like 0.5", "%q is not a number", text)
	}
	return x, nil
}
