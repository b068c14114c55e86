package host

import (
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
)

// Service is how a machine starts a program.
type Service struct {
	File  string   // that says so
	Files []string // all that take part in it
	Words []string // its command line; the program first
	User  string   // "" for root
	Dir   string   // its working directory, "" where that is not said
}

// unitFolders are where units of systemd lie, the administrator's first.
var unitFolders = []string{"/etc/systemd/system", "/run/systemd/system", "/usr/local/lib/systemd/system", "/lib/systemd/system", "/usr/lib/systemd/system"}

// Services finds what starts a program of one of these names: units of systemd
// and scripts of init, with what their files of variables say. A name may be that
// of the program or of its service.
func (h *Host) Services(names ...string) (services []Service) {
	for _, name := range names {
		if u := h.Unit(name + ".service"); u != nil {
			services = append(services, h.services(u)...)
		}
		file := path.Join("/etc/init.d", name)
		if text, err := h.Read(file); err == nil {
			services = append(services, Service{File: file, Files: []string{file}, Words: h.initScript(text)})
		}
	}
	return services
}

// Unit is a unit of systemd, with what changes it.
type Unit struct {
	File     string
	Settings []Setting
}

// Setting is one line of a unit.
type Setting struct {
	File       string
	Line       int
	Key, Value string
}

// Get gives the last value of a key; "" for none.
func (u *Unit) Get(key string) (value string) {
	for _, s := range u.Settings {
		if s.Key == key {
			value = s.Value
		}
	}
	return value
}

// Units gives the names of all units of a kind, such as ".timer", sorted.
func (h *Host) Units(kind string) (names []string) {
	for _, folder := range unitFolders {
		for _, file := range h.Files(folder, "*"+kind) {
			if name := path.Base(file); !slices.Contains(names, name) {
				names = append(names, name)
			}
		}
	}
	slices.Sort(names)
	return names
}

// Unit reads a unit: the administrator's, or else a vendor's; nil where there is
// none, or one that is masked.
func (h *Host) Unit(name string) *Unit {
	for _, folder := range unitFolders {
		file := path.Join(folder, name)
		if h.isMasked(file) {
			return nil
		}
		text, err := h.Read(file)
		if err != nil {
			continue
		}
		u := &Unit{File: file}
		u.add(file, text)
		for _, folder := range slices.Backward(unitFolders) {
			for _, part := range h.Files(path.Join(folder, name+".d"), "*.conf") {
				if text, err := h.Read(part); err == nil {
					u.add(part, text)
				}
			}
		}
		return u
	}
	return nil
}

// isMasked reports whether a unit is a link to /dev/null.
func (h *Host) isMasked(file string) bool {
	folder, err := h.Place(path.Dir(file))
	if err != nil {
		return false
	}
	target, err := os.Readlink(filepath.Join(folder, path.Base(file)))
	return err == nil && target == "/dev/null"
}

// IsEnabled reports whether a unit is started with another one.
func (h *Host) IsEnabled(name string) bool {
	for _, folder := range unitFolders {
		if len(h.Glob(path.Join(folder, "*.wants", name))) > 0 {
			return true
		}
	}
	return false
}

func (u *Unit) add(file, text string) {
	from, before := 0, ""
	for i, line := range strings.Split(text, "\n") {
		if line = strings.TrimSpace(line); before == "" {
			from = i + 1
			if strings.HasPrefix(line, "#") || strings.HasPrefix(line, ";") {
				continue
			}
		}
		if rest, goesOn := strings.CutSuffix(line, `\`); goesOn {
			before += rest + " "
			continue
		}
		key, value, ok := strings.Cut(before+line, "=")
		if before = ""; ok {
			u.Settings = append(u.Settings, Setting{file, from, strings.TrimSpace(key), strings.TrimSpace(value)})
		}
	}
}

// Variables are those of a unit's own, and of the files that it names.
func (h *Host) Variables(u *Unit) map[string]string {
	vars := make(map[string]string)
	for _, s := range u.Settings {
		switch s.Key {
		case "Environment":
			words, _ := Words(s.Value)
			for _, word := range words {
				if name, of, ok := strings.Cut(word, "="); ok {
					vars[name] = of
				}
			}
		case "EnvironmentFile":
			h.variables(strings.TrimPrefix(s.Value, "-"), vars)
		}
	}
	return vars
}

// FilesOf are all files that say what a unit is.
func (h *Host) FilesOf(u *Unit) []string {
	files := []string{u.File}
	for _, s := range u.Settings {
		file := s.File
		if s.Key == "EnvironmentFile" {
			file = strings.TrimPrefix(s.Value, "-")
		}
		if !slices.Contains(files, file) && h.Exists(file) {
			files = append(files, file)
		}
	}
	return files
}

// User is whom a unit's program runs as; "" for root.
func (u *Unit) User() string {
	if user := u.Get("User"); user != "root" && user != "0" {
		return user
	}
	return ""
}

// Starts are the command lines of a unit.
func (u *Unit) Starts() (lines []Setting) {
	for _, s := range u.Settings {
		switch {
		case s.Key != "ExecStart":
		case s.Value == "": // what was said so far does not count
			lines = nil
		default:
			s.Value = strings.TrimLeft(s.Value, "@-:+!")
			lines = append(lines, s)
		}
	}
	return lines
}

// services gives what a unit starts.
func (h *Host) services(u *Unit) (services []Service) {
	vars := h.Variables(u)
	for _, line := range u.Starts() {
		services = append(services, Service{
			File: u.File, Files: h.FilesOf(u), User: u.User(), Dir: strings.TrimPrefix(u.Get("WorkingDirectory"), "-"), Words: expand(line.Value, vars),
		})
	}
	return services
}

// variables adds the assignments of a file such as those of /etc/default.
func (h *Host) variables(file string, vars map[string]string) {
	text, err := h.Read(file)
	if err != nil {
		return
	}
	for line := range strings.SplitSeq(strings.ReplaceAll(text, "\\\n", " "), "\n") {
		name, value, ok := strings.Cut(strings.TrimPrefix(strings.TrimSpace(line), "export "), "=")
		if !ok || !isName(name) {
			continue
		}
		vars[name] = unquoted(value, vars)
	}
}

// unquoted gives what an assignment of a shell assigns.
func unquoted(value string, vars map[string]string) string {
	value = strings.TrimSpace(value)
	if n := len(value); n >= 2 && value[0] == value[n-1] && (value[0] == '"' || value[0] == '\'') {
		if value[0] == '\'' {
			return value[1 : n-1]
		}
		value = value[1 : n-1]
	}
	return replace(value, vars)
}

// replace puts variables in their places.
func replace(text string, vars map[string]string) string {
	for name, value := range vars {
		text = strings.ReplaceAll(text, "${"+name+"}", value)
	}
	var b strings.Builder
	for {
		before, after, found := strings.Cut(text, "$")
		b.WriteString(before)
		if !found {
			return b.String()
		}
		n := 0
		for n < len(after) && isName(after[:n+1]) {
			n++
		}
		if value, known := vars[after[:n]]; known {
			b.WriteString(value)
		} else {
			b.WriteString("$" + after[:n])
		}
		text = after[n:]
	}
}

// expand gives the words of a command line, with its variables in their places,
// each of which may be several words.
func expand(line string, vars map[string]string) []string {
	words, _ := Words(replace(line, vars))
	if len(words) == 3 && words[1] == "-c" { // a shell's code
		words, _ = Words(words[2])
	}
	return words
}

// initScript gives the words of all assignments and calls of an init script, with
// its variables in their places: what of them is a flag is enough.
func (h *Host) initScript(text string) (words []string) {
	vars := make(map[string]string)
	for line := range strings.SplitSeq(text, "\n") {
		name, value, ok := strings.Cut(strings.TrimSpace(line), "=")
		if ok && isName(name) {
			vars[name] = unquoted(value, vars)
			words = append(words, expand(vars[name], nil)...)
		}
	}
	return words
}

// Flag gives the value of a flag in words, which is written as -name VALUE, or as
// --name=VALUE or -name=VALUE; the last one counts.
func Flag(words []string, names ...string) (value string, found bool) {
	all := Flags(words, names...)
	if len(all) == 0 {
		return "", false
	}
	return all[len(all)-1], true
}

// Flags is Flag for one that may be repeated: all that it is given.
func Flags(words []string, names ...string) (values []string) {
	for i, word := range words {
		for _, name := range names {
			if of, ok := strings.CutPrefix(word, name+"="); ok && len(name) > 2 {
				values = append(values, of)
			} else if word == name && i+1 < len(words) {
				values = append(values, words[i+1])
			}
		}
	}
	return values
}
