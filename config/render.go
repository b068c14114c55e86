package config

import (
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/alecthomas/units"
	"github.com/prometheus/common/model"
)

// YAML gives s as an entry of `scripts` would say it, defaults filled in,
// secrets hidden: the texts of env, and options whose key speaks of a
// password, a token or the like. The command is shown as it is.
func (s *Script) YAML() string {
	v := &value{kind: object}
	v.add("name", s.Name)
	words := &value{kind: list}
	for _, w := range s.Command {
		words.items = append(words.items, textValue(w))
	}
	if !isModular(s.Dialect) {
		v.addValue("command", words)
	}
	if len(s.Parameters) > 0 {
		all := &value{kind: object}
		for _, name := range slices.Sorted(maps.Keys(s.Parameters)) {
			p := &value{kind: object}
			p.add("pattern", s.Parameters[name].Pattern)
			p.addOptional("default", s.Parameters[name].Default)
			all.addValue(name, p)
		}
		v.addValue("parameters", all)
	}
	s.addTo(v)
	return render(v, true)
}

// addTo adds what is set to v.
func (s *Settings) addTo(v *value) {
	v.add("dialect", s.Dialect)
	v.addDuration("interval", s.Interval)
	v.addDuration("timeout", s.Timeout)
	v.addOptional("prefix", s.Prefix)
	addTexts(v, "labels", s.Labels)
	addTexts(v, "env", s.Env)
	v.add("env_file", s.EnvFile)
	v.add("user", s.User)
	v.add("working_directory", s.WorkingDirectory)
	v.addDuration("max_age", s.MaxAge)
	v.addPlain("max_series", strconv.Itoa(s.MaxSeries))
	v.addPlain("max_output", units.Base2Bytes(s.MaxOutput).String())
	v.addDuration("average_window", s.AverageWindow)
	v.addTrue("honor_timestamps", s.HonorTimestamps)
	v.addTrue("probe", s.Probe)
	if s.KeepDescendants {
		v.add("descendants", "keep")
	}
	metrics := &value{kind: object}
	for _, id := range slices.Sorted(maps.Keys(s.Metrics)) {
		o := s.Metrics[id]
		m := &value{kind: object}
		m.add("type", o.Type)
		m.add("name", o.Name)
		m.add("help", o.Help)
		m.addOptional("unit", o.Unit)
		m.addTrue("drop", o.Drop)
		metrics.addValue(id, m)
	}
	if len(metrics.fields) > 0 {
		v.addValue("metrics", metrics)
	}
	if s.Options.root != nil {
		v.addValue("options", s.Options.root)
	}
}

func textValue(s string) *value { return &value{kind: scalar, text: s, str: true} }

func (v *value) addValue(key string, val *value) {
	v.fields = append(v.fields, field{key: key, value: val})
}

func (v *value) addPlain(key, text string) { v.addValue(key, &value{kind: scalar, text: text}) }

func (v *value) add(key, text string) {
	if text != "" {
		v.addValue(key, textValue(text))
	}
}

func (v *value) addOptional(key string, text *string) {
	if text != nil {
		v.addValue(key, textValue(*text))
	}
}

func (v *value) addDuration(key string, d time.Duration) {
	if d != 0 {
		v.addPlain(key, model.Duration(d).String())
	}
}

func (v *value) addTrue(key string, b bool) {
	if b {
		v.addPlain(key, "true")
	}
}

func addTexts[T ~string](v *value, key string, texts map[string]T) {
	if len(texts) == 0 {
		return
	}
	m := &value{kind: object}
	for _, name := range slices.Sorted(maps.Keys(texts)) {
		text := textValue(string(texts[name]))
		if _, secret := any(texts[name]).(Secret); secret {
			text = textValue(hidden)
		}
		m.addValue(name, text)
	}
	v.addValue(key, m)
}

// render writes v as block YAML, lists of single values in one line. The same
// value always gives the same text, wherever it stood.
func render(v *value, hide bool) string {
	r := renderer{hide: hide}
	r.block(v, "")
	return r.String()
}

type renderer struct {
	strings.Builder
	hide bool
}

// block writes an object's or a list's lines, each behind indent.
func (r *renderer) block(v *value, indent string) {
	for _, f := range v.fields {
		r.WriteString(indent + scalarText(f.key) + ":")
		if r.hide && secretKey(f.key) {
			r.WriteString(" " + scalarText(hidden) + "\n")
			continue
		}
		r.rest(f.value, indent)
	}
	for _, item := range v.items {
		r.WriteString(indent + "-")
		r.rest(item, indent)
	}
}

// secretWords are in the names of secrets.
const secretWords = `(?i:pass|pwd|secret|token|credential|key|auth|bearer)` //nolint:gosec // words, none of them a secret

var secretWord = regexp.MustCompile(secretWords)

// secretIn is the name of a secret in a text, or of what holds such, up to where
// its value begins; secretLast is a line whose next one is that
// value; the keys that hide what is indented beneath them are found otherwise.
var (
	secretIn   = regexp.MustCompile(secretWords + `[A-Za-z0-9_.-]*["']?(?:[ \t]*[:=,][ \t]*|[ \t]+)|\benv:[ \t]*\{?|://[^/@\s]*:`)
	secretLast = regexp.MustCompile(secretWords + `[A-Za-z0-9_.-]*(?:["']?[ \t]*[=,]?|["'][ \t]*:)[ \t]*\r?$`)
)

// secretKey reports whether key's text is likely a secret; a file's name is
// none.
func secretKey(key string) bool {
	return secretWord.MatchString(key) && !strings.HasSuffix(key, "_file")
}

// rest writes what follows a key or a dash.
func (r *renderer) rest(v *value, indent string) {
	switch {
	case v.kind == object && len(v.fields) > 0, v.kind == list && !v.flat():
		r.WriteByte('\n')
		r.block(v, indent+"  ")
	default:
		r.WriteString(" " + v.inline() + "\n")
	}
}

// flat reports whether all items are single values.
func (v *value) flat() bool {
	return !slices.ContainsFunc(v.items, func(i *value) bool { return i.kind != scalar })
}

// inline gives a value that fits into its line.
func (v *value) inline() string {
	switch v.kind {
	case null:
		return "null"
	case object:
		return "{}"
	case list:
		items := make([]string, len(v.items))
		for i, item := range v.items {
			items[i] = item.inline()
		}
		return "[" + strings.Join(items, ", ") + "]"
	}
	if v.str {
		return scalarText(v.text)
	}
	return v.text
}

// bare texts need no quotes anywhere, but for the words that YAML takes for
// something else.
var (
	bare     = regexp.MustCompile(`^-{0,2}[A-Za-z/_][A-Za-z0-9/_.=+-]*$|^[0-9]+(ms|[smhd])$`)
	reserved = []string{"true", "false", "null", "yes", "no", "on", "off", "y", "n"}
)

// scalarText gives a string, in double quotes where it needs them.
func scalarText(s string) string {
	if bare.MatchString(s) && !slices.Contains(reserved, strings.ToLower(s)) {
		return s
	}
	return strconv.Quote(s) // its escapes are YAML's too
}
