package collector

import (
	"math"
	"slices"
	"strings"
	"time"

	"scriptbridge/internal/texts"
	"scriptbridge/record"
)

// builtinFamily is a family that the bridge makes itself.
type builtinFamily struct {
	name   string // a suffix of what stands in front
	metric metric // its kind, unit and help
}

func builtin(name string, kind kindOf, unit, help string) *builtinFamily {
	return &builtinFamily{name, metric{kind: kind, unitLen: uint16(len(unit)), meta: &record.Meta{Help: help}}}
}

// healthFamily is a family of the health of all sources of a kind. Its name
// follows scriptbridge_script_ or scriptbridge_receiver_.
type healthFamily struct {
	builtinFamily
	// label tells its series of one source apart, by values in the order of the
	// page, as they are there with the quote behind; empty where there is but one.
	label  string
	values []string
	at     int // in a source's health: that of its first series
	number int // among healthFamilies
}

func health(name string, kind kindOf, unit, help string) *healthFamily {
	return &healthFamily{builtinFamily: *builtin(name, kind, unit, help), values: []string{""}}
}

// by gives a family a series for each value of a label.
func (f *healthFamily) by(label string, values ...string) *healthFamily {
	f.label, f.values = label, nil
	for _, v := range values {
		f.values = append(f.values, v+`"`)
	}
	return f
}

// The families of one source's health.
var (
	healthSuccess  = health("success", gauge, "", "Whether the last run succeeded: 1 for yes, 0 for no.")
	healthReadable = health("success", gauge, "", "Whether the last batch could be read, in part at least: 1 for yes, 0 for no.")
	healthDuration = health("duration_seconds", gauge, "seconds", "How long the last run took.")
	healthExit     = health("exit_code", gauge, "", "Exit code of the last run; -1 when it did not exit by itself.")
	healthLastRun  = health("last_run_timestamp_seconds", gauge, "seconds", "When the last run ended, in Unix time.")
	healthLastGood = health("last_success_timestamp_seconds", gauge, "seconds", "When the last successful run ended, in Unix time.")
	healthLast     = health("last_batch_timestamp_seconds", gauge, "seconds", "When something was last received, in Unix time.")
	healthEnabled  = health("enabled", gauge, "", "Whether the script runs: 1 for yes, 0 where its configuration or the script itself says that it does not.")
	healthInterval = health("interval_seconds", gauge, "seconds", "The interval in force; of a script with cron the time from its last turn to the next one.")
	healthTimeout  = health("timeout_seconds", gauge, "seconds", "The timeout in force.")
	healthSeries   = health("series", gauge, "", "Number of series on the page now, as max_series counts them.")
	healthRuns     = health("runs", counter, "", "Runs, by verdict.").by("result", sortedResults()...)
	healthOverruns = health("overruns", counter, "", "Runs that were due while the last one still ran, and were left out.")
	healthRetries  = health("retries", counter, "", "Tries after the first, of runs that failed.")
	healthWait     = health("wait_seconds", counter, "seconds", "Time that runs waited for a free place among global.max_concurrent.")
	healthCPU      = health("cpu_seconds", counter, "seconds", "CPU time of finished processes, as the kernel accounts for it.").by("mode", "system", "user")
	healthRSS      = health("max_rss_bytes", gauge, "bytes", "Largest memory of a process of the last run, as the kernel accounts for it.")
	healthOutput   = health("output_bytes", counter, "bytes", "Bytes written by finished processes.").by("stream", "stderr", "stdout")
	// healthRefused has as many series as there are reasons: see source.refusedBy.
	healthRefused = health("refused", counter, "", "Samples and lines that are not shown, by reason.").by("reason")

	healthFamilies, healthSize = number(healthSuccess, healthReadable, healthDuration, healthExit, healthLastRun, healthLastGood, healthLast,
		healthEnabled, healthInterval, healthTimeout, healthSeries, healthRuns, healthOverruns, healthRetries, healthWait,
		healthCPU, healthRSS, healthOutput, healthRefused)
)

// number gives families their places in a source's health, and its size.
func number(families ...*healthFamily) ([]*healthFamily, int) {
	size := 0
	for i, f := range families {
		f.number, f.at = i, size
		size += len(f.values)
	}
	return families, size
}

// sortedResults are all verdicts in the order of the page.
func sortedResults() []string {
	var all []string
	for _, r := range record.Results() {
		all = append(all, string(r))
	}
	slices.Sort(all)
	return all
}

// The families of the files that scripts' values are of, and of declared metrics.
var (
	fileModTime = builtin("scriptbridge_textfile_mtime_seconds", gauge, "seconds", "When a file that was read, or would have been, was last written, in Unix time.")
	fileSuccess = builtin("scriptbridge_textfile_success", gauge, "", "Whether the file was read: 1 for yes, 0 where it was left out as a whole.")

	metricInfo = builtin("scriptbridge_metric", info, "", "What a source declared of a metric; metric is its name on the page.")
)

// isHealth reports whether f is a health family; those do not expire.
func isHealth(f *family) bool {
	return strings.HasPrefix(f.name, builtinPrefix) && f.name != metricInfo.name
}

// runs is what is summed up over a script's runs.
type runs struct {
	by           []int // in the order of healthRuns
	overruns     int
	retries      int
	wait         time.Duration
	user, system time.Duration
	out, err     int64
}

// announce shows what there is to say of a source before it has spoken.
func (c *Collector) announce(s *source) {
	c.enroll(s)
	c.showSeries(s)
	if s.def.Kind == record.Script {
		s.runs.by = make([]int, len(healthRuns.values))
		c.showRuns(s)
	}
}

// putHealth says how the batch came about.
func (c *Collector) putHealth(s *source, b *record.Batch) {
	if s.def.Kind != record.Script {
		bad := b.Err != nil && len(b.Samples) == 0 && len(b.Events) == 0
		c.health(s, healthReadable, truth(!bad))
		if bad || len(b.Samples)+len(b.Events) > 0 { // or else it only declares something, at the start
			c.health(s, healthLast, unixSeconds(b.Time))
		}
		return
	}
	c.health(s, healthEnabled, truth(!b.Disabled))
	r := b.Run
	if r == nil {
		return
	}
	c.health(s, healthSuccess, truth(r.Result == record.OK))
	c.health(s, healthDuration, r.Duration.Seconds())
	c.health(s, healthExit, float64(r.ExitCode))
	c.health(s, healthLastRun, unixSeconds(b.Time))
	if r.Result == record.OK {
		c.health(s, healthLastGood, unixSeconds(b.Time))
	}
	c.health(s, healthInterval, r.Interval.Seconds())
	c.health(s, healthTimeout, r.Timeout.Seconds())
	if r.MaxRSS > 0 { // unknown is not none
		c.health(s, healthRSS, float64(r.MaxRSS))
	}

	if i := slices.Index(healthRuns.values, string(r.Result)+`"`); i >= 0 {
		s.runs.by[i]++
	}
	s.runs.overruns += r.Overruns
	s.runs.retries += r.Retries
	s.runs.wait += r.Wait
	s.runs.user += r.User
	s.runs.system += r.System
	s.runs.out += r.Stdout
	s.runs.err += r.Stderr
	c.showRuns(s)
	if b.Complete {
		c.showFiles(s, b.Files)
	}
}

// showFiles shows what files a script's values are of, and forgets others.
func (c *Collector) showFiles(s *source, files record.Files) {
	wanted := make(map[*series]bool)
	for _, f := range files {
		labels := []record.Label{{Name: string(s.def.Kind), Value: s.def.Name}, {Name: "file", Value: texts.Cut(strings.ToValidUTF8(f.Path, "\uFFFD"), maxValue)}}
		wanted[c.show(s, fileModTime.name, fileModTime, unixSeconds(f.ModTime), labels)] = true
		wanted[c.show(s, fileSuccess.name, fileSuccess, truth(f.Used), labels)] = true
	}
	for _, name := range []string{fileModTime.name, fileSuccess.name} {
		if b := s.blocks.get(name); b != nil {
			c.keep(b, func(se *series) bool { return wanted[se] })
		}
	}
}

// showRuns shows the sums over all runs, each there from 0.
func (c *Collector) showRuns(s *source) {
	for i, n := range s.runs.by {
		c.set(s, healthRuns, i, float64(n))
	}
	c.health(s, healthOverruns, float64(s.runs.overruns))
	c.health(s, healthRetries, float64(s.runs.retries))
	c.health(s, healthWait, s.runs.wait.Seconds())
	c.health(s, healthCPU, s.runs.system.Seconds(), s.runs.user.Seconds())
	c.health(s, healthOutput, float64(s.runs.err), float64(s.runs.out))
}

func (c *Collector) showSeries(s *source) {
	c.health(s, healthSeries, float64(s.lines))
}

// showRefused shows what countRefused counted.
func (c *Collector) showRefused(s *source) {
	if s.refusedMore {
		s.refusedMore = false
		c.touchHealth(s, healthRefused)
	}
}

// health sets the series of one family of a source's health.
func (c *Collector) health(s *source, f *healthFamily, values ...float64) {
	for i, value := range values {
		c.set(s, f, i, value)
	}
}

// set sets one of them.
func (c *Collector) set(s *source, f *healthFamily, i int, value float64) {
	if s.health[f.at+i] != value {
		s.health[f.at+i] = value
		c.touchHealth(s, f)
	}
}

// newHealth is a source's health before anything is known: NaN is what is not
// there yet.
func newHealth() []float64 {
	row := make([]float64, healthSize)
	for i := range row {
		row[i] = math.NaN()
	}
	return row
}

// has reports whether a source shows something of a family.
func (s *source) has(f *healthFamily) bool {
	if f == healthRefused {
		return len(s.refusedBy) > 0
	}
	return slices.ContainsFunc(s.health[f.at:f.at+len(f.values)], func(v float64) bool { return !math.IsNaN(v) })
}

// appendHealth appends the lines of a block of health.
func (b *block) appendHealth(dst []byte, full func([]byte) []byte) []byte {
	f := b.healthFamily()
	name := b.family.name + b.family.kind.suffix()
	for _, s := range b.health.sources {
		dst = s.appendHealth(dst, f, name)
		if len(dst) >= pieceSize && full != nil {
			dst = full(dst)
		}
	}
	return dst
}

// appendHealth appends the lines of a source in a family of health of that name.
func (s *source) appendHealth(dst []byte, f *healthFamily, name string) []byte {
	if f == healthRefused {
		for _, r := range s.refusedBy {
			dst = s.appendHealthLine(dst, name, f.label, r.shown, float64(r.n))
		}
		return dst
	}
	for i, value := range f.values {
		if v := s.health[f.at+i]; !math.IsNaN(v) {
			dst = s.appendHealthLine(dst, name, f.label, value, v)
		}
	}
	return dst
}

// appendHealthLine appends one line; value is that of the family's label as on the page, with
// the quote behind it, or empty where it has none.
func (s *source) appendHealthLine(dst []byte, name, label, value string, v float64) []byte {
	dst = append(append(dst, name...), s.whose...)
	if value != "" {
		if s.whose == "" {
			dst = append(dst, '{')
		} else {
			dst[len(dst)-1] = ','
		}
		dst = append(append(dst, label...), '=', '"')
		dst = append(append(dst, value...), '}')
	}
	return append(appendValue(append(dst, ' '), v), '\n')
}

// healthBytes is about the number of bytes of a block of health.
func (b *block) healthBytes() int {
	s := b.first()
	return len(b.health.sources) * max(len(b.healthFamily().values), 1) * (len(b.family.name) + len(s.def.Name) + 40)
}

// show sets a built-in series; the labels are in the order of the page. No
// source can have its name: where one came first, which only the name of an
// event's family lets it, it makes room.
func (c *Collector) show(s *source, name string, f *builtinFamily, value float64, labels []record.Label) *series {
	c.text = appendLabels(c.text[:0], name+f.metric.kind.suffix(), labels)
	se := s.builtin.get(c.text)
	if se == nil {
		b := s.blocks.get(name)
		if b == nil || !b.family.builtin {
			for _, n := range claims(name, f.metric.kind) {
				if o := c.named(n); o != nil && !o.builtin {
					c.evict(o, s, func(loser *source) *refusal { return loser.reservedEvents(n) })
				}
			}
			b = c.addBlock(s, name, &f.metric, true)
		}
		text := string(c.text)
		se = c.add(b, text, text)
		s.builtin.Add(se)
	}
	se.batch, se.block.batch = s.batch, s.batch
	if se.value != value {
		se.value = value
		c.layout.touch(se.block)
	}
	return se
}

// unixSeconds is a time to the millisecond, as Prometheus keeps times.
func unixSeconds(t time.Time) float64 { return float64(t.UnixMilli()) / 1000 }

func truth(b bool) float64 {
	if b {
		return 1
	}
	return 0
}
