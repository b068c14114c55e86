package script

import (
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
type History struct{ runs []pastRun }

// pastRun is a run that is over.
type pastRun struct {
	start            int64 // in nanoseconds since 1970
	duration, waited time.Duration
	samples          int
	// more is what else there is to tell, without the fields above; nil: nothing. Runs that
	// end in the same way, one after the other, have one.
	more *Verdict
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
	run := pastRun{start: v.Start.UnixNano(), duration: v.Duration, waited: v.Waited, samples: v.Samples}
	more := *v
	more.Start, more.Duration, more.Waited, more.Samples, more.Lines = time.Time{}, 0, 0, 0, nil
	switch {
	case more.like(&Verdict{Result: record.OK}):
	case len(h.runs) > 0 && h.runs[0].more != nil && more.like(h.runs[0].more):
		run.more = h.runs[0].more
	default:
		run.more = &more
	}
	runs := append(make([]pastRun, 0, min(len(h.runs)+1, historyMax)), run)
	return History{append(runs, h.runs[:cap(runs)-1]...)}
}

// like reports whether two runs tell the same, but for times, samples and lines.
func (v *Verdict) like(w *Verdict) bool {
	return v.Result == w.Result && v.text() == w.text() && v.ExitCode == w.ExitCode && v.Limit == w.Limit && v.Retries == w.Retries &&
		v.Refused == w.Refused && maps.Equal(v.Reasons, w.Reasons) && v.Events == w.Events && v.Stderr == w.Stderr &&
		(v.Answer == w.Answer || v.Answer != nil && w.Answer != nil && *v.Answer == *w.Answer)
}

// Len is how many runs there are.
func (h History) Len() int { return len(h.runs) }

// Newest gives the last runs, n at most.
func (h History) Newest(n int) History { return History{h.runs[:min(n, len(h.runs))]} }

// All gives the runs, the newest first, each with its place.
func (h History) All() iter.Seq2[int, Verdict] {
	return func(yield func(int, Verdict) bool) {
		for i, run := range h.runs {
			v := Verdict{Result: record.OK}
			if run.more != nil {
				v = *run.more
			}
			v.Start, v.Duration, v.Waited, v.Samples = time.Unix(0, run.start), run.duration, run.waited, run.samples
			if !yield(i, v) {
				return
			}
		}
	}
}
