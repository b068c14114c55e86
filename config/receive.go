package config

import (
	"maps"
	"runtime"
	"strings"
	"time"

	"scriptbridge/config/internal/yamltree"
)

// Receive is the section `receive`; nil is a receiver that is not configured.
// Two that are reflect.DeepEqual are the same.
type Receive struct {
	CoScale  *ReceiveCoScale  `yaml:"coscale" doc:"clients of CoScale's API"`
	StatsD   *ReceiveStatsD   `yaml:"statsd" doc:"StatsD and DogStatsD"`
	Collectd *ReceiveCollectd `yaml:"collectd" doc:"collectd"`
	// DropTexts is Global's.
	DropTexts bool
}

// ReceiveCoScale is a receiver for clients of CoScale's API.
type ReceiveCoScale struct {
	AppID            string        `yaml:"app_id" aka:"application_id" required:"write the id that the clients have" doc:"the application's id that the clients have"`
	AccessTokensFile string        `yaml:"access_tokens_file" aka:"tokens token access_tokens access_token_file" format:"secret file" required:"name a file with one token in each line, not readable by others" doc:"a file with one access token per line, each of at least 16 characters, not readable by others; a reload notices changes in it"` // see ReadSecrets
	TTL              time.Duration `yaml:"ttl" default:"5m" min:"1s" doc:"how long a series stays after its last value was received"`
	// Listen are addresses of its own; empty: the web port.
	Listen    []string          `yaml:"listen" aka:"address listen_address port" format:"address" unset:"the web port" doc:"one or several separate addresses that serve only the API. Some clients can only reach port 80 or 443. The web port cannot be used when '--web.config.file' has users, because the clients cannot log in there"`
	TLS       TLS               `yaml:"tls"`
	MaxSeries int               `yaml:"max_series" default:"10000" min:"1" doc:"series beyond this number are refused and counted"`
	Labels    map[string]string `yaml:"labels" format:"label" doc:"on every series of the receiver; they override those of 'global'"`
}

// TLS are the files that a listener of TLS needs; both or none.
type TLS struct {
	CertFile string `yaml:"cert_file" format:"file" doc:"the certificate, for 'listen'"`
	KeyFile  string `yaml:"key_file" format:"secret file" doc:"its key"`
}

// ReceiveStatsD is a receiver for StatsD. An empty address is none.
type ReceiveStatsD struct {
	UDP           string            `yaml:"udp" aka:"listen address listen_address port" format:"address" doc:"an address"`
	TCP           string            `yaml:"tcp" format:"address" doc:"an address"`
	Unixgram      string            `yaml:"unixgram" format:"path" doc:"the path of a Unix datagram socket; any user who can reach the path can write to it (not on Windows)"`
	MappingConfig string            `yaml:"mapping_config" aka:"mapping mapping_file" format:"file" doc:"a mapping file of statsd_exporter; a reload notices changes in it"`
	TTL           time.Duration     `yaml:"ttl" default:"5m" min:"1s" doc:"how long a series stays after its last value was received"`
	MaxSeries     int               `yaml:"max_series" default:"10000" min:"1" doc:"series beyond this number are refused and counted"`
	Labels        map[string]string `yaml:"labels" format:"label" doc:"on every series of the receiver; they override those of 'global'"`
}

// ReceiveCollectd is a receiver for collectd.
type ReceiveCollectd struct {
	UDP           string            `yaml:"udp" aka:"listen address listen_address port" format:"address" doc:"an address for collectd's binary protocol"`
	SecurityLevel string            `yaml:"security_level" default:"none" words:"none sign encrypt" doc:"'sign' accepts only signed or encrypted packets, 'encrypt' only encrypted ones"`
	AuthFile      string            `yaml:"auth_file" format:"secret file" doc:"collectd's file of users and passwords, for signed and encrypted packets"`
	TypesDB       []string          `yaml:"types_db" format:"file" unset:"'/usr/share/collectd/types.db', if it exists" doc:"one or several files that declare collectd's types"`
	HTTPPath      string            `yaml:"http_path" format:"url path" doc:"a path on the web port for 'write_http'; it needs users in '--web.config.file', or a web listener on loopback"`
	Unixsock      string            `yaml:"unixsock" format:"path" doc:"the socket of collectd's plugin 'unixsock', which the bridge polls (not on Windows)"`
	Interval      time.Duration     `yaml:"interval" default:"10s" min:"1s" doc:"how often it is polled"`
	TTL           time.Duration     `yaml:"ttl" min:"1s" unset:"two intervals of the value" doc:"how long a series stays after its last value was received"` // 0: two intervals of each value
	MaxSeries     int               `yaml:"max_series" default:"10000" min:"1" doc:"series beyond this number are refused and counted"`
	Labels        map[string]string `yaml:"labels" format:"label" doc:"on every series of the receiver; they override those of 'global'"`
}

// The labels of `global` are on series of receivers too, under their own.

func (r *ReceiveCoScale) start(e *entry)  { r.Labels = maps.Clone(e.load.config.Global.Labels) }
func (r *ReceiveStatsD) start(e *entry)   { r.Labels = maps.Clone(e.load.config.Global.Labels) }
func (r *ReceiveCollectd) start(e *entry) { r.Labels = maps.Clone(e.load.config.Global.Labels) }

func (r *ReceiveCoScale) finish(e *entry, f yamltree.Field, _ bool) {
	tls := f.Value.Get("tls")
	e.both(tls, "cert_file", "key_file")
	if f.Value.Get("listen") == nil && tls != nil {
		e.fail(tls.Line, "give listen: an address, or set up TLS in the file of --web.config.file", "tls is for addresses under listen")
	}
	if strings.ContainsAny(r.AppID, "/?#% ") {
		e.fail(f.Value.Get("app_id").Line, "write the id alone", "app_id %q cannot be used in the path of a URL", r.AppID)
	}
}

func (r *ReceiveStatsD) finish(e *entry, f yamltree.Field, _ bool) {
	if f.Value.Get("udp") == nil && f.Value.Get("tcp") == nil && f.Value.Get("unixgram") == nil {
		e.fail(f.Line, "give it a udp, tcp or unixgram", "listens nowhere")
	}
	if at := f.Value.Get("unixgram"); at != nil && runtime.GOOS == "windows" {
		e.fail(at.Line, "give it a udp or tcp", "unixgram: Windows has no Unix datagram sockets")
	}
}

func (r *ReceiveCollectd) finish(e *entry, f yamltree.Field, _ bool) {
	if f.Value.Get("udp") == nil && f.Value.Get("http_path") == nil && f.Value.Get("unixsock") == nil {
		e.fail(f.Line, "give it a udp, http_path or unixsock", "listens nowhere")
	}
	if at := f.Value.Get("unixsock"); at != nil && runtime.GOOS == "windows" {
		e.fail(at.Line, "give it a udp or http_path", "unixsock: collectd has no such socket on Windows")
	}
	if level := f.Value.Get("security_level"); level != nil && r.SecurityLevel != "none" && f.Value.Get("auth_file") == nil {
		e.fail(level.Line, "name an auth_file", "security_level %s needs passwords", r.SecurityLevel)
	}
}

// both reports one of two keys that stands without the other.
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
