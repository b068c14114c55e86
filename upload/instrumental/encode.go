package instrumental

import (
	"encoding/binary"
	"hash/fnv"
	"math"
	"slices"
	"strings"
	"time"

	"scriptbridge/record"
	"scriptbridge/upload/spool"
)

// encoder turns one batch into lines.
type encoder struct {
	host, statsdPrefix string
	batch              *record.Batch
	tx                 *spool.Tx
	text               []byte // the lines, each with its end
	lines              int
	skipped            map[string]int
}

func (s *encoder) all() error {
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

// sample says one value. An Average needs nothing: the service averages a minute's gauges.
func (s *encoder) sample(smp *record.Sample) error {
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
	s.line(line)
	return nil
}

// name is HOST.SCRIPT.METRIC and the values of the dimensions. The host of a
// sample that speaks of another server is that one. What an Instrumental
// plugin's own runner would send begins with the script already.
func (s *encoder) name(smp *record.Sample) string {
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
func (s *encoder) nativeName(smp *record.Sample) string {
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
func (s *encoder) event(e *record.Event) error {
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
	s.line(noticeLine(e.Start, e.Stop, text))
	return nil
}

func (s *encoder) line(line string) {
	s.text = append(append(s.text, line...), '\n')
	s.lines++
}

// key is where something of the source's is kept. It is hashed: names are long,
// and the store bounds them.
func (s *encoder) key(group, name string) string {
	h := fnv.New128a()
	_, _ = h.Write([]byte(strings.Join([]string{string(s.batch.Source.Kind), s.batch.Source.Name, name}, "\x00"))) // which cannot fail
	return group + "/" + string(h.Sum(nil))
}

// recall gives the number that is kept by a key, and when that was mentioned.
func (s *encoder) recall(key string) (value float64, at time.Time, known bool) {
	kept := s.tx.Get(key)
	if len(kept) != 16 {
		return 0, time.Time{}, false
	}
	return math.Float64frombits(binary.BigEndian.Uint64(kept)), time.Unix(int64(binary.BigEndian.Uint64(kept[8:])), 0), true
}

// keep keeps a number by a key, with the batch's time.
func (s *encoder) keep(key string, value float64) error {
	kept := binary.BigEndian.AppendUint64(nil, math.Float64bits(value))
	return s.tx.Set(key, binary.BigEndian.AppendUint64(kept, uint64(s.batch.Time.Unix())))
}
