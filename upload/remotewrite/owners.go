package remotewrite

import (
	"bytes"
	"maps"
	"sync"
	"time"

	"github.com/cespare/xxhash/v2"
)

// owners knows which source has a series, by the digest of the line that is kept of that.
// One that has moved from a source to another goes on: its end would come after its new
// source's first sample, and hide what that has written.
type owners struct {
	mu    sync.Mutex
	of    map[uint64]*written
	ended map[uint64]int64 // those that have ended of late: when
}

func newOwners() *owners {
	return &owners{of: make(map[uint64]*written), ended: make(map[uint64]int64)}
}

// take notes that a source has begun to write some series, and gives when the last of them has
// ended; 0 where none has of late.
func (o *owners) take(one *written, ids []uint64) (ended int64) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, id := range ids {
		o.of[id] = one
		ended = max(ended, o.ended[id])
	}
	return ended
}

// leave gives those of the families that a source has no more which no other has, and have
// ended at that time.
func (o *owners) leave(one *written, families []byte, at int64) (ended []byte) {
	o.mu.Lock()
	defer o.mu.Unlock()
	var kind []byte
	for line := range bytes.Lines(families) {
		if line[0] == '#' {
			kind = line
			continue
		}
		id := xxhash.Sum64(line)
		if other := o.of[id]; other != nil && other != one {
			continue
		}
		delete(o.of, id)
		o.ended[id] = at
		ended = append(append(ended, kind...), line...)
		kind = nil
	}
	return ended
}

// tidy forgets ends that nothing on its way can be older than.
func (o *owners) tidy(now time.Time, keep time.Duration) {
	o.mu.Lock()
	defer o.mu.Unlock()
	from, to := now.Add(-keep).UnixMilli(), now.Add(mostAhead).UnixMilli()
	maps.DeleteFunc(o.ended, func(_ uint64, at int64) bool { return at < from || at > to })
}
