package takeover

import (
	"cmp"
	"path"
	"regexp"
	"slices"
	"strings"

	"scriptbridge/takeover/host"
)

// job is what a line of cron does: code, whose output is put into a file.
type job struct {
	code, file, dir, name string
	shell                 string // that reads the code; "" for sh
	why                   string // it cannot be taken over
}

const (
	// aFile is a word that names a file.
	aFile = `("[^"]*"|'[^']*'|[^\s;&|<>"']+)`
)

var (
	// toFile is a redirection of standard output.
	toFile   = regexp.MustCompile(`(?:^|[^0-9&>])1?>{1,2}\|?\s*` + aFile)
	intoFile = regexp.MustCompile(`^(?:[\w/]*/)?(?:sponge|tee)\s+(?:-a\s+)?` + aFile + `\s*(?:>\s*/dev/null)?$`)
	moved    = regexp.MustCompile(`^(?:/[\w/]*/)?mv\s+(?:-\w+\s+)*` + aFile + `\s+` + aFile + `$`)
	// ofErrors is a redirection of standard error, which is in the log here.
	ofErrors = regexp.MustCompile(`\s*2>{1,2}\s*(?:&1|[^\s;&|<>"'()]+)`)
	promName = regexp.MustCompile(`([^/\s"'$]+)\.prom\b`)
	cleansUp = regexp.MustCompile(`^(?:/[\w/]*/)?(?:mv|chmod|chown|rm|true|:|sync|touch)\b`)
	// makesTemporary names a file that is not needed here.
	makesTemporary = regexp.MustCompile(`^\w+=(?:"?\$\(|` + "`" + `)\s*mktemp[^;&|]*$`)
)

// isShell reports whether a program reads code behind -c.
func isShell(name string) bool {
	return slices.Contains([]string{"sh", "bash", "dash", "ash", "ksh", "zsh"}, name)
}

// jobOf reads a command that a shell got, in the home folder of its account.
func jobOf(command, shell, home string) (j job) {
	j.shell = shell
	if m := promName.FindStringSubmatch(command); m != nil {
		j.name = strings.TrimPrefix(m[1], ".")
	}
	if words, plain := host.Words(command); plain && len(words) == 3 && words[1] == "-c" && isShell(path.Base(words[0])) {
		return jobOf(words[2], path.Base(words[0]), home)
	}
	parts := host.Parts(command)
	targets := targetsOf(parts)
	at, into := -1, []int(nil)
	for i, p := range parts {
		if into = redirection(p.Text, targets); into != nil {
			at = i
			break
		}
	}
	if at < 0 {
		j.why = "the program writes the file itself; have it print instead, or have the folder of the file read by dialect: textfile"
		return j
	}
	first := at
	for first > 0 && parts[first-1].Operator == "|" {
		first--
	}
	text := parts[at].Text
	j.file = unquote(text[into[2]:into[3]])
	before := slices.Clone(parts[first:at])
	if intoFile.MatchString(text) { // behind a |
		j.code = joinParts(before)
	} else {
		from := into[0] + strings.IndexByte(text[into[0]:into[1]], '>')
		from -= len(text[:from]) - len(strings.TrimSuffix(text[:from], "1"))
		j.code = joinParts(append(before, host.Part{Text: strings.TrimSpace(text[:from] + " " + text[into[1]:])}))
	}
	j.around(parts[:first], parts[at+1:])
	j.finish(home)
	return j
}

// targetsOf are the files that are moved to where the collector reads them.
func targetsOf(parts []host.Part) (files []string) {
	for _, p := range parts {
		if m := moved.FindStringSubmatch(p.Text); m != nil && strings.Contains(m[2], ".prom") {
			files = append(files, unquote(m[1]))
		}
	}
	return files
}

func unquote(word string) string { return strings.Trim(word, `"'`) }

// redirection finds where standard output goes into a file of the collector's, or
// into one that is moved there; nil for nowhere.
func redirection(text string, targets []string) []int {
	for _, form := range []*regexp.Regexp{intoFile, toFile} {
		for _, m := range form.FindAllStringSubmatchIndex(text, -1) {
			file := unquote(text[m[2]:m[3]])
			if !strings.Contains(file, ".prom") && !slices.Contains(targets, file) {
				continue
			}
			if form == intoFile || !host.Quoted(text, m[0]+strings.IndexByte(text[m[0]:m[1]], '>')) {
				return m
			}
		}
	}
	return nil
}

// around takes account of the commands before and behind the one that prints.
func (j *job) around(before, after []host.Part) {
	for len(before) > 0 {
		dir, isCd := strings.CutPrefix(before[0].Text, "cd ")
		dir = unquote(strings.TrimSpace(dir))
		switch {
		case isCd && path.IsAbs(dir) && !strings.ContainsAny(dir, "$*`"):
			j.dir = dir
		case makesTemporary.MatchString(before[0].Text):
		default:
			j.code = joinParts(before) + " " + j.code
			before = before[:1]
		}
		before = before[1:]
	}
	for _, p := range after {
		if !cleansUp.MatchString(p.Text) {
			j.why = "what follows is more than putting the file in its place: " + host.OneLine(p.Text)
			return
		}
		if m := moved.FindStringSubmatch(p.Text); m != nil && strings.Contains(m[2], ".prom") {
			j.file = unquote(m[2])
		}
	}
}

// finish makes code that runs from anywhere.
func (j *job) finish(home string) {
	if name, _, found := strings.Cut(j.file, ".prom"); found {
		j.file = name + ".prom"
		j.name = cmp.Or(strings.TrimPrefix(path.Base(name), "."), j.name)
	}
	j.code = strings.TrimSpace(ofErrors.ReplaceAllString(j.code, ""))
	if j.code == "" {
		j.why = cmp.Or(j.why, "nothing is written into the file")
		return
	}
	program, rest, _ := strings.Cut(j.code, " ")
	if !strings.Contains(program, "/") || path.IsAbs(program) || strings.ContainsAny(program, "$'\"`=(") {
		return
	}
	if j.dir = cmp.Or(j.dir, home); j.dir != "" {
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
