// Package units reads units of measurement as people write them: symbols with
// SI's prefixes, whose case carries meaning, and words, whose case does not. It
// is pure and knows no source and no sink.
package units

import (
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/prometheus/otlptranslator"
)

// Quantity is a unit as a base unit and a power of ten: a value in the unit
// times 10^Power is in the base unit.
type Quantity struct {
	Base   string // in the plural, words joined by _: watt_hours
	Prefix string // the power in a word: milli; empty for none
	Power  int
}

// prefix is one of SI's.
type prefix struct {
	symbol, word string
	power        int
}

var prefixes = []prefix{
	{"p", "pico", -12}, {"n", "nano", -9}, {"u", "micro", -6}, {"µ", "micro", -6}, {"μ", "micro", -6}, {"m", "milli", -3},
	{"c", "centi", -2}, {"d", "deci", -1}, {"h", "hecto", 2},
	{"k", "kilo", 3}, {"K", "kilo", 3}, {"M", "mega", 6}, {"G", "giga", 9}, {"T", "tera", 12},
}

// Which prefixes stand in front of a symbol: not all do that SI has, since most
// of those would only be other units, such as PS or EA, read wrongly.
const (
	common = "pnuµμmkKMGT"
	near   = "cdh" + common // of what people measure by hand
	small  = "pnuµμm"
	heat   = "m"
)

// symbol is a base unit by its symbol. Where more than one unit has the symbol,
// it is of this one only behind a prefix.
type symbol struct {
	base     string
	prefixes string
	bound    bool
}

// symbols are read with their case.
var symbols = map[string]symbol{
	"s": {"seconds", common, false},
	"m": {"meters", near, false}, "g": {"grams", near, false}, "l": {"liters", near, false}, "L": {"liters", near, false},
	"A": {"amperes", common, false}, "Ah": {"ampere_hours", common, false},
	"V": {"volts", common, false}, "VA": {"volt_amperes", common, false}, "VAh": {"volt_ampere_hours", common, false},
	"W": {"watts", common, false}, "Wh": {"watt_hours", common, false}, "Ws": {"joules", common, false}, "J": {"joules", common, false},
	"var": {"volt_amperes_reactive", common, false}, "VAr": {"volt_amperes_reactive", common, false}, "VAR": {"volt_amperes_reactive", common, false},
	"varh": {"volt_ampere_hours_reactive", common, false}, "VArh": {"volt_ampere_hours_reactive", common, false},
	"\u03a9": {"ohms", common, false}, "\u2126": {"ohms", common, false}, "Ohm": {"ohms", common, false}, "ohm": {"ohms", common, false}, "O": {"ohms", common, false},
	"S": {"siemens", small + "k", true}, "F": {"farads", small, true}, "H": {"henries", small, true}, "T": {"teslas", small, true}, "Wb": {"webers", common, false},
	"Hz": {"hertz", common, false}, "HZ": {"hertz", "kKMGT", false}, "Pa": {"pascals", near, false}, "bar": {"bars", near, false}, "N": {"newtons", common, false}, "Nm": {"newton_meters", common, false},
	"lm": {"lumens", common, false}, "lx": {"lux", common, false}, "cd": {"candelas", common, false}, "mol": {"moles", common, false},
	"Bq": {"becquerels", common, false}, "Sv": {"sieverts", common, false}, "Gy": {"grays", common, false}, "eV": {"electronvolts", common, false},
	"cal": {"calories", "kK", false}, "K": {"kelvin", small, true}, "°K": {"kelvin", small, false}, "degK": {"kelvin", small, false},
	"C": {"celsius", heat, false}, "°C": {"celsius", heat, false}, "℃": {"celsius", heat, false}, "degC": {"celsius", heat, false}, "Cel": {"celsius", heat, false},
	"°F": {"fahrenheit", heat, false}, "℉": {"fahrenheit", heat, false}, "degF": {"fahrenheit", heat, false}, "°": {"degrees", "", false},
	"pH": {"ph", "", false}, "dB": {"decibels", "", false}, "dBm": {"decibel_milliwatts", "", false},
}

// names are base units in words, in the singular.
var names = map[string]string{
	"second": "seconds", "sec": "seconds", "meter": "meters", "metre": "meters", "gram": "grams", "liter": "liters", "litre": "liters",
	"ampere": "amperes", "amp": "amperes", "volt": "volts", "watt": "watts", "joule": "joules", "ohm": "ohms", "farad": "farads", "henry": "henries",
	"tesla": "teslas", "siemens": "siemens", "hertz": "hertz", "pascal": "pascals", "newton": "newtons", "lumen": "lumens", "lux": "lux", "candela": "candelas",
	"mole": "moles", "becquerel": "becquerels", "sievert": "sieverts", "kelvin": "kelvin", "celsius": "celsius", "centigrade": "celsius",
	"fahrenheit": "fahrenheit", "decibel": "decibels", "electronvolt": "electronvolts",
}

// SI reads a symbol or a word with one of SI's prefixes or none. It reports
// false for what it does not know.
func SI(unit string) (Quantity, bool) {
	if s, ok := symbols[unit]; ok && !s.bound {
		return Quantity{Base: s.base}, true
	}
	for _, p := range prefixes {
		if s, ok := symbols[strings.TrimPrefix(unit, p.symbol)]; ok && len(unit) > len(p.symbol) && strings.HasPrefix(unit, p.symbol) && strings.Contains(s.prefixes, p.symbol) {
			return Quantity{s.base, p.word, p.power}, true
		}
	}
	if utf8.RuneCountInString(unit) < 3 {
		return Quantity{}, false
	}
	word := strings.ToLower(unit)
	if base, ok := name(word); ok {
		return Quantity{Base: base}, true
	}
	for _, p := range prefixes {
		if rest, ok := strings.CutPrefix(word, p.word); ok {
			if base, ok := name(rest); ok {
				return Quantity{base, p.word, p.power}, true
			}
		}
	}
	for _, p := range prefixes { // msec
		if rest, ok := strings.CutPrefix(word, p.symbol); ok && (rest == "sec" || rest == "secs") && strings.Contains(small, p.symbol) {
			return Quantity{"seconds", p.word, p.power}, true
		}
	}
	return Quantity{}, false
}

// anyCase are symbols that are no other unit's in another case, in lower case.
var anyCase = map[string]string{
	"hz": "hertz", "v": "volts", "a": "amperes", "ah": "ampere_hours", "va": "volt_amperes",
	"w": "watts", "wh": "watt_hours", "degc": "celsius", "degf": "fahrenheit",
}

// smallM is what a small m stands for in front of a symbol in the wrong case,
// where practice leaves no doubt: nobody measures millihertz or megavolts. There
// are both milliwatts and megawatts.
var smallM = map[string]string{"hz": "M", "v": "m", "a": "m", "ah": "m"}

// AnyCase reads a symbol that SI does not know for its case, with a prefix that
// is in doubt in none. It reports false for what it does not know.
func AnyCase(unit string) (Quantity, bool) {
	if base, ok := anyCase[strings.ToLower(unit)]; ok {
		return Quantity{Base: base}, true
	}
	for _, p := range prefixes {
		rest, ok := strings.CutPrefix(unit, p.symbol)
		base, known := anyCase[strings.ToLower(rest)]
		if !ok || !known || !strings.Contains("uµμmkKMG", p.symbol) {
			continue
		}
		if p.symbol == "m" {
			switch smallM[strings.ToLower(rest)] {
			case "":
				return Quantity{}, false
			case "M":
				return Quantity{base, "mega", 6}, true
			}
		}
		return Quantity{base, p.word, p.power}, true
	}
	if rest, ok := strings.CutPrefix(unit, "g"); ok && len(rest) > 1 && anyCase[strings.ToLower(rest)] != "" {
		return Quantity{anyCase[strings.ToLower(rest)], "giga", 9}, true
	}
	return Quantity{}, false
}

// name finds a base unit by its word, in the singular or the plural.
func name(word string) (base string, ok bool) {
	if base, ok = names[word]; !ok {
		base, ok = names[strings.TrimSuffix(word, "s")]
	}
	return base, ok
}

// Words splits a text into its words: lower case, every rune outside [a-z0-9]
// a separator.
func Words(s string) []string {
	return strings.FieldsFunc(strings.ToLower(s), func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < '0' || r > '9')
	})
}

// Join is a unit as it stands at the end of a name.
func Join(main, per string) string {
	switch {
	case per == "":
		return main
	case main == "":
		return "per_" + per
	default:
		return main + "_per_" + per
	}
}

// mains are those that sources write and OTLP's table does not know, or
// reads otherwise. Free of case but for single letters.
var mains = map[string]string{
	"b": "bytes", "B": "bytes", "byte": "bytes", "bytes": "bytes",
	"s": "seconds", "sec": "seconds", "secs": "seconds", "second": "seconds", "seconds": "seconds",
	"us": "microseconds", "µs": "microseconds", "μs": "microseconds",
	"ms": "milliseconds", "millisecond": "milliseconds", "milliseconds": "milliseconds",
	"min": "minutes", "mins": "minutes", "minute": "minutes", "minutes": "minutes",
	"hour": "hours", "hours": "hours",
	"day": "days", "days": "days",
	"°c": "celsius", "celsius": "celsius", "F": "fahrenheit",
	"$": "dollars",
	"%": "percent", "percent": "percent",
	"#": "", "1": "",
	"m³": "cubic_meters", "m²": "square_meters",
}

// pers are the words after the stroke.
var pers = map[string]string{
	"s": "second", "sec": "second", "second": "second", "seconds": "second",
	"ms": "millisecond", "millisecond": "millisecond",
	"m": "minute", "min": "minute", "minute": "minute", "minutes": "minute",
	"h": "hour", "hour": "hour", "hours": "hour",
	"d": "day", "day": "day", "days": "day",
	"w": "week", "week": "week",
	"mo": "month", "month": "month",
	"y": "year", "year": "year",
	"m³": "cubic_meter", "m²": "square_meter",
}

// Name gives the words of a unit, before and after its stroke; both are empty
// or match [a-z0-9]+(_[a-z0-9]+)*. Units of one name have one magnitude: a
// prefix is spelled out.
func Name(unit string) (main, per string) {
	before, after, _ := strings.Cut(unit, "/")
	return nameMain(strings.TrimSpace(before)), namePer(strings.TrimSpace(after))
}

func nameMain(unit string) string {
	if u, ok := lookUp(mains, unit); ok {
		return u
	}
	if q, ok := SI(unit); ok {
		return q.Prefix + q.Base
	}
	if u, ok := capital(unit); ok {
		return u
	}
	if !strings.ContainsAny(unit, "{}") { // UCUM's annotations would vanish
		namer := otlptranslator.UnitNamer{UTF8Allowed: true} // clean does it
		unit = namer.Build(unit)
	}
	u := clean(unit)
	if u == "1" {
		return "" // the namer makes a _ratio of it
	}
	return u
}

func namePer(unit string) string {
	if u, ok := lookUp(pers, unit); ok {
		return u
	}
	return clean(unit)
}

// clean makes words of a unit that is not known.
func clean(unit string) string {
	return strings.Join(Words(powers.Replace(unit)), "_")
}

var powers = strings.NewReplacer("²", "2", "³", "3")

// lookUp finds a unit free of case, unless it is a single letter.
func lookUp(table map[string]string, unit string) (string, bool) {
	if len(unit) > 1 {
		unit = strings.ToLower(unit)
	}
	u, ok := table[unit]
	return u, ok
}

// plain are short units that are words, or bytes, whose first letter is no
// prefix.
var plain = []string{"mb", "mbs", "mby", "mib", "mo", "pb", "pib", "yb", "zb", "max", "mem", "min", "msg", "mps", "pct", "pkt", "ppb", "ppm", "pps", "psi"}

// capital spells out the first letter of a short unit that is not known, where
// it may be a prefix that means something else than the small letter: in lower
// case, mX and MX would be one name for two magnitudes.
func capital(unit string) (string, bool) {
	i := strings.IndexAny(unit, "MPYZ")
	if i != 0 || len(unit) < 2 || len(unit) > 3 || strings.ContainsFunc(unit, func(r rune) bool { return r > unicode.MaxASCII || !unicode.IsLetter(r) }) ||
		slices.Contains(plain, strings.ToLower(unit)) {
		return "", false
	}
	word := map[byte]string{'M': "mega", 'P': "peta", 'Y': "yotta", 'Z': "zetta"}[unit[0]]
	return word + "_" + strings.ToLower(unit[1:]), true
}
