package main

import (
	"cmp"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/alecthomas/kingpin/v2"

	"scriptbridge/config"
)

var (
	unknownFlag    = regexp.MustCompile(`^unknown (?:long|short) flag '(.*)'$`)
	unexpectedWord = regexp.MustCompile(`^unexpected (?:argument )?'?([^']*)'?$`)
	noSuchCommand  = regexp.MustCompile(`^expected command but got "(.*)"$`)
	noCommand      = regexp.MustCompile(`^must select a subcommand of '(.*)'$`)
	noArgument     = regexp.MustCompile(`^expected argument for flag '(.*)'$`)
	missingFlags   = regexp.MustCompile(`^required flag\(s\) (.*) not provided$`)
	enumValue      = regexp.MustCompile(`^enum value must be one of (.*), got '(?s:.*)'$`)
	notBool        = regexp.MustCompile(`^strconv\.ParseBool: `)
	missingUnit    = regexp.MustCompile(`^time: (missing unit in|invalid|unknown unit .* in) duration `)
)

// explainArgs words an error of the command line.
func explainArgs(app *kingpin.Application, args []string, err error) error {
	text, command := err.Error(), selected(app, args)
	if m := unknownFlag.FindStringSubmatch(text); m != nil {
		if triesFile(args) {
			return fmt.Errorf("unknown flag %s (a command that is in no configuration is given behind --: scriptbridge try -- %s)", m[1], strings.Join(args[1:], " "))
		}
		return unknownFlagOf(app, command, whole(args, m[1]))
	}
	if m := unexpectedWord.FindStringSubmatch(text); m != nil {
		switch command {
		case "wrap":
			return fmt.Errorf("unknown argument %s (the command is given behind --, as in: wrap --category=Backups --message=nightly -- /usr/local/bin/backup)", m[1])
		case "init":
			return fmt.Errorf("unknown argument %s (the file to write is named by --output=%[1]s)", m[1])
		}
		if misplaced := misplacedFile(m[1]); misplaced != nil {
			return misplaced
		}
		if slices.Contains(args, command) { // it stands there, and is not only the default
			return fmt.Errorf("%s takes no argument %s (see scriptbridge %[1]s --help)", command, m[1])
		}
		return unknownCommand(app, m[1])
	}
	if m := noSuchCommand.FindStringSubmatch(text); m != nil {
		return unknownCommand(app, command+" "+m[1])
	}
	if m := noCommand.FindStringSubmatch(text); m != nil {
		return fmt.Errorf("%s is no command by itself (write %s)", m[1], strings.Join(commandsBelow(app, m[1]), " or "))
	}
	if m := noArgument.FindStringSubmatch(text); m != nil {
		return noValue(m[1])
	}
	if m := missingFlags.FindStringSubmatch(text); m != nil {
		flags := strings.Split(strings.ReplaceAll(m[1], "'", ""), ", ")
		slices.Sort(flags)
		return fmt.Errorf("%s needs %s (see scriptbridge %[1]s --help)", command, strings.Join(flags, " and "))
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
		"version": "--version", "reload": reloadCommand(),
	}
	otherFlags = map[string]string{
		"config": "--config.file", "c": "--config.file", "conf": "--config.file", "config-file": "--config.file", "configuration": "--config.file",
		"v": "--version", "V": "--version", "l": "--web.listen-address", "listen": "--web.listen-address", "port": "--web.listen-address=:PORT",
		"data": "--storage.path", "debug": "--log.level=debug", "verbose": "--log.level=debug", "once": "the command try", "test": "the command try",
	}
)

// reloadCommand is how a bridge is told to read its configuration again.
func reloadCommand() string {
	if runtime.GOOS == "windows" {
		return "sc.exe control scriptbridge paramchange"
	}
	return "kill -HUP and the process's id"
}

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
			return noValue("--" + f.Name)
		}
	}
	return nil
}

func noValue(flag string) error {
	return fmt.Errorf("%s has no value (write it like %[1]s=VALUE)", flag)
}

// takesNoValue finds a flag that is given a value and takes none, which the library
// would take for an argument.
func takesNoValue(app *kingpin.Application, args []string) error {
	for _, arg := range args {
		name, _, ok := strings.Cut(strings.TrimPrefix(arg, "--"), "=")
		name = strings.TrimPrefix(name, "no-")
		if ok && strings.HasPrefix(arg, "--") && slices.ContainsFunc(allFlags(app), func(f *kingpin.FlagModel) bool { return f.Name == name && f.IsBoolFlag() }) {
			return fmt.Errorf("--%s takes no value (write --%[1]s, or --no-%[1]s)", name)
		}
	}
	return nil
}

// misplacedFile says where a file belongs that stands in the place of a command; nil
// for what is no file's name.
func misplacedFile(word string) error {
	switch ext := filepath.Ext(word); {
	case slices.Contains([]string{".yml", ".yaml", ".json", ".conf"}, ext):
		return fmt.Errorf("unknown command %s (a configuration is named by --config.file=%[1]s)", word)
	case strings.ContainsAny(word, `/`+string(filepath.Separator)):
		return fmt.Errorf("unknown command %s (scriptbridge try -- %[1]s runs a script once)", word)
	}
	return nil
}

func unknownCommand(app *kingpin.Application, name string) error {
	if name == "service" { // where it is none
		return fmt.Errorf("unknown command service (it is one of Windows only; here systemd runs the bridge: docs/install.md)")
	}
	if like := cmp.Or(otherCommands[name], config.Nearest(name, commandNames(app))); like != "" {
		return fmt.Errorf("unknown command %s (did you mean %s?)", name, like)
	}
	if above, _, ok := strings.Cut(name, " "); ok {
		return fmt.Errorf("unknown command %s (write %s)", name, strings.Join(commandsBelow(app, above), " or "))
	}
	return fmt.Errorf("unknown command %s (see --help)", name)
}

// commandsBelow are the commands below another.
func commandsBelow(app *kingpin.Application, name string) []string {
	return slices.DeleteFunc(commandNames(app), func(one string) bool { return !strings.HasPrefix(one, name+" ") })
}

// unknownFlagOf says what may be meant by a flag that a command does not have: one of
// its own, else one of another command.
func unknownFlagOf(app *kingpin.Application, command, flag string) error {
	name := strings.TrimLeft(flag, "-")
	if other := otherFlags[name]; other != "" {
		return fmt.Errorf("unknown flag %s (did you mean %s?)", flag, other)
	}
	of := flagNames(app)
	above, _, _ := strings.Cut(command, " ")
	if like := config.Nearest(name, slices.Concat(of[""], of[command], of[above])); like != "" {
		return fmt.Errorf("unknown flag %s (did you mean --%s?)", flag, like)
	}
	var all, owners []string
	for _, names := range of {
		all = append(all, names...)
	}
	like := config.Nearest(name, all)
	for _, other := range commandNames(app) {
		if slices.Contains(of[other], like) {
			owners = append(owners, other)
		}
	}
	switch {
	case len(owners) == 0:
		return fmt.Errorf("unknown flag %s (see --help)", flag)
	case like == name:
		return fmt.Errorf("%s has no flag %s (it is one of %s)", command, flag, strings.Join(owners, ", "))
	}
	return fmt.Errorf("unknown flag %s (did you mean --%s, a flag of %s?)", flag, like, strings.Join(owners, ", "))
}

// flagNames are the long names of the flags of each command, and of those in front of
// every command by "".
func flagNames(app *kingpin.Application) map[string][]string {
	of := make(map[string][]string)
	eachFlag(app, func(command string, f *kingpin.FlagModel) {
		if _, isGlobal := globals[f.Name]; !f.Hidden || isGlobal {
			of[command] = append(of[command], f.Name)
		}
	})
	return of
}

func allFlags(app *kingpin.Application) (all []*kingpin.FlagModel) {
	eachFlag(app, func(_ string, f *kingpin.FlagModel) { all = append(all, f) })
	return all
}

// eachFlag calls f for all flags, with the command that each is one of.
func eachFlag(app *kingpin.Application, f func(command string, flag *kingpin.FlagModel)) {
	model := app.Model()
	for _, flag := range model.Flags {
		f("", flag)
	}
	var within func(list []*kingpin.CmdModel)
	within = func(list []*kingpin.CmdModel) {
		for _, c := range list {
			for _, flag := range c.Flags {
				f(c.FullCommand, flag)
			}
			within(c.Commands)
		}
	}
	within(model.Commands)
}

// explainValue finds the flag, or the variable in its place, whose value cannot be
// used; nil for none.
func explainValue(app *kingpin.Application, args []string) error {
	ctx, err := app.ParseContext(args)
	if err != nil || ctx == nil {
		return nil
	}
	given := make(map[string]bool)
	for _, element := range ctx.Elements {
		if flag, ok := element.Clause.(*kingpin.FlagClause); ok && element.Value != nil {
			model := flag.Model()
			given[model.Name] = true
			if err := unusable(model, "--"+model.Name, *element.Value); err != nil {
				return err
			}
		}
	}
	if ctx.SelectedCommand == nil {
		return nil
	}
	for _, model := range ctx.SelectedCommand.Model().Flags {
		if value := os.Getenv(model.Envar); model.Envar != "" && value != "" && !given[model.Name] {
			if err := unusable(model, "$"+model.Envar, value); err != nil {
				return err
			}
		}
	}
	return nil
}

// unusable says why a flag cannot have a value, and what to write; nil where it can.
func unusable(flag *kingpin.FlagModel, name, value string) error {
	err := flag.Value.Set(value)
	if err == nil {
		return nil
	}
	problem, remedy := err.Error(), ""
	switch m := enumValue.FindStringSubmatch(problem); {
	case m != nil:
		problem, remedy = "is not known", "write one of "+strings.ReplaceAll(m[1], ",", ", ")
	case missingUnit.MatchString(problem):
		problem, remedy = "is not a duration", "write it like 30s, 5m or 1h30m"
	case strings.HasPrefix(problem, "expected KEY=VALUE"):
		problem, remedy = "has no =", "write it like "+name+"=NAME=VALUE"
	case notBool.MatchString(problem):
		problem, remedy = "is neither true nor false", "write one of these"
	}
	if remedy == "" {
		return fmt.Errorf("%s=%s: %s", name, value, problem)
	}
	return fmt.Errorf("%s=%s %s (%s)", name, value, problem, remedy)
}

// negative finds a duration below nothing, which the library takes.
func negative(app *kingpin.Application, args []string) (err error) {
	eachFlag(app, func(_ string, f *kingpin.FlagModel) {
		getter, ok := f.Value.(kingpin.Getter)
		if !ok {
			return
		}
		d, ok := getter.Get().(time.Duration)
		if !ok || d >= 0 {
			return
		}
		name := "--" + f.Name
		if f.Envar != "" && os.Getenv(f.Envar) != "" && !slices.ContainsFunc(args, func(arg string) bool { return strings.HasPrefix(arg, name) }) {
			name = "$" + f.Envar
		}
		err = fmt.Errorf("%s=%s is negative (write it like 30s, 5m or 1h30m)", name, d)
	})
	return err
}
