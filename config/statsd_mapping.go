package config

import (
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

// CheckStatsDMapping tells everything that is wrong with a mapping file, each
// with its line and a remedy. file is its path; taken says that the mapper takes
// it, so that only what that lets pass can be wrong.
func CheckStatsDMapping(file string, text []byte, taken bool) error {
	var r yamltree.Report
	m := &mappingFile{entry: entry{Report: &r, file: filepath.Clean(file)}, taken: taken}
	root := yamltree.Parse(&r, m.file, text)
	if line, remedy := oldMapping(text); line > 0 && root.Kind != yamltree.Map {
		r.Errs = nil
		m.fail(line, remedy, "the file is in the text format that statsd_exporter had before YAML, which it does not read any more either")
		return r.Join(nil)
	}
	bad := make(map[int]bool)
	for _, e := range r.Errs {
		bad[e.Line] = true
	}
	known := len(r.Errs)
	m.whole(root)
	r.Errs = slices.Concat(r.Errs[:known], slices.DeleteFunc(r.Errs[known:], func(e *Error) bool { return bad[e.Line] }))
	return r.Join(nil)
}

// mappingFile is the file while it is checked.
type mappingFile struct {
	entry
	taken bool
	regex bool // the default match_type
	// observer is the default observer_type.
	observer string
}

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

// whole checks all of it.
func (m *mappingFile) whole(root *yamltree.Value) {
	if root.Kind != yamltree.Map && root.Kind != yamltree.Null {
		m.fail(root.Line, "begin it with mappings:", "the file is %s, not a map", root.Kind)
		return
	}
	m.object(root, []key{
		{"defaults", func(e *entry, f yamltree.Field) {
			m.settings(e.inner("defaults"), f.Value, []key{
				{"match_type", m.theirs(func(e *entry, f yamltree.Field) {
					var s string
					wordOrNone(&s, "glob", "regex")(e, f)
					m.regex = s == "regex"
				})},
				{"glob_disable_ordering", m.theirs(yamlBoolean)},
			})
			if o := f.Value.Get("observer_type"); o != nil {
				m.observer = o.Value.Text
			}
		}},
		{"mappings", func(e *entry, f yamltree.Field) {
			if f.Value.Kind != yamltree.List && f.Value.Kind != yamltree.Null {
				e.fault(f, yamltree.Problemf("", "is %s, not a list", f.Value.Kind))
				return
			}
			for i, item := range f.Value.Items {
				name := fmt.Sprintf("mappings[%d]", i)
				if match := item.Get("match"); match != nil && match.Value.Text != "" {
					name += fmt.Sprintf(" %q", match.Value.Text)
				}
				m.mapping(e.inner(name), item)
			}
		}},
	})
}

// settings are what defaults and mappings have in common, beside other keys.
func (m *mappingFile) settings(e *entry, v *yamltree.Value, others []key) {
	old := func(remedy string) take { return refused("is a key of older files", remedy) }
	var observer string
	e.object(v, append(others,
		key{"observer_type", m.theirs(wordOrNone(&observer, "histogram", "summary"))},
		key{"ttl", m.ttl},
		key{"summary_options", func(e *entry, f yamltree.Field) {
			e.inner(f.Key).object(f.Value, []key{
				{"quantiles", each(m.quantile)},
				{"max_age", m.theirs(func(e *entry, f yamltree.Field) { _, _ = goDuration(e, f) })},
				{"age_buckets", m.theirs(yamlNumber)},
				{"buf_cap", m.theirs(yamlNumber)},
			})
		}},
		key{"histogram_options", func(e *entry, f yamltree.Field) {
			e.inner(f.Key).object(f.Value, []key{
				{"buckets", m.buckets},
				{"native_histogram_bucket_factor", m.theirs(yamlNumber)},
				{"native_histogram_max_buckets", m.theirs(yamlNumber)},
			})
		}},
		key{"timer_type", old("write observer_type")},
		key{"buckets", old("write histogram_options: {buckets: […]}")},
		key{"quantiles", old("write summary_options: {quantiles: […]}")},
	))
}

// theirs is a check of what the mapper checks too: it has no part where that
// takes the file, whose YAML is a little older than ours.
func (m *mappingFile) theirs(t take) take {
	if m.taken {
		return func(*entry, yamltree.Field) {}
	}
	return t
}

// mapping checks one mapping.
func (m *mappingFile) mapping(e *entry, v *yamltree.Value) {
	var match, name, kind, other string
	before := len(e.Errs)
	m.settings(e, v, []key{
		{"match", m.theirs(text(&match))},
		{"name", m.theirs(text(&name))},
		{"match_type", m.theirs(wordOrNone(&kind, "glob", "regex"))},
		{"labels", m.theirs(mappingLabels)},
		{"honor_labels", m.theirs(yamlBoolean)},
		{"help", m.theirs(mappingText)},
		{"action", m.theirs(wordOrNone(&other, "map", "drop"))},
		{"match_metric_type", m.theirs(word(&other, "counter", "gauge", "observer"))},
		{"scale", func(e *entry, f yamltree.Field) {
			if x, ok := yamlFloat(f.Value.Text); ok && math.Abs(x) > math.MaxFloat64 || math.IsNaN(x) {
				e.fault(f, yamltree.Problemf("write a number such as 0.001", "%s is not finite", f.Value.Text))
			} else if !ok && !m.taken {
				e.fault(f, yamltree.Problemf("write a number such as 0.001", "%q is not a number", f.Value.Text))
			}
		}},
	})
	if m.taken || v.Kind != yamltree.Map {
		return
	}
	if v.Get("match") == nil {
		e.fail(v.Line, "write which metrics it is for, such as match: web.*.hits", "has no match")
	} else if match != "" {
		m.match(e, v.Get("match").Line, match, kind == "regex" || kind == "" && m.regex)
	}
	switch {
	case v.Get("name") == nil:
		e.fail(v.Line, "give it one, also where its action is drop", "has no name")
	case name != "" && !metricNameForm.MatchString(name):
		e.fail(v.Get("name").Line, "write "+strconv.Quote(plainName(name)), "name %q cannot be a metric's: it has other than letters, digits, _ and $1 and the like, or begins with a digit", name)
	}
	if len(e.Errs) == before {
		m.options(e, v)
	}
}

// options tells of options for the other type of observer.
func (m *mappingFile) options(e *entry, v *yamltree.Value) {
	observer := m.observer
	if o := v.Get("observer_type"); o != nil && o.Value.Text != "" {
		observer = o.Value.Text
	}
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

// match checks a pattern.
func (m *mappingFile) match(e *entry, line int, match string, isRegex bool) {
	if isRegex {
		if _, err := regexp.Compile(match); err != nil {
			why := err.Error()
			if s := new(syntax.Error); errors.As(err, &s) {
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

func mappingLabels(e *entry, f yamltree.Field) {
	if f.Value.Kind != yamltree.Map && f.Value.Kind != yamltree.Null {
		e.fault(f, yamltree.Problemf("write it like {page: $1}", "is %s, not a map", f.Value.Kind))
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
		if _, ft := l.Value.Single(); ft != nil && l.Value.Kind != yamltree.Null {
			e.fail(l.Line, ft.Remedy, "labels: %q %s", l.Key, ft.Text)
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

// ttl reads Go's durations, which are the mapper's. A number without a unit is
// nanoseconds to it.
func (m *mappingFile) ttl(e *entry, f yamltree.Field) {
	d, ok := goDuration(e, f)
	if !ok {
		return
	}
	n, err := strconv.Atoi(f.Value.Text)
	switch {
	case d < 0:
		e.fault(f, yamltree.Problemf("write one like 30s or 5m, or leave it out", "%s is below 0", f.Value.Text))
	case err == nil && n > 0:
		e.fault(f, yamltree.Problemf(fmt.Sprintf("write %ds", n), "%d has no unit, and would be nanoseconds", n))
	}
}

// goDuration reads what time.ParseDuration does, or a number of nanoseconds.
func goDuration(e *entry, f yamltree.Field) (time.Duration, bool) {
	text, ft := f.Value.Single()
	if ft == nil {
		if n, err := strconv.ParseInt(text, 0, 64); err == nil {
			return time.Duration(n), true
		}
		d, err := time.ParseDuration(text)
		if err == nil {
			return d, true
		}
		ft = yamltree.Problemf("write it like 30s, 5m or 1h30m; a day is 24h", "%q is not a duration", text)
	}
	e.fault(f, ft)
	return 0, false
}

func (m *mappingFile) quantile(e *entry, item *yamltree.Value) {
	e.object(item, []key{
		{"quantile", func(e *entry, f yamltree.Field) {
			q, ok := yamlFloat(f.Value.Text)
			switch {
			case !ok && !m.taken:
				e.fault(f, yamltree.Problemf("write a number from 0 to 1", "%q is not a number", f.Value.Text))
			case ok && q >= 2 && q <= 100:
				e.fault(f, yamltree.Problemf("write "+strconv.FormatFloat(q/100, 'g', -1, 64), "%s is not between 0 and 1", f.Value.Text))
			case ok && !(q >= 0 && q <= 1):
				e.fault(f, yamltree.Problemf("write a number from 0 to 1", "%s is not between 0 and 1", f.Value.Text))
			}
		}},
		{"error", m.theirs(yamlNumber)},
	})
}

func (m *mappingFile) buckets(e *entry, f yamltree.Field) {
	if f.Value.Kind != yamltree.List && f.Value.Kind != yamltree.Null {
		m.theirs(func(e *entry, f yamltree.Field) {
			e.fault(f, yamltree.Problemf("write it like [0.1, 1, 10]", "is %s, not a list", f.Value.Kind))
		})(e, f)
		return
	}
	last := math.Inf(-1)
	for _, item := range f.Value.Items {
		b, ok := yamlFloat(item.Text)
		switch {
		case !ok && !m.taken:
			e.fail(item.Line, "write it like [0.1, 1, 10]", "buckets: %q is not a number", item.Text)
		case ok && !(b > last):
			e.fail(item.Line, "put the bounds in order, each once", "buckets must ascend, and %s does not", item.Text)
			return
		}
		last = b
	}
}

// wordOrNone is word, but for an empty one, which is the default.
func wordOrNone(into *string, words ...string) take {
	return func(e *entry, f yamltree.Field) {
		if f.Value.Kind != yamltree.Null && (f.Value.Kind != yamltree.Scalar || f.Value.Text != "") {
			word(into, words...)(e, f)
		}
	}
}

func mappingText(e *entry, f yamltree.Field) {
	if _, ft := f.Value.Single(); ft != nil && f.Value.Kind != yamltree.Null {
		e.fault(f, ft)
	}
}

// yamlBoolean takes what YAML 1.1 does, by which the mapper reads.
func yamlBoolean(e *entry, f yamltree.Field) {
	switch strings.ToLower(f.Value.Text) {
	case "true", "false", "yes", "no", "on", "off", "y", "n":
	default:
		e.fault(f, yamltree.Problemf("write true or false", "%q is neither true nor false", f.Value.Text))
	}
}

func yamlNumber(e *entry, f yamltree.Field) {
	if _, ok := yamlFloat(f.Value.Text); !ok {
		e.fault(f, yamltree.Problemf("", "%q is not a number", f.Value.Text))
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
