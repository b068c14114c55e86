package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// Shells complete commands, flags, dialects and names that are configured, by the
// functions that we give them. Nothing is run for that: not what the configuration names,
// and not what stands in a name, which bash would take for a command.
func TestCompletion(t *testing.T) {
	fish, err := filepath.Abs("packaging/completion.fish")
	if err != nil {
		t.Fatal(err)
	}
	folder := t.TempDir()
	ran := filepath.Join(folder, "ran")
	for name, text := range map[string]string{
		"scriptbridge.yml": `scripts:
  - {name: alpha, command: ./mark.sh, dialect: nagios}
  - {name: alp/s, command: ./mark.sh, dialect: prometheus}
  - {name: "$(./mark.sh)", command: ./mark.sh, dialect: nagios}
  - {name: "` + "`./mark.sh`" + `", command: ./mark.sh, dialect: nagios}
  - {name: "a b", command: ./mark.sh, dialect: nagios}
  - {name: "*", command: ./mark.sh, dialect: nagios}
  - {name: "-x", command: ./mark.sh, dialect: nagios}
discover: [{directory: found}]
`,
		// What a shell lacks of the service's environment keeps nobody from names.
		"other.yml": `scripts:
  - {name: beta, command: ./mark.sh, env: {PASSWORD: "${env:OPERATOR_NONE}"}}
  - {name: gamma, command: ./mark.sh, nosuch: key}
upload: {coscale: {app_id: x, access_token_file: nosuch}, remote_write: [{url: "http://localhost/w"}, {name: other, url: "http://localhost/w"}]}
`,
		"broken.yml": "scripts: [\n",
		"mark.sh":    "#!/bin/sh\n: >" + ran + "\n",
		"found/d.sh": "#!/bin/sh\n: >" + ran + "\n",
	} {
		if err := os.MkdirAll(filepath.Join(folder, filepath.Dir(name)), 0o755); err != nil {
			t.Fatal(err)
		}
		write(t, filepath.Join(folder, name), text, 0o755)
	}
	commands := "check help init push serve status try uploads wrap"
	for _, shell := range []struct{ name, install, code string }{
		{"bash", "bash", `source <(scriptbridge --completion-script-bash)
COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _scriptbridge_bash_autocomplete; printf '%s\n' "${COMPREPLY[@]}"`},
		{"zsh", "zsh", `compdef() { : }; compadd() { print -rl -- $matches }; _files() { : }; typeset -A compstate; compstate[nmatches]=1
source =(scriptbridge --completion-script-zsh); words=("$@"); CURRENT=$#; _scriptbridge`},
		{"fish", "fish", `source ` + fish + `; complete -C (string join ' ' -- $argv)`},
	} {
		t.Run(shell.name, func(t *testing.T) {
			needs(t, shell.name, shell.install)
			for _, c := range []struct{ line, want string }{
				{"", commands},
				{"t", commands},
				{"try |", "alp/s alpha d"},
				{"try |al", "alp/s alpha d"},
				{"try |alpha| ", "alp/s alpha d"},
				{"--config.file=other.yml| ", commands},
				{"--config.file=other.yml|try| ", "beta gamma"},
				{"--config.file|other.yml|try|--strict| ", "beta gamma"},
				{"--config.file=broken.yml|try| ", ""},
				{"--config.file=nosuch.yml|try| ", ""},
				{"--config.file=.|try| ", ""},
				{"try|--dialect| ", "coscale instrumental nagios prometheus scalyr textfile"},
				{"--config.file=other.yml|uploads|--storage.path=x|retry| ", "coscale remote_write remote_write_other"},
				{"--config.file=other.yml|push|--upload| ", "remote_write remote_write_other"},
				{"--config.file=other.yml|wrap|--upload|remote_write_| ", "remote_write remote_write_other"},
				{"try|--|./mark.sh| ", ""},
			} {
				words := []string{"scriptbridge"}
				for word := range strings.SplitSeq(c.line, "|") {
					word = strings.TrimSpace(word)
					name, value, ok := strings.Cut(word, "=")
					if shell.name == "bash" && ok && value != "" { // as COMP_WORDBREAKS has it
						words = append(words, name, "=", value)
						continue
					}
					words = append(words, word)
				}
				args := []string{"-c", shell.code, "test"}
				if shell.name == "fish" {
					args = args[:2]
				}
				cmd := exec.Command(shell.name, append(args, words...)...)
				cmd.Dir = folder
				var said strings.Builder
				cmd.Stderr = &said
				out, err := cmd.Output()
				current := words[len(words)-1]
				var got, want []string
				for line := range strings.Lines(string(out)) {
					if word, _, _ := strings.Cut(strings.TrimSpace(line), "\t"); word != "" {
						got = append(got, word)
					}
				}
				for word := range strings.FieldsSeq(c.want) {
					if shell.name == "zsh" || strings.HasPrefix(word, current) { // zsh chooses by itself
						want = append(want, word)
					}
				}
				if shell.name == "fish" { // it adds files
					got = slices.DeleteFunc(got, func(word string) bool { return fileExists(filepath.Join(folder, word)) })
				}
				slices.Sort(got)
				if got = slices.Compact(got); err != nil || said.Len() > 0 || !slices.Equal(got, want) {
					t.Errorf("%q: %q, want %q; %v %s", c.line, got, want, err, said.String())
				}
			}
			if fileExists(ran) {
				t.Error("a script was run")
			}
		})
	}
}
