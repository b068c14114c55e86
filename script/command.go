package script

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"

	"scriptbridge/config"
	"scriptbridge/internal/joined"
	"scriptbridge/internal/limits"
	"scriptbridge/internal/trust"
	"scriptbridge/script/dialect"
	"scriptbridge/script/process"
)

// Check looks for what keeps the script from running on this machine, without
// running it: the errors of the world that `check` prints and `serve` lives
// with.
func (s *Script) Check() error {
	if d, ok := s.dialect.(dialect.FolderReader); ok {
		return d.CheckFolder(&s.Script)
	}
	c, err := s.resolveCommand()
	if err != nil {
		return s.explainMissing(err)
	}
	return process.CheckStart(s.Script.Script, s.program(), &c)
}

// program is the script's own file where that is what runs; empty for a module,
// which an interpreter loads.
func (s *Script) program() string {
	if dialect.HasModules(s.dialect) {
		return ""
	}
	return s.File
}

// resolveCommand makes the command of the script from what it finds on the machine
// now: the program, the account, the environment. It is part of each run, so
// that it leaves it to explainMissing to look for what else may be meant.
func (s *Script) resolveCommand() (process.Command, error) {
	c := process.Command{
		Args:      slices.Clone(s.Command),
		Dir:       s.Dir,
		MaxOutput: s.MaxOutput,
		Keep:      s.KeepDescendants,
		Owner:     s.Name,
	}
	s.confine(&c)
	if s.User != "" {
		a, err := process.LookupAccount(s.User)
		if err != nil {
			return c, err
		}
		c.Account = a
	}
	if s.Group != "" {
		gid, err := process.LookupGroup(s.Group)
		if err != nil {
			return c, err
		}
		c.Group = &gid
	}
	if err := s.variables(&c); err != nil {
		return c, err
	}
	if err := checkDirectory(s.WorkingDirectory); err != nil {
		return c, err
	}

	program, err := process.ResolveProgram(c.Args[0], process.LastEnv(c.Env, "PATH"))
	if err != nil {
		return c, err
	}
	guard := s.guard(&c)
	c.Env = guard.Lookup(c.Env)
	if err := guard.CheckProgram(program, true); err != nil {
		return c, err
	}
	if at := s.Executed(); at > 0 {
		// What a wrapper starts; that it is missing is CheckStart's to say.
		if found, err := process.ResolveProgram(s.Command[at], guard.Path); err == nil {
			if err := guard.CheckTrust(found); err != nil {
				return c, err
			}
		}
	}
	if (s.Program > 0 || dialect.HasModules(s.dialect)) && s.File != "" {
		if err := guard.CheckProgram(s.File, false); err != nil {
			return c, err
		}
	}
	if d, ok := s.dialect.(dialect.PermissionChecker); ok {
		return c, d.CheckPermissions(&s.Script, guard)
	}
	return c, nil
}

// variables gives a command its environment.
func (s *Script) variables(c *process.Command) error {
	env := process.Environment(os.Environ(), c.Account, s.PassEnv, s.Withheld)
	if s.EnvFile != "" {
		if _, err := os.Lstat(s.EnvFile); config.IsFile(s.EnvFile) && isMissing(err) {
			return &missingError{"env_file: there is no file " + s.EnvFile, s.EnvFile, "correct env_file:, or make the file"}
		}
		if err := s.obeyed(s.EnvFile); err != nil {
			return err
		}
		vars, err := config.ReadEnvFile(s.EnvFile)
		if err != nil {
			var all []error
			for _, one := range joined.Split(err) {
				all = append(all, fmt.Errorf("env_file: %w", one))
			}
			return errors.Join(all...)
		}
		env = setSecrets(env, vars)
	}
	c.Env = setSecrets(env, s.Env)
	return nil
}

// confine has a command keep to what the configuration allows.
func (s *Script) confine(c *process.Command) {
	l := &s.Limits
	c.MaxWritten = l.Output
	c.Limits = limits.Settings{
		CPU: l.CPU, Memory: l.Memory, Processes: l.Processes, Files: l.Files, Nice: s.Nice, NoNewPrivileges: s.NoNewPrivileges,
	}
	if mask, ok := s.Mask(); ok {
		c.Limits.Umask = &mask
	}
}

// guard says what of the command may be run.
func (s *Script) guard(c *process.Command) *process.Guard {
	g := &process.Guard{
		RunAs: c.Account, Policy: trust.Policy{Except: s.TrustedPaths},
		Path: process.LastEnv(c.Env, "PATH"), Dir: c.Dir,
	}
	if s.AsRoot && g.RunAs == nil {
		g.RunAs = &process.Account{}
	}
	return g
}

// obeyed says why root must not take the variables of a file. The configuration
// has asked when it was read, and the file may have changed hands since.
func (s *Script) obeyed(file string) error {
	if !trust.Privileged() && !s.AsRoot || !config.IsFile(file) {
		return nil
	}
	e := trust.Policy{Except: s.TrustedPaths}.Fault(file)
	if e == nil {
		return nil
	}
	return fmt.Errorf("env_file %s %s: %s, or list %s under global.trusted_paths", file, e.Obeyed(), e.Remedy(), e.Component)
}

// setSecrets puts variables behind those of env that have other names.
func setSecrets(env []string, vars map[string]config.Secret) []string {
	names := slices.Sorted(maps.Keys(vars))
	env = slices.DeleteFunc(env, func(e string) bool {
		of, _, _ := strings.Cut(e, "=")
		return slices.ContainsFunc(names, func(name string) bool { return process.SameVariable(name, of) })
	})
	for _, name := range names {
		env = append(env, name+"="+vars[name].Reveal())
	}
	return env
}
