package remotewrite

import (
	"errors"
	"fmt"

	promconfig "github.com/prometheus/common/config"
	"github.com/prometheus/common/version"

	"scriptbridge/config"
	"scriptbridge/internal/texts"
	"scriptbridge/upload"
	"scriptbridge/upload/spool"
)

// Type is this type of upload.
var Type = upload.Type{
	Name: "remote_write", Several: true, Configured: configured,
	Complete: func(*spool.Aside) error { return errors.New("it is not known what of it was refused") },
}

func configured(cfg *config.Upload) (all []*upload.Settings) {
	for _, c := range cfg.RemoteWrite {
		all = append(all, &upload.Settings{
			Name: c.UploadName(), Section: c, Files: c.Files(), SecretFiles: c.SecretFiles(), MaxBytes: c.Spool.MaxBytes, Shown: true,
			New: func(env upload.Env) (upload.Uploader, error) { return fromConfig(c, env) },
		})
	}
	return all
}

func fromConfig(c *config.UploadRemoteWrite, env upload.Env) (upload.Uploader, error) {
	to, err := destinationOf(c)
	if err != nil {
		return nil, err
	}
	return newUploader(options{
		Destination: to, Reader: newReader(c.ExternalLabels, c.WriteRelabelConfigs), Page: env.Page,
		Interval: c.Interval, MaxAge: c.MaxAge, Spool: env.Spool, Logger: env.Logger,
	}), nil
}

func destinationOf(c *config.UploadRemoteWrite) (*destination, error) {
	if _, err := config.ReadCertificates(c.Client.TLSConfig.CAFile); err != nil {
		return nil, err // it says what to do
	}
	client, err := promconfig.NewClientFromConfig(c.Client, "remote_write", promconfig.WithUserAgent("scriptbridge/"+version.Version))
	if err != nil {
		return nil, fmt.Errorf("the HTTP client: %w", err)
	}
	if len(c.SecretFiles()) > 0 && c.Client.FollowRedirects {
		client.CheckRedirect = keepSecrets
	}
	headers := make(map[string]promconfig.Header)
	for name, value := range c.Headers {
		headers[name] = promconfig.Header{Values: []string{value}}
	}
	client.Transport = promconfig.NewHeadersRoundTripper(&promconfig.Headers{Headers: headers}, client.Transport)
	to, err := newDestination(c.URL, client, c.ProtobufMessage, c.RemoteTimeout)
	if err != nil {
		return nil, fmt.Errorf("url: %w", err)
	}
	to.secrets = func() error { return privacy(c.SecretFiles()) }
	to.hide = func(text string) string { return texts.Hide(text, secrets(c.SecretFiles())...) }
	return to, nil
}

// privacy says which files others can read, or cannot be read at all.
func privacy(files []string) error {
	var errs []error
	for _, file := range files {
		_, err := config.SecretOf(file)()
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// secrets are those of files that can be read.
func secrets(files []string) (all []string) {
	for _, file := range files {
		if secret, err := config.SecretOf(file)(); err == nil {
			all = append(all, secret)
		}
	}
	return all
}
