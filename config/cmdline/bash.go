package cmdline

import "regexp"

// inCommand is what stands before the first word of a simple command.
const inCommand = `(?:^|[;|&({!]|(?:^|[ \t;])(?:then|do|else|elif|if|while|until)[ \t])[ \t]*(?:[A-Za-z_][A-Za-z0-9_]*=[^ \t;|&]*[ \t]+)*`

// What a POSIX shell such as dash refuses, or takes for something else: on the
// mask of a line,
var bashSyntax = regexp.MustCompile(`\|&|&>|<<<|[<>]\(|;;?&` +
	`|>&[ \t]*[^-0-9&$ \t]` + // both streams into a file
	`|(?:^|[^$])\{[^{}\s]*(?:,|\.\.)[^{}\s]*\}|\{[A-Za-z_][A-Za-z0-9_]*\}[<>]` +
	`|[A-Za-z0-9_\]]\+?=\(|` + inCommand + `[A-Za-z_][A-Za-z0-9_]*(?:\[[^\]]*\]\+?=|\+=)` + // arrays
	`|(?:\[|test)[ \t][^;|&]*[ \t]==[ \t]|for[ \t]*\(\(` +
	`|` + inCommand + `(?:\[\[[ \t]|\(\(` +
	`|(?:source|function|declare|typeset|let|shopt|mapfile|readarray|pushd|popd|dirs|select|coproc|disown|builtin|enable|caller|compgen)(?:[ \t]|$)` +
	`|(?:local|readonly|type|wait)[ \t]+-|printf[ \t]+-v|exec[ \t]+-[acl]|export[ \t]+-[fn]|echo[ \t]+-[nE]*e` +
	`|read[ \t]+(?:-r[ \t]+)?-r?[adeinNstu]` +
	`|set[ \t][^;|&]*(?:pipefail|errtrace|functrace|[ \t]-[A-Za-z]*[BEHPT])|trap[ \t][^;|&]*(?:ERR|DEBUG|RETURN))`)

// and on that of what it expands.
var bashExpansion = regexp.MustCompile(`\$['"\[]|\$\([ \t]*<[^<]` +
	`|\$\{!|\$\{#?[A-Za-z0-9_@*]+(?:\[|/|\^|,|@[A-Za-z]|:[^-=+?])` +
	`|(?:\$\{?|\$\(\([^)]*)` + bashVariable + `\b|\$\(\([^)]*(?:\+\+|--|\*\*)`)

const bashVariable = `\b(?:S?RANDOM|BASH[A-Z_]*|EPOCHSECONDS|EPOCHREALTIME|SECONDS|HOSTNAME|HOSTTYPE|MACHTYPE|OSTYPE|E?UID|GROUPS|PIPESTATUS|FUNCNAME|DIRSTACK)`

// shell is the name of the shell that understands the line.
func (l *Line) shell() string {
	if bashSyntax.MatchString(l.mask) || bashExpansion.MatchString(expansionMask(l.text)) {
		return "bash"
	}
	return "sh"
}

// expansionMask makes a . of every byte that a shell does not expand: those in
// single quotes, and the quotes that begin nothing.
func expansionMask(line string) string {
	mask := []byte(line)
	quote := byte(0)
	for i, c := range mask {
		switch {
		case quote == 0 && (c == '\'' || c == '"'):
			quote = c
		case c == quote && c != 0:
			quote, mask[i] = 0, '.'
		case quote == '\'' || quote == '"' && c == '\'':
			mask[i] = '.'
		}
	}
	return string(mask)
}
