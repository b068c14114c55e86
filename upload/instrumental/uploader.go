package instrumental

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"hash/fnv"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/go-kit/log"

	"scriptbridge/internal/repeat"
	"scriptbridge/record"
	"scriptbridge/upload/spool"
)

// UploaderOptions are what an Uploader needs; all but StatsDPrefix, Logger and
// Now.
type UploaderOptions struct {
	Collector *Collector
	// Host is the first part of every name.
	Host string
	// StatsDPrefix is what stands in front of StatsD's names; empty: nothing.
	StatsDPrefix string
	Spool        *spool.Spool
	Logger       log.Logger
	Now          func() time.Time
}

// Uploader is a record.Sink that sends to Instrumental's collector. What Put
// has taken is on disk, as lines of the protocol with their absolute times, and
// is sent in order.
type Uploader struct {
	o       UploaderOptions
	waiting chan struct{} // holds one when there is something to send
}

const (
	// round is how often lines are sent. The service knows whole minutes; the
	// vendor's daemons connect once in each of their rounds too.
	round = 30 * time.Second
	// mostAtOnce bounds the bytes of one connection.
	mostAtOnce = 1 << 20
	// eventsKept is for how long an event that is repeated is the same one.
	eventsKept = 24 * time.Hour
	// mentionAgain is how exactly the last mention of an event is known: one that
	// is repeated shall not cost a write each time.
	mentionAgain = 6 * time.Hour
)

// NewUploader makes one; Run sends.
func NewUploader(o UploaderOptions) *Uploader {
	if o.Logger == nil {
		o.Logger = log.NewNopLogger()
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	return &Uploader{o: o, waiting: make(chan struct{}, 1)}
}

// Stats gives the spool's figures, and what was never queued.
func (u *Uploader) Stats() spool.Stats { return u.o.Spool.Stats() }

// Put makes lines of a batch and keeps them; it blocks for as long as the disk
// takes. When it returns nil, they are on disk.
func (u *Uploader) Put(b *record.Batch) error {
	if b.Gone || len(b.Samples)+len(b.Events) == 0 {
		return nil
	}
	var said saying
	// A transaction may be run twice, so it begins anew each time.
	err := u.o.Spool.Take(func(tx *spool.Tx) error {
		said = saying{host: u.o.Host, statsdPrefix: u.o.StatsDPrefix, batch: b, tx: tx, skipped: make(map[string]int)}
		if err := said.all(); err != nil || len(said.lines) == 0 {
			return err
		}
		data, err := json.Marshal(said.lines)
		if err != nil {
			return err
		}
		return tx.Append(b.Time, len(said.lines), data)
	})
	if err != nil {
		return fmt.Errorf("upload to Instrumental: %w", err)
	}
	if len(said.lines) > 0 {
		u.wake()
	}
	u.o.Spool.Skipped(said.skipped)
	return nil
}

// saying turns one batch into lines.
type saying struct {
	host, statsdPrefix string
	batch              *record.Batch
	tx                 *spool.Tx
	lines              []string
	skipped            map[string]int
}

func (s *saying) all() error {
	for i := range s.batch.Samples {
		if err := s.sample(&s.batch.Samples[i]); err != nil {
			return err
		}
	}
	for i := range s.batch.Events {
		if err := s.event(&s.batch.Events[i]); err != nil {
			return err
		}
	}
	return nil
}

// sample says one value (spec/instrumental.md, 3, Mapping; spec/mapping.md,
// Types). An Average needs nothing: the service averages a minute's gauges.
func (s *saying) sample(smp *record.Sample) error {
	name := s.name(smp)
	if name == "" {
		s.skipped["name"]++
		return nil
	}
	if math.IsNaN(smp.Value) || math.IsInf(smp.Value, 0) {
		s.skipped["not_finite"]++
		return nil
	}
	at := smp.Time
	if at.IsZero() {
		at = s.batch.Time
	}
	value, count, verb := smp.Value, 1.0, gauge
	switch {
	case smp.Op == record.Add:
		verb = increment
	case smp.Op == record.Observe:
		if smp.Weight > 0 {
			count = smp.Weight
		}
		if smp.Meta != nil && smp.Meta.Native != nil && smp.Meta.Native.Unit == record.Milliseconds {
			value = record.ToMilliseconds(value)
		}
		value *= count // the count's sum
	case smp.Meta != nil && smp.Meta.Type >= record.Histogram:
		s.skipped["part"]++ // of a histogram or summary, or an info
		return nil
	case smp.Meta != nil && smp.Meta.Calctype == record.CalctypeDifference:
		key := s.key("last", name)
		previous, _, known := s.recall(key)
		err := s.keep(key, value)
		if err != nil || !known {
			return err
		}
		if value, known = smp.Meta.Difference(previous, value); !known {
			return nil
		}
	}
	line, ok := metricLine(verb, name, value, at, count)
	if !ok {
		s.skipped["not_finite"]++
		return nil
	}
	s.lines = append(s.lines, line)
	return nil
}

// name is HOST.SCRIPT.METRIC and the values of the dimensions. The host of a
// sample that speaks of another server is that one. What an Instrumental
// plugin's own runner would send begins with the script already.
func (s *saying) name(smp *record.Sample) string {
	m := smp.Meta
	if m != nil && m.Native != nil {
		return s.nativeName(smp)
	}
	host := s.host
	if smp.Subject.Kind == record.Server && smp.Subject.Name != "" {
		host = smp.Subject.Name
	}
	metric := strings.Split(smp.Name, ".")
	if m != nil && m.Datatype != "" {
		metric = []string{smp.Name} // a phrase of CoScale's, whose dots separate nothing
	}
	if metricName(metric...) == "" {
		return ""
	}
	parts := dotted(host)
	if own := m != nil && m.Datatype == "" && m.ID != "" && strings.HasSuffix(smp.Name, "."+m.ID); !own {
		parts = append(parts, strings.ReplaceAll(plain(s.batch.Source.Name), ".", "_"))
	}
	parts = append(parts, metric...)
	for _, l := range smp.Labels {
		parts = append(parts, l.Value)
	}
	return metricName(parts...)
}

// nativeName is the name that the vendor's backend for the StatsD daemon gave:
// the daemon's, without a host, and of what is observed its mean, the one of
// the backend's figures that comes out right from the values of a second. What
// tags say stands behind the client's name; what a mapping made of that name is
// in it already.
func (s *saying) nativeName(smp *record.Sample) string {
	metric := strings.Split(smp.Meta.Native.Name, ".")
	if metricName(metric...) == "" {
		return ""
	}
	parts := append(dotted(s.statsdPrefix), metric...)
	for _, l := range smp.Labels {
		if !slices.Contains(smp.Meta.Native.Mapped, l.Name) {
			parts = append(parts, l.Value)
		}
	}
	if smp.Op == record.Observe {
		parts = append(parts, "mean")
	}
	return metricName(parts...)
}

// event says an event once when it begins, and once more when it has ended.
func (s *saying) event(e *record.Event) error {
	open := 0.0
	if e.Stop.IsZero() {
		open = 1
	}
	key := s.key("event", e.ID)
	before, at, known := s.recall(key)
	again := known && before <= open
	if again && s.batch.Time.Sub(at) <= mentionAgain {
		return nil
	}
	if again {
		open = before
	}
	if err := s.keep(key, open); err != nil || again {
		return err
	}
	text := s.host + " " + e.Name
	if e.Message != "" {
		text += ": " + e.Message
	}
	s.lines = append(s.lines, noticeLine(e.Start, e.Stop, text))
	return nil
}

// key is where something of the source's is kept. It is hashed: names are long,
// and the store bounds them.
func (s *saying) key(group, name string) string {
	h := fnv.New128a()
	_, _ = h.Write([]byte(strings.Join([]string{string(s.batch.Source.Kind), s.batch.Source.Name, name}, "\x00"))) // which cannot fail
	return group + "/" + string(h.Sum(nil))
}

// recall gives the number that is kept by a key, and when that was mentioned.
func (s *saying) recall(key string) (value float64, at time.Time, known bool) {
	kept := s.tx.Get(key)
	if len(kept) != 16 {
		return 0, time.Time{}, false
	}
	return math.Float64frombits(binary.BigEndian.Uint64(kept)), time.Unix(int64(binary.BigEndian.Uint64(kept[8:])), 0), true
}

// keep keeps a number by a key, with the batch's time.
func (s *saying) keep(key string, value float64) error {
	kept := binary.BigEndian.AppendUint64(nil, math.Float64bits(value))
	return s.tx.Set(key, binary.BigEndian.AppendUint64(kept, uint64(s.batch.Time.Unix())))
}

// Run sends what is kept, until ctx ends; then it gives nil. What has not been
// sent stays. What comes after a silence is sent at once, the next a round
// later. Where the disk fails, Run says so and goes on a round later.
func (u *Uploader) Run(ctx context.Context) error {
	u.wake() // for what was kept before
	tidied := u.o.Now()
	var disk repeat.State
	var shrinker spool.Shrinker
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-u.waiting:
		}
		before := u.o.Spool.Stats().Sent
		err := u.send(ctx)
		if err == nil && u.o.Spool.Stats().Sent == before {
			continue // the silence goes on
		}
		if now := u.o.Now(); err == nil && now.Sub(tidied) > time.Hour {
			tidied = now
			err = u.forget(now)
		}
		if err == nil {
			err = shrinker.Shrink(u.o.Spool, u.o.Now())
		}
		switch {
		case ctx.Err() != nil:
			return nil
		case errors.Is(err, spool.ErrClosed):
			return err
		case err != nil:
			u.wake()
		}
		disk.Log(u.o.Logger, err, "the upload's spool fails; sending is tried again", "the upload's spool works again")
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(round):
		}
	}
}

// wake has Run look at the queue.
func (u *Uploader) wake() {
	select {
	case u.waiting <- struct{}{}:
	default: // it will
	}
}

// send sends until the queue is empty. Lines that may not have arrived are
// sent again: a gauge said twice is the same average, an increment said twice is
// the price of losing none.
func (u *Uploader) send(ctx context.Context) error {
	// What cannot be set aside stays, and nothing else stays for that.
	var staying error
	var last spool.Key // of those among which something stays
	for {
		entries, err := u.o.Spool.Read(last, endOfTime, mostAtOnce)
		if err != nil || len(entries) == 0 {
			return errors.Join(err, staying)
		}
		var lines []string
		var aside []spool.Aside
		bad := make(map[spool.Key]bool)
		for _, e := range entries {
			some, err := readLines(e.Data)
			if err != nil {
				bad[e.Key] = true
				aside = append(aside, spool.Aside{Why: err, Shown: []byte(`null`), Items: e.Items, At: e.Key.Time()})
			}
			lines = append(lines, some...)
		}
		if len(lines) > 0 {
			err = u.o.Spool.Retry(ctx, func(ctx context.Context) error { return u.o.Collector.Send(ctx, lines) })
			if err != nil {
				return err
			}
		}
		if err := u.o.Spool.SetAside(aside...); err != nil {
			staying, last = err, entries[len(entries)-1].Key
			entries = slices.DeleteFunc(entries, func(e spool.Entry) bool { return bad[e.Key] })
		}
		if err := u.done(entries, bad); err != nil {
			return err
		}
	}
}

// done takes entries out of the queue, and counts them, but for those that were
// dropped meanwhile and counted then.
func (u *Uploader) done(entries []spool.Entry, bad map[spool.Key]bool) error {
	return u.o.Spool.Settle(func(tx *spool.Tx) error {
		for _, e := range entries {
			switch {
			case !tx.Has(e.Key):
			case bad[e.Key]:
				tx.Refused(e.Items)
			default:
				tx.Sent(e.Items)
			}
			if err := tx.Remove(e.Key); err != nil {
				return err
			}
		}
		return nil
	})
}

// endOfTime is later than all that is queued: what came while a clock was ahead
// is not waited for.
var endOfTime = time.Unix(0, math.MaxInt64)

// readLines reads an entry of the spool.
func readLines(data []byte) ([]string, error) {
	var lines []string
	if err := json.Unmarshal(data, &lines); err != nil {
		return nil, fmt.Errorf("an entry that cannot be read: %w", err)
	}
	for _, l := range lines {
		if strings.ContainsAny(l, "\r\n") {
			return nil, errors.New("an entry that cannot be read: a line of it has a line end")
		}
	}
	return lines, nil
}

// forget drops what has not been spoken of for long: events after a day, the
// last values of series after a week.
func (u *Uploader) forget(now time.Time) error {
	return u.o.Spool.Update(func(tx *spool.Tx) error {
		var old []string
		for prefix, age := range map[string]time.Duration{"event/": eventsKept, "last/": 7 * 24 * time.Hour} {
			limit := now.Add(-age).Unix()
			tx.Each(prefix, func(key string, value []byte) bool {
				if len(value) != 16 || int64(binary.BigEndian.Uint64(value[8:])) < limit {
					old = append(old, key)
				}
				return true
			})
		}
		for _, key := range old {
			if err := tx.Delete(key); err != nil {
				return err
			}
		}
		return nil
	})
}

var _ record.Sink = (*Uploader)(nil)
