package config

import (
	"bytes"
	"crypto/x509"
	"fmt"
	"net"
	"net/url"
	"strings"
	"time"

	"scriptbridge/config/internal/yamltree"
	"scriptbridge/internal/fsx"
)

// Upload is the section `upload`; nil is one that is not configured.
type Upload struct {
	CoScale      *UploadCoScale
	Instrumental *UploadInstrumental
}

// UploadCoScale sends to a CoScale API.
type UploadCoScale struct {
	URL             string // without a slash at its end
	AppID           string
	AccessTokenFile string // absolute
	Server          string // empty: this host's name
	Interval        time.Duration
	NameSuffix      string
	CAFile          string // absolute
	Insecure        bool
	Spool           Spool
}

// UploadInstrumental sends to Instrumental's collector.
type UploadInstrumental struct {
	Collector  string // host:port
	APIKeyFile string // absolute
	Host       string // empty: this host's name
	// StatsDPrefix is what stands in front of StatsD's names; empty: nothing.
	StatsDPrefix string
	CAFile       string // absolute
	Insecure     bool
	Spool        Spool
}

// Spool bounds what an upload keeps on disk.
type Spool struct {
	MaxBytes int64
}

// Defaults of spec/configuration.md.
const (
	DefaultCoScaleURL            = "https://api.coscale.com"
	DefaultInstrumentalCollector = "collector.instrumentalapp.com:8001"
	DefaultNameSuffix            = " - Custom"
	DefaultSpoolBytes            = 1 << 30

	leastSpool = 1 << 20
)

func upload(c *Config) []key {
	u := &c.Upload
	return []key{
		{"coscale", receiver(c, "upload", &u.CoScale, uploadCoScale)},
		{"instrumental", receiver(c, "upload", &u.Instrumental, uploadInstrumental)},
	}
}

func uploadCoScale(e *entry, f yamltree.Field) *UploadCoScale {
	suffix := DefaultNameSuffix
	u := &UploadCoScale{URL: DefaultCoScaleURL, Interval: time.Minute, Spool: Spool{DefaultSpoolBytes}}
	named := &suffix
	e.object(f.Value, []key{
		{"url", text(&u.URL)},
		{"app_id", text(&u.AppID)},
		{"access_token_file", path(&u.AccessTokenFile)},
		{"server", text(&u.Server)},
		{"interval", duration(&u.Interval, time.Second)},
		{"name_suffix", optional(&named, nil)},
		{"ca_file", path(&u.CAFile)},
		{"insecure", boolean(&u.Insecure)},
		{"spool", section(spool(&u.Spool))},
	})
	u.NameSuffix = *named
	e.needs(f, "app_id", "write the application's id")
	e.needs(f, "access_token_file", "name a file that holds the token, not readable by others")
	line := f.Line
	if at := f.Value.Get("url"); at != nil {
		line = at.Line
	}
	parsed, err := url.Parse(u.URL)
	switch {
	case err != nil || parsed.Host == "" || parsed.Scheme != "http" && parsed.Scheme != "https" || parsed.RawQuery != "" || parsed.Fragment != "":
		e.fail(line, "write it like "+DefaultCoScaleURL, "url %q is not one of http or https", u.URL)
	case parsed.User != nil:
		e.fail(line, "use access_token_file", "url has a user in it")
	case parsed.Scheme == "http" && !u.Insecure && !IsLoopback(parsed.Hostname()):
		e.fail(line, "use https, or set insecure: true", "url %q would send the token in clear text", u.URL)
	}
	for len(u.URL) > 0 && u.URL[len(u.URL)-1] == '/' {
		u.URL = u.URL[:len(u.URL)-1]
	}
	return u
}

func uploadInstrumental(e *entry, f yamltree.Field) *UploadInstrumental {
	u := &UploadInstrumental{Collector: DefaultInstrumentalCollector, Spool: Spool{DefaultSpoolBytes}}
	e.object(f.Value, []key{
		{"collector", address(&u.Collector)},
		{"api_key_file", path(&u.APIKeyFile)},
		{"host", text(&u.Host)},
		{"statsd_prefix", namePart(&u.StatsDPrefix)},
		{"ca_file", path(&u.CAFile)},
		{"insecure", boolean(&u.Insecure)},
		{"spool", section(spool(&u.Spool))},
	})
	e.needs(f, "api_key_file", "name a file that holds the key, not readable by others")
	return u
}

// namePart reads the beginning of a name of Instrumental's.
func namePart(into *string) take {
	return func(e *entry, f yamltree.Field) {
		text(into)(e, f)
		const letters = "abcdefghijklmnopqrstuvwxyz"
		if strings.Trim(strings.ToLower(*into), letters+"0123456789._-") != "" {
			e.fault(f, yamltree.Problemf("use ASCII letters, digits, ., _ and -", "%q cannot be used in a name", *into))
		}
	}
}

func spool(s *Spool) []key {
	return []key{{"max_bytes", func(e *entry, f yamltree.Field) {
		n, ft := f.Value.Bytes()
		if ft == nil && n < leastSpool {
			ft = yamltree.Problemf("write 1MiB or more", "%s is too small", f.Value.Text)
		}
		if ft != nil {
			e.fault(f, ft)
			return
		}
		s.MaxBytes = n
	}}}
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
func ReadSecrets(file string) ([]Secret, error) {
	data, err := readPrivate(file)
	if err != nil {
		return nil, err
	}
	var secrets []Secret
	for line := range bytes.Lines(data) {
		if text := bytes.TrimSpace(line); len(text) > 0 && text[0] != '#' {
			secrets = append(secrets, Secret(text))
		}
	}
	if len(secrets) == 0 {
		return nil, &Error{
			Position: Position{File: file},
			Problem:  "holds nothing",
			Remedy:   "write the secret into it, in a line of its own",
		}
	}
	return secrets, nil
}
