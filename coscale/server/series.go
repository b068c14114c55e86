package server

import (
	"encoding/binary"
	"fmt"
	"hash/maphash"
	"slices"
	"time"

	"scriptbridge/coscale"
	"scriptbridge/record"
)

// entryKey is what the points of an entry are of, in one piece: the metric's id, the subject, and
// the names and values of dimensions, each behind its length.
type entryKey []byte

// dimension is the value of one, in bytes that are another's.
type dimension struct{ name, value []byte }

// appendEntryKey appends a key; the dimensions are in the order of their names.
func appendEntryKey(b entryKey, metric int64, subject []byte, dimensions []dimension) entryKey {
	text := func(t []byte) { b = append(binary.AppendUvarint(b, uint64(len(t))), t...) }
	b = binary.AppendVarint(b, metric)
	text(subject)
	for i := range dimensions {
		text(dimensions[i].name)
		text(dimensions[i].value)
	}
	return b
}

// with appends the key to b, for a subject where it has none.
func (k entryKey) with(b entryKey, subject string) entryKey {
	_, n := binary.Varint(k)
	if k[n] != 0 {
		return append(b, k...)
	}
	b = append(b, k[:n]...)
	b = append(binary.AppendUvarint(b, uint64(len(subject))), subject...)
	return append(b, k[n+1:]...)
}

// parts are those of which it is made.
func (k entryKey) parts() (metric int64, subject string, dimensions []record.Label) {
	metric, n := binary.Varint(k)
	all := string(k[n:])
	text := func() (t string) {
		size, n := binary.Uvarint(k[len(k)-len(all):])
		t, all = all[n:n+int(size)], all[n+int(size):]
		return t
	}
	subject = text()
	for all != "" {
		dimensions = append(dimensions, record.Label{Name: text(), Value: text()})
	}
	return metric, subject, dimensions
}

// target is what an entry's points are of, looked up.
type target struct {
	recentKey
	key    string // in targets
	meta   *record.Meta
	labels []record.Label
	series uint64
	known  bool          // there is a subject of this id
	recent *recentSeries // nil: not looked up
}

// targets remembers what entries are of, for as long as the registry stays as it is. There are two
// generations, as in addedPoints. Their texts are whatever clients send, so these have a bound too.
type targets struct {
	young, old map[string]*target // by entryKey
	since      time.Time          // of young
	text       int                // the length of its keys
	changed    uint64             // the registry's
	most       int                // of a generation
}

const (
	maxTargets    = 100_000 // of a generation
	maxTargetText = 8 << 20 // bytes of its keys
	targetsFor    = 10 * time.Minute
)

// find gives what is remembered; nil for nothing.
func (a *targets) find(key entryKey, changed uint64, now time.Time) *target {
	if a.changed != changed {
		a.young, a.old, a.text, a.changed = nil, nil, 0, changed
	}
	t := a.young[string(key)]
	if t == nil {
		if t = a.old[string(key)]; t != nil {
			a.keep(t, now)
		}
	}
	return t
}

func (a *targets) keep(t *target, now time.Time) {
	if a.young == nil || len(a.young) >= a.most || a.text+len(t.key) > maxTargetText || now.Sub(a.since) >= targetsFor {
		a.old, a.young, a.text, a.since = a.young, make(map[string]*target), 0, now
	}
	a.young[t.key] = t
	a.text += len(t.key)
}

// targetOf looks up what an entry's points are of; nil where they are refused. The caller
// holds the registry's mu, and putting.
func (in *intake) targetOf(e *entry) *target {
	r := in.h.registry
	t := in.h.targets.find(e.of, r.version, in.now)
	if t == nil {
		if t = in.newTarget(e); t == nil {
			return nil
		}
		in.h.targets.keep(t, in.now)
	}
	if !t.known && in.bridge { // but a bridge has the name, and makes it again
		_, subject, _ := e.of.parts()
		in.refuse(coscale.UnknownSubject, e, allPoints, fmt.Errorf("there is no subject %.40s", subject))
		return nil
	}
	return t
}

// newTarget looks up in the registry.
func (in *intake) newTarget(e *entry) *target {
	r := in.h.registry
	metric, text, dimensions := e.of.parts()
	meta := r.meta(metric)
	if meta == nil {
		in.refuse(coscale.UnknownMetric, e, allPoints, fmt.Errorf("there is no metric %d", metric))
		return nil
	}
	if _, _, err := coscale.ParseSubject(text); err != nil {
		in.refuse("subject", e, allPoints, err)
		return nil
	}
	subject, known := r.subject(text) // the number of one that is not there is a name as good as any
	labels := labelsOf(dimensions, meta.Dimensions)
	return &target{
		recentKey: recentKey{metric, subject}, key: string(e.of), meta: meta, labels: labels, known: known,
		series: in.seriesKey(metric, subject, labels),
	}
}

// addedPoint is a point of a series whose values add up.
type addedPoint struct {
	series uint64
	time   int64
}

// addedPoints remembers which points have been put, and whether all sinks took
// them, since clients repeat what was not answered and what was answered
// with 503. There are two generations: when the younger is full, or a day old,
// it becomes the elder and the elder is forgotten.
type addedPoints struct {
	seed       maphash.Seed
	young, old map[addedPoint]bool // taken by all
	since      time.Time           // of young
}

const (
	maxAdded = 200_000 // of a generation
	addedFor = 24 * time.Hour
)

func (a *addedPoints) find(p addedPoint) (put, taken bool) {
	if taken, put = a.young[p]; !put {
		taken, put = a.old[p]
	}
	return put, taken
}

func (a *addedPoints) keep(points map[addedPoint]struct{}, taken bool, now time.Time) {
	for p := range points {
		if a.young == nil || len(a.young) >= maxAdded || now.Sub(a.since) >= addedFor {
			a.old, a.young, a.since = a.young, make(map[addedPoint]bool), now
		}
		a.young[p] = taken
	}
}

// labelsOf are the values of dimensions: those that the metric is linked to in
// that order, then the others by name.
func labelsOf(values []record.Label, linked []string) []record.Label {
	if len(values) == 0 {
		return nil
	}
	labels := make([]record.Label, 0, len(values))
	for _, name := range linked {
		if i := slices.IndexFunc(values, func(l record.Label) bool { return l.Name == name }); i >= 0 {
			labels = append(labels, values[i])
		}
	}
	for _, l := range values {
		if !slices.Contains(linked, l.Name) {
			labels = append(labels, l)
		}
	}
	return labels
}

// seriesKey is a number for a series: 64 bits of a hash. Collisions are ignored;
// among 100,000 series there is one with a probability of 3 in 10 billion.
func (in *intake) seriesKey(metric int64, s record.Subject, labels []record.Label) uint64 {
	b := binary.AppendVarint(append(in.key[:0], byte(s.Kind)), metric)
	text := func(t string) { // its length first, so that no two lists read alike
		b = append(binary.AppendVarint(b, int64(len(t))), t...)
	}
	text(s.Name)
	for _, l := range labels {
		if l.Value != "" {
			text(l.Name)
			text(l.Value)
		}
	}
	in.key = b
	return maphash.Bytes(in.h.added.seed, b)
}
