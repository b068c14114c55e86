package coscale

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"time"

	"scriptbridge/internal/texts"
)

// An answer is believed when it has the form that the API gives it: what
// stands between us and the API answers too, with any status.

// maxAnswer bounds what is read of an answer, maxListing of one that lists,
// and maxMessage what is told of one.
const (
	maxAnswer  = 1 << 20
	maxListing = 16 << 20
	maxMessage = 200
)

// answer is what a success is read into; good says whether all is there that
// such an answer has.
type answer interface{ good() bool }

type loginAnswer struct {
	Token string `json:"token"`
}

func (a *loginAnswer) good() bool { return a.Token != "" }

// madeAnswer is what all objects have.
type madeAnswer struct {
	ID int64 `json:"id"`
}

func (a *madeAnswer) good() bool { return a.ID > 0 }

// attributeAnswer is an attribute, whose id no page of the service promised.
type attributeAnswer struct {
	ID  int64  `json:"id"`
	Key string `json:"key"`
}

func (a *attributeAnswer) good() bool { return a.ID > 0 || a.Key != "" }

// linkAnswer is the group's content, or the one that was linked.
type linkAnswer struct {
	listing[madeAnswer, *madeAnswer]
}

func (a *linkAnswer) UnmarshalJSON(text []byte) error {
	if err := json.Unmarshal(text, &a.listing); err == nil {
		return nil
	}
	a.listing = make([]madeAnswer, 1)
	return json.Unmarshal(text, &a.listing[0])
}

func (e *EventData) good() bool { return e.ID > 0 }

// listing is an answer of several, perhaps of none; null is no list.
type listing[T any, P interface {
	*T
	answer
}] []T

// lister is an answer that may be long.
type lister interface{ lists() }

func (*listing[T, P]) lists() {}

func (l *listing[T, P]) good() bool {
	for i := range *l {
		if !P(&(*l)[i]).good() {
			return false
		}
	}
	return *l != nil
}

// insertAnswer tells what became of the points of a call.
type insertAnswer struct {
	Msg     string    `json:"msg"`
	Refused []Refusal `json:"refused,omitempty"`

	secrets []string // which are not to be told
}

// secretive is an answer of which something is told, though it is a success.
type secretive interface{ hides(secrets []string) }

func (a *insertAnswer) hides(secrets []string) { a.secrets = secrets }

func (a *insertAnswer) good() bool { return a.Msg != "" }

// Refusal says which points of a call were refused, and why.
type Refusal struct {
	Index  int    `json:"index"`            // of the entry in the call
	Points []int  `json:"points,omitempty"` // which of its points; none: all of them
	Reason string `json:"reason"`           // a word
	Msg    string `json:"msg"`
}

// The reasons of points whose ids are not known.
const (
	UnknownMetric  = "unknown_metric"
	UnknownSubject = "unknown_subject"
)

// StatusError is an answer that is not a success: another status than 200,
// which alone is one, or a body that is not what the API answers.
type StatusError struct {
	Request string // its method and path
	Status  int
	// Login: it answers the login and says nothing of what was asked for.
	Login bool
	// Foreign: it has not the API's form, so that something else may have given
	// it. Msg is then how it begins, and Type and ID are empty.
	Foreign bool
	// Moved says where a redirect leads, and what to do about it.
	Moved string
	// RetryAfter is for how long the server wants to be left alone; 0: it did not say.
	RetryAfter time.Duration
	ErrorBody
}

func (e *StatusError) Error() string {
	text := e.Request + ": " + e.answer()
	if e.Login {
		text = "login: " + text
	}
	return text
}

// Wait is for how long the server wants to be left alone.
func (e *StatusError) Wait() time.Duration { return e.RetryAfter }

// Alike is the error without what differs from one request to the next: what
// was asked for, and the numbers that a page has.
func (e *StatusError) Alike() string {
	text := e.answer()
	if e.Foreign {
		text = strconv.Itoa(e.Status) + numbers.ReplaceAllString(text, "#")
	}
	return fmt.Sprintf("%t %s", e.Login, text)
}

var numbers = regexp.MustCompile(`\w*\d\w*`)

func (e *StatusError) answer() string {
	text := strings.TrimSpace(fmt.Sprintf("%d %s", e.Status, http.StatusText(e.Status)))
	msg := cut(e.Msg)
	switch {
	case e.Moved != "":
		return text + ": " + e.Moved
	case e.Foreign && msg == "":
		return text + ": the answer is not of this API: it is empty"
	case e.Foreign:
		return text + ": the answer is not of this API: " + msg
	case msg != "":
		return text + ": " + msg
	}
	return text
}

// cut is the beginning of a message, on one line.
func cut(message string) string { return texts.Shorten(texts.OneLine(message), maxMessage) }

// withoutSecrets is what may be told of a message: without the secrets, and no more of it
// than can be worth looking through.
func withoutSecrets(message string, secrets []string) string {
	return texts.Hide(texts.OneLine(texts.Cut(message, 64<<10)), secrets...)
}

// readAnswer reads the answer to a request into into, or says what it is
// instead. whole: there is no more of its body.
func (c *Client) readAnswer(method, path string, resp *http.Response, body []byte, whole bool, into answer, secrets []string) error {
	e := &StatusError{Request: method + " " + path, Status: resp.StatusCode}
	switch {
	case resp.StatusCode == http.StatusOK && whole && json.Unmarshal(body, into) == nil && into.good():
		if a, ok := into.(secretive); ok {
			a.hides(secrets)
		}
		return nil
	case resp.StatusCode == http.StatusOK, !whole, json.Unmarshal(body, &e.ErrorBody) != nil, e.Msg == "":
		e.Foreign, e.ErrorBody = true, ErrorBody{Msg: string(body)}
	}
	switch resp.StatusCode {
	case http.StatusTooManyRequests, http.StatusServiceUnavailable:
		e.RetryAfter = retryAfter(resp.Header.Get("Retry-After"), time.Now())
	}
	if resp.StatusCode >= 300 && resp.StatusCode <= 399 {
		e.Moved = texts.Hide(c.moved(path, resp), secrets...)
	}
	if e.Msg = withoutSecrets(e.Msg, secrets); e.Foreign {
		e.Msg = cut(e.Msg)
	}
	if !whole {
		e.Msg = "it breaks off, or does not end: " + e.Msg
	}
	return e
}

// moved tells where a redirect of the path asked leads, and what to do about it.
func (c *Client) moved(asked string, resp *http.Response) string {
	to, err := resp.Location()
	if err != nil || to.Host == "" {
		return "a redirect to nowhere"
	}
	// No more of it is told than is needed: it may carry what is secret.
	bare := url.URL{Scheme: to.Scheme, Host: to.Host, Path: to.Path}
	text := "a redirect to " + cut(bare.String())
	asked = strings.TrimPrefix(asked, c.prefix)
	base, same := strings.CutSuffix(strings.TrimRight(bare.Path, "/"), strings.TrimRight(asked, "/"))
	if bare.Path = base; same && bare.String() != c.url {
		return fmt.Sprintf("%s: the API has moved; write %s in %s", text, texts.OneLine(bare.String()), c.o.Setting)
	}
	return fmt.Sprintf("%s, which is not the API; what stands before that must not redirect, and %s must be the API's own", text, c.o.Setting)
}

// retryAfter reads the header of that name: seconds, or a date.
func retryAfter(text string, now time.Time) time.Duration {
	if n, err := strconv.ParseUint(strings.TrimSpace(text), 10, 32); err == nil {
		return time.Duration(n) * time.Second
	}
	if at, err := http.ParseTime(text); err == nil {
		return max(0, at.Sub(now))
	}
	return 0
}
