package upload

import (
	"context"
	"errors"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/go-kit/log"

	"scriptbridge/config"
	"scriptbridge/internal/fsx"
	"scriptbridge/record"
)

// Set is the uploads that are configured, and their sink. A spool that cannot
// be opened costs that upload alone, and is tried again.
type Set struct {
	types  Types
	logger log.Logger
	fatal  func(error)
	disk   fsx.FS // nil: the real one
	// bridge is what this bridge alone calls itself in its uploads, so that its
	// own receiver knows what has come back.
	bridge string
	// storage gives the path of an upload's spool; nil without --storage.path.
	storage func(name string) (string, error)

	sinks sinks // of those at work

	mu      sync.Mutex // guards what follows; never held while anything slow is done
	running []*upload  // in the order of the table
	// leaving are those that have been stopped and may not have ended yet, by
	// name: one that follows must wait for the spool.
	leaving map[string]*upload
	closed  bool
}

// NewSet returns a Set of no upload yet. fatal ends the program; see
// store.Options.
func NewSet(types Types, logger log.Logger, fatal func(error)) *Set {
	return &Set{types: types, logger: logger, fatal: fatal, leaving: make(map[string]*upload)}
}

// UseStorage gives spools a place: storage says where the one of that name is.
// bridge is what this bridge alone calls itself. It must come before Reload.
func (u *Set) UseStorage(bridge string, storage func(name string) (string, error)) {
	u.bridge, u.storage = bridge, storage
}

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
	before := u.list()
	var at, started []*upload
	for _, t := range u.types {
		s := t.Configured(cfg)
		if s == nil {
			continue
		}
		i := slices.IndexFunc(before, func(one *upload) bool { return one.name == t.Name })
		inputs, err := fsx.Do(ctx, func() (config.Inputs, error) { return s.inputs(), nil })
		switch {
		case ctx.Err() != nil:
			return
		case err != nil: // a fault of ours, which the reload tells
			panic(err)
		}
		if i >= 0 {
			before[i].change(ctx, s, inputs)
			at = append(at, before[i])
			continue
		}
		one := u.newUpload(t.Name, s, inputs)
		at, started = append(at, one), append(started, one)
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	if !u.closed {
		u.use(at, started)
	}
}

// Put puts a batch into each upload at once, so that none waits for the disk of
// another.
func (u *Set) Put(b *record.Batch) error { return u.sinks.Put(b) }

// use puts uploads in the place of those at work. The caller holds u.mu.
func (u *Set) use(at, started []*upload) {
	var tee record.Tee
	for _, one := range at {
		tee = append(tee, one)
	}
	u.sinks.use(tee)
	for _, one := range u.running {
		if !slices.Contains(at, one) {
			one.stop()
			u.leaving[one.name] = one
		}
	}
	u.running = at
	for _, one := range started {
		go one.loop(u.leaving[one.name])
	}
}

func (u *Set) list() []*upload {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.running // which is never changed, only replaced
}

// Close ends all uploads; what has not been sent stays in their spools.
func (u *Set) Close() {
	u.mu.Lock()
	u.closed = true
	u.use(nil, nil)
	u.mu.Unlock()
	patience, cancel := context.WithTimeout(context.Background(), fsx.Patience)
	defer cancel()
	for _, one := range u.leaving { // nobody changes it any more
		select {
		case <-one.done:
		case <-patience.Done():
			one.leave()
		}
	}
}

// sinks are those of a Set's uploads, which a reload may exchange.
type sinks struct {
	uploads atomic.Pointer[record.Tee]
}

func (s *sinks) Put(b *record.Batch) error {
	uploads := s.uploads.Load()
	if uploads == nil {
		return nil
	}
	errs := make([]error, len(*uploads))
	var putting sync.WaitGroup
	for i, one := range *uploads {
		putting.Go(func() { errs[i] = one.Put(b) })
	}
	putting.Wait()
	return errors.Join(errs...)
}

// use has batches go to these uploads from now on. One that is on its way may
// still come to those before.
func (s *sinks) use(uploads record.Tee) { s.uploads.Store(&uploads) }
