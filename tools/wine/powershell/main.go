// Command powershell stands in for Windows PowerShell 5 where that cannot be had. It reads
// its command line as powershell.exe does, and runs the few statements that the tests'
// scripts have; whatever else it is given, it refuses.
//
// What it writes to is never a console, so that it writes as powershell.exe does to a
// pipe: lines that end with CR LF. With SCENARIO_POWERSHELL_OUTPUT=utf-16 they are UTF-16
// with a byte order mark, as a script has it that sets [Console]::OutputEncoding.
package main

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"unicode/utf16"
)

// exitCode ends a script.
type exitCode int

func (e exitCode) Error() string { return fmt.Sprintf("exit %d", int(e)) }

func main() {
	out := io.Writer(os.Stdout)
	if os.Getenv("SCENARIO_POWERSHELL_OUTPUT") == "utf-16" {
		out = &wide{to: os.Stdout}
	}
	err := powershell(os.Args[1:], out, os.Stderr)
	var code exitCode
	switch {
	case errors.As(err, &code):
		os.Exit(int(code))
	case err != nil:
		fmt.Fprintf(os.Stderr, "powershell (a stand-in): %v\r\n", err)
		os.Exit(1)
	}
}

// wide writes UTF-16, little endian, with a byte order mark.
type wide struct {
	to     io.Writer
	marked bool
}

func (w *wide) Write(p []byte) (int, error) {
	var raw []byte
	if !w.marked {
		raw, w.marked = append(raw, 0xff, 0xfe), true
	}
	for _, unit := range utf16.Encode([]rune(string(p))) {
		raw = append(raw, byte(unit), byte(unit>>8))
	}
	_, err := w.to.Write(raw)
	return len(p), err
}

// policies are the values of -ExecutionPolicy. A machine's own policy is RemoteSigned on
// Windows Server, and elsewhere Restricted until somebody has changed it, with which no
// script runs.
var policies = []string{"allsigned", "bypass", "default", "remotesigned", "restricted", "undefined", "unrestricted"}

// powershell runs what a command line asks for.
func powershell(args []string, out, errs io.Writer) error {
	policy := strings.ToLower(cmp.Or(os.Getenv("SCENARIO_POWERSHELL_POLICY"), "RemoteSigned"))
	for len(args) > 0 {
		name, isOption := option(args[0])
		if !isOption { // powershell.exe takes it for -Command
			return command(args, policy, out, errs)
		}
		args = args[1:]
		switch name {
		case "nologo", "noprofile", "noninteractive":
		case "executionpolicy":
			if len(args) == 0 || !slices.Contains(policies, strings.ToLower(args[0])) {
				return fmt.Errorf("-ExecutionPolicy wants one of %s", strings.Join(policies, ", "))
			}
			policy, args = strings.ToLower(args[0]), args[1:]
		case "file":
			if len(args) == 0 {
				return errors.New("-File wants the path of a script")
			}
			return file(args[0], args[1:], policy, out, errs)
		case "command":
			return command(args, policy, out, errs)
		default:
			return fmt.Errorf("the option -%s is not known here", name)
		}
	}
	return errors.New("it is given nothing to run, and would wait for a person")
}

// option is the full name of an option, which may be shortened as long as it is one of
// powershell.exe's own.
func option(arg string) (name string, ok bool) {
	if !strings.HasPrefix(arg, "-") {
		return "", false
	}
	short := strings.ToLower(arg[1:])
	for _, o := range []struct{ name, least string }{
		{"nologo", "nol"}, {"noprofile", "nop"}, {"noninteractive", "noni"}, {"executionpolicy", "ex"}, {"executionpolicy", "ep"},
		{"file", "f"}, {"command", "c"},
	} {
		if short == o.least || strings.HasPrefix(short, o.least) && strings.HasPrefix(o.name, short) {
			return o.name, true
		}
	}
	return short, true
}

// command runs words joined by blanks, of which the first must be a script: what else
// -Command could be given is not known here.
func command(words []string, policy string, out, errs io.Writer) error {
	line := strings.TrimSpace(strings.Join(words, " "))
	line = strings.TrimSpace(strings.TrimPrefix(line, "&"))
	tokens, err := split(line)
	if err != nil {
		return err
	}
	if len(tokens) == 0 || !strings.EqualFold(filepath.Ext(tokens[0]), ".ps1") {
		return fmt.Errorf("-Command %q: only a script is known here", line)
	}
	if !strings.ContainsAny(tokens[0], `\/`) {
		return fmt.Errorf("%s: a script of the current folder is run as .\\%s", tokens[0], tokens[0])
	}
	err = file(tokens[0], tokens[1:], policy, out, errs)
	var code exitCode
	if errors.As(err, &code) && code != 0 { // -Command makes one failure of all
		return exitCode(1)
	}
	return err
}

// split splits a command at blanks that no quotes enclose.
func split(line string) (words []string, err error) {
	word, inside, quote := "", false, rune(0)
	for _, r := range line {
		switch {
		case quote != 0 && r == quote:
			quote = 0
		case quote == 0 && (r == '\'' || r == '"'):
			quote, inside = r, true
		case quote == 0 && r == ' ':
			if inside {
				words = append(words, word)
			}
			word, inside = "", false
		case quote == 0 && strings.ContainsRune("|;&<>(){}$`", r):
			return nil, fmt.Errorf("-Command %q: %q is not known here", line, string(r))
		default:
			word, inside = word+string(r), true
		}
	}
	if quote != 0 {
		return nil, fmt.Errorf("-Command %q: the quotes are not closed", line)
	}
	if inside {
		words = append(words, word)
	}
	return words, nil
}

// file runs a script.
func file(path string, args []string, policy string, out, errs io.Writer) error {
	if !strings.EqualFold(filepath.Ext(path), ".ps1") {
		return fmt.Errorf("%s: a script's name ends with .ps1", path)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	if slices.Contains([]string{"allsigned", "default", "restricted", "undefined"}, policy) {
		return fmt.Errorf("%s cannot be loaded because running scripts is disabled on this system (-ExecutionPolicy %s)", path, policy)
	}
	s := &script{path: path, args: args, out: out, errs: errs, vars: make(map[string]value)}
	return s.run(strings.TrimPrefix(string(text), "\ufeff"))
}
