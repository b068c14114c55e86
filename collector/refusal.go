package collector

import (
	"fmt"
	"slices"
	"strings"

	"github.com/go-kit/log"
	"github.com/go-kit/log/level"

	"scriptbridge/internal/texts"
	"scriptbridge/record"
)

// Refusal is a sample that is not on the page, and why.
type Refusal struct {
	Line   int    // of the source's output, from 1; 0 when it has none
	Metric string // as the source spelled it
	Reason string // as in the label reason
	Text   string // a sentence with the remedy
}

const (
	maxRefusals = 100  // kept of a batch, for people
	maxLogged   = 1000 // different refusals named in the log, for each source
	maxReasons  = 64   // different words in the label reason, for each source
)

// refusal is why a sample was refused: a word to count by, and a sentence.
type refusal struct{ reason, text string }

// renamed is how a metric gets another name: under `metrics` in the
// configuration of a script, and by what a receiver's clients send.
func (s *source) renamed() string {
	if s.def.Kind == record.Receiver {
		return "send it by another name"
	}
	return "give the metric another name under `metrics`"
}

// moved is how it gets out of the way of a name of ours or of another source.
func (s *source) moved() string {
	if s.def.Kind == record.Receiver {
		return s.renamed()
	}
	return "give the script another `prefix`, or the metric another name under `metrics`"
}

// reservedPrefix is told of what begins like all that we say of sources.
func (s *source) reservedPrefix(name string) *refusal {
	return &refusal{"reserved", fmt.Sprintf("%s begins with %s, as what scriptbridge says of itself and its sources; %s", name, builtinPrefix, s.moved())}
}

// reservedEvents is told of what is called like the series of events.
func (s *source) reservedEvents(name string) *refusal {
	return &refusal{"reserved", fmt.Sprintf("%s is called like the series that scriptbridge makes of events; %s", name, s.renamed())}
}

// reservedProcess is told of what would meet a family of our own process.
func (s *source) reservedProcess(name string, f *family) *refusal {
	ours, room := f.name+f.kind.suffix(), ""
	if ours != name {
		room = ", which leaves no room for " + name
	}
	return &refusal{"reserved", fmt.Sprintf("scriptbridge shows %s of its own process%s; %s", ours, room, s.moved())}
}

// outranked is what is said to a source whose family had to go.
func outranked(winner *source) *refusal {
	return &refusal{"type_conflict", fmt.Sprintf("its series made room for those of the %s %q, which is earlier in the configuration; give one of them another `prefix`", winner.def.Kind, winner.def.Name)}
}

func (s *source) badName(m *metric) *refusal {
	return &refusal{"bad_name", fmt.Sprintf("%q cannot be a metric's name, which takes letters, digits, _ and :, no digit first; %s", texts.Cut(m.sample, maxName), s.renamed())}
}

func (s *source) nameTooLong(m *metric) *refusal {
	return &refusal{"too_long", fmt.Sprintf("the name has %d bytes on the page, more than %d; %s", len(m.sample), maxName, s.renamed())}
}

func valueTooLong(label string, n int) *refusal {
	return &refusal{"too_long", fmt.Sprintf("the value of the label %s has %d bytes, more than %d; let the script shorten it", label, n, maxValue)}
}

func tooManyLabels(smp *record.Sample) *refusal {
	return &refusal{"too_long", fmt.Sprintf("it has %d labels, more than %d; let the script leave some out", len(smp.Labels), maxLabels)}
}

// duplicateName tells of a metric whose name another one of its source has.
func (s *source) duplicateName(m *metric, owner metricID) *refusal {
	where := "under `metrics`"
	if s.def.Kind == record.Receiver {
		where = "where it is sent"
	}
	what := fmt.Sprintf("the metric %s takes the name %s already", owner, m.sample)
	if owner.name == m.name() && owner.kind != m.kind {
		what = fmt.Sprintf("%s is %s already, and cannot be %s too", m.sample, owner.kind.noun(), m.kind.noun())
	}
	return &refusal{"duplicate_name", fmt.Sprintf("%s; give one of them another name %s", what, where)}
}

func (s *source) typeConflict(m *metric, f *family, winner *source) *refusal {
	remedy := "give one of them another `prefix`, or the metric another name or type under `metrics`"
	if s.def.Kind == record.Receiver {
		remedy = s.renamed()
	}
	return &refusal{"type_conflict", fmt.Sprintf("%s is %s of the %s %q, which is earlier in the configuration, and cannot be %s too; %s",
		m.sample, f.kind.noun(), winner.def.Kind, winner.def.Name, m.kind.noun(), remedy)}
}

func duplicateSeries(winner *source) *refusal {
	return &refusal{"duplicate", fmt.Sprintf("the %s %q, which is earlier in the configuration, sends the same series; give one of them another `prefix` or a label", winner.def.Kind, winner.def.Name)}
}

func printedTwice(files record.Files, line int) *refusal {
	remedy := "let the script print each series once"
	if len(files) > 0 { // which are not the script's
		remedy = "let one line of one file have each series"
	}
	return &refusal{"duplicate", files.Place(line) + " has the same series, and the first value stays; " + remedy}
}

func tooManySeries(limit int) *refusal {
	return &refusal{"max_series", fmt.Sprintf("there are %d series already; let the source send fewer, or raise `max_series`", limit)}
}

func badWeight(weight float64) *refusal {
	return &refusal{"bad_weight", fmt.Sprintf("an observation cannot count %v times; let the sender give a sample rate above 0 and up to 1", weight)}
}

// Refusals that are the same for all.
var (
	labelNameTooLong = &refusal{"too_long", fmt.Sprintf("a label's name has more than %d bytes; let the script shorten it", maxName)}
	tooManyEvents    = &refusal{"max_series", fmt.Sprintf("there are %d different events already; let the source name fewer, and put what differs into attributes", maxEventNames)}
	negativeAdd      = &refusal{"negative", "a COUNT cannot go down; let the script print what was added, or declare the metric a GAUGE"}
	endlessAdd       = &refusal{"not_finite", "a COUNT that once adds NaN or infinity can never be read again; let the script leave the line out"}
	endlessObserve   = &refusal{"not_finite", "a summary or histogram that once takes in NaN or infinity can never be read again; let the sender leave it out"}
	endlessSum       = &refusal{"not_finite", "its sum would become infinite; let the sender use a larger unit"}
	observedAndSet   = &refusal{"duplicate", "the source sends the same series ready-made and as observations, and what came first stays; give one of them another name"}
)

// String names a metric for people.
func (id metricID) String() string {
	if id.id != "" {
		return fmt.Sprintf("%s (%q)", id.id, id.name)
	}
	return fmt.Sprintf("%q", id.name)
}

// refuse counts a sample that is not shown, keeps it for people, and names it
// in the log unless it was named before.
func (c *Collector) refuse(s *source, smp *record.Sample, r *refusal) {
	s.countRefused(r.reason, 1)
	s.note(1, Refusal{Line: smp.Line, Metric: smp.Name, Reason: r.reason, Text: r.text})
	c.logRefusal(s, r.reason, smp.Name, r.text)
}

// note keeps a refusal of n series for people.
func (s *source) note(n int, r Refusal) {
	s.refused += n
	if len(s.refusals) < maxRefusals {
		s.refusals = append(s.refusals, r)
	}
}

// evicted tells a source that n series of a metric were ended.
func (c *Collector) evicted(s *source, metric string, n int, r *refusal) {
	s.countRefused(r.reason, n)
	s.note(n, Refusal{Metric: metric, Reason: r.reason, Text: r.text})
	c.logRefusal(s, r.reason, metric, r.text)
	c.changed[s] = struct{}{}
}

// countRefused counts by reason; a reason is a word of the program's own, but
// its number is bounded all the same.
func (s *source) countRefused(reason string, n int) {
	if reason == "" {
		reason = "unreadable"
	}
	reason = texts.Cut(strings.ToValidUTF8(reason, "\uFFFD"), maxValue)
	s.refusedMore = true
	i := s.findRefused(reason)
	if i < 0 && len(s.refusedBy) >= maxReasons {
		reason = "other"
		i = s.findRefused(reason)
	}
	if i < 0 {
		count := refusedCount{reason: reason, shown: string(appendEscaped(nil, reason)) + `"`}
		i, _ = slices.BinarySearchFunc(s.refusedBy, count, func(a, b refusedCount) int { return strings.Compare(a.shown, b.shown) })
		s.refusedBy = slices.Insert(s.refusedBy, i, count)
	}
	s.refusedBy[i].n += n
}

// refusedCount is how much was refused of a source for one reason.
type refusedCount struct {
	reason string
	shown  string // the reason and what ends it on the page, by which lines are in order
	n      int
}

// findRefused is the index of a reason in refusedBy; -1 where it is new.
func (s *source) findRefused(reason string) int {
	return slices.IndexFunc(s.refusedBy, func(r refusedCount) bool { return r.reason == reason })
}

type loggedKey struct{ reason, metric string }

// logRefusal names a refusal in the log, once. The line is written when the
// lock is free again: a log may block.
func (c *Collector) logRefusal(s *source, reason, name, text string) {
	key := loggedKey{reason, name}
	if s.logged[key] || len(s.logged) > maxLogged {
		return
	}
	if s.logged == nil { // most sources never need it
		s.logged = make(map[loggedKey]bool)
	}
	s.logged[key] = true
	if len(s.logged) > maxLogged {
		text = "too many different samples are refused; no more of them are named here"
	}
	logger := level.Warn(log.With(c.logger, string(s.def.Kind), s.def.Name, "reason", reason, "metric", name))
	c.unlogged = append(c.unlogged, func() error { return logger.Log("msg", text) })
}
