package instrumental

import (
	"crypto/tls"
	"errors"
	"fmt"
	"os"

	"github.com/prometheus/common/version"

	"scriptbridge/config"
	"scriptbridge/upload"
	"scriptbridge/upload/spool"
)

// Type is this type of upload.
var Type = upload.Type{
	Name: "instrumental", Configured: configured,
	Complete: func(*spool.Aside) error { return errors.New("what cannot be read is all that was ever set aside") },
}

func configured(cfg *config.Upload) []*upload.Settings {
	c := cfg.Instrumental
	if c == nil {
		return nil
	}
	return []*upload.Settings{{
		Section: c, Files: []string{c.APIKeyFile, c.CAFile}, SecretFiles: []string{c.APIKeyFile}, MaxBytes: c.Spool.MaxBytes,
		New: func(env upload.Env) (upload.Uploader, error) { return fromConfig(c, env) },
	}}
}

func fromConfig(c *config.UploadInstrumental, env upload.Env) (upload.Uploader, error) {
	host, err := c.Host, error(nil)
	if host == "" {
		if host, err = os.Hostname(); err != nil {
			return nil, fmt.Errorf("the host's name is not known (set host): %w", err)
		}
	}
	to := &collectorClient{Address: c.Collector, Key: config.SecretOf(c.APIKeyFile), Host: host, Version: version.Version}
	if !c.Insecure {
		roots, err := config.ReadCertificates(c.CAFile)
		if err != nil {
			return nil, err
		}
		to.TLS = &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}
	}
	return newUploader(uploaderOptions{Collector: to, Host: host, StatsDPrefix: c.StatsDPrefix, Spool: env.Spool, Logger: env.Logger}), nil
}
