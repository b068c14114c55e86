package takeover

import (
	"maps"
	"path"
	"regexp"
	"strings"
	"time"

	"scriptbridge/config"
	"scriptbridge/internal/crontab"
)

// findCron takes over the jobs that write files for node_exporter's textfile
// collector.
func findCron(f *finding) {
	for _, file := range f.knownFiles("/etc/crontab", "/etc/cron.d/*") {
		if base := path.Base(file); strings.Contains(base, ".") && path.Dir(file) == "/etc/cron.d" {
			continue // cron reads none of these
		}
		f.crontab(file, "")
	}
	for _, pattern := range []string{"/var/spool/cron/crontabs/*", "/var/spool/cron/tabs/*", "/var/spool/cron/*"} {
		for _, file := range f.Host.Glob(pattern) {
			if is, _ := f.Host.IsFile(file); is {
				f.crontab(file, path.Base(file))
			}
		}
	}
	for _, folder := range []string{"/etc/cron.hourly", "/etc/cron.daily", "/etc/cron.weekly"} {
		for _, file := range f.Host.Files(folder, "*") {
			if text, err := f.Host.Read(file); err == nil && promName.MatchString(text) {
				f.skip(config.Position{File: file}, "a script that writes a .prom file itself; have it print instead, and configure it with dialect: prometheus, or have the folder of the file read by dialect: textfile")
			}
		}
	}
}

var cronVariable = regexp.MustCompile(`^\s*([A-Za-z_][A-Za-z0-9_]*)\s*=\s*(.*)$`)

// crontab reads one table: of a user, or of the system, whose lines name users.
func (f *finding) crontab(file, user string) {
	text, ok := f.read(file)
	if !ok {
		return
	}
	taken := len(f.entries) + len(f.skipped)
	env := make(map[string]string)
	for i, line := range strings.Split(text, "\n") {
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' {
			continue
		}
		if m := cronVariable.FindStringSubmatch(line); m != nil {
			if m[1] != "MAILTO" && m[1] != "MAILFROM" {
				env[m[1]] = strings.Trim(m[2], `"'`)
			}
			continue
		}
		if strings.Contains(line, ".prom") {
			f.cronLine(config.Position{File: file, Line: i + 1}, line, user, env)
		}
	}
	if taken == len(f.entries)+len(f.skipped) {
		f.files = f.files[:len(f.files)-1] // it has none
	}
}

// cronFields cuts a line into its schedule, its user and its command.
func cronFields(line, user string) (schedule []string, account, command string) {
	n := 5
	if line[0] == '@' {
		n = 1
	}
	account = user
	if user == "" {
		n++
	}
	rest := line
	for range n {
		rest = strings.TrimLeft(rest, " \t")
		at := strings.IndexAny(rest, " \t")
		if at < 0 {
			return nil, "", ""
		}
		schedule, rest = append(schedule, rest[:at]), rest[at:]
	}
	if user == "" {
		account, schedule = schedule[n-1], schedule[:n-1]
	}
	return schedule, strings.TrimPrefix(account, "-"), strings.TrimSpace(rest)
}

func (f *finding) cronLine(at config.Position, line, user string, env map[string]string) {
	schedule, account, command := cronFields(line, user)
	if command == "" {
		f.skip(at, "the line has too few fields")
		return
	}
	shell := path.Base(env["SHELL"])
	if !isShell(shell) {
		shell = ""
	}
	if unescapedPercent(command) {
		f.skip(at, "what follows %% is its standard input, which a script here does not get")
		return
	}
	job := jobOf(strings.ReplaceAll(command, `\%`, "%"), shell, f.Host.Home(account))
	if job.why != "" {
		f.skip(at, "%s: %s", job.name, job.why)
		return
	}
	text := strings.Join(schedule, " ")
	interval, odd := intervalOf(schedule)
	if odd && !strings.HasPrefix(text, "@reboot") {
		if zone := env["CRON_TZ"]; zone != "" {
			text = "CRON_TZ=" + zone + " " + text
		}
		interval = 0
	}
	e := f.textfileJob(at, job, interval, text, env)
	f.runAs(e, account).note("Remove the line and the file.")
}

// textfileJob takes over a job that wrote a file for the collector. Where there is no
// interval, the schedule may be one of cron's.
func (f *finding) textfileJob(at config.Position, job job, interval time.Duration, schedule string, env map[string]string) *entry {
	e := f.shellScript(at, job.name, "prometheus", job.code, job.shell)
	every := interval
	cron, err := crontab.Parse(schedule)
	switch {
	case interval > 0:
		e.setDuration("interval", max(interval, time.Second))
	case err == nil:
		every = cron.Shortest(time.Now())
		e.setText("cron", schedule)
		e.note("It runs at these times, and not when the bridge starts.")
	default:
		e.refuse("the schedule %s is no interval, and none of cron's: set interval to how often it is to run", schedule)
		e.setDuration("interval", time.Hour)
	}
	// It had no limit; a run that takes longer than this is hardly meant to.
	e.setDuration("timeout", min(max(every, time.Minute), 10*time.Minute))
	e.setText("working_directory", job.dir)
	vars := maps.Clone(env)
	delete(vars, "SHELL")
	delete(vars, "CRON_TZ")
	f.environment(e, vars)
	return e.note("It wrote %s, which node_exporter shows as long as the file is there.", job.file)
}

// unescapedPercent reports whether there is a % that ends the command.
func unescapedPercent(command string) bool {
	return strings.Contains(strings.ReplaceAll(command, `\%`, ""), "%")
}
