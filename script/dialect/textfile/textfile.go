// Package textfile is the dialect of folders of .prom files, as node_exporter's
// textfile collector reads them. textfile.go is one turn, folder.go reads the
// files, merge.go makes one exposition of theirs.
package textfile

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"sync/atomic"
	"time"

	"github.com/prometheus/common/model"

	"scriptbridge/config"
	"scriptbridge/internal/fsx"
	"scriptbridge/internal/trust"
	"scriptbridge/record"
	"scriptbridge/script/dialect"
	"scriptbridge/script/dialect/exposition"
	"scriptbridge/script/process"
)

// Dialect reads the .prom files of a folder, which other programs write. It starts
// no process.
type Dialect struct{}

// Name is the dialect's.
func (Dialect) Name() string { return "textfile" }

// Traits has no prefix: names stand as they are. To look costs little, and what
// was written is wanted soon.
func (Dialect) Traits() dialect.Traits {
	return dialect.Traits{Interval: 15 * time.Second, Timeout: 5 * time.Second, Verbatim: true}
}

// Prepare takes no options.
func (Dialect) Prepare(given config.Options) (dialect.New, error) {
	if err := given.Decode(new(struct{})); err != nil {
		return nil, err
	}
	return func(s *dialect.Script, _ dialect.Memory) dialect.Runner { return newRunner(s) }, nil
}

// CheckFolder looks at the folder.
func (Dialect) CheckFolder(s *dialect.Script) error {
	ctx, cancel := context.WithTimeout(context.Background(), timeoutOf(s))
	defer cancel()
	_, err := fsx.Do(ctx, func() (any, error) {
		_, err := names(ctx, s.Directory)
		return nil, err
	})
	return explain(err, s)
}

// Warnings tells of a folder of other files, and of files that would be left out.
func (Dialect) Warnings(c *config.Script) (texts []string) {
	s := &dialect.Script{Script: c, FallbackTimeout: Dialect{}.Traits().Timeout}
	t := newRunner(s).Run(context.Background(), nil)
	switch {
	case t.Outcomes[0].Err != nil: // CheckFolder says so
		return nil
	case len(t.Files)+len(t.Warnings) == 0 && hasOthers(c.Directory):
		return []string{fmt.Sprintf("directory %s has files, but none whose name ends in .prom", c.Directory)}
	}
	const most = 10
	for _, le := range record.LineErrors(t.Err) {
		if _, about := t.Files.About(le); about && len(texts) <= most {
			texts = append(texts, "left out: "+le.Error())
		}
	}
	if len(texts) > most {
		texts[most] = "left out: other files (scriptbridge try shows all)"
	}
	return texts
}

// hasOthers reports whether there is anything in a folder that is not hidden.
func hasOthers(path string) bool {
	entries, _ := os.ReadDir(path) // that it cannot be read has been said
	return slices.ContainsFunc(entries, func(e os.DirEntry) bool { return e.Name()[0] != '.' && !e.IsDir() })
}

// runner reads one folder.
type runner struct {
	script *dialect.Script
	merger merger
	// busy says that the folder has not answered yet to a turn that went on
	// without it.
	busy atomic.Bool
	read func(context.Context) ([]file, error)
}

func newRunner(s *dialect.Script) *runner {
	f := folder{path: s.Directory, maxBytes: s.MaxOutput, policy: policyOf(s)}
	return &runner{script: s, read: f.read, merger: merger{
		maxAge: s.MaxAge, maxSamples: max(exposition.MaxSamples, s.MaxSeries), honorTimestamps: s.HonorTimestamps,
	}}
}

// Close does nothing. A look that waits for a disk has nothing to give back.
func (r *runner) Close() {}

// Run reads all files. A file that cannot be read is left out, with its series;
// a folder that cannot be read leaves everything as it was.
func (r *runner) Run(ctx context.Context, _ dialect.Exec) *dialect.Result {
	start := time.Now()
	limited, cancel := context.WithTimeout(ctx, timeoutOf(r.script))
	defer cancel()
	files, err := r.look(limited)
	now := time.Now()
	o := dialect.Instant(now, now.Sub(start))
	if err != nil {
		o.Result, o.ExitCode, o.Err = record.Error, -1, explain(err, r.script)
		switch {
		case ctx.Err() != nil:
			o.Result = record.Killed
		case limited.Err() != nil:
			o.Result = record.Timeout
		}
		return &dialect.Result{Outcomes: []*process.Outcome{o}}
	}
	t := r.merger.merge(files, now)
	t.Outcomes = []*process.Outcome{o}
	o.StdoutBytes = int64(len(t.Output))
	return t
}

// look reads the folder, and waits for it no longer than ctx says. Of a file
// system that does not answer at most one look waits.
func (r *runner) look(ctx context.Context) ([]file, error) {
	if !r.busy.CompareAndSwap(false, true) {
		return nil, errSilent
	}
	return fsx.Do(ctx, func() ([]file, error) {
		defer r.busy.Store(false)
		return r.read(ctx)
	})
}

var errSilent = errors.New("it has not answered since an earlier turn (is its file system there?)")

// policyOf says who may have put a link where it is followed: root, and the account
// that the bridge runs as.
func policyOf(s *dialect.Script) trust.Policy {
	return trust.Policy{Except: s.TrustedPaths, Own: true}
}

func timeoutOf(s *dialect.Script) time.Duration { return cmp.Or(s.Timeout, s.FallbackTimeout) }

// explain words why a folder cannot be read.
func explain(err error, s *dialect.Script) error {
	why, hint := "", ""
	switch {
	case err == nil:
		return nil
	case errors.Is(err, fs.ErrNotExist):
		why, hint = "there is no such folder", config.MissingHint(s.Directory)
	case errors.Is(err, fsx.ErrNotFolder):
		why, hint = "is not a folder", config.MissingHint(s.Directory)
	case errors.Is(err, fs.ErrPermission):
		why, hint = "permission denied", "the user that scriptbridge runs as must be able to read it"
	case errors.Is(err, context.DeadlineExceeded):
		why = fmt.Sprintf("has not been read within %s", model.Duration(timeoutOf(s)))
	default:
		why = reasonOf(err).Error()
	}
	if hint != "" {
		hint = " (" + hint + ")"
	}
	return fmt.Errorf("directory %s: %s%s", s.Directory, why, hint)
}

// reasonOf is an error without the path that it is about.
func reasonOf(err error) error {
	if pe, ok := errors.AsType[*fs.PathError](err); ok {
		return pe.Err
	}
	return err
}
