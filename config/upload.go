package config

import (
	"bytes"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/url"
	"strings"
	"time"
	"unicode/utf8"

	"scriptbridge/config/internal/yamltree"
	"scriptbridge/internal/fsx"
)

// Upload is the section `upload`; nil is one that is not configured.
type Upload struct {
	CoScale      *UploadCoScale       `yaml:"coscale" doc:"to CoScale's API"`
	Instrumental *UploadInstrumental  `yaml:"instrumental" doc:"to Instrumental's collector"`
	RemoteWrite  []*UploadRemoteWrite `yaml:"remote_write" aka:"prometheus_remote_write" doc:"to destinations of Prometheus's remote write protocol"`
}

// None reports whether no upload is configured.
func (u *Upload) None() bool {
	return u.CoScale == nil && u.Instrumental == nil && len(u.RemoteWrite) == 0
}

// UploadCoScale sends to a CoScale API.
type UploadCoScale struct {
	URL             string        `yaml:"url" aka:"address endpoint" default:"https://api.coscale.com" doc:"where the API is. Plain http to another machine needs 'insecure: true'"` // without a slash at its end
	AppID           string        `yaml:"app_id" aka:"application_id" required:"write the application's id" doc:"the application's id"`
	AccessTokenFile string        `yaml:"access_token_file" aka:"token access_token token_file" format:"secret file" required:"name a file that holds the token, not readable by others" doc:"a file that holds the token, not readable by others"`
	Server          string        `yaml:"server" unset:"this host's name" doc:"the server to which the metrics belong"`
	Interval        time.Duration `yaml:"interval" default:"60s" min:"1s" doc:"how often data are sent. An Average, and what [StatsD](statsd.md#upload) clients sent, gives one value per interval"`
	NameSuffix      string        `yaml:"name_suffix" default:" - Custom" empty:"yes" doc:"appended to every metric's name, as CoScale's own agent did"`
	CAFile          string        `yaml:"ca_file" format:"file" unset:"the system's" doc:"the certificate authorities that are trusted"`
	Insecure        bool          `yaml:"insecure" default:"false" doc:"allow connections that send secrets in clear text"`
	Spool           Spool         `yaml:"spool"`
}

// UploadInstrumental sends to Instrumental's collector.
type UploadInstrumental struct {
	Collector    string `yaml:"collector" aka:"url address endpoint" default:"collector.instrumentalapp.com:8001" format:"address" doc:"its address"`
	APIKeyFile   string `yaml:"api_key_file" aka:"token api_key key project_token" format:"secret file" required:"name a file that holds the key, not readable by others" doc:"a file that holds the key, not readable by others"`
	Host         string `yaml:"host" unset:"this host's name" doc:"the first part of every metric's name, except for StatsD's; dots in it are kept"`
	StatsDPrefix string `yaml:"statsd_prefix" format:"name part" doc:"put in front of the names that StatsD clients sent, with a dot between; 'metricPrefix' in the daemon's configuration"`
	CAFile       string `yaml:"ca_file" format:"file" unset:"the system's" doc:"the certificate authorities that are trusted"`
	Insecure     bool   `yaml:"insecure" default:"false" doc:"allow connections that send secrets in clear text"`
	Spool        Spool  `yaml:"spool"`
}

// Spool bounds what an upload keeps on disk.
type Spool struct {
	MaxBytes int64 `yaml:"max_bytes" unit:"bytes" default:"1GiB" min:"1MiB" doc:"how much can wait to be sent; beyond it the oldest data are dropped and counted"`
}

func (u *UploadCoScale) finish(e *entry, f yamltree.Field, _ bool) {
	line := f.Line
	if at := f.Value.Get("url"); at != nil {
		line = at.Line
	}
	parsed, err := url.Parse(u.URL)
	switch {
	case err != nil || parsed.Host == "" || parsed.Scheme != "http" && parsed.Scheme != "https" || parsed.RawQuery != "" || parsed.Fragment != "":
		e.fail(line, "write it like https://api.coscale.com", "url %q is not one of http or https", u.URL)
	case parsed.User != nil:
		e.fail(line, "use access_token_file", "url has a user in it")
	case parsed.Scheme == "http" && !u.Insecure && !IsLoopback(parsed.Hostname()):
		e.fail(line, "use https, or set insecure: true", "url %q would send the token in clear text", u.URL)
	}
	u.URL = strings.TrimRight(u.URL, "/")
}

// IsLoopback says whether what is sent to a host, an IP address or a name,
// stays on this machine.
func IsLoopback(host string) bool {
	ip := net.ParseIP(host)
	return strings.EqualFold(host, "localhost") || ip != nil && ip.IsLoopback()
}

// ReadCertificates reads a file of the authorities to trust; nil, which stands
// for the system's, where the name is empty.
func ReadCertificates(file string) (*x509.CertPool, error) {
	if file == "" {
		return nil, nil
	}
	text, err := fsx.ReadFile(file)
	if err != nil {
		if _, remedy := Unreadable(file, err); remedy != "" {
			return nil, fmt.Errorf("certificates: %w (%s)", err, remedy)
		}
		return nil, fmt.Errorf("certificates: %w", err)
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(text) {
		return nil, fmt.Errorf("certificates: %s holds none; it is a PEM file of the authorities to trust", file)
	}
	return roots, nil
}

// SecretOf reads a file's first secret each time it is asked.
func SecretOf(file string) func() (string, error) {
	return func() (string, error) {
		secrets, err := ReadSecrets(file)
		if err != nil {
			return "", err
		}
		return secrets[0].Reveal(), nil
	}
}

// ReadSecrets reads a file of secrets, one a line; empty lines and those that
// begin with # are skipped. A file that others may read is refused, and so is
// one that holds none. No error shows one.
func ReadSecrets(file string) ([]Secret, error) { return readSecrets(file, 0) }

// leastToken is how many characters a token has that lets others in.
const leastToken = 16

// ReadTokens is ReadSecrets for those that let others in: one that can be guessed is refused.
func ReadTokens(file string) ([]Secret, error) { return readSecrets(file, leastToken) }

func readSecrets(file string, least int) ([]Secret, error) {
	data, err := readPrivate(file)
	if err != nil {
		return nil, err
	}
	var secrets []Secret
	var short []error
	number := 0
	for line := range bytes.Lines(data) {
		number++
		text := bytes.TrimSpace(line)
		if len(text) == 0 || text[0] == '#' {
			continue
		}
		if n := utf8.RuneCount(text); n < least {
			short = append(short, &Error{
				Position: Position{File: file, Line: number},
				Problem:  fmt.Sprintf("the access token is too short: others can guess one of fewer than %d characters", least),
				Remedy:   "write a longer one in its place, such as what `openssl rand -hex 16` prints, and give it to those who use this one",
			})
		}
		secrets = append(secrets, Secret(text))
	}
	if len(secrets) == 0 {
		return nil, &Error{
			Position: Position{File: file},
			Problem:  "holds nothing",
			Remedy:   "write the secret into it, in a line of its own",
		}
	}
	return secrets, errors.Join(short...)
}
