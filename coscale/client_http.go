package coscale

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"
)

// DefaultTimeout is the time for one request and its answer: that of
// coscale-cli.
const DefaultTimeout = 30 * time.Second

// maxAnswer bounds what is read of an answer, maxMessage what is told of one
// that is not the API's.
const (
	maxAnswer  = 16 << 20
	maxMessage = 200
)

// disabled is the type of a 409 that says that a feature is switched off.
const disabled = "DISABLED"

// hidden stands for a secret, wherever the other side repeats one.
const hidden = "<secret>"

// NewHTTPClient makes a client that gives a request the time timeout, goes
// through the proxy that the environment names, follows no redirect, and
// trusts roots, or the system's where that is nil.
func NewHTTPClient(roots *x509.CertPool, timeout time.Duration) *http.Client {
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.TLSClientConfig = &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}
	return &http.Client{Transport: transport, Timeout: timeout, CheckRedirect: noRedirect}
}

func noRedirect(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }

// StatusError is an answer other than 200, which alone is a success.
type StatusError struct {
	Request string // its method and path
	Status  int
	// Login: it answers the login and says nothing of what was asked for.
	Login bool
	ErrorBody
}

func (e *StatusError) Error() string {
	text := fmt.Sprintf("%s: %d %s", e.Request, e.Status, http.StatusText(e.Status))
	if e.Login {
		text = "login: " + text
	}
	if e.Msg != "" {
		text += ": " + oneLine(e.Msg)
	}
	return text
}

// oneLine is a text without its breaks, and cut when it is long.
func oneLine(text string) string {
	text = strings.Join(strings.Fields(text), " ")
	if len(text) <= maxMessage {
		return text
	}
	return strings.ToValidUTF8(text[:maxMessage], "") + "…"
}

// call sends a request below the application's address and reads the answer
// into into, unless that is nil. A session that has ended is begun anew, once.
func (c *Client) call(ctx context.Context, method, path string, f form, into any) error {
	token, err := c.session(ctx, "")
	if err != nil {
		return err
	}
	err = c.send(ctx, method, path, f, token, into)
	var status *StatusError
	if !errors.As(err, &status) || status.Status != http.StatusUnauthorized {
		return err
	}
	if token, err = c.session(ctx, token); err != nil {
		return err
	}
	return c.send(ctx, method, path, f, token, into)
}

type loginAnswer struct {
	Token string `json:"token"`
}

// session gives the session's token, another one than stale. One login serves
// all who wait for it.
func (c *Client) session(ctx context.Context, stale string) (string, error) {
	select {
	case c.login <- struct{}{}:
	case <-ctx.Done():
		return "", fmt.Errorf("login: %w", ctx.Err())
	}
	defer func() { <-c.login }()
	if c.token != "" && c.token != stale {
		return c.token, nil
	}
	c.token = ""
	access, err := c.o.Token()
	if err != nil {
		return "", fmt.Errorf("login: %w", err)
	}
	var answer loginAnswer
	err = c.send(ctx, http.MethodPost, "login/", form{{"accessToken", access}}, "", &answer)
	var status *StatusError
	if errors.As(err, &status) {
		status.Login = true
		status.hide(access)
		return "", status
	}
	if err != nil {
		return "", fmt.Errorf("login: %w", err)
	}
	if answer.Token == "" {
		return "", errors.New("login: the answer has no token")
	}
	c.token = answer.Token
	return c.token, nil
}

// send sends one request and reads its answer.
func (c *Client) send(ctx context.Context, method, path string, f form, token string, into any) error {
	var body io.Reader
	if f != nil {
		body = strings.NewReader(f.encode())
	}
	req, err := http.NewRequestWithContext(ctx, method, c.base+path, body)
	if err != nil {
		return err
	}
	if f != nil {
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	if token != "" {
		// As the API spells it; Set would write Httpauthorization.
		req.Header["HTTPAuthorization"] = []string{token}
	}
	if c.o.UserAgent != "" {
		req.Header.Set("User-Agent", c.o.UserAgent)
	}
	resp, err := c.o.HTTP.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close() //nolint:errcheck // it was only read
	request := method + " " + req.URL.Path
	answer, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer+1))
	switch {
	case resp.StatusCode != http.StatusOK:
		return statusError(request, resp.StatusCode, answer, token)
	case err != nil:
		return fmt.Errorf("%s: reading the answer: %w", request, err)
	case len(answer) > maxAnswer:
		return fmt.Errorf("%s: the answer is longer than %d bytes", request, maxAnswer)
	case into == nil:
		return nil
	}
	if err := json.Unmarshal(answer, into); err != nil {
		return fmt.Errorf("%s: the answer is not of this API: %w", request, err)
	}
	return nil
}

func statusError(request string, status int, answer []byte, token string) *StatusError {
	e := &StatusError{Request: request, Status: status}
	if json.Unmarshal(answer, &e.ErrorBody) != nil {
		// Of a proxy, perhaps: its words are better than none.
		e.ErrorBody = ErrorBody{Msg: strings.ToValidUTF8(string(answer), "?")}
	}
	e.hide(token)
	return e
}

// hide takes a secret out of the message.
func (e *StatusError) hide(secret string) {
	if secret != "" {
		e.Msg = strings.ReplaceAll(e.Msg, secret, hidden)
	}
}
