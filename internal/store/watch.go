package store

import (
	"fmt"
	"runtime/metrics"
	"time"
)

// Pages of a file that somebody else writes to in the middle of a transaction may
// lead round in a circle, in which the store goes deeper and deeper without end. No
// look beforehand can tell, so who uses the file is watched: such a walk eats memory
// by the gigabyte, or goes on for ever.
const (
	// look is how often somebody is looked at.
	look = 10 * time.Millisecond
	// stackMost and heapMost bound by how much the program may grow while somebody
	// is at it: our own walks are not deep, but what is done with a large batch
	// takes room. Where a word has 32 bits, what grows by doubling has used up all
	// addresses soon after.
	stackMost = 32 << 20
	heapMost  = 128 << 20 << (2 * (^uint(0) >> 63))
	// walkMost is how long one may last, cutMost how long one that was cut off may
	// take to notice: both by the clock, and in time of the processor. What waits for
	// a disk, however long, goes round in nothing.
	walkMost = 2 * time.Minute
	cutMost  = 10 * time.Second
	// cutPatience is how long it may take to come to its next look at the file.
	cutPatience = 10 * look
)

// walk runs what goes through the pages, and comes to an end in any case: what
// walks without end is cut off from the file, and is a panic at its next look at
// it. One that goes round in what it has in memory already, and never looks, can
// only be ended with the program: Options.Fatal.
func (f *File) walk(run func() error) error {
	done := make(chan struct{})
	watch := time.AfterFunc(look, func() { f.watch(done) })
	defer func() {
		watch.Stop()
		close(done)
	}()
	return f.guard(run)
}

func (f *File) watch(done <-chan struct{}) {
	begin := usageNow()
	if !endless(done, begin, walkMost) {
		return
	}
	f.mu.Lock()
	f.fall(fmt.Errorf("%w: its pages lead round in a circle", ErrSuspect))
	if !f.gone {
		forbid(f.db)
	}
	path := f.path
	f.mu.Unlock()
	// It is on its way to its next look at the file, and may grow until then.
	select {
	case <-done:
		return
	case <-time.After(cutPatience):
	}
	if endless(done, usageNow(), cutMost) {
		f.fatal(fmt.Errorf("%s: somebody wrote to it while it was in use, and its pages lead round in a circle that cannot be left: "+
			"start scriptbridge again, which then reads the file anew and puts it aside where it is damaged", path))
	}
}

// endless waits for an end, and says that there will be none: something grows too
// much, or takes too long.
func endless(done <-chan struct{}, begin usage, most time.Duration) bool {
	ticks := time.NewTicker(look)
	defer ticks.Stop()
	for waited := look; ; waited += look {
		select {
		case <-done:
			return false
		case <-ticks.C:
		}
		now := usageNow()
		if now.stacks > begin.stacks+stackMost || now.heap > begin.heap+heapMost || waited >= most && now.processor >= begin.processor+most {
			break
		}
	}
	select {
	case <-done:
		return false
	default:
		return true
	}
}

// usage is what the program uses.
type usage struct {
	stacks, heap uint64
	processor    time.Duration
}

func usageNow() usage {
	now := []metrics.Sample{{Name: "/memory/classes/heap/stacks:bytes"}, {Name: "/memory/classes/heap/objects:bytes"}}
	metrics.Read(now)
	return usage{now[0].Value.Uint64(), now[1].Value.Uint64(), processorTime()}
}
