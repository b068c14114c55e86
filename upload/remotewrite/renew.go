package remotewrite

import (
	"context"
	"time"

	"scriptbridge/record"
	"scriptbridge/upload/spool"
)

// process is the name of what is no source: the families of the whole process.
const process = "process"

// renewAll writes what the page shows again and again until ctx ends: of who was not written
// for an interval, more or less, and of who has other series than then. A scrape would find it
// too, and Prometheus takes a series for gone of which it has had nothing for five
// minutes. What the disk refuses is still on the page, and the spool tells of it.
func (u *Uploader) renewAll(ctx context.Context) {
	every := time.NewTicker(u.o.Interval / 2)
	defer every.Stop()
	for first := true; ; first = false {
		there := map[string]bool{process: true}
		if !first { // sources have not spoken yet
			for _, s := range u.o.Page.Sources() {
				name := nameOf(s)
				there[name] = true
				_ = u.renew(name, func() *record.Shown { return u.o.Page.Shown(s, false) })
			}
		}
		_ = u.renew(process, u.o.Page.Process)
		if !first {
			_ = u.endOthers(there)
		}
		u.owners.tidy(time.Now(), u.o.Interval)
		select {
		case <-ctx.Done():
			return
		case <-every.C:
		}
	}
}

// renew writes what is shown of one, where that is due.
func (u *Uploader) renew(source string, show func() *record.Shown) error {
	one := u.of(source)
	one.mu.Lock()
	defer one.mu.Unlock()
	shown := show() // under the lock: what is written next was shown later
	now := time.Now()
	if now.Sub(time.UnixMilli(one.whole)) < u.o.Interval*99/100 && u.o.Reader.digest(shown) == one.sum {
		return nil
	}
	return u.keep(one, source, now, shown, true)
}

// endOthers ends the series of sources that there were before the start, and are no more.
func (u *Uploader) endOthers(there map[string]bool) error {
	gone := make(map[string]bool)
	err := u.o.Spool.View(func(tx *spool.Tx) error {
		for key := range tx.Each(setPrefix) {
			if name := sourceOf(key); !there[name] {
				gone[name] = true
			}
		}
		return nil
	})
	for name := range gone {
		err = u.renew(name, func() *record.Shown { return &record.Shown{Whole: true} })
		u.forget(name)
	}
	return err
}
