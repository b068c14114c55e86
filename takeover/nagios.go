package takeover

import (
	"fmt"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"scriptbridge/config"
	"scriptbridge/internal/texts"
)

// nagios is what the files of Nagios, Icinga 1 or Naemon define.
type nagios struct {
	*finding
	macros    map[string]string // $USERn$
	user      string
	minute    float64 // seconds of a unit of time
	commands  map[string]nagiosObject
	hosts     map[string]nagiosObject
	groups    map[string]nagiosObject // of hosts
	templates map[string]nagiosObject // by type and name
	services  []nagiosObject
}

// nagiosObject is one definition.
type nagiosObject struct {
	at   config.Position
	kind string
	keys map[string]string
}

// findNagios takes over the services of hosts that are named one by one, with the
// command lines that their macros come to.
func findNagios(f *finding) {
	n := &nagios{
		finding: f, macros: make(map[string]string), minute: 60,
		commands: make(map[string]nagiosObject), hosts: make(map[string]nagiosObject), groups: make(map[string]nagiosObject), templates: make(map[string]nagiosObject),
	}
	for _, file := range f.knownFiles("/etc/nagios4/nagios.cfg", "/etc/nagios3/nagios.cfg", "/etc/nagios/nagios.cfg", "/usr/local/nagios/etc/nagios.cfg", "/etc/icinga/icinga.cfg", "/etc/naemon/naemon.cfg") {
		n.file(file)
	}
	used := make(map[string]bool)
	for _, s := range n.services {
		n.service(s, used)
	}
	for _, name := range sortedKeysOf(n.commands) {
		if c := n.commands[name]; !used[name] && strings.Contains(c.keys["command_line"], "$ARG") {
			n.skip(c.at, "command %s: no service that is taken over gives it arguments", name)
		}
	}
}

func sortedKeysOf(m map[string]nagiosObject) []string {
	all := make(map[string]any, len(m))
	for key := range m {
		all[key] = nil
	}
	return sortedKeys(all)
}

var nagiosBegin = regexp.MustCompile(`^define\s+(\w+)\s*\{\s*(.*)$`)

// file reads a file of settings, or of objects.
func (n *nagios) file(file string) { n.include(file, n.lines) }

func (n *nagios) lines(file, text string) {
	var o *nagiosObject
	for i, line := range strings.Split(text, "\n") {
		line = strings.TrimSpace(line)
		if before, _, found := strings.Cut(line, ";"); found && o != nil {
			line = strings.TrimSpace(before)
		}
		if line == "" || line[0] == '#' || line[0] == ';' {
			continue
		}
		switch m := nagiosBegin.FindStringSubmatch(line); {
		case m != nil:
			o = &nagiosObject{at: config.Position{File: file, Line: i + 1}, kind: m[1], keys: make(map[string]string)}
		case o != nil && line == "}":
			n.define(*o)
			o = nil
		case o != nil:
			if at := strings.IndexAny(line, " \t"); at > 0 {
				o.keys[line[:at]] = strings.TrimSpace(line[at:])
			}
		default:
			n.setting(config.Position{File: file, Line: i + 1}, line)
		}
	}
}

// setting reads a line outside of objects.
func (n *nagios) setting(at config.Position, line string) {
	key, value, ok := strings.Cut(line, "=")
	if !ok {
		return
	}
	key, value = strings.TrimSpace(key), strings.TrimSpace(value)
	if !path.IsAbs(value) && (strings.HasPrefix(key, "cfg_") || key == "resource_file") {
		value = path.Join(path.Dir(at.File), value)
	}
	switch {
	case key == "cfg_file" || key == "resource_file":
		n.file(value)
	case key == "cfg_dir":
		n.folder(value, n.file)
	case key == "interval_length":
		if s, err := strconv.ParseFloat(value, 64); err == nil && s > 0 {
			n.minute = s
		}
	case key == "nagios_user" || key == "icinga_user" || key == "naemon_user":
		n.user = value
	case strings.HasPrefix(key, "$USER"):
		n.macros[strings.Trim(key, "$")] = value
	}
}

func (n *nagios) define(o nagiosObject) {
	if name := o.keys["name"]; name != "" {
		n.templates[o.kind+" "+name] = o
	}
	switch o.kind {
	case "command":
		n.commands[o.keys["command_name"]] = o
	case "host":
		if name := o.keys["host_name"]; name != "" && o.keys["register"] != "0" {
			n.hosts[name] = o
		}
	case "hostgroup":
		n.groups[o.keys["hostgroup_name"]] = o
	case "service":
		if o.keys["register"] != "0" {
			n.services = append(n.services, o)
		}
	}
}

// get gives a key of an object, from the templates that it uses where it has none
// itself.
func (n *nagios) get(o nagiosObject, key string, depth int) string {
	if value, ok := o.keys[key]; ok || depth > maxIncludes {
		return value
	}
	for name := range strings.SplitSeq(o.keys["use"], ",") {
		if t, ok := n.templates[o.kind+" "+strings.TrimSpace(name)]; ok {
			if value := n.get(t, key, depth+1); value != "" {
				return value
			}
		}
	}
	return ""
}

// service takes a service over, once for each of its hosts.
func (n *nagios) service(s nagiosObject, used map[string]bool) {
	description, check := n.get(s, "service_description", 0), n.get(s, "check_command", 0)
	if n.get(s, "active_checks_enabled", 0) == "0" {
		n.skip(s.at, "service %q: it is checked by what others send", description)
		return
	}
	args := strings.Split(check, "!")
	c, ok := n.commands[args[0]]
	if !ok {
		n.skip(s.at, "service %q: there is no command %q", description, args[0])
		return
	}
	hosts := n.hostsOf(s)
	if len(hosts) == 0 {
		n.skip(s.at, "service %q: none of its hosts is found", description)
	}
	for _, host := range hosts {
		used[args[0]] = true
		line, missing := n.expand(c.keys["command_line"], s, host, args)
		e := n.shellScript(s.at, host+"-"+strings.Join(strings.Fields(description), "_"), "nagios", line)
		e.what = fmt.Sprintf("service %q of %s", description, host)
		if missing != "" {
			e.refuse("the macro %s has no value here", missing)
		}
		every := n.get(s, "check_interval", 0)
		if every == "" {
			every = n.get(s, "normal_check_interval", 0)
		}
		if x, err := strconv.ParseFloat(every, 64); err == nil && x > 0 && x < 1e6 {
			e.setDuration("interval", max(time.Duration(x*n.minute*float64(time.Second)), time.Second))
		}
		e.set("labels", mapOf("host", config.TextValue(host)))
		n.runAs(e, n.user)
		e.note("command %s is defined at %s.", args[0], c.at)
	}
}

// names gives the names in a list.
func names(list string) (all []string) {
	for name := range strings.SplitSeq(list, ",") {
		if name = strings.TrimSpace(name); name != "" {
			all = append(all, name)
		}
	}
	return all
}

// hostsOf gives the hosts of a service: those that it names, and those of its
// groups, but for those behind a !.
func (n *nagios) hostsOf(s nagiosObject) (hosts []string) {
	var not []string
	for _, name := range names(n.get(s, "host_name", 0)) {
		switch {
		case name == "*":
			hosts = append(hosts, sortedKeysOf(n.hosts)...)
		case name[0] == '!':
			not = append(not, name[1:])
		default:
			hosts = append(hosts, name)
		}
	}
	for _, group := range names(n.get(s, "hostgroup_name", 0)) {
		if without, ok := strings.CutPrefix(group, "!"); ok {
			not = append(not, n.members(without, 0)...)
		} else if group == "*" {
			hosts = append(hosts, sortedKeysOf(n.hosts)...)
		} else {
			hosts = append(hosts, n.members(group, 0)...)
		}
	}
	seen := make(map[string]bool)
	return slices.DeleteFunc(hosts, func(host string) bool {
		again := seen[host]
		seen[host] = true
		return again || slices.Contains(not, host)
	})
}

// members gives the hosts of a group.
func (n *nagios) members(group string, depth int) (hosts []string) {
	if depth > maxIncludes {
		return nil
	}
	g := n.groups[group]
	for _, host := range names(g.keys["members"]) {
		if host == "*" {
			hosts = append(hosts, sortedKeysOf(n.hosts)...)
		} else {
			hosts = append(hosts, host)
		}
	}
	for _, inner := range names(g.keys["hostgroup_members"]) {
		hosts = append(hosts, n.members(inner, depth+1)...)
	}
	for _, host := range sortedKeysOf(n.hosts) {
		of := strings.TrimPrefix(n.get(n.hosts[host], "hostgroups", 0), "+")
		if slices.Contains(names(of), group) {
			hosts = append(hosts, host)
		}
	}
	return hosts
}

var nagiosMacro = regexp.MustCompile(`\$([A-Za-z0-9_]*)\$`)

// expand puts macros into a command line, and names one that has no value.
func (n *nagios) expand(line string, s nagiosObject, host string, args []string) (expanded, missing string) {
	h := n.hosts[host]
	expanded = nagiosMacro.ReplaceAllStringFunc(line, func(macro string) string {
		name := strings.Trim(macro, "$")
		number, err := strconv.Atoi(strings.TrimPrefix(name, "ARG"))
		switch {
		case name == "":
			return "$"
		case strings.HasPrefix(name, "ARG") && err == nil:
			if number < 1 || number >= len(args) {
				return ""
			}
			inner, without := n.expand(args[number], nagiosObject{kind: s.kind, keys: s.keys}, host, nil)
			if without != "" {
				missing = without
			}
			return inner
		}
		if value, ok := n.macro(name, s, h, host); ok {
			return value
		}
		missing = macro
		return macro
	})
	return expanded, missing
}

// macro gives the value of a macro that is none of the command's arguments.
func (n *nagios) macro(name string, s, h nagiosObject, host string) (string, bool) {
	value := n.macros[name]
	if value != "" && n.Hide && name != "USER1" { // the first is the folder of plugins, the others are passwords
		return texts.Hidden, true
	}
	switch name {
	case "HOSTNAME":
		return host, true
	case "HOSTADDRESS":
		value = n.get(h, "address", 0)
		if value == "" && h.keys != nil {
			value = host // as Nagios does
		}
	case "HOSTALIAS":
		value = n.get(h, "alias", 0)
	case "SERVICEDESC":
		value = n.get(s, "service_description", 0)
	default:
		if of, ok := strings.CutPrefix(name, "_HOST"); ok {
			value = n.custom(h, of)
		} else if of, ok := strings.CutPrefix(name, "_SERVICE"); ok {
			value = n.custom(s, of)
		}
	}
	return value, value != ""
}

// custom gives a variable of an object's own, whose case does not count.
func (n *nagios) custom(o nagiosObject, name string) string {
	for key := range o.keys {
		if strings.EqualFold(key, "_"+name) {
			return o.keys[key]
		}
	}
	return n.get(o, "_"+name, 0)
}
