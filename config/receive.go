package config

import (
	"maps"
	"net"
	"strconv"
	"strings"
	"time"
)

// Receive is the section `receive`; nil is a receiver that is not configured.
// Two that are reflect.DeepEqual are the same.
type Receive struct {
	CoScale  *ReceiveCoScale
	StatsD   *ReceiveStatsD
	Collectd *ReceiveCollectd
}

// ReceiveCoScale is a receiver for clients of CoScale's API.
type ReceiveCoScale struct {
	AppID            string
	AccessTokensFile string // absolute; see ReadSecrets
	TTL              time.Duration
	// Listen are addresses of its own; empty: the web port.
	Listen    []string
	TLS       TLS
	MaxSeries int
	Labels    map[string]string
}

// TLS are the files that a listener of TLS needs; both or none.
type TLS struct{ CertFile, KeyFile string }

// ReceiveStatsD is a receiver for StatsD. An empty address is none.
type ReceiveStatsD struct {
	UDP, TCP      string
	Unixgram      string // absolute path of a socket
	MappingConfig string // absolute path; statsd_exporter's format
	TTL           time.Duration
	MaxSeries     int
	Labels        map[string]string
}

// ReceiveCollectd is a receiver for collectd.
type ReceiveCollectd struct {
	UDP           string // the binary protocol's address
	SecurityLevel string // none, sign or encrypt
	AuthFile      string // absolute; collectd's AuthFile
	TypesDB       []string
	HTTPPath      string // of write_http, on the web port
	Unixsock      string // absolute path of the socket that is polled
	Interval      time.Duration
	TTL           time.Duration // 0: two intervals of each value
	MaxSeries     int
	Labels        map[string]string
}

// DefaultTTL is how long a received series lives after its last mention
// (spec/configuration.md).
const DefaultTTL = 5 * time.Minute

func receive(c *Config) []key {
	r, g := &c.Receive, &c.Global
	return []key{
		{"coscale", receiver(c, "receive", &r.CoScale, receiveCoScale(g))},
		{"statsd", receiver(c, "receive", &r.StatsD, receiveStatsD(g))},
		{"collectd", receiver(c, "receive", &r.Collectd, receiveCollectd(g))},
	}
}

// receiver reads one receiver or upload of a section, and notes where it
// stands; what is wrong with it as a whole is told at its key.
func receiver[T any](c *Config, section string, into **T, read func(e *entry, f field) *T) take {
	return func(e *entry, f field) {
		c.At[section+"."+f.key] = Position{File: e.file, Line: f.line}
		e = e.inner(f.key)
		if f.value.kind != object && f.value.kind != null {
			e.fail(f.line, "write its keys and values beneath it, each as key: value", "is %s, not a map", f.value.kind)
			return
		}
		*into = read(e, f)
	}
}

// shown are the keys that every receiver has; g's labels stand under its own.
func shown(g *Global, maxSeries *int, labels *map[string]string) []key {
	*maxSeries, *labels = DefaultMaxSeries, maps.Clone(g.Labels)
	return []key{
		{"max_series", count(maxSeries)},
		{"labels", texts(labels, checkLabel)},
	}
}

func receiveCoScale(g *Global) func(*entry, field) *ReceiveCoScale {
	return func(e *entry, f field) *ReceiveCoScale {
		r := &ReceiveCoScale{TTL: DefaultTTL}
		e.object(f.value, append([]key{
			{"app_id", text(&r.AppID)},
			{"access_tokens_file", path(&r.AccessTokensFile)},
			{"ttl", duration(&r.TTL, time.Second)},
			{"listen", addresses(&r.Listen)},
			{"tls", section(tlsFiles(&r.TLS))},
		}, shown(g, &r.MaxSeries, &r.Labels)...))
		e.needs(f, "app_id", "write the id that the clients have")
		e.needs(f, "access_tokens_file", "name a file with one token in each line, not readable by others")
		e.both(f.value.get("tls"), "cert_file", "key_file")
		if f.value.get("listen") == nil && f.value.get("tls") != nil {
			e.fail(f.value.get("tls").line, "give listen: an address, or set up TLS in the file of --web.config.file", "tls is for addresses under listen")
		}
		if strings.ContainsAny(r.AppID, "/?#% ") {
			e.fail(f.value.get("app_id").line, "write the id alone", "app_id %q cannot be used in the path of a URL", r.AppID)
		}
		return r
	}
}

func tlsFiles(t *TLS) []key {
	return []key{{"cert_file", path(&t.CertFile)}, {"key_file", path(&t.KeyFile)}}
}

func receiveStatsD(g *Global) func(*entry, field) *ReceiveStatsD {
	return func(e *entry, f field) *ReceiveStatsD {
		r := &ReceiveStatsD{TTL: DefaultTTL}
		e.object(f.value, append([]key{
			{"udp", address(&r.UDP)},
			{"tcp", address(&r.TCP)},
			{"unixgram", path(&r.Unixgram)},
			{"mapping_config", path(&r.MappingConfig)},
			{"ttl", duration(&r.TTL, time.Second)},
		}, shown(g, &r.MaxSeries, &r.Labels)...))
		if f.value.get("udp") == nil && f.value.get("tcp") == nil && f.value.get("unixgram") == nil {
			e.fail(f.line, "give it a udp, tcp or unixgram", "listens nowhere")
		}
		return r
	}
}

func receiveCollectd(g *Global) func(*entry, field) *ReceiveCollectd {
	return func(e *entry, f field) *ReceiveCollectd {
		r := &ReceiveCollectd{SecurityLevel: "none", Interval: 10 * time.Second}
		e.object(f.value, append([]key{
			{"udp", address(&r.UDP)},
			{"security_level", word(&r.SecurityLevel, "none", "sign", "encrypt")},
			{"auth_file", path(&r.AuthFile)},
			{"types_db", paths(&r.TypesDB)},
			{"http_path", urlPath(&r.HTTPPath)},
			{"unixsock", path(&r.Unixsock)},
			{"interval", duration(&r.Interval, time.Second)},
			{"ttl", duration(&r.TTL, time.Second)},
		}, shown(g, &r.MaxSeries, &r.Labels)...))
		if f.value.get("udp") == nil && f.value.get("http_path") == nil && f.value.get("unixsock") == nil {
			e.fail(f.line, "give it a udp, http_path or unixsock", "listens nowhere")
		}
		if level := f.value.get("security_level"); level != nil && r.SecurityLevel != "none" && f.value.get("auth_file") == nil {
			e.fail(level.line, "name an auth_file", "security_level %s needs passwords", r.SecurityLevel)
		}
		return r
	}
}

// needs tells of a key that must be there.
func (e *entry) needs(f field, name, remedy string) {
	if f.value.get(name) == nil {
		e.fail(f.line, remedy, "has no %s", name)
	}
}

// both tells of one of two keys that stands without the other.
func (e *entry) both(f *field, one, other string) {
	if f == nil {
		return
	}
	for _, names := range [][2]string{{one, other}, {other, one}} {
		if f.value.get(names[0]) != nil && f.value.get(names[1]) == nil {
			e.fail(f.line, "give both, or neither", "%s has %s and no %s", f.key, names[0], names[1])
		}
	}
}

// address reads HOST:PORT. Without a host it is loopback: what is received is
// not from the whole world unless an address says so.
func address(into *string) take {
	return func(e *entry, f field) {
		s, ft := f.value.single()
		if ft == nil {
			s, ft = readAddress(s)
		}
		if ft != nil {
			e.fault(f, ft)
			return
		}
		*into = s
	}
}

func readAddress(s string) (string, *fault) {
	host, port, err := net.SplitHostPort(s)
	if err != nil {
		return "", faultf("write it like 127.0.0.1:8125", "%q is not an address", s)
	}
	if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
		return "", faultf("write a number from 1 to 65535", "%q has no such port", s)
	}
	if host == "" {
		host = "127.0.0.1"
	}
	return net.JoinHostPort(host, port), nil
}

func addresses(into *[]string) take {
	return items(into, func(_ *entry, s string) (string, *fault) { return readAddress(s) })
}

func paths(into *[]string) take {
	return items(into, func(e *entry, s string) (string, *fault) {
		if s == "" {
			return "", faultf("give it a value", "is empty")
		}
		return absolute(e.folder, s), nil
	})
}

// items reads a list of single values, or one alone.
func items(into *[]string, read func(e *entry, s string) (string, *fault)) take {
	return func(e *entry, f field) {
		all := []*value{f.value}
		if f.value.kind == list {
			all = f.value.items
		}
		for _, item := range all {
			s, ft := item.single()
			if ft == nil {
				s, ft = read(e, s)
			}
			if ft != nil {
				e.fail(item.line, ft.remedy, "%s %s", f.key, ft.problem)
				continue
			}
			*into = append(*into, s)
		}
	}
}

// urlPath reads the path of an endpoint.
func urlPath(into *string) take {
	return func(e *entry, f field) {
		var s string
		text(&s)(e, f)
		switch {
		case s == "":
		case !strings.HasPrefix(s, "/") || s == "/" || strings.HasSuffix(s, "/") || strings.ContainsAny(s, "{}?#% \t"):
			e.fault(f, faultf("write it like /collectd-post", "%q is not a plain path", s))
		default:
			*into = s
		}
	}
}
