package coscaleapi_test

import (
	"bufio"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/go-kit/log"

	"scriptbridge/config"
	"scriptbridge/internal/connlimit"
	"scriptbridge/internal/testkit"
	"scriptbridge/receive"
	"scriptbridge/receive/receivertest"
)

// running is a Set with this receiver at work.
type running struct {
	*receive.Set
	web *httptest.Server // the web port, asked on loopback
	log testkit.Buffer
}

// begin has a Set with this configuration at work.
func begin(t *testing.T, c *config.Receive) *running {
	t.Helper()
	r := new(running)
	storage := t.TempDir()
	r.Set = receive.NewSet(receive.SetOptions{
		Sink: new(receivertest.Sink), Logger: log.NewLogfmtLogger(&r.log),
		Storage: func(string) (string, error) { return storage, nil },
	})
	t.Cleanup(r.Close)
	r.web = httptest.NewServer(r.Handler(http.NotFoundHandler()))
	t.Cleanup(r.web.Close)
	r.Reload(t.Context(), c)
	if len(r.Late()) > 0 {
		t.Fatalf("%+v\n%s", r.Views(), &r.log)
	}
	return r
}

func (r *running) addresses() receivertest.Addresses { return r.Views()[0].Addresses }

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
func TestAddresses(t *testing.T) {
	own := begin(t, receivertest.CoScaleConfig(t, t.TempDir(), "127.0.0.1:0", "127.0.0.1:0"))
	for _, a := range own.Views()[0].Addresses {
		network, at, _ := strings.Cut(a, " ")
		if code := loginTo(t, http.DefaultClient, network+"://"+at, receivertest.CoScaleToken); network != "http" || code != 200 {
			t.Errorf("%s: %d", a, code)
		}
	}
	if code := loginTo(t, http.DefaultClient, own.web.URL, receivertest.CoScaleToken); code != 404 {
		t.Errorf("on the web port too: %d", code)
	}
	web := begin(t, receivertest.CoScaleConfig(t, t.TempDir()))
	if got := fmt.Sprint(web.Views()[0].Addresses); got != "[web /api/v1/]" {
		t.Errorf("addresses %s", got)
	}
	if code := loginTo(t, http.DefaultClient, web.web.URL, receivertest.CoScaleToken); code != 200 {
		t.Errorf("on the web port: %d", code)
	}
}

// A changed file of tokens takes effect at a reload.
func TestTokensChange(t *testing.T) {
	folder := t.TempDir()
	c := receivertest.CoScaleConfig(t, folder)
	r := begin(t, c)
	receivertest.WriteFile(t, filepath.Join(folder, "tokens"), "another-token-of-the-shop\n")
	if code := loginTo(t, http.DefaultClient, r.web.URL, receivertest.CoScaleToken); code != 200 {
		t.Errorf("the old token before a reload: %d", code)
	}
	r.Reload(t.Context(), c)
	if code := loginTo(t, http.DefaultClient, r.web.URL, "another-token-of-the-shop"); code != 200 {
		t.Errorf("the new token: %d", code)
	}
	if code := loginTo(t, http.DefaultClient, r.web.URL, receivertest.CoScaleToken); code != 400 {
		t.Errorf("the old token: %d", code)
	}
}

func TestTLS(t *testing.T) {
	folder := t.TempDir()
	c := receivertest.CoScaleConfig(t, folder, "127.0.0.1:0")
	c.CoScale.TLS = config.TLS{CertFile: filepath.Join(folder, "cert"), KeyFile: filepath.Join(folder, "key")}
	roots := writeCertificate(t, c.CoScale.TLS)
	r := begin(t, c)
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}}}
	defer client.CloseIdleConnections()
	if code := loginTo(t, client, "https://"+r.addresses().Of(t, "https"), receivertest.CoScaleToken); code != 200 {
		t.Errorf("over TLS: %d", code)
	}
	receivertest.WriteFile(t, c.CoScale.TLS.KeyFile, "no key")
	problems := receive.Check(c)
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
	receivertest.WriteFile(t, files.CertFile, text)
	receivertest.WriteFile(t, files.KeyFile, string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: secret})))
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM([]byte(text))
	return roots
}

// A port that is taken costs the receiver; of two, none is left open.
func TestPortTaken(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	free := testkit.FreeAddress()
	set := receive.NewSet(receive.SetOptions{Sink: new(receivertest.Sink), Logger: log.NewNopLogger()})
	defer set.Close()
	set.Reload(t.Context(), receivertest.CoScaleConfig(t, t.TempDir(), free, taken.Addr().String()))
	_, inUse := net.Listen("tcp", taken.Addr().String())
	want := inUse.Error() + " (another program uses this address: stop it, or set another one with receive: coscale)"
	if v := set.Views()[0]; v.Up || v.Error != want {
		t.Errorf("view %+v, want %s", v, want)
	}
	if l, err := net.Listen("tcp", free); err != nil {
		t.Errorf("the first one was left open: %v", err)
	} else {
		l.Close()
	}
}

// Without a folder to keep them in, ids change at a restart, which is said.
func TestWithoutStorage(t *testing.T) {
	var lines testkit.Buffer
	set := receive.NewSet(receive.SetOptions{Sink: new(receivertest.Sink), Logger: log.NewLogfmtLogger(&lines)})
	defer set.Close()
	set.Reload(t.Context(), receivertest.CoScaleConfig(t, t.TempDir()))
	if want := `msg="without --storage.path the ids that clients are given change at a restart"`; !strings.Contains(lines.String(), want) || len(set.Late()) > 0 {
		t.Errorf("log:\n%s", lines.String())
	}
}

// As many connections as may be are open; for who comes then the one gives way that has been idle
// for the longest time.
func TestConnections(t *testing.T) {
	c := receivertest.CoScaleConfig(t, t.TempDir(), "127.0.0.1:0")
	set := receive.NewSet(receive.SetOptions{Sink: new(receivertest.Sink), Logger: log.NewNopLogger()})
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
	var all []net.Conn
	for i := range connlimit.Most() {
		conn := dial()
		defer conn.Close()
		if !answered(conn, time.Minute) {
			t.Fatalf("number %d is not answered", i)
		}
		all = append(all, conn)
	}
	more := dial()
	defer more.Close()
	if !answered(more, time.Minute) {
		t.Error("one more is not answered, though all others are idle")
	}
	_ = all[0].SetReadDeadline(time.Now().Add(time.Minute))
	if _, err := io.Copy(io.Discard, all[0]); err != nil { // the rest of its answer, and the end
		t.Errorf("the first is not closed: %v", err)
	}
}

// A client that never ends its request does not keep the receiver from ending.
func TestSlowClient(t *testing.T) {
	for _, own := range []bool{true, false} {
		t.Run(map[bool]string{true: "an address of its own", false: "the web port"}[own], func(t *testing.T) {
			t.Parallel()
			endWithSlowClient(t, own)
		})
	}
}

func endWithSlowClient(t *testing.T, own bool) {
	c := receivertest.CoScaleConfig(t, t.TempDir())
	if own {
		c.CoScale.Listen = []string{"127.0.0.1:0"}
	}
	r := begin(t, c)
	at := r.web.Listener.Addr().String()
	if own {
		at = r.addresses().Of(t, "http")
	}
	conn, err := net.Dial("tcp", at)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	fmt.Fprintf(conn, "POST /api/v1/app/shop/login/ HTTP/1.1\r\nHost: localhost\r\nExpect: 100-continue\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: 100\r\n\r\n")
	line, err := bufio.NewReader(conn).ReadString('\n') // the request is inside, and its body is asked for
	if err != nil || !strings.Contains(line, "100 Continue") {
		t.Fatalf("%q, %v", line, err)
	}
	ended := make(chan struct{})
	go func() { r.Close(); close(ended) }()
	select {
	case <-ended:
	case <-time.After(20 * time.Second):
		t.Fatal("the receiver does not end")
	}
}
