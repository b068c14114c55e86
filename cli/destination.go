package cli

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/alecthomas/kingpin/v2"
	"github.com/go-kit/log"
	"github.com/prometheus/common/expfmt"

	"scriptbridge/collector"
	"scriptbridge/config"
	"scriptbridge/coscale"
	"scriptbridge/coscale/server"
	"scriptbridge/internal/fsx"
	"scriptbridge/internal/texts"
	"scriptbridge/record"
	dialects "scriptbridge/script/dialect/all"
	"scriptbridge/upload"
	"scriptbridge/upload/all"
	"scriptbridge/upload/spool"
)

// destinationFlags say which destination of remote write push and wrap send to, where no
// API is asked.
type destinationFlags struct {
	upload, storage string
	timeout         time.Duration
}

func (f *destinationFlags) register(cmd *kingpin.CmdClause, hints Hints) {
	cmd.Flag("upload", "Write by remote write, instead of to an API: the name of a destination in the configuration, remote_write or remote_write_NAME.").HintAction(hints.destinations).StringVar(&f.upload)
	cmd.Flag("upload.timeout", "How long --upload tries to send.").Default("10s").DurationVar(&f.timeout)
	cmd.Flag("storage.path", "A folder where what --upload cannot send waits for the next call; without it, that is lost, and an error.").StringVar(&f.storage)
}

// isDestination says whether an upload sends what the page shows, and so all that is on it.
func isDestination(c upload.Configured) bool { return c.Shown }

// destination is one of remote write for as long as a command runs. The commands ask an API
// all the same: it is one of their own, in this process, and what a bridge with that
// receiver would have on its page is written.
type destination struct {
	f       *destinationFlags
	client  *coscale.Client
	handler *server.Handler
	sink    *pageSink
	storage *Storage
	spool   *spool.Spool
	folder  string // that is removed in the end; empty: none
}

// open makes what is needed to send. close must be called if there is no error.
func (f *destinationFlags) open(e *Env) (*destination, error) {
	cfg, err := config.Load(dialects.Dialects.Config(), e.ConfigFile, e.Trusted)
	if err != nil {
		return nil, err
	}
	to, err := f.find(cfg, e.ConfigFile)
	if err != nil {
		return nil, err
	}
	d := &destination{f: f}
	if err := d.begin(e, cfg, to); err != nil {
		return nil, errors.Join(err, d.close())
	}
	return d, nil
}

// begin opens and makes what belongs to it.
func (d *destination) begin(e *Env, cfg *config.Config, to upload.Configured) error {
	if err := d.openSpool(e, to); err != nil {
		return err
	}
	uploader, err := to.New(upload.Env{Spool: d.spool, Logger: log.NewNopLogger()})
	if err != nil {
		return fmt.Errorf("upload %s: %w", to.Name, err)
	}
	source := &record.Source{ // as receive.coscale is, but for the times: a point has its own
		Kind: record.Receiver, Name: "coscale", Prefix: "coscale", WholeNames: true, HonorTimestamps: true,
		DropTexts: cfg.Global.DropTexts, Labels: record.LabelsOf(cfg.Global.Labels),
	}
	d.sink = &pageSink{uploader: uploader, retention: cfg.Events.Retention}
	token := rand.Text()
	if d.handler, err = server.NewHandler(server.HandlerOptions{AppID: sourceName, Tokens: []string{token}, Source: source, Sink: d.sink}); err != nil {
		return err
	}
	d.client = coscale.NewClient(coscale.ClientOptions{
		URL: "http://localhost", AppID: sourceName, Token: func() (string, error) { return token, nil },
		HTTP: &http.Client{Transport: inProcess{d.handler}},
	})
	return nil
}

// find gives the destination of that name.
func (f *destinationFlags) find(cfg *config.Config, file string) (upload.Configured, error) {
	var known []string
	for _, c := range all.Types.Configured(&cfg.Upload) {
		if isDestination(c) && c.Name == f.upload {
			return c, nil
		}
		if isDestination(c) {
			known = append(known, c.Name)
		}
	}
	if len(known) == 0 {
		return upload.Configured{}, fmt.Errorf("%s has no upload.remote_write, which --upload=%s is to name", file, f.upload)
	}
	return upload.Configured{}, fmt.Errorf("%s has no destination %q of remote write; it has %s", file, f.upload, strings.Join(known, ", "))
}

// lockedPause is how long to wait for a folder that another call has.
const lockedPause = 50 * time.Millisecond

// openSpool opens the queue: in the storage folder, or in one that ends with the command.
func (d *destination) openSpool(e *Env, to upload.Configured) (err error) {
	folder := d.f.storage
	if folder == "" {
		if d.folder, err = os.MkdirTemp("", "scriptbridge-"); err != nil {
			return err
		}
		folder = d.folder
	}
	// Another call has it for as long as it sends.
	for until := time.Now().Add(d.f.timeout); ; {
		if d.storage, err = e.OpenStorage(folder, e.Trusted); err == nil {
			break
		}
		if !errors.Is(err, fsx.ErrLocked) || time.Now().After(until) {
			return err
		}
		time.Sleep(lockedPause)
	}
	path, err := d.storage.Spool(to.Name)
	if err != nil {
		return err
	}
	d.spool, err = spool.Open(spool.Options{FS: d.storage.Disk, Path: path, MaxBytes: to.MaxBytes, Logger: log.NewNopLogger()})
	return err
}

// close leaves what waits in the storage folder.
func (d *destination) close() (err error) {
	if d.handler != nil {
		err = d.handler.Close()
	}
	if d.spool != nil {
		err = errors.Join(err, d.spool.Close())
	}
	if d.storage != nil {
		d.storage.Release()
	}
	if d.folder != "" {
		err = errors.Join(err, os.RemoveAll(d.folder))
	}
	return err
}

// waitingError says that what could not be sent waits for the next call.
type waitingError struct {
	samples uint64
	folder  string
	why     string
}

func (e *waitingError) Error() string {
	return fmt.Sprintf("not sent yet, and kept in %s for the next call (%s): %s", e.folder, texts.Count(int(e.samples), "sample"), e.why)
}

// deliver sends what was put, and what waited before, for as long as the flags allow.
// Where the rest can wait for the next call, one attempt is enough.
func (d *destination) deliver(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, d.f.timeout)
	defer cancel()
	ended := make(chan error, 1)
	go func() { ended <- d.sink.uploader.Run(ctx) }()
	look := time.NewTicker(20 * time.Millisecond)
	defer look.Stop()
	for on := true; on; {
		s := d.spool.Stats()
		on = s.Items > 0 && (d.f.storage == "" || s.Failing == "")
		select {
		case <-look.C:
		case <-ctx.Done():
			on = false
		}
	}
	cancel()
	err := <-ended
	return errors.Join(err, d.outcome(d.spool.Stats()), d.sink.refused)
}

// outcome says what was not sent.
func (d *destination) outcome(s spool.Stats) error {
	var errs []error
	if n := len(s.Refusals); n > 0 {
		errs = append(errs, fmt.Errorf("%s not sent: %s", texts.Count(int(s.Refused), "sample"), s.Refusals[0].Error))
	}
	if n := s.DroppedBy[spool.TooOld]; n > 0 {
		errs = append(errs, fmt.Errorf("%s not sent: waited for longer than max_age", texts.Count(int(n), "sample")))
	}
	if s.Items > 0 {
		why := s.Failing
		if why == "" {
			why = fmt.Sprintf("not all could be sent in %v", d.f.timeout)
		}
		if d.f.storage != "" {
			errs = append(errs, &waitingError{s.Items, d.f.storage, why})
		} else {
			errs = append(errs, fmt.Errorf("%s not sent: %s", texts.Count(int(s.Items), "sample"), why))
		}
	}
	return errors.Join(errs...)
}

// pageSink puts what a page shows of each batch, and of nothing else, to an upload.
type pageSink struct {
	uploader  upload.Uploader
	retention time.Duration
	refused   error // by the page
}

// Put is that of record.Sink. Points of one series share no page, which shows the newest.
func (s *pageSink) Put(b *record.Batch) error {
	shown := new(record.Shown)
	for rest := b.Samples; len(rest) > 0; {
		n := slices.IndexFunc(rest, func(x record.Sample) bool { return !x.Time.Equal(rest[0].Time) })
		if n < 0 {
			n = len(rest)
		}
		one := *b
		one.Samples, one.Events = rest[:n], nil
		s.show(shown, &one)
		rest = rest[n:]
	}
	if len(b.Events) > 0 {
		one := *b
		one.Samples = nil
		s.show(shown, &one)
	}
	if shown.Lines == 0 {
		return nil
	}
	return s.uploader.Put(&record.Batch{Source: b.Source, Time: b.Time, Shown: shown})
}

// show adds what a page has of a batch.
func (s *pageSink) show(to *record.Shown, b *record.Batch) {
	page := collector.New(collector.Options{Retention: s.retention})
	page.Put(b) //nolint:errcheck // it never fails
	if first, n := page.Refusals(b.Source.Kind, b.Source.Name); n > 0 {
		s.refused = errors.Join(s.refused, fmt.Errorf("%s not sent: %s: %s", texts.Count(n, "sample"), first[0].Metric, first[0].Text))
	}
	var text bytes.Buffer
	page.WritePage(&text, expfmt.FmtOpenMetrics_1_0_0, func(family string) bool { //nolint:errcheck // to memory
		// Of a process that ends, nobody wants the health, nor sums, which begin with it.
		return !strings.HasPrefix(family, "scriptbridge_") && family != b.Source.Prefix+"_events"
	})
	for line := range bytes.Lines(bytes.TrimSuffix(text.Bytes(), []byte("# EOF\n"))) {
		to.Text = append(to.Text, line...)
		if line[0] != '#' {
			to.Lines++
		}
	}
}

// inProcess answers requests by a handler, without a network.
type inProcess struct{ http.Handler }

// RoundTrip is that of http.RoundTripper.
func (p inProcess) RoundTrip(r *http.Request) (*http.Response, error) {
	asked := r.Clone(r.Context())
	asked.RequestURI, asked.RemoteAddr = r.URL.RequestURI(), "127.0.0.1:1"
	for name, values := range r.Header { // as who reads them from a connection spells them
		asked.Header[http.CanonicalHeaderKey(name)] = values
	}
	if asked.Body == nil {
		asked.Body = http.NoBody
	}
	w := &answered{header: make(http.Header), code: http.StatusOK}
	p.ServeHTTP(w, asked)
	return &http.Response{
		StatusCode: w.code, Status: http.StatusText(w.code), Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: w.header, Body: io.NopCloser(&w.body), ContentLength: int64(w.body.Len()), Request: r,
	}, nil
}

// answered keeps an answer.
type answered struct {
	header http.Header
	code   int
	body   bytes.Buffer
}

func (w *answered) Header() http.Header         { return w.header }
func (w *answered) WriteHeader(code int)        { w.code = code }
func (w *answered) Write(p []byte) (int, error) { return w.body.Write(p) }
