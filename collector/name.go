package collector

import (
	"cmp"
	"slices"
	"strconv"
	"strings"

	"github.com/prometheus/common/model"
	"github.com/prometheus/otlptranslator"

	"scriptbridge/internal/units"
	"scriptbridge/record"
)

// This file is all that knows Prometheus's alphabet, and is pure: what a
// script calls things goes in, what Prometheus may see comes out.

// mapName gives a metric its name on the page, which ends in _total for a
// counter, and its unit, where the name (before _total) ends in that. A name of
// which nothing is left becomes metric_<id>. It never fails: prefix must be a
// valid one or empty, all else may be any text.
func mapName(prefix, name, unit string, typ record.Type, id string) (sample, shownUnit string) {
	counter := typ == record.Counter
	tokens := units.Words(name)
	if counter {
		tokens = without(tokens, "total")
	}
	if len(tokens) == 0 {
		tokens = append([]string{"metric"}, units.Words(id)...)
	}
	main, per := units.Name(unit)
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
		shown = units.Join(main, per)
	}
	if len(tokens) == 0 && main == "" && per == "" {
		tokens = append([]string{"metric"}, units.Words(id)...)
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
	if family := strings.TrimSuffix(sample, kindOfType[typ].suffix()); !strings.HasSuffix(family, "_"+shown) {
		shown = ""
	}
	return sample, shown
}

var namerTypes = map[record.Type]otlptranslator.MetricType{
	record.Unknown: otlptranslator.MetricTypeUnknown,
	record.Gauge:   otlptranslator.MetricTypeGauge,
	record.Counter: otlptranslator.MetricTypeMonotonicCounter,
}

func without(tokens []string, word string) []string {
	return slices.DeleteFunc(tokens, func(t string) bool { return t == word })
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
	unit := units.Join(main, per)
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

// timePers are the divisors that make a unit a rate in time.
var timePers = []string{"second", "millisecond", "minute", "hour", "day", "week", "month", "year"}

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
// of raw. reserved are the names of the labels that the bridge adds; declared are the metric's
// dimensions, whose order decides where two labels meet; clean makes a name of
// a raw one, or nothing where nothing is left. The outcome for a
// label does not depend on the order of raw, unless one name stands in it
// twice.
func labelNames(reserved, raw, declared []string, clean func(string) string) []string {
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
		if slices.Contains(reserved, name) {
			names[i] = name
			colliding = append(colliding, i)
			continue
		}
		names[i] = free(name, taken, reserved)
		taken[names[i]] = true
	}
	for _, i := range colliding {
		name := names[i]
		for taken[name] || slices.Contains(reserved, name) {
			name = "exported_" + name
		}
		names[i] = name
		taken[name] = true
	}
	return names
}

// free is name, or name with the lowest number that makes it free.
func free(name string, taken map[string]bool, reserved []string) string {
	numbered := name
	for n := 2; taken[numbered] || slices.Contains(reserved, numbered); n++ {
		numbered = name + "_" + strconv.Itoa(n)
	}
	return numbered
}
