package upload

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"sync"
	"time"

	"github.com/go-kit/log"
	"github.com/go-kit/log/level"

	"scriptbridge/internal/fsx"
	"scriptbridge/internal/panics"
	"scriptbridge/internal/repeat"
	"scriptbridge/record"
	"scriptbridge/upload/spool"
)

// upload is one that is configured: its spool, and the sink that puts into the
// spool and sends out of it. It is a unit of the supervisor.
type upload struct {
	name    string
	shown   bool // see Settings.Shown
	page    Page
	storage func(name string) (string, error)
	bridge  string
	logger  log.Logger
	fatal   func(error)
	disk    fsx.FS

	ctx     context.Context // ends when it is to end
	trouble repeat.State
	tried   chan struct{} // closed when its spool was opened, or could not be, for the first time:
	tryDone func()        // by this

	mu       sync.Mutex // guards what follows; never held while anything slow is done
	settings *Settings
	spool    *spool.Spool       // nil while it is not open
	sink     Uploader           // that uses it
	renewed  context.CancelFunc // ends the Run of the sink before
	err      error              // why it is not open
	putting  sync.WaitGroup     // those who use it
	// lost is what could not be kept and nobody was told of, by reason.
	lost map[string]uint64
	// held are batches that came while it was opened for the first time, and
	// holds is their weight.
	held  []*record.Batch
	holds int
	// silent are those batches whose Put was not waited for any longer, since the
	// disk does not answer: until the last of them is kept, others are held.
	silent map[*keeping]bool
	quiet  repeat.State // of that
}

func (u *Set) newUpload(ctx context.Context, name string, settings *Settings) *upload {
	tried := make(chan struct{})
	return &upload{
		name: name, shown: settings.Shown, page: u.page, storage: u.storage, bridge: u.bridge, logger: log.With(u.logger, "upload", name), fatal: u.fatal, disk: u.disk,
		ctx: ctx, tried: tried, tryDone: sync.OnceFunc(func() { close(tried) }), settings: settings, lost: make(map[string]uint64), silent: make(map[*keeping]bool),
	}
}

// Change makes it another one, which goes on with its spool. Where that cannot be
// made, it goes on as it was.
func (o *upload) Change(ctx context.Context, next *upload) (changed bool, err error) {
	for settings := next.settings; ; {
		o.mu.Lock()
		sp := o.spool
		if sp == nil { // it is made when that is open
			o.settings = settings
		}
		o.mu.Unlock()
		if sp == nil {
			return true, nil
		}
		sink, err := fsx.Do(ctx, func() (Uploader, error) { return o.make(settings, sp) })
		if err != nil {
			if ctx.Err() == nil {
				level.Error(o.logger).Log("msg", "the upload goes on as it was: the new one cannot be made", "err", err)
			}
			return false, err
		}
		o.mu.Lock()
		if o.spool == sp {
			sp.SetMaxBytes(settings.MaxBytes)
			o.settings, o.sink = settings, sink
			if o.renewed != nil {
				o.renewed()
			}
			o.mu.Unlock()
			return true, nil
		}
		o.mu.Unlock() // the spool has been opened anew meanwhile
	}
}

// retryAfter is how long to wait before a spool is tried again.
const retryAfter = 30 * time.Second

// Run works until ctx, which is that of the upload, ends or the spool is of no
// use any more.
func (o *upload) Run(ctx context.Context, up func()) {
	err := panics.Try(o.open)
	if err != nil {
		o.fail(err)
	} else {
		up()
		o.logTrouble(nil)
		err = o.work()
	}
	if ctx.Err() == nil {
		o.logTrouble(err)
	} else if err != nil {
		level.Error(o.logger).Log("msg", "the upload did not end well", "err", err)
	}
}

func (o *upload) logTrouble(err error) {
	o.trouble.Log(o.logger, err, "the upload cannot take anything; it is tried again", "the upload takes again what comes")
}

// make makes a sink that uses the spool.
func (o *upload) make(settings *Settings, sp *spool.Spool) (Uploader, error) {
	return settings.New(Env{Bridge: o.bridge, Spool: sp, Logger: o.logger, Page: o.page})
}

// open opens the spool, which reads all of it, and makes the sink.
func (o *upload) open() error {
	settings := o.target()
	path, err := o.storage(o.name)
	var sp *spool.Spool
	if err == nil {
		sp, err = spool.Open(spool.Options{Path: path, MaxBytes: settings.MaxBytes, Logger: o.logger, FS: o.disk, Fatal: o.fatal})
	}
	for done := false; err == nil && !done; {
		settings = o.target() // which may be another by now
		var sink Uploader
		err = panics.Try(func() (err error) {
			sink, err = o.make(settings, sp)
			return err
		})
		if err != nil {
			err = errors.Join(err, sp.Close())
			break
		}
		o.flush(sink.Put, whileOpened)
		done = o.begin(settings, sp, sink)
	}
	return err
}

// flush puts what has been held.
func (o *upload) flush(put func(*record.Batch) error, while string) {
	o.mu.Lock()
	held := o.held
	o.held, o.holds = nil, 0
	o.mu.Unlock()
	lost, why := 0, error(nil)
	for _, b := range held {
		if err := panics.Try(func() error { return put(b) }); err != nil {
			lost, why = lost+items(b), err
			o.lose(b, err)
		}
	}
	o.tellLost(lost, while, why)
}

// items is how many values and events a batch has, and weight what it counts
// among what is held.
func items(b *record.Batch) int {
	if b.Shown != nil {
		return b.Shown.Lines
	}
	return len(b.Samples) + len(b.Events)
}

func weight(b *record.Batch) int { return items(b) + 1 }

// What tellLost is about.
const (
	whileOpened = "the spool was opened"
	whileSilent = "the spool's disk did not answer"
)

func (o *upload) tellLost(n int, while string, why error) {
	if n > 0 {
		level.Error(o.logger).Log(append([]any{"msg", "values that came while " + while + " are lost", "values", n, "err", why}, panics.Place(why)...)...)
	}
}

// lose counts a batch that could not be kept, unless its sender is told, and has
// it still.
func (o *upload) lose(b *record.Batch, why error) {
	if b.Source.Acknowledged {
		return
	}
	reason := droppedUnavailable
	if errors.Is(why, spool.ErrTooLarge) {
		reason = spool.Full
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	o.lost[reason] += uint64(items(b))
}

// fail notes why it takes nothing.
func (o *upload) fail(err error) {
	o.mu.Lock()
	held := o.held
	o.err, o.held, o.holds = err, nil, 0
	o.tryDone()
	o.mu.Unlock()
	lost := 0
	for _, b := range held {
		lost += items(b)
		o.lose(b, err)
	}
	o.tellLost(lost, whileOpened, err)
}

func (o *upload) isTried() bool {
	select {
	case <-o.tried:
		return true
	default:
		return false
	}
}

func (o *upload) target() *Settings {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.settings
}

// begin has batches go to what was made of settings; false when that is not what is
// wanted any more, or when there are batches that come before.
func (o *upload) begin(settings *Settings, sp *spool.Spool, sink Uploader) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.settings != settings || o.holds > 0 {
		return false
	}
	sp.SetMaxBytes(settings.MaxBytes)
	o.spool, o.sink, o.err = sp, sink, nil
	o.tryDone()
	return true
}

// work sends until it is stopped, or until the spool is of no use any more;
// then it closes that.
func (o *upload) work() error {
	var err error
	for err == nil && o.ctx.Err() == nil {
		o.mu.Lock()
		sink := o.sink
		ctx, cancel := context.WithCancel(o.ctx)
		o.renewed = cancel
		o.mu.Unlock()
		err = panics.Try(func() error { return sink.Run(ctx) })
		cancel()
	}
	o.mu.Lock()
	sp := o.spool
	o.spool, o.sink, o.err = nil, nil, err
	o.mu.Unlock()
	o.putting.Wait()
	return errors.Join(err, sp.Close())
}

// heldMost bounds what is held in memory.
const heldMost = 50_000

// Put keeps a batch: when it returns nil, that is on disk. While the spool is
// opened for the first time, which takes as long as reading it takes, and while
// the disk does not answer, it holds batches in memory instead, so that scripts and
// receivers go on; but not those that somebody is told of, nor too many. It fails
// where there is no spool to keep it in, no room, or no answer in time.
func (o *upload) Put(b *record.Batch) error {
	if o.hold(b) {
		return nil
	}
	err := o.keepWithin(b)
	if err != nil {
		o.lose(b, err)
	}
	return err
}

// keeper gives what keeps a batch. The spool that it uses is not closed before
// done is called.
func (o *upload) keeper() (put func(*record.Batch) error, done func()) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.sink != nil {
		o.putting.Add(1)
		return o.sink.Put, o.putting.Done
	}
	err := fmt.Errorf("upload %s: %w", o.name, o.err)
	if o.ctx.Err() != nil {
		err = nil // it is configured no more
	}
	return func(*record.Batch) error { return err }, func() {}
}

func (o *upload) hold(b *record.Batch) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	if b.Source.Acknowledged || o.isTried() && len(o.silent) == 0 || o.holds+weight(b) > heldMost {
		return false
	}
	o.held, o.holds = append(o.held, b.Clone()), o.holds+weight(b)
	return true
}

// state is what there is to say of it. It waits for nothing.
func (o *upload) state() State {
	o.mu.Lock()
	sink, err := o.sink, o.err
	if len(o.silent) > 0 {
		err = cmp.Or(err, errSilent)
	}
	state := State{Name: o.name, lost: maps.Clone(o.lost)}
	o.mu.Unlock()
	switch {
	case sink != nil:
		stats := sink.Stats()
		state.Stats, state.Error = &stats, stats.Failing
	case err == nil:
		state.Opening = true
	}
	if err != nil {
		state.Error = err.Error()
	}
	return state
}
