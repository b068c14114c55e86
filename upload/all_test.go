package upload_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"math/big"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	gokit "github.com/go-kit/log"

	"scriptbridge/config"
	"scriptbridge/internal/testkit"
	"scriptbridge/record"
	"scriptbridge/upload"
	"scriptbridge/upload/all"
	"scriptbridge/upload/spool"
)

// world is uploads with spools in a folder.
func world(t *testing.T) (set *upload.Set, log *testkit.Buffer, folder string) {
	folder, log = t.TempDir(), new(testkit.Buffer)
	set = upload.NewSet(all.Types, gokit.NewLogfmtLogger(log), nil)
	set.UseStorage("", nil, func(name string) (string, error) { return filepath.Join(folder, name), nil })
	t.Cleanup(set.Close)
	return set, log, folder
}

// A renewed file of certificates is noticed, though the configuration says what it
// said; one that is no such file changes nothing. Through all of it the queue
// stays open, and no count begins anew.
func TestUploadRenewed(t *testing.T) {
	asked := make(chan struct{}, 100)
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusServiceUnavailable)
		asked <- struct{}{}
	}))
	defer server.Close()
	server.Config.ErrorLog = nil
	folder := t.TempDir()
	file := func(name string) string { return filepath.Join(folder, name) }
	write := func(name, text string) {
		if err := os.WriteFile(file(name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("token", "secret")
	write("ca.pem", strangeCertificate(t))
	cfg := func() *config.Upload {
		return &config.Upload{CoScale: &config.UploadCoScale{
			URL: server.URL, AppID: "a", AccessTokenFile: file("token"), CAFile: file("ca.pem"),
			Server: "s", Interval: time.Second, Spool: config.Spool{MaxBytes: 1 << 20},
		}}
	}
	u, said, _ := world(t)
	u.Reload(t.Context(), cfg())
	b := upload.Named("a")
	b.Time = b.Time.Add(-time.Hour)
	b.Samples = append(b.Samples, record.Sample{Name: "h", Meta: &record.Meta{Type: record.Histogram}})
	if err := u.Put(b); err != nil {
		t.Fatal(err)
	}
	state := func() upload.State { return u.States()[0] }
	failing := func(text string) {
		t.Helper()
		testkit.Await(t, text, func() bool { return strings.Contains(state().Error, text) })
	}
	failing("certificate signed by unknown authority")
	first, _ := u.First()

	u.Reload(t.Context(), cfg())
	write("ca.pem", "nothing of the kind")
	u.Reload(t.Context(), cfg())
	want := `level=error upload=coscale msg="the upload goes on as it was: the new one cannot be made" err="certificates: ` + strings.ReplaceAll(file("ca.pem"), `\`, `\\`) + ` holds none; it is a PEM file of the authorities to trust"`
	if !strings.Contains(said.String(), want) {
		t.Errorf("log:\n%s", said)
	}
	before := *state().Stats
	if before.Retried == 0 || before.Items != 1 || before.Skipped["histogram"] != 1 {
		t.Errorf("stats: %+v", before)
	}
	_, sink := u.First()
	write("ca.pem", string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})))
	u.Reload(t.Context(), cfg())
	<-asked
	failing("503")
	after := *state().Stats
	if after.Retried < before.Retried || after.Items != 1 || after.Skipped["histogram"] != 1 {
		t.Errorf("stats: before %+v, after %+v", before, after)
	}
	now, renewed := u.First()
	if now != first || renewed == sink {
		t.Error("another upload is at work, or the same sink")
	}
	u.Reload(t.Context(), cfg())
	if _, sink := u.First(); sink != renewed {
		t.Error("what has not changed was made anew")
	}
	less := cfg()
	less.CoScale.Spool.MaxBytes = 1
	u.Reload(t.Context(), less)
	if err := u.Put(b); err == nil || !strings.Contains(err.Error(), "max_bytes are 1") {
		t.Errorf("Put into a smaller spool: %v", err)
	}
}

// One that goes and comes again has its spool to itself each time.
func TestUploadComesAndGoes(t *testing.T) {
	folder := t.TempDir()
	key := filepath.Join(folder, "key")
	if err := os.WriteFile(key, []byte("0123456789"), 0o600); err != nil {
		t.Fatal(err)
	}
	u, said, spools := world(t)
	for i := range 5 {
		u.Reload(t.Context(), &config.Upload{Instrumental: &config.UploadInstrumental{
			Collector: "127.0.0.1:1", APIKeyFile: key, Host: "h", Insecure: true, Spool: config.Spool{MaxBytes: 1 << 20},
		}})
		if err := u.Put(upload.Named(fmt.Sprint("a", i))); err != nil {
			t.Error(err)
		}
		u.Reload(t.Context(), &config.Upload{})
		if err := u.Put(upload.Named("nobody's")); err != nil {
			t.Error(err)
		}
	}
	u.Close()
	sp, err := spool.Open(spool.Options{Path: filepath.Join(spools, "instrumental"), MaxBytes: 1 << 20})
	if err != nil {
		t.Fatal(err)
	}
	defer sp.Close()
	if stats := sp.Stats(); stats.Items != 5 {
		t.Errorf("%d of 5 values are kept:\n%s", stats.Items, said)
	}
	u.Reload(t.Context(), &config.Upload{Instrumental: &config.UploadInstrumental{APIKeyFile: key, Insecure: true}})
	if len(u.States()) > 0 {
		t.Error("an upload begins after the end")
	}
}

// strangeCertificate is one that no server has.
func strangeCertificate(t *testing.T) string {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1)}
	cert, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert}))
}
