package takeover

import (
	"path"
	"regexp"
	"slices"
	"strings"
	"time"

	"scriptbridge/takeover/host"
)

// findCron takes over the jobs that write files for node_exporter's textfile
// collector.
func findCron(f *finding) {
	for _, file := range f.places("/etc/crontab", "/etc/cron.d/*") {
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
}

var cronVariable = regexp.MustCompile(`^\s*([A-Za-z_][A-Za-z0-9_]*)\s*=\s*(.*)$`)

// crontab reads one table: of a user, or of the system, whose lines name users.
func (f *finding) crontab(file, user string) {
	text, ok := f.read(file)
	if !ok {
		return
	}
	taken, number := len(f.entries)+len(f.left), 0
	env := make(map[string]string)
	for line := range strings.SplitSeq(text, "\n") {
		number++
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' {
			continue
		}
		if m := cronVariable.FindStringSubmatch(line); m != nil {
			if m[1] != "MAILTO" && m[1] != "MAILFROM" && m[1] != "SHELL" && m[1] != "CRON_TZ" {
				env[m[1]] = strings.Trim(m[2], `"'`)
			}
			continue
		}
		if strings.Contains(line, ".prom") {
			f.cronLine(place{file, number}, line, user, env)
		}
	}
	if taken == len(f.entries)+len(f.left) {
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

func (f *finding) cronLine(at place, line, user string, env map[string]string) {
	schedule, account, command := cronFields(line, user)
	if command == "" {
		f.leave(at, "the line has too few fields")
		return
	}
	job := jobOf(command)
	if job.why != "" {
		f.leave(at, "%s: %s", job.name, job.why)
		return
	}
	e := f.shellScript(at, job.name, "prometheus", job.code, job.shell)
	interval, odd := intervalOf(schedule)
	if interval == 0 {
		e.refuse("the schedule %s is no interval: set interval to how often it is to run", strings.Join(schedule, " "))
		e.setDuration("interval", time.Hour)
	} else {
		e.setDuration("interval", interval)
	}
	if odd {
		e.note("Its schedule was %s.", strings.Join(schedule, " "))
	}
	// cron has no limit; a run that takes longer than this is hardly meant to.
	e.setDuration("timeout", min(max(interval, time.Minute), 10*time.Minute))
	if job.dir != "" {
		e.setText("working_directory", job.dir)
	}
	f.environment(e, env)
	e.note("It wrote %s, which node_exporter shows as long as the file is there: remove the line and the file.", job.file)
	f.runAs(e, account)
}

// job is what a line of cron does: code, whose output is put into a file.
type job struct {
	code, file, dir, name string
	shell                 string // that reads the code; "" for sh
	why                   string // it cannot be taken over
}

var (
	promFile = `("[^"]*\.prom[^"]*"|'[^']*\.prom[^']*'|[^\s;&|<>"']*\.prom[^\s;&|<>"']*)`
	// toFile is a redirection of standard output.
	toFile   = regexp.MustCompile(`(?:^|[^0-9&>])1?>{1,2}\|?\s*` + promFile)
	intoFile = regexp.MustCompile(`^(?:[\w/]*/)?(?:sponge|tee)\s+(?:-a\s+)?` + promFile + `\s*(?:>\s*/dev/null)?$`)
	// ofErrors is a redirection of standard error, which is in the log here.
	ofErrors  = regexp.MustCompile(`\s*2>{1,2}\s*(?:&1|[^\s;&|<>"'()]+)`)
	promName  = regexp.MustCompile(`([^/\s"']+)\.prom`)
	cleansUp  = regexp.MustCompile(`^(?:/[\w/]*/)?(?:mv|chmod|chown|rm|true|:|sync|touch)\b`)
	ofSubject = regexp.MustCompile(promFile)
)

// jobOf reads a command of a crontab.
func jobOf(command string) (j job) {
	if m := promName.FindStringSubmatch(command); m != nil {
		j.name = strings.TrimPrefix(m[1], ".")
	}
	if at := unescapedPercent(command); at >= 0 {
		j.why = "what follows % is its standard input, which a script here does not get"
		return j
	}
	return j.of(strings.ReplaceAll(command, `\%`, "%"))
}

// of reads the code of a job.
func (j job) of(command string) job {
	if words, plain := host.Words(command); plain && len(words) == 3 && words[1] == "-c" && slices.Contains([]string{"sh", "bash", "dash"}, path.Base(words[0])) {
		if path.Base(words[0]) == "bash" {
			j.shell = "bash"
		}
		return j.of(words[2])
	}
	parts := host.Parts(command)
	at := slices.IndexFunc(parts, func(p host.Part) bool { return redirection(p.Text) != nil || intoFile.MatchString(p.Text) })
	if at < 0 {
		j.why = "the program writes the file itself; have it print instead"
		return j
	}
	first := at
	for first > 0 && parts[first-1].Operator == "|" {
		first--
	}
	if m := intoFile.FindStringSubmatch(parts[at].Text); m != nil {
		if first == at {
			j.why = "nothing is written into the file"
			return j
		}
		j.file, j.code = m[1], joinParts(parts[first:at])
	} else {
		text := parts[at].Text
		m := redirection(text)
		from := m[0] + strings.IndexByte(text[m[0]:m[1]], '>')
		if from > 0 && text[from-1] == '1' {
			from--
		}
		j.file = text[m[2]:m[3]]
		rest := strings.TrimSpace(text[:from] + " " + text[m[1]:])
		j.code = joinParts(append(slices.Clone(parts[first:at]), host.Part{Text: rest}))
	}
	j.around(parts[:first], parts[at+1:])
	return j
}

// redirection finds where standard output goes into a file.
func redirection(text string) []int {
	m := toFile.FindStringSubmatchIndex(text)
	if m == nil || host.Quoted(text, m[0]+strings.IndexByte(text[m[0]:m[1]], '>')) {
		return nil
	}
	return m
}

// around takes account of the commands before and behind the one that prints.
func (j *job) around(before, after []host.Part) {
	j.file = strings.Trim(j.file, `"'`)
	if name, _, found := strings.Cut(j.file, ".prom"); found {
		j.file = name + ".prom"
	}
	for len(before) > 0 {
		dir, isCd := strings.CutPrefix(before[0].Text, "cd ")
		dir = strings.Trim(strings.TrimSpace(dir), `"'`)
		if !isCd || !path.IsAbs(dir) || strings.ContainsAny(dir, "$*`") {
			break
		}
		j.dir, before = dir, before[1:]
	}
	if len(before) > 0 {
		j.code = joinParts(before) + " " + j.code
	}
	for _, p := range after {
		if !cleansUp.MatchString(p.Text) {
			j.why = "what follows is more than putting the file in its place: " + host.OneLine(p.Text)
			return
		}
		if m := ofSubject.FindAllString(p.Text, -1); strings.Contains(p.Text, "mv") && len(m) > 0 {
			last := strings.Trim(m[len(m)-1], `"'`)
			j.file = last
		}
	}
	j.code = strings.TrimSpace(ofErrors.ReplaceAllString(j.code, ""))
	j.absolute()
	if j.code == "" {
		j.why = "nothing is written into the file"
	}
}

// absolute makes the program's path one that leads from everywhere.
func (j *job) absolute() {
	program, rest, _ := strings.Cut(j.code, " ")
	if j.dir != "" && strings.Contains(program, "/") && !path.IsAbs(program) && !strings.ContainsAny(program, "$'\"`=") {
		j.code = strings.TrimSpace(path.Join(j.dir, program) + " " + rest)
	}
}

// joinParts puts parts together again.
func joinParts(parts []host.Part) string {
	var b strings.Builder
	for i, p := range parts {
		if i > 0 {
			b.WriteByte(' ')
		}
		b.WriteString(p.Text)
		if p.Operator != "" && (i+1 < len(parts) || p.Operator != "|") {
			if p.Operator != ";" {
				b.WriteByte(' ')
			}
			b.WriteString(p.Operator)
		}
	}
	return b.String()
}

// unescapedPercent finds a % that ends the command.
func unescapedPercent(command string) int {
	for i := range len(command) {
		if command[i] == '%' && (i == 0 || command[i-1] != '\\') {
			return i
		}
	}
	return -1
}
