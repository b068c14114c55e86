package collector

import (
	"cmp"
	"slices"
	"strconv"
	"strings"

	"github.com/prometheus/common/model"
	"github.com/prometheus/otlptranslator"

	"scriptbridge/record"
)

// This file is all that knows Prometheus's alphabet, and is pure: what a
// script calls things goes in, what Prometheus may see comes out
// (spec/mapping.md, Names and Families and series).

// mapName gives a metric its name on the page, which ends in _total for a
// counter, and its unit, where the name (before _total) ends in that. A name of
// which nothing is left becomes metric_<id>. It never fails: prefix must be a
// valid one or empty, all else may be any text.
func mapName(prefix, name, unit string, typ record.Type, id string) (sample, shownUnit string) {
	counter := typ == record.Counter
	tokens := words(name)
	if counter {
		tokens = without(tokens, "total")
	}
	if len(tokens) == 0 {
		tokens = append([]string{"metric"}, words(id)...)
	}
	main, per := mapUnit(unit)
	if counter {
		main = strings.Join(without(strings.Split(main, "_"), "total"), "_")
	}
	tokens, cut := cutTail(tokens, main, per)
	if counter && slices.Contains(timePers, per) {
		// A sum is not per second; what it is a sum of stays.
		per = ""
		if !cut {
			tokens, _ = cutTail(tokens, main, "")
		}
	}
	shown := ""
	if mainWords := strings.Split(main, "_"); main != "" && containsPhrase(tokens, mainWords) {
		main = ""
		tokens, _ = cutTail(tokens, "", per)
	} else if main != "" {
		shown = joinUnit(main, per)
	}
	if len(tokens) == 0 && main == "" && per == "" {
		tokens = append([]string{"metric"}, words(id)...)
	}

	namer := otlptranslator.MetricNamer{Namespace: prefix, WithMetricSuffixes: true}
	var err error
	sample, err = namer.Build(otlptranslator.Metric{
		Name: strings.Join(tokens, "_"),
		Unit: finished(main, per),
		Type: namerTypes[typ],
	})
	if err != nil { // it is of names with nothing left, which there are none of here
		sample = "metric"
	}
	if family := strings.TrimSuffix(sample, kindOfType(typ).suffix()); !strings.HasSuffix(family, "_"+shown) {
		shown = ""
	}
	return sample, shown
}

var namerTypes = map[record.Type]otlptranslator.MetricType{
	record.Unknown: otlptranslator.MetricTypeUnknown,
	record.Gauge:   otlptranslator.MetricTypeGauge,
	record.Counter: otlptranslator.MetricTypeMonotonicCounter,
}

// words splits a text into its words: lower case, every rune outside [a-z0-9]
// a separator.
func words(s string) []string {
	return strings.FieldsFunc(strings.ToLower(s), func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < '0' || r > '9')
	})
}

func without(tokens []string, word string) []string {
	return slices.DeleteFunc(tokens, func(t string) bool { return t == word })
}

// joinUnit is the unit as it stands at the end of a name.
func joinUnit(main, per string) string {
	switch {
	case per == "":
		return main
	case main == "":
		return "per_" + per
	default:
		return main + "_per_" + per
	}
}

// finished spells a unit that is already in words so that the namer does not
// read it as one of its own codes again ("s", or an unknown "g"): it knows
// none with an underscore in front, and cleans that away.
func finished(main, per string) string {
	if main != "" {
		main = "_" + main
	}
	if per != "" {
		per = "/_" + per
	}
	return main + per
}

// cutTail cuts a trailing phrase equal to the unit off a name; the namer puts
// it there again.
func cutTail(tokens []string, main, per string) ([]string, bool) {
	unit := joinUnit(main, per)
	if main == "" && per == "" {
		return tokens, false
	}
	phrase := strings.Split(unit, "_")
	at := len(tokens) - len(phrase)
	if at < 0 || !slices.Equal(tokens[at:], phrase) {
		return tokens, false
	}
	return tokens[:at], true
}

func containsPhrase(tokens, phrase []string) bool {
	for i := 0; i+len(phrase) <= len(tokens); i++ {
		if slices.Equal(tokens[i:i+len(phrase)], phrase) {
			return true
		}
	}
	return false
}

// units are those that sources write and OTLP's table does not know, or
// reads otherwise. Free of case but for single letters.
var units = map[string]string{
	"b": "bytes", "B": "bytes", "byte": "bytes", "bytes": "bytes",
	"s": "seconds", "sec": "seconds", "secs": "seconds", "second": "seconds", "seconds": "seconds",
	"us": "microseconds", "µs": "microseconds", "μs": "microseconds",
	"ms": "milliseconds", "millisecond": "milliseconds", "milliseconds": "milliseconds",
	"min": "minutes", "mins": "minutes", "minute": "minutes", "minutes": "minutes",
	"hour": "hours", "hours": "hours",
	"day": "days", "days": "days",
	"C": "celsius", "°c": "celsius", "celsius": "celsius",
	"$": "dollars",
	"%": "percent", "percent": "percent",
	"#": "", "1": "",
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
}

// timePers are the divisors that make a unit a rate in time.
var timePers = []string{"second", "millisecond", "minute", "hour", "day", "week", "month", "year"}

// mapUnit gives the words of a declared unit, before and after its stroke;
// both are empty or match [a-z0-9]+(_[a-z0-9]+)*.
func mapUnit(unit string) (main, per string) {
	before, after, _ := strings.Cut(unit, "/")
	return mapMain(strings.TrimSpace(before)), mapPer(strings.TrimSpace(after))
}

func mapMain(unit string) string {
	if u, ok := lookUp(units, unit); ok {
		return u
	}
	if !strings.ContainsAny(unit, "{}") { // UCUM's annotations would vanish
		namer := otlptranslator.UnitNamer{}
		unit = namer.Build(unit)
	}
	u := strings.Join(words(unit), "_")
	if u == "1" {
		return "" // the namer makes a _ratio of it
	}
	return u
}

func mapPer(unit string) string {
	if u, ok := lookUp(pers, unit); ok {
		return u
	}
	return strings.Join(words(unit), "_")
}

// lookUp finds a unit free of case, unless it is a single letter.
func lookUp(table map[string]string, unit string) (string, bool) {
	if len(unit) > 1 {
		unit = strings.ToLower(unit)
	}
	u, ok := table[unit]
	return u, ok
}

// labelName cleans the name of a dimension; empty when nothing is left.
func labelName(raw string) string {
	s := strings.ToLower(raw)
	for strings.HasPrefix(s, "__") {
		s = s[2:]
	}
	var namer otlptranslator.LabelNamer
	name, err := namer.Build(s)
	if err != nil {
		return ""
	}
	return name
}

// keepLabelName leaves a name as it is where it can stand on a page.
func keepLabelName(raw string) string {
	if model.LegacyValidation.IsValidLabelName(raw) && !strings.HasPrefix(raw, "__") {
		return raw
	}
	return labelName(raw)
}

// labelNames gives each of a series' labels its name on the page, in the order
// of raw. own are the names that are ours; declared are the metric's
// dimensions, whose order decides where two labels meet; clean makes a name of
// a raw one, or nothing where nothing is left. The outcome for a
// label does not depend on the order of raw, unless one name stands in it
// twice.
func labelNames(own, raw, declared []string, clean func(string) string) []string {
	order := make([]int, len(raw))
	for i := range order {
		order[i] = i
	}
	position := func(i int) int { // from 1; undeclared ones are last
		if p := slices.Index(declared, raw[i]); p >= 0 {
			return p + 1
		}
		return len(declared) + 1
	}
	slices.SortStableFunc(order, func(a, b int) int {
		return cmp.Or(cmp.Compare(position(a), position(b)), cmp.Compare(raw[a], raw[b]))
	})

	names := make([]string, len(raw))
	taken := make(map[string]bool, len(raw))
	var colliding []int
	for n, i := range order {
		name := clean(raw[i])
		if name == "" {
			name = "dimension_" + strconv.Itoa(max(n+1, position(i)))
		}
		if slices.Contains(own, name) {
			names[i] = name
			colliding = append(colliding, i)
			continue
		}
		names[i] = free(name, taken, own)
		taken[names[i]] = true
	}
	for _, i := range colliding {
		name := names[i]
		for taken[name] || slices.Contains(own, name) {
			name = "exported_" + name
		}
		names[i] = name
		taken[name] = true
	}
	return names
}

// free is name, or name with the lowest number that makes it free.
func free(name string, taken map[string]bool, own []string) string {
	numbered := name
	for n := 2; taken[numbered] || slices.Contains(own, numbered); n++ {
		numbered = name + "_" + strconv.Itoa(n)
	}
	return numbered
}
