package e2e

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// push is one client: it sends points, and now and then an event, one after the
// other, each again and again until it is acknowledged. A point's time is its
// own, so that none takes the place of another.
func (l *lab) push(ctx context.Context, client int) {
	c := &apiClient{lab: l, metric: fmt.Sprintf("load %d", client)}
	at := time.Now().Unix() - 20_000
	for n := 1; ctx.Err() == nil; n++ {
		value, when := float64(n), at+int64(n)
		l.repeat(ctx, func() error { return c.point(ctx, value, when) })
		if ctx.Err() != nil {
			return
		}
		l.mu.Lock()
		l.points[pointKey(c.metric, value, when)] = true
		l.mu.Unlock()
		if n%20 == 0 {
			text := fmt.Sprintf("event %d of client %d", n, client)
			l.repeat(ctx, func() error { return c.event(ctx, text, when) })
			if ctx.Err() != nil {
				return
			}
			l.mu.Lock()
			l.events[text] = true
			l.mu.Unlock()
		}
		pause(ctx, 5*time.Millisecond)
	}
}

// repeat tries until there is no error, and counts the errors.
func (l *lab) repeat(ctx context.Context, send func() error) {
	for {
		err := send()
		if err == nil || ctx.Err() != nil {
			return
		}
		l.mu.Lock()
		l.failed[failure(err)]++
		l.mu.Unlock()
		pause(ctx, 50*time.Millisecond)
	}
}

// failure is what kind an error is of: an answer's status, or noAnswer.
func failure(err error) string {
	if status := notAcknowledged(""); errors.As(err, &status) {
		return string(status)
	}
	return noAnswer
}

const noAnswer = "no answer"

// notAcknowledged is an answer other than 200, and which.
type notAcknowledged string

func (e notAcknowledged) Error() string { return "answered " + string(e) }

func pause(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}

// apiClient is a client of CoScale's API, such as the vendor's own: it logs in,
// makes what it needs, and takes a 200 for an acknowledgement.
type apiClient struct {
	*lab
	metric             string
	token              string
	metricID, category int64
}

func (c *apiClient) ask(ctx context.Context, path string, form url.Values, into any) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+c.address+"/api/v1/app/shop/"+path, strings.NewReader(form.Encode()))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.Header.Set("HTTPAuthorization", c.token)
	resp, err := c.client.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return err
	}
	switch resp.StatusCode {
	case http.StatusOK, http.StatusConflict: // it is there already
		return json.Unmarshal(body, into)
	case http.StatusUnauthorized:
		c.token = ""
	case http.StatusNotFound: // its ids are of a folder that is gone
		c.metricID, c.category = 0, 0
	}
	return notAcknowledged(fmt.Sprint(resp.StatusCode))
}

// ready logs in and makes the metric and the category.
func (c *apiClient) ready(ctx context.Context) error {
	if c.token == "" {
		var answer struct{ Token string }
		if err := c.ask(ctx, "login/", url.Values{"accessToken": {"open-sesame-open-sesame"}}, &answer); err != nil {
			return err
		}
		c.token = answer.Token
	}
	if c.metricID == 0 {
		var answer struct{ ID int64 }
		if err := c.ask(ctx, "metrics/", url.Values{"name": {c.metric}, "description": {""}, "dataType": {"DOUBLE"},
			"period": {"60"}, "unit": {""}, "subject": {"APPLICATION"}, "source": {"CLI"}}, &answer); err != nil {
			return err
		}
		c.metricID = answer.ID
	}
	if c.category == 0 {
		var answer struct{ ID int64 }
		if err := c.ask(ctx, "events/", url.Values{"name": {"Lab"}, "description": {""}, "attributeDescriptions": {"[]"}, "source": {"CLI"}, "icon": {""}, "type": {""}}, &answer); err != nil {
			return err
		}
		c.category = answer.ID
	}
	return nil
}

func (c *apiClient) point(ctx context.Context, value float64, at int64) error {
	if err := c.ready(ctx); err != nil {
		return err
	}
	data := fmt.Sprintf(`[{"m":%d,"s":"a","d":[[%d,%v]]}]`, c.metricID, at, value)
	var answer struct{ Msg string }
	if err := c.ask(ctx, "data/", url.Values{"data": {data}}, &answer); err != nil {
		return err
	}
	if !strings.HasPrefix(answer.Msg, "1 point") { // its id is of a folder that is gone
		c.metricID = 0
		return notAcknowledged(unknownID)
	}
	return nil
}

// unknownID is a 200 to a point whose metric the bridge does not know.
const unknownID = "200 with another number of points"

func (c *apiClient) event(ctx context.Context, text string, at int64) error {
	if err := c.ready(ctx); err != nil {
		return err
	}
	var answer json.RawMessage
	return c.ask(ctx, fmt.Sprintf("events/%d/data/", c.category), url.Values{"message": {text}, "timestamp": {fmt.Sprint(at)},
		"stopTime": {fmt.Sprint(at + 1)}, "subject": {"a"}, "attribute": {"{}"}}, &answer)
}
