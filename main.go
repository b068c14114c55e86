// Scriptbridge keeps monitoring plugin scripts alive that were written for
// agents that are gone, and hands what they measure to Prometheus.
//
// main.go and commandline.go have the flags, flagerrors.go what is wrong with those given. bridge.go wires everything
// together and ends it in order: serve.go has the web port, receivers.go what
// receivers share it for, probe.go the page of a probe, events.go the two log
// streams, signals.go the signals, service.go what systemd is told, storage*.go the
// folder of --storage.path.
// reload.go puts a configuration into force, and check.go is the command check.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"slices"
	"time"

	"github.com/alecthomas/kingpin/v2"
	"github.com/go-kit/log"
	"github.com/go-kit/log/level"
	toolkit "github.com/prometheus/exporter-toolkit/web"
	"github.com/prometheus/exporter-toolkit/web/kingpinflag"

	"scriptbridge/cli"
	"scriptbridge/internal/limits"
	"scriptbridge/internal/panics"
	"scriptbridge/internal/texts"
	"scriptbridge/internal/trust"
	"scriptbridge/internal/winjob"
)

func main() {
	if code := start(os.Args); code != 0 {
		os.Exit(code)
	}
}

// start is the program, or in a process that it has started itself the helper
// which starts a script under limits, or asks one to end.
func start(args []string) int {
	if winjob.Called(args) {
		if winjob.Main(args) != nil {
			return 1
		}
		return 0
	}
	if !limits.Called(args) {
		return execute(args[1:])
	}
	if err := limits.Main(); err != nil {
		printWithin(lastLines, os.Stderr, "scriptbridge: "+err.Error()+"\n")
	}
	return 1
}

// exitCode is the code that the program ends with after run has returned err,
// which it tells where nobody has.
func exitCode(err error, stderr io.Writer) int {
	wrapped, ok := errors.AsType[*cli.ExitError](err)
	switch {
	case err == nil:
		return 0
	case ok:
		return wrapped.Code
	case !errors.Is(err, cli.ErrAlreadyPrinted):
		printWithin(lastLines, stderr, "scriptbridge: "+err.Error()+"\n")
	}
	return 1
}

// printWithin writes the program's last words, which must not keep it from its
// end when nobody reads them.
func printWithin(patience time.Duration, w io.Writer, text string) {
	written := make(chan struct{})
	go func() {
		defer close(written)
		fmt.Fprint(texts.Terminal(w), text)
	}()
	select {
	case <-written:
	case <-time.After(patience):
	}
}

// flags are all that the command line can say.
type flags struct {
	configFile string
	trust      []string // --config.trusted-path
	logLevel   string
	logFormat  string
	logFile    string

	serve struct {
		web           *toolkit.FlagConfig
		telemetryPath string
		allowedHosts  []string
		lifecycle     bool
		profiling     bool
		externalURL   string
		routePrefix   string
		autoReload    time.Duration
		storage       string
	}
	check struct {
		files     []string
		as        string
		strict    bool
		output    string
		color     string
		webConfig string
		addresses []string
		storage   string
	}
	account string   // of service install
	args    []string // what stands behind --; nil: there is no --
}

// trusted says whose files are obeyed: nobody is asked but root, or who wants to
// know what root would be told.
func (f *flags) trusted(asRoot bool) *trust.Policy {
	if !trust.Privileged() && !asRoot {
		return nil
	}
	return &trust.Policy{Except: f.trust}
}

const (
	addressDefault   = ":10469"
	telemetryDefault = "/metrics"
)

// Commands that are named here and there; signals mean something else to the first two.
const (
	commandServe   = "serve"
	commandWrap    = "wrap"
	commandInstall = "service install"
	commandRemove  = "service remove"
)

// run is the whole program: it returns when ctx has ended, or when there is
// nothing more to do. What commands print, whosever text it is, moves no cursor; of
// serve the logs see to that.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	f, cmd, err := parseArgs(args, texts.Terminal(stdout), texts.Terminal(stderr))
	if err != nil {
		return err
	}
	raw := [2]io.Writer{stdout, stderr}
	switch cmd.Name {
	case "": // help or the version, which has been printed
		return nil
	case commandServe:
	case commandWrap:
		signalsOf(ctx).leave()
		stderr = texts.Terminal(stderr)
	default:
		stdout, stderr = texts.Terminal(signalsOf(ctx).end(stdout)), texts.Terminal(stderr)
	}
	err = cmd.Run(ctx, &cli.Env{
		ConfigFile: f.configFile, Trusted: f.trusted(false), Args: f.args, Stdin: os.Stdin, Stdout: stdout, Stderr: stderr, Raw: raw,
		Registry: processRegistry, Logger: func() log.Logger { return newLogger(stderr, f.logLevel, f.logFormat) },
		OpenStorage: openSpools, BeforeEnd: signalsOf(ctx).beforeEnd, Examine: examine,
	})
	if cmd.Name != commandServe && ctx.Err() != nil && errors.Is(err, ctx.Err()) {
		return cli.ErrAlreadyPrinted // who has ended it knows
	}
	f.tellStack(err, stderr)
	return err
}

// parseArgs reads the command line, and gives the command to run. That has no
// name where no more was asked for than help or the version, which has been
// printed.
func parseArgs(args []string, stdout, stderr io.Writer) (*flags, cli.Command, error) {
	f := new(flags)
	app, commands := f.application(args)
	if words, asked := cli.Completes(args); asked {
		complete(app, words)
		return f, cli.Command{}, nil
	}
	if i := slices.Index(args, "--"); i >= 0 {
		args, f.args = args[:i], args[i+1:]
	}
	name, ended, err := parsed(app, args, stdout, stderr)
	switch {
	case err != nil:
		return nil, cli.Command{}, err
	case ended:
		return f, cli.Command{}, nil
	}
	cmd := commands[slices.IndexFunc(commands, func(c cli.Command) bool { return c.Name == name })]
	if f.args != nil && !cmd.TakesArgs {
		return nil, cli.Command{}, errAfterDashes
	}
	return f, cmd, nil
}

// application is the command line: its flags and commands. args are those of this process.
func (f *flags) application(args []string) (*kingpin.Application, []cli.Command) {
	app := kingpin.New("scriptbridge", "Runs monitoring plugin scripts of several kinds, CoScale's first, and bridges them to Prometheus.")
	app.Flag("config.file", "The configuration file.").Default(defaultConfig()).StringVar(&f.configFile)
	app.Flag("config.trusted-path", "A file or folder that root takes as it is, although others may change it; repeatable. The configuration's trusted_paths are for what it names itself.").PlaceHolder("PATH").StringsVar(&f.trust)
	app.Flag("log.level", "Only log messages of this severity or above: debug, info, warn or error.").Default("info").EnumVar(&f.logLevel, "debug", "info", "warn", "error")
	app.Flag("log.format", "The form of log lines: logfmt or json.").Default("logfmt").EnumVar(&f.logFormat, "logfmt", "json")
	app.Flag("log.file", "Where log lines go: stderr, eventlog (of Windows), or a file, to which they are appended. A service of Windows has its standard error in the event log.").Default(toStderr).StringVar(&f.logFile)
	hints := cli.Hints{ConfigFile: func() string { return f.configFile }, Trusted: func() *trust.Policy { return f.trusted(false) }}
	commands := slices.Concat(
		[]cli.Command{f.serveCommand(app), f.checkCommand(app), cli.Try(app, hints)},
		cli.Uploads(app, hints),
		[]cli.Command{cli.Push(app, hints), cli.Wrap(app, hints), cli.Status(app, hints), cli.Init(app)},
	)
	if runtime.GOOS == "windows" {
		commands = append(commands, f.serviceCommands(app, args)...)
	}
	return app, commands
}

func (f *flags) serveCommand(app *kingpin.Application) cli.Command {
	cmd := app.Command(commandServe, "Run the scripts on their schedules and serve their metrics (the default).").Default()
	f.serve.web = f.serveFlags(cmd)
	return cli.Command{Name: commandServe, Run: func(ctx context.Context, e *cli.Env) error { return serve(ctx, f, e.Stdout, e.Stderr) }}
}

// serveFlags adds the flags of serve to a command, which is serve or one that has it run.
func (f *flags) serveFlags(cmd *kingpin.CmdClause) *toolkit.FlagConfig {
	web := kingpinflag.AddFlags(cmd, addressDefault)
	address := cmd.GetFlag("web.listen-address")
	address.Help(address.Model().Help + ". " + noAddress + " opens no port: the configuration then has textfile, or an upload.")
	cmd.Flag("web.telemetry-path", "Path under which to expose metrics.").Default(telemetryDefault).StringVar(&f.serve.telemetryPath)
	cmd.Flag("web.external-url", "The URL by which the web port is reached through a reverse proxy. Its path is in front of all paths, unless --web.route-prefix says otherwise.").PlaceHolder("URL").StringVar(&f.serve.externalURL)
	cmd.Flag("web.route-prefix", "What is in front of the path of every request; the path of --web.external-url by default. / is for a proxy that strips the path.").PlaceHolder("PATH").StringVar(&f.serve.routePrefix)
	cmd.Flag("web.allowed-host", "A host name by which clients ask for a loopback listener, besides localhost and those that the system's file of hosts gives to a loopback address; repeatable. See docs/security.md.").PlaceHolder("NAME").StringsVar(&f.serve.allowedHosts)
	cmd.Flag("web.enable-lifecycle", "Allow reload and shutdown by POST to /-/reload and /-/quit.").BoolVar(&f.serve.lifecycle)
	cmd.Flag("web.enable-pprof", "Serve profiles of the program at /debug/pprof/, to those who may see private pages.").BoolVar(&f.serve.profiling)
	cmd.Flag("config.auto-reload-interval", "How often to check whether the configuration or a discovered folder has changed; 0 for never.").Default("30s").DurationVar(&f.serve.autoReload)
	cmd.Flag("storage.path", "A folder for what must survive a restart: what a script of the dialect instrumental gets from its last run, ids of CoScale's API, queues of uploads. It is created if missing. Not set by default.").StringVar(&f.serve.storage)
	return web
}

func (f *flags) checkCommand(app *kingpin.Application) cli.Command {
	cmd := app.Command("check", "Check the configuration and all files that it names, without running anything, and print all errors.")
	cmd.Flag("as", "Say what would be wrong if root ran it: whose files it would obey.").PlaceHolder("root").EnumVar(&f.check.as, "root")
	cmd.Flag("strict", "Treat warnings as errors: exit with 1 if there are any.").BoolVar(&f.check.strict)
	cmd.Flag("output", "text: a line for each error and warning; json: a document with all of them (docs/api.md).").Default("text").EnumVar(&f.check.output, "text", "json")
	cli.ColorFlag(cmd, &f.check.color)
	cmd.Flag("web.config.file", "The file that serve gets with this flag, to check it too.").StringVar(&f.check.webConfig)
	cmd.Flag("web.listen-address", "An address that serve gets with this flag, to check what is open on it; repeatable.").PlaceHolder("ADDRESS").StringsVar(&f.check.addresses)
	cmd.Flag("storage.path", "The folder that serve gets with this flag, to check it too.").StringVar(&f.check.storage)
	cmd.Arg("file", "Files to check instead of --config.file.").StringsVar(&f.check.files)
	return cli.Command{Name: "check", Run: func(ctx context.Context, e *cli.Env) error { return check(ctx, f, e.Stdout, e.Stderr, e.Raw) }}
}

// tellStack prints where a fault of ours is, for whoever looks for it.
func (f *flags) tellStack(err error, stderr io.Writer) {
	if stack := panics.StackOf(err); stack != "" && f.logLevel == "debug" {
		printWithin(lastLines, stderr, stack)
	}
}

// newLogger makes the program's own log: ts, level and msg on every line, then
// script, err and the rest.
func newLogger(w io.Writer, allow, format string) log.Logger {
	return newLoggerTo(newFormatLogger(w, format), allow)
}

// newLoggerTo makes one whose lines go to another logger, which writes them.
func newLoggerTo(logger log.Logger, allow string) log.Logger {
	logger = level.NewFilter(logger, level.Allow(level.ParseDefault(allow, level.InfoValue())))
	return log.With(logger, "ts", log.TimestampFormat(func() time.Time { return time.Now().UTC() }, "2006-01-02T15:04:05.000Z"))
}

func newFormatLogger(w io.Writer, format string) log.Logger {
	w = texts.LogLines(w)
	if format == "json" {
		return log.NewJSONLogger(w)
	}
	return log.NewLogfmtLogger(w)
}
