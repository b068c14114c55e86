package process

import (
	"cmp"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"scriptbridge/internal/trust"
)

// CheckProgram says why file should not be run: it is missing or a folder, or an
// administrator would run it, or what runs it, though others may write or replace it.
func (g *Guard) CheckProgram(file string, direct bool) error {
	info, err := os.Stat(file)
	if err != nil {
		return err
	}
	if info.IsDir() {
		return fmt.Errorf("%s is a folder: name a program in it", file)
	}
	if direct {
		return g.CheckTrust(file)
	}
	return g.obeyed(file)
}

// CheckTrust says why an administrator would not run a program that is started: somebody
// else could change it, or what runs it.
func (g *Guard) CheckTrust(program string) error {
	if !g.RunAs.isRoot() {
		return nil
	}
	if err := g.obeyed(program); err != nil {
		return err
	}
	// That there is no interpreter is for the start to say.
	if words, err := system(g.Path).Interpreter(program); err == nil && len(words) > 0 {
		if err := g.obeyed(words[0]); err != nil {
			return fmt.Errorf("%s is run by %s: %w", program, words[0], err)
		}
	}
	return nil
}

// obeyed is file, and what may be put beside it: a program loads its libraries from its own
// folder first, and so do interpreters with modules, and batch files with programs.
func (g *Guard) obeyed(file string) error {
	if !filepath.IsAbs(file) {
		file = filepath.Join(g.Dir, file)
	}
	if err := g.file(file); err != nil {
		return err
	}
	e := g.fault(filepath.Dir(file))
	if e == nil {
		return nil
	}
	return fmt.Errorf("%s would run as "+trust.Root+" but %s may put a library or another program beside it, since %s: move it to a folder that only "+trust.Root+" may write, or list %s under global.trusted_paths",
		file, e.Who, e.State(), e.Component)
}

// Lookup gives the environment of a script. cmd.exe, and whatever starts a program by its bare name,
// looks into the working folder first: not where others may put programs there.
func (g *Guard) Lookup(env []string) []string {
	if g.fault(cmp.Or(g.Dir, ".")) == nil {
		return env
	}
	return append(slices.Clip(env), "NoDefaultCurrentDirectoryInExePath=1")
}

// orUser: a script has no account of its own here.
const orUser = ""

// lend is the remedy for a program that is somebody else's: what he wrote should be read
// before it is run.
func lend(*trust.Error) string {
	return "let " + trust.Root + " have a copy of it in a folder of its own"
}

// protect is the remedy for a program that others may write.
func protect(e *trust.Error, file string) string {
	if e.Unseen != nil || e.Component != file {
		return lend(e)
	}
	return e.Command()
}
