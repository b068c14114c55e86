package takeover

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"scriptbridge/config"
	"scriptbridge/takeover/host"
)

// nrpe is what the files of NRPE say. It lets the last of several definitions
// count, of a setting as of a command.
type nrpe struct {
	*finding
	settings map[string]string
	commands []nrpeCommand
}

type nrpeCommand struct {
	at         config.Position
	name, line string
}

func findNRPE(f *finding) {
	known := []string{"/etc/nagios/nrpe.cfg", "/etc/nrpe.cfg", "/etc/nrpe/nrpe.cfg", "/etc/icinga/nrpe.cfg", "/usr/local/nagios/etc/nrpe.cfg", "/usr/local/etc/nrpe.cfg", "/usr/local/etc/nagios/nrpe.cfg"}
	user := ""
	for _, s := range f.services("nagios-nrpe-server", "nrpe", "nrped") {
		if file, ok := host.Flag(s.Words, "-c", "--config"); ok {
			known = append(known, file)
		}
		user = s.User
	}
	for _, file := range f.knownFiles(known...) {
		n := &nrpe{finding: f, settings: map[string]string{"nrpe_user": user}}
		n.file(file)
		last := make(map[string]config.Position)
		for _, c := range n.commands {
			last[c.name] = c.at
		}
		for _, c := range n.commands {
			if at := last[c.name]; at != c.at {
				f.skip(c.at, "command[%s] is defined again at %s", c.name, at)
				continue
			}
			n.command(c)
		}
		if n.settings["allowed_hosts"] != "" {
			f.skip(config.Position{File: file}, "allowed_hosts: who may ask for what is set by --web.config.file and --web.listen-address")
		}
	}
}

var nrpeDefinition = regexp.MustCompile(`^command\[([^\]]*)\]\s*$`)

func (n *nrpe) file(file string) {
	if tooDeep := n.include(file, n.lines); tooDeep {
		n.skip(config.Position{File: file}, "is included too deep")
	}
}

func (n *nrpe) lines(file, text string) {
	before := ""
	for i, line := range strings.Split(text, "\n") {
		line = before + strings.TrimSpace(line)
		if before = ""; strings.HasSuffix(line, `\`) && !strings.HasSuffix(line, `\\`) { // it goes on
			before = strings.TrimSuffix(line, `\`)
			continue
		}
		key, value, ok := strings.Cut(line, "=")
		if !ok || strings.HasPrefix(line, "#") {
			continue
		}
		at := config.Position{File: file, Line: i + 1}
		key, value = strings.TrimSpace(key), strings.TrimSpace(value)
		if m := nrpeDefinition.FindStringSubmatch(key); m != nil {
			n.commands = append(n.commands, nrpeCommand{at, m[1], value})
			continue
		}
		switch key {
		case "include", "include_file":
			if !n.Host.Exists(value) {
				n.skip(at, "%s: %s does not exist", key, value)
			}
			n.file(value)
		case "include_dir":
			n.folder(value, n.file)
		default:
			n.settings[key] = value
		}
	}
}

var argMacro = regexp.MustCompile(`\$ARG([0-9]+)\$`)

// command takes a definition over.
func (n *nrpe) command(c nrpeCommand) {
	line := c.line
	if prefix := n.settings["command_prefix"]; prefix != "" {
		line = prefix + " " + line
	}
	args := argMacro.FindAllString(line, -1)
	var e *entry
	switch {
	case len(args) > 0 && n.settings["dont_blame_nrpe"] == "1":
		e = n.withArguments(c, line)
	case len(args) > 0:
		e = n.shellScript(c.at, c.name, "nagios", line)
		e.refuse("it has %s, which NRPE only fills in with dont_blame_nrpe=1: write what is meant", args[0])
	default:
		e = n.shellScript(c.at, c.name, "nagios", line)
	}
	if seconds, err := strconv.Atoi(n.settings["command_timeout"]); err == nil && seconds > 0 {
		e.setDuration("timeout", time.Duration(seconds)*time.Second)
	}
	n.runAs(e, n.settings["nrpe_user"])
}

// withArguments takes over a command whose arguments the asker gives: a script that
// runs when it is probed.
func (n *nrpe) withArguments(c nrpeCommand, line string) *entry {
	words, plain := host.Words(argMacro.ReplaceAllString(line, "@@ARG$1@@"))
	if !plain {
		e := n.shellScript(c.at, c.name, "nagios", line)
		return e.refuse("its arguments would become a part of a shell's code: move the code into a script, and give it {arg1}")
	}
	var numbers []string
	for i, word := range words {
		words[i] = regexp.MustCompile(`@@ARG([0-9]+)@@`).ReplaceAllStringFunc(word, func(macro string) string {
			number := strings.Trim(macro, "@ARG")
			if !slices.Contains(numbers, number) {
				numbers = append(numbers, number)
			}
			return "{arg" + number + "}"
		})
	}
	e := n.script(c.at, c.name, "nagios", words)
	parameters := config.MapValue()
	for _, number := range numbers {
		parameters.Add("arg"+number, mapOf("pattern", config.TextValue(argumentPattern)))
	}
	e.set("probe", config.BareValue("true")).set("parameters", parameters)
	query := ""
	for _, number := range numbers {
		query += fmt.Sprintf("&arg%s=…", number)
	}
	return e.note("The asker gives its arguments, so it runs when it is probed: /probe?script=%s%s. Keep the patterns as narrow as they can be.", nameMark, query)
}

// argumentPattern is what an argument may be: nothing that NRPE calls a nasty
// character.
const argumentPattern = `[A-Za-z0-9_.,:/%@=+-]+`
