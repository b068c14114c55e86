package scalyr

import (
	"cmp"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"

	"scriptbridge/config"
	"scriptbridge/script/process"
)

// Discover makes scripts of an agent's monitors. All that is wrong with its
// files is the error.
func (Dialect) Discover(d *config.Discover) (scripts []*config.Script, warnings []string, err error) {
	var o options
	if err := d.Options.Decode(&o); err != nil {
		return nil, nil, err
	}
	if o.Module != "" || o.ID != "" || o.Config.Plain() != nil {
		return nil, nil, errors.New("module, id and config are not for an entry of discover: each monitor of agent_config has its own")
	}
	env, err := settingsEnv(&d.Settings)
	if err != nil {
		return nil, nil, err
	}
	agent, err := readAgent(d.AgentConfig, env)
	if err != nil {
		return nil, nil, err
	}
	var paths []any
	for _, p := range slices.Concat(o.ModulePaths, agent.modulePaths(o.AgentPackage, env)) {
		paths = append(paths, p)
	}
	var errs []error
	for i := range agent.monitors {
		m := &agent.monitors[i]
		set := d.Settings
		if set.Interval == 0 {
			var err error
			if set.Interval, err = agent.interval(m, env); err != nil {
				errs = append(errs, err)
				continue
			}
		}
		given := maps.Clone(m.config)
		delete(given, "module")
		delete(given, "id")
		fields := map[string]any{"module": m.module, "config": given, "module_paths": paths, "agent_config": cmp.Or(o.AgentConfig, d.AgentConfig)}
		if m.id != "" {
			fields["id"] = m.id
		}
		set.Options = d.Options.With(fields)
		s, err := config.NewModule("", set)
		if err != nil {
			errs = append(errs, fmt.Errorf("%s: module %q with id %q: %w", m.file, m.module, m.id, err))
			continue
		}
		s.Pos = d.Pos
		scripts = append(scripts, s)
	}
	return scripts, agent.warnings, errors.Join(errs...)
}

// unseenKeys are keys of the agent's configuration whose change is nothing to a
// monitor that runs: they are about what the agent sends, or reach the monitor
// as settings of its own.
var unseenKeys = []string{
	"additional_monitor_module_paths", "api_key", "api_keys", "global_monitor_sample_interval", "journald_logs", "k8s_logs", "logs", "monitors", "workers",
}

// Inputs is the global configuration, which all monitors of an agent's
// configuration share.
func (Dialect) Inputs(c *config.Script) (what string, digest func() string) {
	o, _, err := readOptions(c.Options)
	if err != nil || o.AgentConfig == "" {
		return "", func() string { return "nothing" }
	}
	file := o.absolute(folderOf(c)).AgentConfig
	what = fmt.Sprintf("%q %q", file, c.EnvFile)
	for _, name := range slices.Sorted(maps.Keys(c.Env)) { // imported variables are part of it
		what += fmt.Sprintf(" %q=%q", name, c.Env[name].Reveal())
	}
	return what, func() string { return digestAgent(file, &c.Settings) }
}

func digestAgent(file string, set *config.Settings) string {
	env, err := settingsEnv(set)
	if err != nil {
		return ""
	}
	agent, err := readAgent(file, env)
	if err != nil {
		return ""
	}
	for _, key := range unseenKeys {
		delete(agent.global, key)
	}
	text, err := json.Marshal(agent.global) // in the order of the keys
	if err != nil {
		return ""
	}
	return fmt.Sprintf("%x", sha256.Sum256(text))
}

// settingsEnv looks variables up as a script of these settings would see them.
func settingsEnv(set *config.Settings) (func(string) string, error) {
	var fromFile map[string]config.Secret
	if set.EnvFile != "" {
		var err error
		if fromFile, err = config.ReadEnvFile(set.EnvFile); err != nil {
			return nil, err
		}
	}
	return func(name string) string {
		if v, ok := set.Env[name]; ok {
			return v.Reveal()
		}
		if v, ok := fromFile[name]; ok {
			return v.Reveal()
		}
		if slices.ContainsFunc(set.Withheld, func(w string) bool { return process.SameVariable(w, name) }) {
			return ""
		}
		return os.Getenv(name)
	}, nil
}
