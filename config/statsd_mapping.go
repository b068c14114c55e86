package config

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"path/filepath"
	"regexp"
	"regexp/syntax"
	"slices"
	"strconv"
	"strings"
	"time"

	"scriptbridge/config/internal/yamltree"
)

// This file checks mapping files of statsd_exporter, which that program's own
// mapper reads: its errors name neither file nor line nor mapping, and end with
// the first. What it takes is not ours to refuse, but for the few things that it
// finds out too late, or never.

// CheckBounds says that YAML goes beyond what a file may hold, which is asked before
// another parser reads it: a few kilobytes can take all memory.
func CheckBounds(file string, text []byte) error { return yamltree.Bounded(filepath.Clean(file), text) }

// CheckStatsDMapping reports everything that is wrong with a mapping file, each
// with its line and a remedy. file is its path; taken says that the mapper takes
// it, so that only what that lets pass can be wrong.
func CheckStatsDMapping(file string, text []byte, taken bool) error {
	var r yamltree.Report
	e := &entry{Report: &r, file: filepath.Clean(file), taken: taken}
	root := yamltree.Parse(&r, e.file, text)
	if line, remedy := oldMapping(text); line > 0 && root.Kind != yamltree.Map {
		r.Errs = nil
		e.fail(line, remedy, "the file is in the text format that statsd_exporter had before YAML, which it does not read any more either")
		return r.Join(nil)
	}
	bad := make(map[int]bool)
	for _, e := range r.Errs {
		bad[e.Line] = true
	}
	known := len(r.Errs)
	if root.Kind == yamltree.Map || root.Kind == yamltree.Null {
		e.object(yamltree.Field{Line: root.Line, Value: root}, new(mappingFile))
	} else {
		e.fail(root.Line, "begin it with mappings:", "the file is %s, not a map", root.Kind)
	}
	r.Errs = slices.Concat(r.Errs[:known], slices.DeleteFunc(r.Errs[known:], func(e *Error) bool { return bad[e.Line] }))
	return r.Join(nil)
}

// mappingFile is the file while it is checked. The keys whose tag says
// mapper:"checks" are left to the mapper where that takes the file: its YAML is a
// little older than ours.
type mappingFile struct {
	Defaults mappingDefaults `yaml:"defaults"`
	_        []mapping       `yaml:"mappings"`
}

type mappingDefaults struct {
	MatchType       string   `yaml:"match_type" words:"glob regex" empty:"null" mapper:"checks"`
	DisableOrdering yamlBool `yaml:"glob_disable_ordering" mapper:"checks"`
	mappingSettings `yaml:",inline"`
}

// mappingSettings are what defaults and mappings have in common.
type mappingSettings struct {
	ObserverType     string           `yaml:"observer_type" words:"histogram summary" empty:"null" mapper:"checks"`
	TTL              mappingTTL       `yaml:"ttl"`
	SummaryOptions   summaryOptions   `yaml:"summary_options"`
	HistogramOptions histogramOptions `yaml:"histogram_options"`
	_                struct{}         `yaml:"timer_type" refused:"is a key of older files" remedy:"write observer_type"`
	_                struct{}         `yaml:"buckets" refused:"is a key of older files" remedy:"write histogram_options: {buckets: […]}"`
	_                struct{}         `yaml:"quantiles" refused:"is a key of older files" remedy:"write summary_options: {quantiles: […]}"`
}

type summaryOptions struct {
	Quantiles  []quantile `yaml:"quantiles"`
	MaxAge     goDuration `yaml:"max_age" mapper:"checks"`
	AgeBuckets yamlNumber `yaml:"age_buckets" mapper:"checks"`
	BufCap     yamlNumber `yaml:"buf_cap" mapper:"checks"`
}

type histogramOptions struct {
	Buckets      buckets    `yaml:"buckets"`
	BucketFactor yamlNumber `yaml:"native_histogram_bucket_factor" mapper:"checks"`
	MaxBuckets   yamlNumber `yaml:"native_histogram_max_buckets" mapper:"checks"`
}

type quantile struct {
	Quantile fraction   `yaml:"quantile"`
	Error    yamlNumber `yaml:"error" mapper:"checks"`
}

// mapping is one of the mappings.
type mapping struct {
	Match           string        `yaml:"match" mapper:"checks"`
	Name            string        `yaml:"name" mapper:"checks"`
	MatchType       string        `yaml:"match_type" words:"glob regex" empty:"null" mapper:"checks"`
	Labels          mappingLabels `yaml:"labels" mapper:"checks"`
	HonorLabels     yamlBool      `yaml:"honor_labels" mapper:"checks"`
	Help            mappingText   `yaml:"help" mapper:"checks"`
	Action          string        `yaml:"action" words:"map drop" empty:"null" mapper:"checks"`
	MatchMetricType string        `yaml:"match_metric_type" words:"counter gauge observer" mapper:"checks"`
	Scale           mappingScale  `yaml:"scale"`
	mappingSettings `yaml:",inline"`

	defaults *mappingDefaults
}

// What a value of the file can be, beside what is elsewhere too.
type (
	yamlBool      struct{} // as in YAML 1.1, by which the mapper reads
	yamlNumber    struct{}
	goDuration    struct{}
	mappingTTL    struct{}
	mappingScale  struct{}
	mappingText   struct{}
	mappingLabels struct{}
	fraction      struct{}
	buckets       struct{}
)

var oldMappingLine = regexp.MustCompile(`^\s*(\w+)="([^"]*)"\s*$`)

// oldMapping finds the first line of the text format, in which a match is followed
// by lines of the form key="value"; 0 for none.
func oldMapping(text []byte) (line int, remedy string) {
	match := ""
	for n, l := range strings.Split(string(text), "\n") {
		l = strings.TrimSpace(l)
		if kv := oldMappingLine.FindStringSubmatch(l); kv == nil {
			match = l
		} else if match != "" {
			return n, fmt.Sprintf(`write mappings: [{match: %q, name: …, labels: {…}}]`, match)
		}
	}
	return 0, ""
}

// readKey reads the mappings, by what messages call them.
func (m *mappingFile) readKey(e *entry, _ *yamltree.Value, f yamltree.Field, read func()) {
	if f.Key != "mappings" {
		read()
		return
	}
	if f.Value.Kind != yamltree.List && f.Value.Kind != yamltree.Null {
		e.failKey(f, yamltree.Problemf("", "is %s, not a list", f.Value.Kind))
		return
	}
	for i, item := range f.Value.Items {
		name := fmt.Sprintf("mappings[%d]", i)
		if match := item.Get("match"); match != nil && match.Value.Text != "" {
			name += fmt.Sprintf(" %q", match.Value.Text)
		}
		e.inner(name, "").object(yamltree.Field{Line: item.Line, Value: item}, &mapping{defaults: &m.Defaults})
	}
}

func (m *mapping) finish(e *entry, f yamltree.Field, clean bool) {
	v := f.Value
	if e.taken || v.Kind != yamltree.Map {
		return
	}
	before := len(e.Errs)
	if v.Get("match") == nil {
		e.fail(v.Line, "write which metrics it is for, such as match: web.*.hits", "has no match")
	} else if m.Match != "" {
		checkMatch(e, v.Get("match").Line, m.Match, cmp.Or(m.MatchType, m.defaults.MatchType) == "regex")
	}
	switch {
	case v.Get("name") == nil:
		e.fail(v.Line, "give it one, also where its action is drop", "has no name")
	case m.Name != "" && !metricNameForm.MatchString(m.Name):
		e.fail(v.Get("name").Line, "write "+strconv.Quote(plainName(m.Name)), "name %q cannot be a metric's: it has other than letters, digits, _ and $1 and the like, or begins with a digit", m.Name)
	}
	if clean && len(e.Errs) == before {
		m.options(e, v)
	}
}

// options reports options for the other type of observer.
func (m *mapping) options(e *entry, v *yamltree.Value) {
	observer := cmp.Or(m.ObserverType, m.defaults.ObserverType)
	for kind, other := range map[string]string{"histogram": "summary_options", "summary": "histogram_options"} {
		if f := v.Get(other); f != nil && f.Value.Kind != yamltree.Null && observer == kind {
			e.fail(f.Line, "leave them out, or change observer_type", "has %s, and its observer_type is %s", other, kind)
		}
	}
}

// These forms are those of the mapper.
var (
	globForm       = regexp.MustCompile(`^(\*|[a-zA-Z_][a-zA-Z0-9_\-]*)(\.\*|\.[a-zA-Z0-9_][a-zA-Z0-9_\-]*)*$`)
	metricNameForm = regexp.MustCompile(`^([a-zA-Z_]|\$\{?\d+\}?)([a-zA-Z0-9_]|\$\{?\d+\}?)*$`)
)

// checkMatch checks a pattern.
func checkMatch(e *entry, line int, match string, isRegex bool) {
	if isRegex {
		if _, err := regexp.Compile(match); err != nil {
			why := err.Error()
			if s, ok := errors.AsType[*syntax.Error](err); ok {
				why = fmt.Sprintf("%s in %q", s.Code, s.Expr)
			}
			e.fail(line, `write a \ in front of a (, [, * or + that stands for itself`, "match is no regular expression: %s", why)
		}
		return
	}
	if globForm.MatchString(match) {
		return
	}
	why := "it has other than letters, digits, _, - and *"
	for i, part := range strings.Split(match, ".") {
		switch {
		case part == "":
			why = "nothing stands between two of its dots, or at an end"
		case part != "*" && strings.Contains(part, "*"):
			why = fmt.Sprintf("a * stands alone between dots, and not as in %q", part)
		case i == 0 && part[0] >= '0' && part[0] <= '9':
			why = "it begins with a digit"
		default:
			continue
		}
		break
	}
	e.fail(line, "set match_type: regex for what a glob cannot say", "match %q is no glob: %s", match, why)
}

func (*mappingLabels) readValue(e *entry, f yamltree.Field) {
	if f.Value.Kind != yamltree.Map && f.Value.Kind != yamltree.Null {
		e.failKey(f, yamltree.Problemf("write it like {page: $1}", "is %s, not a map", f.Value.Kind))
		return
	}
	for _, l := range f.Value.Fields {
		switch {
		case l.Key == "":
			e.fail(l.Line, "give it two letters or more", "labels: one has no name")
		case !labelForm.MatchString(l.Key):
			e.fail(l.Line, "write "+strconv.Quote(plainName(l.Key)), "labels: %q cannot be a label's name: it has other than letters, digits and _, or begins with a digit", l.Key)
		case len(l.Key) == 1:
			e.fail(l.Line, "give it two letters or more", "labels: %q is too short: statsd_exporter's mapper takes no label of one letter", l.Key)
		}
		if _, p := l.Value.Single(); p != nil && l.Value.Kind != yamltree.Null {
			e.fail(l.Line, p.Remedy, "labels: %q %s", l.Key, p.Text)
		}
	}
}

// plainName makes a name of what cannot be one.
func plainName(name string) string {
	name = strings.Map(func(r rune) rune {
		if r == '_' || r == '$' || r >= '0' && r <= '9' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' {
			return r
		}
		return '_'
	}, name)
	if name != "" && name[0] >= '0' && name[0] <= '9' {
		return "_" + name
	}
	return name
}

// readValue reads Go's durations, which are the mapper's. A number without a unit
// is nanoseconds to it.
func (*mappingTTL) readValue(e *entry, f yamltree.Field) {
	d, ok := readGoDuration(e, f)
	if !ok {
		return
	}
	n, err := strconv.Atoi(f.Value.Text)
	switch {
	case d < 0:
		e.failKey(f, yamltree.Problemf("write one like 30s or 5m, or leave it out", "%s is below 0", f.Value.Text))
	case err == nil && n > 0:
		e.failKey(f, yamltree.Problemf(fmt.Sprintf("write %ds", n), "%d has no unit, and would be nanoseconds", n))
	}
}

func (*goDuration) readValue(e *entry, f yamltree.Field) { _, _ = readGoDuration(e, f) }

// readGoDuration reads what time.ParseDuration does, or a number of nanoseconds.
func readGoDuration(e *entry, f yamltree.Field) (time.Duration, bool) {
	text, p := f.Value.Single()
	if p == nil {
		if n, err := strconv.ParseInt(text, 0, 64); err == nil {
			return time.Duration(n), true
		}
		d, err := time.ParseDuration(text)
		if err == nil {
			return d, true
		}
		p = yamltree.Problemf("write it like 30s, 5m or 1h30m; a day is 24h", "%q is not a duration", text)
	}
	e.failKey(f, p)
	return 0, false
}

func (*mappingScale) readValue(e *entry, f yamltree.Field) {
	if x, ok := yamlFloat(f.Value.Text); ok && math.Abs(x) > math.MaxFloat64 || math.IsNaN(x) {
		e.failKey(f, yamltree.Problemf("write a number such as 0.001", "%s is not finite", f.Value.Text))
	} else if !ok && !e.taken {
		e.failKey(f, yamltree.Problemf("write a number such as 0.001", "%q is not a number", f.Value.Text))
	}
}

func (*fraction) readValue(e *entry, f yamltree.Field) {
	q, ok := yamlFloat(f.Value.Text)
	switch {
	case !ok && !e.taken:
		e.failKey(f, yamltree.Problemf("write a number from 0 to 1", "%q is not a number", f.Value.Text))
	case ok && q >= 2 && q <= 100:
		e.failKey(f, yamltree.Problemf("write "+strconv.FormatFloat(q/100, 'g', -1, 64), "%s is not between 0 and 1", f.Value.Text))
	case ok && !(q >= 0 && q <= 1):
		e.failKey(f, yamltree.Problemf("write a number from 0 to 1", "%s is not between 0 and 1", f.Value.Text))
	}
}

func (*buckets) readValue(e *entry, f yamltree.Field) {
	if f.Value.Kind != yamltree.List && f.Value.Kind != yamltree.Null {
		if !e.taken {
			e.failKey(f, yamltree.Problemf("write it like [0.1, 1, 10]", "is %s, not a list", f.Value.Kind))
		}
		return
	}
	last := math.Inf(-1)
	for _, item := range f.Value.Items {
		b, ok := yamlFloat(item.Text)
		switch {
		case !ok && !e.taken:
			e.fail(item.Line, "write it like [0.1, 1, 10]", "buckets: %q is not a number", item.Text)
		case ok && !(b > last):
			e.fail(item.Line, "put the bounds in order, each once", "buckets must ascend, and %s does not", item.Text)
			return
		}
		last = b
	}
}

func (*mappingText) readValue(e *entry, f yamltree.Field) {
	if _, p := f.Value.Single(); p != nil && f.Value.Kind != yamltree.Null {
		e.failKey(f, p)
	}
}

func (*yamlBool) readValue(e *entry, f yamltree.Field) {
	switch strings.ToLower(f.Value.Text) {
	case "true", "false", "yes", "no", "on", "off", "y", "n":
	default:
		e.failKey(f, yamltree.Problemf("write true or false", "%q is neither true nor false", f.Value.Text))
	}
}

func (*yamlNumber) readValue(e *entry, f yamltree.Field) {
	if _, ok := yamlFloat(f.Value.Text); !ok {
		e.failKey(f, yamltree.Problemf("", "%q is not a number", f.Value.Text))
	}
}

// yamlFloat reads a number as YAML writes it.
func yamlFloat(text string) (float64, bool) {
	sign := strings.TrimLeft(text, "+-")
	switch strings.ToLower(sign) {
	case ".inf":
		if text[0] == '-' {
			return math.Inf(-1), true
		}
		return math.Inf(1), true
	case ".nan":
		return math.NaN(), true
	}
	x, err := strconv.ParseFloat(strings.ReplaceAll(text, "_", ""), 64)
	return x, err == nil || math.IsInf(x, 0)
}
