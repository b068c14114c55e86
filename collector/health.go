package collector

import (
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
	return &builtinFamily{name, metric{id: metricID{kind: kind}, unit: unit, help: help}}
}

// The families of one source's health. Their names follow scriptbridge_script_ or scriptbridge_receiver_.
var (
	healthSuccess  = builtin("success", gauge, "", "Whether the last run succeeded: 1 for yes, 0 for no.")
	healthReadable = builtin("success", gauge, "", "Whether the last batch could be read, in part at least: 1 for yes, 0 for no.")
	healthDuration = builtin("duration_seconds", gauge, "seconds", "How long the last run took.")
	healthExit     = builtin("exit_code", gauge, "", "Exit code of the last run; -1 when it did not exit by itself.")
	healthLastRun  = builtin("last_run_timestamp_seconds", gauge, "seconds", "When the last run ended, in Unix time.")
	healthLastGood = builtin("last_success_timestamp_seconds", gauge, "seconds", "When the last successful run ended, in Unix time.")
	healthLast     = builtin("last_batch_timestamp_seconds", gauge, "seconds", "When something was last received, in Unix time.")
	healthEnabled  = builtin("enabled", gauge, "", "Whether the script runs: 1 for yes, 0 where its configuration or the script itself says that it does not.")
	healthInterval = builtin("interval_seconds", gauge, "seconds", "The interval in force; of a script with cron the time from its last turn to the next one.")
	healthTimeout  = builtin("timeout_seconds", gauge, "seconds", "The timeout in force.")
	healthSeries   = builtin("series", gauge, "", "Number of series on the page now, as max_series counts them.")
	healthRuns     = builtin("runs", counter, "", "Runs, by verdict.")
	healthOverruns = builtin("overruns", counter, "", "Runs that were due while the last one still ran, and were left out.")
	healthRetries  = builtin("retries", counter, "", "Tries after the first, of runs that failed.")
	healthWait     = builtin("wait_seconds", counter, "seconds", "Time that runs waited for a free place among global.max_concurrent.")
	healthRefused  = builtin("refused", counter, "", "Samples and lines that are not shown, by reason.")
	healthCPU      = builtin("cpu_seconds", counter, "seconds", "CPU time of finished processes, as the kernel accounts for it.")
	healthRSS      = builtin("max_rss_bytes", gauge, "bytes", "Largest memory of a process of the last run, as the kernel accounts for it.")
	healthOutput   = builtin("output_bytes", counter, "bytes", "Bytes written by finished processes.")

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
	by           map[record.Result]int
	overruns     int
	retries      int
	wait         time.Duration
	user, system time.Duration
	out, err     int64
}

// announce shows what there is to say of a source before it has spoken.
func (c *Collector) announce(s *source) {
	c.showSeries(s)
	if s.def.Kind == record.Script {
		s.runs.by = make(map[record.Result]int)
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

	s.runs.by[r.Result]++
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
		if b := s.blocks[name]; b != nil {
			c.keep(b, func(se *series) bool { return wanted[se] })
		}
	}
}

// showRuns shows the sums over all runs, each there from 0.
func (c *Collector) showRuns(s *source) {
	for _, result := range record.Results() {
		c.health(s, healthRuns, float64(s.runs.by[result]), record.Label{Name: "result", Value: string(result)})
	}
	c.health(s, healthOverruns, float64(s.runs.overruns))
	c.health(s, healthRetries, float64(s.runs.retries))
	c.health(s, healthWait, s.runs.wait.Seconds())
	c.health(s, healthCPU, s.runs.user.Seconds(), record.Label{Name: "mode", Value: "user"})
	c.health(s, healthCPU, s.runs.system.Seconds(), record.Label{Name: "mode", Value: "system"})
	c.health(s, healthOutput, float64(s.runs.out), record.Label{Name: "stream", Value: "stdout"})
	c.health(s, healthOutput, float64(s.runs.err), record.Label{Name: "stream", Value: "stderr"})
}

func (c *Collector) showSeries(s *source) {
	c.health(s, healthSeries, float64(s.lines))
}

func (c *Collector) showRefused(s *source) {
	for reason, n := range s.refusedBy {
		c.health(s, healthRefused, float64(n), record.Label{Name: "reason", Value: texts.Cut(reason, maxValue)})
	}
}

// health sets one series of a source's health.
func (c *Collector) health(s *source, f *builtinFamily, value float64, labels ...record.Label) {
	kind := string(s.def.Kind)
	labels = append([]record.Label{{Name: kind, Value: s.def.Name}}, labels...)
	c.show(s, builtinPrefix+kind+"_"+f.name, f, value, labels)
}

// show sets a built-in series; the labels are in the order of the page. No
// source can have its name: where one came first, which only the name of an
// event's family lets it, it makes room.
func (c *Collector) show(s *source, name string, f *builtinFamily, value float64, labels []record.Label) *series {
	c.text = appendLabels(c.text[:0], name+f.metric.id.kind.suffix(), labels)
	se := s.builtin.get(c.text)
	if se == nil {
		b := s.blocks[name]
		if b == nil || !b.family.builtin {
			for _, n := range claims(name, f.metric.id.kind) {
				if o := c.names[n]; o != nil && !o.builtin {
					c.evict(o, s, func(loser *source) *refusal { return loser.reservedEvents(n) })
				}
			}
			b = c.addBlock(s, name, &f.metric, true)
		}
		text := string(c.text)
		se = c.add(b, text, text)
		s.builtin.Add(se)
	}
	if se.value != value {
		se.value = value
		c.layout.touch(se.block)
	}
	return se
}

// describeMetrics shows one series for each metric that a source declared as
// CoScale does.
func (c *Collector) describeMetrics(s *source) {
	wanted := make(map[*series]bool)
	for _, meta := range s.declared.Metrics {
		if meta.Datatype == "" {
			continue
		}
		m := s.metric(meta.Name, meta, false)
		if m.refused != nil {
			continue
		}
		labels := []record.Label{
			{Name: string(s.def.Kind), Value: s.def.Name},
			{Name: "metric", Value: m.sample},
			{Name: "name", Value: meta.Name},
			{Name: "unit", Value: meta.Unit},
			{Name: "groups", Value: meta.Groups},
			{Name: "tags", Value: meta.Tags},
			{Name: "datatype", Value: meta.Datatype},
			{Name: "calctype", Value: meta.Calctype},
		}
		for i := range labels {
			labels[i].Value = texts.Cut(labels[i].Value, maxValue)
		}
		wanted[c.show(s, metricInfo.name, metricInfo, 1, labels)] = true
	}
	if b := s.blocks[metricInfo.name]; b != nil {
		c.keep(b, func(se *series) bool { return wanted[se] })
	}
}

// unixSeconds is a time to the millisecond, as Prometheus keeps times.
func unixSeconds(t time.Time) float64 { return float64(t.UnixMilli()) / 1000 }

func truth(b bool) float64 {
	if b {
		return 1
	}
	return 0
}
