package config

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
)

func TestReadCertificates(t *testing.T) {
	if roots, err := ReadCertificates(""); roots != nil || err != nil {
		t.Error(roots, err)
	}
	none := filepath.Join(t.TempDir(), "none.pem")
	if _, err := ReadCertificates(none); !errors.Is(err, os.ErrNotExist) {
		t.Error(err)
	}
	if err := os.WriteFile(none, []byte("none"), 0o600); err != nil {
		t.Fatal(err)
	}
	want := "certificates: " + none + " holds none; it is a PEM file of the authorities to trust"
	if _, err := ReadCertificates(none); err == nil || err.Error() != want {
		t.Error(err)
	}
}

func TestIsLoopback(t *testing.T) {
	for host, want := range map[string]bool{
		"localhost": true, "LOCALHOST": true, "127.0.0.2": true, "::1": true, "::ffff:127.0.0.1": true,
		"": false, "0.0.0.0": false, "::": false, "192.0.2.1": false, "localhost.example.com": false, "127.0.0.1.example.com": false,
	} {
		if got := IsLoopback(host); got != want {
			t.Errorf("%q: %v", host, got)
		}
	}
}
