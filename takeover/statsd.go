package takeover

import (
	"path"
	"strings"

	"scriptbridge/config"
	"scriptbridge/takeover/host"
)

// findStatsDExporter has the bridge listen where statsd_exporter listened, with its
// mapping file.
func findStatsDExporter(f *finding) {
	taken := false
	for _, s := range f.services("statsd_exporter", "statsd-exporter", "prometheus-statsd-exporter") {
		f.files = append(f.files, s.File)
		if !taken {
			f.statsdService(s)
		} else {
			f.skip(config.Position{File: s.File}, "the bridge has one receiver of StatsD")
		}
		taken = true
	}
	for _, file := range f.From["statsd_exporter"] {
		if _, ok := f.read(file); !ok {
			continue
		}
		if taken {
			f.skip(config.Position{File: file}, "the bridge has one receiver of StatsD")
			continue
		}
		taken = true
		e := f.add(statsd, config.Position{File: file})
		e.set("udp", config.TextValue("127.0.0.1:9125")).set("tcp", config.TextValue("127.0.0.1:9125")).setText("mapping_config", file)
	}
}

func (f *finding) statsdService(s host.Service) {
	e := f.add(statsd, config.Position{File: s.File})
	for _, listener := range [][2]string{{"udp", "--statsd.listen-udp"}, {"tcp", "--statsd.listen-tcp"}} {
		address, given := host.Flag(s.Words, listener[1])
		if !given {
			address = ":9125"
		}
		if address == "" {
			continue // none is wanted
		}
		if strings.HasPrefix(address, ":") {
			e.note("%s listened for all machines at %s; here an address without a host means this machine alone. For senders on others write 0.0.0.0%s.", listener[0], address, address)
		}
		e.set(listener[0], config.TextValue(address))
	}
	if socket, _ := host.Flag(s.Words, "--statsd.listen-unixgram"); socket != "" {
		e.setText("unixgram", socket)
	}
	if mapping, _ := host.Flag(s.Words, "--statsd.mapping-config"); mapping != "" {
		if !path.IsAbs(mapping) && s.Dir != "" {
			mapping = path.Join(s.Dir, mapping)
		}
		if !path.IsAbs(mapping) {
			e.refuse("the path %s of its mapping file is relative to a folder that is not known", mapping)
		}
		e.setText("mapping_config", mapping)
	}
	e.note("Stop statsd_exporter first: two programs cannot listen at one address.")
	if relay, _ := host.Flag(s.Words, "--statsd.relay.address"); relay != "" {
		f.skip(config.Position{File: s.File}, "--statsd.relay.address: the bridge does not relay")
	}
}
