package yamltree

import (
	"regexp"
	"slices"
	"strconv"
	"strings"

	"scriptbridge/internal/texts"
)

// Text is a scalar that is a string.
func Text(s string) *Value { return &Value{Kind: Scalar, Text: s, str: true} }

// Bare is a scalar that is no string.
func Bare(s string) *Value { return &Value{Kind: Scalar, Text: s} }

// Add puts another key into a map.
func (v *Value) Add(key string, val *Value) {
	v.Fields = append(v.Fields, Field{Key: key, Value: val})
}

// Render writes v as block YAML, lists of single values in one line. The same
// value always gives the same text, wherever it stood.
func Render(v *Value, hide bool) string {
	r := renderer{hide: hide}
	r.block(v, "")
	return r.String()
}

type renderer struct {
	strings.Builder
	hide bool
}

// block writes a map's or a list's lines, each behind indent.
func (r *renderer) block(v *Value, indent string) {
	for _, f := range v.Fields {
		r.WriteString(indent + Quote(f.Key) + ":")
		if r.hide && secretKey(f.Key) {
			r.WriteString(" " + Quote(Hidden) + "\n")
			continue
		}
		r.rest(f.Value, indent)
	}
	for _, item := range v.Items {
		r.WriteString(indent + "-")
		r.rest(item, indent)
	}
}

// Hidden stands in the place of a secret.
const Hidden = texts.Hidden

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

// IsSecretName reports whether what has this name is likely a secret.
func IsSecretName(name string) bool { return secretWord.MatchString(name) }

// secretKey reports whether key's text is likely a secret; a file's name is
// none.
func secretKey(key string) bool {
	return IsSecretName(key) && !strings.HasSuffix(key, "_file")
}

// rest writes what follows a key or a dash.
func (r *renderer) rest(v *Value, indent string) {
	switch {
	case v.Kind == Map && len(v.Fields) > 0, v.Kind == List && !v.flat():
		r.WriteByte('\n')
		r.block(v, indent+"  ")
	default:
		r.WriteString(" " + v.inline() + "\n")
	}
}

// flat reports whether all items are single values.
func (v *Value) flat() bool {
	return !slices.ContainsFunc(v.Items, func(i *Value) bool { return i.Kind != Scalar })
}

// inline gives a value that fits into its line.
func (v *Value) inline() string {
	switch v.Kind {
	case Null:
		return "null"
	case Map:
		return "{}"
	case List:
		items := make([]string, len(v.Items))
		for i, item := range v.Items {
			items[i] = item.inline()
		}
		return "[" + strings.Join(items, ", ") + "]"
	}
	if v.str {
		return Quote(v.Text)
	}
	return v.Text
}

// bare texts need no quotes anywhere, but for the words that YAML takes for
// something else.
var (
	bare     = regexp.MustCompile(`^-{0,2}[A-Za-z/_][A-Za-z0-9/_.=+-]*$|^[0-9]+(ms|[smhd])$`)
	reserved = []string{"true", "false", "null", "yes", "no", "on", "off", "y", "n"}
)

// Quote gives a string, in double quotes where it needs them.
func Quote(s string) string {
	if bare.MatchString(s) && !slices.Contains(reserved, strings.ToLower(s)) {
		return s
	}
	return strconv.Quote(s) // its escapes are YAML's too
}
