package main

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
)

// An odd configuration is made of steps. Each is four bytes: a place of
// everyKey, a key of it, a value, and of what: the dialect of a new entry.
type oddConfig struct {
	dialects []string
	fields   map[string][]oddField // by place, of what is there once
	scripts  []*oddEntry
	discover []*oddEntry
	mapping  bool
}

type oddField struct{ name, value string }

// oddEntry is an entry of scripts or discover.
type oddEntry struct {
	fields                       []oddField
	options, parameters, metrics []oddField
	metric, parameter, limits    []oddField
}

// fresh, in a step's last byte, begins another entry.
const fresh = 0x80

// step is one step that is spelled out.
func step(t testing.TB, dialects []string, in, key, value, dialect string, more ...byte) []byte {
	t.Helper()
	p := slices.IndexFunc(everyKey, func(p place) bool { return p.name == in })
	d := max(0, slices.Index(dialects, dialect))
	if p < 0 {
		t.Fatalf("there is no place %q", in)
	}
	i := slices.IndexFunc(everyKey[p].keys, func(k placeKey) bool { return k.name == key })
	if i < 0 {
		t.Fatalf("there is no key %q in %s", key, in)
	}
	values := valuesOf(everyKey[p].keys[i])
	v := slices.Index(values, value)
	if v < 0 {
		t.Fatalf("%q is no value of %s in the table", value, key)
	}
	b := []byte{byte(p), byte(i), byte(v), byte(d)}
	for _, flag := range more {
		b[3] |= flag
	}
	return b
}

func valuesOf(key placeKey) []string { return slices.Concat(key.good, oddValues) }

// take takes one step.
func (c *oddConfig) take(b []byte) {
	p := everyKey[int(b[0])%len(everyKey)]
	key := p.keys[int(b[1])%len(p.keys)]
	values := valuesOf(key)
	f := oddField{key.name, values[int(b[2])%len(values)]}
	dialect, again := c.dialects[int(b[3]&^fresh)%len(c.dialects)], b[3]&fresh != 0
	switch {
	case p.name == "discover":
		c.entry(&c.discover, again, dialect, true).set(f)
	case p.name == "script" || p.name == "settings" || p.name == "confinement":
		c.entry(&c.scripts, again, dialect, false).set(f)
	case p.name == "parameter":
		e := c.entry(&c.scripts, again, dialect, false)
		e.parameter = put(e.parameter, f)
	case p.name == "limits":
		e := c.entry(&c.scripts, again, dialect, false)
		e.limits = put(e.limits, f)
	case p.name == "metric":
		e := c.entry(&c.scripts, again, dialect, false)
		e.metric = put(e.metric, f)
	case strings.HasPrefix(p.name, "options "):
		of := strings.TrimPrefix(p.name, "options ")
		e := c.entry(&c.scripts, again, of, false)
		e.options = put(e.options, f)
	default:
		c.mapping = c.mapping || strings.HasPrefix(p.from, "mapping") || p.from == "summaryOptions" || p.from == "histogramOptions" || p.from == "quantile"
		c.fields[p.name] = put(c.fields[p.name], f)
	}
}

// put replaces a field, or adds it.
func put(fields []oddField, f oddField) []oddField {
	if i := slices.IndexFunc(fields, func(o oddField) bool { return o.name == f.name }); i >= 0 {
		fields[i] = f
		return fields
	}
	return append(fields, f)
}

func (e *oddEntry) set(f oddField) { e.fields = put(e.fields, f) }

// entry gives the last entry, or another one that is good by itself.
func (c *oddConfig) entry(list *[]*oddEntry, again bool, dialect string, found bool) *oddEntry {
	if n := len(*list); n > 0 && (!again || n >= 3) {
		return (*list)[n-1]
	}
	e := &oddEntry{fields: []oddField{{"dialect", dialect}, {"interval", "1h"}}}
	switch {
	case found && dialect == "scalyr":
		e.set(oddField{"agent_config", "agent.json"})
	case found:
		e.set(oddField{"directory", "folder"})
	case dialect == "scalyr":
		e.options = []oddField{{"module", "mon"}, {"python", "/bin/true"}}
	default:
		e.set(oddField{"name", fmt.Sprintf("s%d", len(*list))})
		e.set(oddField{"command", "ok.sh"})
	}
	*list = append(*list, e)
	return e
}

func flow(fields []oddField) string {
	var b strings.Builder
	for i, f := range fields {
		if i > 0 {
			b.WriteString(", ")
		}
		b.WriteString(f.name + ": " + f.value)
	}
	return "{" + b.String() + "}"
}

// within gives fields with another one, if that has any itself.
func within(fields []oddField, name string, inner []oddField) []oddField {
	if len(inner) == 0 {
		return fields
	}
	return put(slices.Clone(fields), oddField{name, flow(inner)})
}

func (e *oddEntry) text() string {
	fields := within(e.fields, "options", e.options)
	fields = within(fields, "parameters", within(e.parameters, "p", e.parameter))
	fields = within(fields, "limits", e.limits)
	fields = within(fields, "metrics", within(e.metrics, "1", e.metric))
	return flow(fields)
}

// sections are the places whose maps are the value of a key of another, or, where that
// is empty, whose fields are among the other's.
var sections = [][3]string{ // place, in place, by key
	{"tls", "receive.coscale", "tls"},
	{"receive.coscale", "receive", "coscale"}, {"receive.statsd", "receive", "statsd"}, {"receive.collectd", "receive", "collectd"},
	{"relabel", "upload.remote_write", "write_relabel_configs"}, {"http header", "upload.remote_write", "http_headers"}, {"tls_config", "upload.remote_write", "tls_config"},
	{"basic_auth", "upload.remote_write", "basic_auth"}, {"authorization", "upload.remote_write", "authorization"}, {"oauth2", "upload.remote_write", "oauth2"},
	{"http client", "upload.remote_write", ""}, {"proxy", "upload.remote_write", ""}, {"upload.remote_write", "upload", "remote_write"},
	{"spool", "upload.coscale", "spool"}, {"upload.coscale", "upload", "coscale"}, {"upload.instrumental", "upload", "instrumental"},
	{"log", "events", "log"}, {"global", "main", "global"}, {"events", "main", "events"}, {"receive", "main", "receive"}, {"upload", "main", "upload"},
	{"textfile", "main", "textfile"},
}

// around is what stands around the map of a section that is one of several.
var around = map[string]string{"remote_write": "[%s]", "write_relabel_configs": "[%s]", "http_headers": "{X-A: %s}"}

// needed makes each section one that is good by itself.
var needed = map[string][]oddField{
	"receive.coscale":     {{"app_id", "x"}, {"access_tokens_file", "secret"}},
	"receive.statsd":      {{"unixgram", "statsd.sock"}},
	"receive.collectd":    {{"unixsock", "nosuch.sock"}},
	"upload.coscale":      {{"url", "http://127.0.0.1:1"}, {"app_id", "x"}, {"access_token_file", "secret"}},
	"upload.instrumental": {{"collector", "127.0.0.1:1"}, {"api_key_file", "secret"}, {"insecure", "true"}},
	"upload.remote_write": {{"url", "http://127.0.0.1:1"}, {"insecure", "true"}},
	"oauth2":              {{"client_id", "x"}, {"token_url", "http://127.0.0.1:1"}},
	"textfile":            {{"directory", "folder"}},
	"mapping":             {{"match", "a.*"}, {"name", "n"}},
}

// text gives the configuration, and the mapping file.
func (c *oddConfig) text() (file, mapping string) {
	of := maps.Clone(c.fields)
	for _, s := range sections { // of which several make one destination
		if place, in := s[0], s[1]; len(of[place]) > 0 && in == "upload.remote_write" && of[in] == nil {
			of[in] = []oddField{}
		}
	}
	for place, fields := range of {
		for _, f := range needed[place] {
			if !slices.ContainsFunc(fields, func(o oddField) bool { return o.name == f.name }) {
				of[place] = append(slices.Clone(of[place]), f)
			}
		}
	}
	for _, s := range sections {
		switch place, in, key := s[0], s[1], s[2]; {
		case len(of[place]) == 0:
		case key == "":
			for _, f := range of[place] {
				of[in] = put(slices.Clone(of[in]), f)
			}
		case around[key] != "":
			of[in] = put(slices.Clone(of[in]), oddField{key, fmt.Sprintf(around[key], flow(of[place]))})
		default:
			of[in] = within(of[in], key, of[place])
		}
	}
	top := of["main"]
	for _, list := range []struct {
		key     string
		entries []*oddEntry
	}{{"scripts", c.scripts}, {"discover", c.discover}} {
		if len(list.entries) > 0 {
			var b strings.Builder
			for _, e := range list.entries {
				b.WriteString("\n  - " + e.text())
			}
			top = put(slices.Clone(top), oddField{list.key, b.String()})
		}
	}
	var b strings.Builder
	for _, f := range top {
		fmt.Fprintf(&b, "%s: %s\n", f.name, f.value)
	}
	entry := within(of["mapping"], "summary_options", of["summary options"])
	entry = within(entry, "histogram_options", of["histogram options"])
	if q := of["quantile"]; len(q) > 0 {
		entry = put(slices.Clone(entry), oddField{"summary_options", "{quantiles: [" + flow(q) + "]}"})
	}
	for _, f := range of["mapping common"] {
		entry = put(slices.Clone(entry), f)
	}
	for _, f := range needed["mapping"] {
		if !slices.ContainsFunc(entry, func(o oddField) bool { return o.name == f.name }) {
			entry = append(slices.Clone(entry), f)
		}
	}
	whole := within(of["mapping file"], "defaults", of["mapping defaults"])
	if !slices.ContainsFunc(whole, func(o oddField) bool { return o.name == "mappings" }) {
		whole = append(slices.Clone(whole), oddField{"mappings", "[" + flow(entry) + "]"})
	}
	return b.String(), flow(whole) + "\n"
}

// oddSeeds are what once ended a bridge, and its like: keys that take another one
// for granted, with each dialect.
func oddSeeds(t testing.TB, dialects []string) (seeds [][]byte) {
	for _, d := range dialects {
		s := func(place, key, value string, more ...byte) []byte {
			return step(t, dialects, place, key, value, d, more...)
		}
		seeds = append(seeds,
			s("settings", "probe", "true"),
			slices.Concat(s("settings", "probe", "true"), s("parameter", "pattern", "'[a-z]+'")),
			slices.Concat(s("settings", "probe", "true"), s("parameter", "default", "a"), s("script", "command", `"env A=b /bin/sh ok.sh {p}"`)),
			slices.Concat(s("script", "parameters", "[]"), s("settings", "probe", "true")),
			slices.Concat(s("script", "parameters", "{a: b}"), s("settings", "probe", "null")),
			slices.Concat(s("settings", "options", "null"), s("settings", "metrics", "[null]")),
			slices.Concat(s("script", "name", "null"), s("script", "command", "[null]")),
			slices.Concat(s("script", "name", "&anchor {a: b}"), s("script", "name", "*anchor", fresh)),
			slices.Concat(s("discover", "directory", "folder"), s("discover", "parameters", "{}")),
			slices.Concat(s("discover", "agent_config", "odd.json"), s("discover", "directory", "null")),
		)
		if options := "options " + d; slices.ContainsFunc(everyKey, func(p place) bool { return p.name == options }) {
			for _, key := range everyKey[slices.IndexFunc(everyKey, func(p place) bool { return p.name == options })].keys {
				seeds = append(seeds, s(options, key.name, "null"), s(options, key.name, "{a: b}"), s(options, key.name, key.good[0]))
			}
		}
	}
	return seeds
}
