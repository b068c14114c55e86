package upload

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"

	"github.com/go-kit/log"

	"scriptbridge/config"
	"scriptbridge/internal/fsx"
	"scriptbridge/internal/panics"
	"scriptbridge/internal/supervise"
	"scriptbridge/record"
)

// Set is the uploads that are configured, and their sink. A spool that cannot
// be opened costs that upload alone, and is tried again.
type Set struct {
	types  Types
	logger log.Logger
	fatal  func(error)
	disk   fsx.FS // that spools are on; nil: the real one
	// bridge is what this bridge alone calls itself in its uploads, so that its
	// own receiver knows what has come back.
	bridge string
	// storage gives the path of an upload's spool; nil without --storage.path.
	storage func(name string) (string, error)
	page    Page // for those that send what it shows

	supervisor *supervise.Supervisor[*upload] // has those at work, in the order of the table
	sinks      atomic.Pointer[sinks]          // are the same
}

// NewSet returns a Set of no upload yet. fatal ends the program; see
// store.Options.
func NewSet(types Types, logger log.Logger, fatal func(error)) *Set {
	return &Set{
		types: types, logger: logger, fatal: fatal,
		supervisor: supervise.New[*upload](supervise.Options{First: retryAfter, Most: retryAfter}),
	}
}

// UseStorage gives spools a place: storage says where on the disk the one of that
// name is. bridge is what this bridge alone calls itself. It must come before
// Reload.
func (u *Set) UseStorage(bridge string, disk fsx.FS, storage func(name string) (string, error)) {
	u.bridge, u.disk, u.storage = bridge, disk, storage
}

// UsePage gives those who send what the page shows that page: batches must come to it
// before they come here. It must come before Reload.
func (u *Set) UsePage(p Page) { u.page = p }

// Validate says which uploads cannot be.
func (u *Set) Validate(cfg *config.Config) error {
	var errs []error
	if u.storage != nil {
		return nil
	}
	for _, name := range u.types.Names(&cfg.Upload) {
		errs = append(errs, &config.Error{
			Position: cfg.At["upload."+name], Thing: "upload: " + name,
			Problem: "has no place for its spool", Remedy: "start with --storage.path",
		})
	}
	return errors.Join(errs...)
}

// Reload puts the configured uploads to work, by difference. It waits for the
// files that they read, but not for their spools. One that is changed goes on
// with the spool that it has: nothing is lost between what it was and what it
// becomes, and nobody waits. It keeps cfg.
func (u *Set) Reload(ctx context.Context, cfg *config.Upload) {
	specs, err := fsx.Do(ctx, func() ([]supervise.Spec[*upload], error) { return u.specs(cfg), nil })
	if err == nil {
		_, err = u.supervisor.Apply(ctx, specs, u.use)
	}
	if err != nil && ctx.Err() == nil { // a fault of ours, which the reload tells
		panic(err)
	}
}

// specs are those of the configured uploads. It reads their files.
func (u *Set) specs(cfg *config.Upload) (specs []supervise.Spec[*upload]) {
	for _, c := range u.types.Configured(cfg) {
		specs = append(specs, supervise.Spec[*upload]{Key: c.Name, Fingerprint: c.fingerprint(), New: func(ctx context.Context) *upload {
			return u.newUpload(ctx, c.Name, c.Settings)
		}})
	}
	return specs
}

// Put puts a batch into each upload at once, so that none waits for the disk of
// another. What the page shows of it, for those that send that, is found once.
func (u *Set) Put(b *record.Batch) error {
	sinks := u.sinks.Load()
	if sinks == nil {
		return nil
	}
	var shown *record.Batch // nil where nobody wants it now
	if sinks.shown && shows(b) {
		with := *b
		with.Shown = u.page.Shown(b.Source, b.Source.Kind != record.Script && !b.Gone)
		shown = &with
	}
	errs := make([]error, len(sinks.all))
	var putting sync.WaitGroup
	for i, one := range sinks.all {
		what := b
		if one.shown {
			what = shown
		}
		if what != nil {
			putting.Go(func() { errs[i] = panics.Try(func() error { return one.Put(what) }) })
		}
	}
	putting.Wait()
	return errors.Join(errs...)
}

// shows says whether what the page shows is sent with a batch: at each run of a script,
// and whenever somebody is told that a batch is safe. What other receivers
// are given, as often as each second, is sent from time to time; see Env.Page.
func shows(b *record.Batch) bool {
	return b.Source.Kind == record.Script || b.Source.Acknowledged || b.Gone
}

// sinks are the uploads that batches go to.
type sinks struct {
	all   []*upload
	shown bool // for one of them at least
}

// use has batches go to the uploads at work from now on. One that is on its way
// may still come to those before.
func (u *Set) use() {
	to := &sinks{all: u.list()}
	for _, one := range to.all {
		to.shown = to.shown || one.shown
	}
	u.sinks.Store(to)
}

func (u *Set) list() []*upload { return u.supervisor.All() }

// Close ends all uploads; what has not been sent stays in their spools.
func (u *Set) Close() {
	patience, cancel := context.WithTimeout(context.Background(), fsx.Patience)
	defer cancel()
	for _, one := range u.supervisor.Close(patience, func() { u.sinks.Store(nil) }) {
		one.leave()
	}
}
