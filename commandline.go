package main

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"syscall"

	"github.com/alecthomas/kingpin/v2"
	"github.com/prometheus/common/version"

	"scriptbridge/internal/errno"
)

// defaultConfig is the configuration that no flag names: the one in the working folder. On
// Windows, where that of a service is the system's, it is the one of the machine where
// there is no other.
func defaultConfig() string {
	const name = "scriptbridge.yml"
	data := os.Getenv("ProgramData")
	if runtime.GOOS != "windows" || data == "" {
		return name
	}
	machine := filepath.Join(data, "scriptbridge", name)
	if _, err := os.Stat(machine); err != nil { //nolint:gosec // the machine says where its configuration is
		return name
	}
	if _, err := os.Stat(name); err == nil {
		return name
	}
	return machine
}

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
	var shown bytes.Buffer // kingpin panics where it cannot write
	app.UsageWriter(&shown)
	app.ErrorWriter(stderr)
	app.HelpFlag.Short('h')
	app.Version(version.Print("scriptbridge"))
	if slices.Contains(args, "--help-man") {
		return "", true, cmp.Or(printManual(app, &shown), show(&shown, stdout))
	}
	if err := cmp.Or(malformed(app, args), takesNoValue(app, args), helpOfNone(app, args)); err != nil {
		return "", false, err
	}
	onlyMeant(app, args)
	command, err = app.Parse(args)
	switch {
	case ended: // and err is what is missing for the command itself
		err = show(&shown, stdout)
	case err != nil:
		err = explainArgs(app, args, err)
	default:
		err = negative(app, args)
	}
	return command, ended, err
}

// show writes what was asked for. Who does not read all of it has read what he wanted.
func show(text *bytes.Buffer, stdout io.Writer) error {
	if _, err := text.WriteTo(stdout); err != nil && !errno.Is(err, syscall.EPIPE) {
		return err
	}
	return nil
}

// globals are the flags in front of every command that not every command heeds, and
// those that do.
var globals = map[string][]string{
	"config.file":         {commandServe, "check", "try", "uploads", "init", "push", commandWrap, commandInstall},
	"config.trusted-path": {commandServe, "check", "try", "uploads", "init", "status", "push", commandWrap, commandInstall},
	"log.level":           {commandServe, "uploads", commandInstall},
	"log.format":          {commandServe, "uploads", commandInstall},
	"log.file":            {commandServe, commandInstall},
}

// onlyMeant keeps out of the help of a command those flags that it does not heed.
func onlyMeant(app *kingpin.Application, args []string) {
	words := args
	if len(args) > 1 && args[0] == "help" {
		words = args[1:]
	}
	name := strings.Fields(selected(app, words))
	if len(args) == 0 || args[0] == "help" && len(args) == 1 || len(name) == 0 || name[0] == "help" {
		return
	}
	for flag, of := range globals {
		if !slices.Contains(of, name[0]) && !slices.Contains(of, strings.Join(name, " ")) {
			app.GetFlag(flag).Hidden()
		}
	}
}

// selected is the command that a command line means, with that above it; without one,
// it is the default.
func selected(app *kingpin.Application, args []string) string {
	ctx, _ := app.ParseContext(args)
	if ctx == nil || ctx.SelectedCommand == nil {
		return ""
	}
	return ctx.SelectedCommand.FullCommand()
}

// commandNames are the names of all commands and of those below them, each with that
// above it.
func commandNames(app *kingpin.Application) (names []string) {
	var add func(list []*kingpin.CmdModel)
	add = func(list []*kingpin.CmdModel) {
		for _, c := range list {
			names = append(names, c.FullCommand)
			add(c.Commands)
		}
	}
	add(app.Model().Commands)
	return names
}

// helpOfNone says that help is asked of what is no command.
func helpOfNone(app *kingpin.Application, args []string) error {
	if len(args) < 2 || args[0] != "help" || strings.HasPrefix(args[1], "-") {
		return nil
	}
	names := commandNames(app)
	for i, word := range args[1:] {
		name := strings.Join(args[1:i+2], " ")
		if strings.HasPrefix(word, "-") {
			break
		}
		if !slices.Contains(names, name) {
			return unknownCommand(app, name)
		}
	}
	return nil
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
func printManual(app *kingpin.Application, to io.Writer) error {
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
	_, err = fmt.Fprintf(to, ".TH SCRIPTBRIDGE 1 \"\" \"scriptbridge %s\" \"User Commands\"\n.SH %s", version.Version, text)
	return err
}

// errAfterDashes is for a command that none was asked for.
var errAfterDashes = errors.New("only try and wrap take a command after --")
