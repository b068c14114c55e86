package takeover

import (
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"scriptbridge/config"
	"scriptbridge/takeover/host"
)

// findInstrumental takes over the folders of scripts that the agents ran.
func findInstrumental(f *finding) {
	folders := []instrumentalFolder{}
	add := func(d instrumentalFolder) {
		if !slices.ContainsFunc(folders, func(other instrumentalFolder) bool { return other.path == d.path }) {
			folders = append(folders, d)
		}
	}
	for _, s := range f.services("instrumentald", "instrument_server", "instrumental-tools", "instrumental_tools") {
		f.files = append(f.files, s.File)
		if _, folder := instrumentalFlags(s.Words); folder != "" {
			every, _ := instrumentalFlags(s.Words)
			add(instrumentalFolder{path: folder, at: config.Position{File: s.File}, interval: every, off: !slices.Contains(s.Words, "-e") && !slices.Contains(s.Words, "--enable-scripts")})
		}
	}
	for _, folder := range slices.Concat(f.From["instrumental"], []string{
		"/opt/instrumentald/.instrumental_scripts", "/opt/instrumentald/.scripts", "/opt/instrumental-tools/.instrumental_scripts",
		"/opt/instrumental-tools/.scripts", "/root/.instrumental_scripts",
	}, f.Host.Glob("/home/*/.instrumental_scripts")) {
		add(instrumentalFolder{path: folder, at: config.Position{File: folder}})
	}
	for _, d := range folders {
		f.instrumentalFolder(d)
	}
	for _, file := range []string{"/etc/instrumentald.toml", "/etc/instrumental.toml", "/etc/instrumental.yml"} {
		f.instrumentalSettings(file)
	}
}

type instrumentalFolder struct {
	path     string
	at       config.Position
	interval string // in seconds
	off      bool   // the service was told to run none
}

// instrumentalFlags are those that say what the agents ran.
func instrumentalFlags(words []string) (every, folder string) {
	every = flag(words, "-r", "--report-interval")
	return every, flag(words, "-s", "--script-location")
}

func (f *finding) instrumentalFolder(d instrumentalFolder) {
	var all []string
	for _, file := range f.Host.Files(d.path, "[^.]*") {
		if _, executable := f.Host.IsFile(file); executable {
			all = append(all, file)
		} else {
			f.skip(config.Position{File: file}, "is not executable, so that the agent did not run it")
		}
	}
	switch {
	case len(all) == 0 && !f.Host.Exists(d.path):
		if d.at.File != d.path {
			f.skip(d.at, "the folder of scripts %s does not exist", d.path)
		}
		return
	case len(all) == 0:
		f.skip(config.Position{File: d.path}, "the folder has no scripts")
		return
	}
	f.files = append(f.files, d.path)
	e := f.add(discover, config.Position{File: d.path})
	e.what, e.finds = d.path, stems(all)
	e.setText("directory", d.path).setText("dialect", "instrumental")
	if d.at.File != d.path {
		e.note("Named by %s.", d.at)
	}
	if d.off {
		e.note("The service has no flag -e, so that the agent did not run them.")
	}
	e.setDuration("interval", seconds(d.interval))
	// The agent ran only what belonged to its own user.
	if account, uid, ok := f.Host.Owner(d.path); ok && uid != 0 && (f.AsRoot || int(uid) != os.Geteuid()) {
		if account == "" {
			e.refuse("it belongs to the user %d, who has no account", uid)
		}
		f.runAs(e, account)
	}
}

// ofInstrumental are lines of the agents' own settings, of TOML and of YAML alike.
var ofInstrumental = regexp.MustCompile(`^\s*(\w+)\s*[=:]\s*(.*)$`)

// instrumentalSettings tells what of the agents' own settings is not taken over. The
// key is not copied.
func (f *finding) instrumentalSettings(file string) {
	text, ok := f.read(file)
	if !ok {
		return
	}
	for i, line := range strings.Split(text, "\n") {
		m := ofInstrumental.FindStringSubmatch(line)
		if m == nil || m[2] == "" {
			continue
		}
		at := config.Position{File: file, Line: i + 1}
		switch m[1] {
		case "api_key", "project_token":
			f.skip(at, "%s: the key of Instrumental's service is not copied. To send there too, put it into a file of its own with mode 0600, and name that under upload: {instrumental: {api_key_file: FILE}}", m[1])
		case "debug":
		default:
			f.skip(at, "%s: the agent's own measuring; use node_exporter and its like", m[1])
		}
	}
}

func flag(words []string, names ...string) string {
	value, _ := host.Flag(words, names...)
	return value
}

// seconds reads a number of them; 0 where it is none.
func seconds(text string) time.Duration {
	n, err := strconv.ParseFloat(text, 64)
	if err != nil || n < 0 || n > 1e7 {
		return 0
	}
	return time.Duration(n * float64(time.Second))
}
