package takeover

import (
	"cmp"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"scriptbridge/config"
	"scriptbridge/takeover/host"
)

// findTimers takes over the timers of systemd whose services write files for
// node_exporter's textfile collector, as those of Debian's
// prometheus-node-exporter-collectors do.
func findTimers(f *finding) {
	for _, name := range f.Host.Units(".timer") {
		timer := f.Host.Unit(name)
		if timer == nil {
			continue
		}
		u := f.Host.Unit(cmp.Or(timer.Get("Unit"), strings.TrimSuffix(name, ".timer")+".service"))
		if u == nil {
			continue
		}
		for _, start := range u.Starts() {
			if !promName.MatchString(start.Value) {
				continue
			}
			if !slices.Contains(f.files, u.File) {
				f.files = append(f.files, u.File)
			}
			if e := f.timer(start, u, timer); e != nil && !f.Host.IsEnabled(name) {
				e.refuse("its timer %s is not enabled", name)
			}
		}
	}
}

// timer takes over one command of a service that a timer starts.
func (f *finding) timer(start host.Setting, u, timer *host.Unit) *entry {
	at := config.Position{File: start.File, Line: start.Line}
	// A $ that is meant for the shell is written twice.
	job := jobOf(strings.ReplaceAll(start.Value, "$$", "$"), "", "")
	if job.why != "" {
		f.skip(at, "%s: %s", job.name, job.why)
		return nil
	}
	schedule := timer.Get("OnUnitActiveSec")
	interval := spanOf(schedule)
	for _, key := range []string{"OnUnitInactiveSec", "OnCalendar"} {
		if value := timer.Get(key); interval == 0 && value != "" {
			schedule = value
			if interval = cmp.Or(spanOf(value), calendarOf(value)); key == "OnCalendar" && (interval == 0 || interval >= day) {
				schedule, interval = cmp.Or(cronOf(value), value), 0
			}
		}
	}
	e := f.textfileJob(at, job, interval, schedule, f.Host.Variables(u))
	e.sources = append(f.Host.FilesOf(u), f.Host.FilesOf(timer)...)
	e.note("Disable %s, and remove the file.", timer.File)
	for _, s := range append(timer.Settings, u.Settings...) {
		if strings.HasPrefix(s.Key, "Condition") {
			e.note("%s=%s is not asked here (%s).", s.Key, s.Value, path.Base(s.File))
		}
	}
	return f.runAs(e, cmp.Or(u.User(), "root"))
}

// spanUnits are systemd's names of spans of time.
var spanUnits = map[string]time.Duration{
	"": time.Second, "s": time.Second, "sec": time.Second, "second": time.Second, "seconds": time.Second,
	"m": time.Minute, "min": time.Minute, "minute": time.Minute, "minutes": time.Minute,
	"h": time.Hour, "hr": time.Hour, "hour": time.Hour, "hours": time.Hour,
	"d": day, "day": day, "days": day, "w": 7 * day, "week": 7 * day, "weeks": 7 * day,
}

var spanForm = regexp.MustCompile(`^(\d{1,7})\s*([a-z]*)\s*`)

// spanOf reads a span of time such as "1h 30min"; 0 where it is none.
func spanOf(text string) (span time.Duration) {
	for text != "" {
		m := spanForm.FindStringSubmatch(text)
		if m == nil {
			return 0
		}
		n, _ := strconv.Atoi(m[1])
		unit, known := spanUnits[m[2]]
		if !known {
			return 0
		}
		span, text = span+time.Duration(n)*unit, text[len(m[0]):]
	}
	return span
}

// calendarForm is a time of each hour or day, or several evenly spread.
var calendarForm = regexp.MustCompile(`^(?:\*-\*-\* )?(\*|\d+|(?:\*|\d+)/\d+):(\d+|\d+/\d+|\*)(?::\d+)?$`)

// calendarWords are the calendars that have names, as schedules of cron.
var calendarWords = map[string]string{
	"daily": "0 0 * * *", "weekly": "0 0 * * 1", "monthly": "0 0 1 * *", "quarterly": "0 0 1 1,4,7,10 *", "yearly": "0 0 1 1 *", "annually": "0 0 1 1 *",
}

// dayForm is a calendar of times of the day, on some days of the week.
var dayForm = regexp.MustCompile(`^(?:([A-Za-z]{3}[A-Za-z,.]*) )?(?:\*-\*-\* )?([\d,]+):([\d,]+)(?::0+)?$`)

// cronOf gives a calendar as a schedule of cron; "" where it is none.
func cronOf(calendar string) string {
	if words := calendarWords[calendar]; words != "" {
		return words
	}
	m := dayForm.FindStringSubmatch(calendar)
	if m == nil {
		return ""
	}
	return strings.Join([]string{m[3], m[2], "*", "*", cmp.Or(strings.ReplaceAll(m[1], "..", "-"), "*")}, " ")
}

// calendarOf gives the interval of a calendar's events; 0 where it is not regular.
func calendarOf(text string) time.Duration {
	switch text {
	case "minutely":
		return time.Minute
	case "hourly", "daily", "weekly":
		return cronWords["@"+text]
	}
	m := calendarForm.FindStringSubmatch(text)
	if m == nil {
		return 0
	}
	interval, _ := intervalOf([]string{m[2], m[1], "*", "*", "*"})
	return interval
}
