package receive

import (
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"scriptbridge/config"
	"scriptbridge/receive/receivertest"
)

// coscaleContract holds the API to what all receivers promise: a message is a
// data array, inserted as the StatsD backend does.
var coscaleContract = contract{
	Config: func(t *testing.T, folder string) *config.Receive {
		return receivertest.CoScaleConfig(t, folder, "127.0.0.1:0")
	},
	Send: func(t *testing.T, to receivertest.Addresses, messages ...string) {
		c := newAPIClient(t, to)
		c.post("servers/", url.Values{"name": {"web-1"}, "type": {""}, "source": {"CLI"}})
		c.post("metrics/", url.Values{
			"name": {"Queue length"}, "dataType": {"DOUBLE"}, "period": {"60"}, "unit": {"#"}, "subject": {"SERVER"}, "source": {"CLI"},
		})
		for _, m := range messages {
			c.post("data/", url.Values{"data": {m}})
		}
	},
	Good: []string{`[{"m":1,"s":"s1","d":[[0,50.4]]}]`, `[{"m":1,"s":"S1","d":[[-60,7],[0,8]],"dv":{"Queue":"in"}}]`},
	Want: map[string]float64{"Queue length{}": 50.4, "Queue length{Queue=in}": 8},
	Bad:  []string{"", "[", `[{"m":1,"s":"s1","d":[[0,1]],"dv":{"Queue":"a"b"}}]`, `[{"m":1,"s":"s1","d":[[1000,1]]}]`, `[{"m":"x"}]`, "{}"},
	Overload: func(t *testing.T, to receivertest.Addresses) string {
		c := newAPIClient(t, to)
		c.post("data/", url.Values{"data": {"[" + strings.Repeat(" ", 33<<20)}})
		return "too_large"
	},
}

// apiClient is a client that has logged in.
type apiClient struct {
	t             *testing.T
	base, session string
}

func newAPIClient(t *testing.T, to receivertest.Addresses) *apiClient {
	t.Helper()
	c := &apiClient{t: t, base: "http://" + to.Of(t, "http") + "/api/v1/app/shop/"}
	_, body := c.post("login/", url.Values{"accessToken": {receivertest.CoScaleToken}})
	var answer struct{ Token string }
	if err := json.Unmarshal(body, &answer); err != nil || answer.Token == "" {
		t.Fatalf("login: %s, %v", body, err)
	}
	c.session = answer.Token
	return c
}

func (c *apiClient) post(path string, form url.Values) (status int, body []byte) {
	c.t.Helper()
	req, err := http.NewRequest(http.MethodPost, c.base+path, strings.NewReader(form.Encode()))
	if err != nil {
		c.t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.Header.Set("HTTPAuthorization", c.session)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, nil // it was cut off, which is the receiver's right
	}
	defer resp.Body.Close()
	body, _ = io.ReadAll(resp.Body)
	return resp.StatusCode, body
}
