package config

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"

	"scriptbridge/config/internal/yamltree"
	"scriptbridge/internal/fsx"
)

// Secret is a text that is shown nowhere: it prints as <secret> under every
// verb of fmt, in JSON and in YAML. Only in an unexported field of a printed
// struct can fmt not see its methods: do not print such structs.
type Secret string

// Reveal gives the text itself.
func (s Secret) Reveal() string { return string(s) }

// String gives <secret>.
func (Secret) String() string { return yamltree.Hidden }

// Format writes <secret>, whatever the verb.
func (Secret) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, yamltree.Hidden) }

// MarshalText gives <secret>: to encoding/json and to YAML.
func (Secret) MarshalText() ([]byte, error) { return []byte(yamltree.Hidden), nil }

// A secret that is not in the configuration is named there, wherever a secret is: a
// variable of the bridge's own environment, or a credential of its systemd unit. Only a
// text that is the whole of this form means that.
var secretName = regexp.MustCompile(`(?s)^\$\{(env|credential):(.*)\}$`)

// likeSecretName is what somebody wrote who meant that form: with other letters, or with
// more around it.
var likeSecretName = regexp.MustCompile(`(?i)\$\{\s*(env|credentials?)\s*:`)

// credentials is the variable that systemd names the folder of a unit's credentials
// by, which nobody else may read (LoadCredential=).
const credentials = "CREDENTIALS_DIRECTORY"

// variableOf gives the variable whose value is what a file of secrets would hold.
func variableOf(file string) (name string, ok bool) {
	m := secretName.FindStringSubmatch(file)
	if m == nil || m[1] != "env" {
		return "", false
	}
	return m[2], true
}

// IsFile reports whether what a key for a file of secrets says is one, and not a variable.
func IsFile(name string) bool {
	_, variable := variableOf(name)
	return name != "" && !variable
}

// ReadSecretFile reads what a key for a file of secrets names, whoever else may read it.
func ReadSecretFile(file string) ([]byte, error) {
	if name, ok := variableOf(file); ok {
		return []byte(os.Getenv(name)), nil
	}
	return fsx.ReadFile(file)
}

// warnOfLikeName warns of a value in a map that names no secret, and was meant to. It
// shows nothing of it.
func (e *entry) warnOfLikeName(key string, one yamltree.Field, text string) {
	if likeSecretName.MatchString(text) && !secretName.MatchString(text) {
		e.Warn(Position{File: e.file, Line: one.Line}, e.thing, "let the whole value be ${env:NAME} or ${credential:NAME}, and what that names hold all of it",
			"%s: %q has something like ${env:…} or ${credential:…} in it, and stays as it is written", key, one.Key)
	}
}

// readSecret gives the value of a secret that a text names; other texts are the secret
// themselves. No problem shows a value.
func (e *entry) readSecret(text string) (string, *yamltree.Problem) {
	if !secretName.MatchString(text) {
		return text, nil
	}
	name, p := readSecretName(e, text)
	if p != nil {
		return "", p
	}
	var value []byte
	if variable, ok := variableOf(name); ok {
		value = []byte(os.Getenv(variable))
	} else {
		var err error
		if value, err = readPrivate(name); err != nil {
			problem, remedy := err.Error(), ""
			if located, ok := errors.AsType[*Error](err); ok {
				problem, remedy = located.File+": "+located.Problem, located.Remedy
			}
			return "", yamltree.Problemf(remedy, "is %s, but %s", text, problem)
		}
		value = bytes.TrimSuffix(bytes.TrimSuffix(value, []byte("\n")), []byte("\r")) // as an editor ends it
	}
	if len(value) == 0 {
		return "", yamltree.Problemf("write the secret into it", "is %s, but the file is empty", text)
	}
	return string(value), nil
}

// readSecretName reads the name of a file of secrets: a path, a credential, which is the
// path of one, or a variable, which is left as it is written.
func readSecretName(e *entry, text string) (string, *yamltree.Problem) {
	m := secretName.FindStringSubmatch(text)
	switch {
	case m == nil:
		return readFile(e, text)
	case m[1] == "credential":
		if runtime.GOOS == "windows" {
			return text, yamltree.Problemf("write the path of a file that only the bridge's account may read", "is ${credential:%s}, but only systemd gives credentials", m[2])
		}
		if m[2] == "" || m[2] == "." || m[2] == ".." || strings.ContainsAny(m[2], "/\x00\n") {
			return text, yamltree.Problemf("write the name that LoadCredential= in the unit gives it, as in ${credential:api-token}", "is ${credential:…} with what is no name of one")
		}
		if !filepath.IsAbs(os.Getenv(credentials)) {
			return text, yamltree.Problemf("give the unit LoadCredential="+m[2]+":FILE; for scriptbridge check in a shell set it to /run/credentials/scriptbridge.service",
				"is %s, but %s names no folder", text, credentials)
		}
		return readFile(e, "${"+credentials+"}/"+m[2])
	case !labelForm.MatchString(m[2]): // variables have the same form
		return text, yamltree.Problemf("write the name alone, as in ${env:API_TOKEN}; there is no default value", "is ${env:…} with what is no name of a variable")
	case os.Getenv(m[2]) == "":
		state := "is not set"
		if _, set := os.LookupEnv(m[2]); set {
			state = "is empty"
		}
		return text, yamltree.Problemf("set it where the service is started, as by EnvironmentFile= in its unit; scriptbridge check in a shell needs it too", "is %s, but the variable %s %s", text, m[2], state)
	}
	if e.load != nil {
		e.load.variables = append(e.load.variables, m[2])
	}
	return text, nil
}

// inCredentials gives the path of a file that is named as one in the folder of
// credentials; any other it leaves as it is.
func inCredentials(s string) (string, *yamltree.Problem) {
	name, ok := strings.CutPrefix(s, "${"+credentials+"}/")
	if !ok {
		name, ok = strings.CutPrefix(s, "$"+credentials+"/")
	}
	if !ok {
		return s, nil
	}
	folder := os.Getenv(credentials)
	if !filepath.IsAbs(folder) {
		return s, yamltree.Problemf("it is set in a unit with LoadCredential=; elsewhere name the file by its path",
			"is a credential, but %s names no folder", credentials)
	}
	return filepath.Join(folder, name), nil
}
