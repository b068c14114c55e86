// Scriptbridge keeps monitoring plugin scripts alive that were written for
// agents that are gone, and hands what they measure to Prometheus.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"time"

	"github.com/alecthomas/kingpin/v2"
	"github.com/go-kit/log"
	"github.com/go-kit/log/level"
	toolkit "github.com/prometheus/exporter-toolkit/web"
	"github.com/prometheus/exporter-toolkit/web/kingpinflag"

	"scriptbridge/config"
	"scriptbridge/internal/panics"
)

func main() {
	if code := execute(os.Args[1:]); code != 0 {
		os.Exit(code)
	}
}

// exitCode is the code that the program ends with after run has returned err,
// which it tells where nobody has.
func exitCode(err error, stderr io.Writer) int {
	var wrapped *endError
	switch {
	case err == nil:
		return 0
	case errors.As(err, &wrapped):
		return wrapped.code
	case !errors.Is(err, errSaid):
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
		fmt.Fprint(w, text)
	}()
	select {
	case <-written:
	case <-time.After(patience):
	}
}

// errSaid ends the program with code 1 where everything has been printed.
var errSaid = errors.New("failed; the reasons have been printed")

// endError ends the program with the code of a wrapped command.
type endError struct{ code int }

func (e *endError) Error() string { return fmt.Sprintf("the command ended with code %d", e.code) }

// flags are all that the command line can say.
type flags struct {
	configFile string
	logLevel   string
	logFormat  string

	serve struct {
		web           *toolkit.FlagConfig
		telemetryPath string
		lifecycle     bool
		autoReload    time.Duration
		storage       string
	}
	check struct {
		files     []string
		strict    bool
		webConfig string
		storage   string
	}
	try struct {
		names    []string
		strict   bool
		dialect  string
		options  map[string]string
		params   map[string]string
		interval time.Duration
	}
	uploads struct {
		storage string
		name    string
	}
	push    pushFlags
	wrap    wrapFlags
	command []string // what stands behind --; nil: there is none
}

const (
	addressDefault   = ":10469"
	telemetryDefault = "/metrics"
)

// The commands.
const (
	commandServe = "serve"
	commandCheck = "check"
	commandTry   = "try"
	commandPush  = "push"
	commandWrap  = "wrap"

	commandAside = "uploads refused"
	commandRetry = "uploads retry"
)

// run is the whole program: it returns when ctx has ended, or when there is
// nothing more to do.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	f, cmd, err := parseArgs(args, stdout, stderr)
	if err != nil {
		return err
	}
	switch cmd {
	case commandServe:
		err = serve(ctx, f, stdout, stderr)
	case commandWrap:
		signalsOf(ctx).leave()
		err = wrap(ctx, &f.wrap, f.command, stdout, stderr)
	default:
		err = command(ctx, cmd, f, signalsOf(ctx).end(stdout), stderr)
	}
	f.tellStack(err, stderr)
	return err
}

// command runs a command that comes to its end by itself.
func command(ctx context.Context, name string, f *flags, stdout, stderr io.Writer) error {
	switch name {
	case commandCheck:
		return check(ctx, f, stdout, stderr)
	case commandTry:
		return config.WithExcerpts(try(ctx, f, stdout))
	case commandPush:
		return push(ctx, &f.push, os.Stdin, stderr)
	case commandAside:
		return listAside(f, stdout)
	case commandRetry:
		return retryUploads(f, stdout, stderr)
	}
	return nil
}

// parseArgs reads the command line. The command is empty when that asked for no
// more than help or the version, which has been printed.
func parseArgs(args []string, stdout, stderr io.Writer) (*flags, string, error) {
	f := new(flags)
	f.try.options, f.try.params = make(map[string]string), make(map[string]string)
	app := kingpin.New("scriptbridge", "Runs monitoring plugin scripts of several kinds, CoScale's first, and bridges them to Prometheus.")
	app.Flag("config.file", "The configuration file.").Default("scriptbridge.yml").StringVar(&f.configFile)
	app.Flag("log.level", "Only log messages of this severity or above: debug, info, warn or error.").Default("info").EnumVar(&f.logLevel, "debug", "info", "warn", "error")
	app.Flag("log.format", "The form of log lines: logfmt or json.").Default("logfmt").EnumVar(&f.logFormat, "logfmt", "json")

	serveCmd := app.Command(commandServe, "Run the scripts on their schedules and serve their metrics (the default).").Default()
	f.serve.web = kingpinflag.AddFlags(serveCmd, addressDefault)
	serveCmd.Flag("web.telemetry-path", "Path under which to expose metrics.").Default(telemetryDefault).StringVar(&f.serve.telemetryPath)
	serveCmd.Flag("web.enable-lifecycle", "Allow reload and shutdown by POST to /-/reload and /-/quit.").BoolVar(&f.serve.lifecycle)
	serveCmd.Flag("config.auto-reload-interval", "How often to check whether the configuration or a discovered folder has changed; 0 for never.").Default("30s").DurationVar(&f.serve.autoReload)
	serveCmd.Flag("storage.path", "A folder for what must survive a restart: what a script of the dialect instrumental gets from its last run, ids of CoScale's API, queues of uploads. It is created if missing. Not set by default.").StringVar(&f.serve.storage)

	checkCmd := app.Command(commandCheck, "Check the configuration and all files that it names, without running anything, and print all errors.")
	checkCmd.Flag("strict", "Treat warnings as errors: exit with 1 if there are any.").BoolVar(&f.check.strict)
	checkCmd.Flag("web.config.file", "The file that serve gets with this flag, to check it too.").StringVar(&f.check.webConfig)
	checkCmd.Flag("storage.path", "The folder that serve gets with this flag, to check it too.").StringVar(&f.check.storage)
	checkCmd.Arg("file", "Files to check instead of --config.file.").StringsVar(&f.check.files)

	tryCmd := app.Command(commandTry, "Run scripts once and print their metrics, their events and all refused lines. A command that is not in the configuration is given after --.")
	tryCmd.Arg("name", "Configured scripts to run; all by default.").StringsVar(&f.try.names)
	tryCmd.Flag("strict", "Exit with 1 also when a line or a series was refused.").BoolVar(&f.try.strict)
	tryCmd.Flag("dialect", "The dialect of the command. By default it is guessed: from the folder, the text or the name of the script; if these are not conclusive, from the output of the command, and at last from its output with -c.").StringVar(&f.try.dialect)
	tryCmd.Flag("option", "An option of the dialect, as KEY=VALUE; repeatable.").StringMapVar(&f.try.options)
	tryCmd.Flag("parameter", "A parameter as in a probe, as NAME=VALUE; repeatable.").StringMapVar(&f.try.params)
	tryCmd.Flag("interval", "Run repeatedly at this interval, until interrupted.").DurationVar(&f.try.interval)

	uploadsCmd := app.Command("uploads", "Show or repeat what uploads have set aside because it was refused.")
	uploadsCmd.Flag("storage.path", "The folder that serve gets with this flag.").Required().StringVar(&f.uploads.storage)
	uploadsCmd.Command("refused", "List what was refused, by upload and reason.")
	retryCmd := uploadsCmd.Command("retry", "Put what was refused back into the queues; the bridge sends it when it is started.")
	retryCmd.Arg("name", "The upload: coscale or instrumental; all by default.").StringVar(&f.uploads.name)

	pushCmd := app.Command(commandPush, "Send points to a CoScale API, in the syntax of coscale-cli's data insert.")
	f.push.register(pushCmd)
	wrapCmd := app.Command(commandWrap, "Run the command given after --, and report its start, end, exit code and duration to a CoScale API.")
	f.wrap.register(wrapCmd)

	if i := slices.Index(args, "--"); i >= 0 {
		args, f.command = args[:i], args[i+1:]
	}
	cmd, ended, err := parsed(app, args, stdout, stderr)
	switch {
	case err != nil:
		return nil, "", err
	case ended:
		return f, "", nil
	case f.command != nil && cmd != commandTry && cmd != commandWrap:
		return nil, "", errAfterDashes
	}
	return f, cmd, nil
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
	logger := newFormatLogger(w, format)
	logger = level.NewFilter(logger, level.Allow(level.ParseDefault(allow, level.InfoValue())))
	return log.With(logger, "ts", log.TimestampFormat(func() time.Time { return time.Now().UTC() }, "2006-01-02T15:04:05.000Z"))
}

func newFormatLogger(w io.Writer, format string) log.Logger {
	if format == "json" {
		return log.NewJSONLogger(log.NewSyncWriter(w))
	}
	return log.NewLogfmtLogger(log.NewSyncWriter(w))
}
