package takeover

import (
	"net"
	"net/url"
	"path"
	"strings"

	"scriptbridge/config"
	"scriptbridge/takeover/host"
)

// collectdFile is what the files of a collectd say of what leaves it.
type collectdFile struct {
	*finding
	blocks []string // open ones, such as "Plugin network"
	udp    []collectdAddress
	posts  []collectdAddress
	types  []string
	socket collectdAddress
	first  config.Position
}

type collectdAddress struct {
	at      config.Position
	address string
	listens bool
	// Of the plugin network: its SecurityLevel, and the file with its passwords.
	level, auth string
}

// findCollectd has the bridge receive what a collectd sends to its own machine.
func findCollectd(f *finding) {
	for _, file := range f.knownFiles("/etc/collectd/collectd.conf", "/etc/collectd.conf", "/opt/collectd/etc/collectd.conf", "/usr/local/etc/collectd.conf") {
		c := &collectdFile{finding: f, first: config.Position{File: file}}
		c.file(file)
		c.takeOver()
	}
}

func (c *collectdFile) file(file string) { c.include(file, c.lines) }

func (c *collectdFile) lines(file, text string) {
	for i, line := range strings.Split(text, "\n") {
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' {
			continue
		}
		if inner, ok := strings.CutPrefix(line, "<"); ok {
			c.block(config.Position{File: file, Line: i + 1}, strings.TrimSuffix(strings.TrimSpace(inner), ">"))
			continue
		}
		if words, _ := host.Words(line); len(words) > 0 {
			c.option(config.Position{File: file, Line: i + 1}, strings.ToLower(words[0]), words[1:])
		}
	}
}

// block opens or closes one.
func (c *collectdFile) block(at config.Position, text string) {
	if strings.HasPrefix(text, "/") {
		if n := len(c.blocks); n > 0 {
			c.blocks = c.blocks[:n-1]
		}
		return
	}
	words, _ := host.Words(text)
	if len(words) == 0 {
		return
	}
	words[0] = strings.ToLower(words[0])
	c.blocks = append(c.blocks, strings.Join(words[:min(2, len(words))], " "))
	if words[0] == "include" && len(words) > 1 { // with a Filter, which is *.conf everywhere
		c.includeAll(words[1], "*.conf")
	}
	switch in := strings.Join(c.blocks, "/"); {
	case words[0] == "server" && strings.HasPrefix(in, "plugin network/"):
		c.network(at, words[1:], false)
	case words[0] == "listen" && strings.HasPrefix(in, "plugin network/"):
		c.network(at, words[1:], true)
	case words[0] == "url" && strings.HasPrefix(in, "plugin write_http/") && len(words) > 1: // of old versions
		c.post(at, words[1])
	}
}

// includeAll reads the files that a pattern matches, or those of a folder.
func (c *collectdFile) includeAll(pattern, inFolder string) {
	if c.Host.IsFolder(pattern) {
		pattern = path.Join(pattern, inFolder)
	}
	for _, file := range c.Host.Glob(pattern) {
		if is, _ := c.Host.IsFile(file); is {
			c.file(file)
		}
	}
}

// network notes an address of the plugin network.
func (c *collectdFile) network(at config.Position, words []string, listens bool) {
	if len(words) == 0 {
		return
	}
	port := "25826"
	if len(words) > 1 {
		port = words[1]
	}
	c.udp = append(c.udp, collectdAddress{at: at, address: net.JoinHostPort(words[0], port), listens: listens})
}

func (c *collectdFile) post(at config.Position, address string) {
	c.posts = append(c.posts, collectdAddress{at: at, address: address})
}

// option reads one option, wherever it stands.
func (c *collectdFile) option(at config.Position, key string, values []string) {
	if len(values) == 0 {
		return
	}
	block := ""
	if len(c.blocks) > 0 {
		block = c.blocks[0]
	}
	switch {
	case block == "" && key == "include":
		c.includeAll(values[0], "*")
	case block == "" && key == "typesdb":
		c.types = append(c.types, values...)
	case block == "plugin network":
		c.networkOption(at, key, values)
	case block == "plugin write_http" && key == "url":
		c.post(at, values[0])
	case block == "plugin unixsock" && key == "socketfile":
		c.socket = collectdAddress{at: at, address: values[0]}
	case block == "plugin exec" && (key == "exec" || key == "notificationexec"):
		c.skip(at, "plugin exec: %s speaks collectd's own protocol (PUTVAL, PUTNOTIF): leave it to collectd, which sends what it prints", strings.Join(values[1:min(2, len(values))], ""))
	}
}

func (c *collectdFile) networkOption(at config.Position, key string, values []string) {
	inner := c.blocks[len(c.blocks)-1]
	switch {
	case key == "server" || key == "listen":
		c.network(at, values, key == "listen")
	case len(c.udp) == 0: // what follows is of the address whose block it stands in
	case key == "securitylevel":
		c.udp[len(c.udp)-1].level = strings.ToLower(values[0])
	case key == "authfile":
		c.udp[len(c.udp)-1].auth = values[0]
	case key == "password" && strings.HasPrefix(inner, "server"):
		c.skip(at, "the password is not copied: for signed or encrypted packets write a file with USER: PASSWORD and mode 0600, and name it under auth_file, with security_level")
	}
}

// takeOver makes the receiver.
func (c *collectdFile) takeOver() {
	e := &entry{section: collectd, at: c.first, value: config.MapValue()}
	c.takeUDP(e)
	c.takePosts(e)
	switch {
	case c.socket.address == "":
	case len(e.value.Fields) > 0:
		c.skip(c.socket.at, "SocketFile: it answers with what collectd sends already")
	default:
		e.at = c.socket.at
		e.setText("unixsock", c.socket.address)
		e.note("collectd answers on this socket with rates, where packets have counters.")
	}
	if len(e.value.Fields) == 0 {
		c.skip(c.first, "it sends nothing to this machine: have its plugin network send to 127.0.0.1, and set receive: {collectd: {udp: \"127.0.0.1:25826\"}}")
		return
	}
	var types []string
	for _, file := range c.types {
		if c.Host.Exists(file) {
			types = append(types, file)
		} else {
			c.skip(c.first, "TypesDB %s does not exist", file)
		}
	}
	if len(types) > 0 && (len(types) > 1 || types[0] != "/usr/share/collectd/types.db") {
		e.set("types_db", config.ListValue(types))
	}
	for _, f := range c.entries {
		if f.section == collectd {
			e.refuse("the bridge has one receiver of collectd")
		}
	}
	c.entries = append(c.entries, e)
}

// takeUDP takes over one address that is this machine's: one that collectd sends
// to, itself rather than a group, and only then one at which it listens, since the
// bridge would take its place.
func (c *collectdFile) takeUDP(e *entry) {
	chosen := -1
	for _, suits := range []func(a *collectdAddress) bool{
		func(a *collectdAddress) bool { return !a.listens && isLoopback(a.address) },
		func(a *collectdAddress) bool { return !a.listens && isGroup(a.address) },
		func(a *collectdAddress) bool { return a.listens },
	} {
		for i := range c.udp {
			if chosen < 0 && suits(&c.udp[i]) {
				chosen = i
			}
		}
	}
	for i, a := range c.udp {
		switch {
		case chosen == i:
			c.takeAddress(e, a)
		case a.listens:
			c.skip(a.at, "Listen %s: the bridge listens at one address", a.address)
		case isLoopback(a.address) || isGroup(a.address):
			c.skip(a.at, "Server %s: the bridge listens at one address", a.address)
		default:
			c.skip(a.at, "Server %s: it sends to another machine; have it send to 127.0.0.1 too", a.address)
		}
	}
}

func (c *collectdFile) takeAddress(e *entry, a collectdAddress) {
	e.at = a.at
	e.setText("udp", a.address)
	if a.listens {
		e.note("collectd listens here itself: the bridge takes its place, so that it has to be stopped, or moved.")
	}
	secured := a.level == "sign" || a.level == "encrypt"
	switch {
	case a.auth != "":
		e.setText("auth_file", a.auth)
		if secured {
			e.setText("security_level", a.level)
		}
	case secured:
		e.note("Its packets have SecurityLevel %s: they need auth_file here, a file with lines of USER: PASSWORD.", a.level)
	}
}

// takePosts takes over a path that write_http posts to.
func (c *collectdFile) takePosts(e *entry) {
	for _, p := range c.posts {
		u, err := url.Parse(p.address)
		switch {
		case err != nil || u.Host == "":
			c.skip(p.at, "URL: %q is no URL", p.address)
		case !config.IsLoopback(u.Hostname()):
			c.skip(p.at, "URL: it posts to another machine (%s)", u.Host)
		case e.value.Get("http_path") != nil:
			c.skip(p.at, "URL: the bridge has one path for write_http")
		default:
			e.setText("http_path", u.Path)
			e.note("write_http posts to %s (%s): have it post to the bridge's own port, with StoreRates false. The path needs users in --web.config.file, or a web listener on loopback.", u.Host, p.at)
			if len(e.value.Fields) == 1 {
				e.at = p.at
			}
		}
	}
}

// isLoopback reports whether an address is this machine's own.
func isLoopback(address string) bool {
	name, _, err := net.SplitHostPort(address)
	return err == nil && config.IsLoopback(name)
}

// isGroup reports whether an address is that of a multicast group.
func isGroup(address string) bool {
	name, _, err := net.SplitHostPort(address)
	ip := net.ParseIP(name)
	return err == nil && ip != nil && ip.IsMulticast()
}
