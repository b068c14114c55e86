package web

import (
	"errors"
	"flag"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"scriptbridge/config"
	"scriptbridge/record"
	"scriptbridge/script"
)

var update = flag.Bool("update", false, "write the pages in testdata anew")

// TestPages holds every byte of the pages of a bridge with scripts in each
// state, receivers and uploads against those in testdata/pages, as they are for
// who may see everything (private) and for others (public).
func TestPages(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		now := time.Now().UTC()
		f, o := pushed(now)
		disabled := member(1, newScript("off", "scalyr", "/opt/off.py"), now)
		disabled.State, disabled.Warnings = script.Disabled, []string{"an old one", "its monitor said that it is <not> configured"}
		probed := member(2, newScript("probed", "coscale", "/opt/probed"), now)
		probed.Script.Parameters = map[string]config.Parameter{"host": {}}
		probed.Script.Probe = true
		probed.Probes = []script.Probe{
			{At: now, From: "192.0.2.7", Parameters: "host=<x>", Err: errors.New("no <such> host")},
			{At: now.Add(-time.Minute), From: "uid 0", Parameters: "host=db", Run: probed.Last},
			{At: now.Add(-time.Hour), From: "uid 0", Run: &script.Verdict{Result: record.Error, ExitCode: 3, Err: errors.New("exited with code 3"), Stderr: "<down>"}},
		}
		f.views = append(f.views, disabled, probed)
		f.views = append(f.views, crowd(30, now).views[1:]...)
		busy := handler(t, o)

		o.ConfigStatus = func() (bool, time.Time, error) {
			return false, now.Add(-time.Minute), errors.New("scriptbridge.yml:3: <scripts>: no such key")
		}
		o.Scripts, o.Receivers, o.Uploads = new(fakes), nil, nil
		empty := handler(t, o)
		time.Sleep(90 * time.Second) // in the bubble

		for _, p := range []struct {
			name, target string
			h            http.Handler
		}{
			{"status", "/", busy},
			{"status-query", "/?q=s&refresh=10&sort=-duration&state=failing", busy},
			{"status-none", "/?q=nothing&state=new", busy},
			{"status-empty", "/?sort=name", empty},
			{"disks", "/scripts/disks", busy},
			{"failing", "/scripts/a%2Fb%20%3F", busy},
			{"timeout", "/scripts/redis?refresh=30", busy},
			{"new", "/scripts/queue", busy},
			{"running", "/scripts/mail", busy},
			{"disabled", "/scripts/off", busy},
			{"probed", "/scripts/probed", busy},
			{"receiver", "/receivers/statsd", busy},
			{"receiver-down", "/receivers/coscale", busy},
			{"receiver-new", "/receivers/collectd", busy},
			{"upload", "/uploads/coscale", busy},
			{"upload-failing", "/uploads/instrumental", busy},
			{"upload-opening", "/uploads/other", busy},
			{"reasons", "/reasons", busy},
			{"missing", "/scripts/nobody", busy},
		} {
			for _, reader := range []struct {
				name string
				ask  func(method, target string) *http.Request
			}{{"private", browser}, {"public", stranger}} {
				r := reader.ask(http.MethodGet, p.target)
				r.Header.Set("Accept", "text/html")
				checkPage(t, p.name+"-"+reader.name, answer(p.h, r).Body.Bytes())
			}
		}
	})
}

func checkPage(t *testing.T, name string, got []byte) {
	t.Helper()
	file := filepath.Join("testdata", "pages", name+".html")
	if *update {
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), string(got)); diff != "" {
		t.Errorf("%s (-want +got; go test ./web -update writes it anew):\n%s", file, diff)
	}
}
