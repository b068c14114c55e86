package script

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"scriptbridge/config"
	"scriptbridge/internal/crontab"
	"scriptbridge/internal/panics"
	"scriptbridge/internal/texts"
	"scriptbridge/record"
	"scriptbridge/script/dialect"
	"scriptbridge/script/process"
)

// Resolve makes the wanted set of scripts of a configuration, in the dialects of
// a table: the configured ones in their order, then those that its directories hold. What is wrong
// with the configuration is the error, with everything that is wrong in it;
// what is wrong with the world (a folder that is missing, a file whose name is
// taken) costs that script alone and is given as problems; what costs no script
// is added to the configuration's warnings.
func Resolve(table dialect.Table, cfg *config.Config) (scripts []*Script, problems []error, err error) {
	r := &resolver{table: table, cfg: cfg, taken: make(map[string]config.Position), folders: make(map[string]config.Position), digests: make(map[[2]string]string)}
	for _, c := range cfg.Scripts {
		r.guard(c.Pos, fmt.Sprintf("script %q", c.Name), func() error { return r.add(c) })
	}
	for _, d := range cfg.Discover {
		r.guard(d.Pos, "discover", func() error { return r.discover(d) })
	}
	return r.scripts, r.problems, errors.Join(r.errs...)
}

// resolver makes one set of scripts.
type resolver struct {
	table    dialect.Table
	cfg      *config.Config
	scripts  []*Script
	problems []error
	errs     []error
	taken    map[string]config.Position // by name
	folders  map[string]config.Position // of discover
	digests  map[[2]string]string       // of inputs, by dialect and what they are of
}

// guard resolves the entry of the configuration at a position, and keeps its
// error. A panic is one too, and costs that entry alone.
func (r *resolver) guard(at config.Position, thing string, resolve func() error) {
	err := panics.Try(resolve)
	if panics.StackOf(err) != "" {
		err = &config.Error{Position: at, Thing: thing, Problem: err.Error(), Cause: err}
	}
	if err != nil {
		r.errs = append(r.errs, err)
	}
}

func (r *resolver) add(c *config.Script) error {
	s, err := r.newScript(c)
	if err != nil {
		return err
	}
	r.taken[s.Name] = c.Pos
	r.scripts = append(r.scripts, s)
	return nil
}

// found adds a script that discover has found, unless its name is taken.
func (r *resolver) found(c *config.Script, what string) error {
	if at, ok := r.taken[c.Name]; ok {
		r.problems = append(r.problems, &config.Error{
			Position: c.Pos, Thing: "discover", Problem: fmt.Sprintf("%s is left out: the name %q is taken already (%s)", what, c.Name, at),
			Remedy: "rename the file or the script",
		})
		return nil
	}
	return r.add(c)
}

// discover adds the scripts of one entry of discover.
func (r *resolver) discover(d *config.Discover) error {
	if d.AgentConfig != "" {
		monitors, warnings, err := r.discoverAgent(d)
		if err != nil {
			return err
		}
		for _, text := range warnings {
			r.cfg.Warnings = append(r.cfg.Warnings, d.Pos.Wrap("discover", errors.New(text)))
		}
		var errs []error
		for _, c := range monitors {
			errs = append(errs, r.found(c, d.AgentConfig))
		}
		return errors.Join(errs...)
	}
	if at, ok := r.folders[d.Directory]; ok {
		r.problems = append(r.problems, &config.Error{
			Position: d.Pos, Thing: "discover", Problem: fmt.Sprintf("the folder %s is at %s already", d.Directory, at), Remedy: "leave one of the two out",
		})
		return nil
	}
	r.folders[d.Directory] = d.Pos
	dialect, err := r.prepare(d.Settings)
	if err != nil {
		return &config.Error{Position: d.Pos, Thing: "discover " + d.Directory, Problem: err.Error()}
	}
	files, err := config.ScriptFiles(d.Directory)
	if _, above := os.Stat(filepath.Dir(d.Directory)); dialect.Traits().MakesFolder && errors.Is(err, fs.ErrNotExist) && above == nil {
		return nil // makeMissingFolders sees to it
	}
	if err != nil {
		r.problems = append(r.problems, folderProblem(d, err))
		return nil
	}
	var errs []error
	for _, f := range files {
		c, err := config.NewScript("", []string{f}, d.Directory, d.Settings)
		if err != nil {
			r.problems = append(r.problems, &config.Error{Position: d.Pos, Thing: "discover", Problem: fmt.Sprintf("%s is left out: %v", f, err)})
			continue
		}
		c.Pos = d.Pos
		errs = append(errs, r.found(c, f))
	}
	return errors.Join(errs...)
}

// newScript resolves one script: defaults of the dialect and of `global`, its
// own file and folder, and its Source.
func (r *resolver) newScript(c *config.Script) (*Script, error) {
	fail := func(err error) error {
		return &config.Error{Position: c.Pos, Thing: fmt.Sprintf("script %q", c.Name), Problem: err.Error()}
	}
	d, err := r.table.Find(c.Dialect)
	if err != nil {
		return nil, fail(err)
	}
	switch modular := dialect.HasModules(d); {
	case modular && c.Probe:
		return nil, fail(fmt.Errorf("probe is not for the dialect %s, whose scripts run all the time", d.Name()))
	case modular && len(c.Command) > 0:
		return nil, fail(fmt.Errorf("a command is not for the dialect %s: options name the module", d.Name()))
	}
	newRunner, err := d.Prepare(c.Options)
	if err != nil {
		// The options know their own place in the file.
		if ce := (*config.Error)(nil); errors.As(err, &ce) {
			return nil, err
		}
		return nil, fail(err)
	}
	traits := d.Traits()
	s := &Script{
		Script:    dialect.Script{Script: c, FallbackInterval: firstOf(r.cfg.Global.Interval, traits.Interval)},
		Dialect:   d.Name(),
		dialect:   d,
		aligned:   traits.Aligned,
		table:     r.table,
		newRunner: newRunner,
	}
	if c.Cron != "" {
		if s.cron, err = crontab.Parse(c.Cron); err != nil {
			return nil, fail(err)
		}
	}
	s.FallbackTimeout = firstOf(r.cfg.Global.Timeout, traits.Timeout, c.Interval, s.FallbackInterval)
	r.warnOfRetries(s, traits.Declares)
	if modules, ok := d.(dialect.ModuleResolver); ok {
		s.resolveModule(modules)
		s.inputs = r.inputs(s)
	} else if dialect.ReadsFolders(d) {
		s.Dir = c.Directory
	} else {
		s.File, s.Dir = placeOf(c)
	}
	s.Source = sourceOf(c, traits, len(r.scripts))
	// Whether its Runner can be made is found out here, where nothing has
	// changed yet.
	trial := newRunner(&s.Script, dialect.Forgetful{})
	_, s.kept = trial.(dialect.Keeper)
	trial.Close()
	return s, nil
}

// warnOfRetries warns of retries that there is never time for: a try that may go on
// into the next turn is not begun. What a script may declare, if it declares anything, is not known yet.
func (r *resolver) warnOfRetries(s *Script, declares bool) {
	timeout, interval := firstOf(s.Timeout, s.FallbackTimeout), firstOf(s.Interval, s.FallbackInterval)
	declares = declares && (s.Timeout == 0 || s.Interval == 0 && s.cron == nil)
	if s.cron != nil {
		interval = s.cron.Shortest(time.Now())
	}
	if s.Retries == 0 || declares || retryFirst+timeout < interval {
		return
	}
	err := fmt.Errorf("there is no time for retries: with a timeout of %s a second try could go on into the next run, %s after the first (shorten the timeout)",
		texts.Span(timeout), texts.Span(interval))
	r.cfg.Warnings = append(r.cfg.Warnings, s.Pos.Wrap(fmt.Sprintf("script %q", s.Name), err))
}

// sourceOf is what the sinks know of a script; rank is its place in the order of
// the configuration.
func sourceOf(c *config.Script, traits dialect.Traits, rank int) *record.Source {
	prefix := traits.Prefix
	if c.Prefix != nil {
		prefix = *c.Prefix
	}
	return &record.Source{
		Kind:            record.Script,
		Name:            c.Name,
		Rank:            rank,
		Prefix:          prefix,
		Labels:          record.LabelsOf(c.Labels),
		MaxSeries:       c.MaxSeries,
		AverageWindow:   c.AverageWindow,
		HonorTimestamps: c.HonorTimestamps,
		Verbatim:        traits.Verbatim,
		DropTexts:       c.DropTexts,
	}
}

// discoverAgent gives the scripts that an agent's configuration names. What is
// wrong with it is wrong with ours, an error for each line of the dialect's.
func (r *resolver) discoverAgent(entry *config.Discover) (scripts []*config.Script, warnings []string, err error) {
	d, err := r.table.Find(entry.Dialect)
	switch {
	case err != nil:
	default:
		discoverer, ok := d.(dialect.Discoverer)
		if !ok {
			err = fmt.Errorf("agent_config is not for the dialect %s", d.Name())
			break
		}
		scripts, warnings, err = discoverer.Discover(entry)
	}
	if ce := (*config.Error)(nil); err == nil || errors.As(err, &ce) {
		return scripts, warnings, err
	}
	var errs []error
	for text := range strings.SplitSeq(err.Error(), "\n") {
		errs = append(errs, &config.Error{Position: entry.Pos, Thing: "discover", Problem: text})
	}
	return nil, nil, errors.Join(errs...)
}

// resolveModule finds out what a script without a command is, as its dialect says.
func (s *Script) resolveModule(d dialect.ModuleResolver) {
	c := *s.Script.Script
	var dir string
	c.Command, s.File, dir = d.ResolveModule(s.Script.Script)
	s.Script.Script = &c
	s.Dir = cmp.Or(c.WorkingDirectory, dir)
	s.version, s.envVersion = versionOf(s.File), versionOf(s.EnvFile)
}

// inputs is the digest of what a script is given, made once for all scripts that
// are given the same.
func (r *resolver) inputs(s *Script) string {
	d, ok := s.dialect.(dialect.InputDigester)
	if !ok {
		return ""
	}
	what, digest := d.Inputs(s.Script.Script)
	key := [2]string{s.dialect.Name(), what}
	known, ok := r.digests[key]
	if !ok {
		known = digest()
		r.digests[key] = known
	}
	return known
}

// prepare gives the dialect of a set of settings if its options are good.
func (r *resolver) prepare(set config.Settings) (dialect.Dialect, error) {
	d, err := r.table.Find(set.Dialect)
	if err == nil {
		_, err = d.Prepare(set.Options)
	}
	return d, err
}

// makeMissingFolders makes the folders of discover that are missing and whose dialect
// makes its own, for their owner alone; not the folders above them. made are
// those that it made, problems why one could not be.
func makeMissingFolders(table dialect.Table, cfg *config.Config) (made []string, problems []error) {
	for _, d := range cfg.Discover {
		dialect, err := table.Find(d.Dialect)
		if err != nil || !dialect.Traits().MakesFolder {
			continue
		}
		switch err := os.Mkdir(d.Directory, 0o700); {
		case err == nil:
			made = append(made, d.Directory)
		case !errors.Is(err, fs.ErrExist) && !errors.Is(err, fs.ErrNotExist): // Resolve tells of the folder above
			problems = append(problems, folderProblem(d, err))
		}
	}
	return made, problems
}

// Round is the shortest interval among the folders of discover whose dialect
// has aligned runs; 0 when there is none. What is dropped into such a folder
// is to run within a round.
func Round(table dialect.Table, cfg *config.Config) time.Duration {
	var round time.Duration
	for _, d := range cfg.Discover {
		dialect, err := table.Find(d.Dialect)
		if err != nil || !dialect.Traits().Aligned {
			continue
		}
		if interval := firstOf(d.Interval, cfg.Global.Interval, dialect.Traits().Interval); round == 0 || interval < round {
			round = interval
		}
	}
	return round
}

func firstOf(ds ...time.Duration) time.Duration {
	for _, d := range ds {
		if d != 0 {
			return d
		}
	}
	return 0
}

// placeOf finds the script's own file, which there is none of where code stands
// in the command, and the folder it runs in: the configured one, else the file's
// own (scripts keep state in relative files), else
// that of the configuration.
func placeOf(c *config.Script) (file, dir string) {
	if program := c.OwnFile(); filepath.IsAbs(program) {
		file = program
	} else if program != "" {
		file, _ = process.ResolveProgram(program, os.Getenv("PATH"))
	}
	switch {
	case c.WorkingDirectory != "":
		dir = c.WorkingDirectory
	case file != "" && (c.Program > 0 || filepath.IsAbs(c.Command[0])):
		dir = filepath.Dir(file)
	case c.Pos.File != "":
		// A bare word such as `df` belongs to the system: its folder is not
		// the script's.
		dir = filepath.Dir(c.Pos.File)
	}
	return file, dir
}

// Fingerprint tells whether a reload may leave the script running as it is: only
// its place in the configuration may differ. It is made once, since each look for changes
// asks for that of every script.
func (s *Script) Fingerprint() string {
	if s.fingerprint != "" {
		return s.fingerprint
	}
	src := *s.Source
	src.Rank = 0
	s.fingerprint = config.Fingerprint(nil, src, s.FallbackInterval, s.FallbackTimeout, s.File, s.Dir, s.version, s.envVersion, s.inputs, s.Script.Script.Fingerprint())
	return s.fingerprint
}

// inherit gives s what is unknown of it and was known of it before: it changes
// nothing.
func (s *Script) inherit(before *Script) {
	if s.inputs == "" && before.inputs != "" {
		s.inputs, s.fingerprint = before.inputs, ""
	}
}

// SameSet reports whether a reload from before to scripts would change nothing.
func SameSet(scripts, before []*Script) bool {
	return slices.EqualFunc(scripts, before, func(s, was *Script) bool {
		if s.Name != was.Name {
			return false
		}
		s.inherit(was)
		return s.Fingerprint() == was.Fingerprint()
	})
}
