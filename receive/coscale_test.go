package receive

import (
	"bufio"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/go-kit/log"

	"scriptbridge/config"
)

const testToken = "open-sesame"

// coscaleConfig is a receiver on a port of its own, or on the web port.
func coscaleConfig(t *testing.T, folder string, listen ...string) *config.Receive {
	t.Helper()
	tokens := filepath.Join(folder, "tokens")
	writeFile(t, tokens, "# of the shop\n"+testToken+"\n")
	return &config.Receive{CoScale: &config.ReceiveCoScale{
		AppID: "shop", AccessTokensFile: tokens, TTL: config.DefaultTTL, MaxSeries: config.DefaultMaxSeries, Listen: listen,
	}}
}

func writeFile(t *testing.T, name, text string) {
	t.Helper()
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// begin has a Set with this configuration at work.
func begin(t *testing.T, r *config.Receive) *running {
	t.Helper()
	return start(t, contract{config: func(*testing.T, string) *config.Receive { return r }})
}

func loginTo(t *testing.T, client *http.Client, base, token string) int {
	t.Helper()
	resp, err := client.Post(base+"/api/v1/app/shop/login/", "application/x-www-form-urlencoded", strings.NewReader("accessToken="+token))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	io.Copy(io.Discard, resp.Body)
	return resp.StatusCode
}

// Where there is an address of its own, the API is there and not on the web
// port; else the other way round.
func TestCoScaleAddresses(t *testing.T) {
	own := begin(t, coscaleConfig(t, t.TempDir(), "127.0.0.1:0", "127.0.0.1:0"))
	for _, a := range own.set.Views()[0].Addresses {
		network, at, _ := strings.Cut(a, " ")
		if code := loginTo(t, http.DefaultClient, network+"://"+at, testToken); network != "http" || code != 200 {
			t.Errorf("%s: %d", a, code)
		}
	}
	if code := loginTo(t, http.DefaultClient, own.web.URL, testToken); code != 404 {
		t.Errorf("on the web port too: %d", code)
	}
	web := begin(t, coscaleConfig(t, t.TempDir()))
	if got := fmt.Sprint(web.set.Views()[0].Addresses); got != "[web /api/v1/]" {
		t.Errorf("addresses %s", got)
	}
	if code := loginTo(t, http.DefaultClient, web.web.URL, testToken); code != 200 {
		t.Errorf("on the web port: %d", code)
	}
}

// A changed file of tokens takes effect at a reload.
func TestCoScaleTokensChange(t *testing.T) {
	folder := t.TempDir()
	c := coscaleConfig(t, folder)
	r := begin(t, c)
	writeFile(t, filepath.Join(folder, "tokens"), "another\n")
	if code := loginTo(t, http.DefaultClient, r.web.URL, testToken); code != 200 {
		t.Errorf("the old token before a reload: %d", code)
	}
	r.set.Reload(t.Context(), c)
	if code := loginTo(t, http.DefaultClient, r.web.URL, "another"); code != 200 {
		t.Errorf("the new token: %d", code)
	}
	if code := loginTo(t, http.DefaultClient, r.web.URL, testToken); code != 400 {
		t.Errorf("the old token: %d", code)
	}
}

func TestCoScaleTLS(t *testing.T) {
	folder := t.TempDir()
	c := coscaleConfig(t, folder, "127.0.0.1:0")
	c.CoScale.TLS = config.TLS{CertFile: filepath.Join(folder, "cert"), KeyFile: filepath.Join(folder, "key")}
	roots := writeCertificate(t, c.CoScale.TLS)
	r := begin(t, c)
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}}}
	defer client.CloseIdleConnections()
	if code := loginTo(t, client, "https://"+r.address(t, "https"), testToken); code != 200 {
		t.Errorf("over TLS: %d", code)
	}
	writeFile(t, c.CoScale.TLS.KeyFile, "no key")
	problems := Check(c)
	want := "tls: " + c.CoScale.TLS.CertFile + ", " + c.CoScale.TLS.KeyFile + ": tls: failed to find any PEM data in key input"
	if len(problems) != 1 || problems[0].Err.Error() != want {
		t.Errorf("problems %v, want %s", problems, want)
	}
}

func writeCertificate(t *testing.T, files config.TLS) *x509.CertPool {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}}
	cert, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	text := string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert}))
	writeFile(t, files.CertFile, text)
	writeFile(t, files.KeyFile, string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: secret})))
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM([]byte(text))
	return roots
}

// A port that is taken costs the receiver; of two, none is left open.
func TestCoScalePortTaken(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	free.Close()
	set := NewSet(SetOptions{Sink: new(sinkLog), Logger: log.NewNopLogger()})
	defer set.Close()
	set.Reload(t.Context(), coscaleConfig(t, t.TempDir(), free.Addr().String(), taken.Addr().String()))
	want := "listen tcp " + taken.Addr().String() + ": bind: address already in use (another program uses this address: stop it, or set another one with receive: coscale)"
	if v := set.Views()[0]; v.Up || v.Error != want {
		t.Errorf("view %+v, want %s", v, want)
	}
	if l, err := net.Listen("tcp", free.Addr().String()); err != nil {
		t.Errorf("the first one was left open: %v", err)
	} else {
		l.Close()
	}
}

// Without a folder to keep them in, ids change at a restart, which is said.
func TestCoScaleWithoutStorage(t *testing.T) {
	var lines syncBuffer
	set := NewSet(SetOptions{Sink: new(sinkLog), Logger: log.NewLogfmtLogger(&lines)})
	defer set.Close()
	set.Reload(t.Context(), coscaleConfig(t, t.TempDir()))
	if want := `msg="without --storage.path the ids that clients are given change at a restart"`; !strings.Contains(lines.String(), want) || !set.Ready() {
		t.Errorf("log:\n%s", lines.String())
	}
}

// As many connections as may be are open; who comes then waits for one to end.
func TestCoScaleConnections(t *testing.T) {
	c := coscaleConfig(t, t.TempDir(), "127.0.0.1:0")
	set := NewSet(SetOptions{Sink: new(sinkLog), Logger: log.NewNopLogger()})
	defer set.Close()
	set.Reload(t.Context(), c)
	_, at, _ := strings.Cut(set.Views()[0].Addresses[0], " ")
	dial := func() net.Conn {
		conn, err := net.Dial("tcp", at)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(conn, "GET / HTTP/1.1\r\nHost: a\r\n\r\n"); err != nil {
			t.Fatal(err)
		}
		return conn
	}
	answered := func(conn net.Conn, within time.Duration) bool {
		_ = conn.SetReadDeadline(time.Now().Add(within))
		n, _ := conn.Read(make([]byte, 1))
		return n == 1
	}
	var last net.Conn
	for i := range maxConnections {
		conn := dial()
		defer conn.Close()
		if !answered(conn, time.Minute) {
			t.Fatalf("number %d is not answered", i)
		}
		last = conn
	}
	more := dial()
	defer more.Close()
	if answered(more, 20*time.Millisecond) {
		t.Error("one more is answered")
	}
	last.Close()
	if !answered(more, time.Minute) {
		t.Error("one has ended, and the next is not answered")
	}
}

// A client that never ends its request does not keep the receiver from ending.
func TestCoScaleSlowClient(t *testing.T) {
	for _, own := range []bool{true, false} {
		t.Run(map[bool]string{true: "an address of its own", false: "the web port"}[own], func(t *testing.T) {
			t.Parallel()
			endWithSlowClient(t, own)
		})
	}
}

func endWithSlowClient(t *testing.T, own bool) {
	c := coscaleConfig(t, t.TempDir())
	if own {
		c.CoScale.Listen = []string{"127.0.0.1:0"}
	}
	r := begin(t, c)
	at := r.web.Listener.Addr().String()
	if own {
		at = r.address(t, "http")
	}
	conn, err := net.Dial("tcp", at)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	fmt.Fprintf(conn, "POST /api/v1/app/shop/login/ HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: 100\r\n\r\n")
	line, err := bufio.NewReader(conn).ReadString('\n') // the request is inside, and its body is asked for
	if err != nil || !strings.Contains(line, "100 Continue") {
		t.Fatalf("%q, %v", line, err)
	}
	ended := make(chan struct{})
	go func() { r.set.Close(); close(ended) }()
	select {
	case <-ended:
	case <-time.After(20 * time.Second):
		t.Fatal("the receiver does not end")
	}
}

// coscaleContract holds the API to what all receivers promise: a message is a
// data array, inserted as the StatsD backend does.
var coscaleContract = contract{
	config: func(t *testing.T, folder string) *config.Receive { return coscaleConfig(t, folder, "127.0.0.1:0") },
	send: func(t *testing.T, r *running, messages ...string) {
		c := newAPIClient(t, r)
		c.post("servers/", url.Values{"name": {"web-1"}, "type": {""}, "source": {"CLI"}})
		c.post("metrics/", url.Values{
			"name": {"Queue length"}, "dataType": {"DOUBLE"}, "period": {"60"}, "unit": {"#"}, "subject": {"SERVER"}, "source": {"CLI"},
		})
		for _, m := range messages {
			c.post("data/", url.Values{"data": {m}})
		}
	},
	good: []string{`[{"m":1,"s":"s1","d":[[0,50.4]]}]`, `[{"m":1,"s":"S1","d":[[-60,7],[0,8]],"dv":{"Queue":"in"}}]`},
	want: map[string]float64{"Queue length{}": 50.4, "Queue length{Queue=in}": 8},
	bad:  []string{"", "[", `[{"m":1,"s":"s1","d":[[0,1]],"dv":{"Queue":"a"b"}}]`, `[{"m":1,"s":"s1","d":[[1000,1]]}]`, `[{"m":"x"}]`, "{}"},
	overload: func(t *testing.T, r *running) string {
		c := newAPIClient(t, r)
		c.post("data/", url.Values{"data": {strings.Repeat("0", 33<<20)}})
		return "too_large"
	},
}

// apiClient is a client that has logged in.
type apiClient struct {
	t             *testing.T
	base, session string
}

func newAPIClient(t *testing.T, r *running) *apiClient {
	t.Helper()
	c := &apiClient{t: t, base: "http://" + r.address(t, "http") + "/api/v1/app/shop/"}
	_, body := c.post("login/", url.Values{"accessToken": {testToken}})
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
