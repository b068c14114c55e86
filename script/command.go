package script

import (
	"maps"
	"os"
	"slices"
	"strings"

	"scriptbridge/config"
	"scriptbridge/script/dialect"
	"scriptbridge/script/process"
)

// Check looks for what keeps the script from running on this machine, without
// running it: the errors of the world that `check` prints and `serve` lives
// with.
func (s *Script) Check() error {
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
	}
	if s.User != "" {
		a, err := process.LookupAccount(s.User)
		if err != nil {
			return c, err
		}
		c.Account = a
	}
	env := process.ScrubEnv(os.Environ())
	if c.Account != nil {
		env = setEnv(env, c.Account.Env()...)
	}
	if s.EnvFile != "" {
		if _, err := os.Lstat(s.EnvFile); isMissing(err) {
			return c, &missingError{text: s.EnvFile + ": there is no such file", path: s.EnvFile}
		}
		vars, err := config.ReadEnvFile(s.EnvFile)
		if err != nil {
			return c, err
		}
		env = setSecrets(env, vars)
	}
	c.Env = setSecrets(env, s.Env)
	if err := checkDirectory(s.WorkingDirectory); err != nil {
		return c, err
	}

	program, err := process.ResolveProgram(c.Args[0], process.LastEnv(c.Env, "PATH"))
	if err != nil {
		return c, err
	}
	if err := process.CheckProgram(program, c.Account, true); err != nil {
		return c, err
	}
	if (s.Program > 0 || dialect.HasModules(s.dialect)) && s.File != "" {
		if err := process.CheckProgram(s.File, c.Account, false); err != nil {
			return c, err
		}
	}
	if d, ok := s.dialect.(dialect.PermissionChecker); ok {
		return c, d.CheckPermissions(&s.Script, c.Account)
	}
	return c, nil
}

func setSecrets(env []string, vars map[string]config.Secret) []string {
	for _, name := range slices.Sorted(maps.Keys(vars)) {
		env = setEnv(env, name+"="+vars[name].Reveal())
	}
	return env
}

// setEnv puts each NAME=VALUE in the place of an earlier one of that name.
func setEnv(env []string, pairs ...string) []string {
	for _, pair := range pairs {
		name, _, _ := strings.Cut(pair, "=")
		env = slices.DeleteFunc(env, func(e string) bool {
			n, _, _ := strings.Cut(e, "=")
			return n == name
		})
		env = append(env, pair)
	}
	return env
}
