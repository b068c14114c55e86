package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
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
	command, err = app.Parse(args)
	if err != nil && !ended {
		err = explainArgs(app, args, err)
	}
	return command, ended, err
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
	missingUnit    = regexp.MustCompile(`^time: (missing unit in|invalid|unknown unit .* in) duration `)
)

// explainArgs words an error of the command line.
func explainArgs(app *kingpin.Application, args []string, err error) error {
	if m := unknownFlag.FindStringSubmatch(err.Error()); m != nil {
		return unknownArg("flag", whole(args, m[1]), flagNames(app))
	}
	if m := unexpectedWord.FindStringSubmatch(err.Error()); m != nil {
		var names []string
		for _, c := range app.Model().Commands {
			names = append(names, c.Name)
		}
		return unknownArg("command", m[1], names)
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

func unknownArg(what, name string, known []string) error {
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
