package config

import (
	"cmp"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"scriptbridge/config/cmdline"
	"scriptbridge/config/internal/yamltree"
	"scriptbridge/internal/fsx"
)

// NewScript makes a Script as an entry of the file would, with the same
// defaults, but without `global`. An empty name is made from the command:
// the base name of the script's own file without its last extension. Relative
// paths start from folder, which is absolute; nothing need exist. The error is
// an *Error without a position.
func NewScript(name string, command []string, folder string, set Settings) (*Script, error) {
	s := newScript(name, set)
	return s.orError(s.setCommand(command, folder))
}

// NewModule is NewScript for a dialect that has modules. An empty name is made
// from its options.
func NewModule(name string, set Settings) (*Script, error) {
	s := newScript(name, set)
	return s.orError(s.nameModule())
}

// NewFolder is NewScript for a dialect that reads folders. An empty name is made
// from the path, which starts from folder.
func NewFolder(name, path, folder string, set Settings) (*Script, error) {
	s := newScript(name, set)
	s.Directory = fsx.Absolute(folder, path)
	return s.orError(s.nameFolder())
}

func newScript(name string, set Settings) *Script {
	s := &Script{Name: name, Settings: set}
	s.AverageWindow = cmp.Or(s.AverageWindow, newLoader(nil, "", nil).config.Global.AverageWindow)
	fill(reflect.ValueOf(s).Elem())
	return s
}

func (s *Script) orError(p *yamltree.Problem) (*Script, error) {
	if p != nil {
		return nil, &Error{Problem: p.Text, Remedy: p.Remedy}
	}
	return s, nil
}

// FromCommand makes a configuration of one script that no file names, for the
// command line: of a module where there is no command and the dialect has such,
// of a folder where the dialect reads such and the command is its path. Relative paths start from folder. An empty dialect is the first one.
func FromCommand(dialects Dialects, dialect string, command []string, folder string, options map[string]string) (*Config, error) {
	o, err := OptionsFrom(options)
	if err != nil {
		return nil, err
	}
	o.dialects = dialects
	set := Settings{Dialect: cmp.Or(dialect, dialects.first()), Options: o}
	var s *Script
	switch of := dialects.find(set.Dialect); {
	case of.Modules && len(command) == 0:
		s, err = NewModule("", set)
	case of.Folders && len(command) == 1:
		s, err = NewFolder("", command[0], folder, set)
	case of.Folders:
		err = &Error{Problem: fmt.Sprintf("the dialect %s reads one folder", of.Name), Remedy: "give its path, and nothing else, after --"}
	default:
		s, err = NewScript("", command, folder, set)
	}
	if err != nil {
		return nil, err
	}
	cfg := newLoader(dialects, "", nil).config
	cfg.Scripts = []*Script{s}
	return cfg, nil
}

// setCommand makes words the script's command, and names the script by it unless it
// has a name.
func (s *Script) setCommand(words []string, folder string) *yamltree.Problem {
	if len(words) == 0 || words[0] == "" {
		return yamltree.Problemf("write the script's path", "command is empty")
	}
	if slices.ContainsFunc(words, func(w string) bool { return strings.Contains(w, "\x00") }) {
		return yamltree.Problemf("leave it out: no program can be given one", "command has a NUL in it")
	}
	words, program, file := cmdline.FindOwnFile(slices.Clone(words), folder, s.WorkingDirectory)
	for _, path := range []string{words[0], file} {
		if p := cmdline.DriveRelative(path); p != nil {
			return p
		}
	}
	if cmdline.IsPath(words[0]) {
		words[0] = fsx.Absolute(folder, words[0])
	}
	words[program] = file
	if s.Name == "" {
		if s.Name = cmdline.Name(words, program); s.checkName() != nil {
			s.Name = cmdline.Stem(file)
		}
	}
	if p := s.checkName(); p != nil {
		return p
	}
	s.Command, s.Program = words, program
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
