package receiver

import (
	"maps"
	"sync"
)

// Counts is what a receiver counts beyond its batches. It outlives a reload.
// The zero value is ready, and safe for concurrent use.
type Counts struct {
	mu      sync.Mutex
	packets map[string]uint64 // by listener: udp, tcp, http …
	bytes   map[string]uint64
	failed  map[string]uint64 // by listener
	dropped map[string]uint64 // by reason
}

// CountsView is a copy of Counts.
type CountsView struct {
	Packets, Bytes map[string]uint64 // by listener
	Failed         map[string]uint64 // by listener
	Dropped        map[string]uint64 // by reason
}

// Received counts packets (or requests, or lines) that came in through a
// listener, whatever became of them, and their bytes.
func (c *Counts) Received(listener string, packets, bytes int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	count(&c.packets, listener, packets)
	count(&c.bytes, listener, bytes)
}

func count(by *map[string]uint64, key string, n int) {
	if *by == nil {
		*by = make(map[string]uint64)
	}
	(*by)[key] += uint64(n)
}

// Failed counts how often the system kept a listener from taking what comes.
func (c *Counts) Failed(listener string, n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	count(&c.failed, listener, n)
}

// Dropped counts what was lost and is in no batch: overload, and what was not
// let in. Lines that could not be read are the batch's own (record.LineError).
func (c *Counts) Dropped(reason string, n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	count(&c.dropped, reason, n)
}

// View gives a copy.
func (c *Counts) View() CountsView {
	c.mu.Lock()
	defer c.mu.Unlock()
	return CountsView{maps.Clone(c.packets), maps.Clone(c.bytes), maps.Clone(c.failed), maps.Clone(c.dropped)}
}
