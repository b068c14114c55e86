package takeover

import (
	"encoding/json"
	"fmt"
	"regexp"
	"strings"

	"scriptbridge/config"
	"scriptbridge/config/cmdline"
)

// findCoScale takes over the generic scripts of an agent whose plugins are in a
// file, and the folders that its documentation had scripts put into.
func findCoScale(f *finding) {
	for _, file := range f.knownFiles("/opt/coscale/agent/plugins.conf") {
		text, ok := f.read(file)
		if !ok {
			continue
		}
		var all any
		if err := json.Unmarshal([]byte(text), &all); err != nil {
			f.skip(config.Position{File: file}, "the file is no JSON: %v", err)
			continue
		}
		for _, plugin := range coscalePlugins(all) {
			f.coscalePlugin(file, text, plugin)
		}
	}
	for _, folder := range []string{"/opt/coscale/scripts", "/opt/coscale/agent/scripts", "/home/coscale/scripts"} {
		f.coscaleFolder(folder)
	}
}

// coscalePlugins finds the plugins: a list of them, or what has such a list.
func coscalePlugins(v any) (plugins []map[string]any) {
	switch v := v.(type) {
	case []any:
		for _, item := range v {
			plugins = append(plugins, coscalePlugins(item)...)
		}
	case map[string]any:
		if _, is := member(v, "PluginType").(string); is {
			return []map[string]any{v}
		}
		return coscalePlugins(member(v, "plugins"))
	}
	return plugins
}

// member is a member of an object, in whatever case its name is written.
func member(object map[string]any, name string) any {
	for key, v := range object {
		if strings.EqualFold(key, name) {
			return v
		}
	}
	return nil
}

func (f *finding) coscalePlugin(file, text string, plugin map[string]any) {
	kind, _ := member(plugin, "PluginType").(string)
	if !strings.EqualFold(kind, "GENERICSCRIPT") {
		f.skip(config.Position{File: file, Line: lineOf(text, kind)}, "plugin %s: the agent's own measuring; use an exporter of Prometheus", kind)
		return
	}
	settings := member(plugin, "Configuration")
	if written, ok := settings.(string); ok { // as the API sends it
		_ = json.Unmarshal([]byte(written), &settings)
	}
	object, _ := settings.(map[string]any)
	var lines []any
	switch of := member(object, "SCRIPT").(type) {
	case []any:
		lines = of
	case string:
		lines = []any{of}
	}
	if len(lines) == 0 {
		f.skip(config.Position{File: file, Line: lineOf(text, kind)}, "plugin %s: it has no SCRIPT", kind)
	}
	for _, line := range lines[:min(len(lines), maxEntries)] {
		line := strings.TrimSpace(fmt.Sprint(line))
		words, err := cmdline.Parse(line)
		at := config.Position{File: file, Line: lineOf(text, line)}
		if err != nil {
			f.skip(at, "plugin %s: %v", kind, err)
			continue
		}
		f.script(at, nameOf(words), "coscale", words)
	}
}

// lineOf gives the line in which a string of JSON stands first; 0 for none.
func lineOf(text, of string) int {
	written, err := json.Marshal(of)
	if err != nil {
		return 0
	}
	inside := string(written[1 : len(written)-1])
	at := strings.Index(text, inside)
	if at < 0 {
		at = strings.Index(text, strings.ReplaceAll(inside, `/`, `\/`))
	}
	if at < 0 {
		return 0
	}
	return 1 + strings.Count(text[:at], "\n")
}

// ofCoScale is in the text of each script that declares metrics for the agent.
var ofCoScale = regexp.MustCompile(`["'\\](metrics|events)\\?["']`)

// coscaleFolder takes over a folder: as a whole, or each script alone where the
// agent was given some of them by name, or where something else lies among them.
func (f *finding) coscaleFolder(folder string) {
	var own []string
	whole, named := true, false
	for _, file := range f.Host.Files(folder, "[^.]*") {
		_, executable := f.Host.IsFile(file)
		text, err := f.Host.Read(file)
		switch is := err == nil && ofCoScale.MatchString(text); {
		case is && executable:
			own = append(own, file)
			named = named || f.known.plugins[file]
		case is && !f.known.plugins[file]:
			f.skip(config.Position{File: file}, "looks like a script of the agent, and is not executable: configure it with its interpreter, or chmod +x it")
		case executable:
			whole = false
			f.skip(config.Position{File: file}, "does not look like a script of the agent: nothing in it declares metrics")
		}
	}
	if len(own) == 0 {
		return
	}
	f.files = append(f.files, folder)
	if whole && !named {
		e := f.add(discover, config.Position{File: folder})
		e.what, e.finds = folder, stems(own)
		e.setText("directory", folder)
		return
	}
	for _, file := range own {
		if f.known.plugins[file] {
			continue
		}
		e := f.script(config.Position{File: folder}, cmdline.Stem(file), "coscale", []string{file})
		if named {
			e.refuse("the agent's configuration names other scripts of the folder, and not this one")
		}
	}
}
