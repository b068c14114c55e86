// Package collector is the record.Sink that makes the page for Prometheus. What
// would break a page, or lose a series in silence, is decided at Put, where the
// culprit is known; so a scrape cannot fail. Put only marks what it changed; a
// scrape renders that, once for all who ask meanwhile, and serves the finished
// bytes until the next change or the next expiry.
//
// The way in: collector.go takes a batch, put.go its samples, event.go its
// events, health.go how its source is. source.go and metric.go hold what is
// known of a source and its metrics. Names are made by name.go and labels.go,
// and kept by verbatim.go where a source prints an exposition. family.go
// decides who may have a name, untyped.go where samples without a type belong,
// process.go keeps the names of the bridge's own metrics, refusal.go has the
// reasons.
//
// The way out: block.go holds the series of one family and source,
// distribution.go those that are observed. layout.go keeps the blocks in the
// order of the page and renders what has changed, by render.go, strict.go (for
// OpenMetrics) and gzip.go; page.go answers scrapes.
package collector

import (
	"hash/maphash"
	"math"
	"slices"
	"sync"
	"time"

	"github.com/go-kit/log"
	"github.com/prometheus/client_golang/prometheus"

	"scriptbridge/internal/repeat"
	"scriptbridge/record"
)

// Options are what a Collector needs from outside; the zero value is good.
type Options struct {
	// Logger names refused samples, once each; nil: nobody.
	Logger log.Logger
	// Registry gives the process-wide families, gathered for each scrape and
	// appended to the page; nil: none. No source may have the name of one that
	// it gives or describes, nor one that begins with scriptbridge_.
	Registry prometheus.Gatherer
	// Retention is how long a closed event is shown after it was received.
	Retention time.Duration
}

// Collector is a record.Sink and the http.Handler of /metrics. All methods
// are safe for concurrent use; none blocks for longer than a Put or the
// rendering of a page takes.
type Collector struct {
	logger   log.Logger
	registry prometheus.Gatherer
	start    time.Time

	mu        sync.Mutex
	retention time.Duration
	sources   map[sourceKey]*source
	families  familySet
	reserved  map[string]*family             // of the process, by every name that they claim
	groups    map[record.Kind][]*healthGroup // of the sources of a kind, in the order of the page
	layout    layout
	due       instant // nothing ends before
	text      []byte  // scratch

	changed  map[*source]struct{} // other sources that a Put changed
	unlogged []func() error       // lines to log when the lock is free

	missing repeat.State // metrics of the process, which every scrape finds missing
}

type sourceKey struct {
	kind record.Kind
	name string
}

// instant is a time on the monotonic clock: nanoseconds since the collector
// was made.
type instant int64

// never is later than any time.
const never instant = math.MaxInt64

// add is d later; never when that is beyond all time.
func (t instant) add(d time.Duration) instant {
	if sum := t + instant(d); d < 0 || sum >= t {
		return sum
	}
	return never
}

func (c *Collector) now() instant { return instant(time.Since(c.start)) }

// New makes a Collector without any series.
func New(o Options) *Collector {
	if o.Logger == nil {
		o.Logger = log.NewNopLogger()
	}
	c := &Collector{
		logger:    o.Logger,
		registry:  o.Registry,
		start:     time.Now(),
		retention: o.Retention,
		sources:   make(map[sourceKey]*source),
		families:  newFamilySet(),
		reserved:  make(map[string]*family),
		groups:    make(map[record.Kind][]*healthGroup),
		due:       never,
		changed:   make(map[*source]struct{}),
	}
	c.layout.press.seed = maphash.MakeSeed()
	c.reserveProcess()
	return c
}

// Put takes a batch; when it returns, a scrape shows all of it. It never
// fails: a refused sample is counted, kept for Refusals and named in the log
// once. It blocks while a page is being rendered, and on the log.
func (c *Collector) Put(b *record.Batch) error {
	for _, line := range c.ingest(b) {
		_ = line() // a log that cannot be written is no reason to lose a batch
	}
	return nil
}

// ingest does the work of Put under the lock, and returns what is to be logged.
func (c *Collector) ingest(b *record.Batch) []func() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := c.sweep() // so that what a Put finds does not depend on scrapes
	key := sourceKey{b.Source.Kind, b.Source.Name}
	s := c.sources[key]
	if b.Gone {
		if s != nil {
			for _, blk := range s.blocks.list() {
				c.drop(blk)
			}
			c.withdraw(s)
			delete(c.sources, key)
		}
		return nil
	}
	if s == nil {
		s = newSource(b.Source)
		c.sources[key] = s
		c.announce(s)
	} else if s.def != b.Source {
		c.redefine(s, b.Source)
	}
	if b.Declared != nil && b.Declared != s.declared {
		c.declare(s, b.Declared)
	}
	s.refusals, s.refused = nil, 0
	for _, e := range record.LineErrors(b.Err) {
		s.countRefused(e.Reason, 1+e.More)
	}
	c.putSamples(s, b, now)
	c.putEvents(s, b, now)
	c.putHealth(s, b)
	c.due = min(c.due, s.due)

	c.changed[s] = struct{}{}
	for s := range c.changed {
		c.showSeries(s)
		c.showRefused(s)
	}
	clear(c.changed)
	s.tidy()
	lines := c.unlogged
	c.unlogged = nil
	return lines
}

// sweep ends what is too old now. The caller holds the lock.
func (c *Collector) sweep() (now instant) {
	now = c.now()
	if now < c.due {
		return now
	}
	c.due = never
	for _, s := range c.sources {
		if s.due <= now {
			c.expire(s, now)
		}
		c.due = min(c.due, s.due)
	}
	return now
}

// SetRetention changes Options.Retention, for the events shown now, too.
func (c *Collector) SetRetention(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.retention = d
	c.due = 0
	for _, s := range c.sources {
		s.due = 0
	}
}

// SeriesView is one series of a source, as the page shows it now.
type SeriesView struct {
	Text  string  // name{labels}
	Value float64 // sums and means included
	Line  int     // of the source's last output that mentioned it; 0 for none
	// Mean is over how long Value is the mean of what the source gave, 0 where
	// it is none; Sum says that it is all of that added up.
	Mean time.Duration
	Sum  bool
}

// Series gives the series that a source sent, in the order of the page,
// without those that the bridge makes of its events and health. It is empty
// for an unknown source.
func (c *Collector) Series(kind record.Kind, name string) []SeriesView {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.sweep()
	s := c.sources[sourceKey{kind, name}]
	if s == nil {
		return nil
	}
	var blocks []*block
	for b := range s.blocks.All {
		if !b.family.builtin {
			blocks = append(blocks, b)
		}
	}
	slices.SortFunc(blocks, (*block).compare)
	views := make([]SeriesView, 0, s.lines)
	for _, b := range blocks {
		b.sortSeries()
		for _, se := range b.series {
			d := se.distribution()
			if d == nil {
				v := SeriesView{Text: se.text(), Value: se.value, Line: se.line(), Sum: se.sum()}
				if m := b.metric; m != nil && m.meta != nil && m.meta.Calctype == record.CalctypeAverage && !se.sum() {
					v.Mean = s.def.AverageWindow
				}
				views = append(views, v)
				continue
			}
			for i, v := range d.values() {
				views = append(views, SeriesView{Text: string(d.bounds.appendLine(nil, se.text(), i, text)), Value: v, Line: se.line()})
			}
		}
	}
	return views
}

// Count is the number of series that Series would give.
func (c *Collector) Count(kind record.Kind, name string) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.sweep()
	if s := c.sources[sourceKey{kind, name}]; s != nil {
		return s.lines
	}
	return 0
}

// Refusals gives what was refused of a source's last batch, and what of its
// series another source has taken the place of since: the first 100, and the
// number of samples and series in all.
func (c *Collector) Refusals(kind record.Kind, name string) (first []Refusal, all int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if s := c.sources[sourceKey{kind, name}]; s != nil {
		return s.refusals, s.refused
	}
	return nil, 0
}
