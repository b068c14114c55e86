package scalyr

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/go-kit/log/level"

	"scriptbridge/record"
	"scriptbridge/script/dialect"
	"scriptbridge/script/process"
)

// The protocol between the bridge and the host, the Python program that runs
// one monitor, is described in python/PROTOCOL.md.
const (
	protocolVersion = 1
	hostProgram     = "scriptbridge_host.py"

	// A monitor whose values are not renewed loses them after three
	// intervals, but not before this time.
	leastAge = time.Minute
	// A monitor is hung that has said nothing for three intervals and this
	// time, unless a timeout is configured.
	leastPatience = time.Minute
	// An Inspect may take this long.
	inspectTime = time.Minute
	// Texts of the metric log that may become events, a minute.
	maxEvents = 60
)

// runner keeps one monitor alive.
type runner struct {
	script  *dialect.Script
	options options
	config  map[string]any
}

// Close does nothing: no process outlives Keep.
func (r *runner) Close() {}

// Run has the monitor alive for one sample.
func (r *runner) Run(ctx context.Context, run dialect.Exec) *dialect.Result {
	ctx, end := context.WithCancel(ctx)
	defer end()
	var first *dialect.Result
	last := r.Keep(ctx, run, dialect.Session{
		Put: func(t *dialect.Result) {
			if first == nil {
				first = t
				end()
			}
		},
		Log: func(level.Value, string, ...any) {},
	})
	return cmp.Or(first, last)
}

// request makes the host's document.
func (r *runner) request(mode string) ([]byte, error) {
	o := &r.options
	q := request{
		Protocol: protocolVersion, Mode: mode, Module: o.Module, ID: o.ID,
		Config: make(map[string]any), Interval: r.interval().Seconds(),
		ModulePaths: o.ModulePaths, AgentPackage: o.AgentPackage,
	}
	for key, v := range r.config {
		q.Config[key] = v
	}
	if r.script.Interval > 0 { // the operator's word counts more than the monitor's
		q.Config["sample_interval"] = q.Interval
	}
	if o.AgentConfig != "" {
		env, err := settingsEnv(&r.script.Settings)
		if err != nil {
			return nil, err
		}
		agent, err := readAgent(o.AgentConfig, env)
		if err != nil {
			return nil, err
		}
		q.AgentConfig = agent.global
	}
	return json.Marshal(q)
}

var (
	errHung    = errors.New("hung")
	errInspect = fmt.Errorf("it did not get ready within %v", inspectTime)
)

// Keep is one life of the monitor.
func (r *runner) Keep(ctx context.Context, run dialect.Exec, life dialect.Session) *dialect.Result {
	stdin, err := r.request("run")
	if err != nil {
		return &dialect.Result{Err: err}
	}
	ctx, end := context.WithCancelCause(ctx)
	defer end(nil)
	l := &monitorSession{
		runner: r, session: life, mapper: newMapper(&r.options),
		interval: r.interval(), hung: func() { end(errHung) },
	}
	l.watch = time.AfterFunc(l.patience(), l.hung)
	o := run(ctx, dialect.Invocation{Program: hostProgram, Stdin: stdin, Message: l.message})
	l.stopWatch()
	return l.last(o, context.Cause(ctx))
}

// Inspect has the monitor loaded and initialised.
func (r *runner) Inspect(ctx context.Context, run dialect.Exec) error {
	stdin, err := r.request("check")
	if err != nil {
		return err
	}
	ctx, end := context.WithTimeoutCause(ctx, inspectTime, errInspect)
	defer end()
	l := &monitorSession{
		runner: r, mapper: newMapper(&r.options), interval: r.interval(),
		session: dialect.Session{Put: func(*dialect.Result) {}, Log: func(level.Value, string, ...any) {}},
	}
	o := run(ctx, dialect.Invocation{Program: hostProgram, Stdin: stdin, Message: l.message})
	if l.bye != nil && l.bye.Reason == "checked" && l.refused == nil {
		return nil
	}
	t := l.last(o, context.Cause(ctx))
	return cmp.Or(t.Err, o.Err)
}

// monitorSession is what is known of a monitor while it lives.
type monitorSession struct {
	runner  *runner
	session dialect.Session
	mapper  *mapper

	interval time.Duration
	watch    *time.Timer // nil: nobody waits for samples
	hung     func()

	spoke    bool             // the host has begun
	python   string           // its version
	declared *record.Declared // that no Result has carried yet
	refused  *message
	bye      *message
	lines    lineParser
	events   []record.Event // of the present batch
	recent   []time.Time    // when the latest events came
}

// timeout is how much longer than its interval a monitor may be silent.
func (l *monitorSession) timeout() time.Duration {
	return cmp.Or(l.runner.script.Timeout, 2*l.interval+leastPatience)
}

// patience is how long a monitor may be silent.
func (l *monitorSession) patience() time.Duration { return l.interval + l.timeout() }

// message takes one line of the host's.
func (l *monitorSession) message(line []byte) error {
	r := newJSONReader(string(line))
	defer r.free()
	m, err := readMessage(r)
	if err != nil {
		return fmt.Errorf("wrote on descriptor 3 what is not the protocol: %w", err)
	}
	l.spoke = true
	switch m.Type {
	case "hello":
		l.python = m.Python
		if m.Protocol != protocolVersion {
			return fmt.Errorf("speaks version %d of the protocol, not %d", m.Protocol, protocolVersion)
		}
	case "define":
		l.declared = l.mapper.declare(m.Metrics, m.Attributes)
	case "refused":
		l.refused = m
		l.traceback(m)
	case "ready":
		if m.Interval > 0 && m.Interval < math.MaxInt32 {
			l.interval = time.Duration(m.Interval * float64(time.Second))
		}
		if m.Samples != nil && !*m.Samples { // there may never be one to wait for
			l.stopWatch()
			l.put(m)
		}
		l.renew()
	case "batch":
		l.batch(m)
	case "log":
		l.log(m)
	case "bye":
		l.bye = m
	}
	return nil
}

func (l *monitorSession) stopWatch() {
	if l.watch != nil {
		l.watch.Stop()
		l.watch = nil
	}
}

// renew begins the wait for the next sign of life.
func (l *monitorSession) renew() {
	if l.watch != nil {
		l.watch.Reset(l.patience())
	}
}

// batch takes a batch, or a part of one.
func (l *monitorSession) batch(m *message) {
	l.renew()
	at := time.Now()
	if m.Time > 0 && m.Time < math.MaxInt32*100 {
		at = time.UnixMicro(int64(m.Time * 1e6))
	}
	l.mapper.expect(len(m.records) + len(m.lines))
	own := l.runner.options.ID
	for i := range m.records {
		e := &m.records[i]
		id, when := own, at
		if e.hasID {
			id = e.id
		}
		var given time.Time
		if e.millis > 0 {
			given = time.UnixMilli(e.millis)
			when = given
		}
		l.mapper.show(when, id, &e.record, "")
		l.record(&e.record, id, given)
	}
	for _, line := range m.lines {
		id := own
		if line.hasID {
			id = line.id
		}
		l.mapper.show(at, id, nil, line.text)
		records, ok := l.lines.parse(line.text)
		if !ok && strings.TrimSpace(line.text) != "" {
			l.event(line.text, id, at)
		}
		if !ok {
			continue
		}
		for i := range records {
			l.record(&records[i], id, time.Time{})
		}
	}
	if !m.More {
		l.put(m)
	}
}

// record has a record mapped, unless the batch is too large: what a batch may
// have is bounded by what the page may.
func (l *monitorSession) record(r *metricRecord, id string, at time.Time) {
	const least = 100_000
	if len(l.mapper.batch.samples.All) >= max(least, l.runner.script.MaxSeries) {
		l.mapper.refuse("too_many", "", "a sample has more than %d values", max(least, l.runner.script.MaxSeries))
		return
	}
	l.mapper.record(r, id, at)
}

// event makes an event of a text in the metric log, as many as one minute may
// have.
func (l *monitorSession) event(text, id string, at time.Time) {
	now := time.Now()
	for len(l.recent) > 0 && now.Sub(l.recent[0]) >= time.Minute {
		l.recent = l.recent[1:]
	}
	if len(l.recent) >= maxEvents {
		l.mapper.refuse("too_many_events", "", "more than %d texts a minute in the metric log", maxEvents)
		return
	}
	l.recent = append(l.recent, now)
	e := record.Event{
		Name: logEvent.Name, Message: strings.Clone(text), Start: at, Stop: at, Meta: logEvent, Line: l.mapper.batch.lines,
		Attributes: []record.Label{{Name: "monitor", Value: l.mapper.monitor}},
	}
	if id != "" {
		e.Attributes = append(e.Attributes, record.Label{Name: "monitor_id", Value: strings.Clone(id)})
	}
	l.events = append(l.events, e)
}

// logEvent is the kind of all events.
var logEvent = &record.EventMeta{
	ID: "metric_log", Name: "metric log", Description: "A text that the monitor wrote to its metric log.",
	Attributes: []string{"monitor", "monitor_id"},
}

// put makes a Result of what has come.
func (l *monitorSession) put(m *message) {
	took := time.Duration(0)
	if m.Duration > 0 && m.Duration < 1e6 {
		took = time.Duration(m.Duration * float64(time.Second))
	}
	t := l.result(dialect.Instant(time.Now(), took))
	b := l.mapper.take()
	t.Samples, t.Events, t.Output = b.samples.All, l.events, append([]byte{}, b.output...)
	t.Warnings = l.mapper.warnings
	l.events = nil
	if m.Error != "" {
		l.traceback(m)
		t.Failure = record.Error
		t.Err = fmt.Errorf("gather_sample raised %s", m.Error)
	}
	t.Err = errors.Join(append([]error{t.Err}, b.refused...)...)
	l.session.Put(t)
}

// result is a Result with what all of a life have.
func (l *monitorSession) result(o *process.Outcome) *dialect.Result {
	t := &dialect.Result{
		Outcomes: []*process.Outcome{o}, Declared: l.declared,
		Interval: l.interval, Timeout: l.timeout(), MaxAge: max(3*l.interval, leastAge),
	}
	l.declared = nil
	return t
}

// traceback logs what Python tells of an exception.
func (l *monitorSession) traceback(m *message) {
	if m.Detail != "" {
		l.session.Log(level.ErrorValue(), m.Detail, "stream", "traceback")
	}
}

// log hands a line of the monitor's own log on.
func (l *monitorSession) log(m *message) {
	at := level.InfoValue()
	switch m.Level {
	case "DEBUG":
		at = level.DebugValue()
	case "WARNING":
		at = level.WarnValue()
	case "ERROR", "CRITICAL":
		at = level.ErrorValue()
	}
	keyvals := []any{"stream", "log"}
	if m.Where != "" {
		keyvals = append(keyvals, "where", m.Where)
	}
	if m.Code != "" {
		keyvals = append(keyvals, "code", m.Code)
	}
	l.session.Log(at, m.Message, keyvals...)
}

// appendLine appends the record as it stands in the agent's metric log.
func (r *metricRecord) appendLine(b []byte) []byte {
	b = append(append(b, r.name...), ' ')
	b = r.value.appendLine(b)
	for _, f := range r.fields {
		b = append(append(append(b, ' '), f.name...), '=')
		b = f.value.appendLine(b)
	}
	return b
}

var _ dialect.Keeper = (*runner)(nil)
