package cli

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/alecthomas/kingpin/v2"
	"github.com/go-kit/log"

	"scriptbridge/collector"
	"scriptbridge/config"
	"scriptbridge/internal/fsx"
	"scriptbridge/internal/terminal"
	"scriptbridge/internal/texts"
	"scriptbridge/record"
	"scriptbridge/script"
	"scriptbridge/script/dialect"
	"scriptbridge/script/dialect/all"
	"scriptbridge/status"
)

// try is the command of that name, and its flags.
type try struct {
	*Env
	names    []string
	strict   bool
	dialect  string
	options  map[string]string
	params   map[string]string
	interval time.Duration
	output   string
	watch    bool
	color    string

	guessed *status.Guess // nil where nothing was guessed
}

// Try adds try to app, with hints for who completes names.
func Try(app *kingpin.Application, hints Hints) Command {
	t := &try{options: make(map[string]string), params: make(map[string]string)}
	cmd := app.Command("try", "Run scripts once and print their metrics, their events and all refused lines. A command that is not in the configuration is given after --.")
	cmd.Arg("name", "Configured scripts to run; all by default.").HintAction(hints.scripts).StringsVar(&t.names)
	cmd.Flag("strict", "Exit with 1 also when a line or a series was refused.").BoolVar(&t.strict)
	cmd.Flag("dialect", "The dialect of the command. By default it is guessed: from the folder, the text or the name of the script; if these are not conclusive, from the output of the command, and at last from its output with -c.").HintAction(dialectNames).StringVar(&t.dialect)
	cmd.Flag("option", "An option of the dialect, as KEY=VALUE; repeatable.").StringMapVar(&t.options)
	cmd.Flag("parameter", "A parameter as in a probe, as NAME=VALUE; repeatable.").StringMapVar(&t.params)
	cmd.Flag("interval", "Run repeatedly at this interval, until interrupted.").DurationVar(&t.interval)
	cmd.Flag("watch", "Run repeatedly, every 5s without --interval, until interrupted, and draw each run over the one before.").Short('w').BoolVar(&t.watch)
	ColorFlag(cmd, &t.color)
	cmd.Flag("output", "text: a page for Prometheus with comments; json: a document with all that is known of each script (docs/api.md).").Default("text").EnumVar(&t.output, "text", "json")
	return Command{Name: "try", TakesArgs: true, Run: func(ctx context.Context, e *Env) error {
		t.Env = e
		if t.watch && t.interval == 0 {
			t.interval = 5 * time.Second
		}
		return config.WithExcerpts(t.run(ctx))
	}}
}

// run runs scripts once, or at an interval until ctx ends, and prints what
// came of it. When ctx ends, it gives its error. All that is not the page itself is printed as comments, so that
// the output is a page that promtool reads.
func (t *try) run(ctx context.Context) error {
	l, err := config.Guarded("", func() (*script.Loaded, error) { return t.load(ctx) })
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case err != nil && t.fromFlags():
		return reworded{inFlags(err.Error()), err}
	case err != nil:
		return err
	}
	scripts, cfg := l.Scripts, l.Config
	logger := log.NewNopLogger() // all that it would say is in the report
	page := collector.New(collector.Options{Logger: logger, Registry: t.Registry(), Retention: cfg.Events.Retention})
	events := newEventList()
	pause := t.interval
	for _, s := range scripts {
		if t.interval > 0 && s.IsKept() {
			s.Interval, pause = t.interval, 0 // it is paced by its own samples
		}
	}
	pool := script.NewPool(record.Tee{page, events}, logger, cfg.Global.MaxConcurrent)
	pool.Contain()
	defer pool.Close()
	t.BeforeEnd(pool.Kill)
	out := &tryReport{Printer: terminal.New(t.Stdout, t.Raw[0], t.color), page: page, flags: t.fromFlags(), events: events, guessed: t.guessed, problems: l.Problems}
	round := out.asText
	screen := screenOf(t.Raw[0])
	_, onScreen := screen()
	switch {
	case t.output == "json":
		round = out.asJSON
	case t.watch && onScreen:
		round = func(views []script.View) (failed, refused bool) { return out.drawn(t.Raw[0], screen, views) }
	default:
		out.begin()
	}
	for {
		views := pool.Once(ctx, scripts)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		failed, refused := round(views)
		if t.interval == 0 {
			if failed || refused && t.strict || len(l.Problems) > 0 {
				return ErrAlreadyPrinted
			}
			return nil
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// fromFlags says that the script is given by the command line, in no file.
func (t *try) fromFlags() bool { return t.Args != nil || t.dialect != "" }

// load gives what the command line asks to run: the command behind --, or
// configured scripts.
func (t *try) load(ctx context.Context) (*script.Loaded, error) {
	if t.fromFlags() {
		if len(t.names) > 0 {
			return nil, fmt.Errorf("try takes names of configured scripts, or a command after --, not both (is it scriptbridge try --dialect=NAME -- %s?)", strings.Join(t.names, " "))
		}
		return t.command(ctx)
	}
	l, err := config.Guarded(t.ConfigFile, func() (*script.Loaded, error) {
		return fsx.Do(ctx, func() (*script.Loaded, error) { return script.Load(all.Dialects, t.ConfigFile, true, t.Trusted) })
	})
	if file := t.behindDashes(); err != nil && file != nil {
		return nil, file
	}
	if err != nil {
		return nil, err
	}
	var known []string
	for _, s := range l.Scripts {
		known = append(known, s.Name)
	}
	for _, name := range t.names {
		switch like := config.Nearest(name, known); {
		case slices.Contains(known, name):
		case t.behindDashes() != nil:
			return nil, t.behindDashes()
		case like != "":
			return nil, fmt.Errorf("%s has no script %q (did you mean %q?)", t.ConfigFile, name, like)
		default:
			return nil, fmt.Errorf("%s has no script %q (it has %s)", t.ConfigFile, name, cmp.Or(texts.Shorten(strings.Join(known, ", "), mostNames), "none at all"))
		}
	}
	if len(t.names) > 0 {
		l.Scripts = slices.DeleteFunc(l.Scripts, func(s *script.Script) bool { return !slices.Contains(t.names, s.Name) })
		slices.SortFunc(l.Scripts, func(a, b *script.Script) int { // as they are asked for
			return cmp.Compare(slices.Index(t.names, a.Name), slices.Index(t.names, b.Name))
		})
		l.Problems = nil // of others
	}
	l.Scripts, err = t.fill(t.enabled(l.Scripts))
	return l, err
}

// mostNames bounds the names of scripts that a message lists, in bytes.
const mostNames = 200

// behindDashes says where a command belongs, if what is given as the name of a
// script is a file.
func (t *try) behindDashes() error {
	if len(t.names) == 0 {
		return nil
	}
	if info, err := os.Stat(t.names[0]); err != nil || !info.Mode().IsRegular() {
		return nil
	}
	return fmt.Errorf("%s is a file: a command that is in no configuration is given behind --: scriptbridge try -- %[1]s", t.names[0])
}

// enabled gives the scripts without those that are disabled, unless they are named,
// and tells which these are.
func (t *try) enabled(scripts []*script.Script) []*script.Script {
	return slices.DeleteFunc(scripts, func(s *script.Script) bool {
		if !s.Disabled() {
			return false
		}
		leftOut := len(t.names) == 0
		text := "it runs now, since it is named"
		if leftOut {
			text = fmt.Sprintf("it is left out; scriptbridge try %s runs it", s.Name)
		}
		if t.output == "text" {
			fmt.Fprintf(t.Stdout, "# script %s: disabled by enabled: false (%s): %s\n", texts.Printable(s.Name), s.DisabledAt, texts.Printable(text))
		}
		return leftOut
	})
}

// fill gives the scripts with the parameters of the command line. One that
// runs only when it is probed is left out unless it is named.
func (t *try) fill(scripts []*script.Script) (all []*script.Script, err error) {
	query := make(map[string][]string)
	for name, value := range t.params {
		query[name] = []string{value}
	}
	for _, s := range scripts {
		with, err := s.With(query)
		if err != nil && s.ProbeOnly() && len(t.names) == 0 {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("script %q: %w (--parameter=NAME=VALUE gives one)", s.Name, err)
		}
		all = append(all, with)
	}
	return all, nil
}

// command is the command behind --, which no file names. Where the command
// line does not say its dialect, it is guessed, and the output tells which and
// why.
func (t *try) command(ctx context.Context) (*script.Loaded, error) {
	folder, err := os.Getwd()
	if err != nil {
		return nil, err
	}
	cfg, err := config.FromCommand(all.Dialects.Config(), t.dialect, t.Args, folder, t.options)
	if err != nil {
		return nil, err
	}
	var trusted []string
	if t.Trusted != nil {
		trusted = t.Trusted.Except
	}
	cfg.Scripts[0].TrustedPaths = trusted
	if t.dialect == "" {
		name, why, err := t.guess(ctx, cfg.Scripts[0])
		if err != nil {
			return nil, err
		}
		t.guessed = &status.Guess{Dialect: name, Why: why}
		if t.output == "text" {
			fmt.Fprintf(t.Stdout, "# dialect: %s, since %s\n", name, texts.Printable(why))
		}
		if cfg, err = t.withoutCommand(name, cfg, folder); err != nil {
			return nil, err
		}
		cfg.Scripts[0].TrustedPaths = trusted
		cfg.Scripts[0].Dialect = name
	}
	scripts, problems, err := script.Resolve(all.Dialects, cfg)
	return &script.Loaded{Config: cfg, Scripts: scripts, Problems: problems}, err
}

// withoutCommand is the configuration of a command, in the form that its dialect
// takes: of a module or a folder where it runs or reads such.
func (t *try) withoutCommand(name string, cfg *config.Config, folder string) (*config.Config, error) {
	switch spoken, err := all.Dialects.Find(name); {
	case err != nil:
		return cfg, nil // Resolve says so
	case dialect.HasModules(spoken):
		return moduleOf(name, cfg.Scripts[0], folder, t.options)
	case dialect.ReadsFolders(spoken):
		return config.FromCommand(all.Dialects.Config(), name, t.Args, folder, t.options)
	}
	return cfg, nil
}

// guess says which dialect a command seems to speak.
func (t *try) guess(ctx context.Context, c *config.Script) (dialect, why string, err error) {
	pool := script.NewPool(record.Tee{}, log.NewNopLogger(), 1)
	pool.Contain()
	defer pool.Close()
	t.BeforeEnd(pool.Kill)
	dialect, why, err = pool.Guess(ctx, all.Dialects, c)
	if ctx.Err() != nil { // what was seen of runs that were cut short tells nothing
		return "", "", ctx.Err()
	}
	return dialect, why, err
}

// moduleOf is a command whose file is a module of a dialect that takes no
// commands.
func moduleOf(dialect string, c *config.Script, folder string, options map[string]string) (*config.Config, error) {
	file := c.Command[c.Program]
	o := map[string]string{
		"module":       strconv.Quote(strings.TrimSuffix(filepath.Base(file), filepath.Ext(file))),
		"module_paths": "[" + strconv.Quote(filepath.Dir(file)) + "]",
	}
	maps.Copy(o, options)
	return config.FromCommand(all.Dialects.Config(), dialect, nil, folder, o)
}
