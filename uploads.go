package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/go-kit/log"
	"github.com/prometheus/common/version"

	"scriptbridge/config"
	api "scriptbridge/coscale"
	"scriptbridge/record"
	"scriptbridge/upload/coscale"
	"scriptbridge/upload/instrumental"
	"scriptbridge/upload/spool"
)

// uploader is a sink whose batches wait in a spool until they are sent.
type uploader interface {
	record.Sink
	// Run sends until ctx ends.
	Run(ctx context.Context) error
	Stats() spool.Stats
}

// uploadKind is one line of the table of uploads.
type uploadKind struct {
	name string
	// part is what the configuration says of it, nil when it is not there.
	part func(*config.Upload) any
	// secret is the file that its secret is in, and files are all that it
	// reads; empty names are left out.
	secret func(*config.Upload) string
	files  func(*config.Upload) []string
	most   func(*config.Upload) int64 // bytes of the spool
	// former makes an entry of what a former version set aside without one.
	former func(*spool.Aside) error
	// make makes one of the bridge of that name, where the protocol has room for
	// that.
	make func(u *config.Upload, bridge string, s *spool.Spool, logger log.Logger) (uploader, error)
}

// uploadKinds is the table of all uploads.
var uploadKinds = []uploadKind{
	{
		name: "coscale",
		part: func(u *config.Upload) any {
			if u.CoScale == nil {
				return nil
			}
			return u.CoScale
		},
		secret: func(u *config.Upload) string { return u.CoScale.AccessTokenFile },
		files:  func(u *config.Upload) []string { return []string{u.CoScale.AccessTokenFile, u.CoScale.CAFile} },
		most:   func(u *config.Upload) int64 { return u.CoScale.Spool.MaxBytes },
		former: coscale.CompleteAside,
		make:   newCoScaleUpload,
	},
	{
		name: "instrumental",
		part: func(u *config.Upload) any {
			if u.Instrumental == nil {
				return nil
			}
			return u.Instrumental
		},
		secret: func(u *config.Upload) string { return u.Instrumental.APIKeyFile },
		files:  func(u *config.Upload) []string { return []string{u.Instrumental.APIKeyFile, u.Instrumental.CAFile} },
		most:   func(u *config.Upload) int64 { return u.Instrumental.Spool.MaxBytes },
		former: func(*spool.Aside) error { return errors.New("what cannot be read is all that was ever set aside") },
		make:   newInstrumentalUpload,
	},
}

// uploadTimeout is for one call of the API, its body included.
const uploadTimeout = time.Minute

func newCoScaleUpload(u *config.Upload, bridge string, s *spool.Spool, logger log.Logger) (uploader, error) {
	c := u.CoScale
	roots, err := config.ReadCertificates(c.CAFile)
	if err != nil {
		return nil, err
	}
	return coscale.NewUploader(coscale.UploaderOptions{
		Client: api.NewClient(api.ClientOptions{
			URL: c.URL, AppID: c.AppID, Token: config.SecretOf(c.AccessTokenFile), HTTP: api.NewHTTPClient(roots, uploadTimeout),
			Bridge: bridge, Setting: "upload.coscale.url",
		}),
		Server: c.Server, Interval: c.Interval, NameSuffix: c.NameSuffix, Spool: s, Logger: logger,
	})
}

func newInstrumentalUpload(u *config.Upload, _ string, s *spool.Spool, logger log.Logger) (uploader, error) {
	c := u.Instrumental
	host, err := c.Host, error(nil)
	if host == "" {
		if host, err = os.Hostname(); err != nil {
			return nil, fmt.Errorf("the host's name is not known (set host): %w", err)
		}
	}
	to := &instrumental.Collector{Address: c.Collector, Key: config.SecretOf(c.APIKeyFile), Host: host, Version: version.Version}
	if !c.Insecure {
		roots, err := config.ReadCertificates(c.CAFile)
		if err != nil {
			return nil, err
		}
		to.TLS = &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}
	}
	return instrumental.NewUploader(instrumental.UploaderOptions{Collector: to, Host: host, StatsDPrefix: c.StatsDPrefix, Spool: s, Logger: logger}), nil
}

// inputs reads the files of an upload that is configured.
func (k uploadKind) inputs(u *config.Upload) config.Inputs {
	return config.InputsOf(k.part(u), k.files(u)...)
}

// uploadInputs is what the uploads of u would be made of, in the order of the
// table.
func uploadInputs(u *config.Upload) []config.Inputs {
	var all []config.Inputs
	for _, k := range uploadKinds {
		if k.part(u) != nil {
			all = append(all, k.inputs(u))
		}
	}
	return all
}

// checkUploads looks for what keeps uploads from working, and touches neither
// the storage nor the network.
func checkUploads(cfg *config.Config) (problems []error) {
	for _, k := range uploadKinds {
		if k.part(&cfg.Upload) == nil {
			continue
		}
		_, err := config.SecretOf(k.secret(&cfg.Upload))()
		if _, errMake := k.make(&cfg.Upload, "", nil, log.NewNopLogger()); errMake != nil {
			err = errors.Join(err, errMake)
		}
		if err != nil {
			problems = append(problems, fmt.Errorf("%s: upload: %s: %w", cfg.At["upload."+k.name], k.name, err))
		}
	}
	return problems
}
