package takeover

import (
	"maps"
	"regexp"
	"slices"
	"strings"

	"scriptbridge/config"
	"scriptbridge/internal/texts"
)

// environment adds variables. Those that are likely secrets are left out of a text
// that others will see.
func (f *finding) environment(e *entry, vars map[string]string) {
	if len(vars) == 0 {
		return
	}
	env := config.MapValue()
	for _, name := range slices.Sorted(maps.Keys(vars)) {
		if name == "" || strings.Contains(name, "=") {
			e.note("%q cannot be the name of a variable, and is left out.", name)
			continue
		}
		if f.Hide && config.IsSecretName(name) {
			e.refuse("the value of its variable %s is likely a secret, which is not printed (--output=FILE writes it into a file for its owner alone)", name)
			continue
		}
		env.Add(name, config.TextValue(vars[name]))
	}
	if len(env.Fields) > 0 {
		e.set("env", env)
	}
}

// labelForm is what can be the name of a label; some are taken.
var (
	labelForm = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)
	noLabels  = []string{"script", "le", "quantile"}
)

// labels adds labels, but for those that cannot be such.
func (e *entry) labels(all map[string]string) {
	labels := config.MapValue()
	for _, name := range slices.Sorted(maps.Keys(all)) {
		if !labelForm.MatchString(name) || strings.HasPrefix(name, "__") || slices.Contains(noLabels, name) {
			e.note("%q cannot be the name of a label, and is left out.", name)
			continue
		}
		labels.Add(name, config.TextValue(all[name]))
	}
	if len(labels.Fields) > 0 {
		e.set("labels", labels)
	}
}

// secretForms are options whose names speak of a secret, with their values, and
// passwords in URLs.
var secretForms = regexp.MustCompile(`(?i)(-[\w-]*(?:pass|pwd|secret|token|credential|apikey|api-key)[\w-]*[= ]["']?)[^\s"']+|(://[^/@\s]*:)[^/@\s]+(@)`)

// hideSecrets takes out of a command what is likely a secret.
func hideSecrets(words []string) (hidden []string, some bool) {
	hidden = slices.Clone(words)
	for i, word := range words {
		if i > 0 && strings.HasPrefix(words[i-1], "-") && !strings.Contains(words[i-1], "=") && config.IsSecretName(words[i-1]) {
			hidden[i] = texts.Hidden
		} else {
			hidden[i] = secretForms.ReplaceAllString(word, "${1}${2}"+texts.Hidden+"${3}")
		}
		some = some || hidden[i] != word || strings.Contains(word, texts.Hidden)
	}
	return hidden, some
}
