package takeover

import (
	"path"
	"regexp"
	"strings"

	"scriptbridge/config"
)

// findPlugins offers the plugins that no configuration runs. Most do nothing useful
// without arguments, and some do harm (check_dhcp asks for addresses), so that
// none is configured.
func findPlugins(f *finding) {
	folders := []string{"/usr/lib/nagios/plugins", "/usr/lib64/nagios/plugins", "/usr/lib/monitoring-plugins", "/usr/libexec/monitoring-plugins", "/usr/local/nagios/libexec", "/usr/local/libexec/nagios", "/usr/lib/icinga/plugins"}
	places := make(map[string]bool)
	for _, folder := range append(f.From["plugins"], folders...) {
		at, err := f.Host.Place(folder)
		if err != nil || places[at] {
			continue // one folder by two names
		}
		places[at] = true
		f.pluginFolder(folder)
	}
}

func (f *finding) pluginFolder(folder string) {
	first := true
	for _, file := range f.Host.Files(folder, "check_*") {
		if _, executable := f.Host.IsFile(file); !executable || f.known.plugins[file] {
			continue
		}
		if first {
			f.files = append(f.files, folder)
			first = false
		}
		e := f.add(scripts, config.Position{File: file})
		e.offer, e.refused = true, "it needs arguments, which no configuration has: PLUGIN --help lists them"
		e.name = path.Base(file)
		e.setText("name", e.name).setText("dialect", "nagios").setText("command", file)
	}
}

// ofIcinga2 are objects of Icinga 2 that say what runs.
var ofIcinga2 = regexp.MustCompile(`^\s*(object\s+CheckCommand|object\s+Service|apply\s+Service)\s+"([^"]+)"`)

// findIcinga2 names the checks of Icinga 2. Its configuration is a program, which
// alone knows what a command line is in the end.
func findIcinga2(f *finding) {
	for _, file := range f.knownFiles("/etc/icinga2/conf.d/*.conf", "/etc/icinga2/conf.d/*/*.conf", "/etc/icinga2/zones.d/*/*.conf", "/etc/icinga2/zones.d/*/*/*.conf") {
		text, ok := f.read(file)
		if !ok {
			continue
		}
		told := false
		for i, line := range strings.Split(text, "\n") {
			if m := ofIcinga2.FindStringSubmatch(line); m != nil {
				what := strings.Join(strings.Fields(m[1]), " ")
				f.skip(config.Position{File: file, Line: i + 1}, "%s %q: its definition is code of Icinga 2; write the command line that it comes to, as a script of the dialect nagios", what, m[2])
				told = true
			}
		}
		if !told {
			f.files = f.files[:len(f.files)-1] // it has none
		}
	}
}
