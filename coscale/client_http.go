package coscale

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptrace"
	"sync/atomic"
	"time"
)

// defaultTimeout is the time for one request and its answer: that of
// coscale-cli.
const defaultTimeout = 30 * time.Second

// disabled is the type of a 409 that says that a feature is switched off.
const disabled = "DISABLED"

// NewHTTPClient makes a client that gives a request the time timeout, goes
// through the proxy that the environment names, follows no redirect, and
// trusts roots, or the system's where that is nil.
func NewHTTPClient(roots *x509.CertPool, timeout time.Duration) *http.Client {
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.TLSClientConfig = &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}
	return &http.Client{Transport: transport, Timeout: timeout, CheckRedirect: noRedirect}
}

func noRedirect(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }

// call sends a request with a form, or nothing, below the application's address and reads the answer
// into into. A session that has ended is begun anew, once.
func (c *Client) call(ctx context.Context, method, path string, body []byte, into answer) error {
	s, err := c.begun(ctx, "")
	if err != nil {
		return err
	}
	err = c.send(ctx, method, path, body, s, into)
	if status, ok := errors.AsType[*StatusError](err); !ok || status.Status != http.StatusUnauthorized {
		return err
	}
	if s, err = c.begun(ctx, s.token); err != nil {
		return err
	}
	return c.send(ctx, method, path, body, s, into)
}

// session is what a login gave, and what it took.
type session struct{ token, access string }

// NoAnswerError is why there is no answer: it leaves open whether the server
// has done what was asked.
type NoAnswerError struct {
	Err error
	// Unsaid: nothing of the request has left; there was no connection for it,
	// or no secret.
	Unsaid bool
}

// Error is that of Err.
func (e *NoAnswerError) Error() string { return e.Err.Error() }

// Unwrap gives Err.
func (e *NoAnswerError) Unwrap() error { return e.Err }

// begun gives a session, another one than that of the token stale. One login
// serves all who wait for it.
func (c *Client) begun(ctx context.Context, stale string) (session, error) {
	select {
	case c.login <- struct{}{}:
	case <-ctx.Done():
		return session{}, fmt.Errorf("login: %w", ctx.Err())
	}
	defer func() { <-c.login }()
	if c.session.token != "" && c.session.token != stale {
		return c.session, nil
	}
	c.session = session{}
	access, err := c.o.Token()
	if err != nil {
		return session{}, &NoAnswerError{fmt.Errorf("login: %w", err), true}
	}
	var made loginAnswer
	err = c.send(WithVia(ctx, ""), http.MethodPost, "login/", form{{"accessToken", access}}.body(), session{access: access}, &made)
	if status, ok := errors.AsType[*StatusError](err); ok {
		status.Login = true
		return session{}, status
	}
	if err != nil {
		return session{}, fmt.Errorf("login: %w", err)
	}
	c.session = session{made.Token, access}
	return c.session, nil
}

// send sends one request and reads its answer.
func (c *Client) send(ctx context.Context, method, path string, text []byte, s session, into answer) error {
	var body io.Reader
	if text != nil {
		body = bytes.NewReader(text)
	}
	var without atomic.Bool // a connection
	ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		GetConn: func(string) { without.Store(true) },
		GotConn: func(httptrace.GotConnInfo) { without.Store(false) },
	})
	req, err := http.NewRequestWithContext(ctx, method, c.base+path, body)
	if err != nil {
		return &NoAnswerError{err, true}
	}
	if text != nil {
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	if s.token != "" {
		// As the API spells it; Set would write Httpauthorization.
		req.Header["HTTPAuthorization"] = []string{s.token}
	}
	req.Header.Set("User-Agent", c.o.UserAgent)
	if via := c.via(ctx); via != "" {
		req.Header.Set(ViaHeader, via)
	}
	resp, err := c.o.HTTP.Do(req)
	if err != nil {
		return &NoAnswerError{err, without.Load()}
	}
	defer resp.Body.Close() //nolint:errcheck // it was only read
	limit := int64(maxAnswer)
	if _, lists := into.(lister); lists {
		limit = maxListing
	}
	said, err := io.ReadAll(io.LimitReader(resp.Body, limit+1))
	if err != nil && resp.StatusCode == http.StatusOK {
		return &NoAnswerError{fmt.Errorf("%s %s: reading the answer: %w", method, req.URL.Path, err), false}
	}
	return c.readAnswer(method, req.URL.Path, resp, said, err == nil && int64(len(said)) <= limit, into, []string{s.token, s.access, c.proxyPassword(req)})
}

// proxyPassword is that of the proxy a request goes through, which may repeat it;
// empty for none.
func (c *Client) proxyPassword(req *http.Request) string {
	transport, ok := c.o.HTTP.Transport.(*http.Transport)
	if !ok || transport.Proxy == nil {
		return ""
	}
	proxy, err := transport.Proxy(req)
	if err != nil || proxy == nil {
		return ""
	}
	password, _ := proxy.User.Password()
	return password
}
