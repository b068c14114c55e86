package spool

import (
	"errors"

	"github.com/go-kit/log/level"
	bolt "go.etcd.io/bbolt"
)

// call is one caller's transaction on its way to disk.
type call struct {
	run  func(*Tx) error
	done bool
	err  error
}

// Update runs a transaction; when it returns nil, what it did is on disk,
// synced. Transactions that wait for the one before them share a commit, and so
// its syncs. For that f may be run a second time, when another one in the same
// commit failed: it must leave nothing behind that counts twice.
func (s *Spool) Update(f func(*Tx) error) error {
	c := &call{run: f}
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
		for i := range calls {
			calls[i].err = s.write(calls[i : i+1])
		}
	}
	for _, c := range calls {
		c.done = true
	}
}

// write runs calls in one transaction; when that finds the file damaged, once
// more in a new one. The caller holds writer.
func (s *Spool) write(calls []*call) error {
	err := s.tryWrite(calls)
	if !errors.Is(err, errDamaged) {
		return err
	}
	if err := s.renew(err); err != nil {
		return err
	}
	return s.tryWrite(calls)
}

// renew puts a new file in the place of the one that was found damaged. The
// caller holds writer.
func (s *Spool) renew(why error) error {
	s.using.Lock()
	defer s.using.Unlock()
	closeDB(s.db)
	s.db, s.moved = nil, nil
	return s.replace(why)
}

func (s *Spool) tryWrite(calls []*call) error {
	s.using.RLock()
	defer s.using.RUnlock()
	if s.db == nil {
		return ErrClosed
	}
	if err := s.syncName(); err != nil {
		return err
	}
	s.mu.Lock()
	now := s.total
	s.mu.Unlock()
	var t *Tx
	err := Guard(func() error {
		return s.db.Update(func(tx *bolt.Tx) error {
			t = s.tx(tx)
			for _, c := range calls {
				if err := c.run(t); err != nil {
					return err
				}
			}
			if !t.changed {
				return errUnchanged
			}
			return t.end(now)
		})
	})
	if errors.Is(err, errUnchanged) {
		return nil
	}
	if err == nil {
		s.account(t)
	}
	return err
}

// errUnchanged spares a transaction that wrote nothing its syncs.
var errUnchanged = errors.New("nothing was written")

func (s *Spool) tx(tx *bolt.Tx) *Tx {
	return &Tx{spool: s, queue: tx.Bucket(queueBucket), state: tx.Bucket(stateBucket)}
}

// View runs a transaction that changes nothing. It blocks no writer for long,
// and no writer blocks it. What finds the file damaged fails, and the next one
// has a new file.
func (s *Spool) View(f func(*Tx) error) error {
	db, err := s.tryView(f)
	if !errors.Is(err, errDamaged) {
		return err
	}
	s.writer.Lock()
	defer s.writer.Unlock()
	if db != s.db { // somebody else found it too
		return err
	}
	return errors.Join(err, s.renew(err))
}

func (s *Spool) tryView(f func(*Tx) error) (*bolt.DB, error) {
	s.using.RLock()
	defer s.using.RUnlock()
	if s.db == nil {
		return nil, ErrClosed
	}
	return s.db, Guard(func() error {
		return s.db.View(func(tx *bolt.Tx) error { return f(s.tx(tx)) })
	})
}

// account brings the figures up to date with a transaction that lasts, and says
// what was lost: once when the spool becomes full, and once when it has room
// again.
func (s *Spool) account(t *Tx) {
	for _, r := range t.rows {
		s.moved[r] = true
	}
	s.mu.Lock()
	s.total.add(t.change)
	s.first = t.first
	s.count.Dropped += t.dropped + t.damaged
	began := t.dropped > 0 && s.dropping == 0
	s.dropping += t.dropped
	var ended uint64
	if s.dropping > 0 && s.total.bytes < s.max.Load()/2 {
		ended, s.dropping = s.dropping, 0
	}
	s.mu.Unlock()

	if t.damaged > 0 {
		level.Error(s.logger).Log("msg", "damaged entries of the spool were dropped", "file", s.path, "items", t.damaged)
	}
	if began {
		level.Warn(s.logger).Log("msg", "the spool is full: the oldest is dropped for the newest (max_bytes)", "file", s.path, "max_bytes", s.max.Load())
	}
	if ended > 0 {
		level.Info(s.logger).Log("msg", "the spool has room again", "file", s.path, "dropped", ended)
	}
}
