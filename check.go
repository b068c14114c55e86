package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"runtime"
	"slices"
	"strings"

	"github.com/go-kit/log"

	"scriptbridge/cli"
	"scriptbridge/config"
	"scriptbridge/internal/fsx"
	"scriptbridge/internal/joined"
	"scriptbridge/internal/terminal"
	"scriptbridge/internal/texts"
	"scriptbridge/internal/trust"
	"scriptbridge/receive"
	"scriptbridge/record"
	"scriptbridge/script"
	"scriptbridge/status"
	"scriptbridge/upload"
	"scriptbridge/upload/all"
	"scriptbridge/web"
)

// check reads every file and what it names, and prints all that is wrong with
// the file and with the world.
func check(ctx context.Context, f *flags, stdout, stderr io.Writer, raw [2]io.Writer) error {
	files := f.check.files
	if len(files) == 0 {
		files = []string{f.configFile}
	}
	port := webPort{
		Gate:          web.Gate{WebConfigFile: f.check.webConfig, Logger: log.NewNopLogger()},
		addresses:     f.check.addresses,
		telemetryPath: telemetryDefault, trusted: f.trusted(f.check.as == "root"),
	}
	report := &checkReport{strict: f.check.strict}
	report.stdout, report.stderr = terminal.New(stdout, raw[0], f.check.color), terminal.New(stderr, raw[1], f.check.color)
	if f.check.output == "json" {
		report.stdout, report.stderr = report.stdout.To(io.Discard), report.stderr.To(io.Discard)
	}
	for _, err := range []error{port.usable(), f.checkStorage()} {
		if err != nil {
			report.flag(err)
			port.WebConfigFile = ""
		}
	}
	for _, file := range files {
		w, err := fsx.Do(ctx, func() (*desired, error) { return load(file, false, f.trusted(f.check.as == "root")) })
		if ctx.Err() != nil {
			return ctx.Err()
		}
		var found findings
		if err == nil {
			for _, s := range w.Scripts {
				s.AsRoot = f.check.as == "root"
			}
			found, err = config.Guarded(file, func() (findings, error) { return w.examine(ctx, port, f.check.storage), nil })
		}
		if err != nil {
			report.unreadable(file, err)
			f.tellStack(err, stderr)
			continue
		}
		report.examined(file, w, found)
	}
	return report.end(f.check.output, stdout)
}

// checkReport prints what check finds, and keeps it for --output=json.
type checkReport struct {
	strict         bool
	stdout, stderr *terminal.Printer
	found          status.Checked
	failed         bool
}

// flag tells what is wrong with what a flag names.
func (r *checkReport) flag(err error) {
	r.found.Errors = append(r.found.Errors, r.excerpts(err)...)
}

// unreadable tells why a file is no configuration.
func (r *checkReport) unreadable(file string, err error) {
	r.found.Files = append(r.found.Files, status.CheckedFile{File: file, Errors: r.excerpts(err)})
}

// excerpts prints errors with excerpts of the lines that they are about.
func (r *checkReport) excerpts(err error) []status.Problem {
	for _, one := range joined.Split(err) {
		r.error(config.WithExcerpts(one))
	}
	r.failed = true
	return cli.Problems(err)
}

// examined tells what is wrong with a configuration that can be read.
func (r *checkReport) examined(file string, w *desired, found findings) {
	for _, warning := range found.warnings {
		r.stderr.Styled(terminal.Warning, "warning:")
		fmt.Fprintln(r.stderr, "", warning)
	}
	for _, err := range found.problems {
		r.error(err)
	}
	ok := len(found.problems) == 0
	switch strict := r.strict && len(found.warnings) > 0; {
	case !ok:
	case strict:
		ok = false
		r.stderr.Styled(terminal.Bad, "%s: %s, which --strict takes for an error\n", file, texts.Count(len(found.warnings), "warning"))
	default:
		fmt.Fprintf(r.stdout, "%s: %s, ", file, w.summary())
		r.stdout.Styled(terminal.Good, "no errors\n")
	}
	r.failed = r.failed || !ok
	r.found.Files = append(r.found.Files, status.CheckedFile{
		File: file, OK: ok, Scripts: len(w.Scripts), Receivers: len(receive.Names(&w.Config.Receive)), Uploads: len(all.Types.Names(&w.Config.Upload)),
		Errors: cli.Problems(found.problems...), Warnings: cli.Problems(found.warnings...),
	})
}

// error prints an error, whose first line says what it is: below it is an excerpt.
func (r *checkReport) error(err error) {
	first, rest, _ := strings.Cut(err.Error()+"\n", "\n")
	r.stderr.Styled(terminal.Bad, "%s\n", first)
	fmt.Fprint(r.stderr, rest)
}

// summary says last, of several files, which have errors, and on a terminal of one how
// many it has.
func (r *checkReport) summary() {
	if _, ok := r.stderr.Columns(); ok && len(r.found.Files) == 1 && len(r.found.Files[0].Errors) > 1 {
		one := r.found.Files[0]
		text := fmt.Sprintf("%s: %s", one.File, texts.Count(len(one.Errors), "error"))
		if n := len(one.Warnings); n > 0 {
			text += ", " + texts.Count(n, "warning")
		}
		r.stderr.Styled(terminal.Bad, "%s\n", text)
	}
	var bad []string
	for _, f := range r.found.Files {
		if !f.OK {
			bad = append(bad, f.File)
		}
	}
	if len(bad) > 0 && len(r.found.Files) > 1 {
		r.stderr.Styled(terminal.Bad, "%d of %s failed: %s\n", len(bad), texts.Count(len(r.found.Files), "file"), strings.Join(bad, ", "))
	}
}

// end ends the command.
func (r *checkReport) end(output string, stdout io.Writer) error {
	if output == "json" {
		r.found.OK = !r.failed
		text, err := status.JSON(r.found, "  ")
		if err != nil {
			return err
		}
		fmt.Fprintf(stdout, "%s", text)
	}
	r.summary()
	if r.failed {
		return cli.ErrAlreadyPrinted
	}
	return nil
}

// findings are what is wrong with a configuration that can be read.
type findings struct {
	problems []error
	warnings []error
}

// examine looks at all that w names, for a bridge with that port and storage.
func (w *desired) examine(ctx context.Context, port webPort, storage string) findings {
	problems, warnings := checkScripts(ctx, w)
	found := findings{
		problems: slices.Concat(w.Problems, problems, checkEventLog(w.Config), checkReceivers(w), all.Types.Check(w.Config)),
		warnings: slices.Concat(w.Config.Warnings, warnings, checkFolders(w.Config), checkDestinations(w.Config), port.inClear(w.Config), port.unreachable(w.Config)),
	}
	for _, err := range []error{port.validate(w.Config), checkTextfile(w.Config, port.trusted)} {
		if err != nil {
			found.problems = append(found.problems, err)
		}
	}
	// What serve would say where it gets none either.
	if err := upload.NewSet(all.Types, log.NewNopLogger(), nil).Validate(w.Config); err != nil && storage == "" {
		found.warnings = append(found.warnings, joined.Split(err)...)
	}
	return found
}

// checkStorage says why serve could not use a storage folder; one that is
// missing it makes.
func (f *flags) checkStorage() error {
	folder, uid := f.check.storage, uint32(os.Geteuid())
	if folder == "" {
		return nil
	}
	if f.check.as == "root" {
		uid = 0
	}
	info, err := os.Stat(folder)
	switch {
	case err == nil && !info.IsDir():
		return fmt.Errorf("--storage.path=%s is not a folder", folder)
	case err == nil:
		err = checkContents(folder, uid)
	case errors.Is(err, fs.ErrNotExist):
		err = nil
	}
	if err = errors.Join(obeyedStorage(folder, f.trusted(f.check.as == "root")), err); err != nil {
		return fmt.Errorf("--storage.path=%s: %w", folder, err)
	}
	return nil
}

// checkScripts looks for what keeps scripts from running on this machine, and
// for what may.
func checkScripts(ctx context.Context, w *desired) (problems []error, warnings []error) {
	sound, problems, warnings := checkStarts(w)
	if len(sound) == 0 {
		return problems, warnings
	}
	pool := script.NewPool(record.Tee{}, log.NewNopLogger(), w.Config.Global.MaxConcurrent)
	pool.Contain()
	defer pool.Close()
	signalsOf(ctx).beforeEnd(pool.Kill)
	for i, err := range pool.Inspect(ctx, sound) {
		if err != nil {
			problems = append(problems, ofScript(sound[i], err))
		}
	}
	return problems, warnings
}

// ofScript says where in the configuration the script stands that has an error.
func ofScript(s *script.Script, err error) error {
	return s.Pos.Wrap(fmt.Sprintf("script %q", s.Name), err)
}

// checkStarts is checkScripts without running anything; it leaves those that can
// only be known by that.
func checkStarts(w *desired) (left []*script.Script, problems []error, warnings []error) {
	for _, s := range w.Scripts {
		err := s.Check()
		if err != nil {
			for _, one := range joined.Split(err) {
				problems = append(problems, ofScript(s, one))
			}
		} else if s.IsKept() && !s.Disabled() { // which is not run here either
			left = append(left, s)
		}
		for _, text := range s.Suspicions() {
			if err == nil || !strings.Contains(err.Error(), text) {
				warnings = append(warnings, ofScript(s, errors.New(text)))
			}
		}
	}
	return left, problems, warnings
}

// examine says what is wrong with a configuration and the scripts and files that
// it names, as far as that is known without running anything.
func examine(file string, trusted *trust.Policy) []error {
	w, err := load(file, false, trusted)
	if err != nil {
		return joined.Split(err)
	}
	_, problems, _ := checkStarts(w)
	return slices.Concat(w.Problems, problems, checkReceivers(w))
}

// checkFolders finds folders of scripts none of which is executable.
func checkFolders(cfg *config.Config) (warnings []error) {
	for _, d := range cfg.Discover {
		files, err := config.ScriptFiles(d.Directory)
		if d.Directory == "" || err != nil || len(files) > 0 {
			continue
		}
		entries, _ := os.ReadDir(d.Directory)
		if slices.ContainsFunc(entries, func(e os.DirEntry) bool { return e.Type().IsRegular() && e.Name()[0] != '.' }) {
			warnings = append(warnings, d.Pos.Wrap("discover", fmt.Errorf("%s has no script, since none of its files is executable (%s)", d.Directory, makeExecutable())))
		}
	}
	return warnings
}

// makeExecutable says what makes a script of a file.
func makeExecutable() string {
	if runtime.GOOS == "windows" {
		return "name those that are scripts so that Windows runs them, such as NAME.bat"
	}
	return "chmod +x those that are scripts"
}

// checkDestinations finds destinations of remote write to which this host's series look
// like those of any other: nobody adds a label there, as a scrape does.
func checkDestinations(cfg *config.Config) (warnings []error) {
	for _, d := range cfg.Upload.RemoteWrite {
		own := slices.ContainsFunc(slices.Collect(maps.Keys(d.ExternalLabels)), func(name string) bool { return name != "job" })
		if own || slices.ContainsFunc(d.Relabel, func(r config.RelabelRule) bool { return r.TargetLabel != "" }) {
			continue
		}
		name := "upload." + d.UploadName()
		warnings = append(warnings, cfg.At[name].Wrap("upload: "+d.UploadName(),
			errors.New("has no label that tells this host's series from those of others (give it one: external_labels: {job: scriptbridge, instance: THIS-HOST})")))
	}
	return warnings
}

// checkReceivers makes each receiver, which reads its files and binds nothing.
func checkReceivers(w *desired) (problems []error) {
	for _, p := range receive.Check(&w.Config.Receive) {
		problems = append(problems, w.Config.At["receive."+p.Receiver].Wrap("receive: "+p.Receiver, p.Err))
	}
	return problems
}

// summary says how much there is.
func (w *desired) summary() string {
	text := texts.Count(len(w.Scripts), "script")
	disabled := 0
	for _, s := range w.Scripts {
		if s.Disabled() {
			disabled++
		}
	}
	if disabled > 0 {
		text += fmt.Sprintf(" (%d disabled)", disabled)
	}
	if n := len(receive.Names(&w.Config.Receive)); n > 0 {
		text += ", " + texts.Count(n, "receiver")
	}
	if n := len(all.Types.Names(&w.Config.Upload)); n > 0 {
		text += ", " + texts.Count(n, "upload")
	}
	return text
}
