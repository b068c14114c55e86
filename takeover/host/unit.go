package host

import (
	"path"
	"slices"
	"strings"
)

// Service is how a machine starts a program.
type Service struct {
	File  string   // that says so
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
		for _, folder := range unitFolders {
			file := path.Join(folder, name+".service")
			if text, err := h.Read(file); err == nil {
				services = append(services, h.unit(file, text+h.dropIns(name))...)
				break
			}
		}
		file := path.Join("/etc/init.d", name)
		if text, err := h.Read(file); err == nil {
			services = append(services, Service{File: file, Words: h.initScript(text)})
		}
	}
	return services
}

// dropIns gives the texts that change a unit, those of vendors first.
func (h *Host) dropIns(name string) (text string) {
	for _, folder := range slices.Backward(unitFolders) {
		for _, file := range h.Files(path.Join(folder, name+".service.d"), "*.conf") {
			if part, err := h.Read(file); err == nil {
				text += "\n" + part
			}
		}
	}
	return text
}

// unit reads a unit.
func (h *Host) unit(file, text string) (services []Service) {
	vars := make(map[string]string)
	s := Service{File: file}
	var lines []string
	for line := range strings.SplitSeq(strings.ReplaceAll(text, "\\\n", " "), "\n") {
		key, value, ok := strings.Cut(strings.TrimSpace(line), "=")
		if !ok || strings.HasPrefix(key, "#") || strings.HasPrefix(key, ";") {
			continue
		}
		value = strings.TrimSpace(value)
		switch strings.TrimSpace(key) {
		case "User":
			s.User = value
		case "WorkingDirectory":
			s.Dir = strings.TrimPrefix(value, "-")
		case "Environment":
			words, _ := Words(value)
			for _, word := range words {
				if name, of, ok := strings.Cut(word, "="); ok {
					vars[name] = of
				}
			}
		case "EnvironmentFile":
			h.variables(strings.TrimPrefix(value, "-"), vars)
		case "ExecStart":
			if value == "" { // what was said so far does not count
				lines = nil
				continue
			}
			lines = append(lines, strings.TrimLeft(value, "@-:+!"))
		}
	}
	if s.User == "root" {
		s.User = ""
	}
	for _, line := range lines {
		s.Words = expand(line, vars)
		services = append(services, s)
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
	for i, word := range words {
		for _, name := range names {
			if of, ok := strings.CutPrefix(word, name+"="); ok && len(name) > 2 {
				value, found = of, true
			} else if word == name && i+1 < len(words) {
				value, found = words[i+1], true
			}
		}
	}
	return value, found
}
