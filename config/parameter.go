package config

import (
	"errors"
	"fmt"
	"maps"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"scriptbridge/config/cmdline"
	"scriptbridge/config/internal/yamltree"
)

// longestParameter bounds the value that a request may give, in bytes.
const longestParameter = 1 << 10

// Parameter is what a request to /probe may say: one value, which stands in
// the script's command where {its name} stands in the configuration.
type Parameter struct {
	// Pattern is a regular expression (RE2) that the whole value must match.
	Pattern string `yaml:"pattern" aka:"regex regexp allowed match" required:"write pattern: and a regular expression that the whole value must match" doc:"a regular expression that the whole value must match"`
	// Default is the value where none is given; nil: one must be given, and
	// so the script runs only when it is probed.
	Default *string `yaml:"default" unset:"none: a request must give one, and the script runs only when it is probed" doc:"the value where a request gives none"`

	form *regexp.Regexp // Pattern, preferring the longest match
}

// ParameterError says which parameter of a request cannot be used, and why. It
// holds neither the value nor the pattern: the first is the asker's, the
// second the operator's.
type ParameterError struct{ Name, Problem string }

// Error gives one line for whoever asked.
func (e *ParameterError) Error() string { return fmt.Sprintf("parameter %q %s", e.Name, e.Problem) }

// dashed reports whether the pattern says in so many words that a value may
// begin with -.
func (p Parameter) dashed() bool { return strings.HasPrefix(strings.TrimPrefix(p.Pattern, "^"), "-") }

// check says what is wrong with a value; empty for nothing.
func (p Parameter) check(value string) string {
	switch {
	case len(value) > longestParameter:
		return fmt.Sprintf("has %d bytes, more than %d", len(value), longestParameter)
	case !utf8.ValidString(value) || strings.ContainsFunc(value, func(r rune) bool { return !unicode.IsGraphic(r) }):
		return "has characters that cannot be printed"
	}
	// Not ^(?:…)$ around the pattern: what opens a group or a quotation in it
	// could end ours. Where the whole value matches at all, the leftmost
	// longest match is the whole.
	if at := p.form.FindStringIndex(value); at == nil || at[0] != 0 || at[1] != len(value) {
		return "does not match its pattern"
	}
	return ""
}

// placeholder is a parameter's place in a command.
var placeholder = regexp.MustCompile(`\{([a-zA-Z_][a-zA-Z0-9_]*)\}`)

// ProbeOnly reports whether the script runs only when it is probed: one of its
// parameters has no default.
func (s *Script) ProbeOnly() bool {
	for _, p := range s.Parameters {
		if p.Default == nil {
			return true
		}
	}
	return false
}

// Words gives the command with every parameter in its place: the value of a
// request, or else the default. Names in values that the script does not know
// are ignored. A value is never more than a part of its word, and does not make
// an option of it: what comes of a word that begins with a parameter begins
// with - only if that parameter's pattern does. The error is a *ParameterError
// for each value that is missing, given twice or refused.
func (s *Script) Words(values map[string][]string) ([]string, error) {
	if len(s.Parameters) == 0 {
		return slices.Clone(s.Command), nil
	}
	var errs []error
	refuse := func(name, problem string) { errs = append(errs, &ParameterError{name, problem}) }
	filled := make(map[string]string, len(s.Parameters))
	for _, name := range slices.Sorted(maps.Keys(s.Parameters)) {
		p, given := s.Parameters[name], values[name]
		switch {
		case len(given) > 1:
			refuse(name, "is given more than once")
		case len(given) == 1:
			if problem := p.check(given[0]); problem != "" {
				refuse(name, problem)
			}
			filled[name] = given[0]
		case p.Default == nil:
			refuse(name, "is not given, and has no default")
		default:
			filled[name] = *p.Default
		}
	}
	if len(errs) > 0 {
		return nil, errors.Join(errs...)
	}
	words, options := s.fill(filled)
	for _, o := range options {
		errs = append(errs, o)
	}
	if len(errs) > 0 {
		return nil, errors.Join(errs...)
	}
	return words, nil
}

// fill gives the command with values in the place of parameters; those that have none are
// left as they are. refused has each word of which a value would make an option.
func (s *Script) fill(values map[string]string) (words []string, refused []*ParameterError) {
	for _, word := range s.Command {
		filled := placeholder.ReplaceAllStringFunc(word, func(place string) string {
			if value, has := values[place[1:len(place)-1]]; has {
				return value
			}
			return place
		})
		words = append(words, filled)
		at := placeholder.FindStringSubmatchIndex(word)
		if at == nil || at[0] > 0 || !begun(filled) {
			continue
		}
		name := word[at[2]:at[3]]
		if first, _ := utf8.DecodeRuneInString(filled); first != '-' {
			refused = append(refused, &ParameterError{name, fmt.Sprintf("would begin its word with %c, and so be an option%s", first, onWindows)})
		} else if !s.Parameters[name].dashed() {
			refused = append(refused, &ParameterError{name, "would begin its word with -, and so be an option"})
		}
	}
	return words, refused
}

// onWindows marks what is an option there alone.
const onWindows = " on Windows"

// begun reports whether a word is an option to the programs of this system.
func begun(word string) bool {
	if strings.HasPrefix(word, "-") {
		return true
	}
	first, _ := utf8.DecodeRuneInString(word)
	return runtime.GOOS == "windows" && strings.ContainsRune(windowsOptions, first)
}

// windowsOptions begin options on Windows, besides -: the dashes of PowerShell, and what Windows
// makes a - or a / of for programs that read their arguments in a code page.
const windowsOptions = "/\u2013\u2014\u2015\u2212\uff0d\uff0f"

// readKey holds the pattern and the default against what they are for.
func (p *Parameter) readKey(e *entry, _ *yamltree.Value, f yamltree.Field, read func()) {
	read()
	switch {
	case f.Key == "pattern":
		if problem := checkRegexp(p.Pattern); problem != nil {
			e.failKey(f, problem)
			return
		}
		form := regexp.MustCompile(p.Pattern)
		form.Longest()
		p.form = form
	case p.Default == nil || p.form == nil:
	default:
		if problem := p.check(*p.Default); problem != "" {
			e.failKey(f, yamltree.Problemf("change one of the two", "%q %s", *p.Default, problem))
		}
	}
}

// checkParameters holds the parameters of the script that v describes against
// its command: each has a place, each place a parameter, and none is where a
// value would choose the program or become code. Without probe and parameters,
// braces are ordinary characters.
func (e *entry) checkParameters(v *yamltree.Value, s *Script) {
	declared, line := v.Get("parameters"), v.Get("command")
	if line == nil { // a module's, and whether it may be probed its dialect knows
		if declared != nil {
			e.fail(declared.Line, "leave them out", "has parameters, which are for a script with a command")
		}
		return
	}
	if declared != nil && !s.Probe {
		e.fail(declared.Line, "write probe: true", "has parameters, which are for a script that may be probed")
	}
	if declared == nil && !s.Probe {
		return
	}
	free := cmdline.FreeWords(s.Command, s.Program)
	placed := make(map[string]bool)
	for i, word := range s.Command {
		for _, m := range placeholder.FindAllStringSubmatch(word, -1) {
			placed[m[1]] = true
			if _, known := s.Parameters[m[1]]; !known {
				e.fail(line.Line, "declare it under parameters:, or move the code that contains it into the script", "command: {%s} is not a parameter", m[1])
			} else if i < free {
				e.fail(line.Line, "place it behind the script's own file, which is named by its path", "command: {%s} would choose the program, or be code", m[1])
			}
		}
	}
	for _, name := range slices.Sorted(maps.Keys(s.Parameters)) {
		if !placed[name] {
			e.fail(declared.Value.Get(name).Line, fmt.Sprintf("write {%s} where its value belongs", name), "parameters: %q has no place in command", name)
		}
	}
	if declared != nil {
		e.checkDefaults(declared.Value, s)
	}
}

// checkDefaults refuses a default that would make an option of its word. parameters is what
// describes them.
func (e *entry) checkDefaults(parameters *yamltree.Value, s *Script) {
	defaults := make(map[string]string)
	for name, p := range s.Parameters {
		if p.Default != nil && p.form != nil && p.check(*p.Default) == "" {
			defaults[name] = *p.Default
		}
	}
	_, refused := s.fill(defaults)
	for _, r := range refused {
		at := parameters.Get(r.Name)
		if given := at.Value.Get("default"); given != nil {
			at = given
		}
		remedy := "begin the pattern with - if that is meant"
		if strings.HasSuffix(r.Problem, onWindows) {
			remedy = "give it another one"
		}
		e.fail(at.Line, remedy, "parameters: the default of %q %s", r.Name, r.Problem)
	}
}
