// Package coscaleapi is the receiver for clients of CoScale's API.
package coscaleapi

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/go-kit/log/level"

	"scriptbridge/config"
	"scriptbridge/coscale"
	"scriptbridge/coscale/server"
	"scriptbridge/internal/access"
	"scriptbridge/internal/connlimit"
	"scriptbridge/internal/fsx"
	"scriptbridge/internal/repeat"
	"scriptbridge/internal/socket"
	"scriptbridge/receive/receiver"
)

// Type is the receiver for clients of CoScale's API.
var Type = receiver.Type{Name: "coscale", Prefix: "coscale", WholeNames: true, Acknowledges: true, Section: section, New: newReceiver}

// apiPath is where CoScale's clients ask.
const apiPath = "/api/v1/"

func section(r *config.Receive) *receiver.Section {
	c := r.CoScale
	if c == nil {
		return nil
	}
	s := &receiver.Section{Config: c, Labels: c.Labels, MaxSeries: c.MaxSeries, Files: []string{c.AccessTokensFile, c.TLS.CertFile, c.TLS.KeyFile}}
	if len(c.Listen) == 0 {
		s.Paths = []string{apiPath}
	}
	return s
}

// refusals are the handler's words for requests that it does not let in.
var refusals = []string{"auth", "busy", "malformed", "too_large", "full", "unavailable", "loop", receiver.Forbidden}

// api answers clients of CoScale's API, on addresses of its own or
// on the web port.
type api struct {
	config *config.ReceiveCoScale
	env    receiver.Env
	tokens []string
	tls    *tls.Config // nil for none

	mu        sync.Mutex
	handler   http.Handler // nil before Run has made it
	addresses []string
}

func newReceiver(r *config.Receive, env receiver.Env) (receiver.Receiver, error) {
	c := &api{config: r.CoScale, env: env}
	env.Counts.Received("http", 0, 0)
	for _, reason := range refusals {
		env.Counts.Dropped(reason, 0)
	}
	secrets, err := config.ReadTokens(c.config.AccessTokensFile)
	if err != nil {
		return nil, err
	}
	for _, s := range secrets {
		c.tokens = append(c.tokens, s.Reveal())
	}
	if files := c.config.TLS; files != (config.TLS{}) {
		cert, err := readKeyPair(files)
		if err != nil {
			return nil, err
		}
		c.tls = &tls.Config{Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS12}
	}
	return c, nil
}

// readKeyPair reads a certificate and its key.
func readKeyPair(files config.TLS) (tls.Certificate, error) {
	cert, errCert := fsx.ReadFile(files.CertFile)
	key, errKey := config.ReadSecretFile(files.KeyFile)
	if err := errors.Join(errCert, errKey); err != nil {
		return tls.Certificate{}, fmt.Errorf("tls: %w", err)
	}
	pair, err := tls.X509KeyPair(cert, key)
	if err != nil {
		return pair, fmt.Errorf("tls: %s, %s: %w", files.CertFile, files.KeyFile, err)
	}
	return pair, nil
}

// Run answers requests until ctx ends.
func (c *api) Run(ctx context.Context) (err error) {
	limiter := connlimit.New(connlimit.Most())
	listeners, err := c.listen(ctx, limiter)
	if err != nil {
		return err
	}
	handler, err := c.newHandler(ctx)
	if err != nil {
		closeAll(listeners)
		return err
	}
	defer func() { err = errors.Join(err, handler.Close()) }()
	if err := handler.Declare(); err != nil {
		level.Warn(c.env.Logger).Log("msg", "what clients made before the restart is not shown until they push", "err", err)
	}
	c.mu.Lock()
	c.handler = handler
	for _, l := range listeners {
		c.addresses = append(c.addresses, c.scheme()+" "+l.Addr().String())
	}
	c.mu.Unlock()
	if c.env.Storage == "" {
		level.Warn(c.env.Logger).Log("msg", "without --storage.path the ids that clients are given change at a restart")
	}
	if len(listeners) == 0 {
		c.env.Opened()
		<-ctx.Done()
		return nil
	}
	return c.serve(ctx, listeners, handler, limiter)
}

func (c *api) scheme() string {
	if c.tls != nil {
		return "https"
	}
	return "http"
}

// listen opens the addresses of its own: all or none.
func (c *api) listen(ctx context.Context, limiter *connlimit.Limiter) (listeners []net.Listener, err error) {
	for _, address := range c.config.Listen {
		l, err := socket.Listen(ctx, "tcp", address)
		if err != nil {
			closeAll(listeners)
			return nil, err
		}
		l = limiter.Listener(receiver.NewListener(l, "http", c.env))
		if c.tls != nil {
			l = tls.NewListener(l, c.tls)
		}
		listeners = append(listeners, l)
	}
	return listeners, nil
}

func closeAll(listeners []net.Listener) {
	for _, l := range listeners {
		l.Close()
	}
}

// serve answers on listeners until ctx ends, or until one of them fails. It
// returns when the last request has been answered.
func (c *api) serve(ctx context.Context, listeners []net.Listener, handler http.Handler, limiter *connlimit.Limiter) error {
	d := receiver.NewDoor()
	server := &http.Server{
		Handler:     access.NoSniff(c.guarded(d.Handler(handler, NotOpen))),
		BaseContext: access.BaseContext,
		ConnContext: access.ConnContext,
		// As those of the web port: whatever a client does, it ends.
		ReadHeaderTimeout: 10 * time.Second,
		ReadTimeout:       time.Minute,
		WriteTimeout:      2 * time.Minute,
		IdleTimeout:       90 * time.Second, // as long as Go's clients keep one
		MaxHeaderBytes:    64 << 10,
		ErrorLog:          repeat.NewStdLog(c.env.Logger),
	}
	limiter.Serve(server)
	d.Open([]receiver.Endpoint{{Path: "/", Handler: handler}})
	failed := make(chan error, len(listeners))
	for _, l := range listeners {
		go func() { failed <- server.Serve(l) }()
	}
	c.env.Opened()
	var err error
	select {
	case <-ctx.Done():
	case err = <-failed:
	}
	d.Shut()
	end, cancel := context.WithTimeout(context.Background(), receiver.LeaveWithin)
	defer cancel()
	if server.Shutdown(end) != nil {
		server.Close()
	}
	return err
}

// guarded lets through what may have an effect.
func (c *api) guarded(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if why := c.env.Guard.Refused(r); why != "" {
			c.env.Counts.Dropped(receiver.Forbidden, 1)
			Forbidden(w, why)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// Endpoints gives the API's path on the web port, when it has no address of
// its own.
func (c *api) Endpoints() []receiver.Endpoint {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.config.Listen) > 0 {
		return nil
	}
	return []receiver.Endpoint{{Path: apiPath, Handler: c.handler}}
}

// Addresses gives where it listens.
func (c *api) Addresses() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.addresses
}

// newHandler makes what answers. That reads a file, on a disk which may not answer:
// the end does not wait for it.
func (c *api) newHandler(ctx context.Context) (*server.Handler, error) {
	return fsx.Do(ctx, func() (*server.Handler, error) {
		h, err := server.NewHandler(server.HandlerOptions{
			AppID: c.config.AppID, Tokens: c.tokens, Source: c.env.Source, Sink: c.env.Sink,
			TTL: c.config.TTL, Folder: c.env.Storage, FS: c.env.Disk, Own: c.env.Own, Logger: c.env.Logger, Fatal: c.env.Fatal,
			Received: func(n int) { c.env.Counts.Received("http", 1, n) },
			Refused:  c.env.Counts.Dropped,
		})
		if err == nil && ctx.Err() != nil { // nobody takes it any more
			return nil, errors.Join(ctx.Err(), h.Close())
		}
		return h, err
	})
}

// Owns reports whether a path is one of those that only receivers answer.
func Owns(path string) bool { return path == "/api" || strings.HasPrefix(path, "/api/") }

// NotOpen asks a client to come back, since the receiver is not open.
func NotOpen(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Retry-After", "5")
	writeError(w, http.StatusServiceUnavailable, "the receiver is not open")
}

// Forbidden tells a client why it is not let in.
func Forbidden(w http.ResponseWriter, why string) { writeError(w, http.StatusForbidden, why) }

// NoReceiver tells a client that nobody answers its path.
func NoReceiver(w http.ResponseWriter, _ *http.Request) {
	writeError(w, http.StatusNotFound, "there is no receiver at this address")
}

// writeError answers with an error as CoScale's API does.
func writeError(w http.ResponseWriter, status int, message string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(coscale.ErrorBody{Msg: message}) // the client has gone: nobody to tell
}
