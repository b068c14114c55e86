package script

import (
	"errors"
	"math"
	"strconv"
	"strings"
	"unicode"

	"scriptbridge/record"
)

// The two series of every plugin that answered.
var (
	nagiosState = &record.Meta{
		Name: "state", Type: record.Gauge,
		Help: "What the plugin found: 0 OK, 1 WARNING, 2 CRITICAL, 3 UNKNOWN.",
	}
	nagiosStatus = &record.Meta{
		Name: "status info", Type: record.Gauge,
		Help: "The plugin's state and the text that it printed, cut at 256 bytes; always 1.",
	}
)

// What an item of performance data can give.
const (
	nagiosValue = iota
	nagiosWarning
	nagiosWarningLow
	nagiosCritical
	nagiosCriticalLow
	nagiosMinimum
	nagiosMaximum
)

// nagiosNames are their names, which the unit follows, and their HELP.
var nagiosNames = []struct{ name, help string }{
	nagiosValue:       {"perfdata", "What the plugin measured: its performance data, in base units."},
	nagiosWarning:     {"perfdata warning", "Warning threshold of the performance data; of a range the upper end."},
	nagiosWarningLow:  {"perfdata warning low", "Lower end of the warning range of the performance data."},
	nagiosCritical:    {"perfdata critical", "Critical threshold of the performance data; of a range the upper end."},
	nagiosCriticalLow: {"perfdata critical low", "Lower end of the critical range of the performance data."},
	nagiosMinimum:     {"perfdata minimum", "Lowest value that the performance data can have."},
	nagiosMaximum:     {"perfdata maximum", "Highest value that the performance data can have."},
}

// nagiosLimits are the fields behind the value, in order. Where low and high
// are the same, the field is a number and not a range.
var nagiosLimits = []struct {
	name      string
	high, low int
}{
	{"warning", nagiosWarning, nagiosWarningLow},
	{"critical", nagiosCritical, nagiosCriticalLow},
	{"minimum", nagiosMinimum, nagiosMinimum},
	{"maximum", nagiosMaximum, nagiosMaximum},
}

// nagiosFamily is what the names of series depend on: a base unit as the
// collector's unit table knows it, and whether the value only grows.
type nagiosFamily struct {
	unit    string
	counter bool
}

// nagiosScale is what becomes of a unit of measurement: a value times 10^shift
// times `times` is in the family's unit. (The shift is made before a number is
// read, so that 0.09 ms are 9e-05 s and not 8.999999999999999e-05.)
type nagiosScale struct {
	nagiosFamily
	shift int
	times float64
}

// read gives a decimal number in the base unit.
func (s nagiosScale) read(number string) (float64, bool) {
	if s.shift != 0 {
		mantissa, exponent, found := strings.Cut(strings.ToLower(number), "e")
		was := 0
		if found {
			var err error
			if was, err = strconv.Atoi(exponent); err != nil {
				return 0, false
			}
		}
		number = mantissa + "e" + strconv.Itoa(was+s.shift)
	}
	v, ok := parseDecimal([]byte(number))
	v *= s.times
	return v, ok && !math.IsInf(v, 0)
}

// nagiosUnits holds, for each family that a plugin has used, the Meta of all
// that an item can give, by nagiosValue and so on.
type nagiosUnits map[nagiosFamily][]*record.Meta

// nagiosMaxUnits bounds the families that one plugin may come up with.
const nagiosMaxUnits = 64

// metas gives those of a family; nil when the plugin has used too many others.
func (u nagiosUnits) metas(f nagiosFamily) []*record.Meta {
	if metas := u[f]; metas != nil || len(u) == nagiosMaxUnits {
		return metas
	}
	for what := range nagiosNames {
		u[f] = append(u[f], newNagiosMeta(f, what))
	}
	return u[f]
}

// newNagiosMeta is that of one family: there is one for each unit. What has no
// unit is called `value`, since a counter takes the bare name.
func newNagiosMeta(f nagiosFamily, what int) *record.Meta {
	m := &record.Meta{Name: nagiosNames[what].name, Help: nagiosNames[what].help, Unit: f.unit, Type: record.Gauge}
	switch {
	case f.counter && what == nagiosValue:
		m.Type = record.Counter
	case f.unit == "":
		m.Name += " value"
	}
	return m
}

// nagiosScales are the units of the guidelines, and ns.
var nagiosScales = map[string]nagiosScale{
	"":   {nagiosFamily{"", false}, 0, 1},
	"c":  {nagiosFamily{"", true}, 0, 1},
	"%":  {nagiosFamily{"ratio", false}, -2, 1},
	"s":  {nagiosFamily{"seconds", false}, 0, 1},
	"ms": {nagiosFamily{"seconds", false}, -3, 1},
	"us": {nagiosFamily{"seconds", false}, -6, 1},
	"µs": {nagiosFamily{"seconds", false}, -6, 1}, // the micro sign
	"μs": {nagiosFamily{"seconds", false}, -6, 1}, // the Greek letter
	"ns": {nagiosFamily{"seconds", false}, -9, 1},
}

// nagiosScaleOf finds a unit: one of the table, bytes or bits with a prefix,
// either by the second, or any other, which stays as it is.
//
// KB, MB and so on are powers of 1024, as in the plugins that print them
// (check_disk and check_swap before they changed to plain B); kb and Mb are
// bits, and as everywhere powers of 1000. A small i makes either 1024.
func nagiosScaleOf(uom string) nagiosScale {
	if scale, ok := nagiosScales[uom]; ok {
		return scale
	}
	rest, perSecond := strings.CutSuffix(uom, "/s")
	if !perSecond {
		rest, perSecond = strings.CutSuffix(uom, "ps") // Mbps
	}
	if scale, ok := nagiosDigital(rest); ok {
		if perSecond {
			scale.unit += "/s"
		}
		return scale
	}
	if uom != "$" && !strings.ContainsFunc(uom, func(r rune) bool { return r < unicode.MaxASCII && unicode.IsLetter(r) }) {
		uom = "" // nothing of it would be left in a name
	}
	return nagiosScale{nagiosFamily{uom, false}, 0, 1}
}

// nagiosDigital reads bytes and bits with their prefix.
func nagiosDigital(uom string) (nagiosScale, bool) {
	scale := nagiosScale{nagiosFamily{"bytes", false}, 0, 1}
	prefix, isBytes := strings.CutSuffix(uom, "B")
	if !isBytes {
		var isBits bool
		if prefix, isBits = strings.CutSuffix(uom, "b"); !isBits {
			return scale, false
		}
		scale.unit = "bits"
	}
	if prefix == "" {
		return scale, true
	}
	prefix, binary := strings.CutSuffix(prefix, "i")
	if len(prefix) != 1 {
		return scale, false
	}
	power := 1 + strings.Index("KMGTPEZY", strings.ToUpper(prefix))
	if isBytes || binary {
		scale.times = math.Pow(1024, float64(power))
	} else {
		scale.shift = 3 * power
	}
	return scale, power > 0
}

var (
	errDecimalComma = errors.New("a decimal comma is no number (give the plugin env: {LC_ALL: C})")
	errNagiosNumber = errors.New("the value is not a number, with a unit or without")
)

// longestUOM bounds a unit, in bytes.
const longestUOM = 32

// cutNagiosNumber splits a value into a decimal number and its unit.
func cutNagiosNumber(text string) (number, uom string, err error) {
	n := nagiosNumberLen(text)
	number, uom = text[:n], text[n:]
	switch {
	case len(uom) > 1 && uom[0] == ',' && '0' <= uom[1] && uom[1] <= '9':
		return "", "", errDecimalComma
	case n == 0 || len(uom) > longestUOM || strings.ContainsAny(uom, "0123456789,'\"=:"):
		return "", "", errNagiosNumber
	}
	return number, uom, nil
}

// nagiosNumberLen is how much of text is a decimal number. An e belongs to it
// only with digits behind: 5e is 5 of some unit.
func nagiosNumberLen(text string) int {
	digits := func(i int) int {
		for i < len(text) && '0' <= text[i] && text[i] <= '9' {
			i++
		}
		return i
	}
	sign := func(i int) int {
		if i < len(text) && (text[i] == '-' || text[i] == '+') {
			i++
		}
		return i
	}
	n := digits(sign(0))
	if n < len(text) && text[n] == '.' {
		n = digits(n + 1)
	}
	if n < len(text) && (text[n] == 'e' || text[n] == 'E') {
		if from := sign(n + 1); digits(from) > from {
			n = digits(from)
		}
	}
	return n
}

// readBound reads a number that may repeat the value's unit.
func (s nagiosScale) readBound(text, uom string) (float64, bool) {
	if v, ok := s.read(text); ok {
		return v, true
	}
	return s.read(strings.TrimSuffix(text, uom))
}

// nagiosRange is a threshold: the plugin warns outside of it, or inside. An end
// that is not there is infinite.
type nagiosRange struct {
	low, high       float64
	hasLow, hasHigh bool
	inside          bool
}

// readRange reads [@][start:][end] (Monitoring Plugins Development
// Guidelines, Threshold and ranges). A start that is left out is 0 by the
// guidelines; it is no end here, since it says that a measure which cannot be
// negative is not negative, and since old plugins mean `below` by a bare
// number.
func (s nagiosScale) readRange(text, uom string) (r nagiosRange, ok bool) {
	text, r.inside = strings.CutPrefix(text, "@")
	start, end, colon := strings.Cut(text, ":")
	if !colon {
		start, end = "", text
		if end == "" {
			return r, false
		}
	}
	if start != "" && start != "~" {
		if r.low, r.hasLow = s.readBound(start, uom); !r.hasLow {
			return r, false
		}
	}
	if end != "" {
		if r.high, r.hasHigh = s.readBound(end, uom); !r.hasHigh {
			return r, false
		}
	}
	return r, !r.hasLow || !r.hasHigh || r.low <= r.high
}
