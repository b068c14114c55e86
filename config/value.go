package config

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/alecthomas/units"
	"github.com/prometheus/common/model"
)

// fault is what is wrong with a value. Problem continues the name of the
// thing: `interval` + ` 5 has no unit`.
type fault struct{ problem, remedy string }

func faultf(remedy, format string, args ...any) *fault {
	return &fault{fmt.Sprintf(format, args...), remedy}
}

// single gives a scalar's text, a number's as it was written.
func (v *value) single() (string, *fault) {
	switch v.kind {
	case scalar:
		return v.text, nil
	case null:
		return "", faultf("give it a value", "has no value")
	}
	return "", faultf("write one value behind it", "is %s, not a single value", v.kind)
}

// duration reads what Prometheus reads: 500ms, 30s, 5m, 1h30m, 1d.
func (v *value) duration() (time.Duration, *fault) {
	text, ft := v.single()
	if ft != nil {
		return 0, ft
	}
	if n, err := strconv.ParseUint(text, 10, 64); err == nil && n > 0 {
		return 0, faultf("write "+text+"s", "%s has no unit", text)
	}
	d, err := model.ParseDuration(text)
	if err != nil {
		return 0, faultf("write it like 30s, 5m or 1h30m", "%q is not a duration", text)
	}
	return time.Duration(d), nil
}

// bytes reads a number of bytes: 16MiB, 1GiB, 512KiB, 16MB, 4096.
func (v *value) bytes() (int64, *fault) {
	text, ft := v.single()
	if ft != nil {
		return 0, ft
	}
	if n, err := strconv.ParseInt(text, 10, 64); err == nil {
		return n, nil
	}
	n, err := units.ParseStrictBytes(text)
	if err != nil {
		return 0, faultf("write it like 512KiB, 16MiB or 4096", "%q is not a number of bytes", text)
	}
	return n, nil
}

// boolean takes true and false alone: `yes` is a text in YAML 1.2.
func (v *value) boolean() (bool, *fault) {
	text, ft := v.single()
	if ft != nil {
		return false, ft
	}
	switch {
	case v.str:
	case strings.EqualFold(text, "true"):
		return true, nil
	case strings.EqualFold(text, "false"):
		return false, nil
	}
	return false, faultf("write true or false", "%q is neither true nor false", text)
}

// integer takes decimal digits that fit into bits.
func (v *value) integer(bits int) (int64, *fault) {
	text, ft := v.single()
	if ft != nil {
		return 0, ft
	}
	n, err := strconv.ParseInt(text, 10, bits)
	if err != nil {
		return 0, faultf("write digits alone, such as 100", "%q is not a whole number", text)
	}
	return n, nil
}

// float takes what ParseFloat does.
func (v *value) float() (float64, *fault) {
	text, ft := v.single()
	if ft != nil {
		return 0, ft
	}
	x, err := strconv.ParseFloat(text, 64)
	if err != nil {
		return 0, faultf("write it like 0.5", "%q is not a number", text)
	}
	return x, nil
}

// plain gives what encoding/json would: nil, bool, int64, float64, string,
// []any, map[string]any. A number that Go cannot read is a string.
func (v *value) plain() any {
	switch v.kind {
	case null:
		return nil
	case list:
		items := make([]any, len(v.items))
		for i, item := range v.items {
			items[i] = item.plain()
		}
		return items
	case object:
		fields := make(map[string]any, len(v.fields))
		for _, f := range v.fields {
			fields[f.key] = f.value.plain()
		}
		return fields
	}
	if v.str {
		return v.text
	}
	if b, ft := v.boolean(); ft == nil {
		return b
	}
	if n, err := strconv.ParseInt(v.text, 0, 64); err == nil {
		return n
	}
	if x, err := strconv.ParseFloat(v.text, 64); err == nil {
		return x
	}
	return v.text
}
