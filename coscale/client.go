package coscale

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"

	"github.com/prometheus/common/version"
)

// ClientOptions are what a Client needs.
type ClientOptions struct {
	URL   string // what stands before /api; a slash at its end is dropped
	AppID string
	// Token gives the access token. It is asked before each login, so that a
	// file that has changed is found.
	Token func() (string, error)
	// HTTP does the requests; nil: NewHTTPClient(nil, defaultTimeout). Whatever
	// it says, redirects are not followed: they would carry the token away.
	HTTP      *http.Client
	UserAgent string // empty: scriptbridge/ and its version
	// Bridge is this bridge's name in what it uploads; empty: it is none.
	Bridge string
	// Setting is where people write the URL, for errors that tell of another
	// one; empty: the url.
	Setting string
}

// Client speaks CoScale's API. It logs in when it must, and once more when a
// session has ended (401). All methods block until the answer is there, ctx
// ends or the HTTP client's time is over, may be called at the same time, and
// give no error that holds a token. An answer that is not a success is a
// *StatusError, also one with the status 200 that has not the form of what was
// asked for; no answer is a *NoAnswerError.
type Client struct {
	o       ClientOptions
	url     string // what stands before /api, and
	prefix  string // its path
	base    string // …/api/v1/app/{appId}
	login   chan struct{}
	session session   // login's holder may touch it
	zips    sync.Pool // of *gzip.Writer, which are large
}

// NewClient returns a client that has not said anything yet.
func NewClient(o ClientOptions) *Client {
	if o.HTTP == nil {
		o.HTTP = NewHTTPClient(nil, defaultTimeout)
	} else {
		own := *o.HTTP
		own.CheckRedirect = noRedirect
		o.HTTP = &own
	}
	o.Setting = cmp.Or(o.Setting, "the url")
	o.UserAgent = cmp.Or(o.UserAgent, "scriptbridge/"+cmp.Or(version.Version, "devel"))
	base := strings.TrimRight(o.URL, "/")
	prefix := ""
	if u, err := url.Parse(base); err == nil {
		prefix = u.Path
	}
	return &Client{
		o:      o,
		url:    base,
		prefix: prefix,
		base:   base + "/api/v1/app/" + url.PathEscape(o.AppID) + "/",
		login:  make(chan struct{}, 1),
	}
}

// CloseIdle ends the connections that nothing is sent over.
func (c *Client) CloseIdle() { c.o.HTTP.CloseIdleConnections() }

// Create makes an object and gives its id, or the id of the one of that name
// which is there already. o is a *Server, *ServerGroup, *Metric, *MetricGroup,
// *Dimension or *Category, and kind is its kind; ID and Version are the
// server's affair.
func (c *Client) Create(ctx context.Context, kind Kind, o any) (int64, error) {
	f, err := formOf(o)
	if err != nil {
		return 0, err
	}
	var made madeAnswer
	err = c.call(ctx, http.MethodPost, string(kind)+"/", f.body(), &made)
	if id, ok := isDuplicate(err); ok {
		return id, nil
	}
	if err != nil {
		return 0, err
	}
	return made.ID, nil
}

// isDuplicate says whether an object of the name is there already, and which.
func isDuplicate(err error) (id int64, ok bool) {
	if status, ok := errors.AsType[*StatusError](err); ok && status.Status == http.StatusConflict && status.Type == Duplicate && status.ID > 0 {
		return status.ID, true
	}
	return 0, false
}

// Link puts a member into a group, or a dimension to a metric. It may be
// repeated.
func (c *Client) Link(ctx context.Context, groups Kind, group int64, members Kind, member int64) error {
	err := c.call(ctx, http.MethodPost, fmt.Sprintf("%s/%d/%s/%d/", groups, group, members, member), nil, new(linkAnswer))
	if status, ok := errors.AsType[*StatusError](err); ok && status.Status == http.StatusConflict && !status.Foreign && status.Type != disabled {
		return nil // it is linked already; coscale-cli takes it so too
	}
	return err
}

// SetAttribute gives a server or a metric an attribute; one that is there
// already stays as it is.
func (c *Client) SetAttribute(ctx context.Context, kind Kind, id int64, a Attribute) error {
	err := c.call(ctx, http.MethodPost, fmt.Sprintf("%s/%d/attributes/", kind, id), form{
		{"key", a.Key}, {"value", a.Value}, {"source", a.Source}, {"locked", strconv.FormatBool(a.Locked)},
	}.body(), new(attributeAnswer))
	if _, ok := isDuplicate(err); ok {
		return nil
	}
	return err
}

// Get asks for an object by its id. The error is a *StatusError of 404 where
// there is none.
func (c *Client) Get(ctx context.Context, kind Kind, id int64) error {
	return c.call(ctx, http.MethodGet, fmt.Sprintf("%s/%d/", kind, id), nil, new(linkAnswer))
}

// InsertEvent tells of an event of a category, and gives it back as the server
// keeps it. Times may be 0, which is now, or less, which are seconds ago.
func (c *Client) InsertEvent(ctx context.Context, category int64, e EventData) (EventData, error) {
	return c.event(ctx, http.MethodPost, eventsPath(category), formOfEvent(e))
}

// UpdateEvent changes the event e.ID, all of it. e.Version must be that of the
// last answer.
func (c *Client) UpdateEvent(ctx context.Context, category int64, e EventData) (EventData, error) {
	f := append(formOfEvent(e), pair{"version", strconv.FormatInt(e.Version, 10)})
	return c.event(ctx, http.MethodPut, fmt.Sprintf("%s%d/", eventsPath(category), e.ID), f)
}

// Event gives one event.
func (c *Client) Event(ctx context.Context, category, id int64) (EventData, error) {
	return c.event(ctx, http.MethodGet, fmt.Sprintf("%sget/%d/", eventsPath(category), id), nil)
}

// Events lists a category's events between two Unix times.
func (c *Client) Events(ctx context.Context, category int64, start, stop int64) ([]EventData, error) {
	var all listing[EventData, *EventData]
	err := c.call(ctx, http.MethodGet, fmt.Sprintf("%s?start=%d&stop=%d", eventsPath(category), start, stop), nil, &all)
	if err != nil {
		return nil, err
	}
	return all, nil
}

func (c *Client) event(ctx context.Context, method, path string, f form) (EventData, error) {
	var e EventData
	if err := c.call(ctx, method, path, f.body(), &e); err != nil {
		return EventData{}, err
	}
	return e, nil
}

func eventsPath(category int64) string { return fmt.Sprintf("events/%d/data/", category) }
