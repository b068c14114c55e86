// Package record defines Batch, the value that every source (script, receiver)
// hands to every sink (collector, event log, uploads): what one source had to
// say at one time. No sink knows a source and no source knows a sink.
//
// record.go has all of that but Event (event.go), lines that were refused
// (line.go), the files of a source that reads such (file.go) and what a metric
// was to the program that it came from (native.go). eventlog.go is the sink that writes
// events as lines.
package record

import (
	"bytes"
	"errors"
	"maps"
	"slices"
	"time"

	"scriptbridge/internal/panics"
)

// Kind tells a script, which we run, from a receiver, which is pushed to.
type Kind string

// The two kinds of sources. The kind names the health series
// (scriptbridge_script_…, scriptbridge_receiver_…) and the label of the source.
const (
	Script   Kind = "script"
	Receiver Kind = "receiver"
)

// Source is who speaks, and how the operator wants it shown. All batches of a
// source share one Source, which is never changed once it was put: a reload
// that changes it makes a new Source with the same Kind and Name.
type Source struct {
	Kind Kind
	Name string // unique within its kind
	// Rank is the position in the configuration: where two sources disagree
	// about a family, the lower rank wins, whoever spoke first.
	Rank int
	// Prefix goes in front of every series' name; empty for none.
	Prefix string
	// Labels are the operator's own, on every series of the source.
	Labels []Label
	// MaxSeries bounds the series of the source; 0 for no bound.
	MaxSeries int
	// AverageWindow is what Average metrics are averaged over.
	AverageWindow time.Duration
	// HonorTimestamps puts a sample's own time on the page.
	HonorTimestamps bool
	// Verbatim says that names and labels are those of a Prometheus
	// exposition already: a sink that shows one must not make them over.
	Verbatim bool
	// WholeNames says that the names of metrics and events are whole: who chose
	// them speaks of more than one source, and the source's name is no part.
	WholeNames bool
	// DropTexts says that no text which is written for people is on a page that
	// everybody may read: no message of an event, no label that Rare.Text names.
	DropTexts bool
	// Acknowledged says that whoever sent a batch is told when every sink has
	// it safe, and sends it no more then.
	Acknowledged bool
}

// Label is a name and a value. In a Sample both are as the source spelled
// them; order is the source's.
type Label struct{ Name, Value string }

// LabelsOf are the labels of a map, in the order of their names.
func LabelsOf(values map[string]string) []Label {
	labels := slices.Grow([]Label(nil), len(values))
	for _, name := range slices.Sorted(maps.Keys(values)) {
		labels = append(labels, Label{name, values[name]})
	}
	return labels
}

// Batch is what one source had to say at one time. A sink must neither
// change a batch nor keep its slices after Put has returned, since a source may use
// them again; Source, Meta and Declared may be kept, since nobody changes them.
type Batch struct {
	Source *Source
	// Time is what time the batch speaks of: for a script the end of its run.
	Time time.Time
	// Declared is all that the source may send; nil: as before.
	Declared *Declared
	Samples  []Sample
	Events   []Event
	// Complete says that Samples are the whole present state of the source:
	// what it had before and does not mention now is gone, series of Add and
	// Observe excepted. Without it a batch only adds and updates, and a Set
	// that is older than what a series shows already changes nothing.
	Complete bool
	// MaxAge is how long a series lives after its last mention; 0: for ever.
	MaxAge time.Duration
	// Files are those that it was read from, of a source that reads files.
	Files Files
	// Run is nil for receivers, and for a script that has not run yet.
	Run *Run
	// Err is why the source could not be asked, or what could not be read:
	// joined errors, among them LineErrors, which are counted by reason. It
	// never stops the samples that came with it from being used.
	Err error
	// Gone says that the source is no longer configured: all of it ends,
	// its health series too.
	Gone bool
	// Disabled says that the script does not run, since its configuration or the
	// script itself says so.
	Disabled bool
	// Shown is what the page shows of the source once it has this batch, for sinks that
	// send it on; nil for others. It may be kept.
	Shown *Shown
	// Via are the names of the bridges that it came through, the last one
	// first; a sink that sends it on to another bridge tells that one.
	Via []string
}

// Shown is what the page for Prometheus has of a source at one time, as families of
// OpenMetrics without an end: names, labels, types, units and help of both formats
// follow from it. It is never changed.
type Shown struct {
	// Text has all but Sums.
	Text []byte
	// Sums are families whose values are sums that began at 0 at Began.
	Sums  []byte
	Began time.Time
	// Lines is the number of lines that are samples.
	Lines int
	// Whole says that it is all that the page has of the source: what was there before
	// and is not now has ended.
	Whole bool
}

// SamplesIn counts the lines of a text of families that are samples.
func SamplesIn(text []byte) int {
	all := bytes.Count(text, []byte("\n")) - bytes.Count(text, []byte("\n# "))
	if bytes.HasPrefix(text, []byte("# ")) {
		all--
	}
	return all
}

// Clone copies a batch, for a sink that keeps it.
func (b *Batch) Clone() *Batch {
	c := *b
	c.Samples, c.Events = slices.Clone(b.Samples), slices.Clone(b.Events)
	for i := range c.Samples {
		c.Samples[i].Labels, c.Samples[i].Handle = slices.Clone(c.Samples[i].Labels), nil
	}
	for i := range c.Events {
		c.Events[i].Attributes = slices.Clone(c.Events[i].Attributes)
	}
	return &c
}

// Sample is one value of one series, as the source spelled it.
type Sample struct {
	Name   string
	Labels []Label
	// Value is raw, always: no sink's derivation crosses.
	Value float64
	Op    Op
	// Retry, with Add: this very value was put before, in a batch that some
	// sink did not take. A sink that took it then must not add it once more.
	Retry bool
	// Weight is how many observations a sample with Observe stands for, as a
	// sample rate says; it need not be whole. 0 means 1.
	Weight float64
	// Time is the sample's own; zero when the source gave none, and it is then
	// as of Batch.Time.
	Time    time.Time
	Subject Subject
	// Meta is shared by all samples of a metric; nil when nothing is known.
	Meta *Meta
	// Line is the line of the source's output it was read from, from 1; 0
	// when there is none.
	Line int
	// Handle, where a source has one for each of its series, comes only with samples of
	// the same Name, Labels, Subject, Meta and Op; nil for most.
	Handle *Handle
}

// Handle is where a sink keeps where it has a series, from one Put to the next, so that
// it need not look for it again. Nobody but the sink in its Put may touch it, and it must
// do with one that another sink has used.
type Handle struct{ Place any }

// Op says what a value does to its series.
type Op uint8

const (
	// Set replaces the value.
	Set Op = iota
	// Add adds to a sum that begins at 0 with the process.
	Add
	// Observe is one observation (or Weight of them, all alike) of a
	// distribution, which the sink shows as Meta.Type says: a Summary, or a
	// Histogram with Rare.Buckets.
	Observe
)

// Subject is what a sample or event speaks of; the zero value is this host.
type Subject struct {
	Kind SubjectKind
	Name string
}

// SubjectKind is one of CoScale's three kinds of subject.
type SubjectKind uint8

// Host is the zero value: the machine that scriptbridge runs on.
const (
	Host SubjectKind = iota
	Server
	Group
	Application
)

// String is the word that stands in the label subject.
func (k SubjectKind) String() string {
	switch k {
	case Group:
		return "group"
	case Application:
		return "application"
	default:
		return "server"
	}
}

// Type is a metric's type on the page.
type Type uint8

// Unknown is what OpenMetrics calls unknown and the text format untyped.
const (
	Unknown Type = iota
	Gauge
	Counter
	// A sample of a histogram or summary that is Set has its own name
	// (foo_bucket, foo_count), Meta that of the family (foo). One that is
	// Observed has the family's.
	Histogram
	Summary
	// Info comes only from sources that are Verbatim.
	Info
)

// Meta is what is known of a metric. It is shared and never changed after its
// first use.
type Meta struct {
	// ID is the source's own id of the metric ("3"); empty if it has none.
	ID string
	// Name as it was declared. Of a Verbatim source, for what is Set of a
	// histogram or summary: that of the family as it was printed.
	Name string
	Help string
	// Unit as it was declared ("b/s"); each sink maps it.
	Unit string
	Type Type
	// Datatype and Calctype are CoScale's, in their canonical spelling
	// (GAUGE, COUNT, COUNTER, DOUBLE; Instant, Difference, Average); empty
	// for sources that are not CoScale's.
	Datatype string
	Calctype string
	// Dimensions are the names of the labels it may carry, as declared.
	Dimensions []string
	// Native is what it was to the program in whose place the source stands; nil
	// where there is none.
	Native *Native
	// Rare is what few metrics have; nil for most. More reads it.
	Rare *Rare
}

// Rare is what few metrics have. There is a Meta for each series where every metric has
// one, so this is kept beside it. It is never changed either, and metrics may share it.
type Rare struct {
	// Rename is the operator's name for it (metrics: {3: {name: …}}); sinks
	// that continue a history of their own go on using the declared one.
	Rename string
	// Groups and Tags are CoScale's, as declared.
	Groups string
	Tags   string
	// Text names the label whose value is a text for people; empty for none.
	Text string
	// Buckets are the upper bounds of a Histogram that is Observed, ascending,
	// without +Inf. Quantiles are those that a Summary that is Observed shows;
	// nil: 0.5, 0.9 and 0.99.
	Buckets   []float64
	Quantiles []float64
}

// More gives what few metrics have, to be read: all of it empty where this one has nothing.
func (m *Meta) More() *Rare {
	if m.Rare == nil {
		return nothingRare
	}
	return m.Rare
}

var nothingRare = new(Rare)

// The Calctypes that change what a sink makes of a value.
const (
	CalctypeAverage    = "Average"
	CalctypeDifference = "Difference"
)

// Difference is what an upload makes of two values of a metric whose Calctype
// is Difference: nothing where it fell, unless it is a GAUGE, which may.
func (m *Meta) Difference(previous, value float64) (float64, bool) {
	d := value - previous
	return d, d >= 0 || m.Datatype == "GAUGE"
}

// Declared is what a source may send.
type Declared struct {
	Metrics []*Meta
	Events  []*EventMeta
}

// EventMeta is a declared kind of event.
type EventMeta struct {
	ID          string
	Name        string
	Description string
	Attributes  []string // declared attribute names
}

// Result is the verdict on a run.
type Result string

// The verdicts. Only OK is success.
const (
	OK      Result = "ok"
	Error   Result = "error"   // exit code other than 0, or it could not be started
	Timeout Result = "timeout" // it ran longer than it may
	Killed  Result = "killed"  // a signal that was not ours, or too much output
	Limit   Result = "limit"   // it reached one of the limits that the configuration sets
	Invalid Result = "invalid" // it ended well, but what it said could not be read at all
)

// Results lists all verdicts in the order in which they are shown.
func Results() []Result { return []Result{OK, Error, Timeout, Killed, Limit, Invalid} }

// Run is what one turn of a script cost and how it ended.
type Run struct {
	Result   Result
	ExitCode int // -1 when it did not exit by itself
	Start    time.Time
	Duration time.Duration // from start to end of the deciding process
	// Interval and Timeout are those in force for the script.
	Interval, Timeout time.Duration
	// Wait is how long the turn waited for a free place among
	// global.max_concurrent.
	Wait time.Duration
	// Overruns are the turns that were due since the last batch and were
	// skipped because the script still ran.
	Overruns int
	// Retries are the tries after the first; what follows is of all of them.
	Retries int
	// User, System and MaxRSS (bytes) are the kernel's accounting of the
	// finished processes.
	User, System   time.Duration
	MaxRSS         int64
	Stdout, Stderr int64 // bytes written
}

// Cost adds what an earlier try of the same turn has cost.
func (r *Run) Cost(earlier *Run) {
	r.Wait += earlier.Wait
	r.Overruns += earlier.Overruns
	r.User += earlier.User
	r.System += earlier.System
	r.MaxRSS = max(r.MaxRSS, earlier.MaxRSS)
	r.Stdout += earlier.Stdout
	r.Stderr += earlier.Stderr
}

// Sink takes batches. Put may block for as long as it takes to make the batch
// safe; when it returns nil, the sink has it. A refused series is not an
// error. Put is called from many goroutines, but never twice at once for one
// source.
type Sink interface {
	Put(*Batch) error
}

// Tee is a Sink that puts every batch to each of its sinks, in order, and
// joins their errors: one sink's failure never keeps a batch from the others, nor
// does a panic, which is an error too.
type Tee []Sink

// Put calls every sink.
func (t Tee) Put(b *Batch) error {
	var errs []error
	for _, s := range t {
		if err := panics.Try(func() error { return s.Put(b) }); err != nil {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}
