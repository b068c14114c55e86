package coscale

import (
	"time"

	"scriptbridge/config"
	api "scriptbridge/coscale"
	"scriptbridge/upload"
)

// Type is this type of upload.
var Type = upload.Type{Name: "coscale", Configured: configured, Complete: completeAside}

func configured(cfg *config.Upload) []*upload.Settings {
	c := cfg.CoScale
	if c == nil {
		return nil
	}
	return []*upload.Settings{{
		Section: c, Files: []string{c.AccessTokenFile, c.CAFile}, SecretFiles: []string{c.AccessTokenFile}, MaxBytes: c.Spool.MaxBytes,
		New: func(env upload.Env) (upload.Uploader, error) { return fromConfig(c, env) },
	}}
}

// callTimeout is for one call of the API, its body included.
const callTimeout = time.Minute

func fromConfig(c *config.UploadCoScale, env upload.Env) (upload.Uploader, error) {
	roots, err := config.ReadCertificates(c.CAFile)
	if err != nil {
		return nil, err
	}
	return newUploader(uploaderOptions{
		Client: api.NewClient(api.ClientOptions{
			URL: c.URL, AppID: c.AppID, Token: config.SecretOf(c.AccessTokenFile), HTTP: api.NewHTTPClient(roots, callTimeout),
			Bridge: env.Bridge, Setting: "upload.coscale.url",
		}),
		Server: c.Server, Interval: c.Interval, NameSuffix: c.NameSuffix, Spool: env.Spool, Logger: env.Logger,
	})
}
