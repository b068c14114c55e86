package config

import (
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"scriptbridge/config/cmdline"
	"scriptbridge/config/internal/yamltree"
	"scriptbridge/internal/fsx"
)

// longestName bounds a script's name, in bytes.
const longestName = 128

// NewScript makes a Script as an entry of the file would, with the same
// defaults, but without `global`. An empty name is made from the command:
// the base name of the script's own file without its last extension. Relative
// paths start from folder, which is absolute; nothing need exist. The error is
// an *Error without a position.
func NewScript(name string, command []string, folder string, s Settings) (*Script, error) {
	var script *Script
	var ft *yamltree.Problem
	if isModular(s.Dialect) && len(command) == 0 {
		script, ft = newModule(name, s)
	} else {
		script, ft = newScript(name, command, folder, s)
	}
	if ft != nil {
		return nil, &Error{Problem: ft.Text, Remedy: ft.Remedy}
	}
	script.fill(Global{})
	return script, nil
}

// FromCommand makes a configuration of one script that no file names, for the
// command line. Relative paths start from folder.
func FromCommand(dialect string, command []string, folder string, options map[string]string) (*Config, error) {
	o, err := OptionsFrom(options)
	if err != nil {
		return nil, err
	}
	s, err := NewScript("", command, folder, Settings{Dialect: dialect, Options: o})
	if err != nil {
		return nil, err
	}
	cfg := newLoader("").config
	cfg.Scripts = []*Script{s}
	return cfg, nil
}

func newScript(name string, argv []string, folder string, s Settings) (*Script, *yamltree.Problem) {
	if len(argv) == 0 || argv[0] == "" {
		return nil, yamltree.Problemf("write the script's path", "command is empty")
	}
	if slices.ContainsFunc(argv, func(w string) bool { return strings.Contains(w, "\x00") }) {
		return nil, yamltree.Problemf("leave it out: no program can be given one", "command has a NUL in it")
	}
	words, program, file := cmdline.FindOwnFile(slices.Clone(argv), folder, s.WorkingDirectory)
	if cmdline.IsPath(words[0]) {
		words[0] = fsx.Absolute(folder, words[0])
	}
	words[program] = file
	if name == "" {
		name = cmdline.Stem(file)
	}
	if ft := checkName(name); ft != nil {
		return nil, &yamltree.Problem{Text: "name " + ft.Text, Remedy: ft.Remedy}
	}
	return &Script{Settings: s, Name: name, Command: words, Program: program}, nil
}

// checkName takes what can be shown: names are a label's value, words on the
// status page and in the log.
func checkName(name string) *yamltree.Problem {
	switch {
	case name == "":
		return yamltree.Problemf("give it a value", "is empty")
	case strings.TrimSpace(name) != name:
		return yamltree.Problemf("give another name:", "%q begins or ends with a blank", name)
	case len(name) > longestName:
		return yamltree.Problemf("give a shorter name:", "has %d bytes, more than %d", len(name), longestName)
	case !utf8.ValidString(name) || strings.ContainsFunc(name, func(r rune) bool { return !unicode.IsPrint(r) }):
		return yamltree.Problemf("give another name:", "%q has characters that cannot be printed", name)
	}
	return nil
}

// commandLine is the command as package cmdline judges it.
func (s *Script) commandLine() cmdline.Command {
	return cmdline.Command{Words: s.Command, Program: s.Program, WorkingDirectory: s.WorkingDirectory}
}

// OwnFile is the word of the command that names the script's own file. It is
// empty where there is none: an interpreter or a wrapper is given code, or
// nothing that is a file.
func (s *Script) OwnFile() string { return s.commandLine().OwnFile() }

// Executed is the index of the word of the command that names the program which
// is run in the end: the first one, or one behind nice, env and other wrappers
// that do no more than start it; -1 where that cannot be told.
func (s *Script) Executed() int { return cmdline.Executed(s.Command) }

// HasCode reports whether the command holds the code that it runs, as sh -c
// does.
func (s *Script) HasCode() bool { return s.commandLine().HasCode() }

// ShellSyntax says what of the command only a shell would understand, which
// the script gets as an ordinary argument instead, and what to write; "" for
// nothing. appended says that the script is given arguments behind those of its
// command.
func (s *Script) ShellSyntax(appended bool) string {
	if s.line == nil {
		return ""
	}
	return s.line.ShellSyntax(s.commandLine(), len(s.Parameters) > 0, appended)
}
