package nagios

import (
	"errors"
	"math"
	"regexp"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"scriptbridge/record"
	"scriptbridge/script/dialect/lines"
)

// The two series of every plugin that answered.
var (
	stateMeta = &record.Meta{
		Name: "state", Type: record.Gauge,
		Help: "What the plugin found: 0 OK, 1 WARNING, 2 CRITICAL, 3 UNKNOWN.",
	}
	statusMeta = &record.Meta{
		Name: "status info", Type: record.Gauge,
		Help: "The plugin's state and the text that it printed, cut at 256 bytes; always 1.",
		Rare: &record.Rare{Text: "text"},
	}
)

// What an item of performance data can give.
const (
	measured = iota
	warning
	warningLow
	critical
	criticalLow
	minimum
	maximum
)

// names are their names, which the unit follows, and their HELP.
var names = []struct{ name, help string }{
	measured:    {"perfdata", "What the plugin measured: its performance data, in base units."},
	warning:     {"perfdata warning", "Warning threshold of the performance data; of a range the upper end."},
	warningLow:  {"perfdata warning low", "Lower end of the warning range of the performance data."},
	critical:    {"perfdata critical", "Critical threshold of the performance data; of a range the upper end."},
	criticalLow: {"perfdata critical low", "Lower end of the critical range of the performance data."},
	minimum:     {"perfdata minimum", "Lowest value that the performance data can have."},
	maximum:     {"perfdata maximum", "Highest value that the performance data can have."},
}

// limits are the fields behind the value, in order. Where low and high
// are the same, the field is a number and not a range.
var limits = []struct {
	name      string
	high, low int
}{
	{"warning", warning, warningLow},
	{"critical", critical, criticalLow},
	{"minimum", minimum, minimum},
	{"maximum", maximum, maximum},
}

// read gives a decimal number in the base unit.
func (s scale) read(number string) (float64, bool) {
	var v float64
	var ok bool
	if s.shift == 0 {
		v, ok = lines.ParseDecimal(number)
	} else {
		v, ok = shifted(number, s.shift)
	}
	v *= s.times
	return v, ok && !math.IsInf(v, 0)
}

// shifted reads a decimal number times a power of ten.
func shifted(number string, shift int) (float64, bool) {
	mantissa := number
	if e := max(strings.IndexByte(number, 'e'), strings.IndexByte(number, 'E')); e >= 0 {
		was, err := strconv.Atoi(number[e+1:])
		if err != nil {
			return 0, false
		}
		mantissa, shift = number[:e], was+shift
	}
	var short [64]byte // no allocation
	text := append(short[:0], mantissa...)
	return lines.ParseDecimal(strconv.AppendInt(append(text, 'e'), int64(shift), 10))
}

var (
	errDecimalComma = errors.New("a decimal comma is no number (give the plugin env: {LC_ALL: C})")
	errThousands    = errors.New("commas between thousands are no part of a number (have the plugin print it without them, as 1234567)")
	errNumber       = errors.New("the value is not a number, with a unit or without (a value that is not known is U)")
)

// thousands begins a number with commas between thousands. A single one, as in
// 1,234, is more often a decimal comma.
var thousands = regexp.MustCompile(`^[+-]?[0-9]{1,3}(,[0-9]{3}(,[0-9]{3})+([^0-9,]|$)|,[0-9]{3}\.[0-9])`)

// longestUOM bounds a unit, in bytes.
const longestUOM = 32

// cutNumber splits a value into a decimal number and its unit. What does
// not begin as a unit does is no value at all: 1.#INF is no 1.
func cutNumber(text string) (number, uom string, err error) {
	n := numberLen(text)
	number, uom = text[:n], text[n:]
	if uom == "" && n > 0 {
		return number, "", nil
	}
	if !utf8.ValidString(uom) {
		uom = fromLatin1(uom) // 23\xb0C, 5\xb5s
	}
	uom = onceUTF8(uom)
	switch {
	case thousands.MatchString(text):
		return "", "", errThousands
	case len(uom) > 1 && uom[0] == ',' && '0' <= uom[1] && uom[1] <= '9':
		return "", "", errDecimalComma
	case n == 0 || len(uom) > longestUOM || strings.ContainsAny(uom, "0123456789,'\"=:") || !beginsUOM(uom):
		return "", "", errNumber
	}
	return number, uom, nil
}

// fromLatin1 reads bytes as the characters that they are in ISO 8859-1, the
// other set of characters that plugins print.
func fromLatin1(text string) string {
	runes := make([]rune, len(text))
	for i := range len(text) {
		runes[i] = rune(text[i])
	}
	return string(runes)
}

// onceUTF8 undoes what a program does that takes UTF-8 for ISO 8859-1 and encodes
// it again: Â°C.
func onceUTF8(text string) string {
	once := make([]byte, 0, len(text))
	for _, r := range text {
		if r > 0xff {
			return text
		}
		once = append(once, byte(r))
	}
	if !utf8.Valid(once) {
		return text
	}
	return string(once)
}

// beginsUOM reports whether a text begins as a unit, or is none: with a letter,
// a sign that stands for a unit, or a stroke and a letter; or is a lone #, which
// counts.
func beginsUOM(text string) bool {
	r, _ := utf8.DecodeRuneInString(strings.TrimPrefix(text, "/"))
	return text == "" || text == "#" || unicode.IsLetter(r) || text[0] != '/' && (strings.ContainsRune("%‰°℃℉", r) || unicode.Is(unicode.Sc, r))
}

// numberLen is how much of text is a decimal number. An e belongs to it
// only with digits behind: 5e is 5 of some unit. A point without digits behind
// ends a number only where all ends: a C library of Windows prints 1.#INF, cut
// to as many places as are asked for.
func numberLen(text string) int {
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
	point := n
	if n < len(text) && text[n] == '.' {
		n = digits(n + 1)
	}
	bare := n == point+1
	if n < len(text) && (text[n] == 'e' || text[n] == 'E') {
		if from := sign(n + 1); digits(from) > from {
			return digits(from)
		}
	}
	if bare && n < len(text) {
		return point
	}
	return n
}

// readBound reads a number that may repeat the value's unit.
func (s scale) readBound(text, uom string) (float64, bool) {
	if v, ok := s.read(text); ok {
		return v, true
	}
	number, unit, err := cutNumber(text)
	if err != nil || unit != uom {
		return 0, false
	}
	return s.read(number)
}

// rangeKind is a threshold: the plugin warns outside of it, or inside. An end
// that is not there is infinite.
type rangeKind struct {
	low, high       float64
	hasLow, hasHigh bool
	inside          bool
}

// readRange reads [@][start:][end] (Monitoring Plugins Development
// Guidelines, Threshold and ranges). A start that is left out is 0 by the
// guidelines; it is no end here, since it says that a measure which cannot be
// negative is not negative, and since old plugins mean `below` by a bare
// number.
func (s scale) readRange(text, uom string) (r rangeKind, ok bool) {
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
