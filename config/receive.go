package config

import (
	"maps"
	"net"
	"strconv"
	"strings"
	"time"

	"scriptbridge/config/internal/yamltree"
	"scriptbridge/internal/fsx"
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
func receiver[T any](c *Config, section string, into **T, read func(e *entry, f yamltree.Field) *T) take {
	return func(e *entry, f yamltree.Field) {
		c.At[section+"."+f.Key] = Position{File: e.file, Line: f.Line}
		e = e.inner(f.Key)
		if f.Value.Kind != yamltree.Map && f.Value.Kind != yamltree.Null {
			e.fail(f.Line, "write its keys and values beneath it, each as key: value", "is %s, not a map", f.Value.Kind)
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

func receiveCoScale(g *Global) func(*entry, yamltree.Field) *ReceiveCoScale {
	return func(e *entry, f yamltree.Field) *ReceiveCoScale {
		r := &ReceiveCoScale{TTL: DefaultTTL}
		e.object(f.Value, append([]key{
			{"app_id", text(&r.AppID)},
			{"access_tokens_file", path(&r.AccessTokensFile)},
			{"ttl", duration(&r.TTL, time.Second)},
			{"listen", addresses(&r.Listen)},
			{"tls", section(tlsFiles(&r.TLS))},
		}, shown(g, &r.MaxSeries, &r.Labels)...))
		e.needs(f, "app_id", "write the id that the clients have")
		e.needs(f, "access_tokens_file", "name a file with one token in each line, not readable by others")
		e.both(f.Value.Get("tls"), "cert_file", "key_file")
		if f.Value.Get("listen") == nil && f.Value.Get("tls") != nil {
			e.fail(f.Value.Get("tls").Line, "give listen: an address, or set up TLS in the file of --web.config.file", "tls is for addresses under listen")
		}
		if strings.ContainsAny(r.AppID, "/?#% ") {
			e.fail(f.Value.Get("app_id").Line, "write the id alone", "app_id %q cannot be used in the path of a URL", r.AppID)
		}
		return r
	}
}

func tlsFiles(t *TLS) []key {
	return []key{{"cert_file", path(&t.CertFile)}, {"key_file", path(&t.KeyFile)}}
}

func receiveStatsD(g *Global) func(*entry, yamltree.Field) *ReceiveStatsD {
	return func(e *entry, f yamltree.Field) *ReceiveStatsD {
		r := &ReceiveStatsD{TTL: DefaultTTL}
		e.object(f.Value, append([]key{
			{"udp", address(&r.UDP)},
			{"tcp", address(&r.TCP)},
			{"unixgram", path(&r.Unixgram)},
			{"mapping_config", path(&r.MappingConfig)},
			{"ttl", duration(&r.TTL, time.Second)},
		}, shown(g, &r.MaxSeries, &r.Labels)...))
		if f.Value.Get("udp") == nil && f.Value.Get("tcp") == nil && f.Value.Get("unixgram") == nil {
			e.fail(f.Line, "give it a udp, tcp or unixgram", "listens nowhere")
		}
		return r
	}
}

func receiveCollectd(g *Global) func(*entry, yamltree.Field) *ReceiveCollectd {
	return func(e *entry, f yamltree.Field) *ReceiveCollectd {
		r := &ReceiveCollectd{SecurityLevel: "none", Interval: 10 * time.Second}
		e.object(f.Value, append([]key{
			{"udp", address(&r.UDP)},
			{"security_level", word(&r.SecurityLevel, "none", "sign", "encrypt")},
			{"auth_file", path(&r.AuthFile)},
			{"types_db", paths(&r.TypesDB)},
			{"http_path", urlPath(&r.HTTPPath)},
			{"unixsock", path(&r.Unixsock)},
			{"interval", duration(&r.Interval, time.Second)},
			{"ttl", duration(&r.TTL, time.Second)},
		}, shown(g, &r.MaxSeries, &r.Labels)...))
		if f.Value.Get("udp") == nil && f.Value.Get("http_path") == nil && f.Value.Get("unixsock") == nil {
			e.fail(f.Line, "give it a udp, http_path or unixsock", "listens nowhere")
		}
		if level := f.Value.Get("security_level"); level != nil && r.SecurityLevel != "none" && f.Value.Get("auth_file") == nil {
			e.fail(level.Line, "name an auth_file", "security_level %s needs passwords", r.SecurityLevel)
		}
		return r
	}
}

// needs tells of a key that must be there.
func (e *entry) needs(f yamltree.Field, name, remedy string) {
	if f.Value.Get(name) == nil {
		e.fail(f.Line, remedy, "has no %s", name)
	}
}

// both tells of one of two keys that stands without the other.
func (e *entry) both(f *yamltree.Field, one, other string) {
	if f == nil {
		return
	}
	for _, names := range [][2]string{{one, other}, {other, one}} {
		if f.Value.Get(names[0]) != nil && f.Value.Get(names[1]) == nil {
			e.fail(f.Line, "give both, or neither", "%s has %s and no %s", f.Key, names[0], names[1])
		}
	}
}

// address reads HOST:PORT. Without a host it is loopback: what is received is
// not from the whole world unless an address says so.
func address(into *string) take {
	return func(e *entry, f yamltree.Field) {
		s, ft := f.Value.Single()
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

func readAddress(s string) (string, *yamltree.Problem) {
	host, port, err := net.SplitHostPort(s)
	if err != nil {
		return "", yamltree.Problemf("write it like 127.0.0.1:8125", "%q is not an address", s)
	}
	if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
		return "", yamltree.Problemf("write a number from 1 to 65535", "%q has no such port", s)
	}
	if host == "" {
		host = "127.0.0.1"
	}
	return net.JoinHostPort(host, port), nil
}

func addresses(into *[]string) take {
	return items(into, func(_ *entry, s string) (string, *yamltree.Problem) { return readAddress(s) })
}

func paths(into *[]string) take {
	return items(into, func(e *entry, s string) (string, *yamltree.Problem) {
		if s == "" {
			return "", yamltree.Problemf("give it a value", "is empty")
		}
		return fsx.Absolute(e.folder, s), nil
	})
}

// items reads a list of single values, or one alone.
func items(into *[]string, read func(e *entry, s string) (string, *yamltree.Problem)) take {
	return func(e *entry, f yamltree.Field) {
		all := []*yamltree.Value{f.Value}
		if f.Value.Kind == yamltree.List {
			all = f.Value.Items
		}
		for _, item := range all {
			s, ft := item.Single()
			if ft == nil {
				s, ft = read(e, s)
			}
			if ft != nil {
				e.fail(item.Line, ft.Remedy, "%s %s", f.Key, ft.Text)
				continue
			}
			*into = append(*into, s)
		}
	}
}

// urlPath reads the path of an endpoint.
func urlPath(into *string) take {
	return func(e *entry, f yamltree.Field) {
		var s string
		text(&s)(e, f)
		switch {
		case s == "":
		case !strings.HasPrefix(s, "/") || s == "/" || strings.HasSuffix(s, "/") || strings.ContainsAny(s, "{}?#% \t"):
			e.fault(f, yamltree.Problemf("write it like /collectd-post", "%q is not a plain path", s))
		default:
			*into = s
		}
	}
}
