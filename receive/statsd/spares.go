package statsd

import (
	"math/bits"

	"scriptbridge/record"
)

// spares is room that a flush has left for the next one, and for what comes before that.
// Room that nothing has needed for two sweeps is given back.
type spares struct {
	samples []record.Sample // of the last flush
	most    int             // that a flush needed of it since the last sweep
	// values are those of timers that have more than one, by the bits of their room,
	// which is a power of 2.
	values [bits.UintSize + 1]spareLists
	places places
}

// leastSpare is the smallest room for values.
const leastSpare = 4

// spareLists are those of one size.
type spareLists struct {
	free   [][]observation
	unused int // how many of them nobody has needed since the last sweep
}

// grow gives observations that have no room left twice as much.
func (sp *spares) grow(os *observations) {
	room := max(leastSpare, 2*cap(os.list))
	of := &sp.values[bits.Len(uint(room))]
	var list []observation
	if last := len(of.free) - 1; last >= 0 {
		list = of.free[last]
		of.free[last] = nil
		of.free = of.free[:last]
		of.unused = min(of.unused, last)
	} else {
		list = make([]observation, 0, room)
	}
	list = append(list, os.list...)
	sp.give(os)
	os.list = list
}

// give takes the room of observations back, which have what lies beside them.
func (sp *spares) give(os *observations) {
	if cap(os.list) >= leastSpare {
		of := &sp.values[bits.Len(uint(cap(os.list)))]
		of.free = append(of.free, os.list[:0])
	}
	os.list = os.one[:0]
}

// samplesFor gives room for so many samples, which those of the last flush had. It makes
// more than is needed, since the next flush may need a few more.
func (sp *spares) samplesFor(n int) []record.Sample {
	sp.most = max(sp.most, n)
	if cap(sp.samples) < n {
		sp.samples = make([]record.Sample, 0, n+n/8)
	}
	return sp.samples[:0]
}

// sweep lets go of what nobody has needed since the last time.
func (sp *spares) sweep() {
	if cap(sp.samples) > 2*sp.most {
		sp.samples = nil
	}
	sp.most = 0
	for i := range sp.values {
		of := &sp.values[i]
		kept := copy(of.free, of.free[of.unused:])
		clear(of.free[kept:])
		if of.free = of.free[:kept]; kept == 0 {
			of.free = nil
		}
		of.unused = kept
	}
}
