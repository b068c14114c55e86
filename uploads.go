package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/go-kit/log"
	"github.com/go-kit/log/level"
	"github.com/prometheus/common/version"

	"scriptbridge/config"
	"scriptbridge/coscale"
	"scriptbridge/instrumental"
	"scriptbridge/internal/repeat"
	"scriptbridge/record"
	"scriptbridge/spool"
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
	// secret is the file that its secret is in.
	secret func(*config.Upload) string
	most   func(*config.Upload) int64 // bytes of the spool
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
			return *u.CoScale
		},
		secret: func(u *config.Upload) string { return u.CoScale.AccessTokenFile },
		most:   func(u *config.Upload) int64 { return u.CoScale.Spool.MaxBytes },
		make:   newCoScaleUpload,
	},
	{
		name: "instrumental",
		part: func(u *config.Upload) any {
			if u.Instrumental == nil {
				return nil
			}
			return *u.Instrumental
		},
		secret: func(u *config.Upload) string { return u.Instrumental.APIKeyFile },
		most:   func(u *config.Upload) int64 { return u.Instrumental.Spool.MaxBytes },
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
		Client: coscale.NewClient(coscale.ClientOptions{
			URL: c.URL, AppID: c.AppID, Token: secretOf(c.AccessTokenFile), HTTP: coscale.NewHTTPClient(roots, uploadTimeout),
			UserAgent: userAgent(), Bridge: bridge, Setting: "upload.coscale.url",
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
	to := &instrumental.Collector{Address: c.Collector, Key: secretOf(c.APIKeyFile), Host: host, Version: version.Version}
	if !c.Insecure {
		roots, err := config.ReadCertificates(c.CAFile)
		if err != nil {
			return nil, err
		}
		to.TLS = &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}
	}
	return instrumental.NewUploader(instrumental.UploaderOptions{Collector: to, Host: host, StatsDPrefix: c.StatsDPrefix, Spool: s, Logger: logger}), nil
}

// secretOf reads a file's first secret each time it is asked.
func secretOf(file string) func() (string, error) {
	return func() (string, error) {
		secrets, err := config.ReadSecrets(file)
		if err != nil {
			return "", err
		}
		return secrets[0].Reveal(), nil
	}
}

// checkUploads looks for what keeps uploads from working, and touches neither
// the storage nor the network.
func checkUploads(cfg *config.Config) (problems []error) {
	for _, k := range uploadKinds {
		if k.part(&cfg.Upload) == nil {
			continue
		}
		_, err := secretOf(k.secret(&cfg.Upload))()
		if _, errMake := k.make(&cfg.Upload, "", nil, log.NewNopLogger()); errMake != nil {
			err = errors.Join(err, errMake)
		}
		if err != nil {
			problems = append(problems, fmt.Errorf("%s: upload: %s: %w", cfg.At["upload."+k.name], k.name, err))
		}
	}
	return problems
}

// uploads are those at work. A spool that cannot be opened costs that upload
// alone, and is tried again.
type uploads struct {
	sinks  *sinks
	logger log.Logger
	// bridge is what this bridge alone calls itself in its uploads, so that its
	// own receiver knows what has come back.
	bridge string
	// storage gives the path of an upload's spool; nil without --storage.path.
	storage func(name string) (string, error)

	mu sync.Mutex // guards at
	at []*upload  // in the order of the table
}

// upload is one that is configured.
type upload struct {
	kind uploadKind
	part any
	stop context.CancelFunc
	done chan struct{} // closed when its goroutine has ended

	mu   sync.Mutex
	sink uploader // nil while its spool is not open
	err  error    // why not
}

// admits says which uploads cannot be.
func (u *uploads) admits(cfg *config.Config) error {
	var errs []error
	for _, k := range uploadKinds {
		if k.part(&cfg.Upload) != nil && u.storage == nil {
			errs = append(errs, &config.Error{
				Position: cfg.At["upload."+k.name], Thing: "upload: " + k.name,
				Problem: "has no place for its spool", Remedy: "start with --storage.path",
			})
		}
	}
	return errors.Join(errs...)
}

// reload puts the configured uploads to work, by difference. Batches wait while
// it is under way, so that none is lost between an upload and the one that
// takes its place; it lasts until those that are to end have let go of their
// spools.
func (u *uploads) reload(cfg *config.Upload) {
	u.sinks.exchange(func() (tee record.Tee) {
		u.mu.Lock()
		before := u.at
		u.mu.Unlock()
		var at []*upload
		for _, k := range uploadKinds {
			i := slices.IndexFunc(before, func(one *upload) bool { return one.kind.name == k.name })
			part := k.part(cfg)
			if i >= 0 && part != nil && before[i].part == part {
				at = append(at, before[i])
				continue
			}
			if i >= 0 {
				before[i].end()
			}
			if part != nil {
				at = append(at, u.begin(k, *cfg))
			}
		}
		u.mu.Lock()
		u.at = at
		u.mu.Unlock()
		for _, one := range at {
			tee = append(tee, one)
		}
		return tee
	})
}

// begin opens an upload's spool and sends, until it is ended.
func (u *uploads) begin(k uploadKind, cfg config.Upload) *upload {
	// Not a context of the program's or of a reload: an upload takes what the
	// sources say at their end, and is ended after them, by end alone.
	ctx, cancel := context.WithCancel(context.Background())
	one := &upload{kind: k, part: k.part(&cfg), stop: cancel, done: make(chan struct{})}
	logger := log.With(u.logger, "upload", k.name)
	sp, err := u.open(one, &cfg, logger)
	go func() {
		defer close(one.done)
		var trouble repeat.State
		tell := func(err error) {
			trouble.Log(logger, err, "the upload cannot take anything; it is tried again", "the upload takes again what comes")
		}
		for {
			if err == nil {
				tell(nil)
				err = one.run(ctx, sp)
			}
			if ctx.Err() != nil {
				if err != nil {
					level.Error(logger).Log("msg", "the upload did not end well", "err", err)
				}
				return
			}
			one.use(nil, err)
			tell(err)
			select {
			case <-ctx.Done():
				return
			case <-time.After(uploadRetry):
			}
			sp, err = u.open(one, &cfg, logger)
		}
	}()
	return one
}

// run sends until ctx ends, or until the spool is of no use any more; then it
// closes that.
func (o *upload) run(ctx context.Context, sp *spool.Spool) error {
	o.mu.Lock()
	sink := o.sink
	o.mu.Unlock()
	return errors.Join(sink.Run(ctx), sp.Close())
}

// uploadRetry is how long to wait before a spool is tried again.
const uploadRetry = 30 * time.Second

// open opens an upload's spool and makes its sink of it.
func (u *uploads) open(one *upload, cfg *config.Upload, logger log.Logger) (*spool.Spool, error) {
	path, err := u.storage(one.kind.name)
	var sp *spool.Spool
	if err == nil {
		sp, err = spool.Open(spool.Options{Path: path, MaxBytes: one.kind.most(cfg), Logger: logger})
	}
	var sink uploader
	if err == nil {
		if sink, err = one.kind.make(cfg, u.bridge, sp, logger); err != nil {
			err = errors.Join(err, sp.Close())
		}
	}
	one.use(sink, err)
	return sp, err
}

// use has batches go to a sink, nil for none, and says what is wrong with it.
func (o *upload) use(sink uploader, err error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.sink, o.err = sink, err
}

// Put keeps a batch. It fails where there is no spool to keep it in.
func (o *upload) Put(b *record.Batch) error {
	o.mu.Lock()
	sink, err := o.sink, o.err
	o.mu.Unlock()
	if sink == nil {
		return fmt.Errorf("upload %s: %w", o.kind.name, err)
	}
	return sink.Put(b)
}

// end stops it and waits for it to let go of its spool. No batch may be on its
// way to it.
func (o *upload) end() {
	o.stop()
	<-o.done
}

// close ends all uploads; what has not been sent stays in their spools.
func (u *uploads) close() { u.reload(&config.Upload{}) }
