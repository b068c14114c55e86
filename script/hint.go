package script

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"scriptbridge/script/dialect"
	"scriptbridge/script/process"
)

// hintOutput is how much of a run's output is looked at for another dialect.
const hintOutput = 64 << 10

// hintPart is that much of it.
func hintPart(out []byte) []byte { return out[:min(len(out), hintOutput)] }

// Suspicions are what may keep the script from saying anything, as far as that
// is known without running it: what of its command only a shell would
// understand, what its file holds that a shell trips over, and another dialect
// that the file speaks.
func (s *Script) Suspicions() (texts []string) {
	starts := !dialect.ReadsFolders(s.dialect)
	if starts {
		texts = process.Warnings(s.Script.Script, s.program())
	}
	if d, ok := s.dialect.(dialect.Warner); ok {
		texts = append(texts, d.Warnings(s.Script.Script)...)
	}
	if !starts {
		return texts
	}
	for _, doubt := range []string{s.doubtUser(os.Geteuid()), s.doubtGroup(os.Geteuid(), os.Getegid()), s.doubtReach(os.Geteuid())} {
		if doubt != "" {
			texts = append(texts, doubt)
		}
	}
	if syntax := s.shellSyntax(); syntax != "" {
		texts = append(texts, syntax)
	}
	if g := s.otherDialect(nil, false); g.name != "" {
		texts = append(texts, s.perhaps(g))
	}
	return texts
}

// doubtUser says that the script runs as somebody else, which only root may
// make of it, and so does not see what root or that user would see; uid is who
// asks.
func (s *Script) doubtUser(uid int) string {
	if s.User == "" || uid <= 0 { // root, or Windows
		return ""
	}
	a, err := process.LookupAccount(s.User)
	if err != nil || a.UID == uint32(uid) {
		return ""
	}
	return fmt.Sprintf("user %s needs a bridge that runs as root, which this check does not, so that it cannot see whether the script can run", s.User)
}

// doubtGroup says the same of a group; gid is that of who asks.
func (s *Script) doubtGroup(uid, gid int) string {
	if s.Group == "" || uid <= 0 { // root, or Windows
		return ""
	}
	if group, err := process.LookupGroup(s.Group); err != nil || int(group) == gid {
		return ""
	}
	return fmt.Sprintf("group %s needs a bridge that runs as root, which this check does not", s.Group)
}

// doubtReach says that the user whom root makes the script run as cannot reach its
// file.
func (s *Script) doubtReach(uid int) string {
	if s.User == "" || uid != 0 || s.File == "" {
		return ""
	}
	a, err := process.LookupAccount(s.User)
	if err != nil {
		return ""
	}
	barred := a.Barred(s.File)
	if barred == "" {
		return ""
	}
	return fmt.Sprintf("user %s cannot run it, since %s is closed to that user (keep it in a file and folders that the user may read, or give it another user)", s.User, barred)
}

// hints are what may be the reason that a run went wrong, beyond what the run
// itself said. unheard says that the script has never been understood, so that
// its dialect may be another one. instead is what belongs behind failed, the
// error of a run that could not begin since something is missing.
func (s *Script) hints(t *dialect.Result, failed error, unheard bool) (texts []string, instead string) {
	if len(s.Command) == 0 { // it names no program yet
		return nil, ""
	}
	c, err := s.resolveCommand()
	switch {
	case err == nil:
		if err := process.CheckStart(s.Script.Script, s.program(), &c); err != nil {
			texts = append(texts, err.Error())
		}
	case failed != nil && strings.HasSuffix(failed.Error(), err.Error()):
		instead = strings.TrimPrefix(s.explainMissing(err).Error(), err.Error())
	}
	texts = append(texts, process.Warnings(s.Script.Script, s.program())...)
	if syntax := s.shellSyntax(); syntax != "" {
		texts = append(texts, syntax)
	}
	if unheard {
		if g := s.otherDialect(t.Outcomes, true); g.name != "" {
			texts = append(texts, s.perhaps(g))
		}
	}
	return texts, instead
}

// shellSyntax is what of the command only a shell would understand.
func (s *Script) shellSyntax() string { return s.ShellSyntax(s.dialect.Traits().Arguments) }

// perhaps names a dialect that may be meant.
func (s *Script) perhaps(g guessed) string {
	how := ""
	d, err := s.table.Find(g.name)
	switch modules := dialect.HasModules(s.dialect); {
	case err == nil && dialect.HasModules(d) && !modules:
		name := filepath.Base(s.File)
		how = fmt.Sprintf(" with options: {module: %s} instead of a command", strings.TrimSuffix(name, filepath.Ext(name)))
	case modules:
		how = " with a command instead of options"
	}
	return fmt.Sprintf("perhaps dialect: %s is meant%s, since %s", g.name, how, g.Why)
}

// otherDialect is a dialect that the script's file and what it printed speak
// for, where nothing speaks for its own. What was printed counts most; the
// name of the file counts only when it has run.
func (s *Script) otherDialect(ran []*process.Outcome, named bool) guessed {
	own := s.dialect.Name()
	var found []guessed
	weak := guessed{}
	for _, o := range ran {
		if o.ExitCode < 0 { // it may have been cut short, or never begun
			continue
		}
		switch g := s.guessPrinted(o); {
		case g.name == own:
			return guessed{}
		case g.Strength == dialect.Certain: // nothing else looks like it
			return g
		case g.Strength == dialect.Weak:
			weak = g
		default:
			found = append(found, g)
		}
	}
	told := guessText(s.table, process.Head(s.File))
	if slices.ContainsFunc(told, func(g guessed) bool { return g.name == own }) {
		return guessed{}
	}
	found = append(found, guessFolder(s.table, s.File))
	found = append(found, told...)
	if named {
		found = append(found, guessName(s.table, s.File), weak)
	}
	for _, g := range found {
		if _, err := s.table.Find(g.name); err == nil && g.name != own {
			return g
		}
	}
	return guessed{}
}

// guessPrinted looks at what the script printed.
func (s *Script) guessPrinted(o *process.Outcome) guessed {
	some := *o
	some.Stdout = hintPart(o.Stdout)
	g := guessOutput(s.table, &some)
	if d, ok := s.dialect.(dialect.Recognizer); ok {
		own := d.Recognition()
		if own.IsOwn != nil && own.IsOwn(some.Stdout) {
			return guessed{s.dialect.Name(), dialect.Clue{Strength: dialect.Certain, Why: "it prints what its dialect has"}}
		}
		if own.Output != nil && own.Output(&some).Strength > 0 && g.Strength <= dialect.Faint { // it may be either
			return guessed{}
		}
	}
	return g
}
