package upload

import (
	"fmt"
	"time"

	"github.com/go-kit/log/level"

	"scriptbridge/internal/fsx"
	"scriptbridge/internal/panics"
	"scriptbridge/record"
)

// keeping is a batch on its way to the disk.
type keeping struct {
	batch *record.Batch
	done  chan struct{} // closed when it is there, or cannot be:
	err   error
}

// errSilent says that the spool's disk does not answer.
var errSilent = fmt.Errorf("%w; what comes is held in memory meanwhile, as far as there is room, and requests are refused", fsx.ErrSilent)

// keepWithin is keep, which it does not wait for without bound.
func (o *upload) keepWithin(b *record.Batch) error {
	patience := time.After(fsx.Patience)
	select {
	case <-o.tried:
	case <-patience:
		return fmt.Errorf("upload %s: its spool is still being opened", o.name)
	}
	o.mu.Lock()
	silent := len(o.silent) > 0
	o.mu.Unlock()
	if silent {
		return fmt.Errorf("upload %s: %w", o.name, errSilent)
	}
	k := &keeping{batch: b.Clone(), done: make(chan struct{})}
	go o.keepOn(k)
	select {
	case <-k.done:
		return k.err
	case <-patience:
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	select {
	case <-k.done:
		return k.err
	default:
	}
	o.silent[k] = true
	o.tellSilent(errSilent)
	if b.Source.Acknowledged {
		return fmt.Errorf("upload %s: %w", o.name, errSilent)
	}
	return nil
}

// tellSilent logs that the disk does not answer, and that it does again. The
// caller holds o.mu.
func (o *upload) tellSilent(err error) {
	o.quiet.Log(o.logger, err, "the upload's spool does not answer", "the upload's spool answers again")
}

// keepOn keeps a batch, and then what was held for that: also at the end, which
// waits for the one and so must for the other.
func (o *upload) keepOn(k *keeping) {
	put, done := o.keeper()
	defer done()
	k.err = panics.Try(func() error { return put(k.batch) })
	o.mu.Lock()
	close(k.done)
	left := o.silent[k]
	o.mu.Unlock()
	if !left {
		return
	}
	if k.err != nil && !k.batch.Source.Acknowledged {
		o.lose(k.batch, k.err)
		o.tellLost(items(k.batch), whileSilent, k.err)
	}
	for !o.answers(k) {
		o.flush(put, whileSilent)
	}
}

// answers ends the silence of one batch; false where it was the last, and others
// have been held, which come first.
func (o *upload) answers(k *keeping) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	if len(o.silent) == 1 && len(o.held) > 0 {
		return false
	}
	delete(o.silent, k)
	if len(o.silent) == 0 {
		o.tellSilent(nil)
	}
	return true
}

// leave tells that the end does not wait for an upload any longer.
func (o *upload) leave() {
	o.mu.Lock()
	defer o.mu.Unlock()
	n := 0
	for _, b := range o.held {
		n += items(b)
	}
	for k := range o.silent {
		n += items(k.batch)
	}
	level.Error(o.logger).Log("msg", "the upload is left behind at the end, for the disk of its spool does not answer; what came last may be lost, and what was kept before is sent after the next start", "values", n)
}
