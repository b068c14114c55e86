package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"runtime/debug"
	"slices"
	"strings"

	"github.com/alecthomas/kingpin/v2"
	"github.com/prometheus/common/version"

	"scriptbridge/config"
)

// stampVersion says what is known of a build that the Makefile did not stamp:
// its version where Go noted one, and that the rest is unknown.
func stampVersion() {
	if info, ok := debug.ReadBuildInfo(); ok && version.Version == "" && info.Main.Version != "(devel)" {
		version.Version = info.Main.Version
	}
	for _, text := range []*string{&version.Version, &version.Branch, &version.BuildUser, &version.BuildDate} {
		if *text == "" {
			*text = "unknown"
		}
	}
}

// parsed is app.Parse, with what it prints as it should be, and errors that
// name the flag and what may be meant. ended says that help or the version was
// asked for, which has been printed.
func parsed(app *kingpin.Application, args []string, stdout, stderr io.Writer) (command string, ended bool, err error) {
	app.Terminate(func(int) { ended = true })
	app.UsageWriter(stdout)
	app.ErrorWriter(stderr)
	app.HelpFlag.Short('h')
	app.Version(version.Print("scriptbridge"))
	if slices.Contains(args, "--help-man") {
		return "", true, printManual(app, stdout)
	}
	if err := malformed(app, args); err != nil {
		return "", false, err
	}
	command, err = app.Parse(args)
	if err != nil && !ended {
		err = explainArgs(app, args, err)
	}
	return command, ended, err
}

// complete prints what a shell may complete a word with, and nothing else: whoever has
// pressed a key has asked for no errors.
func complete(app *kingpin.Application, words []string) {
	app.Terminate(func(int) {})
	app.UsageWriter(io.Discard)
	app.ErrorWriter(io.Discard)
	if len(words) > 0 {
		_, _ = app.Parse(words)
	}
}

// printManual prints the manual page. Its title is one line, into which the
// library would put all that --version prints.
func printManual(app *kingpin.Application, stdout io.Writer) error {
	ctx, err := app.ParseContext(nil)
	if err != nil {
		return err
	}
	var page bytes.Buffer
	app.UsageWriter(&page)
	if err := app.UsageForContextWithTemplate(ctx, 2, kingpin.ManPageTemplate); err != nil {
		return err
	}
	_, text, _ := strings.Cut(page.String(), "\n.SH ")
	_, err = fmt.Fprintf(stdout, ".TH SCRIPTBRIDGE 1 \"\" \"scriptbridge %s\" \"User Commands\"\n.SH %s", version.Version, text)
	return err
}

var (
	unknownFlag    = regexp.MustCompile(`^unknown (?:long|short) flag '(.*)'$`)
	unexpectedWord = regexp.MustCompile(`^unexpected (?:argument )?'?([^']*)'?$`)
	enumValue      = regexp.MustCompile(`^enum value must be one of (.*), got '(?s:.*)'$`)
	valueless      = regexp.MustCompile(`^expected argument for flag '(.*)'$`)
	subcommand     = regexp.MustCompile(`^must select a subcommand of '(.*)'$|^expected command but got "(.*)"$`)
	missingUnit    = regexp.MustCompile(`^time: (missing unit in|invalid|unknown unit .* in) duration `)
)

// explainArgs words an error of the command line.
func explainArgs(app *kingpin.Application, args []string, err error) error {
	if m := unknownFlag.FindStringSubmatch(err.Error()); m != nil {
		if flag := whole(args, m[1]); !triesFile(args) {
			return unknownArg("flag", flag, flagNames(app), otherFlags)
		}
		return fmt.Errorf("unknown flag %s (a command that is in no configuration is given behind --: scriptbridge try -- %s)", m[1], strings.Join(args[1:], " "))
	}
	if m := valueless.FindStringSubmatch(err.Error()); m != nil {
		return hasNoValue(m[1])
	}
	if m := subcommand.FindStringSubmatch(err.Error()); m != nil {
		return explainSubcommand(app, args, m[2])
	}
	if m := unexpectedWord.FindStringSubmatch(err.Error()); m != nil {
		switch args[0] {
		case "wrap":
			return fmt.Errorf("unknown argument %s (the command is given behind --, as in: wrap --category=Backups --message=nightly -- /usr/local/bin/backup)", m[1])
		case "init":
			return fmt.Errorf("unknown argument %s (the file to write is named by --output=%[1]s)", m[1])
		}
		var names []string
		for _, c := range app.Model().Commands {
			names = append(names, c.Name)
		}
		return unknownArg("command", m[1], names, otherCommands)
	}
	if told := explainValue(app, args); told != nil {
		return told
	}
	return fmt.Errorf("%w (see --help)", err)
}

// whole gives the argument that a flag which is not known was read from.
func whole(args []string, flag string) string {
	for _, arg := range args {
		name, _, _ := strings.Cut(arg, "=")
		if strings.HasPrefix(name, flag) {
			return name
		}
	}
	return flag
}

// otherCommands and otherFlags are what other programs call ours, and what to
// write.
var (
	otherCommands = map[string]string{
		"start": "serve", "run": "serve", "daemon": "serve", "server": "serve",
		"validate": "check", "verify": "check", "lint": "check", "test": "try", "once": "try", "import": "init", "migrate": "init",
		"version": "--version", "reload": "kill -HUP and the process's id",
	}
	otherFlags = map[string]string{
		"config": "--config.file", "c": "--config.file", "conf": "--config.file", "config-file": "--config.file", "configuration": "--config.file",
		"v": "--version", "V": "--version", "l": "--web.listen-address", "listen": "--web.listen-address", "port": "--web.listen-address=:PORT",
		"data": "--storage.path", "debug": "--log.level=debug", "verbose": "--log.level=debug", "once": "the command try", "test": "the command try",
	}
)

// triesFile says that try is given a script's file where it takes names.
func triesFile(args []string) bool {
	if len(args) < 2 || args[0] != "try" || strings.HasPrefix(args[1], "-") {
		return false
	}
	info, err := os.Stat(args[1]) //nolint:gosec // who names the file runs the program
	return err == nil && info.Mode().IsRegular()
}

// malformed finds what the library passes over: a flag with dashes that are no
// hyphens, which it takes for the name of a file, and one that lacks its value,
// where there is a default command.
func malformed(app *kingpin.Application, args []string) error {
	for _, arg := range args {
		if strings.HasPrefix(arg, "–") || strings.HasPrefix(arg, "—") {
			return fmt.Errorf("%s begins with a dash that is no hyphen (write --%s)", arg, strings.TrimLeft(arg, "–—-"))
		}
	}
	if len(args) == 0 {
		return nil
	}
	last := args[len(args)-1]
	for _, f := range app.Model().Flags {
		if last == "--"+f.Name && !f.IsBoolFlag() || slices.Contains(args, "--"+f.Name+"=") {
			return hasNoValue("--" + f.Name)
		}
	}
	return nil
}

func hasNoValue(flag string) error {
	return fmt.Errorf("%s has no value (write it like %[1]s=VALUE)", flag)
}

// explainSubcommand says which commands there are within the one that args begin
// with; word is what stands in the place of one.
func explainSubcommand(app *kingpin.Application, args []string, word string) error {
	var names []string
	within := ""
	for _, c := range app.Model().Commands {
		if len(c.Commands) > 0 && slices.Contains(args, c.Name) {
			within = c.Name
			for _, sub := range c.Commands {
				names = append(names, c.Name+" "+sub.Name)
			}
		}
	}
	if word == "" {
		return fmt.Errorf("%s is no command by itself (write %s)", within, strings.Join(names, " or "))
	}
	return fmt.Errorf("unknown command %s %s (write %s)", within, word, strings.Join(names, " or "))
}

func unknownArg(what, name string, known []string, others map[string]string) error {
	switch ext := filepath.Ext(name); {
	case what == "command" && slices.Contains([]string{".yml", ".yaml", ".json", ".conf"}, ext):
		return fmt.Errorf("unknown command %s (a configuration is named by --config.file=%[1]s)", name)
	case what == "command" && strings.ContainsRune(name, filepath.Separator):
		return fmt.Errorf("unknown command %s (scriptbridge try -- %[1]s runs a script once)", name)
	}
	if other := others[strings.TrimLeft(name, "-")]; other != "" {
		return fmt.Errorf("unknown %s %s (did you mean %s?)", what, name, other)
	}
	if like := config.Nearest(strings.TrimLeft(name, "-"), known); like != "" {
		if what == "flag" {
			like = "--" + like
		}
		return fmt.Errorf("unknown %s %s (did you mean %s?)", what, name, like)
	}
	return fmt.Errorf("unknown %s %s (see --help)", what, name)
}

// flagNames are the long names of all flags.
func flagNames(app *kingpin.Application) (names []string) {
	model := app.Model()
	add := func(flags []*kingpin.FlagModel) {
		for _, f := range flags {
			if !slices.Contains(names, f.Name) {
				names = append(names, f.Name)
			}
		}
	}
	add(model.Flags)
	for _, c := range model.Commands {
		add(c.Flags)
	}
	return names
}

// explainValue finds the flag whose value cannot be used; nil for none.
func explainValue(app *kingpin.Application, args []string) error {
	ctx, err := app.ParseContext(args)
	if err != nil || ctx == nil {
		return nil
	}
	for _, element := range ctx.Elements {
		flag, ok := element.Clause.(*kingpin.FlagClause)
		if !ok || element.Value == nil {
			continue
		}
		err := flag.Model().Value.Set(*element.Value)
		if err == nil {
			continue
		}
		problem, remedy := err.Error(), ""
		switch m := enumValue.FindStringSubmatch(problem); {
		case m != nil:
			problem, remedy = "is not known", "write one of "+strings.ReplaceAll(m[1], ",", ", ")
		case missingUnit.MatchString(problem):
			problem, remedy = "is not a duration", "write it like 30s, 5m or 1h30m"
		case strings.HasPrefix(problem, "expected KEY=VALUE"):
			problem, remedy = "has no =", "write it like --"+flag.Model().Name+"=NAME=VALUE"
		}
		if remedy == "" {
			return fmt.Errorf("--%s=%s: %s", flag.Model().Name, *element.Value, problem)
		}
		return fmt.Errorf("--%s=%s %s (%s)", flag.Model().Name, *element.Value, problem, remedy)
	}
	return nil
}

// errAfterDashes is for a command that none was asked for.
var errAfterDashes = errors.New("only try and wrap take a command after --")
