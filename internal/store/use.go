package store

import (
	"cmp"
	"errors"
	"fmt"
	"time"

	bolt "go.etcd.io/bbolt"
	berrors "go.etcd.io/bbolt/errors"
)

// View runs a transaction that changes nothing. It holds up no writer for long,
// and no writer holds it up.
func (f *File) View(run func(*bolt.Tx) error) error {
	if err := f.enter(); err != nil {
		return err
	}
	defer f.leave()
	tx, err := f.begin(false)
	if err != nil {
		return err
	}
	err = f.walk(func() error { return run(tx) })
	return cmp.Or(err, f.call(tx.Rollback))
}

// Forget has the pages of the file that were looked at not count as the program's
// memory any more: who walks through a large file would have all of it there, until the
// system needs the room. It must be called from within a transaction.
func (f *File) Forget() { forgetPages(f.db) }

// begin begins a transaction. A file that has become what it was before its last
// one, as it does where the newer of its metas was harmed, is not used: the store
// does not know what is free then. Nor is one that could not be mapped when it
// grew, which the store would not try again.
func (f *File) begin(writes bool) (tx *bolt.Tx, err error) {
	least := f.number.Load()
	err = f.call(func() (err error) { tx, err = f.db.Begin(writes); return err })
	switch {
	case errors.Is(err, berrors.ErrInvalidMapping):
		err = fmt.Errorf("%w: it cannot be mapped into memory", ErrSuspect)
	case err != nil:
		return nil, err
	case uint64(tx.ID()) < least, writes && uint64(tx.ID()) != least+1:
		err = fmt.Errorf("%w: its last transaction is another one", ErrSuspect)
	default:
		return tx, nil
	}
	f.Fail(err)
	if tx != nil {
		_ = f.call(tx.Rollback) // nothing was done
	}
	return nil, err
}

// Update runs a transaction; when it returns nil, what it did is synced.
func (f *File) Update(run func(*bolt.Tx) error) error {
	if err := f.enter(); err != nil {
		return err
	}
	defer f.leave()
	f.write(true)
	defer f.write(false)
	tx, err := f.begin(true)
	if err != nil {
		return err
	}
	number := uint64(tx.ID())
	err = f.walk(func() error { return run(tx) })
	switch {
	case err == nil:
		if err = f.freeListSound(); err != nil {
			f.Fail(err)
			_ = f.call(tx.Rollback)
			return err
		}
		// Watched is who waits: a lock that is never given back is waited for in vain,
		// and is no circle.
		if err = f.walk(func() error { return f.call(tx.Commit) }); err == nil {
			f.number.Store(number)
			return nil
		}
		return cmp.Or(f.unmapped(), err)
	case errors.Is(err, ErrDamaged): // and what it would undo may be anything
		return err
	}
	return cmp.Or(err, f.call(tx.Rollback))
}

// freeListSound looks at the page that a commit gives back: where it says that it
// goes on over billions of others, the store would go through them all.
func (f *File) freeListSound() error {
	m, err := newest(metas(f.file, f.page))
	if err == nil {
		_, _, _, err = freelistHead(f.file, m)
	}
	if err != nil {
		return fmt.Errorf("%w: %w", ErrSuspect, err)
	}
	return nil
}

// unmapped says whether a transaction that failed has left the file unmapped.
func (f *File) unmapped() error {
	tx, err := f.begin(false)
	if err == nil {
		err = f.call(tx.Rollback)
	}
	if errors.Is(err, ErrDamaged) {
		return err
	}
	return nil
}

// call runs what waits for the store's locks, and comes back also where one of
// them is never given back.
func (f *File) call(run func() error) error {
	f.mu.Lock()
	f.inside++
	f.mu.Unlock()
	done := make(chan error, 1)
	go func() {
		err := f.guard(run)
		f.leave() // before anybody who waits goes on: see Left
		done <- err
	}()
	select {
	case err := <-done:
		return err
	case <-f.ill:
	}
	select {
	case err := <-done:
		return err
	case <-time.After(grace):
		f.mu.Lock()
		defer f.mu.Unlock()
		return f.why
	}
}

// enter begins a use of the db, which leave ends.
func (f *File) enter() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.why == nil {
		f.inside++
	}
	return f.why
}

func (f *File) leave() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.inside--
	f.release()
}

// Fail has a file that was found damaged not be used any more; those who use it
// are done soon.
func (f *File) Fail(why error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.fall(why)
}

// fall is Fail. The caller holds f.mu.
func (f *File) fall(why error) {
	if errors.Is(f.why, ErrDamaged) {
		return
	}
	f.why = why
	close(f.ill)
	time.AfterFunc(grace, func() {
		f.mu.Lock()
		defer f.mu.Unlock()
		if f.inside > 0 && !f.gone {
			forbid(f.db) // and so each of them comes to an end
		}
	})
}
