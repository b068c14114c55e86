package spool

import (
	"errors"

	bolt "go.etcd.io/bbolt"

	"scriptbridge/internal/fsx"
	"scriptbridge/internal/store"
)

// call is one caller's transaction on its way to disk.
type call struct {
	run   func(*Tx) error
	takes bool // see Take
	done  bool
	own   bool // err is what run gave
	err   error
}

func (c *call) use() use {
	if c.takes {
		return taking
	}
	return sending
}

// Take runs a transaction that takes something in; when it returns nil, what it
// did is on disk, synced, in the file that will be read. It fails while the disk
// has no more room than Update may need.
//
// Transactions that wait for the one before them share a commit, and so its
// syncs. For that f may be run a second time, when another one in the same commit
// failed: it must leave nothing behind that counts twice.
func (s *Spool) Take(f func(*Tx) error) error {
	return s.do(&call{run: f, takes: true})
}

// Update is Take for those who send: what they note and remove is let through
// also on a disk that is full.
func (s *Spool) Update(f func(*Tx) error) error { return s.do(&call{run: f}) }

// UpdateSent is Update for what was sent and must not be sent again. Where the disk
// fails, f is tried again before anything is read: until then Read and First
// fail.
func (s *Spool) UpdateSent(f func(*Tx) error) error {
	s.retrying.Lock()
	defer s.retrying.Unlock()
	c := &call{run: f}
	err := s.do(c)
	if err != nil && !c.own {
		s.failed = append(s.failed, f)
	}
	return err
}

// retryUpdates tries again what UpdateSent could not do.
func (s *Spool) retryUpdates() error {
	s.retrying.Lock()
	defer s.retrying.Unlock()
	for len(s.failed) > 0 {
		if err := s.Update(s.failed[0]); err != nil {
			return err
		}
		s.failed = s.failed[1:]
	}
	return nil
}

func (s *Spool) do(c *call) error {
	s.queued.Lock()
	s.queued.calls = append(s.queued.calls, c)
	s.queued.Unlock()

	s.writer.Lock()
	defer s.writer.Unlock()
	if c.done { // by the one before
		return c.err
	}
	s.queued.Lock()
	calls := s.queued.calls
	s.queued.calls = nil
	s.queued.Unlock()
	s.commit(calls)
	return c.err
}

// commit brings calls to disk: together, or one by one when one of them fails.
func (s *Spool) commit(calls []*call) {
	if len(calls) == 1 || s.write(calls) != nil {
		for i, c := range calls {
			c.own = false
			c.err = s.write(calls[i : i+1])
			if !c.own {
				s.note(c.use(), c.err)
			}
		}
	} else {
		for _, c := range calls {
			s.note(c.use(), nil)
		}
	}
	for _, c := range calls {
		c.done = true
	}
}

// write runs calls in one transaction; when that finds that the file is of no use
// any more, once more in a new one. The caller holds writer.
func (s *Spool) write(calls []*call) error {
	err := s.tryWrite(calls)
	if errors.Is(err, fsx.ErrFolderRemoved) && s.begun {
		s.lose(Removed, s.items(), "the spool was removed with its folder while it was in use: what waited in it is lost", "err", err)
	}
	if !useless(err) {
		return err
	}
	if err := s.renew(err); err != nil {
		return err
	}
	return s.tryWrite(calls)
}

// useless says whether an error tells that another file is needed.
func useless(err error) bool {
	return errors.Is(err, errNone) || errors.Is(err, store.ErrDamaged) || errors.Is(err, fsx.ErrRemoved)
}

func (s *Spool) tryWrite(calls []*call) error {
	s.using.RLock()
	defer s.using.RUnlock()
	// Before, so that what is not acknowledged is seldom kept all the same; and
	// after, so that what is acknowledged is.
	if err := s.usable(); err != nil {
		return err
	}
	if err := s.file.SyncName(); err != nil {
		return err
	}
	s.mu.Lock()
	now := s.total
	s.mu.Unlock()
	var t *Tx
	err := s.file.Update(func(tx *bolt.Tx) error {
		t = s.tx(tx)
		for _, c := range calls {
			t.takes = t.takes || c.takes
			if err := c.run(t); err != nil {
				c.own = true
				return err
			}
		}
		if !t.changed {
			return errUnchanged
		}
		return t.end(now, tx)
	})
	if errors.Is(err, errUnchanged) {
		return nil
	}
	if err == nil {
		if err = s.file.InPlace(); !errors.Is(err, fsx.ErrRemoved) { // then they run again
			s.account(t)
		}
	}
	return err
}

// usable says whether there is a file, and where it belongs. The caller holds
// using.
func (s *Spool) usable() error {
	switch {
	case s.shut:
		return ErrClosed
	case s.file == nil:
		return errNone
	}
	return s.file.InPlace()
}

// errNone says that the file that was found of no use has no follower yet.
var errNone = errors.New("there is no file")

// errUnchanged spares a transaction that wrote nothing its syncs.
var errUnchanged = errors.New("nothing was written")

func (s *Spool) tx(tx *bolt.Tx) *Tx {
	return &Tx{spool: s, queue: tx.Bucket(queueBucket), state: tx.Bucket(stateBucket)}
}

// View runs a transaction that changes nothing. It blocks no writer for long,
// and no writer blocks it. What finds the file damaged fails, and the next one
// has a new file.
func (s *Spool) View(f func(*Tx) error) error {
	v := s.tryView(f)
	if useless(v.err) && !v.own {
		switch err := s.renewOnce(v.file, v.err); {
		case err != nil:
			v.err = err
		case !v.ran:
			v = s.tryView(f)
		}
	}
	if !v.own {
		s.note(sending, v.err)
	}
	return v.err
}

// view is what an attempt came to.
type view struct {
	file *store.File
	ran  bool // f did, in part at least
	own  bool // err is that of f
	err  error
}

// tryView runs f on the file that is there.
func (s *Spool) tryView(f func(*Tx) error) (v view) {
	s.using.RLock()
	defer s.using.RUnlock()
	v.file = s.file
	if v.err = s.usable(); v.err != nil {
		return v
	}
	v.err = s.file.View(func(tx *bolt.Tx) error {
		v.ran = true
		err := f(s.tx(tx))
		v.own = err != nil
		return err
	})
	return v
}

// renewOnce is renew, unless somebody else has done it.
func (s *Spool) renewOnce(file *store.File, why error) error {
	s.writer.Lock()
	defer s.writer.Unlock()
	if file != s.file {
		return nil
	}
	return s.renew(why)
}
