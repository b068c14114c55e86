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
)

// This file checks mapping files of statsd_exporter, which that program's own
// mapper reads: its errors name neither file nor line nor mapping, and end with
// the first. What it takes is not ours to refuse, but for the few things that it
// finds out too late, or never.

// CheckStatsDMapping tells everything that is wrong with a mapping file, each
// with its line and a remedy. file is its path; taken says that the mapper takes
// it, so that only what that lets pass can be wrong.
func CheckStatsDMapping(file string, text []byte, taken bool) error {
	var r report
	m := &mappingFile{entry: entry{report: &r, file: filepath.Clean(file)}, taken: taken}
	root := parse(&r, m.file, text)
	if line, remedy := oldMapping(text); line > 0 && root.kind != object {
		r.errs = nil
		m.fail(line, remedy, "the file is in the text format that statsd_exporter had before YAML, which it does not read any more either")
		return r.join(nil)
	}
	bad := make(map[int]bool)
	for _, e := range r.errs {
		bad[e.Line] = true
	}
	known := len(r.errs)
	m.whole(root)
	r.errs = slices.Concat(r.errs[:known], slices.DeleteFunc(r.errs[known:], func(e *Error) bool { return bad[e.Line] }))
	return r.join(nil)
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
func (m *mappingFile) whole(root *value) {
	if root.kind != object && root.kind != null {
		m.fail(root.line, "begin it with mappings:", "the file is %s, not a map", root.kind)
		return
	}
	m.object(root, []key{
		{"defaults", func(e *entry, f field) {
			m.settings(e.inner("defaults"), f.value, []key{
				{"match_type", m.theirs(func(e *entry, f field) {
					var s string
					wordOrNone(&s, "glob", "regex")(e, f)
					m.regex = s == "regex"
				})},
				{"glob_disable_ordering", m.theirs(yamlBoolean)},
			})
			if o := f.value.get("observer_type"); o != nil {
				m.observer = o.value.text
			}
		}},
		{"mappings", func(e *entry, f field) {
			if f.value.kind != list && f.value.kind != null {
				e.fault(f, faultf("", "is %s, not a list", f.value.kind))
				return
			}
			for i, item := range f.value.items {
				name := fmt.Sprintf("mappings[%d]", i)
				if match := item.get("match"); match != nil && match.value.text != "" {
					name += fmt.Sprintf(" %q", match.value.text)
				}
				m.mapping(e.inner(name), item)
			}
		}},
	})
}

// settings are what defaults and mappings have in common, beside other keys.
func (m *mappingFile) settings(e *entry, v *value, others []key) {
	old := func(remedy string) take { return refused("is a key of older files", remedy) }
	var observer string
	e.object(v, append(others,
		key{"observer_type", m.theirs(wordOrNone(&observer, "histogram", "summary"))},
		key{"ttl", m.ttl},
		key{"summary_options", func(e *entry, f field) {
			e.inner(f.key).object(f.value, []key{
				{"quantiles", each(m.quantile)},
				{"max_age", m.theirs(func(e *entry, f field) { _, _ = goDuration(e, f) })},
				{"age_buckets", m.theirs(yamlNumber)},
				{"buf_cap", m.theirs(yamlNumber)},
			})
		}},
		key{"histogram_options", func(e *entry, f field) {
			e.inner(f.key).object(f.value, []key{
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
		return func(*entry, field) {}
	}
	return t
}

// mapping checks one mapping.
func (m *mappingFile) mapping(e *entry, v *value) {
	var match, name, kind, other string
	before := len(e.errs)
	m.settings(e, v, []key{
		{"match", m.theirs(text(&match))},
		{"name", m.theirs(text(&name))},
		{"match_type", m.theirs(wordOrNone(&kind, "glob", "regex"))},
		{"labels", m.theirs(mappingLabels)},
		{"honor_labels", m.theirs(yamlBoolean)},
		{"help", m.theirs(mappingText)},
		{"action", m.theirs(wordOrNone(&other, "map", "drop"))},
		{"match_metric_type", m.theirs(word(&other, "counter", "gauge", "observer"))},
		{"scale", func(e *entry, f field) {
			if x, ok := yamlFloat(f.value.text); ok && math.Abs(x) > math.MaxFloat64 || math.IsNaN(x) {
				e.fault(f, faultf("write a number such as 0.001", "%s is not finite", f.value.text))
			} else if !ok && !m.taken {
				e.fault(f, faultf("write a number such as 0.001", "%q is not a number", f.value.text))
			}
		}},
	})
	if m.taken || v.kind != object {
		return
	}
	if v.get("match") == nil {
		e.fail(v.line, "write which metrics it is for, such as match: web.*.hits", "has no match")
	} else if match != "" {
		m.match(e, v.get("match").line, match, kind == "regex" || kind == "" && m.regex)
	}
	switch {
	case v.get("name") == nil:
		e.fail(v.line, "give it one, also where its action is drop", "has no name")
	case name != "" && !metricNameForm.MatchString(name):
		e.fail(v.get("name").line, "write "+strconv.Quote(plainName(name)), "name %q cannot be a metric's: it has other than letters, digits, _ and $1 and the like, or begins with a digit", name)
	}
	if len(e.errs) == before {
		m.options(e, v)
	}
}

// options tells of options for the other type of observer.
func (m *mappingFile) options(e *entry, v *value) {
	observer := m.observer
	if o := v.get("observer_type"); o != nil && o.value.text != "" {
		observer = o.value.text
	}
	for kind, other := range map[string]string{"histogram": "summary_options", "summary": "histogram_options"} {
		if f := v.get(other); f != nil && f.value.kind != null && observer == kind {
			e.fail(f.line, "leave them out, or change observer_type", "has %s, and its observer_type is %s", other, kind)
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

func mappingLabels(e *entry, f field) {
	if f.value.kind != object && f.value.kind != null {
		e.fault(f, faultf("write it like {page: $1}", "is %s, not a map", f.value.kind))
		return
	}
	for _, l := range f.value.fields {
		switch {
		case l.key == "":
			e.fail(l.line, "give it two letters or more", "labels: one has no name")
		case !labelForm.MatchString(l.key):
			e.fail(l.line, "write "+strconv.Quote(plainName(l.key)), "labels: %q cannot be a label's name: it has other than letters, digits and _, or begins with a digit", l.key)
		case len(l.key) == 1:
			e.fail(l.line, "give it two letters or more", "labels: %q is too short: statsd_exporter's mapper takes no label of one letter", l.key)
		}
		if _, ft := l.value.single(); ft != nil && l.value.kind != null {
			e.fail(l.line, ft.remedy, "labels: %q %s", l.key, ft.problem)
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
func (m *mappingFile) ttl(e *entry, f field) {
	d, ok := goDuration(e, f)
	if !ok {
		return
	}
	n, err := strconv.Atoi(f.value.text)
	switch {
	case d < 0:
		e.fault(f, faultf("write one like 30s or 5m, or leave it out", "%s is below 0", f.value.text))
	case err == nil && n > 0:
		e.fault(f, faultf(fmt.Sprintf("write %ds", n), "%d has no unit, and would be nanoseconds", n))
	}
}

// goDuration reads what time.ParseDuration does, or a number of nanoseconds.
func goDuration(e *entry, f field) (time.Duration, bool) {
	text, ft := f.value.single()
	if ft == nil {
		if n, err := strconv.ParseInt(text, 0, 64); err == nil {
			return time.Duration(n), true
		}
		d, err := time.ParseDuration(text)
		if err == nil {
			return d, true
		}
		ft = faultf("write it like 30s, 5m or 1h30m; a day is 24h", "%q is not a duration", text)
	}
	e.fault(f, ft)
	return 0, false
}

func (m *mappingFile) quantile(e *entry, item *value) {
	e.object(item, []key{
		{"quantile", func(e *entry, f field) {
			q, ok := yamlFloat(f.value.text)
			switch {
			case !ok && !m.taken:
				e.fault(f, faultf("write a number from 0 to 1", "%q is not a number", f.value.text))
			case ok && q >= 2 && q <= 100:
				e.fault(f, faultf("write "+strconv.FormatFloat(q/100, 'g', -1, 64), "%s is not between 0 and 1", f.value.text))
			case ok && !(q >= 0 && q <= 1):
				e.fault(f, faultf("write a number from 0 to 1", "%s is not between 0 and 1", f.value.text))
			}
		}},
		{"error", m.theirs(yamlNumber)},
	})
}

func (m *mappingFile) buckets(e *entry, f field) {
	if f.value.kind != list && f.value.kind != null {
		m.theirs(func(e *entry, f field) {
			e.fault(f, faultf("write it like [0.1, 1, 10]", "is %s, not a list", f.value.kind))
		})(e, f)
		return
	}
	last := math.Inf(-1)
	for _, item := range f.value.items {
		b, ok := yamlFloat(item.text)
		switch {
		case !ok && !m.taken:
			e.fail(item.line, "write it like [0.1, 1, 10]", "buckets: %q is not a number", item.text)
		case ok && !(b > last):
			e.fail(item.line, "put the bounds in order, each once", "buckets must ascend, and %s does not", item.text)
			return
		}
		last = b
	}
}

// wordOrNone is word, but for an empty one, which is the default.
func wordOrNone(into *string, words ...string) take {
	return func(e *entry, f field) {
		if f.value.kind != null && (f.value.kind != scalar || f.value.text != "") {
			word(into, words...)(e, f)
		}
	}
}

func mappingText(e *entry, f field) {
	if _, ft := f.value.single(); ft != nil && f.value.kind != null {
		e.fault(f, ft)
	}
}

// yamlBoolean takes what YAML 1.1 does, by which the mapper reads.
func yamlBoolean(e *entry, f field) {
	switch strings.ToLower(f.value.text) {
	case "true", "false", "yes", "no", "on", "off", "y", "n":
	default:
		e.fault(f, faultf("write true or false", "%q is neither true nor false", f.value.text))
	}
}

func yamlNumber(e *entry, f field) {
	if _, ok := yamlFloat(f.value.text); !ok {
		e.fault(f, faultf("", "%q is not a number", f.value.text))
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
