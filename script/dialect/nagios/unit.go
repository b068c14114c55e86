package nagios

import (
	"math"
	"slices"
	"strings"
	"unicode"

	"scriptbridge/internal/units"
	"scriptbridge/record"
)

// family is what the names of series depend on: the words of a unit, and
// whether the value only grows.
type family struct {
	unit    string
	counter bool
}

// scale is what becomes of a unit of measurement: a value times 10^shift
// times `times` is in the family's unit. (The shift is made before a number is
// read, so that 0.09 ms are 9e-05 s and not 8.999999999999999e-05.)
type scale struct {
	family
	shift int
	times float64
	// other is a unit that is not known, as printed: its value stays as it is.
	other string
}

// unitTable is what is known of the units that a plugin has used.
type unitTable struct {
	// families has the Meta of all that an item can give, by measured and so on.
	families map[family][]*record.Meta
	// spelt are units as they were printed. What one means never changes.
	spelt map[string]unit
}

// unit is one of measurement.
type unit struct {
	uom string
	scale
}

func newUnits() *unitTable {
	return &unitTable{families: make(map[family][]*record.Meta), spelt: make(map[string]unit)}
}

const (
	// maxUnits bounds the families that one plugin may come up with.
	maxUnits = 64
	// maxSpelt bounds the spellings that are known; others are worked out each time.
	maxSpelt = 256
)

// metas gives those of a scale; nil when the plugin has used too many others.
func (u *unitTable) metas(s scale) []*record.Meta {
	f := s.family
	if metas := u.families[f]; metas != nil || len(u.families) == maxUnits {
		return metas
	}
	for what := range names {
		u.families[f] = append(u.families[f], newMeta(s, what))
	}
	return u.families[f]
}

// cutNumber splits a value into a decimal number and its unit.
func (u *unitTable) cutNumber(text string) (number string, of unit, err error) {
	n := numberLen(text)
	if of, ok := u.spelt[text[n:]]; ok && n > 0 {
		return text[:n], of, nil
	}
	number, of.uom, err = cutNumber(text)
	of.scale = scaleOf(of.uom)
	if err == nil && len(u.spelt) < maxSpelt {
		u.spelt[strings.Clone(text[n:])] = of
	}
	return number, of, err
}

// newMeta is that of one family: there is one for each unit. What has no
// unit is called `value`, since a counter takes the bare name.
func newMeta(s scale, what int) *record.Meta {
	m := &record.Meta{Name: names[what].name, Help: names[what].help, Unit: s.unit, Type: record.Gauge}
	if s.other != "" {
		m.Unit = s.other // of which its sink makes the family's words in turn
	}
	switch {
	case s.counter && what == measured:
		m.Type = record.Counter
	case m.Unit == "":
		m.Name += " value"
	}
	return m
}

// isUnknown reports whether a value is U, with a unit that it would have or
// without: plugins print it for what they could not measure.
func (u *unitTable) isUnknown(text string) bool {
	text, ok := strings.CutPrefix(text, "U")
	if !ok {
		return false
	}
	number, uom, err := cutNumber("0" + text)
	if err != nil || number != "0" || len(uom) == 1 && strings.Contains(prefixes, uom) { // such as UP
		return false
	}
	scale := scaleOf(uom)
	return scale.other == "" || u.families[scale.family] != nil
}

// words are units that have no prefix, free of case but for single
// letters. Times are those of Icinga 2, whose m is a minute and whose MS is a
// millisecond.
var words = map[string]scale{
	"": baseUnit("", 0, 1), "%": baseUnit("ratio", -2, 1), "percent": baseUnit("ratio", -2, 1), "pct": baseUnit("ratio", -2, 1), "‰": baseUnit("ratio", -3, 1),
	"ms": baseUnit("seconds", -3, 1), "us": baseUnit("seconds", -6, 1), "ns": baseUnit("seconds", -9, 1), "m": baseUnit("seconds", 0, 60), "min": baseUnit("seconds", 0, 60), "mins": baseUnit("seconds", 0, 60), "minute": baseUnit("seconds", 0, 60), "minutes": baseUnit("seconds", 0, 60),
	"h": baseUnit("seconds", 0, 3600), "hr": baseUnit("seconds", 0, 3600), "hrs": baseUnit("seconds", 0, 3600), "hour": baseUnit("seconds", 0, 3600), "hours": baseUnit("seconds", 0, 3600),
	"d": baseUnit("seconds", 0, 86400), "day": baseUnit("seconds", 0, 86400), "days": baseUnit("seconds", 0, 86400), "week": baseUnit("seconds", 0, 604800), "weeks": baseUnit("seconds", 0, 604800),
	"F": baseUnit("fahrenheit", 0, 1), "rpm": baseUnit("rpm", 0, 1), "deg": baseUnit("degrees", 0, 1), "degree": baseUnit("degrees", 0, 1), "degrees": baseUnit("degrees", 0, 1),
}

func baseUnit(unit string, shift int, times float64) scale {
	return scale{family: family{unit: unit}, shift: shift, times: times}
}

// scaleOf finds a unit: bytes, bits, times and SI's units with their
// prefixes, each by a time or not, or any other, which stays as it is.
func scaleOf(uom string) scale {
	if uom == "c" {
		return scale{family: family{counter: true}, times: 1}
	}
	main, after, rate := strings.Cut(uom, "/")
	scale, known := mainUnit(main, rate)
	if rest, ok := cutOneOf(uom, []string{"ps", "PS", "pS", "Ps"}); ok && !known && endsDigital(rest) {
		scale, known = digital(rest, true) // Mbps, kbitps, MBPS
		after = "s"
	}
	if known {
		_, per := units.Name("/" + after)
		scale.unit = units.Join(scale.unit, per)
		return scale
	}
	if uom != "$" && !strings.ContainsFunc(uom, func(r rune) bool { return r < unicode.MaxASCII && unicode.IsLetter(r) }) {
		return baseUnit("", 0, 1) // nothing of it would be left in a name
	}
	scale = baseUnit(units.Join(units.Name(uom)), 0, 1)
	scale.other = uom
	return scale
}

// mainUnit finds what stands in front of a unit's stroke, in a rate or not.
func mainUnit(uom string, rate bool) (scale, bool) {
	word := uom
	if len(uom) > 1 {
		word = strings.ToLower(uom)
	}
	if scale, ok := words[word]; ok {
		return scale, true
	}
	if scale, ok := digital(uom, rate); ok {
		return scale, true
	}
	q, ok := units.SI(uom)
	if !ok {
		q, ok = units.AnyCase(uom)
	}
	return baseUnit(q.Base, q.Power, 1), ok
}

// endsDigital reports whether a unit ends as bytes and bits do: Tps are none.
func endsDigital(uom string) bool {
	_, ok := cutOneOf(strings.ToLower(uom), slices.Concat(byteWords, bitWords, []string{"b"}))
	return ok
}

const prefixes = "KMGTPEZY" // of bytes and bits, each 1024 or 1000 times the one before

var (
	byteWords   = []string{"bytes", "byte", "octets", "octet"}
	bitWords    = []string{"bits", "bit"}
	prefixWords = []string{"kilo", "mega", "giga", "tera", "peta"}
	binaryWords = []string{"kibi", "mebi", "gibi", "tebi", "pebi"}
)

// digital reads bytes and bits with their prefix, whose case says nothing.
//
// KB, MB and so on are powers of 1024, as in the plugins that print them
// (check_disk and check_swap before they changed to plain B). A small b is a
// byte too where it is an amount, as check_nt prints it (75.49Gb of a disk), and
// a bit in a rate, there by powers of 1000, as everywhere; a small i makes them
// 1024. The prefix alone is bytes: so did NSClient++ print them, from the
// smallest disk to the largest.
func digital(uom string, rate bool) (scale, bool) {
	bits := false
	prefix, found := cutOneOf(strings.ToLower(uom), byteWords)
	if !found {
		if prefix, bits = cutOneOf(strings.ToLower(uom), bitWords); bits {
			found = true
		}
	}
	long := found
	if !found {
		if prefix, found = strings.CutSuffix(uom, "B"); !found {
			prefix, found = strings.CutSuffix(uom, "b")
			bits = found && rate
		}
	}
	if !found { // the prefix alone, or with the o of an octet
		prefix = strings.TrimSuffix(uom, "o")
		if len(prefix) != 1 || !strings.Contains(prefixes[:5], prefix) {
			return scale{}, false
		}
	}
	power, binary, ok := power(prefix, long)
	switch {
	case !ok:
		return scale{}, false
	case bits && binary:
		return baseUnit("bits", 0, math.Pow(1024, power)), true
	case bits:
		return baseUnit("bits", 3*int(power), 1), true
	default:
		return baseUnit("bytes", 0, math.Pow(1024, power)), true
	}
}

// power reads a prefix of bytes and bits: a letter with a small i or
// without, or, in front of a word, a word.
func power(prefix string, long bool) (power float64, binary, ok bool) {
	if prefix == "" {
		return 0, false, true
	}
	if long {
		if i := slices.Index(prefixWords, prefix); i >= 0 {
			return float64(1 + i), false, true
		}
		if i := slices.Index(binaryWords, prefix); i >= 0 {
			return float64(1 + i), true, true
		}
	}
	letter, binary := strings.CutSuffix(prefix, "i")
	if len(letter) != 1 {
		return 0, false, false
	}
	i := strings.Index(prefixes, strings.ToUpper(letter))
	return float64(1 + i), binary, i >= 0
}

// cutOneOf cuts the first of some ends off a text.
func cutOneOf(text string, ends []string) (before string, found bool) {
	for _, end := range ends {
		if before, found = strings.CutSuffix(text, end); found {
			return before, true
		}
	}
	return text, false
}
