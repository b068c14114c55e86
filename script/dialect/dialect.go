// Package dialect says what a dialect must be: one protocol that plugin scripts
// speak. Each has a folder of its own here, and a line in the table of package
// all. dialect.go has the interface that is required and those that are
// optional, runner.go what runs a script and what comes of a run,
// recognition.go how a dialect is told from others, script.go what a dialect
// sees of a script.
package dialect

import (
	"fmt"
	"io/fs"
	"strings"
	"time"

	"scriptbridge/config"
	"scriptbridge/script/process"
)

// Dialect is one way in which a script speaks. What only some dialects have,
// they have by implementing another of the interfaces below.
type Dialect interface {
	// Name is what the configuration calls it.
	Name() string
	Traits() Traits
	// Prepare reads options strictly and gives what makes the script's
	// Runner. It touches nothing outside; its error is one of the
	// configuration and names the option.
	Prepare(config.Options) (New, error)
}

// Traits are what is the same for all scripts of a dialect.
type Traits struct {
	// Prefix goes in front of the names of its series where the
	// configuration gives none.
	Prefix string
	// Interval and Timeout hold for a script when neither it nor the
	// configuration says anything. A Timeout of 0 is the script's interval.
	Interval, Timeout time.Duration
	// Aligned puts the runs at multiples of the interval since the epoch, by
	// the wall clock, the first one included.
	Aligned bool
	// Verbatim says that names, types and labels are those of a Prometheus
	// exposition, which stand on the page as they are.
	Verbatim bool
	// Arguments says that a run's own arguments are put behind the command.
	Arguments bool
	// Home, if not empty, is the folder in the user's home that the dialect's
	// own runner looked for scripts in: the default of discover's directory.
	Home string
	// MakesFolder says that a folder of discover that is missing is made, for
	// its owner alone, as the dialect's own runner did.
	MakesFolder bool
	// Declares says that a script may declare its interval and timeout.
	Declares bool
	// Options is a struct as config.Options.Decode reads it; nil for none.
	Options any
}

// ModuleResolver is a dialect whose scripts are modules, named by options
// instead of a command.
type ModuleResolver interface {
	// ResolveModule gives the program that runs one, its own file ("" when it
	// is not found) and the folder it runs in where none is configured.
	ResolveModule(*config.Script) (command []string, file, dir string)
}

// FolderReader is a dialect whose scripts are folders, named by a directory
// instead of a command, whose files it reads itself. It starts no process: its
// Runners call no Exec.
type FolderReader interface {
	// CheckFolder says why the folder cannot be read now.
	CheckFolder(*Script) error
}

// PermissionChecker is a dialect that does not run every file.
type PermissionChecker interface {
	// CheckPermissions says before each process why the script's file must
	// not be run, beyond what holds for every program. A check of the
	// configuration asks it too.
	CheckPermissions(s *Script, guard *process.Guard) error
}

// Warner is a dialect that knows what may keep a script from working although
// its program is sound.
type Warner interface {
	Warnings(*config.Script) []string
}

// InputDigester is a dialect whose scripts are given something besides their
// options and their file. One that is kept alive begins anew when it has
// changed.
type InputDigester interface {
	// Inputs tells what that is and gives a digest of it, which may be slow to
	// make. "" stands for unknown, which changes nothing. Scripts of the same
	// what have the same digest.
	Inputs(*config.Script) (what string, digest func() string)
}

// Discoverer is a dialect that finds scripts in the configuration of an agent
// (discover: {agent_config: …}).
type Discoverer interface {
	// Discover gives the scripts. The error joins all that is wrong with the
	// configuration; warnings are of what costs no script.
	Discover(*config.Discover) (scripts []*config.Script, warnings []string, err error)
}

// FileProvider is a dialect whose scripts need files on disk. They are unpacked
// once, into a folder of their own (see Invocation.Program).
type FileProvider interface {
	Files() fs.FS
}

// Table is a set of dialects, in the order of their names. The first one is that
// of a script for which the configuration names none.
type Table []Dialect

// Find gives a dialect by its name. The error names those that there are.
func (t Table) Find(name string) (Dialect, error) {
	var known []string
	for _, d := range t {
		if d.Name() == name {
			return d, nil
		}
		known = append(known, d.Name())
	}
	hint := ""
	if like := config.Nearest(name, known); like != "" {
		hint = fmt.Sprintf("did you mean %q? ", like)
	}
	return nil, fmt.Errorf("dialect %q is not known (%sknown: %s)", name, hint, strings.Join(known, ", "))
}

// Config is what the configuration must know of the dialects.
func (t Table) Config() (known config.Dialects) {
	for _, d := range t {
		traits := d.Traits()
		known = append(known, config.Dialect{
			Name: d.Name(), Modules: HasModules(d), Folders: ReadsFolders(d), Declares: traits.Declares, Home: traits.Home, Options: traits.Options,
		})
	}
	return known
}

// ReadsFolders reports whether the dialect's scripts are folders.
func ReadsFolders(d Dialect) bool {
	_, ok := d.(FolderReader)
	return ok
}

// HasModules reports whether the dialect's scripts are modules.
func HasModules(d Dialect) bool {
	_, ok := d.(ModuleResolver)
	return ok
}
