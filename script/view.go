package script

import (
	"encoding/binary"
	"iter"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"scriptbridge/internal/texts"
	"scriptbridge/record"
)

// State is what a script is doing.
type State string

// The states of a script.
const (
	Waiting State = "waiting" // due, for a free place
	Running State = "running"
	Idle    State = "idle" // until its next slot
	// Disabled is one that does not run, since the configuration says so, or it
	// has said so itself; its Warnings say why.
	Disabled State = "disabled"
)

// What is kept of each script for people to look at.
const (
	historyMax  = 20
	eventsShown = 100
)

// View is a script as people see it: a snapshot, which nobody changes.
type View struct {
	Script            *Script
	State             State
	Since             time.Time // when the present or last run began
	Next              time.Time // when it is due
	Interval, Timeout time.Duration
	Last              *Verdict // nil before the first run has ended
	History           History
	Overruns          int
	Declared          *record.Declared // the last good one
	Output            []byte           // of OutputOf, cut at 64 KiB
	OutputCut         bool
	OutputOf          *Verdict            // the last run that said anything; nil before there was one
	Lines             []*record.LineError // of that output
	Files             record.Files        // that it was read from, where it was
	Stderr            []StderrLine        // the last lines, of earlier runs too
	Events            []record.Event      // newest first
	Warnings          []string
	Log               []string // what the last run gave for the log
	Probes            []Probe  // newest first
	Trends            []Trend  // in the order in which the script spoke of them first
}

// StderrLine is a line that a script wrote to standard error, or that it gave for the
// log.
type StderrLine struct {
	At   time.Time
	Run  int // another number for each run
	Text string
}

// Views gives every script, in the order of the configuration.
func (p *Pool) Views() []View {
	all := p.supervisor.All()
	views := make([]View, len(all))
	for i, u := range all {
		views[i] = u.snapshot()
	}
	return views
}

// View gives one script; false when there is none of that name.
func (p *Pool) View(name string) (View, bool) {
	u, ok := p.supervisor.Get(name)
	if !ok {
		return View{}, false
	}
	return u.snapshot(), true
}

func (u *worker) snapshot() View {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.seen()
}

// seen is snapshot for one who holds u.mu.
func (u *worker) seen() View {
	v := u.view
	v.Events = slices.Clone(v.Events)
	return v
}

// cutBytes copies at most n bytes of b, so that the rest can be freed.
func cutBytes(b []byte, n int) (kept []byte, cut bool) {
	return slices.Clone(b[:min(len(b), n)]), len(b) > n
}

// What is kept of a script's values for people: the last runs' of its first series.
// /metrics has the rest, and Prometheus their history.
const (
	trendsMax  = 20
	trendLabel = 120 // bytes of Trend.Label
)

// Trend is what the last runs said of one series.
type Trend struct {
	Label string // name and labels as the script spelled them
	Last  float64
	// Values are those of the last runs, the newest last: as many as there are in
	// View.History at most. NaN where a run did not say any.
	Values []float32
}

// trendsOf carries trends on by a run's samples. The old ones are left as they are.
func trendsOf(old []Trend, samples []record.Sample) (trends []Trend) {
	if n := max(len(old), min(len(samples), trendsMax)); n > 0 {
		trends = make([]Trend, 0, n)
	}
	for _, t := range old {
		t.Values = carried(t.Values)
		if !slices.ContainsFunc(t.Values, func(v float32) bool { return v == v }) {
			continue // nobody has mentioned it for so long: it makes room
		}
		trends = append(trends, t)
	}
	for _, s := range samples[:min(len(samples), 2*trendsMax)] { // a script may say a hundred thousand
		if s.Op == record.Observe {
			continue
		}
		label := trendLabelOf(&s)
		i := slices.IndexFunc(trends, func(t Trend) bool { return t.Label == label })
		if i < 0 {
			if i = len(trends); i == trendsMax {
				continue
			}
			trends = append(trends, Trend{Label: label, Values: carried(nil)})
		}
		t := &trends[i]
		t.Last, t.Values[len(t.Values)-1] = s.Value, float32(s.Value)
	}
	return trends
}

// carried are values with one behind them that is none yet, and no more than are kept.
func carried(values []float32) []float32 {
	values = values[max(0, len(values)+1-historyMax):]
	return append(append(make([]float32, 0, len(values)+1), values...), float32(math.NaN()))
}

func trendLabelOf(s *record.Sample) string {
	var b strings.Builder
	b.WriteString(s.Name)
	for i, l := range s.Labels {
		b.WriteString([...]string{" ", ", "}[min(i, 1)] + l.Name + "=" + strconv.Quote(l.Value))
	}
	return texts.Shorten(b.String(), trendLabel)
}

// History are the last runs of a script, the newest first. Of one that went well and said
// nothing but values there are a few bytes, and its Verdict is made when somebody looks.
type History struct {
	packed string // the runs, as pastRun.pack has them, and maybe older ones
	n      int
	more   *[historyMax]*Verdict // pastRun.more of each; nil: none has any
}

// pastRun is a run that is over.
type pastRun struct {
	start, duration, waited int64 // in nanoseconds, start since 1970
	samples                 int64
	// more is what else there is to tell, without the fields above; nil: nothing. Runs that
	// end in the same way, one after the other, have one.
	more *Verdict
}

// pack appends the numbers of a run to b.
func (r *pastRun) pack(b []byte) []byte {
	for _, n := range [...]int64{r.start, r.duration, r.waited, r.samples} {
		b = binary.AppendVarint(b, n)
	}
	return b
}

// unpack sets the numbers of a run from the beginning of packed, and gives what is behind it.
func (r *pastRun) unpack(packed string) (rest string) {
	for _, to := range [...]*int64{&r.start, &r.duration, &r.waited, &r.samples} {
		var length int
		*to, length = binary.Varint([]byte(packed[:min(len(packed), binary.MaxVarintLen64)]))
		packed = packed[length:]
	}
	return packed
}

// HistoryOf gives the history that has these runs, the newest first. It has none of the
// lines that could not be read: View.Last has those of the last run.
func HistoryOf(verdicts ...*Verdict) (h History) {
	for _, v := range slices.Backward(verdicts[:min(len(verdicts), historyMax)]) {
		h = h.with(v)
	}
	return h
}

// with gives the history with one more run. The old one is left as it is.
func (h History) with(v *Verdict) History {
	run := pastRun{start: v.Start.UnixNano(), duration: int64(v.Duration), waited: int64(v.Waited), samples: int64(v.Samples)}
	more := *v
	more.Start, more.Duration, more.Waited, more.Samples, more.Lines = time.Time{}, 0, 0, 0, nil
	switch last := h.moreOf(0); {
	case more.like(&Verdict{Result: record.OK}):
	case last != nil && more.like(last):
		run.more = last
	default:
		run.more = &more
	}
	next := History{n: min(h.n+1, historyMax)}
	older := h.packed
	for range next.n - 1 {
		older = new(pastRun).unpack(older)
	}
	packed := run.pack(make([]byte, 0, 4*binary.MaxVarintLen64))
	next.packed = string(packed) + h.packed[:len(h.packed)-len(older)]
	if h.more != nil || run.more != nil {
		all := [historyMax]*Verdict{run.more}
		for i := range next.n - 1 {
			all[i+1] = h.moreOf(i)
		}
		if all != [historyMax]*Verdict{} {
			next.more = &all
		}
	}
	return next
}

// moreOf gives pastRun.more of a run by its place, or of none.
func (h History) moreOf(i int) *Verdict {
	if h.more == nil {
		return nil
	}
	return h.more[i]
}

// like reports whether two runs tell the same, but for times, samples and lines.
func (v *Verdict) like(w *Verdict) bool {
	return v.Result == w.Result && v.text() == w.text() && v.ExitCode == w.ExitCode && v.Limit == w.Limit && v.Retries == w.Retries &&
		v.Refused == w.Refused && maps.Equal(v.Reasons, w.Reasons) && v.Events == w.Events && v.Stderr == w.Stderr &&
		(v.Answer == w.Answer || v.Answer != nil && w.Answer != nil && *v.Answer == *w.Answer)
}

// Len is how many runs there are.
func (h History) Len() int { return h.n }

// Newest gives the last runs, n at most.
func (h History) Newest(n int) History {
	h.n = min(n, h.n)
	return h
}

// All gives the runs, the newest first, each with its place.
func (h History) All() iter.Seq2[int, Verdict] {
	return func(yield func(int, Verdict) bool) {
		rest := h.packed
		for i := range h.n {
			v := Verdict{Result: record.OK}
			if more := h.moreOf(i); more != nil {
				v = *more
			}
			var run pastRun
			rest = run.unpack(rest)
			v.Start, v.Duration, v.Waited, v.Samples = time.Unix(0, run.start), time.Duration(run.duration), time.Duration(run.waited), int(run.samples)
			if !yield(i, v) {
				return
			}
		}
	}
}
