package config

import (
	"maps"
	"slices"
	"strconv"

	"github.com/alecthomas/units"

	"scriptbridge/config/internal/yamltree"
)

// YAML gives s as an entry of `scripts` would say it, defaults filled in,
// secrets hidden: the texts of env, and options whose key speaks of a
// password, a token or the like. The command is shown as it is.
func (s *Script) YAML() string {
	v := &yamltree.Value{Kind: yamltree.Map}
	v.AddText("name", s.Name)
	words := &yamltree.Value{Kind: yamltree.List}
	for _, w := range s.Command {
		words.Items = append(words.Items, yamltree.Text(w))
	}
	if !isModular(s.Dialect) {
		v.Add("command", words)
	}
	if len(s.Parameters) > 0 {
		all := &yamltree.Value{Kind: yamltree.Map}
		for _, name := range slices.Sorted(maps.Keys(s.Parameters)) {
			p := &yamltree.Value{Kind: yamltree.Map}
			p.AddText("pattern", s.Parameters[name].Pattern)
			p.AddOptional("default", s.Parameters[name].Default)
			all.Add(name, p)
		}
		v.Add("parameters", all)
	}
	s.addTo(v)
	return yamltree.Render(v, true)
}

// addTo adds what is set to v.
func (s *Settings) addTo(v *yamltree.Value) {
	v.AddText("dialect", s.Dialect)
	v.AddDuration("interval", s.Interval)
	v.AddDuration("timeout", s.Timeout)
	v.AddOptional("prefix", s.Prefix)
	addTexts(v, "labels", s.Labels)
	addTexts(v, "env", s.Env)
	v.AddText("env_file", s.EnvFile)
	v.AddText("user", s.User)
	v.AddText("working_directory", s.WorkingDirectory)
	v.AddDuration("max_age", s.MaxAge)
	v.AddPlain("max_series", strconv.Itoa(s.MaxSeries))
	v.AddPlain("max_output", units.Base2Bytes(s.MaxOutput).String())
	v.AddDuration("average_window", s.AverageWindow)
	v.AddTrue("honor_timestamps", s.HonorTimestamps)
	v.AddTrue("probe", s.Probe)
	if s.KeepDescendants {
		v.AddText("descendants", "keep")
	}
	metrics := &yamltree.Value{Kind: yamltree.Map}
	for _, id := range slices.Sorted(maps.Keys(s.Metrics)) {
		o := s.Metrics[id]
		m := &yamltree.Value{Kind: yamltree.Map}
		m.AddText("type", o.Type)
		m.AddText("name", o.Name)
		m.AddText("help", o.Help)
		m.AddOptional("unit", o.Unit)
		m.AddTrue("drop", o.Drop)
		metrics.Add(id, m)
	}
	if len(metrics.Fields) > 0 {
		v.Add("metrics", metrics)
	}
	if s.Options.root != nil {
		v.Add("options", s.Options.root)
	}
}

func addTexts[T ~string](v *yamltree.Value, key string, texts map[string]T) {
	if len(texts) == 0 {
		return
	}
	m := &yamltree.Value{Kind: yamltree.Map}
	for _, name := range slices.Sorted(maps.Keys(texts)) {
		text := yamltree.Text(string(texts[name]))
		if _, secret := any(texts[name]).(Secret); secret {
			text = yamltree.Text(yamltree.Hidden)
		}
		m.Add(name, text)
	}
	v.Add(key, m)
}
